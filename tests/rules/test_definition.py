"""Rules of the user's own: what they may return, and what they are told when they may not."""

import re
from functools import lru_cache, partial
from types import SimpleNamespace

import numpy as np
import pytest

from melodyconstraints.errors import RuleError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import find_rule
from melodyconstraints.rules.definition import Rule, rule

BATCH = Melodies.stack(
    [Melody.from_notes([]), Melody.from_notes([(0, 4, 60), (4, 4, 67)])],
)


def test_a_function_of_one_melody_is_called_for_each():
    @rule
    def half_a_note(melody):
        """Half a point for each note.

        More text.
        """
        assert isinstance(melody, Melody)
        return len(melody) / 2

    assert half_a_note(BATCH).tolist() == [0.0, 1.0]
    assert half_a_note(BATCH).dtype == np.float64
    assert (half_a_note.name, half_a_note.spec) == ("half_a_note", "half_a_note")
    assert half_a_note.description == "Half a point for each note."
    assert not half_a_note.batched


def test_a_function_of_a_batch_is_called_once():
    calls = []

    @rule(batched=True, name="counted")
    def function(melodies):
        calls.append(melodies)
        return melodies.note_counts / 2

    assert function(BATCH).tolist() == [0.0, 1.0]
    assert calls == [BATCH]
    assert (function.name, function.batched, function.description) == ("counted", True, "")


def test_an_option_without_batched_leaves_a_function_of_one_melody():
    named = rule(name="other")(lambda melody: 0.25)
    assert (named.name, named(BATCH).tolist()) == ("other", [0.25, 0.25])


@pytest.mark.parametrize(
    "value", [1, True, 1.0, np.float32(1), np.array(1), np.array([1.0]), [1.0]]
)
def test_anything_that_is_one_number_may_be_returned(value):
    assert Rule("one", lambda melody: value)(BATCH).tolist() == [1.0, 1.0]


def test_a_list_may_be_returned_for_a_batch():
    assert Rule("list", lambda melodies: [0, 1], batched=True)(BATCH).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.5, "1.5"),
        (-0.1, "-0.1"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (None, "None"),
        ("0.5", "'0.5'"),
        ("high", "'high'"),
        ({}, "{}"),
        (1j, "1j"),
        (1 + 1e-8, "1.00000001"),
        (-1e-8, "-1e-08"),
        (np.complex128(1), "np.complex128(1+0j)"),
        (np.datetime64(1, "s"), "np.datetime64('1970-01-01T00:00:01')"),
    ],
)
def test_a_value_that_is_no_reward_is_named_with_rule_and_melody(value, shown):
    wrong = Rule("wrong", lambda melody: value if len(melody) else 0.5)
    expected = (
        f"rule wrong gave {shown} for melody 2 of 2, Melody(2 notes, pitches 60-67); "
        "a reward must be a number in [0, 1]"
    )
    with pytest.raises(RuleError, match=f"^{re.escape(expected)}$"):
        wrong(BATCH)


@pytest.mark.parametrize(("value", "count"), [([0.5, 0.5], 2), ([], 0), (np.ones((2, 2)), 4)])
def test_several_numbers_for_one_melody_are_refused(value, count):
    expected = f"rule many gave {count} numbers for melody 1 of 2, Melody(empty); give one, or use"
    with pytest.raises(RuleError, match=re.escape(expected)):
        Rule("many", lambda melody: value)(BATCH)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("value", [[0.1, [0.2]], object()])
def test_what_numpy_cannot_read_is_refused(batched, value):
    with pytest.raises(RuleError, match=r"rule odd gave .* a reward must be a number in \[0, 1\]"):
        Rule("odd", lambda _: value, batched=batched)(BATCH)


@pytest.mark.parametrize(("value", "index"), [([2.0, 0.5], 1), ([0.5, float("nan")], 2)])
def test_the_melody_is_named_where_a_batch_has_one_wrong_value(value, index):
    wrong = Rule("wrong", lambda melodies: value, batched=True)
    with pytest.raises(RuleError, match=rf"gave (2\.0|nan) for melody {index} of 2"):
        wrong(BATCH)


