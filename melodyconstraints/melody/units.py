"""The grid of a melody and the conversions between its units, in one place.

A melody is 16 bars of 4/4; a step is a sixteenth note; a quarter is one beat.

>>> STEPS, steps_to_ticks(4), ticks_to_steps(480, ticks_per_quarter=480)
(256, 480, 4)
"""

from __future__ import annotations

from typing import overload

import numpy as np

from melodyconstraints.errors import UsageError

STEPS_PER_QUARTER = 4
QUARTERS_PER_BAR = 4
STEPS_PER_BAR = STEPS_PER_QUARTER * QUARTERS_PER_BAR
BARS = 16
STEPS = BARS * STEPS_PER_BAR

TICKS_PER_QUARTER = 480
"""Resolution of the MIDI files that we write."""

DEFAULT_TEMPO = 120.0
"""Quarter notes a minute where no tempo is given."""
MIN_TEMPO, MAX_TEMPO = 10.0, 1000.0

VELOCITY = 96
"""Velocity of notes, where no other is given."""


@overload
def ticks_to_steps(ticks: int, ticks_per_quarter: int) -> int: ...
@overload
def ticks_to_steps(ticks: np.ndarray, ticks_per_quarter: int) -> np.ndarray: ...
def ticks_to_steps(ticks: int | np.ndarray, ticks_per_quarter: int) -> int | np.ndarray:
    """Round ticks to the nearest step, halves upwards (as note-seq's quantiser does)."""
    return (2 * ticks * STEPS_PER_QUARTER + ticks_per_quarter) // (2 * ticks_per_quarter)


def steps_to_ticks(steps: int, ticks_per_quarter: int = TICKS_PER_QUARTER) -> int:
    """Ticks from the start of a melody to a step."""
    return steps * ticks_per_quarter // STEPS_PER_QUARTER


def check_tempo(tempo: float) -> float:
    """Return the tempo if it is within its range.

    Raises:
        UsageError: outside [10, 1000] quarters a minute.
    """
    if not MIN_TEMPO <= tempo <= MAX_TEMPO:
        raise UsageError(f"tempo must be from {MIN_TEMPO:g} to {MAX_TEMPO:g}, got {tempo}")
    return tempo


def check_program(program: int) -> None:
    """Refuse a program that General MIDI does not know.

    Raises:
        UsageError: outside [0, 127].
    """
    if not 0 <= program <= 127:
        raise UsageError(f"program must be from 0 to 127, got {program}")


def credible_tempo(tempo: float) -> float:
    """The tempo of a file, or the default where it makes no sense.

    >>> credible_tempo(96.0), credible_tempo(60_000_000.0)
    (96.0, 120.0)
    """
    return tempo if MIN_TEMPO <= tempo <= MAX_TEMPO else DEFAULT_TEMPO


def seconds_per_step(tempo: float) -> float:
    """Seconds a step lasts at ``tempo`` quarter notes a minute in [10, 1000].

    >>> seconds_per_step(120.0)
    0.125
    """
    return 60.0 / check_tempo(tempo) / STEPS_PER_QUARTER
