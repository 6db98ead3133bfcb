"""Arguments of rules, behind the colon: ranges, shares, pitches, lengths; rewards of ranges.

A range is ``LOW..HIGH`` with either side left out, and a bare ``LOW`` means ``LOW..``, at least.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.keys import ACCIDENTALS, NATURALS
from melodyconstraints.melody.units import STEPS, STEPS_PER_BAR
from melodyconstraints.storage.text import shown

TOLERANCE = 1e-9
"""Tolerance of comparisons with bounds: a sum of fractions may be rounded by an ulp."""
_WHOLE = "[0-9]{1,9}"
_NUMBER = rf"{_WHOLE}(?:\.[0-9]{{1,9}})?"
_BETWEEN_BOUNDS = re.compile(r"\s*(?:\.{2,}|[-\u2013\u2014\u2026:]|to|\s)\s*")
"""Separators that people write between two bounds: dots, dashes, an ellipsis, a colon, a word."""
_LONGEST_RANGE = 40
"""Characters of a wrong range that is read once more, for what was meant."""
_GERMAN_NOTES = {
    **{"h": "B", "es": "Eb", "as": "Ab", "his": "B#", "ces": "Cb", "des": "Db", "fes": "Fb"},
    **{"ges": "Gb", "cis": "C#", "dis": "D#", "eis": "E#", "fis": "F#", "gis": "G#", "ais": "A#"},
}
_GERMAN_NOTE = re.compile("|".join(sorted(_GERMAN_NOTES, key=len, reverse=True)), re.IGNORECASE)


@dataclass(frozen=True)
class Range:
    """Range from ``low`` to ``high``, among numbers from ``floor`` to ``ceiling``.

    >>> Range(4, 8, floor=0, ceiling=10).reward(np.array([1, 4, 8, 9]))
    array([0.25, 1.  , 1.  , 0.5 ])
    """

    low: float
    high: float
    floor: float
    ceiling: float

    def reward(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Reward of numbers: 1 within the range, linearly down to 0 at ``floor`` and ``ceiling``.

        Below it ``(x - floor) / (low - floor)``, above it ``(ceiling - x) / (ceiling - high)``,
        never under 0. For "at least" and a floor of 0 that is min(1, x / low), equation 4 of
        Engel et al. (2018).

        Args:
            values: ``(B,)``.
        """
        numbers = values.astype(np.float64)
        rising = (numbers - self.floor) / ((self.low - self.floor) or 1)
        falling = (self.ceiling - numbers) / ((self.ceiling - self.high) or 1)
        below, above = numbers < self.low - TOLERANCE, numbers > self.high + TOLERANCE
        return np.where(below, rising, np.where(above, falling, 1.0)).clip(0, 1)

    def __str__(self) -> str:
        if self.high >= self.ceiling:
            return f"at least {self.low:g}"
        if self.low <= self.floor:
            return f"at most {self.high:g}"
        return f"from {self.low:g} to {self.high:g}"


def parse_range(
    text: str, parse: Callable[[str], float], floor: float, ceiling: float, what: str
) -> Range:
    """Parse ``LOW..HIGH``, ``LOW..`` or ``LOW``, ``..HIGH``.

    Args:
        parse: function that parses one bound, or raises a UsageError.
        floor: least possible number.
        ceiling: greatest possible number.
        what: name of the numbers, for the error.

    Raises:
        UsageError: no bound, bounds in the wrong order or outside ``floor`` to ``ceiling``; where
            two bounds are written in another way, such as 10-20, it says how to write them.

    >>> parse_range("64..96", parse_number, 0, 256, "notes")
    Range(low=64.0, high=96.0, floor=0, ceiling=256)
    """
    try:
        return _parse_bounds(text, parse, floor, ceiling, what)
    except UsageError as error:
        meant = _meant_range(text, parse, floor, ceiling)
        if meant is None:
            raise
        raise UsageError(f"a range is written {meant}, got {shown(text)}") from error


def _meant_range(
    text: str, parse: Callable[[str], float], floor: float, ceiling: float
) -> str | None:
    """A range such as ``10-20`` or ``10..20%`` as it is to be written; None for another text."""
    for between in _BETWEEN_BOUNDS.finditer(text[:_LONGEST_RANGE]):
        low, high = text[: between.start()].strip(), text[between.end() :].strip()
        if high.endswith("%") and not low.endswith("%"):
            low += "%"
        if low and high:
            with suppress(UsageError):
                _parse_bounds(f"{low}..{high}", parse, floor, ceiling, "")
                return f"{low}..{high}"
    return None


def _parse_bounds(
    text: str, parse: Callable[[str], float], floor: float, ceiling: float, what: str
) -> Range:
    below, _, above = text.partition("..")
    if not below and not above:
        raise UsageError(f"{what} must be LOW..HIGH, LOW.. or ..HIGH, got {shown(text)}")
    low = parse(below) if below else floor
    high = parse(above) if above else ceiling
    if not floor <= low <= high <= ceiling:
        raise UsageError(
            f"{what} must be from {floor:g} to {ceiling:g}, the lower bound first, got "
            f"{shown(text)}"
        )
    return Range(low, high, floor, ceiling)


def parse_shares(text: str) -> Range:
    """Parse a range of shares, each ``60%`` or ``0.6``."""
    return parse_range(text, parse_share, 0, 1, "a share")


