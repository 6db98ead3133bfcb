"""The Gaussian posterior q(z | x) = N(mean, scale^2) and its divergence from the prior N(0, I).

Shapes: ``B`` batch, ``Z`` latent dimensions. Divergences are in nats.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


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
        """Split an encoder's last layer ``(B, 2Z)``: half is the mean, softplus of half the scale.

        The paper, appendix 9.2. A floor of 1e-4 keeps the divergence finite.
        """
        mean, raw = head.float().chunk(2, dim=-1)
        return cls(mean, F.softplus(raw) + 1e-4)

    def sample(
        self, generator: torch.Generator | None = None, *, noise: Tensor | None = None
    ) -> Tensor:
        """``(B, Z)`` reparameterised draws.

        Args:
            noise: ``(B, Z)`` standard normal; drawn if None.
        """
        if noise is None:
            noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        return self.mean + self.scale * noise

    def kl_by_dimension(self) -> Tensor:
        """``(B, Z)`` of KL(q || N(0, 1)) = (mean^2 + scale^2 - 1) / 2 - log scale, in nats.

        >>> standard = Posterior(torch.zeros(1, 2), torch.ones(1, 2))
        >>> standard.kl_by_dimension()
        tensor([[0., 0.]])
        """
        return (self.mean.square() + self.scale.square() - 1) / 2 - self.scale.log()

    def kl(self) -> Tensor:
        """``(B,)`` total divergence in nats."""
        return self.kl_by_dimension().sum(-1)


def free_bits_penalty(
    kl: Tensor, *, beta: float, free_nats: float, mean: Tensor | None = None
) -> Tensor:
    """Hinge on the mean total divergence: beta * max(KL - free_nats, 0).

    Of a part of the batch it is a share, whose mean over all parts is the whole batch's hinge.

    MusicVAE's setting for 16 bars is beta 0.2 and 256 bits = 177.4 nats.

    Args:
        kl: ``(B,)`` in nats.
        mean: divergence over the whole batch, without a gradient, of which ``kl`` is a part; None
            if that is all.

    Returns:
        A scalar in nats.

    >>> free_bits_penalty(torch.tensor([10.0, 14.0]), beta=0.5, free_nats=8.0)
    tensor(2.)
    """
    whole = kl.mean().detach() if mean is None else mean
    return beta * (kl.mean() - free_nats) * (whole > free_nats)
