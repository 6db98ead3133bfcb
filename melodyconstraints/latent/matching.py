"""A prior matched to some points: what is drawn has the mean and the spread of theirs.

It needs no training, and no example of what is not wanted.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PRIOR_POINTS = 4
"""Points of the prior that count beside the given ones, so that a few do not say everything."""


class Matched(nn.Module):
    """Takes points of the prior N(0, I) to points like some that are given.

    Each dimension is scaled and shifted to the mean and the variance of a mixture of the N given
    points and of :data:`PRIOR_POINTS` points of the prior. With w = N / (N + PRIOR_POINTS) these
    are ``w m`` and ``w v + (1 - w) (1 + w m^2)``, where m and v are those of the given points.

    Args:
        points: ``(N, Z)``, at least one.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, points: Tensor) -> None:
        super().__init__()
        share = len(points) / (len(points) + PRIOR_POINTS)
        mean, variance = points.mean(0), points.var(0, unbiased=False)
        self.register_buffer("mean", share * mean)
        mixed = share * variance + (1 - share) * (1 + share * mean.square())
        self.register_buffer("scale", torch.sqrt(mixed))

    def forward(self, z: Tensor) -> Tensor:
        """``(B, Z)`` to ``(B, Z)``."""
        return self.mean + self.scale * z
