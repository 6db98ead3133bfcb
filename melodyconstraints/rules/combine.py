"""Combinations of rules: all of them, any of them, not this one.

The functions of :mod:`~melodyconstraints.rules.registry` take specifications as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.satisfaction import SATISFIED, are_satisfied
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.notes import Numbers
from melodyconstraints.rules.definition import Rule

_MOST_UNSATISFIED = 1 - 1e-5
"""Greatest reward of :func:`mean_rule` where a part is not satisfied."""


def mean_rule(parts: Sequence[Rule], weights: Sequence[float] | None = None) -> Rule:
    """Make a rule of the weighted mean of rewards, 1 where and only where all are satisfied.

    Args:
        parts: rules, at least one.
        weights: a positive number for each part; ones if not given.

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
        return np.where(are_satisfied(rewards.T), 1.0, np.minimum(mean, _MOST_UNSATISFIED))

    return _combined("all_of", parts, reward)


def greatest_rule(parts: Sequence[Rule]) -> Rule:
    """Make a rule of the greatest of at least one part's rewards (Zadeh 1965, "Fuzzy sets")."""
    return _combined(
        "any_of", parts, lambda melodies: np.max([part(melodies) for part in parts], axis=0)
    )


def negated_rule(part: Rule) -> Rule:
    """Make a rule that is 1 where a part is not satisfied, and 0 where it is.

    A reward measures the distance of a melody that does not satisfy a rule, and is 1 for all that
    do, so no function of the reward alone could grade the melodies that satisfy the rule and be 1
    for all others. Silence has the reward 1 where it does not satisfy the part.
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
        parts=(part,),
    )


def _combined(word: str, parts: Sequence[Rule], reward: Callable[[Melodies], Numbers]) -> Rule:
    what = f"{word.replace('_', ' ')}: " + "; ".join(part.name for part in parts)
    affected_features = frozenset[str]().union(*(part.affected_features for part in parts))
    name = f"{word}({', '.join(part.name for part in parts)})"
    return Rule(name, reward, True, what, affected_features=affected_features, parts=tuple(parts))
