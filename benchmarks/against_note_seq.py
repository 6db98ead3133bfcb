"""The ``onset`` rule against note-seq's ``Melody.from_quantized_sequence``, melody by melody.

::

    python benchmarks/against_note_seq.py MIDI_DIR [--own-tempos] [--limit N] [--json FILE]

A melody here is what one part (drums aside) holds in one stretch of 4/4 or 2/2, whole length. Ours
is ``Score.part_events(part, segment, "onset")``; theirs is note-seq's pipeline on the bytes of the
same file: read, split on time changes, quantise to sixteenths, ``from_quantized_sequence`` with
``ignore_polyphonic_notes=True`` and no limit to silence. What is made alike before they compare:

* Tempo. At every change of tempo note-seq begins a new stretch: it counts bars anew from there and
  cuts the notes that sound. In ours tempo has no part. So note-seq is given a file whose tempo
  changes with every tempo set to the first one, and both see the same stretches; a file of one
  tempo is read as it is. With ``--own-tempos`` all files are, and the stretches are joined.
* Joints. Where note-seq has several stretches in one of ours (we join 4/4 and 2/2 that meet on a
  bar line), its melodies are laid side by side.
* Vocabulary. Magenta's -2 (no event) and -1 (note off) become holds and rests. Its melody begins
  at the bar of the first note and is laid at its place in our stretch.
* Length. Rests after the last note do not count. A bar that a change of metre cuts short is in
  note-seq's melody alone and is not compared (counted as "in a cut bar").

Every unequal melody gets its causes by experiment. A cause is an edit of our notes that does to
them what note-seq does, where the file shows a reason for it. The causes of a melody are the
smallest set of edits after which our own ``part_events`` gives note-seq's events exactly; what no
set explains is ``unexplained``.
"""

from __future__ import annotations

import io
import json
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from itertools import accumulate, chain, combinations, pairwise
from pathlib import Path
from typing import Any

import click
import mido
import numpy as np
import pretty_midi
from note_seq import melodies_lib, midi_io, sequences_lib
from note_seq.protobuf.music_pb2 import NoteSequence
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from melodyconstraints.errors import MidiError
from melodyconstraints.melody.events import HOLD, REST, Events, canonical_events
from melodyconstraints.melody.midi.graces import without_graces
from melodyconstraints.melody.midi.metre import FOUR_QUARTER_BARS, Segment
from melodyconstraints.melody.midi.parsed import Part
from melodyconstraints.melody.midi.scores import Score, read_score
from melodyconstraints.melody.units import STEPS, STEPS_PER_BAR, STEPS_PER_QUARTER, ticks_to_steps

MIDI_SUFFIXES = frozenset({".mid", ".midi"})
TABLE_WIDTH = 200
NO_GAP_ENDS_IT = 10**6
"""Bars of silence after which note-seq is told to end a melody; no file has as many."""

Note = tuple[int, int, int]
"""Start and end in ticks, pitch."""
Onset = tuple[int, int]
"""Start in ticks, pitch."""
Clock = Callable[[Sequence[float]], NDArray[np.int64]]
"""From seconds to ticks."""


class Cause(StrEnum):
    """Why a melody differs; :meth:`Case.edited` has the edit of each."""

    NO_LENGTH = "note-off on the tick of the note-on"
    GRACE = "a grace note of a few ticks"
    INSTRUMENTS = "one part of ours, several instruments of note-seq"
    PROGRAM = "program change inside a note"
    PAIRING = "one pitch struck again while it sounds"
    HALF_STEP = "half-way between two steps"
    HELD = "sounds from before the stretch"
    JOINT = "sounds over a joint of note-seq's stretches"
    TWICE = "one pitch twice on a step"
    LAST_BAR = "rounded past the last bar line"


READING_CAUSES = (Cause.NO_LENGTH, Cause.GRACE, Cause.PROGRAM, Cause.PAIRING, Cause.INSTRUMENTS)
UNEXPLAINED = "unexplained"


