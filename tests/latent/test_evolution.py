"""The search by rewards alone, on decoders whose answers are known."""

import numpy as np
import pytest
import torch

from melodyconstraints.latent import evolution
from melodyconstraints.latent.evolution import (
    _RIDGE,
    EvolutionSearch,
    SearchInterrupted,
    _Forecast,
)

BLOCKS = [slice(0, 1), slice(1, 2), slice(2, 6)]


def points(count, seed=0):
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def evolve(search, reward, z, seed=1, **options):
    generator = torch.Generator().manual_seed(seed)
    return search(lambda z: z.clone(), reward, z, BLOCKS, generator=generator, **options)


def above(limit):
    """Whether the first dimension is above a limit."""
    return lambda z: (z[:, :1] > limit).double()


def test_points_that_are_satisfied_stay_and_nothing_is_drawn():
    z = points(5)
    found = evolve(EvolutionSearch(), lambda z: torch.ones(len(z), 2), z)
    assert torch.equal(found.points, z)
    assert found.drawn == 5


def test_every_point_is_moved_to_where_it_is_satisfied_with_its_sample():
    found = evolve(EvolutionSearch(), above(2), points(12))
    assert (found.points[:, 0] > 2).all()
    assert torch.equal(torch.stack(found.samples), found.points)
    assert (found.rewards == 1).all()


def test_a_rare_conjunction_is_climbed_to_by_graded_rewards():
    """All six above 1.5: one in 11 million points of the prior; 20 of 20 seeds find 8."""
    found = evolve(EvolutionSearch(), lambda z: (z / 3 + 0.5).clamp(0, 1), points(8))
    assert (found.points >= 1.5 - 1e-5).all()
    assert found.drawn <= 400 * 8


def test_what_no_reward_asks_for_stays_a_draw_of_the_prior():
    """Dimensions 1 to 5 of 2,000 members: means and variances within five standard errors."""
    found = evolve(EvolutionSearch(fresh=0, batch=4000), above(1.5), points(2000))
    free = found.points[:, 1:].numpy()
    assert np.abs(free.mean(0)).max() < 5 / np.sqrt(2000)
    assert np.abs(free.var(0) - 1).max() < 5 * np.sqrt(2 / 2000)


def test_without_fresh_points_only_some_blocks_change():
    z = points(40)
    found = evolve(EvolutionSearch(fresh=0, batch=40), above(0.5), z)
    changed = (found.points != z).float().mean(0)
    assert changed[0] > changed[1:].max()
    assert (found.points[z[:, 0] > 0.5] == z[z[:, 0] > 0.5]).all()


@pytest.mark.parametrize("draws", [1, 3, 50])
def test_the_number_of_draws_is_kept(draws):
    told = []
    search = EvolutionSearch(draws=draws, patience=1000)
    impossible = lambda z: torch.zeros(len(z), 1)  # noqa: E731
    found = evolve(search, impossible, points(4), callback=lambda *to: told.append(to))
    assert 4 * draws - 4 < found.drawn <= 4 * draws
    assert told[-1] == (0, found.drawn)


def test_batches_double_from_the_first_one():
    sizes = []

    def reward(samples):
        sizes.append(len(samples))
        return torch.zeros(len(samples), 1)

    evolve(EvolutionSearch(draws=50, patience=1000, batch=40, first_batch=12), reward, points(4))
    assert sizes[:5] == [4, 12, 24, 40, 40]


def test_it_gives_up_where_nothing_gets_better():
    found = evolve(EvolutionSearch(patience=32), lambda z: torch.zeros(len(z), 1), points(4))
    assert found.drawn == 4 + 4 * 32


def test_it_ends_where_as_many_are_satisfied_as_are_wanted():
    """The best are returned in their order: rewards say which."""
    z = torch.tensor([-3.0, 5.0, -2.0, 4.0])[:, None].repeat(1, 6)
    found = evolve(EvolutionSearch(), above(3), z, wanted=2)
    assert torch.equal(found.points, z[[1, 3]])
    graded = lambda z: (z[:, :1] / 10 + 0.5).clamp(0, 0.99)  # noqa: E731
    found = evolve(EvolutionSearch(draws=2), graded, z, wanted=2)
    assert torch.equal(found.points, z[[1, 3]])


