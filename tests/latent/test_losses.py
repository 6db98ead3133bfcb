"""The losses of latent constraints against closed forms."""

import math

import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.losses import (
    cross_entropy,
    distance_penalty,
    gradient_penalty,
    prior_penalty,
    satisfaction_loss,
    shell_penalty,
)


def logit(share):
    return math.log(share / (1 - share))


def test_cross_entropy_is_the_formula():
    # D = 0.8 and 0.5; c = 1 and 0.25
    logits = torch.tensor([[logit(0.8)], [0.0]])
    expected = (-math.log(0.8) + math.log(2)) / 2
    assert cross_entropy(logits, torch.tensor([[1.0], [0.25]])).item() == pytest.approx(expected)


def test_a_negative_costs_minus_log_of_one_minus_d():
    loss = cross_entropy(torch.tensor([[logit(0.9)]]), torch.zeros(1, 1))
    assert loss.item() == pytest.approx(-math.log(0.1), rel=1e-5)


def test_heads_are_summed():
    assert cross_entropy(torch.zeros(5, 3), torch.rand(5, 3)).item() == pytest.approx(
        3 * math.log(2)
    )
    assert satisfaction_loss(torch.zeros(5, 3)).tolist() == pytest.approx([3 * math.log(2)] * 5)


def test_the_minimum_of_cross_entropy_is_the_mean_reward():
    rewards = torch.tensor([[0.0], [0.25], [1.0], [0.4]], dtype=torch.float64)
    best = torch.tensor(logit(1.65 / 4), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(cross_entropy(best.expand(4, 1), rewards), best)
    assert abs(slope.item()) < 1e-12
    at_best = cross_entropy(best.expand(4, 1), rewards)
    for off in (-0.1, 0.1):
        assert cross_entropy((best + off).expand(4, 1), rewards) > at_best


def test_satisfaction_loss_is_minus_log_d():
    loss = satisfaction_loss(torch.tensor([[logit(0.25)], [logit(0.5)]]))
    assert loss.tolist() == pytest.approx([math.log(4), math.log(2)])


def test_satisfaction_loss_stays_finite_far_out():
    assert satisfaction_loss(torch.tensor([[-1e4], [1e4]])).tolist() == [1e4, 0.0]


def test_heads_weigh_what_they_are_given():
    logits = torch.tensor([[logit(0.25), logit(0.5)], [logit(0.5), logit(0.1)]])
    loss = satisfaction_loss(logits, (2.0, 0.5))
    expected = [2 * math.log(4) + math.log(2) / 2, 2 * math.log(2) + math.log(10) / 2]
    assert loss.tolist() == pytest.approx(expected)
    assert satisfaction_loss(logits, (0.0, 0.0)).tolist() == [0.0, 0.0]
    torch.testing.assert_close(satisfaction_loss(logits, (1.0, 1.0)), satisfaction_loss(logits))


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 1.0, 1.0)])
def test_another_number_of_weights_than_heads_is_refused(weights):
    message = f"give 2 weights, one for each head, got {len(weights)}"
    with pytest.raises(UsageError, match=message):
        satisfaction_loss(torch.zeros(1, 2), weights)


def test_the_distance_penalty_is_the_formula():
    shifted = torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    z = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    sigma_bar = torch.tensor([1.0, 0.5])
    # log 2 + 0, and log 10 + 4 log 5, over two dimensions
    expected = [math.log(2) / 2, (math.log(10) + 4 * math.log(5)) / 2]
    assert distance_penalty(shifted, z, sigma_bar).tolist() == pytest.approx(expected)
    assert distance_penalty(z, shifted, sigma_bar).tolist() == pytest.approx(expected)
    assert distance_penalty(z, z, sigma_bar).tolist() == [0.0, 0.0]


def test_dimensions_that_are_not_used_weigh_least():
    z, sigma_bar = torch.zeros(1, 2), torch.tensor([0.1, 1.0])
    used = distance_penalty(torch.tensor([[1.0, 0.0]]), z, sigma_bar)
    unused = distance_penalty(torch.tensor([[0.0, 1.0]]), z, sigma_bar)
    assert (used / unused).item() == pytest.approx(100)


