"""What a musician does to a tune by hand: another key, a scale, bars kept and repeated."""

import numpy as np
import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import find_rule
from melodyconstraints.workflows.editing import (
    in_key,
    in_scale,
    key_of,
    outside_notes,
    outside_text,
    repeats_of,
    with_repeats,
)

# G A B C D E F# G in quarters, then the tonic held
SCALE_OF_G = [67, 69, 71, 72, 74, 76, 78, 79, 67]


def tune_of(pitches: list[int]) -> Melody:
    ends = [16 if number == len(pitches) - 1 else 4 for number in range(len(pitches))]
    return Melody.from_notes([(4 * n, ends[n], pitch) for n, pitch in enumerate(pitches)])


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("A-major", [69, 71, 73, 74, 76, 78, 80, 81, 69]),
        ("A-minor", [69, 71, 72, 74, 76, 77, 79, 81, 69]),
        ("Bb-mixolydian", [70, 72, 74, 75, 77, 79, 80, 82, 70]),
        ("C-major", [72, 74, 76, 77, 79, 81, 83, 84, 72]),
        ("D-major", [62, 64, 66, 67, 69, 71, 73, 74, 62]),  # five down are nearer than seven up
        ((9, 0, 2, 4, 7), [69, 72, 72, 74, 76, 76, 79, 81, 69]),
    ],
)
def test_each_degree_becomes_that_of_the_scale(scale, expected):
    tune = tune_of(SCALE_OF_G)
    moved = in_key(tune, scale)
    assert moved.pitches.tolist() == expected
    assert np.array_equal(moved.onsets, tune.onsets)
    assert np.array_equal(moved.durations, tune.durations)


def test_a_note_beside_the_scale_goes_up_to_the_next_of_the_new_one():
    moved = in_key(tune_of([67, 70, *SCALE_OF_G]), "C-major")  # B flat: a raised second of G
    assert moved.pitches[:2].tolist() == [72, 76]


def test_a_tune_in_the_key_already_stays():
    tune = tune_of(SCALE_OF_G)
    assert in_key(tune, "G-major") == tune


def test_silence_has_no_note_to_move():
    assert in_key(Melody.from_notes([]), "A-minor") == Melody.from_notes([])


def test_a_wrong_scale_is_refused():
    with pytest.raises(UsageError, match="A-monir"):
        in_key(tune_of(SCALE_OF_G), "A-monir")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(0, "G-major"), (5, "C-major"), (3, "Bb-major"), (11, "F#-major"), (-1, "F#-major")],
)
def test_the_key_of_a_scale_that_ends_on_its_tonic(steps, expected):
    assert key_of(tune_of([pitch + steps for pitch in SCALE_OF_G])) == expected


def test_minor_and_dorian_are_told_by_where_they_rest():
    a_minor = [69, 71, 72, 74, 76, 74, 72, 71, 69, 69, 69]
    assert key_of(tune_of(a_minor)) == "A-minor"
    d_dorian = [62, 65, 69, 71, 69, 67, 65, 64, 60, 62, 62, 62]
    assert key_of(tune_of(d_dorian)) == "D-dorian"


def test_notes_go_to_the_nearest_of_a_set_the_lower_of_two():
    assert in_scale(tune_of([61, 66, 68]), {0, 2, 4, 7}).pitches.tolist() == [60, 67, 67]
    assert in_scale(tune_of([61]), None).pitches.tolist() == [61]


def test_notes_outside_a_set_are_counted_in_some_bars():
    tune = Melody.from_notes([(0, 4, 60), (4, 4, 61), (16, 4, 63), (33, 4, 66), (64, 4, 61)])
    assert outside_notes(tune, {1, 3}, {0, 2, 4}) == 2
    assert outside_notes(tune, range(1, 17), {0, 1}) == 2
    assert outside_notes(tune, {1}, None) == 0


def test_bars_repeat_the_first_that_equals_them_but_for_kept_ones():
    tune = Melody.from_notes([(0, 16, 60), (16, 16, 62), (32, 16, 60), (48, 16, 64)])
    repeats = repeats_of(tune)
    assert repeats == [0, 1, 0, 3, *[4] * 12]
    other = Melody.from_notes([(16 * bar, 16, 70 + bar) for bar in range(16)])
    (free,) = with_repeats(Melodies.stack([other]), repeats)
    assert free.pitches.tolist() == [70, 71, 70, 73, *[74] * 12]
    (kept,) = with_repeats(Melodies.stack([other]), repeats, {3, 16})
    assert kept.pitches.tolist() == [70, 71, 72, 73, *[74] * 11, 85]


def test_a_repeat_whose_first_note_is_held_over_is_silent_where_nothing_sounds():
    held = Melody.from_notes([(0, 24, 60), (32, 8, 62)])  # bar 2 begins with the first note
    (melody,) = with_repeats(Melodies.stack([held]), [0, 1, 2, 1, *range(4, 16)])
    assert melody.onsets.tolist() == [0, 32]


def test_kept_notes_outside_a_scale_are_counted_by_hand():
    tune = Melody.from_notes([(0, 4, 60), (4, 4, 61), (16, 4, 66), (32, 4, 63)])
    rule = find_rule("cmajor")
    assert outside_text(tune, {1}, rule) == (
        "bar 1, which stays, holds 1 note outside the set of cmajor"
    )
    assert outside_text(tune, {1, 2, 4}, rule) == (
        "bars 1-2,4, which stay, hold 2 notes outside the set of cmajor"
    )
    assert outside_text(tune, {4}, rule) == outside_text(tune, {1}, find_rule("density:2")) == ""