@pytest.mark.parametrize(
    ("value", "shape"), [(0.5, "()"), ([0.5], "(1,)"), ([[0.5], [0.5]], "(2, 1)")]
)
def test_a_batched_rule_must_give_one_value_for_each_melody(value, shape):
    expected = f"rule flat gave shape {shape} for a batch of 2 melodies; a batched rule must give"
    with pytest.raises(RuleError, match=re.escape(f"{expected} (2,)")):
        Rule("flat", lambda melodies: value, batched=True)(BATCH)


@pytest.mark.parametrize("value", [None, "0.5", ["0.5", "0.5"], [None, 0.5]])
def test_text_and_none_are_no_rewards_of_a_batch(value):
    with pytest.raises(RuleError, match=r"rule text gave .*; a reward must be a number in \[0, 1"):
        Rule("text", lambda melodies: value, batched=True)(BATCH)


@pytest.mark.parametrize("value", [None, "0.5"])
def test_no_code_is_at_fault_where_a_rule_gives_no_number(value):
    with pytest.raises(RuleError) as caught:
        Rule("text", lambda melodies: value, batched=True)(BATCH)
    assert caught.value.__cause__ is None


def test_a_rule_that_raises_names_the_melody_and_keeps_the_cause():
    def last_pitch(melody):
        return float(melody.pitches[-1] % 12 == 0)

    expected = r"rule ends raised IndexError: .* for melody 1 of 2, Melody\(empty\)"
    with pytest.raises(RuleError, match=expected) as caught:
        Rule("ends", last_pitch)(BATCH)
    assert isinstance(caught.value.__cause__, IndexError)


def test_a_batched_rule_that_raises_keeps_the_cause():
    def divide(melodies):
        return 1 // 0

    expected = "rule d raised ZeroDivisionError: .* for a batch of 2 melodies"
    with pytest.raises(RuleError, match=expected) as caught:
        Rule("d", divide, batched=True)(BATCH)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(
    ("value", "reward"),
    [
        (1.0000000000000002, 1.0),
        (1 + 9e-10, 1.0),
        (-9e-10, 0.0),
        (np.nextafter(np.float32(1), np.float32(2)), 1.0),  # an ulp above 1 in float32
        (1 - 1e-10, 1 - 1e-10),
    ],
)
def test_a_reward_outside_by_rounding_is_clipped(value, reward, batched):
    given = np.array([value] * 2) if batched else value
    assert Rule("mean", lambda _: given, batched)(BATCH).tolist() == [reward] * 2


def test_complex_rewards_of_a_batch_are_refused_even_without_an_imaginary_part():
    with pytest.raises(RuleError, match=r"rule wave gave array\(\[0.*j\]\) for a batch of 2"):
        Rule("wave", lambda _: np.zeros(2, complex), batched=True)(BATCH)


def test_a_rule_of_one_melody_gives_a_float():
    for found in (find_rule("cmajor"), rule(lambda melody: len(melody) / 4)):
        assert isinstance(found(BATCH[1]), float)
    assert find_rule("cmajor")(BATCH[1]) == 1.0
    assert rule(lambda melody: len(melody) / 4)(BATCH[1]) == 0.5
    assert rule(batched=True)(lambda melodies: melodies.note_counts / 8)(BATCH[1]) == 0.25
    with pytest.raises(RuleError, match=r"rule one gave 2\.0 for melody 1 of 1, Melody\(2 notes"):
        Rule("one", lambda melody: 2)(BATCH[1])


def test_what_holds_a_melody_is_named():
    found = SimpleNamespace(melody=Melody.from_notes([]))
    with pytest.raises(UsageError, match=r"got SimpleNamespace; take its \.melody"):
        find_rule("cmajor")(found)