def test_the_shell_penalty_is_zero_inside_and_quadratic_outside():
    inside = torch.tensor([[0.0, 0.0], [1.0, 1.0], [math.sqrt(1.9), 0.0]])
    assert shell_penalty(inside).tolist() == [0.0, 0.0, 0.0]
    # |z|^2 / 2 is 4.5 and 2: 3.5^2 and 1
    outside = torch.tensor([[3.0, 0.0], [2.0, 0.0]])
    assert shell_penalty(outside).tolist() == pytest.approx([12.25, 1.0])


def test_the_prior_penalty_is_the_kl_of_the_batchs_moments():
    # means 1 and -1, variances 1 and 4: (1 / 2 + (1 + 4 - 1 - log 4) / 2) / 2
    shifted = torch.tensor([[0.0, -3.0], [1.0, -1.0], [2.0, 1.0]])
    expected = (0.5 + (4 - math.log(4)) / 2) / 2
    assert prior_penalty(shifted).item() == pytest.approx(expected)
    normal = torch.distributions.Normal
    means, scales = torch.tensor([1.0, -1.0]), torch.tensor([1.0, 2.0])
    kl = torch.distributions.kl_divergence(normal(means, scales), normal(0.0, 1.0))
    torch.testing.assert_close(prior_penalty(shifted), kl.mean())


def test_the_prior_penalty_is_least_for_the_prior():
    # of its own 2000 draws: two estimated moments of n draws cost about 1 / n
    z = torch.randn(2000, 5)
    least = prior_penalty(z).item()
    assert 0 <= least < 3e-3
    assert all(prior_penalty(worse) > 0.02 for worse in (z + 0.3, 0.7 * z, 1.5 * z))


@pytest.mark.parametrize(("one_sided", "expected"), [(False, 8.125), (True, 8.0)])
def test_the_gradient_penalty_of_linear_heads_is_their_slope(one_sided, expected):
    # slopes 5 and 0.5 on all points: ((5 - 1)^2 + (0.5 - 1)^2) / 2, or without the second
    weights = torch.tensor([[3.0, 4.0], [0.5, 0.0]])
    first, second = torch.randn(7, 2), torch.randn(7, 2)
    penalty = gradient_penalty(lambda z: z @ weights.T - 3, first, second, one_sided=one_sided)
    assert penalty.item() == pytest.approx(expected)


@pytest.mark.parametrize("one_sided", [False, True])
def test_one_linear_head_of_slope_five(one_sided):
    weights = torch.tensor([[3.0, 4.0]])
    penalty = gradient_penalty(
        lambda z: z @ weights.T, torch.zeros(2, 2), torch.ones(2, 2), one_sided=one_sided
    )
    assert penalty.item() == pytest.approx(16.0)


def test_the_gradient_penalty_looks_on_lines_between_the_two_batches():
    first = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    second = torch.tensor([[4.0, 2.0], [10.0, 6.0]])
    seen = []

    def critic(z):
        seen.append(z.detach())
        return (z.square() / 2).sum(-1, keepdim=True)  # its gradient is z itself

    penalty = gradient_penalty(critic, first, second)
    (points,) = seen
    share = points[:, 1] / second[:, 1]
    assert ((share > 0) & (share < 1)).all()
    assert share[0] != share[1]
    torch.testing.assert_close(points, first + share[:, None] * (second - first))
    torch.testing.assert_close(penalty, (points.norm(dim=-1) - 1).square().mean())


def test_the_gradient_penalty_is_a_loss_of_the_critics_weights():
    weights = torch.tensor([[3.0, 4.0]], requires_grad=True)
    gradient_penalty(lambda z: z @ weights.T, torch.zeros(3, 2), torch.ones(3, 2)).backward()
    # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|
    torch.testing.assert_close(weights.grad, torch.tensor([[4.8, 6.4]]))


def test_the_gradient_penalty_draws_from_the_generator_it_is_given():
    def penalty(seed):
        ends = torch.zeros(4, 2), torch.ones(4, 2)
        generator = torch.Generator().manual_seed(seed)
        return gradient_penalty(lambda z: z.square(), *ends, generator=generator).item()

    assert penalty(1) == penalty(1) != penalty(2)
