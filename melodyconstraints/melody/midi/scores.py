"""A MIDI file as parts and segments: what every reader of melodies starts from.

A part is one track of one instrument; a segment is a stretch of 4/4, whose bars are counted from
its first tick. Bars of 2/2 are as long as bars of 4/4 and count as such (alla breve). A file
without a time signature is in 4/4, as the MIDI standard has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import symusic

from melodyconstraints.errors import MidiError
from melodyconstraints.melody.events import Events
from melodyconstraints.melody.jit import jit_when_busy
from melodyconstraints.melody.midi.escapes import without_escapes
from melodyconstraints.melody.midi.metre import (
    FOUR_QUARTER_BARS,
    Metre,
    Signature,
    signatures_by_tick,
)
from melodyconstraints.melody.midi.mido_reader import read_with_mido, unwrap
from melodyconstraints.melody.midi.parsed import ParsedMidi, Part
from melodyconstraints.melody.quantising import Ints, by_rule, check_polyphony
from melodyconstraints.melody.units import (
    DEFAULT_TEMPO,
    QUARTERS_PER_BAR,
    STEPS_PER_BAR,
    STEPS_PER_QUARTER,
    credible_tempo,
    ticks_to_steps,
)

MAX_BARS = 10_000
"""Five hours at 120 quarters a minute; a wild tick beyond that would only eat memory."""
_SORTED_IN_ORDER = 16
"""symusic leaves so many time signatures in order; of more, two at one tick may be swapped."""
_PADDING = b"\0" * 4
"""symusic reads past the end of some malformed files; zeros behind them keep it in bounds."""


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
    metre: Metre
    recovered: str = ""

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

    @property
    def bar_ticks(self) -> int:
        """Ticks in a bar of 4/4."""
        return QUARTERS_PER_BAR * self.ticks_per_quarter


_ticks_to_steps = jit_when_busy(ticks_to_steps)


@jit_when_busy
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
    parsed, recovered = _read(unwrap(data))
    ticks_per_quarter = parsed.ticks_per_quarter
    last_tick = MAX_BARS * QUARTERS_PER_BAR * ticks_per_quarter
    # An onset in the last half step belongs to the next bar line, and that bar to the music.
    half_step = ticks_per_quarter // (2 * STEPS_PER_QUARTER) + 1
    parts = parsed.parts
    ends = [_end(part.starts_ticks, part.ends_ticks, half_step) for part in parts]
    if any(end > last_tick for end in ends):
        parts = _within_reach(parts, last_tick)
        ends = [_end(part.starts_ticks, part.ends_ticks, half_step) for part in parts]
    changes = signatures_by_tick(parsed.signatures)
    segments = four_four_segments(changes, max(ends, default=0), ticks_per_quarter)
    metre = Metre(changes, ticks_per_quarter)
    return Score(ticks_per_quarter, parsed.tempo, parts, segments, metre, recovered)


def _read(data: bytes) -> tuple[ParsedMidi, str]:
    """By symusic, or where that fails or finds no notes by mido, with what was wrong."""
    first, wrong = None, "symusic found no notes"
    try:
        first = _read_with_symusic(data)
        if first.parts:
            return first, ""
    except MidiError as error:
        wrong = str(error)
    try:
        second = read_with_mido(data)
    except MidiError as error:
        if first is None:
            raise MidiError(wrong) from error
        return first, ""
    if second.parts:
        return second, wrong
    return first or second, ""


def _read_with_symusic(data: bytes) -> ParsedMidi:
    try:
        score = symusic.Score.from_midi(without_escapes(data) + _PADDING)
    except Exception as error:  # symusic raises what its C++ parser throws
        raise MidiError(f"not a MIDI file that can be parsed: {error}") from error
    if score.ticks_per_quarter <= 0:
        raise MidiError(f"{score.ticks_per_quarter} ticks a quarter: broken time division")
    parts = tuple(_part(track) for track in score.tracks if len(track.notes))
    signatures = tuple((int(s.time), s.numerator, s.denominator) for s in score.time_signatures)
    if len(signatures) > _SORTED_IN_ORDER and len({s[0] for s in signatures}) < len(signatures):
        raise MidiError(f"{len(signatures)} time signatures, of which symusic may swap two")
    tempo = float(score.tempos[0].qpm) if len(score.tempos) else DEFAULT_TEMPO
    return ParsedMidi(score.ticks_per_quarter, credible_tempo(tempo), signatures, parts)


def _part(track: symusic.core.TrackTick) -> Part:
    notes = track.notes.numpy()
    starts_ticks, ends_ticks, pitches, sane = _notes(
        notes["time"], notes["duration"], notes["pitch"]
    )
    if not sane:
        raise MidiError("its ticks run past 32 bits, or a pitch past 127")
    return Part(
        _name(track), int(track.program), bool(track.is_drum), starts_ticks, ends_ticks, pitches
    )


def _name(track: symusic.core.TrackTick) -> str:
    try:
        return str(track.name)
    except UnicodeDecodeError:  # symusic takes it for UTF-8, the standard says nothing
        return ""


@jit_when_busy
def _notes(times: Ints, durations: Ints, pitches: Ints) -> tuple[Ints, Ints, Ints, bool]:
    """Starts, ends and pitches of one type, and whether all of them can be."""
    starts_ticks = times.astype(np.int64)
    ends_ticks = starts_ticks + np.maximum(durations.astype(np.int64), 1)
    sane = times.min() >= 0 and pitches.min() >= 0
    return starts_ticks, ends_ticks, pitches.astype(np.int64), sane


@jit_when_busy
def _end(starts_ticks: Ints, ends_ticks: Ints, half_step: int) -> int:
    return max(ends_ticks.max(), starts_ticks.max() + half_step)


def _within_reach(parts: tuple[Part, ...], last_tick: int) -> tuple[Part, ...]:
    """The parts without the notes that end in an absurd place.

    Raises:
        MidiError: that is all of them.
    """
    kept = []
    for part in parts:
        near = part.ends_ticks <= last_tick
        if near.any():
            times = part.starts_ticks[near], part.ends_ticks[near]
            kept.append(Part(part.name, part.program, part.is_drum, *times, part.pitches[near]))
    if not kept:
        raise MidiError(f"all its notes end beyond bar {MAX_BARS}")
    return tuple(kept)


def four_four_segments(
    changes: Mapping[int, Signature], end_tick: int, ticks_per_quarter: int
) -> tuple[Segment, ...]:
    """The stretches of 4/4 (or 2/2) between time-signature changes.

    A change from 4/4 to 2/2 or a signature that is merely repeated does not end a stretch when it
    falls on a bar line. A bar that a change cuts short is left out; the last bar of the music
    counts whole.

    Args:
        changes: signatures by tick, as :func:`signatures_by_tick` gives them.
        end_tick: where the music ends.

    >>> four_four_segments({0: (4, 4), 3840: (3, 4), 5280: (2, 2)}, 9000, 480)
    (Segment(start_tick=0, end_tick=3840), Segment(start_tick=5280, end_tick=9120))
    """
    bar_ticks = QUARTERS_PER_BAR * ticks_per_quarter
    ticks = [*changes, end_tick]
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
