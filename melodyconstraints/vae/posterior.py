"""The Gaussian posterior q(z | x) = N(mean, scale^2) and its divergence from the prior N(0, I).

Shapes: ``B`` batch, ``Z`` latent dimensions. Divergences are in nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_SCALE = 1e-4
"""Smallest standard deviation of a posterior: keeps the divergence finite."""


@dataclass(frozen=True)
class Posterior:
    """A diagonal Gaussian for each of ``B`` data points.

    Args:
        mean: ``(B, Z)``.
        scale: ``(B, Z)`` standard deviations, above zero (a deviation, not a log-variance).
    """

    mean: Tensor
    scale: Tensor

    @classmethod
    def from_head(cls, head: Tensor) -> Posterior:
        """Split an encoder's last layer ``(B, 2Z)`` into the mean and, by softplus, the scale.

        See the paper, appendix 9.2.
        """
        mean, raw = head.float().chunk(2, dim=-1)
        return cls(mean, F.softplus(raw) + MIN_SCALE)

    @classmethod
    def join(cls, parts: Sequence[Posterior]) -> Posterior:
        """The posteriors of several batches as one; at least one batch."""
        means, scales = [part.mean for part in parts], [part.scale for part in parts]
        return cls(torch.cat(means), torch.cat(scales))

    def sample(
        self, generator: torch.Generator | None = None, *, noise: Tensor | None = None
    ) -> Tensor:
        """Draw reparameterised samples ``(B, Z)``.

        Args:
            generator: source of the noise; None for torch's default.
            noise: ``(B, Z)`` standard normal; drawn if None.
        """
        if noise is None:
            noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        return self.mean + self.scale * noise

    def kl_by_dimension(self) -> Tensor:
        """Divergence of each dimension, ``(B, Z)`` in nats.

        KL(q || N(0, 1)) = (mean^2 + scale^2 - 1) / 2 - log scale.

        >>> standard = Posterior(torch.zeros(1, 2), torch.ones(1, 2))
        >>> standard.kl_by_dimension()
        tensor([[0., 0.]])
        """
        return (self.mean.square() + self.scale.square() - 1) / 2 - self.scale.log()

    def kl(self) -> Tensor:
        """Total divergence of each posterior, ``(B,)`` in nats."""
        return self.kl_by_dimension().sum(-1)


def free_bits_penalty(
    kl: Tensor, *, beta: float, free_nats: float, mean: Tensor | None = None
) -> Tensor:
    """Hinge on the mean total divergence: beta * max(KL - free_nats, 0).

    Where processes share a batch, the mean of their penalties is the hinge of the whole batch.
    MusicVAE's setting for 16 bars is beta 0.2 and 256 bits = 177.4 nats.

    Args:
        kl: ``(B,)`` total divergences in nats.
        beta: weight of the penalty.
        free_nats: mean divergence below which there is no penalty.
        mean: mean divergence of the whole batch, without a gradient, if ``kl`` is only this
            process's part of it; None if ``kl`` is the whole batch.

    Returns:
        A scalar in nats.

    >>> free_bits_penalty(torch.tensor([10.0, 14.0]), beta=0.5, free_nats=8.0)
    tensor(2.)
    """
    whole = kl.mean().detach() if mean is None else mean
    return beta * (kl.mean() - free_nats) * (whole > free_nats)
