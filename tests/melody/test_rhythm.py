"""Rhythms by hand."""

import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.rhythm import signs_of_rhythm


@pytest.mark.parametrize(
    ("text", "bar"),
    [
        ("x...", "x...x...x...x..."),
        ("x_.x|....", "x_.x....x_.x...."),
        (15 * "." + "x|" + 16 * "x", 15 * "." + "x"),
    ],
)
def test_signs_are_repeated_through_16_bars(text, bar):
    signs = signs_of_rhythm(text)
    assert len(signs) == 256
    assert "".join(signs[:16]) == bar
    assert "".join(signs[224:240]) == bar


@pytest.mark.parametrize("text", ["", "x", "x..", "x..y", "X...", 12 * "x"])
def test_other_texts_are_refused(text):
    with pytest.raises(UsageError, match=r"a rhythm has 4, .* got \d+ in "):
        signs_of_rhythm(text)


@pytest.mark.parametrize("text", ["....", "_.._"])
def test_a_rhythm_without_a_note_is_refused(text):
    with pytest.raises(UsageError, match="write an x"):
        signs_of_rhythm(text)


def test_spaces_may_stand_where_bar_lines_may():
    assert (signs_of_rhythm(" x..x | ..x.") == signs_of_rhythm("x..x..x.")).all()
