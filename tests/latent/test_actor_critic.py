"""Actor-critic training for rewards on two dimensions, where the answer is known."""

import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from melodyconstraints.errors import TrainingError, UsageError
from melodyconstraints.latent import losses
from melodyconstraints.latent.constraints import RewardConstraint, Rewards
from melodyconstraints.latent.networks import Critics
from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.latent.search import LangevinSearch
from melodyconstraints.latent.settings import PRESETS
from melodyconstraints.latent.training import DECODED, WARMUP_STEPS, _Trainer, train_actor_critic


def to_the_right(z):
    """1 where the first coordinate is above 1."""
    return (1 + (z[:, 0] - 1) / 3).clamp(0, 1)


def upwards(z):
    """1 where the second coordinate is above 1."""
    return (1 + (z[:, 1] - 1) / 3).clamp(0, 1)


def share_satisfied(points, rewards):
    return torch.stack([r(points) >= SATISFIED for r in rewards]).all(0).float().mean().item()


@pytest.fixture
def trainer_of(plane, seeded):
    """A trainer on the plane, and its constraint."""

    def make(rewards, settings):
        constraint = RewardConstraint(
            plane, Rewards(rewards), replay_size=settings.replay_size, sharpness=settings.sharpness
        )
        return _Trainer(plane, [constraint], settings, seeded()), constraint

    return make


@pytest.fixture
def train_and_move(plane, seeded, quick):
    """The share satisfied before and after, and the mean shift, on points that are new."""

    def train(rewards, **settings):
        recipe = replace(quick, **settings)
        trained = train_actor_critic(plane, rewards, recipe, generator=seeded())
        z = torch.randn(5000, 2, generator=seeded(99))
        with torch.no_grad():
            shifted = trained.actor(z)
        before, after = share_satisfied(z, rewards), share_satisfied(shifted, rewards)
        return trained, before, after, z, (shifted - z).norm(dim=-1).mean().item()

    return train


# What is learned


def test_the_actor_finds_a_disc_with_a_moderate_shift(train_and_move, disc):
    trained, before, after, z, shift = train_and_move([disc])
    assert before < 0.02
    assert after > 0.9
    # The shortest way is 1; 20 seeds take 1.25 to 1.51, with a deviation of .07.
    assert shift < 2 * disc.outside(z).mean().item()
    assert 0.9 < trained.best <= 1
    assert trained.records[-1].satisfied[0] > trained.records[0].satisfied[0] + 0.5


def test_the_critic_knows_where_the_disc_is(plane, disc, quick, seeded):
    free = replace(quick, gradient_penalty=0.0)
    trained = train_actor_critic(plane, [disc], free, generator=seeded())
    with torch.no_grad():
        ends = torch.stack([disc.centre, -disc.centre])
        inside, away = torch.sigmoid(trained.critic(ends)).flatten()
    assert inside > 0.9
    assert away < 0.1


def test_the_actor_satisfies_two_rewards_at_once(train_and_move):
    rewards = [to_the_right, upwards]
    # where a half plane is satisfied, only the prior keeps points from running on
    held = {"prior_weight": 0.05, "distance_weight": 0.1}
    trained, before, after, z, shift = train_and_move(rewards, **held)
    least = (1 - z).clamp(min=0).norm(dim=-1).mean().item()
    assert before < 0.04
    assert after > 0.85  # 20 seeds: 0.93 to 1
    # 20 seeds take 1.66 to 1.93 times the shortest way, with a deviation of .07.
    assert shift < 2.3 * least
    assert all(len(record.rewards) == len(record.satisfied) == 2 for record in trained.records)


def test_a_heavier_distance_penalty_keeps_points_nearer(plane, disc, quick, seeded):
    z = torch.randn(1000, 2, generator=seeded(99))

    def shift(weight):
        settings = replace(quick, rounds=10, distance_weight=weight, validation=0)
        trained = train_actor_critic(plane, [disc], settings, generator=seeded())
        with torch.no_grad():
            return (trained.actor(z) - z).norm(dim=-1).mean().item()

    assert shift(10.0) < 0.5 < 1.5 < shift(0.0)


def test_a_heavier_prior_keeps_points_spread(plane, quick, seeded):
    def near_the_origin(z):
        return torch.exp(-(z.norm(dim=-1) - 0.3).clamp(min=0))

    z = torch.randn(1000, 2, generator=seeded(99))

    def spread(weight):
        settings = replace(quick, rounds=10, prior_weight=weight, validation=0)
        trained = train_actor_critic(plane, [near_the_origin], settings, generator=seeded())
        with torch.no_grad():
            return trained.actor(z).std(0)

    assert (spread(0.0) < 0.5).all()
    assert (spread(10.0) > 0.8).all()


