"""Rules made of rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melodyconstraints.errors import RuleNotFoundError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import Rule, all_of, any_of, find_rule, negate

BATCH = Melodies.stack([Melody.from_notes([]), Melody.from_notes([(0, 4, 60), (4, 4, 66)])])


def constant(value, name="c"):
    return Rule(f"{name}{value}", lambda melodies: np.full(len(melodies), value), batched=True)


def half(melody):
    return 0.5


def test_specifications_rules_and_functions_are_combined():
    every = all_of(["cmajor", constant(1.0), half])
    assert every(BATCH) == pytest.approx([0.5, 2 / 3])
    assert every.name == "all_of(cmajor, c1.0, half)"
    assert every.description == "all of: cmajor; c1.0; half"
    assert any_of(["cmajor", "density:2", half])(BATCH).tolist() == [0.5, 1]


def test_weights_say_how_much_each_counts():
    assert all_of(["cmajor", "density:2"], weights=[3, 1])(BATCH).tolist() == [0, 0.625]


@given(st.lists(st.sampled_from([0.0, 0.3, 1 - 1e-5, 1 - 1e-7, 1.0]), min_size=1, max_size=5))
def test_all_is_satisfied_where_every_one_is_and_any_where_one_is(values):
    parts = [constant(value, f"{place}:") for place, value in enumerate(values)]
    weights = [10.0 ** (-9 * place) for place in range(len(values))]
    met = [value >= 1 - 1e-6 for value in values]
    for every in (all_of(parts), all_of(parts, weights)):
        (reward, _) = every(BATCH)
        assert (reward >= 1 - 1e-6) == (reward == 1) == all(met)
    assert (any_of(parts)(BATCH)[0] >= 1 - 1e-6) == any(met)
    for part, one in zip(parts, met, strict=True):
        assert negate(part)(BATCH).tolist() == [float(not one)] * 2


def test_not_is_satisfied_where_the_rule_is_not():
    rule = find_rule("not:cmajor")
    assert rule(BATCH).tolist() == [1, 1]
    assert (rule.name, rule.spec) == ("not:cmajor", "not:cmajor")
    assert rule.description == "not: share of notes in {0, 2, 4, 5, 7, 9, 11}"
    assert find_rule("not:density:2")(BATCH).tolist() == [1, 0]
    assert find_rule("not:not:density:2")(BATCH).tolist() == [0, 1]


def test_not_finds_a_rule_of_a_file_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def f(melody):\n    return 1\n")
    assert find_rule("not:mine.py:f").spec == f"not:{tmp_path.resolve() / 'mine.py'}:f"


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -1], [1, np.nan], [1, np.inf], []])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(UsageError, match="weights must be 2 positive numbers, one a rule, got"):
        all_of(["cmajor", "density:2"], weights)


@pytest.mark.parametrize("combine", [all_of, any_of])
def test_nothing_to_combine_is_refused(combine):
    with pytest.raises(UsageError, match="give at least one rule to combine"):
        combine([])


@pytest.mark.parametrize("combine", [all_of, any_of])
@pytest.mark.parametrize("one", ["cmajor", constant(1.0)])
def test_one_rule_in_place_of_a_list_is_refused(combine, one):
    with pytest.raises(UsageError, match=r"^rules.* must be a list of .*, got "):
        combine(one)


def test_not_of_nothing_and_of_what_is_not_there():
    with pytest.raises(UsageError, match="not takes another rule behind the colon; for example"):
        find_rule("not:")
    with pytest.raises(RuleNotFoundError, match="there is no rule 'cmajr'; did you mean cmajor"):
        find_rule("not:cmajr")