class NotCompared(StrEnum):
    """Why a part, or its melody in one stretch, is not compared."""

    WE_REFUSE = "files that we cannot read"
    NOTE_SEQ_REFUSES = "files that note-seq cannot read"
    METRE = "parts of files without 4/4 or 2/2"
    NO_INSTRUMENT = "parts without a note-seq instrument"
    NO_PART = "note-seq instruments without a part"
    NO_SEGMENT = "note-seq stretches where we have none"
    OFF_GRID = "melodies: note-seq's steps lie between ours"


@dataclass(frozen=True)
class Section:
    """A stretch of 4/4 or 2/2 as note-seq splits and quantises it."""

    start_tick: int
    end_tick: int
    sequence: NoteSequence

    def melody(self, instrument: int) -> Events:
        """``(T,)`` note-seq's melody in our vocabulary, from the first step of the stretch."""
        melody = melodies_lib.Melody()
        melody.from_quantized_sequence(
            self.sequence,
            instrument=instrument,
            gap_bars=NO_GAP_ENDS_IT,
            ignore_polyphonic_notes=True,
        )
        before = [melodies_lib.MELODY_NOTE_OFF] * melody.start_step
        events = np.array([*before, *melody], np.int64)
        events[events == melodies_lib.MELODY_NO_EVENT] = HOLD
        events[events == melodies_lib.MELODY_NOTE_OFF] = REST
        return canonical_events(events)


@dataclass(frozen=True)
class Theirs:
    """A file as note-seq reads it, its seconds turned back into ticks.

    Args:
        instruments: by note-seq's number.
        rounded_down: ticks half-way between two steps that it puts on the earlier one.
        retimed: whether the tempo changed and was made constant.
    """

    instruments: dict[int, Part]
    sections: tuple[Section, ...]
    rounded_down: frozenset[int]
    retimed: bool

    def within(self, segment: Segment) -> list[Section]:
        """The stretches that overlap one of ours, in order."""
        return [
            section
            for section in self.sections
            if section.start_tick < segment.end_tick and section.end_tick > segment.start_tick
        ]


def read_theirs(data: bytes, own_tempos: bool) -> Theirs:
    """Read the bytes of a file by note-seq, with its own tempos or with the first of them.

    Raises:
        MIDIConversionError: note-seq cannot read it.
    """
    sequence = midi_io.midi_to_note_sequence(data)
    retimed = len(sequence.tempos) > 1 and not own_tempos
    if retimed:
        sequence = midi_io.midi_to_note_sequence(_at_one_tempo(data))
    to_ticks = _clock(sequence)
    sections = tuple(_sections(sequence, to_ticks))
    rounded_down = chain.from_iterable(_rounded_down(section, to_ticks) for section in sections)
    return Theirs(_instruments(sequence, to_ticks), sections, frozenset(rounded_down), retimed)


def _at_one_tempo(data: bytes) -> pretty_midi.PrettyMIDI:
    """The file with its first tempo (120 where none stands at tick 0) at every change of tempo."""
    file = mido.MidiFile(file=io.BytesIO(data))
    track = file.tracks[0]  # pretty_midi reads tempos nowhere else
    tempos = [(tick, message) for tick, message in _timed(track) if message.type == "set_tempo"]
    first = [message.tempo for tick, message in tempos if tick == 0][-1:] or [500_000]
    for _, message in tempos:
        message.tempo = first[0]
    return pretty_midi.PrettyMIDI(mido_object=file)


def _timed(track: mido.MidiTrack) -> Iterator[tuple[int, mido.Message]]:
    """The messages of a track with their ticks from its start."""
    return zip(accumulate(message.time for message in track), track, strict=True)


def _clock(sequence: NoteSequence) -> Clock:
    changes = [tempo.time for tempo in sequence.tempos]
    seconds = np.array([*changes, max(changes[-1], sequence.total_time) + 1])
    qpm = np.array([tempo.qpm for tempo in sequence.tempos])
    ticks_per_second = qpm * sequence.ticks_per_quarter / 60
    ticks = np.concatenate([[0], np.cumsum(np.diff(seconds) * ticks_per_second)])
    return lambda times: np.rint(np.interp(times, seconds, ticks)).astype(np.int64)


