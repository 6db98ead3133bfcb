"""Searches against closed forms: Adam by hand, random walks, a Gaussian posterior."""

import math

import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.losses import (
    distance_penalty,
    satisfaction_loss,
    shell_penalty,
)
from melodyconstraints.latent.networks import Critic
from melodyconstraints.latent.search import GradientSearch, LangevinSearch, predicted_satisfied

SIGMA_BAR = torch.tensor([0.5, 1.0])
START = torch.tensor([[0.3, -0.4], [1.0, 2.0], [-2.0, 0.5]])


def logit(share):
    return math.log(share / (1 - share))


def coordinates(z, y=None):
    """A head for each coordinate: D >= 0.9 where it is at least log 9."""
    return z


def hills(z, y=None):
    """Two heads that want different places."""
    to_one, to_two = torch.tensor([1.0, -1.0]), torch.tensor([-0.5, 2.0])
    return torch.stack([2 - (z - to_one).square().sum(-1), 1 - (z - to_two).norm(dim=-1)], -1)


# What counts as predicted satisfied


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        (None, [False, False, False]),
        (0.5, [True, False, False]),
        (0.2, [True, True, False]),
        ((0.9, 0.2), [False, True, False]),
        ((0.0, 0.0), [True, True, True]),
        ((1.0, 1.0), [False, False, False]),
    ],
)
def test_all_heads_must_reach_their_thresholds(thresholds, expected):
    logits = torch.tensor(
        [[logit(0.6), logit(0.5)], [logit(0.95), logit(0.25)], [logit(0.1), logit(0.99)]]
    )
    assert predicted_satisfied(logits, thresholds).tolist() == [[value] for value in expected]


def test_nobody_waits_for_a_head_without_a_weight():
    logits = torch.tensor([[9.0, -9.0], [-9.0, 9.0]])
    assert predicted_satisfied(logits, 0.5, (1.0, 0.0)).tolist() == [[True], [False]]
    assert predicted_satisfied(logits, (0.5, 0.5), (0.3, 2.0)).tolist() == [[False], [False]]
    z = torch.tensor([[3.0, -3.0]])
    for search in (
        GradientSearch(5, thresholds=0.9, weights=(1.0, 0.0)),
        LangevinSearch(5, noise=0.1, thresholds=0.9, weights=(1.0, 0.0)),
    ):
        found = search(coordinates, z, sigma_bar=SIGMA_BAR, generator=torch.Generator())
        assert torch.equal(found, z)


def test_points_with_weights_and_thresholds_of_their_own_move_as_each_by_itself():
    z, sigma_bar = torch.randn(3, 2), torch.ones(2)
    critic = lambda z, y: z @ torch.tensor([[1.0], [0.5]])  # noqa: E731
    thresholds, weights = torch.tensor([[0.6], [0.9], [0.9]]), torch.tensor([0.0, 0.0, 1.0])
    together = GradientSearch(9, 0.1, thresholds=thresholds, distance_weight=weights)
    found = together(critic, z, sigma_bar=sigma_bar)
    for row in range(3):
        alone = GradientSearch(
            *(9, 0.1),
            thresholds=thresholds[row].item(),
            distance_weight=weights[row].item(),
        )
        expected = alone(critic, z[row : row + 1], sigma_bar=sigma_bar)
        torch.testing.assert_close(found[row : row + 1], expected)


def test_a_search_follows_gradients_where_they_are_turned_off():
    critic = lambda z, y: z.sum(-1, keepdim=True)  # noqa: E731
    z, sigma_bar = torch.zeros(1, 2), torch.ones(2)
    generator = torch.Generator().manual_seed(0)
    for search in (GradientSearch(3), LangevinSearch(3, step_size=0.1)):
        with torch.no_grad():
            moved = search(critic, z, sigma_bar=sigma_bar, generator=generator)
        assert (moved > 0).all()
        assert not moved.requires_grad


def test_another_number_of_thresholds_than_heads_is_refused():
    for search in (GradientSearch(thresholds=(0.5,)), LangevinSearch(thresholds=(0.5,))):
        with pytest.raises(UsageError, match="give 2 thresholds, one for each head, got 1"):
            search(coordinates, START, sigma_bar=SIGMA_BAR, generator=torch.Generator())


