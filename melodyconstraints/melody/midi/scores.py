"""A MIDI file as parts and segments: what every reader of melodies starts from.

A part is one channel of one track, or several that are one instrument; a segment is a stretch of
4/4, whose bars are counted from its first tick. Bars of 2/2 are as long as bars of 4/4 and count
as such (alla breve). A file without a time signature is in 4/4, as the MIDI standard has it. In a
file of format 2, each track has its own timeline; in others all share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import MidiError
from melodyconstraints.melody.events import Events
from melodyconstraints.melody.jit import jit
from melodyconstraints.melody.midi.files import TooLargeError, read_file
from melodyconstraints.melody.midi.metre import (
    Metre,
    Segment,
    four_four_segments,
    on_bar_lines,
    signatures_by_tick,
)
from melodyconstraints.melody.midi.mido_reader import read_with_mido, unwrap
from melodyconstraints.melody.midi.parsed import ParsedMidi, Part, TempoMap
from melodyconstraints.melody.midi.symusic_reader import read_with_symusic
from melodyconstraints.melody.quantising import Ints, by_rule, check_polyphony
from melodyconstraints.melody.units import (
    DEFAULT_TEMPO,
    QUARTERS_PER_BAR,
    STEPS_PER_BAR,
    STEPS_PER_QUARTER,
    ticks_to_steps,
)

MAX_BARS = 10_000
"""Most bars, five hours at 120 quarters a minute; a wild tick beyond would only eat memory."""


@dataclass(frozen=True)
class Timeline:
    """Bars, stretches of 4/4 and tempos.

    Attributes:
        tempos: (tick, quarters a minute) from tick 0 on, in time; the last at a tick holds.
    """

    metre: Metre
    segments: tuple[Segment, ...]
    tempos: tuple[tuple[int, float], ...]

    def tempos_of_bars(self, ticks: Ints) -> NDArray[np.float64]:
        """``(W,)`` quarters a minute of the bars that begin at ``(W,)`` ticks.

        A change less than half a step after a bar line is meant for that line, as one of metre is.
        """
        starts, tempos = np.array(self.tempos).T
        half_step = self.metre.ticks_per_quarter / (2 * STEPS_PER_QUARTER)
        return tempos[np.searchsorted(starts, ticks + half_step, "left") - 1]


@dataclass(frozen=True)
class Score:
    """A MIDI file, reduced to what a melody can be made of.

    Attributes:
        timelines: timelines: one, or for a file of format 2 one for each track.
        recovered: error of a file that only the fallback reader could read.
    """

    ticks_per_quarter: int
    parts: tuple[Part, ...]
    timelines: tuple[Timeline, ...]
    recovered: str = ""

    def timeline(self, part: Part) -> Timeline:
        """Timeline of a part."""
        return self.timelines[part.pattern]

    def part_events(self, part: Part, segment: Segment, polyphony: str = "skyline") -> Events:
        """One part of one segment as a single voice, whole bars.

        Args:
            polyphony: ``skyline`` or ``onset``.

        Returns:
            ``(16 * bars,)`` events up to the bar in which the last note ends.
        """
        return _part_events(
            check_polyphony(polyphony) == "onset",
            part.starts_ticks,
            part.ends_ticks,
            part.pitches,
            segment.start_tick,
            segment.end_tick,
            self.ticks_per_quarter,
        )

    def off_grid(self, part: Part, segment: Segment, events: Events) -> NDArray[np.bool_]:
        """``(16 * bars,)`` where a note starts that rounding has moved by more than a 64th.

        Rounding to sixteenths moves a note by a 32nd at most. Triplets move by a third of a
        sixteenth.

        Args:
            events: ``(16 * bars,)`` events of the part in the segment.
        """
        return _off_grid(
            part.starts_ticks,
            part.pitches,
            segment.start_tick,
            self.ticks_per_quarter,
            events,
        )

    @property
    def bar_ticks(self) -> int:
        """Ticks in a bar of 4/4."""
        return QUARTERS_PER_BAR * self.ticks_per_quarter


_ticks_to_steps = jit(ticks_to_steps)


@jit
def _part_events(
    onset: bool,
    starts_ticks: Ints,
    ends_ticks: Ints,
    pitches: Ints,
    start_tick: int,
    end_tick: int,
    ticks_per_quarter: int,
) -> Events:
    inside = np.flatnonzero((starts_ticks < end_tick) & (ends_ticks > start_tick))
    starts, ends = starts_ticks[inside] - start_tick, ends_ticks[inside]
    last_step = 0
    for note in range(len(inside)):
        starts[note] = _ticks_to_steps(starts[note], ticks_per_quarter)
        end = min(ends[note], end_tick) - start_tick
        ends[note] = _ticks_to_steps(end, ticks_per_quarter)
        last_step = max(last_step, ends[note], starts[note] + 1)
    whole_bars = (end_tick - start_tick) // (QUARTERS_PER_BAR * ticks_per_quarter)
    bars = min(-(-last_step // STEPS_PER_BAR), whole_bars)
    return by_rule(onset, starts, ends, pitches[inside], bars * STEPS_PER_BAR)


@jit
def _off_grid(
    starts_ticks: Ints, pitches: Ints, start_tick: int, ticks_per_quarter: int, events: Events
) -> NDArray[np.bool_]:
    moved = np.zeros(len(events), np.bool_)
    first = np.searchsorted(starts_ticks, start_tick)
    for note in range(first, len(starts_ticks)):
        start = starts_ticks[note] - start_tick
        step = _ticks_to_steps(start, ticks_per_quarter)
        if step >= len(events):
            break
        if events[step] == pitches[note]:
            quarter_steps = 4 * abs(STEPS_PER_QUARTER * start - step * ticks_per_quarter)
            moved[step] = quarter_steps > ticks_per_quarter
    return moved


def read_score(source: Path | bytes) -> Score:
    """Read a MIDI file.

    Args:
        source: a path, or the bytes of a file.

    Raises:
        MidiError: the file cannot be read or is not MIDI.
    """
    data = source if isinstance(source, bytes) else read_file(source)
    if not data:
        raise MidiError("the file is empty")
    parsed, recovered = _read(unwrap(data))
    parts = _within_reach(parsed)
    timelines = tuple(
        _timeline(
            tempo_map,
            [part for part in parts if part.pattern == pattern],
            parsed.ticks_per_quarter,
        )
        for pattern, tempo_map in enumerate(parsed.tempo_maps)
    )
    return Score(parsed.ticks_per_quarter, parts, timelines, recovered)


def _read(data: bytes) -> tuple[ParsedMidi, str]:
    """Parse with symusic, or with mido where that fails or finds no notes; and what was wrong."""
    first, wrong = None, "symusic found no notes"
    try:
        first = read_with_symusic(data)
        if first.parts:
            return first, ""
    except MidiError as error:
        wrong = str(error)
    try:
        second = read_with_mido(data)
    except MidiError as error:
        if first is not None:
            return first, ""
        if isinstance(error, TooLargeError):  # which says nothing of what symusic found wrong
            raise MidiError(wrong) from error
        raise
    if second.parts:
        return second, wrong
    return first or second, ""


def _within_reach(parsed: ParsedMidi) -> tuple[Part, ...]:
    """The parts without the notes that end in an absurd place.

    Raises:
        MidiError: none is left.
    """
    last_tick = MAX_BARS * QUARTERS_PER_BAR * parsed.ticks_per_quarter
    half_step = _half_step(parsed.ticks_per_quarter)
    ends = (_end(part.starts_ticks, part.ends_ticks, half_step) for part in parsed.parts)
    if all(end <= last_tick for end in ends):
        return parsed.parts
    parts = []
    for part in parsed.parts:
        near = part.ends_ticks <= last_tick
        if near.any():
            parts.append(
                part._replace(
                    starts_ticks=part.starts_ticks[near],
                    ends_ticks=part.ends_ticks[near],
                    pitches=part.pitches[near],
                )
            )
    if not parts:
        raise MidiError(f"all its notes end beyond bar {MAX_BARS}")
    return tuple(parts)


def _half_step(ticks_per_quarter: int) -> int:
    """Ticks in half a step: what starts within them before a bar line belongs to the next bar."""
    return ticks_per_quarter // (2 * STEPS_PER_QUARTER) + 1


@jit
def _end(starts_ticks: Ints, ends_ticks: Ints, half_step: int) -> int:
    return int(max(ends_ticks.max(), starts_ticks.max() + half_step))


def _timeline(tempo_map: TempoMap, parts: list[Part], ticks_per_quarter: int) -> Timeline:
    half_step = _half_step(ticks_per_quarter)
    ends = (_end(part.starts_ticks, part.ends_ticks, half_step) for part in parts)
    changes = on_bar_lines(signatures_by_tick(tempo_map.signatures), ticks_per_quarter)
    return Timeline(
        Metre(changes, ticks_per_quarter),
        four_four_segments(changes, max(ends, default=0), ticks_per_quarter),
        ((0, DEFAULT_TEMPO), *tempo_map.tempos),
    )
