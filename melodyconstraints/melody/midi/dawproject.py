"""Melodies as a DAWproject 1.0, which Bitwig Studio, Cubase and Studio One open.

The format is a zip of ``project.xml`` and ``metadata.xml``; https://github.com/bitwig/dawproject
has its schema. Every melody has a track with a clip of 16 bars. There is no place for key
signatures and General MIDI programs in it; chords are markers.
"""

from __future__ import annotations

import io
from xml.etree.ElementTree import Element, SubElement, indent, tostring
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from melodyconstraints.melody.arrangement import Arrangement, Track
from melodyconstraints.melody.midi.names import readable_name
from melodyconstraints.melody.performance import Performance
from melodyconstraints.melody.units import (
    BARS,
    MAX_TEMPO,
    MIN_TEMPO,
    QUARTERS_PER_BAR,
    TICKS_PER_QUARTER,
)
from melodyconstraints.storage.text import printable

_QUARTERS = BARS * QUARTERS_PER_BAR
_MASTER = "master"
_WRITER = {"name": "melodyconstraints", "version": "1"}
"""The version is raised where what is written changes."""


def to_dawproject(arrangement: Arrangement) -> bytes:
    """The bytes of a ``.dawproject`` file; the same for the same arrangement."""
    contents = io.BytesIO()
    with ZipFile(contents, "w") as archive:
        for name, root in (("project.xml", _project(arrangement)), ("metadata.xml", _metadata())):
            indent(root)
            text = tostring(root, encoding="UTF-8", xml_declaration=True)
            archive.writestr(ZipInfo(name), text, ZIP_DEFLATED)
    return contents.getvalue()


def _metadata() -> Element:
    root = Element("MetaData")
    SubElement(root, "Comment").text = "Written by melodyconstraints"
    return root


def _project(arrangement: Arrangement) -> Element:
    root = Element("Project", version="1.0")
    SubElement(root, "Application", _WRITER)
    transport = SubElement(root, "Transport")
    bounds = {"min": f"{MIN_TEMPO:g}", "max": f"{MAX_TEMPO:g}", "unit": "bpm"}
    SubElement(transport, "Tempo", bounds, value=f"{arrangement.tempo:.6f}", id="tempo")
    four = {"numerator": str(QUARTERS_PER_BAR), "denominator": "4"}
    SubElement(transport, "TimeSignature", four, id="metre")
    structure = SubElement(root, "Structure")
    lanes = SubElement(SubElement(root, "Arrangement", id="arrangement"), "Lanes")
    lanes.attrib |= {"timeUnit": "beats", "id": "lanes"}
    for number, track in enumerate(arrangement.tracks, 1):
        _add_track(structure, f"track{number}", _name(track), "notes", destination=_MASTER)
        _add_clip(lanes, f"track{number}", track, arrangement.performance)
    _add_track(structure, "track0", "Master", "audio notes", role="master", id=_MASTER)
    markers = [
        Element("Marker", time=f"{bar * QUARTERS_PER_BAR:.1f}", name=chord.symbol)
        for bar, chord in arrangement.chord_changes()
    ]
    if markers:
        SubElement(root[-1], "Markers", timeUnit="beats", id="chords").extend(markers)
    return root


def _name(track: Track) -> str:
    return printable(readable_name(track.name))


def _add_track(structure: Element, own: str, name: str, content: str, **channel: str) -> None:
    track = SubElement(structure, "Track", id=own, name=name, contentType=content, loaded="true")
    SubElement(track, "Channel", {"role": "regular", "id": f"{own}-channel"} | channel)


def _add_clip(lanes: Element, own: str, track: Track, performance: Performance) -> None:
    clips = SubElement(SubElement(lanes, "Lanes", track=own, id=f"{own}-lanes"), "Clips")
    whole = {"time": "0.0", "duration": f"{_QUARTERS:.1f}", "playStart": "0.0"}
    clip = SubElement(clips, "Clip", whole, name=_name(track))
    notes = SubElement(clip, "Notes", id=f"{own}-notes")
    for note in track.played(performance):
        SubElement(
            notes,
            "Note",
            time=f"{note.start / TICKS_PER_QUARTER:.6f}",
            duration=f"{(note.end - note.start) / TICKS_PER_QUARTER:.6f}",
            channel="0",
            key=str(note.pitch),
            vel=f"{note.velocity / 127:.6f}",
        )