def _sections(sequence: NoteSequence, to_ticks: Clock) -> Iterator[Section]:
    split = sequences_lib.split_note_sequence_on_time_changes(sequence)
    starts = [section.subsequence_info.start_time_offset for section in split]
    ticks = to_ticks([*starts, sequence.total_time]).tolist()
    for section, (start_tick, end_tick) in zip(split, pairwise(ticks), strict=True):
        metres = {(sign.numerator, sign.denominator) for sign in section.time_signatures}
        if metres <= FOUR_QUARTER_BARS:
            quantised = sequences_lib.quantize_note_sequence(section, STEPS_PER_QUARTER)
            yield Section(start_tick, end_tick, quantised)


def _rounded_down(section: Section, to_ticks: Clock) -> Iterator[int]:
    sequence = section.sequence
    offset_seconds = sequence.subsequence_info.start_time_offset
    steps_per_second = sequences_lib.steps_per_quarter_to_steps_per_second(
        STEPS_PER_QUARTER, sequence.tempos[0].qpm
    )
    times = {seconds for note in sequence.notes for seconds in (note.start_time, note.end_time)}
    ticks = to_ticks([offset_seconds + seconds for seconds in times]).tolist()
    for seconds, tick in zip(times, ticks, strict=True):
        step = sequences_lib.quantize_to_step(seconds, steps_per_second)
        twice_the_steps = 2 * STEPS_PER_QUARTER * (tick - section.start_tick)
        if twice_the_steps == (2 * step + 1) * sequence.ticks_per_quarter:
            yield tick


def _instruments(sequence: NoteSequence, to_ticks: Clock) -> dict[int, Part]:
    by_number: dict[int, list[NoteSequence.Note]] = defaultdict(list)
    for note in sequence.notes:
        by_number[note.instrument].append(note)
    return {
        number: Part(
            name="",
            program=notes[0].program,
            is_drum=notes[0].is_drum,
            starts_ticks=to_ticks([note.start_time for note in notes]),
            ends_ticks=to_ticks([note.end_time for note in notes]),
            pitches=np.array([note.pitch for note in notes]),
        )
        for number, notes in by_number.items()
    }


def counterparts(ours: Iterable[Part], theirs: dict[int, Part]) -> dict[int, int]:
    """The index of each of our parts with the number of note-seq's instrument for it.

    note-seq has other numbers and another order; a pair has one program and shares most onsets.
    """
    onsets = {number: _onsets(part) for number, part in theirs.items()}
    shared = sorted(
        ((_onsets(part) & onsets[number]).total(), -index, -number)
        for index, part in enumerate(ours)
        for number, other in theirs.items()
        if (part.program, part.is_drum) == (other.program, other.is_drum)
    )
    pairs: dict[int, int] = {}
    for common, negative_index, negative_number in reversed(shared):
        index, number = -negative_index, -negative_number
        if common and index not in pairs and number not in pairs.values():
            pairs[index] = number
    return pairs


def _onsets(part: Part) -> Counter[Onset]:
    return Counter((start, pitch) for start, _, pitch in _notes(part))


def _notes(part: Part) -> list[Note]:
    arrays = (part.starts_ticks, part.ends_ticks, part.pitches)
    return list(zip(*(array.tolist() for array in arrays), strict=True))


