"""Each clause of the contract catches the rule that breaks it, and passes those that keep it."""

import random

import numpy as np
import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import find_rule
from melodyconstraints.rules.contract import CONTRACT, check_contract, melodies_per_second
from melodyconstraints.rules.definition import Rule

TUNES = Melodies.stack(
    [Melody.from_notes([(0, 4, 60 + n), (4, 4, 72 - n), (8, 4, 64)]) for n in range(5)]
)
NUMBERS, EXTREMES, AGAIN, ORDER, ALONE = (clause.says for clause in CONTRACT)


def broken(function, batched=False):
    """What is broken, by what the clauses say."""
    findings = check_contract(Rule("mine", function, batched), TUNES)
    assert [one.says for one in findings] == [clause.says for clause in CONTRACT]
    return {one.says: one.broken for one in findings if one.broken}


@pytest.mark.parametrize("spec", ["cmajor", "density:192", "density:0"])
def test_rules_of_the_library_keep_it(spec):
    assert [one.broken for one in check_contract(find_rule(spec), TUNES)] == [None] * 5


def test_a_rule_of_chance_is_caught():
    chance = np.random.default_rng(0)
    for draw in (chance.random, random.random, np.random.rand, lambda: torch.rand(1)):
        found = broken(lambda melody: draw())  # noqa: B023
        assert "5 of 5 melodies differ" in found[AGAIN]
        assert NUMBERS not in found


def test_a_rule_with_a_memory_is_caught():
    calls = []

    def alternates(melodies):
        calls.append(0)
        return np.full(len(melodies), len(calls) % 2)

    assert broken(alternates, True)[AGAIN] == (
        "the reward of melody 1 is 0 the first time and 1 the second time (5 of 5 melodies differ)"
    )


def test_a_rule_that_looks_at_the_order_is_caught():
    found = broken(lambda melodies: np.arange(len(melodies)) / 10, True)
    assert found.keys() == {ORDER, ALONE}
    assert found[ORDER] == (
        "the reward of melody 1 is 0 in one order and 0.4 in the opposite order (4 of 5 melodies "
        "differ)"
    )
    assert found[ALONE] == (
        "the reward of melody 2 is 0.1 among others and 0 alone (4 of 5 melodies differ)"
    )


def test_a_rule_that_compares_with_the_batch_is_caught():
    def highest(melodies):
        return melodies.pitches.max(axis=1) / max(melodies.pitches.max(), 1)

    assert ALONE in broken(lambda melodies: np.clip(highest(melodies), 0, 1), True)


def test_a_rule_that_sorts_the_melodys_own_pitches_is_caught():
    def sorts(melody):
        melody.pitches.sort()
        return 0.5

    assert "is read-only (work on a copy: melody.pitches.copy())" in broken(sorts)[NUMBERS]


def test_a_batched_rule_that_writes_into_a_view_is_caught():
    def writes(melodies):
        melodies.durations[:] = 1
        return np.full(len(melodies), 0.5)

    assert "is read-only (work on a copy: melody.p" in broken(writes, True)[NUMBERS]


def test_writing_into_events_is_told_with_file_and_line():
    def writes(melody):
        melody.events[0] = 60
        return 0.5

    line = writes.__code__.co_firstlineno + 1
    found = broken(writes)
    assert "raised ValueError: assignment destination is read-only" in found[NUMBERS]
    assert found[NUMBERS].endswith(f"(test_contract.py, line {line})")


def test_a_rule_that_cannot_bear_silence_is_caught_where_it_raises():
    def last(melody):
        return melody.pitches[-1] / 127

    line = last.__code__.co_firstlineno + 1
    findings = check_contract(Rule("mine", last), TUNES)
    (finding,) = [one for one in findings if one.broken]
    assert finding.says == EXTREMES
    assert "raised IndexError" in finding.broken
    assert finding.broken.endswith(f"(test_contract.py, line {line})")
    assert isinstance(finding.error.__cause__, IndexError)


def test_the_line_is_the_users_and_not_that_of_a_library_it_calls():
    def reshapes(melody):
        return np.median(melody.pitches.reshape(7, 7))

    line = reshapes.__code__.co_firstlineno + 1
    assert broken(reshapes)[NUMBERS].endswith(f"(test_contract.py, line {line})")


def test_what_is_no_number_from_0_to_1_is_caught():
    found = broken(lambda melody: len(melody) / 2)
    assert "gave 1.5 for melody 1 of 5" in found[NUMBERS]
    assert "gave nan" in broken(lambda melody: float("nan"))[NUMBERS]


def test_rounding_of_sums_is_no_difference():
    assert broken(lambda melodies: np.full(len(melodies), 0.5) + 1e-12 * len(melodies), True) == {}


def test_a_rule_that_hangs_ends_the_check_at_its_clause():
    def hangs_on_silence(melody):
        while not len(melody):
            pass
        return 0.5

    line = hangs_on_silence.__code__.co_firstlineno + 1
    findings = check_contract(Rule("mine", hangs_on_silence), TUNES, seconds=0.05)
    assert [one.says for one in findings] == [NUMBERS, EXTREMES]
    expected = "rule mine gave nothing within 0.05 s for melody 1 of 1, Melody(empty)"
    assert findings[1].broken.startswith(f"{expected} (test_contract.py, line ")
    assert findings[1].broken.removesuffix(")")[-len(str(line)) :] in (str(line), str(line + 1))


def test_the_line_of_an_object_is_found():
    class Mine:
        def __call__(self, melody):
            return np.median(melody.pitches.reshape(7, 7))

    line = Mine.__call__.__code__.co_firstlineno + 1
    assert broken(Mine())[NUMBERS].endswith(f"(test_contract.py, line {line})")


def test_one_melody_is_too_few():
    with pytest.raises(UsageError, match="checked on at least 2 melodies, got 1"):
        check_contract(find_rule("cmajor"), TUNES[:1])


def test_speed_is_melodies_over_seconds():
    times = iter([10.0, 12.5])
    assert melodies_per_second(find_rule("cmajor"), TUNES, clock=lambda: next(times)) == 2.0
