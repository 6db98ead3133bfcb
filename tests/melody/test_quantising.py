"""Polyphony to one voice: against slow references and against note-seq on real files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import HOLD, REST, canonical_events
from melodyconstraints.melody.quantising import POLYPHONY, highest_onsets, one_voice, skyline
from melodyconstraints.melody.units import seconds_per_step, steps_to_ticks, ticks_to_steps

STEPS = 48

# (start, length, pitch): few pitches and places, so that notes meet; some begin before step 0,
# some end after the last step, some have no length.
POLYPHONIC = st.lists(
    st.tuples(st.integers(-12, STEPS + 4), st.integers(0, 14), st.integers(58, 66)), max_size=40
)


def as_arrays(notes):
    table = np.array(notes, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 0] + table[:, 1], table[:, 2]


def skyline_by_loop(notes, steps):
    """Ask at every step which notes sound, and whether the highest of them is a new one."""
    events, before = [], None
    for step in range(steps):
        sounding = [
            (pitch, max(start, 0))
            for start, n, pitch in notes
            if start <= step < start + max(n, 1)
        ]
        if not sounding:
            events.append(REST)
            before = None
            continue
        top = max(pitch for pitch, _ in sounding)
        starts_here = any(pitch == top and start == step for pitch, start in sounding)
        events.append(top if starts_here or top != before else HOLD)
        before = top
    return events


def highest_onsets_by_loop(notes, steps):
    """Walk through the onsets in time; each silences what sounded."""
    events = dict.fromkeys(range(steps), REST)
    for onset in sorted({start for start, _, _ in notes}):
        top = max(pitch for start, _, pitch in notes if start == onset)
        # Of several notes with that onset and pitch, the first one given holds.
        length = next(n for start, n, pitch in notes if (start, pitch) == (onset, top))
        covered = [step for step in range(onset, onset + max(length, 1)) if 0 <= step < steps]
        events |= dict.fromkeys(range(max(onset, 0), steps), REST)
        events |= dict.fromkeys(covered, HOLD)
        if covered:
            events[covered[0]] = top
    return [events[step] for step in range(steps)]


@settings(max_examples=200)
@given(POLYPHONIC)
def test_skyline_is_the_highest_sounding_note_at_every_step(notes):
    assert skyline(*as_arrays(notes), STEPS).tolist() == skyline_by_loop(notes, STEPS)


@settings(max_examples=200)
@given(POLYPHONIC)
def test_highest_onsets_are_cut_by_the_next_onset(notes):
    assert highest_onsets(*as_arrays(notes), STEPS).tolist() == highest_onsets_by_loop(
        notes, STEPS
    )


@settings(max_examples=50)
@given(POLYPHONIC, st.randoms())
def test_the_order_of_the_notes_does_not_matter_to_the_skyline(notes, random):
    shuffled = random.sample(notes, len(notes))
    assert skyline(*as_arrays(notes), STEPS).tolist() == (
        skyline(*as_arrays(shuffled), STEPS).tolist()
    )


@settings(max_examples=50)
@given(POLYPHONIC)
def test_both_rules_give_canonical_events(notes):
    for reduce in POLYPHONY.values():
        events = reduce(*as_arrays(notes), STEPS)
        assert events.dtype == np.uint8
        assert canonical_events(events).tolist() == events.tolist()


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5), st.integers(0, 127)), max_size=12))
def test_one_voice_is_the_same_under_both_rules(runs):
    notes, now = [], 0
    for gap, length, pitch in runs:
        notes.append((now + gap, length, pitch))
        now += gap + length
    arrays = as_arrays(notes)
    assert skyline(*arrays, now).tolist() == highest_onsets(*arrays, now).tolist()


@pytest.mark.parametrize("rule", [skyline, highest_onsets])
def test_without_notes_there_is_silence(rule):
    assert rule(*as_arrays([]), 3).tolist() == [REST] * 3
    assert rule(*as_arrays([(3, 1, 60), (-4, 4, 60)]), 3).tolist() == [REST] * 3


@pytest.mark.parametrize("rule", [skyline, highest_onsets])
def test_notes_are_clipped_to_the_grid_and_last_a_step_at_least(rule):
    assert rule(*as_arrays([(-2, 4, 60), (3, 0, 62), (6, 9, 64)]), 8).tolist() == [
        *[60, HOLD, REST, 62],
        *[REST, REST, 64, HOLD],
    ]


@pytest.mark.parametrize("rule", [skyline, highest_onsets])
def test_notes_from_long_before_to_long_after_sound_on_the_whole_grid(rule):
    far = 2**60
    assert rule(*as_arrays([(-far, 2 * far, 60)]), 3).tolist() == [60, HOLD, HOLD]
    assert rule(*as_arrays([(-far, 1, 60), (far, 1, 62)]), 3).tolist() == [REST] * 3
    assert rule(*as_arrays([(-far, 2 * far, 60)]), 0).tolist() == []


@pytest.mark.parametrize("rule", [skyline, highest_onsets])
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64])
def test_the_kind_of_integer_does_not_matter(rule, kind):
    """Whatever a reader of MIDI gives; every other one of these is a note."""
    notes = np.array([[2, 5, 60], [0, 0, 0], [3, 9, 127], [0, 0, 0], [6, 7, 0]], kind)[::2]
    expected = rule(*np.array([[2, 3, 6], [5, 9, 7], [60, 127, 0]]), 10).tolist()
    assert rule(*notes.T, 10).tolist() == expected


def test_a_covered_note_starts_again_under_the_skyline_only():
    notes = as_arrays([(0, 6, 60), (2, 2, 72)])
    assert skyline(*notes, 6).tolist() == [60, HOLD, 72, HOLD, 60, HOLD]
    assert highest_onsets(*notes, 6).tolist() == [60, HOLD, 72, HOLD, REST, REST]


def test_a_lower_onset_is_hidden_under_the_skyline_only():
    notes = as_arrays([(0, 6, 72), (2, 2, 60)])
    assert skyline(*notes, 6).tolist() == [72, *[HOLD] * 5]
    assert highest_onsets(*notes, 6).tolist() == [72, HOLD, 60, HOLD, REST, REST]


def test_a_repeated_pitch_starts_again_even_while_it_sounds():
    notes = as_arrays([(0, 6, 60), (2, 2, 60)])
    assert skyline(*notes, 6).tolist() == [60, HOLD, 60, HOLD, HOLD, HOLD]


def test_an_onset_at_step_0_cuts_a_higher_note_that_was_held_from_before():
    notes = as_arrays([(-4, 8, 72), (0, 2, 60)])
    assert highest_onsets(*notes, 4).tolist() == [60, HOLD, REST, REST]
    assert skyline(*notes, 4).tolist() == [72, HOLD, HOLD, HOLD]


def test_ticks_round_to_the_nearest_step_with_halves_upwards():
    ticks = np.array([0, 59, 60, 61, 119, 120, 179, 180, 481, -60, -61])
    steps = [0, 0, 1, 1, 1, 1, 1, 2, 4, 0, -1]
    assert ticks_to_steps(ticks, 480).tolist() == steps
    assert [ticks_to_steps(int(tick), 480) for tick in ticks] == steps
    assert [ticks_to_steps(steps_to_ticks(step, 96), 96) for step in range(64)] == list(range(64))
    assert seconds_per_step(90) * 16 == pytest.approx(4 * 60 / 90)


# Nottingham has a tune and, in some files, chords; POP909 a tune, a bridge and piano.
PEERS = [("nottingham", 20), ("pop909", 5)]


def events_of_magenta(magenta_melody, steps):
    """Events from note-seq's own melody: -2 no event, -1 note off, else a pitch."""
    events, sounding = [REST] * magenta_melody.start_step, False
    for event in list(magenta_melody):
        sounding = event >= 0 or (event == -2 and sounding)
        events.append(event if event >= 0 else HOLD if sounding else REST)
    return events[:steps] + [REST] * (steps - len(events))


