"""Chord symbols: a root, and a quality that names the tones above it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from melodyconstraints.melody.keys import ACCIDENTALS, NATURALS


class Quality(NamedTuple):
    """A kind of chord.

    Args:
        tones: semitones above the root.
        kind: name in MusicXML.
        added: a degree that MusicXML's kind lacks and its alteration in semitones.
    """

    tones: tuple[int, ...]
    kind: str
    added: tuple[int, int] | None = None


QUALITIES = {
    "": Quality((0, 4, 7), "major"),
    "m": Quality((0, 3, 7), "minor"),
    "dim": Quality((0, 3, 6), "diminished"),
    "aug": Quality((0, 4, 8), "augmented"),
    "5": Quality((0, 7), "power"),
    "sus2": Quality((0, 2, 7), "suspended-second"),
    "sus4": Quality((0, 5, 7), "suspended-fourth"),
    "6": Quality((0, 4, 7, 9), "major-sixth"),
    "m6": Quality((0, 3, 7, 9), "minor-sixth"),
    "7": Quality((0, 4, 7, 10), "dominant"),
    "maj7": Quality((0, 4, 7, 11), "major-seventh"),
    "m7": Quality((0, 3, 7, 10), "minor-seventh"),
    "mmaj7": Quality((0, 3, 7, 11), "major-minor"),
    "dim7": Quality((0, 3, 6, 9), "diminished-seventh"),
    "m7b5": Quality((0, 3, 6, 10), "half-diminished"),
    "aug7": Quality((0, 4, 8, 10), "augmented-seventh"),
    "7sus4": Quality((0, 5, 7, 10), "suspended-fourth", (7, -1)),
    "add9": Quality((0, 2, 4, 7), "major", (9, 0)),
    "madd9": Quality((0, 2, 3, 7), "minor", (9, 0)),
    "9": Quality((0, 2, 4, 7, 10), "dominant-ninth"),
    "maj9": Quality((0, 2, 4, 7, 11), "major-ninth"),
    "m9": Quality((0, 2, 3, 7, 10), "minor-ninth"),
}
"""Qualities of chords, by what is written behind the root."""
_SAME = {"maj": "", "M": "", "min": "m", "-": "m", "o": "dim", "+": "aug", "sus": "sus4"}
_SAME |= {"M7": "maj7", "min7": "m7", "-7": "m7", "o7": "dim7", "M9": "maj9", "min9": "m9"}


@dataclass(frozen=True)
class Chord:
    """A root, a letter that is raised by 1, -1 or 0 semitones, and a key of QUALITIES."""

    step: str
    alter: int
    quality: str

    @property
    def symbol(self) -> str:
        """Symbol as musicians write it: ``F#m7``."""
        return f"{self.step}{['', '#', 'b'][self.alter]}{self.quality}"

    @property
    def pitch_classes(self) -> frozenset[int]:
        """Pitch classes of the tones; 0 is C."""
        root = NATURALS[self.step] + self.alter
        return frozenset((root + tone) % 12 for tone in QUALITIES[self.quality].tones)


def parse_chord(text: str) -> Chord | None:
    """Parse a chord symbol; None for another text.

    >>> parse_chord("F#min7").symbol, sorted(parse_chord("Bb").pitch_classes), parse_chord("H")
    ('F#m7', [2, 5, 10], None)
    """
    match = re.fullmatch(r"([A-Ga-g])([#b]?)(.*)", text)
    quality = _SAME.get(match[3], match[3]) if match else ""
    if match is None or quality not in QUALITIES:
        return None
    return Chord(match[1].upper(), ACCIDENTALS[match[2]], quality)