@pytest.mark.parametrize(("sharpness", "expected"), [(0.0, 0.8), (0.5, 0.4), (1.0, 0.0)])
def test_sharpness_tells_nearly_satisfied_from_satisfied(trainer_of, short, sharpness, expected):
    def reward(z):
        return torch.where(z[:, 0] > 0, 1.0, 0.8)

    settings = replace(short, sharpness=sharpness, gradient_penalty=0.0, bank=512)
    settings = replace(settings, warmup_steps=300, batch_size=64, learning_rate=1e-2)
    trainer, constraint = trainer_of([reward], settings)
    constraint.satisfied.fill_(1.0)
    trainer.warm_up()
    with torch.no_grad():
        left, right = torch.sigmoid(trainer.critic(torch.tensor([[-1.5, 0.0], [1.5, 0.0]])))
    assert left.item() == pytest.approx(expected, abs=0.07)
    assert right.item() == pytest.approx(1.0, abs=0.07)


def test_weights_of_zero_leave_a_reward_out_of_the_actors_loss(plane, quick, seeded):
    settings = replace(quick, rounds=20, validation=0)
    z = torch.randn(1000, 2, generator=seeded(99))

    def moved(weights):
        rewards = [to_the_right, upwards]
        trained = train_actor_critic(plane, rewards, settings, weights=weights, generator=seeded())
        with torch.no_grad():
            shifted = trained.actor(z)
        return [share_satisfied(shifted, [reward]) for reward in rewards]

    right, up = moved([1.0, 0.0])
    assert right > 0.8
    assert up < 0.4
    right, up = moved([0.0, 1.0])
    assert right < 0.4
    assert up > 0.8


# How it is learned


def test_the_same_seed_gives_equal_weights_and_another_seed_others(plane, disc, short, seeded):
    def weights(seed):
        trained = train_actor_critic(plane, [disc], short, generator=seeded(seed))
        return torch.cat([p.flatten() for p in [*trained.actor.parameters()]]), trained.records

    (first, records), (second, again), (other, _) = weights(1), weights(1), weights(2)
    assert torch.equal(first, second)
    assert [asdict(record) for record in records] == [asdict(record) for record in again]
    assert not torch.equal(first, other)


def test_a_training_leaves_the_global_generator_alone(plane, disc, short, seeded):
    before = torch.get_rng_state()
    train_actor_critic(plane, [disc], short, generator=seeded())
    assert torch.equal(before, torch.get_rng_state())


def test_the_callback_sees_every_round_as_it_ends(plane, disc, short, seeded):
    seen = []
    trained = train_actor_critic(plane, [disc], short, generator=seeded(), callback=seen.append)
    assert [record.round for record in seen] == [0, 1, 2, 3]
    assert seen == trained.records
    assert not trained.interrupted


def test_what_a_round_records_is_what_the_rewards_of_the_actors_points(plane, disc, short, seeded):
    rewards = []

    def reward(z):
        rewards.append(disc(z) if len(rewards) % 2 else torch.ones(len(z)))
        return rewards[-1]

    settings = replace(short, bank=0, validation=0)
    trained = train_actor_critic(plane, [reward], settings, generator=seeded())
    for record, values in zip(trained.records, rewards, strict=True):
        own = values[: short.actor_points]
        assert record.rewards == [pytest.approx(own.mean().item())]
        assert record.satisfied == [pytest.approx((own >= SATISFIED).float().mean().item())]
        assert record.all_satisfied == record.satisfied[0]


def test_a_model_of_torch_layers_is_neither_trained_nor_differentiated(short, seeded):
    class Layers(nn.Module):
        latent_dim = 2

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)
            self.register_buffer("sigma_bar", torch.ones(2))

        def decode(self, z):
            return self.linear(z)

    model = Layers()
    before = model.linear.weight.detach().clone()
    rewards = [lambda x: torch.sigmoid(x[:, 0]), lambda x: 1 / (1 + abs(x.numpy()[:, 1]))]
    train_actor_critic(model, rewards, short, generator=seeded())
    assert torch.equal(model.linear.weight, before)
    assert model.linear.weight.grad is None


def test_the_heads_are_named_in_the_order_of_the_rewards(plane, disc, short):
    disc.name = "disc"
    trained = train_actor_critic(plane, [disc, upwards], short)
    assert trained.head_names == ("disc", "2 of 2")
    assert isinstance(trained.critic, Critics)
    assert trained.critic(torch.zeros(3, 2)).shape == (3, 2)


