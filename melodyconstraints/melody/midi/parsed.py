"""What a reader finds in a MIDI file, whichever reader it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Part(NamedTuple):
    """The notes of one instrument, in the order of their starts; a note lasts a tick at least.

    Attributes:
        starts_ticks, ends_ticks: ``(N,)`` int64.
        pitches: ``(N,)`` int64 in [0, 127].
    """

    name: str
    program: int
    is_drum: bool
    starts_ticks: NDArray[np.int64]
    ends_ticks: NDArray[np.int64]
    pitches: NDArray[np.int64]


@dataclass(frozen=True)
class ParsedMidi:
    """A file, before its notes are taken for music in bars.

    Attributes:
        tempo: the first one in quarters a minute; 120 where there is none or it makes no sense.
        signatures: (tick, numerator, denominator).
        parts: those with notes.
    """

    ticks_per_quarter: int
    tempo: float
    signatures: tuple[tuple[int, int, int], ...]
    parts: tuple[Part, ...]
