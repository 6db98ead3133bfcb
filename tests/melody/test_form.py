"""Forms by hand."""

import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.form import form_of

NEW = [-1] * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AABA", [*NEW, 0, 1, 2, 3, *NEW, 0, 1, 2, 3]),
        ("abac", [*NEW, *NEW, 0, 1, 2, 3, *NEW]),
        ("ABA'C", [*NEW, *NEW, 0, 1, 2, -1, *NEW]),
        ("AA'", [-1] * 8 + [0, 1, 2, 3, 4, 5, -1, -1]),
        ("AAAAABCDAAAAABCD", [-1, 0, 0, 0, 0, -1, -1, -1, 0, 0, 0, 0, 0, 5, 6, 7]),
        ("none", [-1] * 16),
        ("A", [-1] * 16),
    ],
)
def test_a_form_says_which_bars_repeat_which(text, expected):
    assert form_of(text).tolist() == expected


def test_auto_leaves_the_form_to_the_model():
    assert form_of("auto") is None


@pytest.mark.parametrize("text", ["", "A1BA", "'A", "A B"])
def test_other_texts_are_refused(text):
    with pytest.raises(
        UsageError, match=f"a form is auto, none, or letters such .*, got {text!r}"
    ):
        form_of(text)


@pytest.mark.parametrize(("text", "count"), [("AAB", 3), ("ABABA", 5), ("A'BA'CBC", 6)])
def test_letters_that_do_not_divide_the_bars_are_refused(text, count):
    told = rf"divide 16 bars evenly: 1, 2, 4, 8 or 16 letters, such as AABA; got {count}, "
    with pytest.raises(UsageError, match=told):
        form_of(text)
