"""All notes of a batch in one list, which makes questions about neighbouring notes cheap."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]

MIN_PITCHES, MIN_INTERVALS = 6, 5
"""Fewest different pitches and intervals of a varied run of notes, by which a tune is known."""
HASH_BASE = 0x9E3779B97F4A7C15
"""Base of the hashes of runs: 2**64 divided by the golden ratio, odd, so that powers stay odd."""

Kind = TypeVar("Kind", bound=np.generic)


def read_only(array: NDArray[Kind]) -> NDArray[Kind]:
    """The array, as a view that cannot be made writable again."""
    own = array if array.base is None else array.copy()
    own.setflags(write=False)
    return own[...]


@dataclass(frozen=True, eq=False)
class Notes:
    """The ``M`` notes of ``B`` melodies, melody by melody, each in order of time.

    Args:
        melodies: ``B``.
        rows: ``(M,)`` melody of each note, in [0, B).
        onsets: ``(M,)`` step at which it starts.
        pitches: ``(M,)`` MIDI pitch.
        durations: ``(M,)`` steps that it lasts.
    """

    melodies: int
    rows: Ints
    onsets: Ints
    pitches: Ints
    durations: Ints

    def __post_init__(self) -> None:
        for name in ("rows", "onsets", "pitches", "durations"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @cached_property
    def intervals(self) -> Ints:
        """``(M - 1,)`` semitones to the note after; counts only where ``has_next(1)``."""
        return read_only(np.diff(self.pitches))

    @cached_property
    def gaps(self) -> Ints:
        """``(M - 1,)`` steps from onset to onset; counts only where ``has_next(1)``."""
        return read_only(np.diff(self.onsets))

    def has_next(self, count: int) -> Mask:
        """``(M - count,)`` true where ``count`` more notes of the same melody follow."""
        return self.rows[count:] == self.rows[:-count]

    def total(self, values: NDArray[np.generic], rows: Ints | None = None) -> Numbers:
        """``(B,)`` sums of values over each melody; ``rows`` where not every note has one."""
        where = self.rows if rows is None else rows
        sums = np.bincount(where, weights=values, minlength=self.melodies)
        return sums.astype(np.float64, copy=False)

    def share(self, hits: Mask, among: Mask | None = None) -> Numbers:
        """``(B,)`` share of each melody's notes, or of those ``among``; 0 where there is none."""
        everyone = np.ones(len(self.rows)) if among is None else among
        wanted = hits if among is None else hits & among
        return self.total(wanted) / np.maximum(self.total(everyone), 1)
