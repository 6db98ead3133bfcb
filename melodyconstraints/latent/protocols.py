"""The shared vocabulary of the core: latent models, rewards, constraints and searches.

The core knows a latent point, a function that decodes it, and a function that rewards the result.
Only those two functions know what a sample is.

Shapes, throughout the core: ``B`` batch, ``Z`` latent dimensions, ``R`` critic heads (one for each
reward or attribute), ``Y`` condition, ``F`` what is measured of a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from numpy.typing import ArrayLike
from torch import Tensor

Samples: TypeAlias = Any
"""Whatever a decoder returns for a batch; opaque to the core."""

Reward: TypeAlias = Callable[[Samples], ArrayLike | Tensor]
"""Samples to ``(B,)`` rewards in [0, 1]; it need not be differentiable."""

Conditions: TypeAlias = Callable[[int, torch.Generator], Tensor]
"""Draws ``(n, Y)`` conditions for ``n`` points."""


class LatentModel(Protocol):
    """A generative model seen from its latent space, whose prior is N(0, I).

    A decoder that draws at random holds its own generator, so that ``decode`` stays a function of
    ``z`` in the core's eyes.
    """

    @property
    def latent_dim(self) -> int:
        """Z, dimensions of a latent point."""
        ...

    @property
    def sigma_bar(self) -> Tensor:
        """``(Z,)`` posterior scale averaged over the training data; ones where unknown."""
        ...

    def decode(self, z: Tensor) -> Samples:
        """``(B, Z)`` latent points to ``B`` samples."""
        ...


class ConditionalRewards(Protocol):
    """Rewards of samples under conditions.

    What is measured of a sample is kept, so that one decoded sample teaches the critic its rewards
    under any condition.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """``R`` names, for messages."""
        ...

    def measure(self, samples: Samples) -> Tensor:
        """Samples to ``(B, F)``."""
        ...

    def compute(self, measured: Tensor, y: Tensor | None) -> Tensor:
        """``(B, F)``, ``(B, Y)`` to rewards ``(B, R)`` in [0, 1]."""
        ...


class Examples(NamedTuple):
    """Training examples of a critic: points ``(B, Z)``, conditions ``(B, Y)``, targets ``(B, R)``.

    Points in the second half differ in kind from those in the first where the constraint
    distinguishes kinds; the gradient penalty is taken between the halves.
    """

    points: Tensor
    y: Tensor | None
    targets: Tensor


class Constraint(Protocol):
    """Constraint that a critic can learn from examples: rewards, attributes, realism."""

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each of the critic's ``R`` heads."""
        ...

    @property
    def weights(self) -> tuple[float, ...]:
        """``R`` weights in the actor's loss."""
        ...

    @property
    def conditional(self) -> bool:
        """Whether the critic is to see the condition y."""
        ...

    def observe(self, shifted: Tensor, prior: Tensor, y: Tensor | None) -> Tensor | None:
        """Take in the actor's newest points and some of the prior's.

        Args:
            shifted: ``(B, Z)`` points of the prior that the actor has moved.
            prior: ``(P, Z)`` points of the prior.
            y: ``(B, Y)`` the actor's conditions.

        Returns:
            True rewards ``(B, R)`` of the actor's points; None where they are only predicted.
        """
        ...

    def evaluate(self, points: Tensor, y: Tensor | None) -> Tensor | None:
        """Rewards of validation points, from which nothing is learned.

        Args:
            points: ``(B, Z)``.
            y: ``(B, Y)`` their conditions.

        Returns:
            True rewards ``(B, R)``; None where they are only predicted.
        """
        ...

    def examples(self, count: int, generator: torch.Generator) -> Examples:
        """``count`` examples for the critic."""
        ...


CriticFunction: TypeAlias = Callable[[Tensor, "Tensor | None"], Tensor]
"""``(B, Z)``, ``(B, Y)`` to logits ``(B, R)``."""


class Search(Protocol):
    """Finds points near given ones that a critic predicts to satisfy its constraints."""

    def __call__(
        self,
        critic: CriticFunction,
        z: Tensor,
        y: Tensor | None = None,
        *,
        sigma_bar: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """``(B, Z)`` to ``(B, Z)``."""
        ...
