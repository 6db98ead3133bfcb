"""A prior matched to points: moments by hand, and in the limit of many points."""

import pytest
import torch

from melodyconstraints.latent.matching import Matched


def test_of_one_point_a_fifth_counts():
    """A mixture of one point at 5 and four of N(0, 1): mean 1, variance .8 + .2 * .8 * 25."""
    matched = Matched(torch.tensor([[5.0]]))
    torch.testing.assert_close(matched(torch.zeros(1, 1)), torch.tensor([[1.0]]))
    torch.testing.assert_close(matched(torch.ones(1, 1)) - 1, torch.tensor([[4.8**0.5]]))


def test_of_many_points_mean_and_spread_are_taken(rng):
    wanted = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 1.5]])
    points = wanted[0] + wanted[1] * torch.from_numpy(rng.standard_normal((20_000, 2))).float()
    drawn = Matched(points)(torch.from_numpy(rng.standard_normal((20_000, 2))).float())
    torch.testing.assert_close(drawn.mean(0, keepdim=True), wanted[0], atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.std(0, keepdim=True), wanted[1], atol=0.05, rtol=0)


def test_points_as_those_of_the_prior_change_nothing():
    points = torch.tensor([[-1.0, 1.0], [1.0, -1.0]])
    z = torch.tensor([[0.3, -2.0]])
    torch.testing.assert_close(Matched(points)(z), z)


@pytest.mark.parametrize("count", [1, 2, 50])
def test_it_is_finite_and_of_full_rank_for_equal_points(count):
    scale = Matched(torch.full((count, 3), 0.7)).scale
    assert (scale > 0).all()
    assert torch.isfinite(scale).all()
