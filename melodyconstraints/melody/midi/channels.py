"""One instrument that a file spreads over several channels of a track, as one voice.

A guitar-to-MIDI converter sends each string on a channel of its own, MIDI Polyphonic Expression
each note, and a tablature program the notes that it bends on a second channel: a tune goes from
channel to channel. Channels are one instrument if they are all the melodic channels of their
track, have the same programs and hardly play at the same time. Parts that a track holds side by
side, as in files of format 0, differ in their programs or play together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.units import STEPS_PER_QUARTER

Ints = NDArray[np.int64]
Notes = tuple[Ints, Ints, Ints]
"""``(N,)`` start ticks, end ticks and pitches, in the order of the starts."""

MOST_TOGETHER = 0.05
"""Share of the notes that may start with or within a note of another channel."""
_NEVER = -(2**40)
"""A tick before all others."""


class Setting(NamedTuple):
    """A program change: when, to which program, and in which bank (controller 0) it is."""

    tick: int
    program: int
    bank: int


class Voice(NamedTuple):
    """Notes of a channel of a track, or of several that are one instrument.

    Attributes:
        settings: its program changes, in time.
        notes: its notes, at least one.
    """

    track: int
    is_drum: bool
    settings: list[Setting]
    notes: Notes


def as_instruments(voices: list[Voice], ticks_per_quarter: int) -> list[Voice]:
    """The voices of one track: its channels, or together those that are one instrument."""
    if len(voices) < 2:
        return voices
    melodic = [voice for voice in voices if not voice.is_drum]
    programs = [
        list(dict.fromkeys((setting.program, setting.bank) for setting in voice.settings))
        for voice in melodic
    ]
    if len(melodic) < 2 or any(others != programs[0] for others in programs):
        return voices
    notes = _one_line([voice.notes for voice in melodic], ticks_per_quarter)
    if notes is None:
        return voices
    settings = sorted(setting for voice in melodic for setting in voice.settings)
    whole = melodic[0]._replace(settings=settings, notes=notes)
    others = [voice for voice in voices if voice.is_drum]
    return [whole, *others]


def _one_line(channels: Sequence[Notes], ticks_per_quarter: int) -> Notes | None:
    """The notes of all channels in time; None if more than a few play together.

    Notes that start less than half a step apart play together, and those that go on for more than
    a step after another has started: a legato's overlap is shorter.
    """
    starts, ends, pitches = (np.concatenate(column) for column in zip(*channels, strict=True))
    channel = np.repeat(np.arange(len(channels)), [len(notes[0]) for notes in channels])
    order = np.argsort(starts, kind="stable")
    starts, ends, pitches, channel = starts[order], ends[order], pitches[order], channel[order]
    step_ticks = ticks_per_quarter / STEPS_PER_QUARTER
    together = 0
    for own in range(len(channels)):
        last_start, last_end = (
            np.maximum.accumulate(np.where(channel == own, _NEVER, ticks))
            for ticks in (starts, ends)
        )
        with_another = 2 * (starts - last_start) < step_ticks
        within_another = last_end > starts + step_ticks
        together += int(((channel == own) & (with_another | within_another)).sum())
    return (starts, ends, pitches) if together <= MOST_TOGETHER * len(starts) else None
