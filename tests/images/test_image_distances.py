"""Distances of images and of sets of them, against closed forms."""

import math

import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.images.distances import (
    frechet_distance,
    pairwise_distances,
    pixel_distance,
)


def gaussian(mean, root, count=50, seed=0):
    """Numbers whose mean and covariance (root root') are these exactly, not nearly."""
    mean, root = torch.tensor(mean).double(), torch.tensor(root).double()
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(count, len(mean), generator=generator, dtype=torch.float64)
    white = white - white.mean(0)
    white = torch.linalg.solve_triangular(
        torch.linalg.cholesky(white.T @ white / (count - 1)).T, white, upper=True, left=False
    )
    return mean + white @ root.T


def rotation(angle):
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def test_the_helper_makes_what_it_says():
    x = gaussian([1.0, -2.0], [[2.0, 0.0], [1.0, 3.0]])
    assert torch.allclose(x.mean(0), torch.tensor([1.0, -2.0]).double())
    assert torch.allclose(torch.cov(x.T), torch.tensor([[4.0, 2.0], [2.0, 10.0]]).double())


def test_of_one_dimension_means_and_deviations_differ():
    first, second = gaussian([1.0], [[2.0]]), gaussian([-2.0], [[0.5]], seed=1)
    assert frechet_distance(first, second) == pytest.approx((1 + 2) ** 2 + (2 - 0.5) ** 2)


def test_of_independent_features_each_adds_its_own():
    first = gaussian([0.0, 1.0, 2.0], [[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]])
    second = gaussian([1.0, 1.0, 0.0], [[3.0, 0, 0], [0, 2.0, 0], [0, 0, 1.0]], seed=1)
    assert frechet_distance(first, second) == pytest.approx((1 + 4) + (0 + 4 + 4))


def test_of_covariances_that_do_not_commute():
    """With C1 = I the trace is that of I + C2 - 2 C2^(1/2)."""
    turned = rotation(0.7) @ torch.diag(torch.tensor([3.0, 0.5]))
    first = gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    second = gaussian([0.0, 0.0], turned.tolist(), seed=1)
    assert frechet_distance(first, second) == pytest.approx(
        (3 - 1) ** 2 + (0.5 - 1) ** 2, rel=1e-5
    )
    # a root of C1 C2 with C1 = diag(4, 1): trace of a 2 x 2 root is sqrt(tr + 2 sqrt(det))
    third = gaussian([0.0, 0.0], [[2.0, 0.0], [0.0, 1.0]], seed=2)
    product = torch.diag(torch.tensor([4.0, 1.0])) @ turned @ turned.T
    root = math.sqrt(float(product.trace()) + 2 * math.sqrt(float(torch.linalg.det(product))))
    expected = 5 + (9 + 0.25) - 2 * root
    assert frechet_distance(third, second) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("count", [40, 4])
def test_it_is_symmetric_and_0_of_a_set_and_itself(count):
    """Of four images a covariance of six features has no full rank."""
    first, second = torch.randn(count, 6), 1 + 2 * torch.randn(count + 3, 6)
    forth, back = frechet_distance(first, second), frechet_distance(second, first)
    assert forth == pytest.approx(back, rel=1e-9)
    assert forth > 1
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(first, first.flip(0)) == pytest.approx(0, abs=1e-6)


def test_features_that_are_always_0_change_nothing():
    first, second = torch.randn(50, 3), 1 + torch.randn(50, 3)
    dead = torch.zeros(50, 4)
    with_dead = (torch.cat([first, dead], 1), torch.cat([second, dead], 1))
    assert frechet_distance(*with_dead) == pytest.approx(frechet_distance(first, second))


def test_to_turn_both_sets_changes_nothing():
    first, second = torch.randn(50, 2), torch.randn(50, 2) @ torch.tensor([[1.0, 2.0], [0.0, 0.5]])
    turned = frechet_distance(first @ rotation(1.1), second @ rotation(1.1))
    assert turned == pytest.approx(frechet_distance(first, second), rel=1e-4)


def test_one_image_has_no_covariance():
    with pytest.raises(UsageError, match="a Fréchet distance needs two images in each set"):
        frechet_distance(torch.randn(5, 3), torch.randn(1, 3))


def test_the_distance_of_pixels_by_hand():
    first = torch.tensor([[[[0.0, 0.5], [1.0, 1.0]]], [[[0.2, 0.2], [0.2, 0.2]]]])
    second = torch.tensor([[[[0.0, 0.0], [0.0, 1.0]]], [[[0.2, 0.2], [0.2, 0.2]]]])
    expected = torch.tensor([math.sqrt((0.25 + 1) / 4), 0.0])
    assert torch.allclose(pixel_distance(first, second), expected)


def test_pairs_are_each_with_each():
    images = torch.rand(5, 3, 2, 2)
    expected = [
        pixel_distance(images[a : a + 1], images[b : b + 1])
        for a in range(5)
        for b in range(a + 1, 5)
    ]
    assert torch.allclose(pairwise_distances(images), torch.cat(expected))
    assert pairwise_distances(images[:1]).shape == (0,)
