"""Measures of results: satisfied rewards, distance moved in latent space, diversity."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor

from melodyconstraints.latent.satisfaction import SATISFIED, are_satisfied

CONFIDENCE = 0.95
Interval = tuple[float, float]


@dataclass(frozen=True)
class RewardStatistics:
    """One reward over ``n`` samples, with 95% intervals.

    Args:
        mean: mean reward; its interval is Student's t.
        satisfied: share of samples with a reward of at least
            :data:`~melodyconstraints.latent.satisfaction.SATISFIED`; its interval is Wilson's.
    """

    mean: float
    mean_interval: Interval
    satisfied: float
    satisfied_interval: Interval


def reward_statistics(rewards: ArrayLike) -> RewardStatistics:
    """Summarise ``(n,)`` rewards in [0, 1].

    >>> statistics = reward_statistics([1.0, 1.0, 0.5, 0.5])
    >>> statistics.mean, statistics.satisfied
    (0.75, 0.5)
    """
    values = np.asarray(rewards, dtype=np.float64)
    hits = int((values >= SATISFIED).sum())
    half = 0.0
    if len(values) > 1:
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
        half = float(quantile * values.std(ddof=1) / np.sqrt(len(values)))
    mean = float(values.mean())
    wilson = stats.binomtest(hits, len(values)).proportion_ci(CONFIDENCE, method="wilson")
    return RewardStatistics(
        mean=mean,
        mean_interval=(max(mean - half, 0.0), min(mean + half, 1.0)),
        satisfied=hits / len(values),
        satisfied_interval=(float(wilson.low), float(wilson.high)),
    )


def all_satisfied(rewards: ArrayLike) -> float:
    """Share of samples that satisfy every reward, of ``(n, R)`` rewards."""
    return float(are_satisfied(np.asarray(rewards)).mean())


def z_mse(shifted: Tensor, z: Tensor, sigma_bar: Tensor) -> float:
    """Mean over dimensions and batch of ((z' - z) / sigma_bar)^2.

    >>> z_mse(torch.ones(1, 2), torch.zeros(1, 2), torch.tensor([1.0, 0.5]))
    2.5
    """
    return float(((shifted - z) / sigma_bar).square().mean())


def share_distinct(samples: Sequence[Hashable]) -> float:
    """Distinct samples over samples."""
    return len(set(samples)) / len(samples)


def mean_pairwise_distance(
    samples: Sequence[Any],
    distance: Callable[[Any, Any], float],
    *,
    pairs: int = 2000,
    seed: int = 0,
) -> float:
    """Mean distance of random pairs of different places in ``samples``.

    Raises:
        ValueError: fewer than two samples.
    """
    if len(samples) < 2:
        raise ValueError(f"a pairwise distance needs two samples, got {len(samples)}")
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(samples), (pairs,), generator=generator)
    step = torch.randint(1, len(samples), (pairs,), generator=generator)
    second = (first + step) % len(samples)
    return float(
        np.mean([distance(samples[a], samples[b]) for a, b in zip(first, second, strict=True)])
    )