def parse_share(text: str) -> float:
    """Parse a share, ``60%`` or ``0.6``.

    >>> parse_share("60%"), parse_share("0.6")
    (0.6, 0.6)
    """
    match = re.fullmatch(rf"({_NUMBER})(%?)", text)
    if not match:
        raise UsageError(f"a share is written 60% or 0.6, got {shown(text)}")
    return float(Fraction(match[1]) / (100 if match[2] else 1))


def parse_number(text: str) -> float:
    """Parse a number, ``2``, ``2.5`` or ``-2.5``."""
    if not re.fullmatch(f"-?{_NUMBER}", text):
        raise UsageError(f"a number is written 2, 2.5 or -2.5, got {shown(text)}")
    return float(text)


def parse_whole(text: str, low: int, high: int, what: str) -> int:
    """Parse a whole number in [low, high]; ``what`` is its name, for the error."""
    if not re.fullmatch(_WHOLE, text) or not low <= int(text) <= high:
        raise UsageError(f"{what} must be a whole number from {low} to {high}, got {shown(text)}")
    return int(text)


def parse_length(text: str) -> int:
    """Parse a length to steps: a number of sixteenths, or a fraction of a whole note.

    >>> parse_length("4"), parse_length("1/4"), parse_length("3/8")
    (4, 4, 6)
    """
    match = re.fullmatch(f"({_WHOLE})(?:/({_WHOLE}))?", text)
    steps = Fraction(0)
    if match and match[2] is None:
        steps = Fraction(int(match[1]))
    elif match and int(match[2]):
        steps = Fraction(int(match[1]) * STEPS_PER_BAR, int(match[2]))
    if steps.denominator != 1 or not 1 <= steps <= STEPS:
        raise UsageError(
            f"a length is a number of sixteenths from 1 to {STEPS}, or a fraction of a whole note "
            f"such as 1/8, got {shown(text)}"
        )
    return int(steps)


def parse_pitch(text: str) -> int:
    """Parse a MIDI pitch: a number, or a note name with its octave, C4 = 60.

    >>> parse_pitch("60"), parse_pitch("Bb3"), parse_pitch("C-1")
    (60, 58, 0)
    """
    pitch = int(text) if re.fullmatch(r"[0-9]{1,3}", text) else _named_pitch(text)
    if pitch is None or not 0 <= pitch <= 127:
        raise UsageError(
            "a pitch is a MIDI number 0-127 or a note name such as C4 (60) or Bb3, got "
            f"{shown(text)}{german_hint(text, lambda name: _named_pitch(name) is not None)}"
        )
    return pitch


def _named_pitch(text: str) -> int | None:
    match = re.fullmatch(r"(.{1,2}?)(-?[0-9])", text)
    name = parse_note_name(match[1]) if match else None
    return None if match is None or name is None else name + 12 * (int(match[2]) + 1)


def parse_note_name(text: str) -> int | None:
    """Parse a note name to semitones above the C of its octave; None for another text.

    Cb is -1 and B# is 12.

    >>> parse_note_name("f#"), parse_note_name("Cb"), parse_note_name("H")
    (6, -1, None)
    """
    match = re.fullmatch(r"([A-Ga-g])([#b]?)", text)
    return NATURALS[match[1].upper()] + ACCIDENTALS[match[2]] if match else None


def in_english(text: str) -> str | None:
    """A text that begins with a note's German name, with the English one; None for another text.

    A German B, which is B flat, is left out: it is an English name as well.

    >>> in_english("H4"), in_english("fism7"), in_english("B")
    ('B4', 'F#m7', None)
    """
    match = _GERMAN_NOTE.match(text)
    return _GERMAN_NOTES[match[0].lower()] + text[match.end() :] if match else None


def german_hint(text: str, is_known: Callable[[str], bool]) -> str:
    """End of an error about a text that would be known under its English name, or nothing.

    >>> german_hint("H", lambda name: name == "B"), german_hint("half", lambda name: name == "B")
    ('; in English it is B', '')
    """
    english = in_english(text)
    return f"; in English it is {english}" if english and is_known(english) else ""


def parse_pitch_classes(text: str) -> frozenset[int]:
    """Parse pitch classes, numbers 0-11 or note names with commas between.

    Raises:
        UsageError: something else, or nothing.

    >>> sorted(parse_pitch_classes("0,2,E,F#"))
    [0, 2, 4, 6]
    """
    return frozenset(_pitch_class(part.strip(), text) for part in text.split(","))


def _pitch_class(part: str, whole: str) -> int:
    number = int(part) if re.fullmatch(r"[0-9]|1[01]", part) else parse_note_name(part)
    if number is None:
        raise UsageError(
            "pitch classes are numbers 0-11 or note names such as C, F#, Bb, with commas between; "
            f"got {shown(part)} in {shown(whole)}"
            f"{german_hint(part, lambda name: parse_note_name(name) is not None)}"
        )
    return number % 12


def with_share(text: str) -> tuple[str, Range]:
    """Split off a last ``,SHARE``; the range of shares is all of them without one.

    >>> with_share("C,Am,60%")[0], str(with_share("C,Am,60%")[1]), str(with_share("4")[1])
    ('C,Am', 'at least 0.6', 'at least 1')
    """
    before, comma, last = text.rpartition(",")
    if comma and re.match(r"[0-9.]", last):
        return before, parse_shares(last)
    return text, Range(1, 1, 0, 1)
