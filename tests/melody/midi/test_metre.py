"""Bars counted by hand, through changes of metre."""

import pytest

from melodyconstraints.melody.midi.metre import Metre, on_bar_lines, signatures_by_tick

QUARTER = 480


def metre(*changes):
    """A metre from (quarter, numerator, denominator)."""
    ticks = [(int(quarter * QUARTER), above, below) for quarter, above, below in changes]
    return Metre(signatures_by_tick(ticks), QUARTER)


@pytest.mark.parametrize(
    ("name", "changes", "quarters", "bars"),
    [
        ("no signature is 4/4", [], [0, 3.99, 4, 40], [1, 1, 2, 11]),
        ("3/4", [(0, 3, 4)], [0, 2.99, 3, 9], [1, 1, 2, 4]),
        ("6/8", [(0, 6, 8)], [2.99, 3], [1, 2]),
        ("2/2", [(0, 2, 2)], [3.99, 4], [1, 2]),
        ("5/16", [(0, 5, 16)], [1.24, 1.25, 2.5], [1, 2, 3]),
        ("pick-up bar", [(0, 1, 4), (1, 4, 4)], [0.5, 1, 4.99, 5], [1, 2, 2, 3]),
        ("3/4, then 4/4", [(0, 3, 4), (6, 4, 4)], [5.99, 6, 10], [2, 3, 4]),
        (
            "a bar cut short counts as one",
            [(0, 4, 4), (6, 4, 4)],
            [5.99, 6, 9.99, 10],
            [2, 3, 3, 4],
        ),
        ("a signature late", [(8, 3, 4)], [7.99, 8, 11], [2, 3, 4]),
    ],
)
def test_bars_by_hand(name, changes, quarters, bars):
    found = metre(*changes)
    assert [found.bar_at(int(quarter * QUARTER)) for quarter in quarters] == bars, name


@pytest.mark.parametrize("broken", [(0, 4), (4, 0), (0, 0)])
def test_a_signature_that_makes_no_sense_counts_like_4_4(broken):
    found = metre((0, *broken))
    assert [found.bar_at(tick) for tick in (0, 1919, 1920)] == [1, 1, 2]
    assert found.signature_of(1) == broken


def test_every_bar_has_the_signature_it_stands_under():
    found = metre((0, 3, 4), (6, 4, 4), (14, 2, 2))
    assert [found.signature_of(bar) for bar in range(1, 7)] == [
        *[(3, 4)] * 2,
        *[(4, 4)] * 2,
        *[(2, 2)] * 2,
    ]


def test_signatures_are_told_once_in_order_of_appearance_up_to_a_bar():
    found = metre((0, 3, 4), (6, 4, 4), (10, 3, 4), (13, 5, 8))
    assert found.signatures(2) == [(3, 4)]
    assert found.signatures(4) == [(3, 4), (4, 4)]
    assert found.signatures(5) == [(3, 4), (4, 4), (5, 8)]


def test_of_several_signatures_at_one_tick_the_last_holds_whatever_their_order():
    assert signatures_by_tick([(960, 3, 4), (0, 2, 2), (960, 5, 4)]) == {0: (2, 2), 960: (5, 4)}
    assert list(signatures_by_tick([(960, 3, 4), (480, 5, 4)]).items()) == [
        (0, (4, 4)),
        (480, (5, 4)),
        (960, (3, 4)),
    ]


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("two ticks early", {0: (4, 4), 23038: (4, 4)}, {0: (4, 4), 23040: (4, 4)}),
        ("two ticks late", {0: (4, 4), 23042: (3, 4)}, {0: (4, 4), 23040: (3, 4)}),
        ("half a step", {0: (4, 4), 1980: (3, 4)}, {0: (4, 4), 1980: (3, 4)}),
        ("a tick less", {0: (4, 4), 1979: (3, 4)}, {0: (4, 4), 1920: (3, 4)}),
        ("behind the first tick", {0: (4, 4), 2: (3, 4)}, {0: (3, 4)}),
        (
            "by the bar lines of the metre before, where that was placed",
            {0: (3, 4), 1441: (4, 4), 3361: (2, 4), 4321: (4, 4)},
            {0: (3, 4), 1440: (4, 4), 3360: (2, 4), 4320: (4, 4)},
        ),
        ("a pick-up of an eighth", {0: (1, 8), 240: (4, 4)}, {0: (1, 8), 240: (4, 4)}),
        ("of which an eighth is less", {0: (1, 8), 270: (4, 4)}, {0: (1, 8), 270: (4, 4)}),
        ("a bar of a fraction of ticks", {0: (1, 1024), 2: (4, 4)}, {0: (1, 1024), 2: (4, 4)}),
        ("of no sense", {0: (0, 4), 1921: (4, 4)}, {0: (0, 4), 1920: (4, 4)}),
    ],
)
def test_a_change_just_off_a_bar_line_is_placed_on_it(name, changes, expected):
    assert on_bar_lines(changes, QUARTER) == expected, name
