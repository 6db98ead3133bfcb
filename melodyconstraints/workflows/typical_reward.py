"""Reward for typical melodies, which an actor learns beside its rules, and when it does.

Rules say nothing of what they leave free, and few notes or a drone satisfy many most easily.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress

import numpy as np
import torch

from melodyconstraints.latent.evolution import EvolutionSearch
from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.typical import full_typicality
from melodyconstraints.rules import Rule
from melodyconstraints.rules.rewards import rewards_of

TYPICALITY = Rule("typical melodies", full_typicality, batched=True)
"""The reward; no rule of a user's can have its name."""
_COMPARED, _NEAREST = 1024, 16
"""Melodies, at most, of which those nearest to satisfying rules are looked at; and how many of
these, at least."""
_SELDOM = 0.1
"""Share of typical ones among the nearest below which rules ask for others."""
_MOST = 0.5
"""Share of melodies that satisfy every rule from which on little is to be learned."""


def is_worth_learning(
    rules: Sequence[Rule],
    weights: Sequence[float],
    melodies: Melodies,
    announce: Callable[[str], object] | None,
) -> bool:
    """Whether an actor for rules is to learn :data:`TYPICALITY` beside them.

    Not where there is little to learn: all melodies are equally typical, or most satisfy every
    rule whose weight is not 0. And not where such a rule, or all of them, ask for what is not
    typical: of the melodies that satisfy them, or of the nearest where few do, hardly any is.

    Args:
        weights: of the rules.
        melodies: drawn from the model.
        announce: called where rules ask for what is not typical.
    """
    some = melodies[:_COMPARED]
    values = TYPICALITY(some)
    if values.min() == values.max():
        return False
    asked = tuple(compress(weights, weights))
    rewards = rewards_of(list(compress(rules, weights)), some)
    satisfied = rewards >= SATISFIED
    if not asked or satisfied.all(1).mean() >= _MOST:
        return False
    scores = EvolutionSearch(weights=asked).scores(torch.from_numpy(rewards)).numpy()
    of_each = zip((*rewards.T, scores), (*satisfied.T, satisfied.all(1)), strict=True)
    for score, hits in of_each:
        nearest = np.argsort(-score, kind="stable")[: max(_NEAREST, hits.sum())]
        if (values[nearest] >= SATISFIED).mean() < _SELDOM:
            if announce:
                announce("typical melodies seldom satisfy the rules: they are not asked for")
            return False
    return True
