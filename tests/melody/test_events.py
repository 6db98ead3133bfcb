"""Events and the views on them, against a loop that walks one step at a time."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import (
    HOLD,
    PITCHES,
    REST,
    VOCABULARY,
    Melodies,
    Melody,
    canonical_events,
)

STEPS = 256


def _from_bytes(data: bytes) -> np.ndarray:
    """Half notes, a third holds and the rest rests: any array is reached."""
    values = np.frombuffer(data, np.uint8).astype(int)
    return np.where(values < 128, values, np.where(values < 214, HOLD, REST))


def _from_runs(runs: list[tuple[int, int]]) -> np.ndarray:
    """Long notes and silences, from (event, length)."""
    events = [e for event, n in runs for e in [event] + [HOLD] * (n - 1)]
    return np.array([*events, *[REST] * STEPS][:STEPS])


ANY_EVENTS = st.one_of(
    st.binary(min_size=STEPS, max_size=STEPS).map(_from_bytes),
    st.lists(st.tuples(st.integers(0, REST), st.integers(1, 60)), max_size=30).map(_from_runs),
)


def notes_by_loop(events) -> list[tuple[int, int, int]]:
    """(onset, duration, pitch) of every note, found by walking the steps."""
    notes, sounding = [], False
    for step, event in enumerate(events):
        if event < 128:
            notes.append([step, 1, int(event)])
            sounding = True
        elif event == HOLD and sounding:
            notes[-1][1] += 1
        else:
            sounding = False
    return [tuple(note) for note in notes]


def test_the_vocabulary_is_the_papers_130_states():
    assert (PITCHES, HOLD, REST, VOCABULARY) == (128, 128, 129, 130)


@pytest.mark.parametrize(
    ("given_events", "expected"),
    [
        ([128], [129]),
        ([128, 128, 60], [129, 129, 60]),
        ([60, 128, 128, 129], [60, 128, 128, 129]),
        ([60, 129, 128, 128, 62], [60, 129, 129, 129, 62]),
        ([0, 128, 127, 128], [0, 128, 127, 128]),
        ([129, 129], [129, 129]),
        ([], []),
    ],
)
def test_a_hold_that_continues_no_note_becomes_a_rest(given_events, expected):
    assert canonical_events(given_events).tolist() == expected


@settings(max_examples=50)
@given(ANY_EVENTS)
def test_canonical_events_keep_every_note_and_are_a_fixed_point(events):
    once = canonical_events(events)
    assert notes_by_loop(once) == notes_by_loop(events)
    assert_array_equal(canonical_events(once), once)
    assert once.dtype == np.uint8
    previous = np.concatenate(([REST], once[:-1]))
    assert not (previous[once == HOLD] == REST).any()


def test_rows_of_a_batch_do_not_reach_into_each_other():
    rows = [[60, 128, 128], [128, 128, 62], [129, 128, 128]]
    batch = canonical_events(rows)
    assert batch.tolist() == [canonical_events(row).tolist() for row in rows]


def test_canonical_events_leave_the_callers_array_alone():
    events = np.array([128, 60], np.uint8)
    canonical_events(events)
    assert events.tolist() == [128, 60]


@pytest.mark.parametrize("values", [[60.0], [True], ["C4"]])
def test_events_that_are_not_integers_are_refused(values):
    with pytest.raises(UsageError, match=r"events must be integers in \[0, 129\], got"):
        canonical_events(values)


@pytest.mark.parametrize(("values", "text"), [([-1, 60], "-1 to 60"), ([0, 130], "0 to 130")])
def test_events_outside_the_vocabulary_are_refused(values, text):
    with pytest.raises(UsageError, match=rf"events must be in \[0, 129\], got values from {text}"):
        canonical_events(values)


@settings(max_examples=50)
@given(ANY_EVENTS)
def test_a_melodys_views_list_what_the_loop_finds(events):
    melody, notes = Melody(events), notes_by_loop(events)
    assert melody.onsets.tolist() == [onset for onset, _, _ in notes]
    assert melody.durations.tolist() == [duration for _, duration, _ in notes]
    assert melody.pitches.tolist() == [pitch for _, _, pitch in notes]
    assert melody.pitch_classes.tolist() == [pitch % 12 for _, _, pitch in notes]
    assert melody.intervals.tolist() == [after[2] - before[2] for before, after in pairwise(notes)]
    assert len(melody) == len(notes)
    assert [melody.bars[bar, step] for bar in range(16) for step in range(16)] == list(
        melody.events
    )


@settings(max_examples=50)
@given(st.lists(ANY_EVENTS, max_size=4))
def test_a_batchs_views_lay_the_same_notes_on_the_grid(rows):
    batch = Melodies(np.array(rows).reshape(-1, STEPS).astype(int))
    assert len(batch) == len(rows)
    for index, row in enumerate(rows):
        notes = notes_by_loop(row)
        pitches, classes = np.full(STEPS, -1), np.full(STEPS, -1)
        durations, intervals = np.zeros(STEPS, int), np.zeros(STEPS, int)
        has_interval, starts = np.zeros(STEPS, bool), np.zeros(STEPS, bool)
        for number, (onset, duration, pitch) in enumerate(notes):
            starts[onset], pitches[onset], classes[onset] = True, pitch, pitch % 12
            durations[onset] = duration
            if number:
                has_interval[onset], intervals[onset] = True, pitch - notes[number - 1][2]
        assert_array_equal(batch.onsets[index], starts)
        assert_array_equal(batch.pitches[index], pitches)
        assert_array_equal(batch.pitch_classes[index], classes)
        assert_array_equal(batch.durations[index], durations)
        assert_array_equal(batch.intervals[index], intervals)
        assert_array_equal(batch.interval_mask[index], has_interval)
        assert batch.note_counts[index] == len(notes)
        assert_array_equal(batch.bars[index].ravel(), batch.events[index])
        assert batch[index] == Melody(row)


@settings(max_examples=50)
@given(ANY_EVENTS)
def test_a_melody_is_rebuilt_from_its_notes(events):
    melody = Melody(events)
    notes = zip(melody.onsets, melody.durations, melody.pitches, strict=True)
    assert Melody.from_notes([tuple(map(int, note)) for note in notes]) == melody


def test_from_notes_lays_notes_out_and_a_later_onset_cuts_the_one_before():
    melody = Melody.from_notes([(4, 10, 72), (8, 2, 60)])
    assert melody.events[:12].tolist() == [
        *[129, 129, 129, 129, 72, 128, 128, 128],
        *[60, 128, 129, 129],
    ]
    assert (melody.events[12:] == REST).all()


def test_from_notes_takes_notes_in_any_order_and_up_to_the_last_step():
    notes = [(255, 1, 127), (0, 255, 0)]
    melody = Melody.from_notes(notes)
    assert melody == Melody.from_notes(notes[::-1])
    assert melody.durations.tolist() == [255, 1]


@pytest.mark.parametrize(
    "note", [(-1, 4, 60), (256, 1, 60), (250, 7, 60), (0, 0, 60), (0, 1, 128), (0, 1, -1)]
)
def test_from_notes_refuses_a_note_that_does_not_fit(note):
    onset, duration, pitch = note
    text = f"got onset {onset}, duration {duration}, pitch {pitch}"
    with pytest.raises(UsageError, match=rf"within 256 steps and pitches 0-127, {text}"):
        Melody.from_notes([note])


def test_an_empty_melody_has_empty_views():
    melody = Melody.from_notes([])
    views = [melody.onsets, melody.pitches, melody.pitch_classes]
    assert [view.tolist() for view in [*views, melody.durations, melody.intervals]] == [[]] * 5
    assert len(melody) == 0
    assert repr(melody) == "Melody(empty)"
    batch = Melodies.stack([melody])
    assert batch.note_counts.tolist() == [0]
    assert (batch.pitches == -1).all()
    assert not batch.interval_mask.any()


def test_a_single_note_held_to_the_end_lasts_256_steps():
    melody = Melody(np.array([67] + [HOLD] * 255))
    assert melody.durations.tolist() == [256]
    assert melody.intervals.tolist() == []
    assert repr(melody) == "Melody(1 notes, pitches 67-67)"


def test_where_no_note_starts_a_batchs_pitch_is_minus_one():
    """Events are unsigned bytes, in which -1 would read 255."""
    batch = Melodies.stack([Melody.from_notes([(1, 2, 127)])])
    assert batch.pitches[0, :4].tolist() == [-1, 127, -1, -1]
    assert batch.pitch_classes[0, :4].tolist() == [-1, 7, -1, -1]


def test_a_falling_interval_is_negative():
    melody = Melody.from_notes([(0, 1, 100), (1, 1, 20), (2, 1, 120)])
    assert melody.intervals.tolist() == [-80, 100]
    assert Melodies.stack([melody]).intervals[0, :3].tolist() == [0, -80, 100]


def test_a_batch_of_none_has_views_of_no_rows():
    batch = Melodies.stack([])
    assert len(batch) == 0
    assert list(batch) == []
    assert repr(batch) == "Melodies(0)"
    for view in ("onsets", "pitches", "pitch_classes", "durations", "intervals", "interval_mask"):
        assert getattr(batch, view).shape == (0, STEPS)
    assert batch.note_counts.shape == (0,)
    assert batch.bars.shape == (0, 16, 16)


def test_a_batch_is_stacked_indexed_and_walked_in_order():
    melodies = [Melody.from_notes([(0, 4, pitch)]) for pitch in (60, 62, 64)]
    batch = Melodies.stack(melodies)
    assert list(batch) == melodies
    assert batch[1] == batch[np.int64(1)] == batch[-2] == melodies[1]
    assert list(batch[1:]) == melodies[1:]
    assert list(batch[[2, 0]]) == [melodies[2], melodies[0]]
    assert list(batch[np.array([True, False, True])]) == [melodies[0], melodies[2]]
    with pytest.raises(IndexError):
        batch[3]


def test_equal_melodies_are_equal_and_hash_alike_however_their_silence_is_written():
    rests, holds = np.full(STEPS, REST), np.full(STEPS, HOLD)
    assert Melody(rests) == Melody(holds)
    assert len({Melody(rests), Melody(holds), Melody.from_notes([(0, 1, 60)])}) == 2
    assert Melody(rests) != Melody.from_notes([(0, 1, 60)])
    assert Melody(rests) != rests.tolist()


def test_melodies_cannot_be_changed_and_do_not_follow_the_callers_array():
    events = np.full(STEPS, REST)
    melody, batch = Melody(events), Melodies(events[None])
    events[0] = 60
    assert len(melody) == 0
    assert batch.note_counts.tolist() == [0]
    for owner in (melody, batch):
        with pytest.raises(ValueError, match="read-only"):
            owner.events[...] = 60
        with pytest.raises(AttributeError, match="events"):
            owner.events = events


def test_a_melody_survives_pickling():
    melody = Melody.from_notes([(0, 4, 60), (8, 2, 64)])
    assert pickle.loads(pickle.dumps(melody)) == melody  # noqa: S301


@pytest.mark.parametrize("shape", [(255,), (257,), (1, 256), (0,)])
def test_a_melody_of_another_shape_is_refused(shape):
    with pytest.raises(UsageError, match=rf"a melody has 256 events, got shape \({shape[0]},"):
        Melody(np.full(shape, REST))


@pytest.mark.parametrize("shape", [(256,), (2, 255), (1, 1, 256)])
def test_a_batch_of_another_shape_is_refused(shape):
    with pytest.raises(UsageError, match=r"melodies have shape \(batch, 256\), got \("):
        Melodies(np.full(shape, REST))


@pytest.mark.parametrize("notes", [[], [(0, 4, 60), (8, 2, 64)]])
def test_a_notebook_is_given_a_png(notes):
    png = Melody.from_notes(notes)._repr_png_()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert b"IEND" in png[-12:]


def test_methods_hand_over_the_objects_of_other_libraries():
    melody = Melody.from_notes([(4, 2, 64)])
    midi = melody.to_pretty_midi(tempo=60, program=24)
    (note,) = midi.instruments[0].notes
    assert (note.pitch, note.start, note.end, midi.instruments[0].program) == (64, 1.0, 1.5, 24)
    (note,) = melody.to_note_sequence(tempo=60).notes
    assert (note.pitch, note.start_time, note.end_time) == (64, 1.0, 1.5)


VIEWS = ["events", "onsets", "pitches", "pitch_classes", "durations", "intervals", "bars"]


@pytest.mark.parametrize(
    ("batch", "view"),
    [
        *((False, view) for view in VIEWS),
        *((True, view) for view in [*VIEWS, "interval_mask", "note_counts"]),
    ],
)
def test_every_view_is_read_only_and_stays_so(batch, view):
    melody = Melody.from_notes([(0, 4, 60), (4, 2, 64)])
    array = getattr(Melodies.stack([melody]) if batch else melody, view)
    with pytest.raises(ValueError, match="read-only"):
        array[:] = 0
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
        array.setflags(write=True)


@pytest.mark.parametrize("view", ["rows", "onsets", "pitches", "durations", "intervals", "gaps"])
def test_the_notes_of_a_batch_are_read_only(view):
    notes = Melodies.stack([Melody.from_notes([(0, 4, 60), (4, 2, 64)])]).notes
    with pytest.raises(ValueError, match="read-only"):
        getattr(notes, view)[:] = 0
