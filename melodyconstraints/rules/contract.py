"""The contract of rules: what ``mc rules check`` checks.

>>> from melodyconstraints.melody.events import Melodies, Melody
>>> from melodyconstraints.rules import find_rule
>>> melodies = Melodies.stack([Melody.from_notes([(0, 4, 60)]), Melody.from_notes([(0, 4, 61)])])
>>> [finding.broken for finding in check_contract(find_rule("cmajor"), melodies)]
[None, None, None, None, None]

Shapes: ``B`` melodies.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import RuleError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules.definition import Rule
from melodyconstraints.rules.inputs import python_function
from melodyconstraints.rules.isolation import OutOfTime, time_limit

EQUAL = 1e-9
"""Rewards that differ by less are equal: a sum over a batch may be rounded another way."""

_ALONE = 32
"""Melodies whose rewards are computed one by one as well."""


@dataclass(frozen=True)
class Clause:
    """One clause of the contract.

    Args:
        says: text of the clause, one line.
        check: function from a rule and melodies to None, or to what was found instead; may raise
            RuleError.
    """

    says: str
    check: Callable[[Rule, Melodies], str | None]


@dataclass(frozen=True)
class Finding:
    """Whether a rule satisfies a clause.

    Args:
        says: text of the clause.
        broken: description of what was found instead; None where the rule satisfies the clause.
        error: error that the rule raised, if it did.
    """

    says: str
    broken: str | None = None
    error: RuleError | None = None


def check_contract(
    rule: Rule, melodies: Melodies, *, seconds: float | None = None
) -> list[Finding]:
    """Check a rule by every clause of :data:`CONTRACT`, on ``B`` melodies.

    Args:
        seconds: time limit of one call of the rule; a call that takes longer ends the check.

    Returns:
        One finding a clause, in their order.

    Raises:
        UsageError: fewer than 2 melodies.
    """
    if len(melodies) < 2:
        raise UsageError(f"a contract is checked on at least 2 melodies, got {len(melodies)}")
    findings: list[Finding] = []
    with nullcontext() if seconds is None else time_limit(seconds):
        for clause in CONTRACT:
            finding = _finding(clause, rule, melodies)
            findings.append(finding)
            if finding.error and isinstance(finding.error.__cause__, OutOfTime):
                break
    return findings


def _finding(clause: Clause, rule: Rule, melodies: Melodies) -> Finding:
    try:
        return Finding(clause.says, clause.check(rule, melodies))
    except RuleError as error:
        return Finding(clause.says, f"{error}{_place(rule, error)}", error)


def _place(rule: Rule, error: RuleError) -> str:
    """File and line of the rule that raised, for the end of a message."""
    if error.__cause__ is None:
        return ""
    frames = traceback.extract_tb(error.__cause__.__traceback__)
    own = getattr(getattr(python_function(rule.function), "__code__", None), "co_filename", None)
    mine = [frame for frame in frames if frame.filename == own]
    return f" ({Path(mine[-1].filename).name}, line {mine[-1].lineno})" if mine else ""


def numbers(rule: Rule, melodies: Melodies) -> None:
    """Rewards of all melodies are in [0, 1], which a call of a rule checks itself."""
    rule(melodies)


def extremes(rule: Rule, _: Melodies) -> None:
    """Rewards of unusual melodies are in [0, 1]."""
    lowest, highest = Melody.from_notes([(0, 1, 0)]), Melody.from_notes([(255, 1, 127)])
    full = Melody.from_notes([(step, 1, 60) for step in range(256)])
    for melody in (Melody.from_notes([]), lowest, highest, full):
        rule(Melodies.stack([melody]))


def same_again(rule: Rule, melodies: Melodies) -> str | None:
    """Rewards of the same melodies are the same again: no chance, no memory."""
    again = Melodies(melodies.events)
    return _difference(rule(melodies), rule(again), "the first time", "the second time")


def any_order(rule: Rule, melodies: Melodies) -> str | None:
    """Rewards do not depend on the order of the batch."""
    reversed_order = rule(melodies[::-1])[::-1]
    return _difference(rule(melodies), reversed_order, "in one order", "in the opposite order")


def alone(rule: Rule, melodies: Melodies) -> str | None:
    """Rewards do not depend on the other melodies of a batch."""
    together = rule(melodies)[:_ALONE]
    rewards = [rule(melodies[row : row + 1])[0] for row in range(len(together))]
    return _difference(together, np.array(rewards), "among others", "alone")


CONTRACT = (
    Clause("gives a number from 0 to 1 for every melody", numbers),
    Clause("gives one for silence, a single note and a note on every step", extremes),
    Clause("gives the same again for the same melodies", same_again),
    Clause("gives the same in any order of a batch", any_order),
    Clause("gives a melody the same alone and among others", alone),
)


def _difference(
    one: NDArray[np.float64], other: NDArray[np.float64], when: str, then: str
) -> str | None:
    rows = np.flatnonzero(np.abs(one - other) > EQUAL)
    if not len(rows):
        return None
    first = rows[0]
    return (
        f"the reward of melody {first + 1} is {one[first]:.6g} {when} and {other[first]:.6g} "
        f"{then} ({len(rows)} of {len(one)} melodies differ)"
    )


def melodies_per_second(
    rule: Rule, melodies: Melodies, *, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Melodies that a rule rewards in a second, computing of views included.

    Args:
        clock: function that returns seconds.
    """
    fresh = Melodies(melodies.events)
    start = clock()
    rule(fresh)
    return len(melodies) / max(clock() - start, 1e-9)
