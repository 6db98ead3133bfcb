"""A MIDI file as parts and segments: what every reader of melodies starts from.

A part is one track of one instrument; a segment is a stretch of 4/4, whose bars are counted from
its first tick. Bars of 2/2 are as long as bars of 4/4 and count as such (alla breve). A file
without a time signature is in 4/4, as the MIDI standard has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import symusic
from numpy.typing import NDArray

from melodyconstraints.errors import MidiError
from melodyconstraints.melody.events import Events
from melodyconstraints.melody.grid import one_voice
from melodyconstraints.melody.units import (
    DEFAULT_TEMPO,
    MAX_TEMPO,
    MIN_TEMPO,
    QUARTERS_PER_BAR,
    STEPS_PER_BAR,
    ticks_to_steps,
)

FOUR_QUARTER_BARS = frozenset({(4, 4), (2, 2)})
MAX_BARS = 10_000
"""Five hours at 120 quarters a minute; a wild tick beyond that would only eat memory."""
_PADDING = b"\0" * 4
"""symusic reads past the end of some malformed files; zeros behind them keep it in bounds."""


@dataclass(frozen=True)
class Part:
    """The notes of one instrument: ``(N,)`` starts and ends in ticks, pitches in [0, 127]."""

    name: str
    program: int
    is_drum: bool
    starts_ticks: NDArray[np.int64]
    ends_ticks: NDArray[np.int64]
    pitches: NDArray[np.int64]


@dataclass(frozen=True)
class Segment:
    """A stretch of 4/4 from ``start_tick`` to ``end_tick`` (exclusive), whole bars."""

    start_tick: int
    end_tick: int


@dataclass(frozen=True)
class Score:
    """A MIDI file, reduced to what a melody can be made of."""

    ticks_per_quarter: int
    tempo: float
    parts: tuple[Part, ...]
    segments: tuple[Segment, ...]

    def part_events(self, part: Part, segment: Segment, polyphony: str = "skyline") -> Events:
        """One part of one segment as a single voice, whole bars.

        Args:
            polyphony: ``skyline`` or ``onset``.

        Returns:
            ``(16 * bars,)`` events up to the bar in which the last note ends.
        """
        inside = (part.starts_ticks < segment.end_tick) & (part.ends_ticks > segment.start_tick)
        if not inside.any():
            return np.zeros(0, np.uint8)
        ends_ticks = np.minimum(part.ends_ticks[inside], segment.end_tick)
        starts = self._steps_within(segment, part.starts_ticks[inside])
        ends = self._steps_within(segment, ends_ticks)
        last_step = int(np.maximum(ends, starts + 1).max())
        bars = -(-last_step // STEPS_PER_BAR)
        bars = min(bars, (segment.end_tick - segment.start_tick) // self.bar_ticks)
        return one_voice(polyphony)(starts, ends, part.pitches[inside], bars * STEPS_PER_BAR)

    def _steps_within(self, segment: Segment, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        return ticks_to_steps(ticks - segment.start_tick, self.ticks_per_quarter)

    @property
    def bar_ticks(self) -> int:
        """Ticks in a bar of 4/4."""
        return QUARTERS_PER_BAR * self.ticks_per_quarter


def read_score(source: Path | bytes) -> Score:
    """Read a MIDI file.

    Args:
        source: a path, or the bytes of a file.

    Raises:
        MidiError: the file cannot be read or is not MIDI.
    """
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise MidiError(f"cannot be read: {error.strerror}") from error
    if not data:
        raise MidiError("the file is empty")
    try:
        score = symusic.Score.from_midi(data + _PADDING)
    except Exception as error:  # symusic raises what its C++ parser throws
        raise MidiError(f"not a MIDI file that can be parsed: {error}") from error
    if score.ticks_per_quarter <= 0:
        raise MidiError(
            f"{score.ticks_per_quarter} ticks a quarter: SMPTE or broken time division"
        )
    parts = tuple(part for track in score.tracks if len((part := _part(track)).pitches))
    end_tick = max((int(part.ends_ticks.max()) for part in parts), default=0)
    bars = end_tick // (QUARTERS_PER_BAR * score.ticks_per_quarter)
    if bars > MAX_BARS:
        raise MidiError(f"its last note is in bar {bars}; above {MAX_BARS} a file is broken")
    signatures = [(int(s.time), s.numerator, s.denominator) for s in score.time_signatures]
    segments = four_four_segments(signatures, end_tick, score.ticks_per_quarter)
    return Score(score.ticks_per_quarter, _tempo(score), parts, segments)


def _part(track: symusic.core.TrackTick) -> Part:
    notes = track.notes.numpy()
    starts = notes["time"].astype(np.int64)
    ends = starts + np.maximum(notes["duration"].astype(np.int64), 1)
    pitches = notes["pitch"].astype(np.int64)
    # A broken file's ticks run past 32 bits and come back negative.
    sane = (starts >= 0) & (pitches >= 0) & (pitches < 128)
    return Part(
        name=track.name,
        program=int(track.program),
        is_drum=bool(track.is_drum),
        starts_ticks=starts[sane],
        ends_ticks=ends[sane],
        pitches=pitches[sane],
    )


def _tempo(score: symusic.core.ScoreTick) -> float:
    """The first tempo in quarters a minute; 120 where there is none or it makes no sense."""
    if not len(score.tempos):
        return DEFAULT_TEMPO
    tempo = float(score.tempos[0].qpm)
    return tempo if MIN_TEMPO <= tempo <= MAX_TEMPO else DEFAULT_TEMPO


def four_four_segments(
    signatures: list[tuple[int, int, int]], end_tick: int, ticks_per_quarter: int
) -> tuple[Segment, ...]:
    """The stretches of 4/4 (or 2/2) between time-signature changes.

    A change from 4/4 to 2/2 or a signature that is merely repeated does not end a stretch when it
    falls on a bar line. A bar that a change cuts short is left out; the last bar of the music
    counts whole.

    Args:
        signatures: (tick, numerator, denominator), any order; the last of several at one tick
            holds.
        end_tick: where the music ends.

    >>> four_four_segments([(0, 4, 4), (3840, 3, 4), (5280, 2, 2)], 9000, 480)
    (Segment(start_tick=0, end_tick=3840), Segment(start_tick=5280, end_tick=9120))
    """
    bar_ticks = QUARTERS_PER_BAR * ticks_per_quarter
    in_order = sorted(signatures, key=lambda signature: signature[0])
    changes = {tick: (above, below) for tick, above, below in in_order}
    changes.setdefault(0, (4, 4))
    ticks = [*sorted(changes), end_tick]
    segments: list[Segment] = []
    for start, end in pairwise(ticks):
        if end <= start or changes[start] not in FOUR_QUARTER_BARS:
            continue
        previous = segments[-1] if segments else None
        if previous and previous.end_tick == start and _on_bar_line(start, previous, bar_ticks):
            segments[-1] = Segment(previous.start_tick, end)
        else:
            segments.append(Segment(start, end))
    return tuple(_whole_bars(segment, bar_ticks, end_tick) for segment in segments)


def _on_bar_line(tick: int, segment: Segment, bar_ticks: int) -> bool:
    return (tick - segment.start_tick) % bar_ticks == 0


def _whole_bars(segment: Segment, bar_ticks: int, end_tick: int) -> Segment:
    length = segment.end_tick - segment.start_tick
    cut = length % bar_ticks
    if cut and segment.end_tick == end_tick:
        return Segment(segment.start_tick, segment.end_tick - cut + bar_ticks)
    return Segment(segment.start_tick, segment.end_tick - cut)