def test_another_number_of_weights_than_heads_is_refused():
    for search in (GradientSearch(weights=(1.0,)), LangevinSearch(weights=(1.0,))):
        with pytest.raises(UsageError, match="give 2 weights, one for each head, got 1"):
            search(coordinates, START, sigma_bar=SIGMA_BAR, generator=torch.Generator())


# Gradient descent


def test_the_papers_inner_loop():
    search = GradientSearch()
    assert (search.steps, search.learning_rate) == (100, 0.1)


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_where_the_slope_is_constant_adam_moves_by_the_learning_rate(steps):
    # -log D of logits far below zero has the slope -w; Adam divides it by its own size.
    def critic(z, y):
        return (z @ torch.tensor([[3.0], [-0.2]])) - 1e3

    found = GradientSearch(steps=steps)(critic, START, sigma_bar=SIGMA_BAR)
    torch.testing.assert_close(found, START + 0.1 * steps * torch.tensor([1.0, -1.0]))


def test_the_search_is_adam_on_the_losses():
    point = START.clone().requires_grad_(True)
    adam = torch.optim.Adam([point], lr=0.05, betas=(0.9, 0.999))
    for _ in range(15):
        adam.zero_grad()
        loss = satisfaction_loss(hills(point), (1.0, 0.1))
        loss = loss + 0.3 * distance_penalty(point, START, SIGMA_BAR) + 0.2 * shell_penalty(point)
        loss.sum().backward()
        adam.step()
    search = GradientSearch(15, 0.05, weights=(1.0, 0.1), distance_weight=0.3, shell_weight=0.2)
    found = search(hills, START, sigma_bar=SIGMA_BAR)
    torch.testing.assert_close(found, point.detach())
    assert not found.requires_grad


def test_a_search_leaves_points_and_critic_alone():
    critic, before = Critic(2, 1, (8,)), START.clone()
    for search in (GradientSearch(3), LangevinSearch(3)):
        found = search(critic, START, sigma_bar=SIGMA_BAR, generator=torch.Generator())
        assert torch.equal(START, before)
        assert not torch.equal(found, START)
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_points_that_the_critic_predicts_satisfied_do_not_move():
    z = torch.tensor([[3.0, 3.0], [0.0, 3.0], [3.0, 0.0]])
    for search in (
        GradientSearch(5, thresholds=0.9),
        LangevinSearch(5, step_size=0.1, noise=0.1, thresholds=0.9),
    ):
        found = search(coordinates, z, sigma_bar=SIGMA_BAR, generator=torch.Generator())
        assert torch.equal(found[0], z[0])
        assert (found[1:] != z[1:]).all()


def test_a_point_moves_no_further_than_it_must():
    z = torch.linspace(-3, 3, 13)[:, None].expand(13, 2)
    found = GradientSearch(thresholds=0.9)(coordinates, z, sigma_bar=SIGMA_BAR)
    edge, waiting = math.log(9), z < math.log(9)
    assert torch.equal(found[~waiting], z[~waiting])
    assert (found[waiting] >= edge - 1e-6).all()
    assert (found[waiting] < edge + 0.1).all()  # a step of Adam is at most the learning rate


def test_every_head_has_a_threshold_of_its_own():
    z = torch.zeros(1, 2)
    search = GradientSearch(thresholds=(0.9, 0.5), weights=(1.0, 0.0))
    ((first, second),) = search(coordinates, z, sigma_bar=SIGMA_BAR).tolist()
    assert math.log(9) <= first < math.log(9) + 0.1
    assert second == 0  # content from the start, and without a weight it is not pushed on


def test_without_thresholds_every_point_moves_all_the_way():
    z = torch.full((1, 2), 9.0)
    found = GradientSearch(10)(coordinates, z, sigma_bar=SIGMA_BAR)
    assert (found > z + 0.9).all()


def test_a_batch_finds_what_each_point_finds_alone():
    critic, z = Critic(2, 2, (16,)), torch.randn(40, 2)
    halves = torch.sigmoid(critic(z)).quantile(0.5, 0).tolist()  # between two points
    search = GradientSearch(30, thresholds=tuple(halves), distance_weight=0.1, shell_weight=1.0)
    together = search(critic, z, sigma_bar=SIGMA_BAR)
    alone = torch.cat([search(critic, one[None], sigma_bar=SIGMA_BAR) for one in z])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    moved = (together != z).any(-1)
    assert 0 < moved.sum() < len(z)  # both kinds were tried


