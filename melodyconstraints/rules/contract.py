"""What every rule must keep, whoever wrote it: what ``mc rules check`` holds it to.

>>> from melodyconstraints.melody.events import Melodies, Melody
>>> from melodyconstraints.rules import find_rule
>>> tunes = Melodies.stack([Melody.from_notes([(0, 4, 60)]), Melody.from_notes([(0, 4, 61)])])
>>> [finding.broken for finding in check_contract(find_rule("cmajor"), tunes)]
[None, None, None, None, None]

Shapes: ``B`` melodies.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import RuleError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules.definition import Rule

EQUAL = 1e-9
"""Rewards that differ by less are the same: sums over a batch may round another way."""

_ALONE = 32
"""Melodies that are judged one by one."""


@dataclass(frozen=True)
class Clause:
    """One thing that a rule must keep.

    Args:
        says: one line.
        check: a rule and melodies to None, or to what was found instead; may raise RuleError.
    """

    says: str
    check: Callable[[Rule, Melodies], str | None]


@dataclass(frozen=True)
class Finding:
    """What came of a clause.

    Args:
        says: of the clause.
        broken: what was found instead; None where the rule keeps it.
        error: what the rule raised, if it did.
    """

    says: str
    broken: str | None = None
    error: RuleError | None = None


def check_contract(rule: Rule, melodies: Melodies) -> list[Finding]:
    """Hold a rule to every clause of :data:`CONTRACT`, on ``B`` melodies.

    Returns:
        One finding a clause, in their order.

    Raises:
        UsageError: fewer than 2 melodies.
    """
    if len(melodies) < 2:
        raise UsageError(f"a contract is checked on at least 2 melodies, got {len(melodies)}")
    return [_finding(clause, rule, melodies) for clause in CONTRACT]


def _finding(clause: Clause, rule: Rule, melodies: Melodies) -> Finding:
    try:
        return Finding(clause.says, clause.check(rule, melodies))
    except RuleError as error:
        return Finding(clause.says, f"{error}{_place(rule, error)}", error)


def _place(rule: Rule, error: RuleError) -> str:
    """Where in the rule's own file it raised."""
    if error.__cause__ is None:
        return ""
    frames = traceback.extract_tb(error.__cause__.__traceback__)
    own = getattr(getattr(rule.function, "__code__", None), "co_filename", None)
    mine = [frame for frame in frames if frame.filename == own] or frames[-1:]
    return f" ({Path(mine[-1].filename).name}, line {mine[-1].lineno})" if mine else ""


def numbers(rule: Rule, melodies: Melodies) -> None:
    """A number in [0, 1] for every melody; a rule checks that itself."""
    rule(melodies)


def extremes(rule: Rule, _: Melodies) -> None:
    """A number for melodies that a model may make one day."""
    lowest, highest = Melody.from_notes([(0, 1, 0)]), Melody.from_notes([(255, 1, 127)])
    full = Melody.from_notes([(step, 1, 60) for step in range(256)])
    for melody in (Melody.from_notes([]), lowest, highest, full):
        rule(Melodies.stack([melody]))


def same_again(rule: Rule, melodies: Melodies) -> str | None:
    """The same rewards for the same melodies: no chance, no memory."""
    again = Melodies(melodies.events)
    return _difference(rule(melodies), rule(again), "the first time", "the second time")


def any_order(rule: Rule, melodies: Melodies) -> str | None:
    """The same rewards when the batch is turned around."""
    turned = rule(melodies[::-1])[::-1]
    return _difference(rule(melodies), turned, "in one order", "in the opposite order")


def alone(rule: Rule, melodies: Melodies) -> str | None:
    """What a melody earns among others it earns alone."""
    together = rule(melodies)[:_ALONE]
    rewards = [rule(melodies[row : row + 1])[0] for row in range(len(together))]
    return _difference(together, np.array(rewards), "among others", "alone")


CONTRACT = (
    Clause("gives a number from 0 to 1 for every melody", numbers),
    Clause("gives one for silence, a single note and a note on every step", extremes),
    Clause("gives the same again for the same melodies", same_again),
    Clause("does not look at the order of a batch", any_order),
    Clause("gives a melody alone what it earns among others", alone),
)


def _difference(
    one: NDArray[np.float64], other: NDArray[np.float64], when: str, then: str
) -> str | None:
    rows = np.flatnonzero(np.abs(one - other) > EQUAL)
    if not len(rows):
        return None
    first = rows[0]
    return (
        f"melody {first + 1} earned {one[first]:.6g} {when} and {other[first]:.6g} {then} "
        f"({len(rows)} of {len(one)} melodies differ)"
    )


def melodies_per_second(
    rule: Rule, melodies: Melodies, *, clock: Callable[[], float] = time.perf_counter
) -> float:
    """How many melodies a rule judges in a second, views included.

    Args:
        clock: gives seconds.
    """
    fresh = Melodies(melodies.events)
    start = clock()
    rule(fresh)
    return len(melodies) / max(clock() - start, 1e-9)
