"""A file as note-seq reads it: its instruments, and its stretches of 4/4 and 2/2.

For ``against_note_seq.py``, whose text tells what is made alike before the two readers compare.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

import mido
import numpy as np
import pretty_midi
from note_seq import melodies_lib, midi_io, sequences_lib
from note_seq.protobuf.music_pb2 import NoteSequence
from numpy.typing import NDArray

from melodyconstraints.melody.events import HOLD, REST, Events, canonical_events
from melodyconstraints.melody.midi.metre import FOUR_QUARTER_BARS, Segment
from melodyconstraints.melody.midi.parsed import Part
from melodyconstraints.melody.units import STEPS_PER_QUARTER

NO_GAP_ENDS_IT = 10**6
"""Bars of silence after which note-seq is told to end a melody; no file has as many."""

Note = tuple[int, int, int]
"""Start and end in ticks, pitch."""
Onset = tuple[int, int]
"""Start in ticks, pitch."""
Clock = Callable[[Sequence[float]], NDArray[np.int64]]
"""From seconds to ticks."""


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
    tempos = [(tick, message) for tick, message in timed(track) if message.type == "set_tempo"]
    first = [message.tempo for tick, message in tempos if tick == 0][-1:] or [500_000]
    for _, message in tempos:
        message.tempo = first[0]
    return pretty_midi.PrettyMIDI(mido_object=file)


def timed(track: mido.MidiTrack) -> Iterator[tuple[int, mido.Message]]:
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
    onsets = {number: onsets_of(part) for number, part in theirs.items()}
    shared = sorted(
        ((onsets_of(part) & onsets[number]).total(), -index, -number)
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


def onsets_of(part: Part) -> Counter[Onset]:
    """The notes of a part by start and pitch."""
    return Counter((start, pitch) for start, _, pitch in notes_of(part))


def notes_of(part: Part) -> list[Note]:
    """The notes of a part, in its order."""
    arrays = (part.starts_ticks, part.ends_ticks, part.pitches)
    return list(zip(*(array.tolist() for array in arrays), strict=True))