def test_a_heavier_distance_keeps_points_nearer():
    def away(weight):
        search = GradientSearch(100, distance_weight=weight)
        return (search(hills, START, sigma_bar=SIGMA_BAR) - START).norm(dim=-1)

    assert (away(10.0) < away(0.1)).all()


@pytest.mark.parametrize(
    "search", [GradientSearch(200, 0.05), LangevinSearch(400, step_size=0.1, noise=0.0)]
)
def test_the_critic_is_told_what_is_asked(search):
    y = torch.tensor([[1.0, 1.0], [-2.0, 0.0], [0.0, 3.0]])
    found = search(
        lambda z, y: -(z - y).square(), START, y, sigma_bar=SIGMA_BAR, generator=torch.Generator()
    )
    torch.testing.assert_close(found, y, atol=0.02, rtol=0)


# Langevin steps


def test_the_sources_steps():
    search = LangevinSearch()
    assert (search.step_size, search.noise, search.prior_weight) == (1e-3, 1e-8, 0.0)


def test_without_a_step_size_it_is_a_random_walk(seeded):
    # 5 standard errors: of the mean 5 / sqrt(20000), of the variance 5 sqrt(2 / 20000)
    search = LangevinSearch(steps=25, step_size=0.0, noise=0.04)
    z = torch.full((20_000, 2), 3.0)
    walked = search(coordinates, z, generator=seeded()) - z
    assert walked.mean(0).tolist() == pytest.approx([0, 0], abs=0.036)
    assert walked.var(0).tolist() == pytest.approx([25 * 0.04] * 2, rel=0.05)


def test_without_noise_it_is_plain_gradient_ascent(seeded):
    slope = torch.tensor([1.5, -0.5])
    search = LangevinSearch(steps=12, step_size=0.2, noise=0.0, weights=(0.7,))
    found = search(lambda z, y: z @ slope[:, None], START, generator=seeded())
    expected = START.clone()
    for _ in range(12):
        # d log sigmoid(w z) / dz = (1 - sigmoid(w z)) w
        expected += 0.2 * 0.7 * (1 - torch.sigmoid(expected @ slope))[:, None] * slope
    torch.testing.assert_close(found, expected)


def test_the_priors_weight_pulls_to_the_origin(seeded):
    def indifferent(z, y):
        return 0 * z[:, :1]

    search = LangevinSearch(steps=10, step_size=0.1, noise=0.0, prior_weight=0.5)
    found = search(indifferent, START, generator=seeded())
    torch.testing.assert_close(found, START * 0.95**10)


def test_with_the_prior_and_its_noise_it_samples_the_posterior(seeded):
    # A likelihood N(z; m, s^2) in each coordinate: D = exp(-q), q = ((z - m) / s)^2 / 2 + 1.
    # With the prior N(0, 1) the posterior has the precision 1 + 1 / s^2 and, weighted so, the
    # mean m / s^2. Steps of h add a share h * precision / 2 to its variance.
    m, s2 = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 0.25])
    precision = 1 + 1 / s2

    def critic(z, y):
        q = (z - m).square() / (2 * s2) + 1
        return -q - torch.log(-torch.expm1(-q))

    h, n = 0.01, 10_000
    search = LangevinSearch(steps=250, step_size=h, noise=2 * h, prior_weight=1.0)
    z = torch.randn(n, 2, generator=seeded(1))
    found = search(critic, z, generator=seeded(2))
    deviation = precision.rsqrt()
    # 5 standard errors of n draws, and a thousandth of the start that is left
    error = 5 * deviation / math.sqrt(n) + 2e-3
    assert ((found.mean(0) - m / s2 / precision).abs() < error).all()
    discrete = 1 / (precision * (1 - h * precision / 2))
    torch.testing.assert_close(found.var(0), discrete, rtol=5 * math.sqrt(2 / n), atol=0)
    torch.testing.assert_close(found.var(0), 1 / precision, rtol=0.1, atol=0)
    assert abs(torch.corrcoef(found.T)[0, 1]) < 0.05


def test_the_noise_is_the_generators(seeded):
    def found(seed):
        return LangevinSearch(steps=3, noise=0.1)(coordinates, START, generator=seeded(seed))

    assert torch.equal(found(1), found(1))
    assert not torch.equal(found(1), found(2))
