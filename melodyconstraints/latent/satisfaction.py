"""When a reward counts as satisfied, how rewards read, and when a critic predicts it."""

from __future__ import annotations

import math
from typing import Any, Protocol, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

SATISFIED = 1 - 1e-6
"""A reward of at least this is satisfied."""
PREDICTED_SATISFIED = 0.5
"""A critic's value of at least this predicts satisfaction, where no reward can be measured."""


class _Differentiable(Protocol):
    """A tensor of PyTorch, which is not imported here."""

    def detach(self) -> Self: ...


_Tensor = TypeVar("_Tensor", bound=_Differentiable)


@overload
def are_satisfied(rewards: NDArray[np.float64]) -> NDArray[np.bool_]: ...
@overload
def are_satisfied(rewards: _Tensor) -> _Tensor: ...
def are_satisfied(rewards: Any) -> Any:
    """``(B,)`` whether all rewards of a sample are satisfied, of ``(B, R)``; also of one sample.

    >>> are_satisfied(np.array([[1.0, 1.0], [1.0, 0.5]])).tolist()
    [True, False]
    """
    return (rewards >= SATISFIED).all(-1)


def reward_text(reward: float) -> str:
    """Reward as text: three decimals, cut off, so that only what is satisfied reads as 1.

    >>> reward_text(0.99996), reward_text(1.0)
    ('0.999', '1')
    """
    return "1" if reward >= SATISFIED else f"{math.floor(reward * 1000) / 1000:.3f}"
