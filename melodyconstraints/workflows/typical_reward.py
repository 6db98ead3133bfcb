"""Reward for typical melodies, which an actor learns beside its rules, and when it does.

Rules say nothing of what they leave free, and few notes or a drone satisfy many most easily.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress

import numpy as np
import torch

from melodyconstraints.latent.evolution import EvolutionSearch
from melodyconstraints.latent.satisfaction import SATISFIED, are_satisfied
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.typical import full_typicality
from melodyconstraints.melody.notes import Numbers
from melodyconstraints.rules import Rule

TYPICALITY = Rule("typical melodies", full_typicality, batched=True)
"""The reward; no rule of a user's can have its name."""
_COMPARED, _NEAREST = 1024, 16
"""Most melodies that are looked at, and fewest among them, the nearest to satisfying a rule, whose
typicality is looked at."""
_SELDOM = 0.1
"""Share of typical melodies among those nearest to satisfying a rule, below which the rule is
against what is typical."""
_MOST = 0.5
"""Share of melodies that satisfy every rule, from which on an actor has little to learn."""


def reason_against(
    rewards_of: Callable[[Melodies], Numbers], weights: Sequence[float], melodies: Melodies
) -> str | None:
    """Reason why an actor for rules does not learn :data:`TYPICALITY` too; None where it does.

    Not where there is little to learn: all melodies are equally typical, or most satisfy every
    rule whose weight is not 0. And not where such a rule, or all of them, are against what is
    typical: of the melodies that satisfy them, or of the nearest where few do, hardly any is.

    Args:
        rewards_of: function from melodies to ``(B, R)`` rewards; called once, or not at all.
        weights: weight of each of the ``R`` rules.
        melodies: melodies drawn from the model, of which the first thousand are looked at.
    """
    some = melodies[:_COMPARED]
    values = TYPICALITY(some)
    if values.min() == values.max():
        return "all melodies drawn are equally typical"
    active_weights = tuple(compress(weights, weights))
    rewards = rewards_of(some)[:, np.array(weights) > 0]
    satisfied, all_satisfied = rewards >= SATISFIED, are_satisfied(rewards)
    if not active_weights or all_satisfied.mean() >= _MOST:
        return "most melodies drawn satisfy what is asked already"
    scores = EvolutionSearch(weights=active_weights).scores(torch.from_numpy(rewards)).numpy()
    of_each = zip((*rewards.T, scores), (*satisfied.T, all_satisfied), strict=True)
    for score, hits in of_each:
        nearest = np.argsort(-score, kind="stable")[: max(_NEAREST, hits.sum())]
        if (values[nearest] >= SATISFIED).mean() < _SELDOM:
            return "typical melodies seldom satisfy what is asked"
    return None
