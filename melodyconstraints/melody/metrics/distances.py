"""Distance of two sets of melodies in one feature.

Yang and Lerch, "On the evaluation of generative models in music", Neural Computing and
Applications 32 (2020), https://doi.org/10.1007/s00521-018-3849-7: take the Euclidean distances of
all pairs within the reference (intra-set) and of all pairs of a reference and another melody
(inter-set), smooth both to densities by Gaussian kernels of Scott's width, and compare the two. If
the others are like the reference, the densities coincide: overlapping area 1, Kullback-Leibler
divergence 0. Pairs count in both orders, as in the authors' program mgeval.

Two things differ from mgeval. It integrates between the smallest and the largest distance and so
loses the part of a density that the kernel spreads beyond; here the whole line counts, and equal
sets overlap by 1. And it takes the divergence between densities that it reads off at different
places; here both are read off on the same grid.

Shapes: ``N``, ``M`` melodies, ``F`` bins of a histogram. A feature is ``(N,)`` or ``(N, F)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp

Numbers = NDArray[np.float64]

MOST_COMPARED = 2_048
"""Melodies of a set whose pairs are compared; of more, so many are drawn, always the same."""
_BINS = 4_096
_KERNEL_REACH = 6.0
"""Standard deviations at which a kernel ends."""
_LEAST = 1e-12
"""Probability of a bin below which it counts as this much, so that divergences are finite."""


@dataclass(frozen=True)
class Comparison:
    """One feature of two sets.

    Args:
        overlapping_area: area under both the intra-set and the inter-set density, in [0, 1]; 1 is
            best.
        kl_divergence: KL(intra || inter) in nats; 0 is best.
        distance: the largest difference in probability, in [0, 1]; 0 is best. See
            :func:`largest_difference`.
    """

    overlapping_area: float
    kl_divergence: float
    distance: float


def compare_feature(reference: Numbers, others: Numbers) -> Comparison:
    """Compare a feature of other melodies with that of the reference.

    Args:
        reference: ``(N,)`` or ``(N, F)``, N at least 2.
        others: ``(M,)`` or ``(M, F)``, M at least 1.
    """
    intra, inter = intra_distances(reference), inter_distances(reference, others)
    area, divergence = overlap(intra, inter)
    return Comparison(area, divergence, largest_difference(reference, others))


def intra_distances(values: Numbers) -> Numbers:
    """``(N * (N - 1),)`` distances of all pairs of different rows, in both orders.

    >>> intra_distances(np.array([1.0, 1.0, 4.0]))
    array([0., 3., 0., 3., 3., 3.])
    """
    rows = _rows(values)
    return cdist(rows, rows)[~np.eye(len(rows), dtype=bool)]


def inter_distances(first: Numbers, second: Numbers) -> Numbers:
    """``(N * M,)`` distances of all pairs of a row of the one and a row of the other."""
    return cdist(_rows(first), _rows(second)).ravel()


def _rows(values: Numbers) -> Numbers:
    """``(N, F)`` of at most ``MOST_COMPARED`` rows."""
    if len(values) > MOST_COMPARED:
        values = values[np.random.default_rng(0).permutation(len(values))[:MOST_COMPARED]]
    return values.reshape(len(values), -1)


def overlap(first: Numbers, second: Numbers) -> tuple[float, float]:
    """Overlapping area, and divergence KL(first || second) in nats, of two smoothed samples.

    Args:
        first: ``(n,)`` numbers, n at least 2.
        second: ``(m,)`` numbers.

    >>> area, divergence = overlap(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    >>> round(area, 6), round(divergence, 6)
    (1.0, 0.0)
    """
    widths = [_scott_width(first), _scott_width(second)]
    low, high = min(first.min(), second.min()), max(first.max(), second.max())
    margin = _KERNEL_REACH * max(widths) or 0.5
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    p, q = (_density(v, w, edges) for v, w in zip((first, second), widths, strict=True))
    divergence = np.sum(p * np.log(np.maximum(p, _LEAST) / np.maximum(q, _LEAST)))
    return float(np.minimum(np.minimum(p, q).sum(), 1.0)), float(np.maximum(divergence, 0.0))


def _scott_width(values: Numbers) -> float:
    """Kernel width of ``scipy.stats.gaussian_kde``: deviation times n^(-1/5)."""
    return float(values.std(ddof=1) * len(values) ** -0.2) if len(values) > 1 else 0.0


def _density(values: Numbers, width: float, edges: Numbers) -> Numbers:
    """Probability of each bin under the smoothed sample; a kernel is a bin wide or wider."""
    counts, _ = np.histogram(values, edges)
    bins = max(width / (edges[1] - edges[0]), 1.0)
    smooth = gaussian_filter1d(counts * 1.0, bins, mode="constant", truncate=_KERNEL_REACH)
    return smooth / smooth.sum()


def largest_difference(first: Numbers, second: Numbers) -> float:
    """The largest difference in probability that the two sets give to any outcome.

    Of histograms: total variation, half the sum of differences of their mean histograms. Of single
    numbers: Kolmogorov and Smirnov's distance, over outcomes of the kind "x or less".

    >>> largest_difference(np.array([[1.0, 0.0]]), np.array([[0.25, 0.75]]))
    0.75
    """
    if first.ndim == 1:
        return float(ks_2samp(first, second, method="asymp").statistic)
    return float(np.abs(first.mean(axis=0) - second.mean(axis=0)).sum() / 2)