def oddities(data: bytes) -> dict[Cause, set[Onset]]:
    """The notes of a file on which readers may differ, by the reason seen in its messages.

    A note-off ends the note of its pitch that began first in our reader, all of them in
    pretty_midi. The program of a note is that at its start in ours, at its end in pretty_midi.
    """
    found: dict[Cause, set[Onset]] = {cause: set() for cause in READING_CAUSES}
    for track in mido.MidiFile(file=io.BytesIO(data)).tracks:
        sounding: dict[tuple[int, int], list[int]] = defaultdict(list)
        for tick, message in _timed(track):
            if message.type == "program_change":
                found[Cause.PROGRAM] |= {
                    (start, pitch)
                    for (channel, pitch), starts in sounding.items()
                    for start in starts
                    if channel == message.channel
                }
            elif message.type in ("note_on", "note_off"):
                starts = sounding[message.channel, message.note]
                if message.type == "note_on" and message.velocity:
                    starts.append(tick)
                    if len(starts) > 1:
                        found[Cause.PAIRING] |= {(start, message.note) for start in starts}
                elif starts and starts.pop(0) == tick:
                    found[Cause.NO_LENGTH].add((tick, message.note))
    return found


@dataclass(frozen=True)
class Change:
    """Notes to take from our part and to add to it, to have them as note-seq reads them."""

    removed: Counter[Note] = field(default_factory=Counter)
    added: Counter[Note] = field(default_factory=Counter)


def graces(part: Part, ticks_per_quarter: int) -> set[Onset]:
    """The notes of note-seq's part that we leave out as grace notes."""
    starts, ends, pitches = np.array(sorted(_notes(part)), np.int64).T.copy()
    left = without_graces(starts, ends, pitches, ticks_per_quarter)
    kept = set(zip(left[0].tolist(), left[2].tolist(), strict=True))
    return set(_onsets(part)) - kept


def reading_changes(
    ours: Part, theirs: Theirs, instrument: int, data: bytes, ticks_per_quarter: int
) -> dict[Cause, Change]:
    """What two readers make of one track, note by note, under the reason the file shows."""
    instruments = dict(theirs.instruments)
    their_part = instruments.pop(instrument)
    here, there = Counter(_notes(ours)), Counter(_notes(their_part))
    changes: dict[Cause, Change] = defaultdict(Change)
    odd: dict[Cause, set[Onset]] = {}
    if here != there:
        odd = oddities(data)
        odd[Cause.GRACE] = graces(their_part, ticks_per_quarter)
        others = set().union(*map(_onsets, instruments.values()))
        odd[Cause.INSTRUMENTS] = others - set(_onsets(their_part))
    for note in here.keys() | there.keys():
        start, _, pitch = note
        causes = [cause for cause, onsets in odd.items() if (start, pitch) in onsets]
        if causes and here[note] > there[note]:
            changes[causes[0]].removed[note] = here[note] - there[note]
        elif causes and there[note] > here[note]:
            changes[causes[0]].added[note] = there[note] - here[note]
    return changes