def test_the_learning_rate_falls_along_a_line(trainer_of, disc, short):
    trainer, _ = trainer_of([disc], replace(short, learning_rate=1.0))
    for progress, expected in [(0.0, 1.0), (0.5, 0.55), (1.0, 0.1)]:
        trainer._set_rates(progress)
        for optimizer in (trainer.actor_optimizer, trainer.critic_learner.optimizer):
            assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_the_actor_that_is_returned_is_the_moving_average(trainer_of, disc, short):
    settings = replace(short, ema_decay=0.9, actor_steps=1, validation=0, bank=0)
    trainer, _ = trainer_of([disc], settings)
    start = [parameter.detach().clone() for parameter in trainer.actor.parameters()]
    trainer.round(0)
    returned = trainer.finish()
    assert math.isnan(returned.best)
    for mean, first, now in zip(
        returned.actor.parameters(), start, trainer.actor.parameters(), strict=True
    ):
        torch.testing.assert_close(mean, 0.9 * first + 0.1 * now)


def test_the_best_of_the_validated_actors_is_returned(trainer_of, disc, short, monkeypatch):
    trainer, _ = trainer_of([disc], short)
    for share in (0.25, 0.75, 0.5):
        values = (torch.arange(16) < 16 * share).float()[:, None]
        met = values, values >= SATISFIED
        monkeypatch.setattr(trainer, "evaluate", lambda *points, met=met: met)
        with torch.no_grad():
            next(trainer.averaged.parameters()).fill_(share)
        trainer._validate()
    returned = trainer.finish()
    assert returned.best == 0.75
    assert (next(returned.actor.parameters()) == 0.75).all()


def test_of_actors_that_satisfy_as_many_the_one_of_greater_reward_is_returned(
    trainer_of, disc, short, monkeypatch
):
    trainer, _ = trainer_of([disc], short)
    for reward in (0.25, 0.75, 0.5):
        values = torch.full((16, 1), reward)
        met = values, values >= SATISFIED
        monkeypatch.setattr(trainer, "evaluate", lambda *points, met=met: met)
        with torch.no_grad():
            next(trainer.averaged.parameters()).fill_(reward)
        trainer._validate()
    returned = trainer.finish()
    assert returned.best == 0.0
    assert (next(returned.actor.parameters()) == 0.75).all()


def test_nothing_is_learned_from_the_points_of_the_validation(trainer_of, disc, short, plane):
    trainer, constraint = trainer_of([disc], short)
    trainer.warm_up()
    trainer.round(0)
    points, satisfied = constraint.points.clone(), constraint.satisfied.clone()
    weights = [parameter.detach().clone() for parameter in trainer.critic.parameters()]
    with torch.no_grad():  # the actor leads every point into the disc
        trainer.averaged.layers[-1].weight.zero_()
        trainer.averaged.layers[-1].bias.copy_(torch.tensor([*disc.centre, 100.0, 100.0]))
    decoded = constraint.decoded
    trainer._validate()
    assert trainer.best == (1.0, 1.0)
    assert constraint.decoded == decoded + short.validation == sum(plane.decoded)
    assert torch.equal(constraint.points, points)
    assert len(constraint.measured) == len(points)
    assert torch.equal(constraint.satisfied, satisfied)
    assert satisfied.item() < 0.2
    assert all(map(torch.equal, weights, trainer.critic.parameters()))


@pytest.mark.parametrize(("replay_size", "expected"), [(0, [8, 8, 8]), (12, [8, 16, 20])])
def test_the_critic_learns_from_the_newest_decodings(
    trainer_of, disc, short, replay_size, expected
):
    settings = replace(short, replay_size=replay_size, bank=0, validation=0)
    trainer, constraint = trainer_of([disc], settings)
    sizes = []
    for number in range(3):
        trainer.round(number)
        sizes.append(len(constraint.points))
    assert sizes == expected
    assert torch.equal(constraint.measured[:, 0], disc(constraint.points))


def test_the_papers_recipe_runs_ten_critic_steps_to_an_actor_step(plane, disc, seeded):
    settings = replace(PRESETS["paper"], actor_hidden=(8,) * 4, critic_hidden=(8,) * 4, rounds=20)
    trained = train_actor_critic(plane, [disc], settings, generator=seeded())
    assert plane.decoded == [settings.actor_points + settings.prior_points] * 20
    learned = [r.round for r in trained.records if not math.isnan(r.actor_loss)]
    assert learned == [9, 19]
    assert all(math.isfinite(record.critic_loss) for record in trained.records)
    assert math.isnan(trained.best)


