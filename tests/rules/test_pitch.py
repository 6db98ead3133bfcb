"""Rules on pitches and intervals against rewards computed by hand."""

import numpy as np
import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import find_rule
from melodyconstraints.rules.pitch import masked_correlation


def line(*pitches, apart=4):
    return Melody.from_notes([(apart * n, apart, pitch) for n, pitch in enumerate(pitches)])


def reward(spec, *melodies):
    return find_rule(spec)(Melodies.stack(melodies)).tolist()


def test_notes_at_the_ends_of_the_compass_are_within():
    assert reward("compass:60..72", line(60, 72), line(59, 60, 72, 73), line(1)) == [1, 0.5, 0]
    assert reward("compass:..C4", line(60, 61)) == [0.5]
    assert reward("compass:C4", line(60, 59)) == [0.5]


def test_tessitura_is_the_mean_weighted_by_length():
    mean_66 = Melody.from_notes([(0, 6, 60), (100, 2, 84)])
    rewards = reward("tessitura:66..72", mean_66, line(60), line(42), line(78), line(96))
    assert rewards == [1, 0.75, 0, 0.75, 0]


def test_rise_is_the_second_halfs_mean_pitch_above_the_firsts():
    up_5 = Melody.from_notes([(0, 4, 60), (119, 9, 62), (128, 2, 60), (200, 6, 68)])  # 61.4, 66
    rise = 66 - (4 * 60 + 9 * 62) / 13
    assert reward(f"rise:{rise:.3f}..9", up_5) == [pytest.approx(1, abs=1e-4)]
    assert reward("rise:..-3", up_5, line(60, 72)) == [
        pytest.approx(1 - (rise + 3) / 24),
        pytest.approx(1 - 3 / 24),  # all of it in the first half
    ]


def test_ambitus_counts_semitones_from_the_lowest_to_the_highest():
    melodies = line(60, 72, 65), line(60), line(60, 67)
    assert reward("ambitus:7..12", *melodies) == [1, 0, 1]
    assert reward("ambitus:14", *melodies) == [12 / 14, 0, 0.5]
    assert reward("ambitus:..7", line(0, 127), line(0, 67)) == [0, 0.5]


@pytest.mark.parametrize(
    ("spec", "rewards"),
    [
        ("final-note:C", [1, 5 / 6, 0, 1 / 6]),
        ("final-note:C,G", [1, 5 / 6, 5 / 6, 2 / 3]),
        ("final-note:C5", [1, 1 - 1 / 24, 1 - 6 / 24, 0]),
        ("final-note:72,66", [1, 1 - 1 / 24, 1, 0]),
        ("first-note:E", [1, 1, 1, 1]),
        ("first-note:63", [1 - 1 / 24] * 4),
    ],
)
def test_first_and_final_notes(spec, rewards):
    melodies = [line(64, 60, last) for last in (72, 71, 66)] + [line(64, 60, 101)]
    assert reward(spec, *melodies) == pytest.approx(rewards)


def test_steps_leaps_and_unisons_share_the_intervals():
    melody = line(60, 60, 61, 63, 66, 62, 50)  # 0 1 2 3 -4 -12
    assert reward("steps:100%", melody) == [pytest.approx(2 / 6)]
    assert reward("leaps:100%", melody) == [0.5]
    assert reward("leaps:..20%", melody, line(60)) == [pytest.approx(0.5 / 0.8), 1]
    assert reward("steps:10%", line(60)) == [0]


def test_intervals_do_not_run_from_one_melody_into_the_next():
    batch = line(60, 61), line(90, 91), line(30)
    assert reward("steps:1", *batch) == [1, 1, 0]
    assert reward("max-leap:1", *batch) == [1, 1, 1]
    assert reward("max-repeats:1", line(60), line(60), line(60)) == [1, 1, 1]
    assert reward("leaps-resolved:4", line(60, 67), line(65, 65), line(60, 67)) == [0, 1, 0]


