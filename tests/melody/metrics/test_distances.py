"""Two sets of melodies compared: closed forms, and kernel densities as SciPy has them."""

import math

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import gaussian_kde, norm

from melodyconstraints.melody.metrics import distances
from melodyconstraints.melody.metrics.distances import (
    compare_feature,
    inter_distances,
    intra_distances,
    largest_difference,
    overlap,
)


def normal(mean: float, scale: float, n: int = 4000) -> np.ndarray:
    """Numbers at even probabilities of a normal distribution, in no order."""
    return np.random.default_rng(0).permutation(norm.ppf((np.arange(n) + 0.5) / n, mean, scale))


def test_the_overlap_of_two_normal_distributions_is_the_closed_form():
    smoothed = math.hypot(1, 4000**-0.2)  # Scott's kernel widens them
    area, divergence = overlap(normal(3, 1), normal(4.5, 1))
    assert area == pytest.approx(2 * norm.cdf(-1.5 / 2 / smoothed), abs=2e-3)
    assert divergence == pytest.approx(1.5**2 / 2 / smoothed**2, rel=0.03)


def test_the_divergence_is_of_the_first_from_the_second():
    narrow, wide = normal(0, 1), normal(0, 2)
    assert overlap(narrow, wide)[1] == pytest.approx(math.log(2) + 1 / 8 - 1 / 2, rel=0.02)
    assert overlap(wide, narrow)[1] > -math.log(2) + 4 / 2 - 1 / 2  # and the narrow tails end


def test_equal_samples_overlap_wholly_and_distant_ones_not_at_all():
    numbers = normal(0, 1)
    assert overlap(numbers, numbers) == pytest.approx((1, 0), abs=1e-12)
    area, divergence = overlap(numbers, numbers + 100)
    assert area < 1e-9
    assert 10 < divergence < math.inf


def test_samples_that_are_all_alike_have_a_density_too():
    threes, fours = np.full(5, 3.0), np.full(9, 4.0)
    assert overlap(threes, np.full(9, 3.0)) == pytest.approx((1, 0), abs=1e-12)
    assert overlap(threes, fours)[0] < 1e-9
    assert overlap(threes[:1], threes[:1]) == pytest.approx((1, 0), abs=1e-12)
    assert overlap(threes, normal(3, 1))[0] < 0.2


def test_densities_are_those_of_scipy_over_the_whole_line(rng):
    first, second = rng.gamma(2, 1, 300), rng.gamma(3, 1, 200)
    p, q = gaussian_kde(first), gaussian_kde(second)
    places = np.linspace(-5, 30, 20_001)
    area = integrate.trapezoid(np.minimum(p(places), q(places)), places)
    inside = places[(p(places) > 1e-9) & (q(places) > 1e-9)]
    divergence = integrate.trapezoid(p(inside) * np.log(p(inside) / q(inside)), inside)
    found = overlap(first, second)
    assert found[0] == pytest.approx(area, abs=1e-4)
    assert found[1] == pytest.approx(divergence, abs=1e-3)


def test_mgeval_loses_what_lies_beyond_the_numbers(rng):
    first, second = rng.exponential(1, 300), rng.exponential(1.5, 200)
    p, q = gaussian_kde(first), gaussian_kde(second)
    ends = min(first.min(), second.min()), max(first.max(), second.max())
    within, _ = integrate.quad(lambda x: min(p(x)[0], q(x)[0]), *ends, limit=200)
    below, _ = integrate.quad(lambda x: min(p(x)[0], q(x)[0]), -3, ends[0], limit=200)
    assert below > 0.05
    assert overlap(first, second)[0] == pytest.approx(below + within, abs=1e-3)


def test_distances_by_hand():
    assert intra_distances(np.array([1.0, 4.0, 6.0])).tolist() == [3, 5, 3, 2, 5, 2]
    assert inter_distances(np.array([1.0, 4.0]), np.array([2.0, 0.0])).tolist() == [1, 1, 2, 4]
    histograms = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.4, 0.6]])
    root = math.sqrt(2)
    assert inter_distances(histograms[:1], histograms[1:]) == pytest.approx(
        [root, math.sqrt(1 + 0.16 + 0.36)]
    )
    assert intra_distances(histograms[:2]) == pytest.approx([root, root])


def test_of_many_melodies_the_same_ones_are_compared(monkeypatch, rng):
    monkeypatch.setattr(distances, "MOST_COMPARED", 5)
    numbers = rng.random(50)
    found = intra_distances(numbers)
    assert len(found) == 5 * 4
    assert np.array_equal(found, intra_distances(numbers))
    assert len(inter_distances(numbers, numbers[:3])) == 5 * 3


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 0),
        ([1.0, 2.0], [5.0, 6.0], 1),
        ([1.0, 1.0, 1.0, 9.0], [1.0, 5.0, 5.0, 9.0], 0.5),  # at most 1: 3/4 and 1/4
        ([[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5]], 0),
        ([[1.0, 0.0], [0.5, 0.5]], [[0.25, 0.75]], 0.5),
    ],
)
def test_the_largest_difference_by_hand(first, second, difference):
    assert largest_difference(np.array(first), np.array(second)) == pytest.approx(difference)


def test_a_comparison_is_of_the_distances_within_the_reference_and_to_the_others(rng):
    reference, others = rng.random(40), rng.random(30) + 0.3
    found = compare_feature(reference, others)
    apart = overlap(intra_distances(reference), inter_distances(reference, others))
    assert (found.overlapping_area, found.kl_divergence) == apart
    assert found.distance == largest_difference(reference, others)


def test_two_draws_from_one_distribution_are_nearly_alike_and_others_are_not(rng):
    reference, same, shifted, collapsed = (
        rng.normal(0, 1, 500),
        rng.normal(0, 1, 500),
        rng.normal(2, 1, 500),
        np.zeros(500),
    )
    assert compare_feature(reference, same).overlapping_area > 0.95
    # Kolmogorov and Smirnov's p of this distance is 0.001.
    assert compare_feature(reference, same).distance < 0.12
    assert compare_feature(reference, shifted).overlapping_area < 0.75
    assert compare_feature(reference, collapsed).overlapping_area < 0.85
