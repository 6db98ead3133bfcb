"""What stands behind a rule's colon, and rewards for ranges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melodyconstraints.errors import UsageError
from melodyconstraints.rules import arguments
from melodyconstraints.rules.arguments import Range, parse_range, parse_shares, with_share


@pytest.mark.parametrize(
    ("text", "low", "high", "told"),
    [
        ("192", 192, 256, "at least 192"),
        ("192..", 192, 256, "at least 192"),
        ("..96", 0, 96, "at most 96"),
        ("64..96", 64, 96, "from 64 to 96"),
        ("64..64", 64, 64, "from 64 to 64"),
        ("0", 0, 256, "at least 0"),
    ],
)
def test_a_range_has_one_bound_or_two(text, low, high, told):
    found = parse_range(text, float, 0, 256, "notes")
    assert found == Range(low, high, 0, 256)
    assert str(found) == told


@pytest.mark.parametrize("text", ["", ".."])
def test_a_range_without_bounds_is_refused(text):
    with pytest.raises(UsageError, match=r"notes must be LOW..HIGH, LOW.. or ..HIGH, got '"):
        parse_range(text, float, 0, 256, "notes")


@pytest.mark.parametrize("text", ["96..64", "257", "..257"])
def test_a_range_that_cannot_be_is_refused(text):
    with pytest.raises(UsageError, match=rf"notes must be from 0 to 256, the lower .* '{text}'"):
        parse_range(text, float, 0, 256, "notes")


def test_rewards_fall_to_the_ends_of_the_scale():
    values = np.array([0, 1, 2, 4, 6, 8, 9, 10])
    rewards = Range(4, 6, floor=0, ceiling=10).reward(values)
    assert rewards.tolist() == [0, 0.25, 0.5, 1, 1, 0.5, 0.25, 0]
    assert Range(4, 6, floor=2, ceiling=8).reward(values).tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert Range(0, 6, floor=0, ceiling=6).reward(np.array([0, 6])).tolist() == [1, 1]


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_a_reward_is_one_within_the_range_and_only_there(low, width, value):
    bounds = Range(low, low + width, 0, 100)
    (reward,) = bounds.reward(np.array([value]))
    assert (reward == 1) == (low <= value <= low + width)
    assert 0 <= reward <= 1


def test_a_sum_of_fractions_reaches_its_bound():
    assert Range(0.3, 1, 0, 1).reward(np.array([0.1 + 0.1 + 0.1 - 1e-16])).tolist() == [1]
    assert Range(0, 0.3, 0, 1).reward(np.array([0.1 + 0.2])).tolist() == [1]


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        ("share", "60%", 0.6),
        ("share", "0.6", 0.6),
        ("share", "33.3%", 0.333),
        ("share", "1", 1),
        ("number", "2.5", 2.5),
        ("length", "1", 1),
        ("length", "256", 256),
        ("length", "1/16", 1),
        ("length", "3/8", 6),
        ("length", "1/1", 16),
        ("pitch", "0", 0),
        ("pitch", "4", 4),
        ("pitch", "127", 127),
        ("pitch", "C4", 60),
        ("pitch", "c4", 60),
        ("pitch", "C-1", 0),
        ("pitch", "G9", 127),
        ("pitch", "F#3", 54),
        ("pitch", "Bb-1", 10),
        ("pitch", "Cb4", 59),
        ("pitch", "B#3", 60),
    ],
)
def test_values_are_parsed(parse, text, value):
    assert getattr(arguments, f"parse_{parse}")(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        ("share", "half", "a share is written 60% or 0.6, got 'half'"),
        ("share", "-1%", "got '-1%'"),
        ("number", "2,5", "a number is written 2, 2.5 or -2.5, got '2,5'"),
        ("length", "0", "a length is a number of sixteenths from 1 to 256, or .*, got '0'"),
        ("length", "257", "got '257'"),
        ("length", "1/3", "got '1/3'"),
        ("length", "1/0", "got '1/0'"),
        ("length", "0/4", "got '0/4'"),
        ("length", "", "got ''"),
        ("pitch", "128", "a pitch is a MIDI number 0-127 or a note name .*, got '128'"),
        ("pitch", "G#9", "got 'G#9'"),
        ("pitch", "Cb-1", "got 'Cb-1'"),
        ("pitch", "C", "got 'C'"),
        ("pitch", "H4", "got 'H4'"),
    ],
)
def test_what_cannot_be_parsed_is_quoted(parse, text, message):
    with pytest.raises(UsageError, match=message):
        getattr(arguments, f"parse_{parse}")(text)


@pytest.mark.parametrize("text", ["101%", "1.5", "60%..40%"])
def test_shares_lie_between_nothing_and_all(text):
    with pytest.raises(UsageError, match=f"a share must be from 0 to 1, .*, got '{text}'"):
        parse_shares(text)


@pytest.mark.parametrize(
    ("text", "before", "low", "high"),
    [
        ("4", "4", 1, 1),
        ("4,80%", "4", 0.8, 1),
        ("4,..20%", "4", 0, 0.2),
        ("C,Am7", "C,Am7", 1, 1),
        ("C,Am7,0.5..0.75", "C,Am7", 0.5, 0.75),
    ],
)
def test_a_share_may_stand_last(text, before, low, high):
    assert with_share(text) == (before, Range(low, high, 0, 1))
