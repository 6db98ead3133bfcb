"""Melodies as the objects of other libraries: pretty_midi, note-seq, and Magenta's melody events.

Each pair of functions loses nothing: from(to(melody)) is the melody. The libraries are the
extra ``interop``, imported only when they are needed; note-seq takes more than a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import HOLD, REST, Events, Melody, canonical_events
from melodyconstraints.melody.quantising import one_voice
from melodyconstraints.melody.units import (
    DEFAULT_TEMPO,
    QUARTERS_PER_BAR,
    STEPS,
    STEPS_PER_QUARTER,
    TICKS_PER_QUARTER,
    VELOCITY,
    check_tempo,
    seconds_per_step,
    ticks_to_steps,
)
from melodyconstraints.storage.extras import extras_explained

if TYPE_CHECKING:
    import note_seq
    import pretty_midi

LOWEST_PIANO_PITCH = 21
HIGHEST_PIANO_PITCH = 108
MAGENTA_NO_EVENT = 0
MAGENTA_NOTE_OFF = 1
_FIRST_NOTE_CLASS = 2


@extras_explained()
def to_pretty_midi(
    melody: Melody, *, tempo: float = DEFAULT_TEMPO, program: int = 0
) -> pretty_midi.PrettyMIDI:
    """``PrettyMIDI`` of one instrument in 4/4, at ``tempo`` quarters a minute in [10, 1000]."""
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(resolution=TICKS_PER_QUARTER, initial_tempo=check_tempo(tempo))
    midi.time_signature_changes.append(pretty_midi.TimeSignature(QUARTERS_PER_BAR, 4, 0.0))
    instrument = pretty_midi.Instrument(program, name="Melody")
    for onset, end, pitch in _spans(melody):
        start_seconds, end_seconds = onset * seconds_per_step(tempo), end * seconds_per_step(tempo)
        instrument.notes.append(pretty_midi.Note(VELOCITY, pitch, start_seconds, end_seconds))
    midi.instruments.append(instrument)
    return midi


def from_pretty_midi(midi: pretty_midi.PrettyMIDI, *, polyphony: str = "skyline") -> Melody:
    """The first 16 bars of the first instrument with notes, drums aside, counted from time 0.

    Raises:
        MidiError: there is no such instrument.
    """
    parts = [part for part in midi.instruments if part.notes and not part.is_drum]
    if not parts:
        raise MidiError("the PrettyMIDI object holds no notes (drums aside)")
    notes = parts[0].notes
    starts = np.array([midi.time_to_tick(note.start) for note in notes])
    ends = np.array([midi.time_to_tick(note.end) for note in notes])
    return _one_voice(
        ticks_to_steps(starts, midi.resolution),
        ticks_to_steps(ends, midi.resolution),
        np.array([note.pitch for note in notes]),
        polyphony,
    )


@extras_explained()
def to_note_sequence(melody: Melody, *, tempo: float = DEFAULT_TEMPO) -> note_seq.NoteSequence:
    """An unquantised ``NoteSequence`` of 16 bars of 4/4 at ``tempo`` quarters a minute."""
    import note_seq

    sequence = note_seq.NoteSequence(ticks_per_quarter=TICKS_PER_QUARTER)
    sequence.tempos.add(qpm=tempo)
    sequence.time_signatures.add(numerator=QUARTERS_PER_BAR, denominator=4)
    for onset, end, pitch in _spans(melody):
        sequence.notes.add(
            pitch=pitch,
            velocity=VELOCITY,
            start_time=onset * seconds_per_step(tempo),
            end_time=end * seconds_per_step(tempo),
        )
    sequence.total_time = STEPS * seconds_per_step(tempo)
    return sequence


@extras_explained()
def from_note_sequence(sequence: note_seq.NoteSequence, *, polyphony: str = "skyline") -> Melody:
    """The first 16 bars of a ``NoteSequence``, all instruments but drums, counted from time 0.

    Raises:
        MidiError: no notes, changes of tempo or metre that note-seq cannot quantise, or a sequence
            that is quantised already to something other than sixteenths.
    """
    from note_seq import sequences_lib

    if not sequences_lib.is_quantized_sequence(sequence):
        try:
            sequence = sequences_lib.quantize_note_sequence(sequence, STEPS_PER_QUARTER)
        except Exception as error:  # its errors have no root of their own
            raise MidiError(f"note-seq cannot quantise the sequence: {error}") from error
    if sequence.quantization_info.steps_per_quarter != STEPS_PER_QUARTER:
        unit = str(sequence.quantization_info).strip()
        raise MidiError(
            f"the NoteSequence is quantised to {unit}; {STEPS_PER_QUARTER} a quarter are wanted"
        )
    notes = [note for note in sequence.notes if not note.is_drum]
    if not notes:
        raise MidiError("the NoteSequence holds no notes (drums aside)")
    return _one_voice(
        np.array([note.quantized_start_step for note in notes]),
        np.array([note.quantized_end_step for note in notes]),
        np.array([note.pitch for note in notes]),
        polyphony,
    )


def to_magenta_events(events: Events) -> NDArray[np.int64]:
    """Magenta's 90 melody classes: no event, note off, and the 88 piano pitches from 21.

    Args:
        events: ``(..., T)`` in [0, 129].

    Returns:
        ``(..., T)`` classes in [0, 89]. A silence is one note-off and no events.

    Raises:
        UsageError: a pitch outside the piano's 21-108.

    >>> to_magenta_events(np.array([129, 60, 128, 129, 129]))
    array([ 0, 41,  0,  1,  0])
    """
    events = canonical_events(events)
    notes = events < HOLD
    outside = notes & ((events < LOWEST_PIANO_PITCH) | (events > HIGHEST_PIANO_PITCH))
    if outside.any():
        raise UsageError(
            f"Magenta's events hold pitches {LOWEST_PIANO_PITCH}-{HIGHEST_PIANO_PITCH}, "
            f"got {events[outside][0]}; transpose the melody"
        )
    before = np.concatenate([np.full_like(events[..., :1], REST), events[..., :-1]], axis=-1)
    classes = np.where(notes, events.astype(np.int64) - LOWEST_PIANO_PITCH + _FIRST_NOTE_CLASS, 0)
    classes[(events == REST) & (before != REST)] = MAGENTA_NOTE_OFF
    return classes


def from_magenta_events(classes: NDArray[np.integer]) -> Events:
    """The events of Magenta's 90 melody classes; inverse of :func:`to_magenta_events`.

    Raises:
        UsageError: a class outside [0, 89].

    >>> from_magenta_events(np.array([0, 41, 0, 1, 0]))
    array([129,  60, 128, 129, 129], dtype=uint8)
    """
    values = np.asarray(classes)
    highest = HIGHEST_PIANO_PITCH - LOWEST_PIANO_PITCH + _FIRST_NOTE_CLASS
    if values.size and (values.min() < 0 or values.max() > highest):
        raise UsageError(f"Magenta's classes are in [0, {highest}], got {values.tolist()}")
    events = values + LOWEST_PIANO_PITCH - _FIRST_NOTE_CLASS
    events = np.where(values == MAGENTA_NO_EVENT, HOLD, events)
    return canonical_events(np.where(values == MAGENTA_NOTE_OFF, REST, events))


def _spans(melody: Melody) -> list[tuple[int, int, int]]:
    """(onset step, end step, pitch) of every note."""
    ends = melody.onsets + melody.durations
    return list(zip(melody.onsets.tolist(), ends.tolist(), melody.pitches.tolist(), strict=True))


def _one_voice(
    starts: NDArray[np.int64], ends: NDArray[np.int64], pitches: NDArray[np.int64], polyphony: str
) -> Melody:
    return Melody(one_voice(polyphony)(starts, ends, pitches, STEPS))
