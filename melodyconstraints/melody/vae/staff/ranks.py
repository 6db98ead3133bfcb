"""Tables by rank: what a normal number says of a key, a place or a mode, and back.

A table of ``n`` entries has ``(n + 1,)`` bounds that share [0, 1]; an entry is as common as its
interval is wide. A normal number's rank lies in one of them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from melodyconstraints.melody.vae.staff.notation import Ints

RAREST = 1e-6
"""Rank, from either end, of the rarest normal number that is returned."""
_LEAST_SHARE = 1e-5
"""Share of the melodies that may have any entry of a table, so that each can be encoded."""


def equal_ranks(count: int) -> Tensor:
    """``(count + 1,)`` bounds of as many equal shares of [0, 1]."""
    return torch.from_numpy(np.linspace(0, 1, count + 1, dtype=np.float32))


def _widened(bounds: Tensor) -> Tensor:
    """``(n + 1,)`` bounds of which no two are equal, as those of rare places are in float16.

    >>> _widened(torch.tensor([0.0, 0.5, 1.0, 1.0])).diff().gt(0).all().item()
    True
    """
    shares = bounds.double().diff().clamp(min=_LEAST_SHARE)
    return F.pad(shares.cumsum(0) / shares.sum(), (1, 0))


def which_interval(bounds: Tensor, ranks: Tensor) -> Ints:
    """``(B,)`` number of the interval between ``(n + 1,)`` bounds in which each rank lies."""
    intervals = torch.searchsorted(_widened(bounds), ranks.double(), right=True) - 1
    numbers: Ints = intervals.clamp(0, len(bounds) - 2).cpu().numpy()
    return numbers


def between(bounds: Tensor, numbers: Ints, shares: Tensor) -> Tensor:
    """``(B,)`` ranks at shares in [0, 1] of the intervals of these numbers."""
    bounds, index = _widened(bounds), torch.from_numpy(numbers).to(bounds.device)
    return bounds[index] + (bounds[index + 1] - bounds[index]) * shares


def points_between(bounds: Tensor, numbers: Ints, noise: Tensor) -> Tensor:
    """``(B,)`` points in the intervals of these numbers, by the ranks of ``noise`` ``(B,)``."""
    return normal_of(between(bounds, numbers, ranks_of(noise)))


def ranks_of(noise: Tensor) -> Tensor:
    """Ranks of normal numbers, in [0, 1]."""
    return torch.special.ndtr(noise.double())


def normal_of(ranks: Tensor) -> Tensor:
    """Normal numbers of these ranks in (0, 1)."""
    return torch.special.ndtri(ranks.double().clamp(RAREST, 1 - RAREST)).float()
