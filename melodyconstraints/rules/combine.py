"""Rules made of other rules: all of them, any of them, not this one.

:func:`~melodyconstraints.rules.registry.all_of` and its like take specifications as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.notes import Numbers
from melodyconstraints.rules.definition import Rule

_MOST_UNSATISFIED = 1 - 1e-5
"""Reward of :func:`mean_rule` at most where a part is not satisfied: clearly below satisfied."""


def mean_rule(parts: Sequence[Rule], weights: Sequence[float] | None = None) -> Rule:
    """Weighted mean of the parts' rewards, 1 where and only where all are satisfied.

    Args:
        parts: at least one.
        weights: a positive number for each; all equal where there are none.

    Raises:
        UsageError: weights that do not fit.
    """
    shares = np.ones(len(parts)) if weights is None else np.array(weights, np.float64)
    if shares.shape != (len(parts),) or not (np.isfinite(shares) & (shares > 0)).all():
        raise UsageError(
            f"weights must be {len(parts)} positive numbers, one a rule, got {weights}"
        )
    shares = shares / shares.sum()

    def reward(melodies: Melodies) -> Numbers:
        rewards = np.stack([part(melodies) for part in parts])
        mean = np.einsum("rb,r->b", rewards, shares)
        satisfied = (rewards >= SATISFIED).all(axis=0)
        return np.where(satisfied, 1.0, np.minimum(mean, _MOST_UNSATISFIED))

    return _combined("all_of", parts, reward)


def greatest_rule(parts: Sequence[Rule]) -> Rule:
    """Greatest of the parts' rewards, at least one part given (Zadeh 1965, "Fuzzy sets")."""
    return _combined(
        "any_of", parts, lambda melodies: np.max([part(melodies) for part in parts], axis=0)
    )


def negated_rule(part: Rule) -> Rule:
    """1 where the part is not satisfied, 0 where it is, with nothing between.

    A reward tells how near a melody is to satisfying a rule, and is 1 however deep inside it is,
    so no function of the reward alone could both grade the melodies that satisfy the rule and be
    1 for all others. Silence earns 1 where the rule gives it less: it does not satisfy it.
    """
    function = lambda melodies: np.where(part(melodies) >= SATISFIED, 0.0, 1.0)  # noqa: E731
    what = f"not: {part.description or part.name}"
    return Rule(
        f"not:{part.name}",
        function,
        True,
        what,
        spec=f"not:{part.spec}",
        affected_features=part.affected_features,
    )


def _combined(word: str, parts: Sequence[Rule], reward: Callable[[Melodies], Numbers]) -> Rule:
    what = f"{word.replace('_', ' ')}: " + "; ".join(part.name for part in parts)
    affected_features = frozenset[str]().union(*(part.affected_features for part in parts))
    name = f"{word}({', '.join(part.name for part in parts)})"
    return Rule(name, reward, True, what, affected_features=affected_features)