def test_the_best_of_the_points_are_evolved_and_the_others_left_out():
    z, graded = points(30), lambda z: torch.sigmoid(z[:, :1])  # never satisfied
    found = evolve(EvolutionSearch(draws=10), graded, z, members=3)
    assert torch.equal(found.points, z[z[:, 0].topk(3).indices.sort().values])
    assert found.drawn == 30  # of which it may draw ten for each that is wanted
    further = evolve(EvolutionSearch(draws=100), graded, z, members=3)
    assert (further.points[:, 0] >= found.points[:, 0]).all()
    assert further.rewards.sum() > found.rewards.sum()


def test_a_reward_of_weight_0_is_measured_and_asks_nothing():
    search = EvolutionSearch(weights=(0.0, 1.0))
    z = points(6)
    reward = lambda z: torch.stack([z[:, 0] > 9, z[:, 1] > 0], 1).double()  # noqa: E731
    found = evolve(search, reward, z)
    assert (found.points[:, 1] > 0).all()
    assert (found.rewards[:, 0] == 0).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_finds_the_same(seed):
    first, second = (evolve(EvolutionSearch(), above(2), points(6), seed) for _ in range(2))
    assert torch.equal(first.points, second.points)
    assert first.drawn == second.drawn


def test_of_satisfied_samples_preferred_ones_are_returned_without_a_draw():
    z = points(6)
    prefer = lambda z: (z[:, 1] > z[:, 1].median()).double()  # noqa: E731
    found = evolve(
        EvolutionSearch(), lambda z: torch.ones(len(z), 1), z, wanted=3, preference=prefer
    )
    assert torch.equal(found.points, z[z[:, 1] > z[:, 1].median()])
    assert (found.preferences == 1).all()
    assert found.drawn == 6


def test_the_search_goes_on_for_preferred_samples():
    """Both dimensions above 1: a fortieth of the prior's points."""
    z = points(12)
    prefer = lambda z: (z[:, 1] / 2 + 0.5).clamp(max=1).double()  # noqa: E731
    plain = evolve(EvolutionSearch(), above(1), z)
    found = evolve(EvolutionSearch(), above(1), z, preference=prefer)
    assert (found.points[:, 0] > 1).all()
    assert (found.preferences == 1).sum() > (plain.points[:, 1] > 1).sum()
    assert plain.drawn < found.drawn <= plain.drawn + max(plain.drawn, 4 * 12)


def test_no_satisfied_reward_is_given_up_for_a_preference():
    """The preference is contrary to the reward: the end is bounded, and all are satisfied."""
    z = points(8)
    contrary = lambda z: (0.5 - z[:, 0]).clamp(0, 1).double()  # noqa: E731
    plain = evolve(EvolutionSearch(), above(2), z)
    found = evolve(EvolutionSearch(), above(2), z, preference=contrary)
    assert (found.points[:, 0] > 2).all()
    assert found.drawn <= plain.drawn + max(plain.drawn, 4 * 8)


def test_a_preference_asks_nothing_of_what_is_not_satisfied():
    found = evolve(
        EvolutionSearch(patience=32),
        lambda z: torch.zeros(len(z), 1),
        points(4),
        preference=lambda z: z[:, 0].double(),
    )
    assert found.drawn == 4 + 4 * 32


def test_draws_for_preferred_samples_are_draws_too():
    z = points(4)
    none = lambda z: torch.zeros(len(z))  # noqa: E731
    search = EvolutionSearch(draws=2)
    found = evolve(search, lambda z: torch.ones(len(z), 1), z, preference=none)
    assert found.drawn == 2 * 4


# The forecast


def test_the_slope_is_that_of_ridge_regression_on_all_points_so_far():
    """Closed form: centred normal equations with the ridge on the diagonal."""
    z, scores = points(500).double(), torch.randn(500, dtype=torch.float64)
    forecast = _Forecast(6)
    for part in (slice(0, 20), slice(20, 500)):
        forecast.learn(z[part].float(), scores[part])
    centred = z - z.mean(0)
    products = centred.T @ centred + _RIDGE * torch.eye(6)
    expected = torch.linalg.inv(products) @ centred.T @ (scores - scores.mean())
    torch.testing.assert_close(forecast.slope, expected)


