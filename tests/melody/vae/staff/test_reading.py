"""Read in a scale or a set, every note of a melody lies in it, and the melody moves as it did."""

import numpy as np
import pytest

from melodyconstraints.melody.events import REST, Melody
from melodyconstraints.melody.vae.staff.notation import LINES, TOKEN_HOLD, to_staff
from melodyconstraints.melody.vae.staff.reading import (
    events_in_scale,
    read_in_scale,
    read_in_set,
    write_in_scale,
)
from melodyconstraints.rules.scales import SCALES

WHITE = frozenset({0, 2, 4, 5, 7, 9, 11})


def staff_of(pitches, steps=1, key=0, place=None):
    """One melody of notes, each as many steps long, on the staff of a major scale."""
    notes = [(steps * i, steps, pitch) for i, pitch in enumerate(pitches)]
    places = None if place is None else np.array([place])
    events = Melody.from_notes(notes).events[None]
    return to_staff(events, np.array([key]), places, np.zeros(1, np.int64))


def pitches(events):
    """The notes of one melody."""
    return Melody(events[0]).pitches.tolist()


@pytest.mark.parametrize("name", SCALES)
def test_every_token_stands_for_a_note_of_the_scale(name):
    """Under each signature, in each mode; plain ones for seven notes, and raised ones for more."""
    keys, modes = np.repeat(np.arange(12), 7), np.tile(np.arange(7), 12)
    scale = [(4 + step) % 12 for step in SCALES[name]]
    events = events_in_scale(keys, np.full(84, 35), modes, scale)[:, :TOKEN_HOLD]
    assert all(set(row.tolist()) <= set(scale) for row in events % 12)
    if len(scale) >= 7:
        assert all(len(set(row.tolist())) == 7 for row in events[:, :LINES] % 12)
        assert all(set(row.tolist()) == set(scale) for row in events % 12)


@pytest.mark.parametrize("lower", [0, 7])
def test_a_tune_that_rests_on_another_line_is_read_from_there(lower):
    """A tune around G, of a mode whose tonic is C, in D dorian: G is D; one around C: C is D."""
    around_g = [67, 69, 71, 67, 62, 67, 69, 67]
    staff = staff_of([pitch - lower for pitch in around_g], steps=4, place=35)
    read = read_in_scale(staff, (2, 4, 5, 7, 9, 11, 0))
    assert pitches(read) == [62, 64, 65, 62, 57, 62, 64, 62]


@pytest.mark.parametrize(
    ("tune", "read"),
    [
        # major tunes, C to C and back by thirds: only what is not on white keys moves
        ([67, 69, 71, 72, 74, 76, 78, 79], [67, 69, 71, 72, 74, 76, 77, 79]),  # G, mixolydian
        ([65, 67, 69, 70, 72, 74, 76, 77], [65, 67, 69, 71, 72, 74, 76, 77]),  # F, lydian
        ([60, 62, 64, 65, 67, 69, 71, 72], [60, 62, 64, 65, 67, 69, 71, 72]),
        # E would be phrygian, B locrian, which are rare: they go to C
        ([64, 66, 68, 69, 71, 73, 75, 76], [60, 62, 64, 65, 67, 69, 71, 72]),
        ([59, 61, 63, 64, 66, 68, 70, 71], [60, 62, 64, 65, 67, 69, 71, 72]),
    ],
)
def test_in_a_set_notes_stay_where_the_set_makes_no_rare_mode(tune, read):
    staff = staff_of(tune, steps=8, key=tune[0] % 12)
    assert pitches(read_in_set(staff, WHITE)) == read


@pytest.mark.parametrize(
    ("tune", "pitch_classes", "read"),
    [
        ([67, 66, 67, 64, 60], WHITE, [67, 65, 67, 64, 60]),
        ([60, 61, 60, 64, 67], WHITE, [60, 62, 60, 64, 67]),
        ([67, 66, 66, 67, 60], WHITE, [67, 65, 65, 67, 60]),
        ([60, 61, 62, 64, 60], WHITE, [60, 62, 62, 64, 60]),  # on its way one repeats, either way
        ([65, 66, 67, 64, 60], WHITE - {5} | {6}, [66, 66, 67, 64, 60]),  # F sharp stays
    ],
)
def test_in_a_set_a_raised_note_moves_as_it_did(tune, pitch_classes, read):
    assert pitches(read_in_set(staff_of(tune), pitch_classes)) == read


def test_in_a_set_bars_that_come_back_stay_the_same():
    """Whatever sounds before them: of two bars, after C and after D, the first note is C sharp."""
    bars = [[60, 64, 67, 60], [61, 62, 61, 64], [60, 64, 67, 62], [61, 62, 61, 64]]
    (found,) = read_in_set(staff_of(np.concatenate(bars).tolist(), steps=4), WHITE)
    assert Melody(found).bars[1].tolist() == Melody(found).bars[3].tolist()
    assert Melody(found).pitches.tolist()[4:8] == [60, 62, 60, 64]


@pytest.mark.parametrize(
    ("scale", "tune", "written"),
    [
        # bebop dominant: both sevenths on one line, the nearer one to the note before
        ([0, 2, 4, 5, 7, 9, 10, 11], [72, 71, 69, 71, 72], [72, 71, 69, 70, 72]),
        # half-whole: both seconds; a step up from the tonic is the flat one
        ([0, 1, 3, 4, 6, 7, 9, 10], [60, 62, 64, 62, 60], [60, 61, 64, 63, 60]),
        # all twelve: steps up are semitones where they can be
        (list(range(12)), [60, 62, 64, 65, 67, 69, 71, 72], [60, 61, 63, 65, 66, 68, 70, 72]),
        # seven notes have a line each
        ([0, 2, 4, 5, 7, 9, 10], [72, 71, 69, 71, 72], [72, 70, 69, 70, 72]),
    ],
)
def test_steps_pass_through_all_notes_of_a_scale_of_more_than_seven(scale, tune, written):
    events = write_in_scale(staff_of(tune), scale)[0]
    assert events[: len(tune)].tolist() == written
    assert (events[len(tune) :] == REST).all()


def test_a_bar_begins_on_a_plain_note_whatever_was_before_it():
    """So that bars that come back stay the same."""
    found = pitches(write_in_scale(staff_of(4 * [71, 72], steps=8), [0, 2, 4, 5, 7, 9, 10, 11]))
    assert found == 4 * [70, 72]
