"""16-bar windows of a single voice, and the filters that decide which of them are melodies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from melodyconstraints.melody.events import HOLD, PITCHES, REST, Events, Melodies
from melodyconstraints.melody.grid import one_voice
from melodyconstraints.melody.units import STEPS, STEPS_PER_BAR


class Drop(StrEnum):
    """Why a window is not taken; the first cause that applies is counted."""

    SILENT_START = "first bar silent"
    FEW_NOTES = "too few notes"
    FEW_PITCHES = "too few pitches"
    LONG_SILENCE = "silence too long"
    PITCH_RANGE = "outside the pitch range"
    WIDE_SPAN = "span too wide"
    DUPLICATE = "seen before"


@dataclass(frozen=True)
class WindowSettings:
    """What counts as a melody.

    Args:
        polyphony: ``skyline`` or ``onset``; see :mod:`melodyconstraints.melody.grid`.
        min_notes: fewest notes in the 16 bars.
        min_pitches: fewest different pitches.
        max_silence_steps: longest run of rests, in sixteenths.
        lowest, highest: pitch range, inclusive.
        max_span: semitones from the lowest to the highest note. Beyond two octaves most windows
            are accompaniment: broken chords and leaps between hands.
    """

    polyphony: str = "skyline"
    min_notes: int = 16
    min_pitches: int = 5
    max_silence_steps: int = 2 * STEPS_PER_BAR - 1
    lowest: int = 21
    highest: int = 108
    max_span: int = 24

    def __post_init__(self) -> None:
        one_voice(self.polyphony)


def windows(events: Events) -> Events:
    """All windows of 16 bars, one bar apart.

    A window that begins inside a held note begins with that note.

    Args:
        events: ``(16 * bars,)`` events of one voice.

    Returns:
        ``(bars - 15, 256)`` events; empty for fewer than 16 bars.
    """
    if len(events) < STEPS:
        return np.zeros((0, STEPS), np.uint8)
    cut = sliding_window_view(events, STEPS)[::STEPS_PER_BAR].copy()
    change = np.maximum.accumulate(np.where(events != HOLD, np.arange(len(events)), 0))
    sounding = events[change][: len(events) - STEPS + 1 : STEPS_PER_BAR]
    cut[:, 0] = np.where(cut[:, 0] == HOLD, sounding, cut[:, 0])
    return cut


def drop_causes(cut: Melodies, settings: WindowSettings) -> NDArray[np.object_]:
    """``(B,)`` the first :class:`Drop` that applies to each window, or None."""
    present = np.zeros((len(cut), PITCHES), bool)
    rows, steps = np.nonzero(cut.onsets)
    present[rows, cut.events[rows, steps]] = True
    lowest = present.argmax(1)
    highest = PITCHES - 1 - present[:, ::-1].argmax(1)
    tests = {
        Drop.SILENT_START: (cut.bars[:, 0] == REST).all(1),
        Drop.FEW_NOTES: cut.note_counts < settings.min_notes,
        Drop.FEW_PITCHES: present.sum(1) < settings.min_pitches,
        Drop.LONG_SILENCE: _longest_silence(cut.events) > settings.max_silence_steps,
        Drop.PITCH_RANGE: (lowest < settings.lowest) | (highest > settings.highest),
        Drop.WIDE_SPAN: highest - lowest > settings.max_span,
    }
    causes = np.full(len(cut), None, object)
    for cause, applies in reversed(tests.items()):
        causes[applies] = cause
    return causes


def _longest_silence(events: Events) -> NDArray[np.int64]:
    """``(B,)`` longest run of rests in steps."""
    steps = np.arange(events.shape[1])
    last_sound = np.maximum.accumulate(np.where(events != REST, steps, -1), axis=1)
    return (steps - last_sound).max(axis=1)
