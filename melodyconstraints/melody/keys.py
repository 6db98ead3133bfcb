"""Key signatures, and the names of notes in them.

A signature is counted in sharps, flats below 0; names follow the line of fifths, F C G D A E B.

References:
    C. L. Krumhansl, "Cognitive foundations of musical pitch" (1990): keys by profiles of pitch
    classes. The profiles here are those of two kinds of melodies (most in major, most in minor)
    found by expectation maximisation in the bundled model's training melodies.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import PITCHES, Events

MAJOR = (0, 2, 4, 5, 7, 9, 11)
"""Semitones of the major scale above its tonic."""
NATURALS = dict(zip("CDEFGAB", MAJOR, strict=True))
"""Pitch classes of the letters."""
ACCIDENTALS = {"": 0, "#": 1, "b": -1}
"""Semitones by the sign behind a letter."""
_FIFTHS = "FCGDAEB"
_FLATTEST = -3
"""Place on the line of fifths, from C, of the flattest note in C: E flat; the sharpest is G#."""
_MOST_ACCIDENTALS = 7
_PROFILES = np.array(
    [
        [0.197, 0.004, 0.156, 0.003, 0.181, 0.077, 0.008, 0.160, 0.005, 0.124, 0.004, 0.080],
        [0.124, 0.031, 0.094, 0.023, 0.105, 0.063, 0.038, 0.077, 0.058, 0.230, 0.042, 0.114],
    ]
)


class Spelling(NamedTuple):
    """A pitch as it is written: letter, semitones above it, octave (4 begins with middle C)."""

    step: str
    alter: int
    octave: int


def find_keys(events: Events) -> NDArray[np.int64]:
    """``(B,)`` major tonic whose scale the notes of ``(B, T)`` events fit best; silence is in C.

    >>> find_keys(np.array([[62, 64, 66, 67, 69, 71, 73, 74]], np.uint8))
    array([2])
    """
    rows, steps = np.nonzero(events < PITCHES)
    flat = np.bincount(rows * 12 + events[rows, steps] % 12, minlength=12 * len(events))
    counts = flat.reshape(len(events), 12)
    profiles = np.log(_PROFILES / _PROFILES.sum(1, keepdims=True))
    rolled = np.stack([np.roll(profiles, tonic, 1) for tonic in range(12)], 1)
    likelihood = np.logaddexp(*(counts @ rolled.transpose(0, 2, 1)))
    keys: NDArray[np.int64] = likelihood.argmax(1)
    return keys


def sharps_of(key: str) -> int:
    """Sharps of a key signature as MIDI names it, in [-7, 7].

    Raises:
        UsageError: no key, or one of more than seven accidentals.

    >>> sharps_of("C"), sharps_of("F#"), sharps_of("Bbm")
    (0, 6, -5)
    """
    match = re.fullmatch(r"([A-G])([#b]?)(m?)", key)
    if match:
        raised = {"": 0, "#": 7, "b": -7}[match[2]]
        sharps = _FIFTHS.index(match[1]) - 1 + raised - 3 * len(match[3])
        if abs(sharps) <= _MOST_ACCIDENTALS:
            return sharps
    raise UsageError(f"{key!r} is no key signature; write C, F#, Bb or Am, for example")


def sharps_for(events: Events) -> int:
    """Sharps, in [-5, 6], of the signature that the notes of ``(T,)`` events fit best."""
    return (7 * int(find_keys(events[None])[0]) + 5) % 12 - 5


def spell(pitch: int, sharps: int) -> Spelling:
    """Spelling of a MIDI pitch in a key signature, with few accidentals.

    >>> spell(60, 0), spell(70, 0), spell(60, 7)
    (Spelling(step='C', alter=0, octave=4), Spelling(step='B', alter=-1, octave=4),
     Spelling(step='B', alter=1, octave=3))
    """
    flattest = sharps + _FLATTEST
    place = (7 * pitch - flattest) % 12 + flattest
    alter, letter = divmod(place + 1, len(_FIFTHS))
    return Spelling(_FIFTHS[letter], alter, (pitch - alter) // 12 - 1)


def altered_letters(sharps: int) -> dict[str, int]:
    """Letters that a key signature raises by 1 or -1.

    >>> altered_letters(2), altered_letters(-1)
    ({'F': 1, 'C': 1}, {'B': -1})
    """
    letters = _FIFTHS[:sharps] if sharps > 0 else _FIFTHS[len(_FIFTHS) + sharps :]
    return dict.fromkeys(letters, 1 if sharps > 0 else -1)