def melody_of_note_seq(sequence, instrument):
    from note_seq import Melody

    magenta_melody = Melody()
    magenta_melody.from_quantized_sequence(
        sequence, instrument=instrument, gap_bars=10_000, ignore_polyphonic_notes=True
    )
    return magenta_melody


def quantised(path):
    """The file as note-seq quantises it; None where it declines (it takes one tempo only)."""
    from note_seq import midi_io, sequences_lib

    sequence = midi_io.midi_file_to_note_sequence(path)
    try:
        return sequences_lib.quantize_note_sequence(sequence, 4)
    except (
        sequences_lib.MultipleTempoError,
        sequences_lib.MultipleTimeSignatureError,
        sequences_lib.BadTimeSignatureError,
    ):
        return None


@pytest.mark.parametrize(("collection", "wanted"), PEERS)
def test_highest_onsets_are_what_note_seq_extracts_from_real_files(real_midi, collection, wanted):
    """The rules agree to the step, on notes that note-seq has quantised."""
    compared = together = 0
    for path in sorted((real_midi / collection).glob("*.mid")):
        sequence = quantised(path)
        if sequence is None:
            continue
        for instrument in sorted({note.instrument for note in sequence.notes}):
            notes = [note for note in sequence.notes if note.instrument == instrument]
            steps = max(note.quantized_end_step for note in notes)
            starts = np.array([note.quantized_start_step for note in notes])
            ends = np.array([note.quantized_end_step for note in notes])
            pitches = np.array([note.pitch for note in notes])
            theirs = melody_of_note_seq(sequence, instrument)
            ours = highest_onsets(starts, ends, pitches, steps)
            assert ours.tolist() == events_of_magenta(theirs, steps), (path.name, instrument)
            together += len(starts) - len(np.unique(starts))
        compared += 1
        if compared == wanted:
            break
    assert compared == wanted
    assert together > 50  # notes that start with another: the rule had something to decide


def test_an_unknown_polyphony_is_refused():
    with pytest.raises(UsageError, match="polyphony must be one of skyline, onset, got 'lowest'"):
        one_voice("lowest")
