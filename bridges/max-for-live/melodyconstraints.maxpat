{
 "patcher": {
  "fileversion": 1,
  "appversion": {
   "major": 8,
   "minor": 6,
   "revision": 0,
   "architecture": "x64",
   "modernui": 1
  },
  "classnamespace": "box",
  "rect": [60, 100, 560, 500],
  "openinpresentation": 1,
  "default_fontname": "Arial",
  "default_fontsize": 10.0,
  "boxes": [
   {
    "box": {
     "id": "in",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 3,
     "outlettype": ["dictionary", "dictionary", ""],
     "patching_rect": [30, 330, 110, 22],
     "text": "live.miditool.in"
    }
   },
   {
    "box": {
     "id": "script",
     "maxclass": "newobj",
     "numinlets": 2,
     "numoutlets": 3,
     "outlettype": ["", "", ""],
     "patching_rect": [30, 380, 160, 22],
     "text": "js melodyconstraints.js",
     "saved_object_attributes": {
      "filename": "melodyconstraints.js",
      "parameter_enable": 0
     }
    }
   },
   {
    "box": {
     "id": "out",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [30, 430, 110, 22],
     "text": "live.miditool.out"
    }
   },
   {
    "box": {
     "id": "scale-label",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [30, 30, 60, 20],
     "text": "Scale",
     "presentation": 1,
     "presentation_rect": [6, 6, 52, 18]
    }
   },
   {
    "box": {
     "id": "scale",
     "maxclass": "live.menu",
     "numinlets": 1,
     "numoutlets": 3,
     "outlettype": ["", "", "float"],
     "patching_rect": [100, 30, 100, 18],
     "varname": "scale",
     "presentation": 1,
     "presentation_rect": [60, 6, 96, 15],
     "parameter_enable": 1,
     "saved_attribute_attributes": {
      "valueof": {
       "parameter_longname": "Scale",
       "parameter_shortname": "Scale",
       "parameter_type": 2,
       "parameter_initial_enable": 1,
       "parameter_enum": ["of the clip", "major", "minor", "dorian", "phrygian", "lydian", "mixolydian", "harmonic-minor", "melodic-minor", "major-pentatonic", "minor-pentatonic", "blues"],
       "parameter_mmax": 11,
       "parameter_initial": [0]
      }
     }
    }
   },
   {
    "box": {
     "id": "scale-name",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "outlettype": [""],
     "patching_rect": [220, 30, 100, 22],
     "text": "prepend scale"
    }
   },
   {
    "box": {
     "id": "tonic-label",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [30, 54, 60, 20],
     "text": "Tonic",
     "presentation": 1,
     "presentation_rect": [6, 30, 52, 18]
    }
   },
   {
    "box": {
     "id": "tonic",
     "maxclass": "live.menu",
     "numinlets": 1,
     "numoutlets": 3,
     "outlettype": ["", "", "float"],
     "patching_rect": [100, 54, 100, 18],
     "varname": "tonic",
     "presentation": 1,
     "presentation_rect": [60, 30, 96, 15],
     "parameter_enable": 1,
     "saved_attribute_attributes": {
      "valueof": {
       "parameter_longname": "Tonic",
       "parameter_shortname": "Tonic",
       "parameter_type": 2,
       "parameter_initial_enable": 1,
       "parameter_enum": ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"],
       "parameter_mmax": 11,
       "parameter_initial": [0]
      }
     }
    }
   },
   {
    "box": {
     "id": "tonic-name",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "outlettype": [""],
     "patching_rect": [220, 54, 100, 22],
     "text": "prepend tonic"
    }
   },
   {
    "box": {
     "id": "notes-label",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [30, 78, 60, 20],
     "text": "Notes",
     "presentation": 1,
     "presentation_rect": [6, 54, 52, 18]
    }
   },
   {
    "box": {
     "id": "notes",
     "maxclass": "live.numbox",
     "numinlets": 1,
     "numoutlets": 2,
     "outlettype": ["", "float"],
     "patching_rect": [100, 78, 50, 15],
     "varname": "notes",
     "presentation": 1,
     "presentation_rect": [60, 54, 50, 15],
     "parameter_enable": 1,
     "saved_attribute_attributes": {
      "valueof": {
       "parameter_longname": "Notes",
       "parameter_shortname": "Notes",
       "parameter_type": 1,
       "parameter_initial_enable": 1,
       "parameter_mmin": 1.0,
       "parameter_mmax": 255.0,
       "parameter_initial": [48],
       "parameter_unitstyle": 0
      }
     }
    }
   },
   {
    "box": {
     "id": "notes-name",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "outlettype": [""],
     "patching_rect": [220, 78, 100, 22],
     "text": "prepend notes"
    }
   },
   {
    "box": {
     "id": "form-label",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [30, 102, 60, 20],
     "text": "Form",
     "presentation": 1,
     "presentation_rect": [6, 78, 52, 18]
    }
   },
   {
    "box": {
     "id": "form",
     "maxclass": "live.menu",
     "numinlets": 1,
     "numoutlets": 3,
     "outlettype": ["", "", "float"],
     "patching_rect": [100, 102, 100, 18],
     "varname": "form",
     "presentation": 1,
     "presentation_rect": [60, 78, 96, 15],
     "parameter_enable": 1,
     "saved_attribute_attributes": {
      "valueof": {
       "parameter_longname": "Form",
       "parameter_shortname": "Form",
       "parameter_type": 2,
       "parameter_initial_enable": 1,
       "parameter_enum": ["auto", "none", "AABA", "ABAC", "AABB", "AAAB", "ABAB"],
       "parameter_mmax": 6,
       "parameter_initial": [0]
      }
     }
    }
   },
   {
    "box": {
     "id": "form-name",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "outlettype": [""],
     "patching_rect": [220, 102, 100, 22],
     "text": "prepend form"
    }
   },
   {
    "box": {
     "id": "seed-label",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [30, 126, 60, 20],
     "text": "Seed",
     "presentation": 1,
     "presentation_rect": [6, 102, 52, 18]
    }
   },
   {
    "box": {
     "id": "seed",
     "maxclass": "live.numbox",
     "numinlets": 1,
     "numoutlets": 2,
     "outlettype": ["", "float"],
     "patching_rect": [100, 126, 50, 15],
     "varname": "seed",
     "presentation": 1,
     "presentation_rect": [60, 102, 50, 15],
     "parameter_enable": 1,
     "saved_attribute_attributes": {
      "valueof": {
       "parameter_longname": "Seed",
       "parameter_shortname": "Seed",
       "parameter_type": 1,
       "parameter_initial_enable": 1,
       "parameter_mmin": 0.0,
       "parameter_mmax": 9999.0,
       "parameter_initial": [1],
       "parameter_unitstyle": 0
      }
     }
    }
   },
   {
    "box": {
     "id": "seed-name",
     "maxclass": "newobj",
     "numinlets": 1,
     "numoutlets": 1,
     "outlettype": [""],
     "patching_rect": [220, 126, 100, 22],
     "text": "prepend seed"
    }
   },
   {
    "box": {
     "id": "new",
     "maxclass": "live.text",
     "numinlets": 1,
     "numoutlets": 2,
     "outlettype": ["", "float"],
     "patching_rect": [100, 160, 100, 20],
     "text": "New melody",
     "mode": 0,
     "varname": "new",
     "presentation": 1,
     "presentation_rect": [60, 130, 96, 18],
     "parameter_enable": 0
    }
   },
   {
    "box": {
     "id": "new-name",
     "maxclass": "message",
     "numinlets": 2,
     "numoutlets": 1,
     "outlettype": [""],
     "patching_rect": [220, 160, 50, 22],
     "text": "again"
    }
   },
   {
    "box": {
     "id": "status",
     "maxclass": "comment",
     "numinlets": 1,
     "numoutlets": 0,
     "patching_rect": [220, 380, 240, 20],
     "text": "Start mc studio.",
     "linecount": 2,
     "presentation": 1,
     "presentation_rect": [6, 152, 152, 32]
    }
   }
  ],
  "lines": [
   {
    "patchline": {
     "source": ["in", 1],
     "destination": ["script", 1]
    }
   },
   {
    "patchline": {
     "source": ["in", 0],
     "destination": ["script", 0]
    }
   },
   {
    "patchline": {
     "source": ["script", 0],
     "destination": ["out", 0]
    }
   },
   {
    "patchline": {
     "source": ["script", 1],
     "destination": ["in", 0]
    }
   },
   {
    "patchline": {
     "source": ["scale", 1],
     "destination": ["scale-name", 0]
    }
   },
   {
    "patchline": {
     "source": ["scale-name", 0],
     "destination": ["script", 0]
    }
   },
   {
    "patchline": {
     "source": ["tonic", 1],
     "destination": ["tonic-name", 0]
    }
   },
   {
    "patchline": {
     "source": ["tonic-name", 0],
     "destination": ["script", 0]
    }
   },
   {
    "patchline": {
     "source": ["notes", 0],
     "destination": ["notes-name", 0]
    }
   },
   {
    "patchline": {
     "source": ["notes-name", 0],
     "destination": ["script", 0]
    }
   },
   {
    "patchline": {
     "source": ["form", 1],
     "destination": ["form-name", 0]
    }
   },
   {
    "patchline": {
     "source": ["form-name", 0],
     "destination": ["script", 0]
    }
   },
   {
    "patchline": {
     "source": ["seed", 0],
     "destination": ["seed-name", 0]
    }
   },
   {
    "patchline": {
     "source": ["seed-name", 0],
     "destination": ["script", 0]
    }
   },
   {
    "patchline": {
     "source": ["new", 0],
     "destination": ["new-name", 0]
    }
   },
   {
    "patchline": {
     "source": ["new-name", 0],
     "destination": ["script", 0]
    }
   },
   {
    "patchline": {
     "source": ["script", 2],
     "destination": ["status", 0]
    }
   }
  ]
 }
}
