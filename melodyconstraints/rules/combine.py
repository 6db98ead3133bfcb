"""Rules made of other rules: all of them, any of them, not this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.notes import Numbers
from melodyconstraints.rules.definition import Rule

Wanted = str | Rule | Callable[..., Any]
"""A specification, a rule, or a function of one melody."""

FULFILLED = 1 - 1e-6
"""Reward from which on a rule counts as fulfilled."""
_MOST_UNFULFILLED = 1 - 1e-5


def all_of(rules: Iterable[Wanted], weights: Sequence[float] | None = None) -> Rule:
    """Every rule: the weighted mean of their rewards, 1 where and only where all are fulfilled.

    Args:
        rules: at least one.
        weights: a positive number for each; all equal where there are none.

    Raises:
        UsageError: no rules, or weights that do not fit.

    >>> from melodyconstraints.melody.events import Melody
    >>> batch = Melodies.stack([Melody.from_notes([(0, 4, 60), (4, 4, 61)])])
    >>> all_of(["cmajor", "density:2"], weights=[3, 1])(batch)
    array([0.625])
    """
    parts = _rules(rules)
    shares = np.ones(len(parts)) if weights is None else np.array(weights, np.float64)
    if shares.shape != (len(parts),) or not (np.isfinite(shares) & (shares > 0)).all():
        raise UsageError(
            f"weights must be {len(parts)} positive numbers, one a rule, got {weights}"
        )
    shares = shares / shares.sum()

    def reward(melodies: Melodies) -> Numbers:
        rewards = np.stack([part(melodies) for part in parts])
        mean = np.einsum("rb,r->b", rewards, shares)
        fulfilled = (rewards >= FULFILLED).all(axis=0)
        return np.where(fulfilled, 1.0, np.minimum(mean, _MOST_UNFULFILLED))

    return _combined("all_of", parts, reward)


def any_of(rules: Iterable[Wanted]) -> Rule:
    """At least one of the rules: the greatest of their rewards (Zadeh 1965, "Fuzzy sets").

    Raises:
        UsageError: no rules.
    """
    parts = _rules(rules)
    return _combined(
        "any_of", parts, lambda melodies: np.max([part(melodies) for part in parts], axis=0)
    )


def negate(rule: Wanted) -> Rule:
    """Not the rule: 1 where it is not fulfilled, 0 where it is.

    There is nothing between. A reward tells how near a melody is to fulfilling a rule, and is 1
    however deep inside it is, so no function of the reward alone could both grade the melodies
    that fulfil the rule and be 1 for all others. Silence earns 1 where the rule gives it less: it
    does not fulfil it.
    """
    (part,) = _rules([rule])
    function = lambda melodies: np.where(part(melodies) >= FULFILLED, 0.0, 1.0)  # noqa: E731
    what = f"not: {part.description or part.name}"
    return Rule(
        f"not:{part.name}", function, True, what, spec=f"not:{part.spec}", touches=part.touches
    )


def not_rule(name: str, argument: str) -> Rule:
    """Another rule is not fulfilled.

    1 where its reward is below 1, else 0, with nothing between; silence earns 1 where it does
    not fulfil the other rule.
    """
    if not argument:
        raise UsageError("not takes another rule behind the colon")
    return negate(argument)


def _rules(wanted: Iterable[Wanted]) -> list[Rule]:
    from melodyconstraints.rules.registry import find_rules  # whose table has not_rule in it

    if isinstance(wanted, str | Rule):
        raise UsageError(f"rules must be a list of rules, got one: {wanted!r}")
    parts = find_rules(wanted)
    if not parts:
        raise UsageError("give at least one rule to combine")
    return parts


def _combined(word: str, parts: Sequence[Rule], reward: Callable[[Melodies], Numbers]) -> Rule:
    what = f"{word.replace('_', ' ')}: " + "; ".join(part.name for part in parts)
    touches = frozenset[str]().union(*(part.touches for part in parts))
    name = f"{word}({', '.join(part.name for part in parts)})"
    return Rule(name, reward, True, what, touches=touches)
