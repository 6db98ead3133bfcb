"""Choice of the part of a file that is the melody, by its name or by its notes.

By name: the words of :data:`MELODY_NAMES`. By notes: a melody is no bass, plays one note at a
time, and of several such parts is the highest. These are among the criteria of Uitdenbogerd and
Zobel, *Manipulation of music for melody matching* (1998), and of Tang et al., *Selection of melody
lines for music databases* (2000).
"""

from __future__ import annotations

import re

import numpy as np

from melodyconstraints.melody.midi.parsed import Part
from melodyconstraints.melody.units import steps_to_ticks

MELODY_NAMES = (
    {
        *("melody", "melodie", "mélodie", "melodia", "melodía"),
        *("мелодия", "メロディ", "メロディー", "主旋律"),
    },
    {"vocal", "vocals", "vox", "voice", "voix", "voce", "voz", "stimme", "lead", "solo"},
)
"""Words in the name of a part that is the melody; the surest first."""
OTHER_NAMES = {"backing", "background", "bg", "harmony", "bass", "pad", "pads", "rhythm", "choir"}
"""Words that say otherwise: ``Backing Vocals``, ``Bass Lead``."""
LOWEST_MEDIAN = 55
"""A part whose median pitch is below this, a violin's lowest, is taken for a bass."""
MOST_CROWDED = 0.1
"""Share of the notes that may start with or within another in a part without chords."""


def name_rank(part: Part) -> int:
    """0 for the surest name of a melody, 1 for the next, 2 for any other."""
    words = set(re.findall(r"[^\W\d_]+", part.name.lower()))
    if words & OTHER_NAMES:
        return len(MELODY_NAMES)
    fits = [bool(words & names) for names in MELODY_NAMES]
    return [*fits, True].index(True)


def unlikeness(part: Part, ticks_per_quarter: int) -> tuple[bool, bool, float]:
    """Rank of a part: is it a bass, has it chords, how low is it; the least is the melody."""
    median = float(np.median(part.pitches))
    return median < LOWEST_MEDIAN, has_chords(part, ticks_per_quarter), -median


def has_chords(part: Part, ticks_per_quarter: int) -> bool:
    """Whether a part plays several notes at a time; a legato's overlap of a sixteenth is none."""
    step_ticks = steps_to_ticks(1, ticks_per_quarter)
    starts = part.starts_ticks
    within = np.maximum.accumulate(part.ends_ticks)[:-1] > starts[1:] + step_ticks
    together = 2 * np.diff(starts) < step_ticks
    return float((within | together).sum()) > MOST_CROWDED * len(starts)
