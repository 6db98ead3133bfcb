"""Rules on onsets and lengths against rewards computed by hand."""

import numpy as np
import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.statistics import groove_consistency
from melodyconstraints.rules import find_rule


def notes(*places):
    """Notes from (onset, length)."""
    return Melody.from_notes([(onset, length, 60) for onset, length in places])


def reward(spec, *melodies):
    return find_rule(spec)(Melodies.stack(melodies)).tolist()


def test_a_beat_is_every_fourth_sixteenth():
    melody = notes(*[(step, 1) for step in (0, 1, 2, 3, 4, 100, 102, 255)])
    assert reward("on-beat:100%", melody) == [3 / 8]
    assert reward("off-beat:100%", melody) == [5 / 8]
    assert reward("off-beat:..50%", melody) == [pytest.approx(3 / 8 / 0.5)]


@pytest.mark.parametrize(
    ("onset", "length", "syncopated"),
    [
        (0, 256, False),
        (16, 64, False),
        (1, 1, False),
        (1, 2, True),
        (2, 2, False),
        (2, 3, True),
        (4, 4, False),
        (4, 5, True),
        (6, 2, False),
        (6, 3, True),
        (8, 8, False),
        (8, 9, True),
        (12, 4, False),
        (12, 5, True),
        (15, 2, True),
        (31, 1, False),
    ],
)
def test_a_syncopated_note_sounds_through_a_stronger_place(onset, length, syncopated):
    assert reward("syncopation:100%", notes((onset, length))) == [syncopated]


def test_the_mean_length_is_that_of_sounding_sixteenths():
    melody = notes((0, 1), (1, 2), (3, 4), (100, 6))
    rewards = [1, 3.25 / 4, 1 - 1.25 / 16]
    asked = "mean-length:3..3.25", "mean-length:4", "mean-length:1..2"
    assert [reward(spec, melody)[0] for spec in asked] == pytest.approx(rewards)


@pytest.mark.parametrize(
    ("onset", "length", "one_beat", "four_beats"),
    [
        (252, 4, 1, 1 / 2 + 1 / 8),
        (240, 16, 1, 1),
        (0, 3, 1 / 2 + 3 / 8, 1 / 2 + 3 / 32),
        (1, 8, 3 / 4, 1 / 4 + 1 / 4),
        (2, 16, 1 / 2, 1 / 2),
        (255, 1, 1 / 4 + 1 / 8, 1 / 4 + 1 / 32),
        (254, 2, 1 / 4, 1 / 16),
    ],
)
def test_an_ending_is_long_and_on_a_beat(onset, length, one_beat, four_beats):
    """The mean of how near its start is to a beat and of how much of its length it has."""
    melody = notes((onset, length))
    assert reward("long-ending:1", melody) == reward("long-ending", melody) == [one_beat]
    assert reward("long-ending:4", melody) == [four_beats]


def test_an_ending_is_the_last_note_alone():
    assert reward("long-ending:0.5", notes((1, 1), (4, 2)), notes((0, 8), (13, 1))) == [1, 0.5]
    assert find_rule("long-ending").description == (
        "the last note starts on a beat and lasts at least 1 beat"
    )


def test_longest_and_shortest_are_allowed_themselves():
    melody = notes((0, 1), (1, 2), (3, 4), (7, 6))
    assert reward("max-length:4", melody) == [0.75]
    assert reward("max-length:3/8", melody) == [1]
    assert reward("min-length:2", melody) == [0.75]
    assert reward("min-length:1/4", melody) == [0.5]


def test_rests_count_silent_steps():
    half = notes((0, 128))
    assert reward("rests:50%", half, notes((0, 192)), notes((0, 256))) == [1, 0.5, 0]
    assert reward("rests:..25%", half, notes((0, 192))) == [pytest.approx(0.5 / 0.75), 1]


def test_a_rhythm_is_repeated_and_compared_by_dice():
    quarters = notes(*[(step, 1) for step in range(0, 256, 4)])
    assert reward("rhythm:x...", quarters) == [1]
    assert reward("rhythm:x...|....|x...|....", quarters) == [2 * 32 / (32 + 64)]
    assert reward("rhythm:.x..", quarters) == [0]
    assert reward("rhythm:x._." + "....", quarters) == [2 * 32 / (32 + 64)]
    assert reward("rhythm:x..." + "_...", quarters) == [1]
    assert reward("rhythm:x..." + "...." * 63, quarters) == [2 / 65]
    assert reward("rhythm:x...", notes((0, 1)), notes((1, 1))) == [2 / 65, 0]


def test_groove_is_the_statistic():
    rng = np.random.default_rng(1)
    batch = Melodies(rng.integers(60, 130, (20, 256)))
    expected = np.minimum(1, groove_consistency(batch) / 0.9)
    assert find_rule("groove:90%")(batch) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rhythm:x..", r"a rhythm has 4, 8, .* got 3 in 'x\.\.'"),
        ("rhythm:", "got 0 in ''"),
        ("rhythm:x..o", r"x for a note, \. for none, _ for either, got 4 in 'x\.\.o'"),
        ("rhythm:.._.", r"a rhythm has a note somewhere, write an x, got '\.\._\.'"),
        ("max-length:1/5", "a length is a number of sixteenths"),
        ("long-ending:0", r"lasts from 0\.25 to 64 beats in steps of 0\.25, got '0'"),
        ("long-ending:64.25", "got '64.25'"),
        ("long-ending:0.3", "got '0.3'"),
        ("long-ending:-1", "got '-1'"),
        ("long-ending:a beat", r"a number is written 2, 2\.5 or -2\.5, got 'a beat'"),
        ("density:..", "density must be LOW..HIGH"),
    ],
)
def test_arguments_that_make_no_sense(spec, message):
    with pytest.raises(UsageError, match=message):
        find_rule(spec)
