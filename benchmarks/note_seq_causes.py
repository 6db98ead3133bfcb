"""Why our melody of a part differs from note-seq's: causes found by experiment.

For ``against_note_seq.py``. A cause is an edit of our notes that does to them what note-seq does,
where the file shows a reason for it. The causes of a melody are the smallest set of edits after
which our own ``part_events`` gives note-seq's events exactly; what no set explains is
``unexplained``.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from itertools import combinations

import mido
import numpy as np
from note_seq_reader import Note, Onset, Section, Theirs, notes_of, onsets_of, timed
from numpy.lib.stride_tricks import sliding_window_view

from melodyconstraints.melody.events import HOLD, REST, Events
from melodyconstraints.melody.midi.graces import without_graces
from melodyconstraints.melody.midi.metre import Segment
from melodyconstraints.melody.midi.parsed import Part
from melodyconstraints.melody.midi.scores import Score
from melodyconstraints.melody.units import STEPS, STEPS_PER_BAR, STEPS_PER_QUARTER, ticks_to_steps


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


def oddities(data: bytes) -> dict[Cause, set[Onset]]:
    """The notes of a file on which readers may differ, by the reason seen in its messages.

    A note-off ends the note of its pitch that began first in our reader, all of them in
    pretty_midi. The program of a note is that at its start in ours, at its end in pretty_midi.
    """
    found: dict[Cause, set[Onset]] = {cause: set() for cause in READING_CAUSES}
    for track in mido.MidiFile(file=io.BytesIO(data)).tracks:
        sounding: dict[tuple[int, int], list[int]] = defaultdict(list)
        for tick, message in timed(track):
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
    starts, ends, pitches = np.array(sorted(notes_of(part)), np.int64).T.copy()
    left = without_graces(starts, ends, pitches, ticks_per_quarter)
    kept = set(zip(left[0].tolist(), left[2].tolist(), strict=True))
    return set(onsets_of(part)) - kept


def reading_changes(
    ours: Part, theirs: Theirs, instrument: int, data: bytes, ticks_per_quarter: int
) -> dict[Cause, Change]:
    """What two readers make of one track, note by note, under the reason the file shows."""
    instruments = dict(theirs.instruments)
    their_part = instruments.pop(instrument)
    here, there = Counter(notes_of(ours)), Counter(notes_of(their_part))
    changes: dict[Cause, Change] = defaultdict(Change)
    odd: dict[Cause, set[Onset]] = {}
    if here != there:
        odd = oddities(data)
        odd[Cause.GRACE] = graces(their_part, ticks_per_quarter)
        others = set().union(*map(onsets_of, instruments.values()))
        odd[Cause.INSTRUMENTS] = others - set(onsets_of(their_part))
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
        notes = Counter(notes_of(self.part))
        for change in changes:
            notes = notes - change.removed + change.added
        return list(notes.elements()) if changes else notes_of(self.part)


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
