"""The shared vocabulary of the core: what a latent model is, and what a reward is.

The core knows a latent point, a function that decodes it, and a function that judges the result.
What a sample is stays the business of those two functions.

Shapes, throughout the core: ``B`` batch, ``Z`` latent dimensions, ``R`` rewards (critic heads),
``Y`` condition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from numpy.typing import ArrayLike
from torch import Tensor

Samples: TypeAlias = Any
"""Whatever a decoder returns for a batch; opaque to the core."""

Reward: TypeAlias = Callable[[Samples], ArrayLike | Tensor]
"""Samples to ``(B,)`` rewards in [0, 1]; it need not be differentiable."""


@runtime_checkable
class LatentModel(Protocol):
    """A generative model seen from its latent space, whose prior is N(0, I).

    A decoder that draws at random holds its own generator, so that ``decode`` stays a function of
    ``z`` in the core's eyes.
    """

    @property
    def latent_dim(self) -> int:
        """Z."""
        ...

    @property
    def sigma_bar(self) -> Tensor:
        """``(Z,)`` posterior scale averaged over the training data; ones where unknown."""
        ...

    def decode(self, z: Tensor) -> Samples:
        """``(B, Z)`` latent points to ``B`` samples."""
        ...
