"""Rewards of melodies under several rules.

Shapes: ``B`` melodies, ``R`` rules.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.latent.satisfaction import are_satisfied
from melodyconstraints.melody.events import Melodies
from melodyconstraints.rules.definition import Rule


def rewards_of(rules: Sequence[Rule], melodies: Melodies) -> NDArray[np.float64]:
    """``(B, R)`` rewards of melodies.

    >>> from melodyconstraints.melody.events import Melody
    >>> from melodyconstraints.rules import find_rules
    >>> one = Melodies.stack([Melody.from_notes([(0, 4, 60), (4, 4, 61)])])
    >>> rewards_of(find_rules(["cmajor", "density:2"]), one).tolist()
    [[0.5, 1.0]]
    """
    if not rules:
        return np.zeros((len(melodies), 0))
    return np.stack([rule(melodies) for rule in rules], axis=1)


def satisfies_all(rules: Sequence[Rule], melodies: Melodies) -> NDArray[np.bool_]:
    """``(B,)`` whether melodies satisfy every rule."""
    return are_satisfied(rewards_of(rules, melodies))
