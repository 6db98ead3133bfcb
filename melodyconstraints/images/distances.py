"""Distances between sets of images, and between images.

References: Heusel et al., *GANs trained by a two time-scale update rule*, NeurIPS 2017: the
Fréchet distance of two Gaussians fitted to a classifier's features. There the classifier is
Inception, trained on photographs; here it is trained on the data at hand, so distances compare
only with others of the same classifier.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melodyconstraints.errors import UsageError


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two sets of features, ``(N, F)`` each.

    Raises:
        UsageError: fewer than two images in a set.
    """
    if (least := min(len(first), len(second))) < 2:
        raise UsageError(f"a Fréchet distance needs two images in each set, got {least}")
    a, b = _double(first), _double(second)
    between = ((a.mean(0) - b.mean(0)) ** 2).sum()
    c1, c2 = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    # The trace of (C1 C2)^(1/2) by singular values, which exist for constant features, too.
    common = np.linalg.svd(_root(c1) @ _root(c2), compute_uv=False).sum()
    return float(max(between + np.trace(c1 + c2) - 2 * common, 0.0))


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric root of a symmetric positive semidefinite matrix ``(F, F)``."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def _double(features: Tensor) -> NDArray[np.float64]:
    return features.double().cpu().numpy()


def pixel_distance(first: Tensor, second: Tensor) -> Tensor:
    """``(B,)`` root mean squared differences of the pixels of ``(B, C, H, W)`` images.

    >>> pixel_distance(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.6, 0.8]]]]))
    tensor([0.7071])
    """
    return (first - second).square().flatten(1).mean(1).sqrt()


def pairwise_distances(images: Tensor) -> Tensor:
    """``(B * (B - 1) / 2,)`` pixel distances of all pairs of ``(B, C, H, W)`` images.

    >>> pairwise_distances(torch.tensor([0.0, 0.0, 1.0]).reshape(3, 1, 1, 1))
    tensor([0., 1., 1.])
    """
    flat = images.flatten(1)
    return torch.pdist(flat) / flat.shape[1] ** 0.5