def test_sharpness_grows_with_the_share_satisfied_and_never_falls(trainer_of, short):
    settings = replace(short, bank=0, validation=0)
    shares = iter([0.0, 1.0, 0.5, 0.0])

    def reward(z):
        satisfied = round(next(shares) * settings.actor_points)
        return torch.where(torch.arange(len(z)) < satisfied, 1.0, 0.5)

    trainer, constraint = trainer_of([reward], settings)
    found = []
    for number in range(4):
        trainer.round(number)
        found.append(constraint.satisfied.item())
    # A round weighs a fifth: 0, 0.2, 0.8 * 0.2 + 0.2 * 0.5; what would be less is not taken.
    assert found == pytest.approx([0.0, 0.2, 0.26, 0.26])


# What is decoded


def test_every_sample_that_was_decoded_is_counted(plane, disc, short):
    trained = train_actor_critic(plane, [disc], short)
    # the bank, four rounds of 6 + 2 points, two validations
    assert trained.decoded == sum(plane.decoded) == 64 + 4 * 8 + 2 * 16


def test_a_bank_that_is_handed_in_is_not_decoded_again(plane, disc, short, seeded):
    own, drawn = train_actor_critic(plane, [disc], short, generator=seeded()), plane.decoded
    plane.decoded = []
    z = torch.randn(64, 2, generator=seeded(5))
    trained = train_actor_critic(plane, [disc], short, bank=(z, z), generator=seeded())
    assert drawn == [64, *plane.decoded]
    assert trained.decoded == own.decoded - 64 == sum(plane.decoded)


@pytest.mark.parametrize("handed_in", [0, 10, 64])
def test_a_warm_up_tells_of_points_that_are_decoded_and_then_of_steps(
    plane, disc, short, handed_in
):
    told = []
    z = torch.randn(handed_in, 2)
    train_actor_critic(
        plane,
        [disc],
        replace(short, bank=600 + handed_in),
        bank=(z, z) if handed_in else None,
        warmup_callback=lambda *counts: told.append(counts),
    )
    steps = short.warmup_steps
    assert told == [
        *((DECODED, done, 600) for done in (256, 512, 600)),
        *((WARMUP_STEPS, done, steps) for done in range(1, steps + 1)),
    ]


def test_without_a_bank_no_warm_up_is_told_of(plane, disc, short):
    told = []
    settings = replace(short, bank=0, warmup_steps=0)
    train_actor_critic(
        plane, [disc], settings, warmup_callback=lambda *counts: told.append(counts)
    )
    assert told == []


def test_a_bank_that_is_handed_in_is_filled_up_and_learned(trainer_of, disc, short):
    trainer, constraint = trainer_of([disc], short)
    z = torch.linspace(-1, 1, 20).reshape(10, 2)
    trainer.warm_up((z, z))
    assert len(constraint.points) == short.bank
    assert constraint.decoded == short.bank - 10
    assert torch.equal(constraint.points[:10], z)
    assert torch.equal(constraint.measured, disc(constraint.points)[:, None])


@pytest.mark.parametrize(("penalty_points", "expected"), [(2, 2), (3, 3), (8, 8), (64, 8)])
def test_the_penalty_is_taken_on_some_points(
    trainer_of, disc, short, monkeypatch, penalty_points, expected
):
    seen = []

    def penalty(critic, first, second, **options):
        seen.append((first, second))
        return critic(first).sum()

    monkeypatch.setattr(losses, "gradient_penalty", penalty)
    trainer, _ = trainer_of([disc], replace(short, penalty_points=penalty_points))
    trainer.warm_up()
    assert len(seen) == short.warmup_steps
    for first, second in seen:
        assert first.shape == second.shape == (expected, 2)
        if expected == 8:  # the ends of a line are in different halves of the examples
            assert torch.equal(first, second.roll(4, 0))


def test_many_points_are_decoded_in_batches(plane, disc):
    constraint = RewardConstraint(plane, Rewards([disc]))
    z = torch.randn(600, 2)
    assert torch.equal(constraint.measure(z), disc(z)[:, None])
    assert plane.decoded == [256, 256, 88]
    assert constraint.decoded == 600


# Ctrl-C


