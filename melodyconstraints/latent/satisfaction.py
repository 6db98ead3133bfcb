"""When a reward counts as satisfied, how rewards read, and when a critic predicts it."""

from __future__ import annotations

import math

SATISFIED = 1 - 1e-6
"""A reward of at least this is satisfied."""
PREDICTED_SATISFIED = 0.5
"""A critic's value of at least this predicts satisfaction, where no reward can be measured."""


def reward_text(reward: float) -> str:
    """Reward as text: three decimals, cut off, so that only what is satisfied reads as 1.

    >>> reward_text(0.99996), reward_text(1.0)
    ('0.999', '1')
    """
    return "1" if reward >= SATISFIED else f"{math.floor(reward * 1000) / 1000:.3f}"