def test_a_leap_of_just_the_most_is_allowed():
    assert reward("max-leap:7", line(60, 67, 60), line(60, 68, 60, 61, 62)) == [1, 0.5]


@pytest.mark.parametrize(
    ("pitches", "expected"),
    [
        ((60, 66, 65), 1),
        ((60, 66, 64), 1),
        ((66, 60, 62), 1),
        ((60, 66, 63), 0),
        ((60, 66, 66), 0),
        ((60, 66, 67), 0),
        ((60, 66), 0),
        ((60, 65, 70), 1),
        ((60, 66, 60, 61), 0.5),
        ((60,), 1),
    ],
)
def test_a_leap_is_resolved_by_a_step_back(pitches, expected):
    assert reward("leaps-resolved:5", line(*pitches)) == [expected]


def test_repeats_in_a_row_start_anew_with_another_pitch():
    assert reward("max-repeats:2", line(60, 60, 61, 60, 60), line(60, 60, 60, 61)) == [1, 0.75]
    assert reward("max-repeats:1", line(*[60] * 4), line(60, 61)) == [0.25, 1]


def test_contours_correlate_bars_with_their_shape():
    rising = line(*range(60, 76), apart=16)
    rewards = [reward(f"contour:{shape}", rising)[0] for shape in ("rising", "falling", "arch")]
    assert rewards == pytest.approx([1, 0, 1 / 1.7])
    times = (np.arange(16) + 0.5) / 16
    r = np.corrcoef(times, np.sin(2 * np.pi * times))[0, 1]
    assert reward("contour:wave", rising) == pytest.approx([(1 + r) / 1.7])
    assert r < 0


def test_a_contour_is_satisfied_from_a_correlation_of_seven_tenths():
    rng = np.random.default_rng(5)
    tunes = [line(*rng.permutation(np.arange(50, 66)), apart=16) for _ in range(400)]
    r = np.array([np.corrcoef(one.pitches, np.arange(16))[0, 1] for one in tunes])
    rewards = np.array(reward("contour:rising", *tunes))
    assert rewards == pytest.approx(np.minimum(1, (1 + r) / 1.7))
    assert np.array_equal(rewards == 1, r >= 0.7)


def test_the_height_of_a_bar_is_weighted_by_length_and_silent_bars_do_not_count():
    notes = [(0, 12, 60), (12, 4, 64), (48, 1, 62), (240, 16, 63)]  # 61, 62, 63
    places = (np.array([0, 3, 15]) + 0.5) / 16
    r = np.corrcoef(places, [61, 62, 63])[0, 1]
    assert reward("contour:falling", Melody.from_notes(notes)) == pytest.approx([(1 - r) / 1.7])


def test_a_melody_that_does_not_move_has_no_contour():
    assert reward("contour:arch", line(*[60] * 64), line(60)) == pytest.approx([1 / 1.7] * 2)
    ones = np.ones((1, 3))
    assert masked_correlation(ones, ones, ones > 0).tolist() == [0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "contour:zigzag",
            "a contour is one of arch, valley, rising, falling, wave, got 'zigzag'",
        ),
        ("max-repeats:0", "a number of notes must be a whole number from 1 to 256, got '0'"),
        ("max-leap:128", "semitones must be a whole number from 0 to 127, got '128'"),
        ("final-note:", "a note is a name such as C, F# or C4, or a MIDI number 0-127, got ''"),
        ("first-note:H", "got 'H'"),
        ("compass:", "a range of pitches must be LOW..HIGH"),
        ("compass:C5..C4", "the lower bound first, got 'C5..C4'"),
        ("steps", "a share must be LOW..HIGH, LOW.. or ..HIGH, got ''"),
    ],
)
def test_arguments_that_make_no_sense(spec, message):
    with pytest.raises(UsageError, match=message):
        find_rule(spec)