def test_of_each_parents_candidates_those_with_the_highest_forecasts_are_taken():
    forecast = _Forecast(2)
    rises = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    forecast.learn(rises, rises[:, 0].double())
    first, second = [3.0, 1.0, 2.0, 0.0], [-1.0, -3.0, -4.0, -2.0]
    candidates = torch.tensor([[x, 9.0] for x in first + second])
    assert forecast.best(candidates, parents=2, each=2).tolist() == [0, 2, 4, 7]


def test_a_reward_that_rises_along_z_is_found_more_often():
    """A yes or no that holds for 2% of the prior's points, in 46 dimensions: seeds 0 to 9."""
    direction = torch.nn.functional.normalize(torch.arange(1.0, 47.0), dim=0)
    blocks = [slice(i, i + 1) for i in range(46)]

    def found(candidates: int, seed: int) -> int:
        random = torch.Generator().manual_seed(seed)
        z = torch.randn(16, 46, generator=random)
        search = EvolutionSearch(draws=32, patience=32, candidates=candidates)
        is_far = lambda z: (z @ direction > 2.05).double()[:, None]  # noqa: E731
        return int(search(lambda z: z, is_far, z, blocks, generator=random).rewards.sum())

    plain, guided = (sum(found(count, seed) for seed in range(10)) for count in (1, 32))
    assert guided > 1.3 * plain


def test_of_many_members_no_more_candidates_are_held_than_fit(monkeypatch):
    held, best = [], _Forecast.best
    monkeypatch.setattr(evolution, "_MOST_CANDIDATES", 64)
    monkeypatch.setattr(
        _Forecast,
        "best",
        lambda self, candidates, *of: held.append(len(candidates)) or best(self, candidates, *of),
    )
    nothing = lambda z: torch.zeros(len(z), 1)  # noqa: E731
    for members, expected in ((2, 64), (20, 60), (100, 100)):
        held.clear()
        evolve(EvolutionSearch(draws=3, batch=2), nothing, points(members))
        assert held == [expected] * 2


def test_ctrl_c_tells_what_was_found_until_then():
    z, seen = points(12), []

    def stop(satisfied, drawn):
        seen.append(satisfied)
        if satisfied > seen[0]:
            raise KeyboardInterrupt

    with pytest.raises(SearchInterrupted) as stopped:
        evolve(EvolutionSearch(first_batch=2, batch=2), above(1.5), z, callback=stop)
    found = stopped.value.population
    assert len(found.points) == 12
    assert (found.points[:, 0] > 1.5).sum() == seen[-1] > seen[0]
    assert torch.equal(torch.stack(found.samples), found.points)


def test_ctrl_c_keeps_the_parts_of_the_start_that_are_drawn():
    z, search = points(10), EvolutionSearch(start_batch=4)
    told = []

    def stop(satisfied, drawn):
        told.append((satisfied, drawn))
        if drawn == 8:
            raise KeyboardInterrupt

    with pytest.raises(SearchInterrupted) as stopped:
        evolve(search, above(0), z, callback=stop, wanted=6)
    high = z[:, 0] > 0
    assert told == [(int(high[:4].sum()), 4), (int(high[:8].sum()), 8)]
    found = stopped.value.population
    assert (found.drawn, len(found.points)) == (8, 6)  # the best six of eight
    assert (found.points[:, 0] > 0).sum() == min(6, int(high[:8].sum()))


def test_ctrl_c_before_anything_is_drawn_is_ctrl_c():
    def stop(z):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        evolve(EvolutionSearch(), stop, points(3))
    assert not isinstance(stopped.value, SearchInterrupted)


def test_a_start_in_parts_finds_what_one_at_once_finds():
    whole = evolve(EvolutionSearch(), above(2), points(12))
    parts = evolve(EvolutionSearch(start_batch=5), above(2), points(12))
    assert torch.equal(parts.points, whole.points)
    assert parts.drawn == whole.drawn
