"""Scales by name: semitones above the tonic, and the key signature that each one is written in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from melodyconstraints.errors import UsageError

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)

SCALES: dict[str, tuple[int, ...]] = {
    "major": MAJOR,
    "minor": MINOR,
    "ionian": MAJOR,
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "aeolian": MINOR,
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "harmonic-minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic-minor": (0, 2, 3, 5, 7, 9, 11),
    "major-pentatonic": (0, 2, 4, 7, 9),
    "minor-pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole-tone": (0, 2, 4, 6, 8, 10),
    "chromatic": tuple(range(12)),
}

_WRITTEN_AS_MAJOR = {
    "major": 0,
    "ionian": 0,
    "major-pentatonic": 0,
    "dorian": -2,
    "phrygian": -4,
    "lydian": -5,
    "mixolydian": -7,
    "locrian": -11,
}
"""Semitones from the tonic to the major key of the same signature (D dorian is written in C)."""
_WRITTEN_AS_MINOR = frozenset(
    {"minor", "aeolian", "harmonic-minor", "melodic-minor", "minor-pentatonic", "blues"}
)
_MAJOR_KEYS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_KEYS = ("Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm")

_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "b": -1}
_BY_PLAIN_NAME = {name.replace("-", ""): name for name in SCALES}


@dataclass(frozen=True)
class Scale:
    """A scale on a tonic.

    Args:
        tonic: pitch class, 0 is C.
        name: a key of :data:`SCALES`.
    """

    tonic: int
    name: str

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The pitch classes of the scale."""
        return frozenset((self.tonic + step) % 12 for step in SCALES[self.name])

    @property
    def key(self) -> str | None:
        """Key signature as MIDI names it, or None for a scale that has none of its own."""
        if self.name in _WRITTEN_AS_MAJOR:
            return _MAJOR_KEYS[(self.tonic + _WRITTEN_AS_MAJOR[self.name]) % 12]
        return _MINOR_KEYS[self.tonic] if self.name in _WRITTEN_AS_MINOR else None


def parse_scale(text: str) -> Scale | None:
    """A tonic and a scale's name, with or without dashes, in any case; None if it is neither.

    >>> parse_scale("cmajor"), parse_scale("Bb-minor-pentatonic")
    (Scale(tonic=0, name='major'), Scale(tonic=10, name='minor-pentatonic'))
    >>> parse_scale("bblues"), parse_scale("hmajor")
    (Scale(tonic=11, name='blues'), None)
    """
    plain = re.sub(r"[-_ ]", "", text).lower()
    for accidental in ("#", "b", ""):
        match = re.fullmatch(rf"([a-g]){accidental}(.+)", plain)
        if match and match[2] in _BY_PLAIN_NAME:
            tonic = (_NATURALS[match[1].upper()] + _ACCIDENTALS[accidental]) % 12
            return Scale(tonic, _BY_PLAIN_NAME[match[2]])
    return None


def parse_pitch_classes(text: str) -> frozenset[int]:
    """Pitch classes as numbers 0-11 or note names, with commas between.

    Raises:
        UsageError: something else, or nothing.

    >>> sorted(parse_pitch_classes("0,2,E,F#"))
    [0, 2, 4, 6]
    """
    return frozenset(_pitch_class(part.strip(), text) for part in text.split(","))


def _pitch_class(part: str, whole: str) -> int:
    if part.isdecimal() and int(part) < 12:
        return int(part)
    match = re.fullmatch(r"([A-Ga-g])([#b]?)", part)
    if not match:
        raise UsageError(
            "pitch classes are numbers 0-11 or note names such as C, F#, Bb, with commas between; "
            f"got {part!r} in {whole!r}"
        )
    return (_NATURALS[match[1].upper()] + _ACCIDENTALS[match[2]]) % 12