def test_a_training_that_is_interrupted_returns_the_best_so_far(plane, disc, short, seeded):
    short = replace(
        short, final_learning_rate_fraction=1.0
    )  # learning rates know how many rounds there are

    def stop(record):
        if record.round == 2:
            raise KeyboardInterrupt

    found = train_actor_critic(plane, [disc], short, generator=seeded(), callback=stop)
    whole = train_actor_critic(plane, [disc], replace(short, rounds=2), generator=seeded())
    assert found.interrupted
    assert [record.round for record in found.records] == [0, 1, 2]
    assert found.best == whole.best
    for kept, best in zip(found.actor.parameters(), whole.actor.parameters(), strict=True):
        assert torch.equal(kept, best)


def test_a_training_that_is_interrupted_in_its_first_round_has_learned_nothing(
    plane, disc, short, seeded, monkeypatch
):
    def stop(self, number):
        raise KeyboardInterrupt

    monkeypatch.setattr(_Trainer, "round", stop)
    with pytest.raises(KeyboardInterrupt):
        train_actor_critic(plane, [disc], short, generator=seeded())


def test_a_training_that_is_interrupted_before_it_is_judged_returns_the_last(
    plane, disc, short, seeded
):
    def stop(record):
        raise KeyboardInterrupt

    found = train_actor_critic(plane, [disc], short, generator=seeded(), callback=stop)
    assert found.interrupted
    assert len(found.records) == 1
    assert math.isnan(found.best)


# What is refused


def test_a_pair_with_a_search_has_no_actor_to_give(plane, disc, short):
    trained = train_actor_critic(plane, [disc], short)
    assert trained.require_actor() is trained.actor
    trained.actor = None
    with pytest.raises(UsageError, match="this pair has no actor; it was trained for a search"):
        trained.require_actor()


def test_no_reward_is_refused(plane, short):
    with pytest.raises(UsageError, match="give at least one reward or constraint"):
        train_actor_critic(plane, [], short)


def test_a_constant_reward_is_refused_and_named(plane, disc, short):
    def flat(z):
        return torch.full((len(z),), 0.25)

    message = "reward 2 of 2 is 0.25 for all 64 samples of the prior: there is nothing to learn"
    with pytest.raises(TrainingError, match=message):
        train_actor_critic(plane, [disc, flat], short)


def always(z):
    return torch.ones(len(z))


def test_where_all_samples_satisfy_a_reward_points_stay_where_they_are(plane, short, seeded):
    seen = []
    trained = train_actor_critic(plane, [always], short, callback=seen.append)
    assert trained.best == 1.0
    assert not seen
    assert not trained.interrupted
    z = torch.randn(100, 2, generator=seeded(4))
    assert torch.equal(trained.actor(z), z)
    assert (torch.sigmoid(trained.critic(z)) > 0.999).all()
    assert trained.decoded == short.bank


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_what_else_is_asked_or_measured_is_learned(plane, disc, short, weight):
    trained = train_actor_critic(plane, [always, disc], short, weights=[1.0, weight])
    assert len(trained.records) == short.rounds


def test_a_search_in_the_actors_place_learns_all_the_same(plane, short):
    search = LangevinSearch(steps=2)
    trained = train_actor_critic(plane, [always], short, search=search)
    assert len(trained.records) == short.rounds


def test_without_a_bank_nothing_is_known_before_the_rounds(plane, short):
    trained = train_actor_critic(plane, [always], replace(short, bank=0, warmup_steps=0))
    assert len(trained.records) == short.rounds


@pytest.mark.parametrize(
    ("value", "shown"), [(1.5, "1.5"), (-0.25, "-0.25"), (float("nan"), "nan")]
)
def test_a_reward_outside_its_range_is_refused_and_named(plane, short, value, shown):
    def wrong(z):
        return torch.linspace(0, 1, len(z)).index_fill(0, torch.tensor([3]), value)

    message = rf"reward 1 of 1 gave {shown}; a reward must be a number in \[0, 1\]"
    with pytest.raises(TrainingError, match=message):
        train_actor_critic(plane, [wrong], short)


def test_points_set_out_from_where_they_are_told_to(plane, quick, seeded):
    """Ten to the right, where all satisfy the reward and the prior's points do not."""

    def stay(critic, z, y=None, **_):
        return z

    def satisfied(starts):
        trained = train_actor_critic(
            plane,
            [to_the_right],
            replace(quick, rounds=1),
            search=stay,
            starts=starts,
            generator=seeded(),
        )
        return trained.records[0].satisfied[0]

    assert satisfied(lambda z: z + torch.tensor([10.0, 0.0])) == 1
    assert 0 < satisfied(None) < 0.5