@dataclass(frozen=True)
class Case:
    """One part in one of our stretches, and note-seq's instrument for it."""

    data: bytes
    score: Score
    part: Part
    segment: Segment
    theirs: Theirs
    instrument: int

    @cached_property
    def ours(self) -> Events:
        """Our melody."""
        return self.score.part_events(self.part, self.segment, "onset")

    @cached_property
    def note_seqs(self) -> Events:
        """note-seq's melody from the start of our stretch to its last note, without a cut bar."""
        return self._laid_out[: self.steps] if self.metre_changes else self._laid_out

    @property
    def in_cut_bar(self) -> bool:
        """Whether note-seq's melody goes on in a bar that a change of metre cuts short."""
        return len(self._laid_out) > len(self.note_seqs)

    @cached_property
    def _laid_out(self) -> Events:
        laid = np.full(0, REST, np.uint8)
        for section in self.sections:
            start = self._step(section.start_tick)
            before = _stretched(laid[: max(start, 0)], start)
            events = _held_on(section.melody(self.instrument), max(-start, 0))
            laid = np.concatenate([before, events])
        return laid[: np.flatnonzero(laid != REST).max(initial=-1) + 1]

    @cached_property
    def sections(self) -> list[Section]:
        """note-seq's stretches in ours."""
        return self.theirs.within(self.segment)

    @property
    def steps(self) -> int:
        """Steps in the whole bars of our stretch."""
        return self._step(self.segment.end_tick)

    @property
    def metre_changes(self) -> bool:
        """Whether the stretch ends before the music does."""
        return self.segment.end_tick < max(int(p.ends_ticks.max()) for p in self.score.parts)

    @property
    def on_our_grid(self) -> bool:
        """Whether note-seq's steps are steps of ours."""
        quarter = self.score.ticks_per_quarter
        apart = [section.start_tick - self.segment.start_tick for section in self.sections]
        return all(ticks * STEPS_PER_QUARTER % quarter == 0 for ticks in apart)

    def _step(self, tick: int) -> int:
        return ticks_to_steps(tick - self.segment.start_tick, self.score.ticks_per_quarter)

    def causes(self) -> str:
        """The smallest set of causes that turns our melody into note-seq's."""
        possible = [c for c in Cause if c not in READING_CAUSES or c in self._reading_changes]
        for number in range(1, len(possible) + 1):
            for causes in combinations(possible, number):
                if same(self.edited(causes), self.note_seqs):
                    return " + ".join(causes)
        return UNEXPLAINED

    @cached_property
    def _reading_changes(self) -> dict[Cause, Change]:
        ticks_per_quarter = self.score.ticks_per_quarter
        return reading_changes(
            self.part, self.theirs, self.instrument, self.data, ticks_per_quarter
        )

    def edited(self, causes: Collection[Cause]) -> Events:
        """Our melody, by our rule, from notes that were dealt with as note-seq does.

        Ticks are doubled, so that one half-way between two steps can be moved below the half.
        """
        notes = self._as_read(causes)
        down = self.theirs.rounded_down if Cause.HALF_STEP in causes else ()
        notes = [(2 * s - (s in down), 2 * e - (e in down), pitch) for s, e, pitch in notes]
        doubled = replace(self.score, ticks_per_quarter=2 * self.score.ticks_per_quarter)
        start_tick, end_tick = 2 * self.segment.start_tick, 2 * self.segment.end_tick
        for section in self.sections:
            cause = Cause.HELD if 2 * section.start_tick == start_tick else Cause.JOINT
            if cause in causes:
                notes = _cut_at(notes, 2 * section.start_tick, doubled.ticks_per_quarter)
        if Cause.TWICE in causes:
            notes = _first_of_a_step(notes, start_tick, doubled.ticks_per_quarter)
        if Cause.LAST_BAR in causes and not self.metre_changes:
            end_tick += doubled.bar_ticks
        columns = np.array(notes, np.int64).reshape(-1, 3).T
        starts, ends, pitches = map(np.ascontiguousarray, columns)
        part = self.part._replace(starts_ticks=starts, ends_ticks=ends, pitches=pitches)
        return doubled.part_events(part, Segment(start_tick, end_tick), "onset")

    def _as_read(self, causes: Collection[Cause]) -> list[Note]:
        changes = [c for cause, c in self._reading_changes.items() if cause in causes]
        notes = Counter(_notes(self.part))
        for change in changes:
            notes = notes - change.removed + change.added
        return list(notes.elements()) if changes else _notes(self.part)


def _cut_at(notes: list[Note], tick: int, ticks_per_quarter: int) -> list[Note]:
    """The notes with those that begin before a tick ended there, or gone if rounded onto it."""
    cut = [(start, min(end, tick) if start < tick else end, pitch) for start, end, pitch in notes]
    return [
        (start, end, pitch)
        for start, end, pitch in cut
        if start >= tick or ticks_to_steps(start - tick, ticks_per_quarter) < 0
    ]


def _first_of_a_step(notes: list[Note], first_tick: int, ticks_per_quarter: int) -> list[Note]:
    """Of the notes of one pitch on one step the one that begins, then ends, first."""
    kept: dict[Onset, Note] = {}
    for note in sorted(notes):
        step = ticks_to_steps(note[0] - first_tick, ticks_per_quarter)
        kept.setdefault((step, note[2]), note)
    return list(kept.values())