@pytest.mark.parametrize("thing", [None, [BATCH[0]], BATCH.events])
def test_what_is_neither_a_melody_nor_a_batch_is_refused(thing):
    name = type(thing).__name__
    with pytest.raises(UsageError, match=f"a rule takes a Melody or Melodies, got {name}"):
        find_rule("cmajor")(thing)


def _share(melody, n):
    """Share of n notes."""
    return min(len(melody) / n, 1.0)


class Dense:
    """Dense enough."""

    def __init__(self, n):
        self.n = n

    def __call__(self, melody):
        return _share(melody, self.n)

    def counted(self, melodies: Melodies):
        return melodies.note_counts / self.n


class DenseBatch(Dense):
    def __call__(self, melodies: Melodies):
        return self.counted(melodies)


@pytest.mark.parametrize(
    ("function", "name", "description"),
    [
        (partial(_share, n=8), "_share", "Share of n notes."),
        (partial(partial(_share, n=3), n=8), "_share", "Share of n notes."),
        (Dense(8), "Dense", "Dense enough."),
        (DenseBatch(8), "DenseBatch", ""),
        (Dense(8).counted, "counted", ""),
        (lru_cache(partial(_share, n=8)), "_share", "Share of n notes."),
        (lru_cache(lambda melody: len(melody) / 8), "<lambda>", ""),
        (np.vectorize(lambda melody: len(melody) / 8), "<lambda>", None),
    ],
)
def test_callables_of_all_kinds_are_rules(function, name, description):
    found = rule(function)
    assert found(BATCH).tolist() == [0.0, 0.25]
    assert found.name == name
    assert description is None or found.description == description


def test_an_empty_batch_gives_no_rewards():
    nothing = Melodies.stack([])
    assert Rule("one", lambda melody: 1 / 0)(nothing).shape == (0,)
    assert Rule("all", lambda melodies: melodies.note_counts, True)(nothing).shape == (0,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rule(5), "@rule stands above a function, got 5"),
        (lambda: Rule("mine", None), "function of Rule must be a function, got None"),
        (lambda: Rule("mine", len, takes="score"), "takes must be one of .*, got 'score'"),
        (
            lambda: Rule("mine", len, takes="batch"),
            "takes must be one of melody, pretty_midi, note_sequence, got 'batch'",
        ),
    ],
)
def test_what_no_rule_can_be_made_of_is_refused_at_once(make, message):
    with pytest.raises(UsageError, match=message):
        make()


class Unreadable:
    """Ends the program where it is turned into numbers or text."""

    def __array__(self, *_, **__):
        raise SystemExit(3)

    def __repr__(self):
        raise SystemExit(4)


class MuteError(Exception):
    """An error whose text cannot be had."""

    def __str__(self):
        raise RuntimeError("nor this one")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Unreadable(), "<Unreadable>"),
        (np.ma.masked, "masked"),
        (np.ma.array(0.5, mask=True), "masked_array"),
    ],
)
def test_a_result_that_is_no_number_on_second_sight_is_refused_by_the_rules_name(value, named):
    odd = Rule("odd", lambda melody: value)
    with pytest.raises(RuleError, match=rf"rule odd gave {named}.* for melody 1 of 1"):
        odd(Melody.from_notes([]))


def test_a_masked_reward_of_a_batch_is_refused():
    masked = Rule("odd", lambda batch: np.ma.array([0.5, 0.5], mask=[False, True]), batched=True)
    with pytest.raises(RuleError, match=r"rule odd gave .* for a batch of 2 melodies; a"):
        masked(Melodies.stack([Melody.from_notes([])] * 2))
    whole = Rule("whole", lambda batch: np.ma.array([0.5]), batched=True)
    assert whole(Melody.from_notes([])) == 0.5


def test_an_error_without_a_text_is_told_by_its_kind():
    def fails(melody):
        raise MuteError

    with pytest.raises(
        RuleError, match=r"rule fails raised MuteError: \(its text cannot be read\) for melody 1"
    ):
        rule(fails)(Melody.from_notes([]))
