"""16-bar windows of a single voice, and the filters that decide which of them are melodies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import HOLD, PITCHES, REST, Events
from melodyconstraints.melody.jit import jit
from melodyconstraints.melody.quantising import check_polyphony
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR

Ints: TypeAlias = NDArray[Any]


class Drop(StrEnum):
    """Cause for which a window is not taken; the first one that applies is counted."""

    SILENT_START = "first bar silent"
    FEW_NOTES = "too few notes"
    FEW_PITCHES = "too few pitches"
    LONG_SILENCE = "silence too long"
    PITCH_RANGE = "outside the pitch range"
    WIDE_SPAN = "span too wide"
    OFF_GRID = "off the grid"
    FILE_LIMIT = "over the file's limit"
    DUPLICATE = "seen before"


DROPS = tuple(Drop)
KEPT = -1
"""The cause of a window that passes."""
_CODES = {drop: code for code, drop in enumerate(DROPS)}
_SILENT_START = _CODES[Drop.SILENT_START]
_FEW_NOTES = _CODES[Drop.FEW_NOTES]
_FEW_PITCHES = _CODES[Drop.FEW_PITCHES]
_LONG_SILENCE = _CODES[Drop.LONG_SILENCE]
_PITCH_RANGE = _CODES[Drop.PITCH_RANGE]
_WIDE_SPAN = _CODES[Drop.WIDE_SPAN]
_OFF_GRID = _CODES[Drop.OFF_GRID]


@dataclass(frozen=True)
class WindowSettings:
    """Criteria by which a window of 16 bars counts as a melody.

    Args:
        polyphony: ``skyline`` or ``onset``; see :mod:`melodyconstraints.melody.quantising`.
        min_notes: fewest notes in the 16 bars.
        min_pitches: fewest different pitches.
        max_silence_steps: longest run of rests, in sixteenths.
        lowest, highest: pitch range, inclusive.
        max_span: semitones from the lowest to the highest note. Beyond two octaves most windows
            are accompaniment: broken chords and leaps between hands.
        max_off_grid: largest share of onsets that rounding to sixteenths moves by more than a
            64th, as it moves triplets; 1 leaves none out.
        max_windows: most windows of one file; of more, as many are taken at even distances.

    Raises:
        UsageError: a value outside its range.
    """

    polyphony: str = "skyline"
    min_notes: int = 16
    min_pitches: int = 5
    max_silence_steps: int = 2 * STEPS_PER_BAR - 1
    lowest: int = 21
    highest: int = 108
    max_span: int = 24
    max_off_grid: float = 1.0
    max_windows: int = 4096

    def __post_init__(self) -> None:
        check_polyphony(self.polyphony)
        _check("min_notes", self.min_notes, 1, STEPS)
        _check("min_pitches", self.min_pitches, 1, PITCHES)
        _check("max_silence_steps", self.max_silence_steps, 0, STEPS)
        _check("lowest", self.lowest, 0, PITCHES - 1)
        _check("highest", self.highest, self.lowest, PITCHES - 1)
        _check("max_span", self.max_span, 0, PITCHES - 1)
        _check("max_off_grid", self.max_off_grid, 0, 1)
        _check("max_windows", self.max_windows, 1, None)


def _check(name: str, value: float, least: int, most: int | None) -> None:
    if not value >= least or (most is not None and value > most):
        wanted = f"from {least} to {most}" if most is not None else f"at least {least}"
        raise UsageError(f"{name} must be {wanted}, got {value}")


def drop_causes(
    events: Events, settings: WindowSettings, off_grid: NDArray[np.bool_] | None = None
) -> tuple[Ints, Ints]:
    """Filter all windows of 16 bars, one bar apart.

    Args:
        events: ``(16 * bars,)`` events of one voice.
        off_grid: ``(16 * bars,)`` where a note starts that rounding has moved by more than a 64th,
            as of ``Score.off_grid``; None where no window is dropped for that.

    Returns:
        causes ``(bars - 15,)``, the place in :data:`DROPS` of the first one that applies or
        :data:`KEPT`, and note counts ``(bars - 15,)``; both empty for fewer than 16 bars.
    """
    causes, notes = _drop_causes(
        events,
        settings.min_notes,
        settings.min_pitches,
        settings.max_silence_steps,
        settings.lowest,
        settings.highest,
        settings.max_span,
    )
    if off_grid is not None and len(causes):
        of_bars = off_grid.reshape(-1, STEPS_PER_BAR).sum(axis=1)
        moved = np.convolve(of_bars, np.ones(BARS, int), "valid")
        causes[(causes == KEPT) & (moved > settings.max_off_grid * notes)] = _OFF_GRID
    return causes, notes


@jit
def windows(events: Events, start_bars: Ints) -> Events:
    """The windows of 16 bars from the given bars on.

    A window that begins inside a held note begins with that note.

    Args:
        events: ``(16 * bars,)`` events of one voice.
        start_bars: ``(W,)`` in [0, bars - 16].

    Returns:
        ``(W, 256)`` events.
    """
    entering = first_events(events)
    cut = np.empty((len(start_bars), STEPS), np.uint8)
    for row, bar in enumerate(start_bars):
        first = bar * STEPS_PER_BAR
        cut[row] = events[first : first + STEPS]
        cut[row, 0] = entering[bar]
    return cut


@jit
def first_events(events: Events) -> Events:
    """``(bars,)`` first event of each bar, or for a hold the note that is held."""
    entering = np.empty(len(events) // STEPS_PER_BAR, np.uint8)
    sounding = REST
    for step, event in enumerate(events):
        sounding = sounding if event == HOLD else event
        if step % STEPS_PER_BAR == 0:
            entering[step // STEPS_PER_BAR] = sounding
    return entering


@jit
def _drop_causes(
    events: Events,
    min_notes: int,
    min_pitches: int,
    max_silence: int,
    lowest: int,
    highest: int,
    max_span: int,
) -> tuple[Ints, Ints]:
    entering = first_events(events)
    bars = _bars(events)
    count = max(len(entering) - BARS + 1, 0)
    causes, notes = np.full(count, KEPT, np.int8), np.zeros(count, np.int16)
    of_pitch = np.zeros(PITCHES, np.int64)  # notes in the window; it slides from bar to bar
    inside = kinds = 0
    for bar in range(len(entering)):
        new_notes, new_kinds = _slide(events, bar, of_pitch, 1)
        inside, kinds = inside + new_notes, kinds + new_kinds
        window = bar - BARS + 1
        if window < 0:
            continue
        low, high, longest_silence = _extremes(window, bars)
        pitches = kinds
        held = events[window * STEPS_PER_BAR] == HOLD and entering[window] != REST
        if held:
            low, high = min(low, entering[window]), max(high, entering[window])
            pitches += of_pitch[entering[window]] == 0
        notes[window] = inside + held
        if bars[2][window] == STEPS_PER_BAR:
            causes[window] = _SILENT_START
        elif notes[window] < min_notes:
            causes[window] = _FEW_NOTES
        elif pitches < min_pitches:
            causes[window] = _FEW_PITCHES
        elif longest_silence > max_silence:
            causes[window] = _LONG_SILENCE
        elif low < lowest or high > highest:
            causes[window] = _PITCH_RANGE
        elif high - low > max_span:
            causes[window] = _WIDE_SPAN
        gone_notes, gone_kinds = _slide(events, window, of_pitch, -1)
        inside, kinds = inside - gone_notes, kinds - gone_kinds
    return causes, notes


@jit
def _extremes(window: int, bars: tuple[Ints, Ints, Ints, Ints, Ints]) -> tuple[int, int, int]:
    """Lowest and highest note that starts in a window, and its longest silence.

    Args:
        bars: result of :func:`_bars`.
    """
    lows, highs, rests_before, rests_within, rests_after = bars
    low, high = PITCHES, -1
    silence = longest_silence = 0
    for bar in range(window, window + BARS):
        low, high = min(low, lows[bar]), max(high, highs[bar])
        longest_silence = max(longest_silence, silence + rests_before[bar], rests_within[bar])
        silence = rests_after[bar] + (silence if rests_after[bar] == STEPS_PER_BAR else 0)
    return low, high, longest_silence


@jit
def _slide(events: Events, bar: int, of_pitch: Ints, change: int) -> tuple[int, int]:
    """Add a bar's notes to the tally of pitches, or take them out.

    Returns:
        Number of notes, and number of pitches of which there are none without them.
    """
    notes = kinds = 0
    for event in events[bar * STEPS_PER_BAR : (bar + 1) * STEPS_PER_BAR]:
        if event < PITCHES:
            notes += 1
            before = of_pitch[event]
            of_pitch[event] = before + change
            kinds += before == 0 or before + change == 0
    return notes, kinds


@jit
def _bars(events: Events) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Lowest and highest note; rests before the first sound, longest run, rests after the last.

    Each is ``(bars,)``. All 16 rests of a silent bar are before as well as after.
    """
    bars = len(events) // STEPS_PER_BAR
    lows, highs = np.full(bars, PITCHES), np.full(bars, -1)
    before, within, after = (
        np.full(bars, STEPS_PER_BAR),
        np.zeros(bars, np.int64),
        np.zeros(bars, np.int64),
    )
    for bar in range(bars):
        silence = 0
        for step in range(STEPS_PER_BAR):
            event = events[bar * STEPS_PER_BAR + step]
            if event == REST:
                silence += 1
                within[bar] = max(within[bar], silence)
                continue
            before[bar] = min(before[bar], step)
            silence = 0
            if event < PITCHES:
                lows[bar], highs[bar] = min(lows[bar], event), max(highs[bar], event)
        after[bar] = silence
    return lows, highs, before, within, after