def _stretched(events: Events, steps: int) -> Events:
    """The events, with rests behind them up to a number of steps."""
    return np.concatenate([events, np.full(max(steps - len(events), 0), REST, np.uint8)])


def _held_on(events: Events, first_step: int) -> Events:
    """The events from a step on; a note that sounds there begins there."""
    rest = events[first_step:].copy()
    if first_step and len(rest):
        rest[0] = _sounding(events)[first_step]
    return rest


def _sounding(events: Events) -> Events:
    """The pitch or rest at every step, holds resolved."""
    change = np.maximum.accumulate(np.where(events != HOLD, np.arange(len(events)), 0))
    return events[change]


def windows(events: Events) -> Events:
    """``(W, 256)`` all of 16 bars, one bar apart; a note that sounds at the start begins there."""
    if len(events) < STEPS:
        return np.zeros((0, STEPS), np.uint8)
    cut = sliding_window_view(events, STEPS)[::STEPS_PER_BAR].copy()
    cut[:, 0] = _sounding(events)[: len(events) - STEPS + 1 : STEPS_PER_BAR]
    return cut


def same(one: Events, other: Events) -> bool:
    """Whether two melodies are equal but for rests at the end."""
    steps = max(len(one), len(other))
    return np.array_equal(_stretched(one, steps), _stretched(other, steps))


def first_difference(one: Events, other: Events) -> int:
    """The first step at which two melodies differ."""
    steps = max(len(one), len(other))
    return int((_stretched(one, steps) != _stretched(other, steps)).argmax())


def equal_windows(one: Events, other: Events) -> tuple[int, int]:
    """How many of the 16-bar windows of two melodies are equal, and how many there are."""
    bars = -(-max(len(one), len(other)) // STEPS_PER_BAR)
    ours, theirs = (windows(_stretched(events, bars * STEPS_PER_BAR)) for events in (one, other))
    return int((ours == theirs).all(axis=1).sum()), len(ours)


@dataclass
class Tally:
    """What was found in one collection."""

    counts: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    not_compared: Counter[str] = field(default_factory=Counter)
    unequal: list[dict[str, Any]] = field(default_factory=list)

    def add_file(self, path: Path, name: str, own_tempos: bool) -> None:
        """Compare all parts of a file."""
        data = path.read_bytes()
        self.counts["files"] += 1
        try:
            score = read_score(data)
            theirs = read_theirs(data, own_tempos)
        except MidiError:
            self.not_compared[NotCompared.WE_REFUSE] += 1
        except midi_io.MIDIConversionError:
            self.not_compared[NotCompared.NOTE_SEQ_REFUSES] += 1
        else:
            pairs = counterparts(score.parts, theirs.instruments)
            self._count_the_alone(score, theirs, pairs)
            for index, instrument in sorted(pairs.items()):
                segments = score.timeline(score.parts[index]).segments
                if score.parts[index].is_drum or not segments:
                    continue
                self.counts["parts"] += 1
                self.counts["parts re-timed"] += theirs.retimed
                for segment in segments:
                    case = Case(data, score, score.parts[index], segment, theirs, instrument)
                    self._add_melody(case, {"file": name, "part": index})

    def _count_the_alone(self, score: Score, theirs: Theirs, pairs: dict[int, int]) -> None:
        """Count what only one of the two has."""
        ours = {index for index, part in enumerate(score.parts) if not part.is_drum}
        segments = [segment for timeline in score.timelines for segment in timeline.segments]
        if not segments:
            self.not_compared[NotCompared.METRE] += len(ours)
        else:
            self.not_compared[NotCompared.NO_INSTRUMENT] += len(ours - pairs.keys())
        melodic = {number for number, part in theirs.instruments.items() if not part.is_drum}
        self.not_compared[NotCompared.NO_PART] += len(melodic - set(pairs.values()))
        shared = {s.start_tick for segment in segments for s in theirs.within(segment)}
        alone = {section.start_tick for section in theirs.sections} - shared
        self.not_compared[NotCompared.NO_SEGMENT] += len(alone)

    def _add_melody(self, case: Case, place: dict[str, Any]) -> None:
        if not case.on_our_grid:
            self.not_compared[NotCompared.OFF_GRID] += 1
            return
        ours, theirs = case.ours, case.note_seqs
        self.counts["in a cut bar"] += case.in_cut_bar
        if not len(ours) and not len(theirs):
            return
        equal, total = equal_windows(ours, theirs)
        found = {"melodies": 1, "windows": total, "windows unequal": total - equal}
        if same(ours, theirs):
            self.counts.update(found, equal=1)
            return
        causes = case.causes()
        self.counts.update(found, unequal=1, unexplained=causes == UNEXPLAINED)
        self.causes[causes] += 1
        where = {"tick": case.segment.start_tick, "step": first_difference(ours, theirs)}
        self.unequal.append(place | where | {"causes": causes, "windows": total - equal})

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.counts + other.counts,
            self.causes + other.causes,
            self.not_compared + other.not_compared,
            self.unequal + other.unequal,
        )


