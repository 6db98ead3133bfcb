"""Melodies as objects of pretty_midi, note-seq and Magenta, and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import HOLD, REST, Melody
from melodyconstraints.melody.interop import (
    from_magenta_events,
    from_note_sequence,
    from_pretty_midi,
    to_magenta_events,
    to_note_sequence,
    to_pretty_midi,
)
from melodyconstraints.melody.midi.selection import read_melody

STEPS = 256
TUNE = Melody.from_notes([(0, 4, 60), (4, 2, 64), (8, 8, 67), (250, 6, 72)])


def _melodies(lowest: int, highest: int):
    """Melodies of any rhythm with pitches in a range."""

    def from_bytes(data: bytes) -> Melody:
        values = np.frombuffer(data, np.uint8).astype(int)
        pitches = lowest + values % (highest - lowest + 1)
        return Melody(np.where(values < 128, pitches, np.where(values < 214, HOLD, REST)))

    def from_runs(runs: list[tuple[int, int]]) -> Melody:
        events = [e for event, n in runs for e in [event] + [HOLD] * (n - 1)]
        return Melody(np.array([*events, *[REST] * STEPS][:STEPS]))

    event = st.one_of(st.integers(lowest, highest), st.just(REST))
    return st.one_of(
        st.binary(min_size=STEPS, max_size=STEPS).map(from_bytes),
        st.lists(st.tuples(event, st.integers(1, 60)), max_size=30).map(from_runs),
    )


MELODIES = _melodies(0, 127)
NON_EMPTY = MELODIES.filter(len)
PIANO = _melodies(21, 108)
TEMPOS = st.sampled_from([10.0, 60.0, 97.3, 120.0, 133.0, 240.0, 1000.0])


@settings(max_examples=50)
@given(NON_EMPTY, TEMPOS)
def test_pretty_midi_and_back_is_the_same_melody(melody, tempo):
    assert from_pretty_midi(to_pretty_midi(melody, tempo=tempo)) == melody
    assert from_pretty_midi(to_pretty_midi(melody, tempo=tempo), polyphony="onset") == melody


@settings(max_examples=30)
@given(NON_EMPTY, TEMPOS)
def test_what_pretty_midi_writes_is_read_as_the_same_melody(tmp_path_factory, melody, tempo):
    path = tmp_path_factory.mktemp("midi") / "melody.mid"
    to_pretty_midi(melody, tempo=tempo, program=9).write(str(path))
    found = read_melody(path)
    assert found.melody == melody
    assert (found.tempo, found.program) == (pytest.approx(tempo, rel=1e-4), 9)


@settings(max_examples=50)
@given(NON_EMPTY, TEMPOS)
def test_a_note_sequence_and_back_is_the_same_melody(melody, tempo):
    sequence = to_note_sequence(melody, tempo=tempo)
    assert from_note_sequence(sequence) == melody
    assert sequence.total_time == pytest.approx(64 * 60 / tempo)


@settings(max_examples=30)
@given(NON_EMPTY, TEMPOS)
def test_note_seq_finds_the_same_melody_in_our_sequence(melody, tempo):
    import note_seq
    from note_seq import sequences_lib

    peer = note_seq.Melody()
    peer.from_quantized_sequence(
        sequences_lib.quantize_note_sequence(to_note_sequence(melody, tempo=tempo), 4),
        gap_bars=1000,
    )
    events, sounding = [REST] * peer.start_step, False
    for event in list(peer):
        sounding = event >= 0 or (event == -2 and sounding)
        events.append(event if event >= 0 else HOLD if sounding else REST)
    assert Melody(np.array(events + [REST] * (STEPS - len(events)))) == melody


def test_the_pretty_midi_object_says_what_a_daw_needs():
    midi = to_pretty_midi(TUNE, tempo=90, program=40)
    (part,) = midi.instruments
    assert (part.program, part.name, part.is_drum) == (40, "Melody", False)
    assert midi.resolution == 480
    assert midi.get_tempo_changes()[1].tolist() == pytest.approx([90])
    (metre,) = midi.time_signature_changes
    assert (metre.numerator, metre.denominator, metre.time) == (4, 4, 0.0)
    spans = [(note.start, note.end, note.pitch) for note in part.notes]
    sixteenth = 60 / 90 / 4
    assert spans == [
        (pytest.approx(start * sixteenth), pytest.approx(end * sixteenth), pitch)
        for start, end, pitch in [(0, 4, 60), (4, 6, 64), (8, 16, 67), (250, 256, 72)]
    ]


def test_the_note_sequence_says_tempo_and_metre():
    sequence = to_note_sequence(TUNE, tempo=90)
    assert [tempo.qpm for tempo in sequence.tempos] == [90]
    assert [(m.numerator, m.denominator) for m in sequence.time_signatures] == [(4, 4)]
    assert sequence.ticks_per_quarter == 480
    assert [note.pitch for note in sequence.notes] == [60, 64, 67, 72]


def test_empty_melodies_become_empty_objects():
    empty = Melody.from_notes([])
    assert to_pretty_midi(empty).instruments[0].notes == []
    assert len(to_note_sequence(empty).notes) == 0
    with pytest.raises(MidiError, match=r"the PrettyMIDI object holds no notes \(drums aside\)"):
        from_pretty_midi(to_pretty_midi(empty))
    with pytest.raises(MidiError, match=r"the NoteSequence holds no notes \(drums aside\)"):
        from_note_sequence(to_note_sequence(empty))


def test_drums_are_left_aside():
    midi, sequence = to_pretty_midi(TUNE), to_note_sequence(TUNE)
    midi.instruments[0].is_drum = True
    for note in sequence.notes:
        note.is_drum = True
    with pytest.raises(MidiError, match="PrettyMIDI object holds no notes"):
        from_pretty_midi(midi)
    with pytest.raises(MidiError, match="NoteSequence holds no notes"):
        from_note_sequence(sequence)
    midi.instruments += to_pretty_midi(TUNE).instruments
    assert from_pretty_midi(midi) == TUNE


def test_music_after_16_bars_is_left_out():
    sequence = to_note_sequence(TUNE)
    sequence.notes.add(pitch=90, velocity=90, start_time=32.0, end_time=33.0)
    midi = to_pretty_midi(TUNE)
    midi.instruments[0].notes[-1].end = 40.0
    assert from_note_sequence(sequence) == TUNE
    assert from_pretty_midi(midi) == TUNE


def test_the_polyphony_rule_is_the_callers():
    sequence = to_note_sequence(Melody.from_notes([(0, 8, 72)]))
    sequence.notes.add(pitch=60, velocity=90, start_time=0.5, end_time=1.0)
    assert from_note_sequence(sequence) == Melody.from_notes([(0, 8, 72)])
    assert from_note_sequence(sequence, polyphony="onset") == Melody.from_notes(
        [(0, 4, 72), (4, 4, 60)]
    )


def test_a_note_sequence_in_two_tempos_cannot_be_quantised():
    sequence = to_note_sequence(TUNE)
    sequence.tempos.add(qpm=90, time=4.0)
    with pytest.raises(MidiError, match=r"note-seq cannot quantise the sequence: .*tempo"):
        from_note_sequence(sequence)


def test_a_quantised_note_sequence_is_taken_as_it_is_if_its_steps_are_sixteenths():
    from note_seq import sequences_lib

    sequence = to_note_sequence(TUNE)
    assert from_note_sequence(sequences_lib.quantize_note_sequence(sequence, 4)) == TUNE
    with pytest.raises(MidiError, match="quantised to steps_per_quarter: 8; 4 a quarter"):
        from_note_sequence(sequences_lib.quantize_note_sequence(sequence, 8))
    with pytest.raises(MidiError, match="quantised to steps_per_second: 100; 4 a quarter"):
        from_note_sequence(sequences_lib.quantize_note_sequence_absolute(sequence, 100))


@settings(max_examples=50)
@given(PIANO)
def test_magenta_events_and_back_are_the_same_events(melody):
    classes = to_magenta_events(melody.events)
    assert classes.min() >= 0
    assert classes.max() <= 89
    assert from_magenta_events(classes).tolist() == melody.events.tolist()


@settings(max_examples=50)
@given(PIANO)
def test_magenta_events_are_what_note_seq_encodes(melody):
    """note-seq keeps no note-off before the first note; neither do we."""
    import note_seq
    from note_seq import MelodyOneHotEncoding

    encoding = MelodyOneHotEncoding(21, 109)
    assert encoding.num_classes == 90
    classes = to_magenta_events(melody.events)
    peer = note_seq.Melody([encoding.decode_event(int(c)) for c in classes])
    assert [encoding.encode_event(event) for event in peer] == classes.tolist()
    notes = peer.to_sequence(qpm=120.0).notes
    assert [note.pitch for note in notes] == melody.pitches.tolist()
    assert [note.start_time * 8 for note in notes] == melody.onsets.tolist()
    ends = melody.onsets + melody.durations
    assert [note.end_time * 8 for note in notes] == ends.tolist()


@settings(max_examples=50)
@given(st.lists(st.integers(0, 89), min_size=STEPS, max_size=STEPS))
def test_any_classes_mean_the_notes_that_note_seq_hears(classes):
    import note_seq
    from note_seq import MelodyOneHotEncoding

    encoding = MelodyOneHotEncoding(21, 109)
    peer = note_seq.Melody([encoding.decode_event(c) for c in classes])
    ours = Melody(from_magenta_events(np.array(classes)))
    notes = peer.to_sequence(qpm=120.0).notes
    ends = ours.onsets + ours.durations
    assert [(n.pitch, n.start_time * 8, n.end_time * 8) for n in notes] == list(
        zip(ours.pitches, ours.onsets, ends, strict=True)
    )


def test_magenta_events_by_hand():
    events = np.array([REST, 21, HOLD, 108, REST, REST, 60, 60])
    classes = [0, 2, 0, 89, 1, 0, 41, 41]
    assert to_magenta_events(events).tolist() == classes
    assert to_magenta_events(np.stack([events, events])).tolist() == [classes, classes]
    assert from_magenta_events(np.array([classes])).tolist() == [events.tolist()]
    assert to_magenta_events(np.array([], int)).tolist() == []
    assert from_magenta_events(np.array([], int)).tolist() == []


@pytest.mark.parametrize("pitch", [0, 20, 109, 127])
def test_a_pitch_off_the_piano_is_refused(pitch):
    with pytest.raises(
        UsageError, match=f"Magenta's events hold pitches 21-108, got {pitch}; transpose"
    ):
        to_magenta_events(np.array([60, pitch]))


@pytest.mark.parametrize("bad", [-1, 90])
def test_a_class_that_magenta_does_not_have_is_refused(bad):
    with pytest.raises(UsageError, match=rf"classes are in \[0, 89\], got \[41, {bad}\]"):
        from_magenta_events(np.array([41, bad]))


@pytest.mark.parametrize("convert", [to_pretty_midi, to_note_sequence])
def test_a_tempo_that_midi_cannot_carry_is_refused(convert):
    with pytest.raises(UsageError, match="tempo must be from 10 to 1000, got 0"):
        convert(Melody.from_notes([(0, 4, 60)]), tempo=0)
