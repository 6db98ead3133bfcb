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
        ("ABA'CDEFG", [*NEW, 0, -1, *NEW, *NEW, -1, -1]),
        ("AA'BA'", [*NEW, 0, 1, 2, -1, *NEW, 4, 5, 6, 7]),
        ("aa'Ba", [*NEW, 0, 1, 2, -1, *NEW, 0, 1, 2, 3]),
        ("AAAAABCDAAAAABCD", [-1, 0, 0, 0, 0, -1, -1, -1, 0, 0, 0, 0, 0, 5, 6, 7]),
        ("none", [-1] * 16),
        ("A", [-1] * 16),
    ],
)
def test_a_form_says_which_bars_repeat_which(text, expected):
    assert form_of(text).repeats.tolist() == expected


def test_auto_leaves_the_form_to_the_model():
    assert form_of("auto") is None


@pytest.mark.parametrize("text", ["", "A1BA", "'A", "A B"])
def test_other_texts_are_refused(text):
    with pytest.raises(
        UsageError, match=f"a form is auto, none, or letters such .*, got {text!r}"
    ):
        form_of(text)


@pytest.mark.parametrize(("text", "count"), [("AAB", 3), ("ABABA", 5), ("ABA'CBC", 6)])
def test_letters_that_do_not_divide_the_bars_are_refused(text, count):
    told = rf"divide 16 bars evenly: 1, 2, 4, 8 or 16 letters, such as AABA; got {count}, "
    with pytest.raises(UsageError, match=told):
        form_of(text)


@pytest.mark.parametrize(
    ("text", "bars", "begun"),
    [
        ("ABA'C", {}, 0),
        ("ABA'CDEFG", {5: 1}, 8),
        ("ABCDA'BCDABCDA'B'C'D'", {4: 0, 13: 1, 14: 2, 15: 3}, 12),
        ("none", {}, 0),
    ],
)
def test_the_last_quarter_of_a_section_with_a_prime_is_new(text, bars, begun):
    form = form_of(text)
    assert {i: bar for i, bar in enumerate(form.begins.tolist()) if bar != -1} == bars
    assert form.begun == begun
    assert not (set(bars) & {i for i, bar in enumerate(form.repeats.tolist()) if bar != -1})


@pytest.mark.parametrize("text", ["A'BAC", "AAB'A"])
def test_a_prime_on_what_repeats_nothing_is_refused(text):
    with pytest.raises(UsageError, match=f"repeats no [AB] before it; write [AB] first.*{text!r}"):
        form_of(text)