COLUMNS = (
    "files",
    "parts",
    "parts re-timed",
    "melodies",
    "equal",
    "unequal",
    UNEXPLAINED,
    "windows",
    "windows unequal",
    "in a cut bar",
)


def show(tallies: dict[str, Tally], console: Console) -> None:
    """Print the tables: by collection, by cause and by reason for not comparing."""
    total = sum(tallies.values(), Tally())
    rows = tallies | {"all": total}
    table = Table("collection", title="Melodies")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for name, tally in rows.items():
        table.add_row(name, *(f"{tally.counts[column]:,}" for column in COLUMNS))
    console.print(table)
    causes = {name: tally.causes for name, tally in rows.items()}
    console.print(_crossed("Unequal melodies by cause", causes))
    reasons = {name: tally.not_compared for name, tally in rows.items()}
    console.print(_crossed("Not compared", reasons))
    for cause, _ in total.causes.most_common():
        first = next(entry for entry in total.unequal if entry["causes"] == cause)
        where = "{file}, part {part}, stretch from tick {tick}, step {step}".format(**first)
        console.print(f"{cause}: {where}", soft_wrap=True)


def _crossed(title: str, counters: dict[str, Counter[str]]) -> Table:
    """A table with a row for each key and a column for each collection."""
    table = Table("", title=title)
    for name in counters:
        table.add_column(name, justify="right")
    for key, _ in counters["all"].most_common():
        table.add_row(key, *(str(counter[key] or "") for counter in counters.values()))
    return table


def midi_files(folder: Path, limit: int | None) -> dict[str, list[Path]]:
    """The MIDI files of each sub-folder, in path order; with a limit, spread evenly over them."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in MIDI_SUFFIXES:
            files[path.relative_to(folder).parts[0] if path.parent != folder else "."].append(path)
    if limit is None:
        return files
    return {name: paths[:: -(-len(paths) // limit)] for name, paths in files.items()}


@click.command()
@click.argument("midi_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--own-tempos", is_flag=True, help="Leave changes of tempo as they are.")
@click.option("--limit", type=click.IntRange(1), help="Most files of each sub-folder.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="For all results.")
def main(midi_dir: Path, own_tempos: bool, limit: int | None, json_file: Path | None) -> None:
    """Compare the melodies of every MIDI file below MIDI_DIR with note-seq's."""
    warnings.filterwarnings("ignore", module="pretty_midi")
    began = time.perf_counter()
    tallies: dict[str, Tally] = defaultdict(Tally)
    for collection, paths in midi_files(midi_dir, limit).items():
        for path in paths:
            name = path.relative_to(midi_dir).as_posix()
            tallies[collection].add_file(path, name, own_tempos)
        click.echo(f"{collection}: {time.perf_counter() - began:.0f} s", err=True)
    show(tallies, Console(width=TABLE_WIDTH))
    if json_file is not None:
        found = {name: vars(tally) for name, tally in tallies.items()}
        json_file.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
