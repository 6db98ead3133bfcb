"""Actor-critic training on two dimensions, where the answer is known."""

import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from melodyconstraints.errors import TrainingError, UsageError
from melodyconstraints.latent.protocols import LatentModel
from melodyconstraints.latent.training import (
    PRESETS,
    SATISFIED,
    ActorCriticSettings,
    _Trainer,
    train_actor_critic,
)

QUICK = ActorCriticSettings(
    actor_hidden=(64, 64),
    critic_hidden=(64, 64),
    bank=512,
    warmup_steps=100,
    rounds=60,
    actor_points=64,
    prior_points=16,
    memory=4000,
    critic_steps=10,
    actor_steps=10,
    actor_every=1,
    batch_size=64,
    learning_rate=3e-3,
    betas=(0.5, 0.9),
    final_share=0.1,
    distance_weight=0.02,
    shell_weight=0.1,
    gradient_penalty=1.0,
    one_sided=True,
    sharpness=1.0,
    average=0.9,
    validation=256,
    validate_every=10,
)
SHORT = replace(
    QUICK,
    actor_hidden=(8,),
    critic_hidden=(8,),
    bank=64,
    warmup_steps=3,
    rounds=4,
    actor_points=6,
    prior_points=2,
    critic_steps=2,
    actor_steps=2,
    batch_size=8,
    validation=16,
    validate_every=2,
)
CENTRE, RADIUS = torch.tensor([2.0, -1.5]), 0.7


class Plane:
    """A model whose samples are its latent points; it counts what it decodes."""

    latent_dim = 2

    def __init__(self):
        self.sigma_bar = torch.full((2,), 0.5)
        self.decoded = []

    def decode(self, z):
        self.decoded.append(len(z))
        return z


def in_disc(z):
    """1 inside a disc away from the origin, less the farther outside."""
    return torch.exp(-((z - CENTRE).norm(dim=-1) - RADIUS).clamp(min=0))


def to_the_right(z):
    """1 where the first coordinate is above 1."""
    return (1 + (z[:, 0] - 1) / 3).clamp(0, 1)


def upwards(z):
    """1 where the second coordinate is above 1."""
    return (1 + (z[:, 1] - 1) / 3).clamp(0, 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def share_satisfied(points, rewards):
    return torch.stack([r(points) >= SATISFIED for r in rewards]).all(0).float().mean().item()


def train_and_move(rewards):
    """The share satisfied before and after, and the mean shift, on points that are new."""
    trained = train_actor_critic(Plane(), rewards, QUICK, generator=seeded())
    z = torch.randn(5000, 2, generator=seeded(99))
    with torch.no_grad():
        shifted = trained.actor(z)
    before, after = share_satisfied(z, rewards), share_satisfied(shifted, rewards)
    return trained, before, after, z, (shifted - z).norm(dim=-1).mean().item()


def test_the_actor_finds_a_disc_with_a_moderate_shift():
    trained, before, after, z, shift = train_and_move([in_disc])
    least = ((z - CENTRE).norm(dim=-1) - RADIUS).clamp(min=0).mean().item()
    assert before < 0.02
    assert after > 0.9
    assert shift < 1.5 * least
    assert 0.9 < trained.best <= 1
    assert trained.records[-1].satisfied[0] > trained.records[0].satisfied[0] + 0.5


def test_the_critic_knows_where_the_disc_is():
    free = replace(QUICK, gradient_penalty=0.0)
    trained = train_actor_critic(Plane(), [in_disc], free, generator=seeded())
    with torch.no_grad():
        inside, away = torch.sigmoid(trained.critic(torch.stack([CENTRE, -CENTRE]))).flatten()
    assert inside > 0.9
    assert away < 0.1


def test_the_actor_satisfies_two_rewards_at_once():
    rewards = [to_the_right, upwards]
    trained, before, after, z, shift = train_and_move(rewards)
    least = (1 - z).clamp(min=0).norm(dim=-1).mean().item()
    assert before < 0.04
    assert after > 0.9
    assert shift < 1.7 * least
    assert all(len(record.rewards) == len(record.satisfied) == 2 for record in trained.records)


def test_a_heavier_distance_penalty_keeps_points_nearer():
    z = torch.randn(1000, 2, generator=seeded(99))

    def shift(weight):
        settings = replace(QUICK, rounds=10, distance_weight=weight, validation=0)
        trained = train_actor_critic(Plane(), [in_disc], settings, generator=seeded())
        with torch.no_grad():
            return (trained.actor(z) - z).norm(dim=-1).mean().item()

    assert shift(10.0) < 0.5 < 1.5 < shift(0.0)


def test_the_same_seed_gives_equal_weights_and_another_seed_others():
    def weights(seed):
        trained = train_actor_critic(Plane(), [in_disc], SHORT, generator=seeded(seed))
        return torch.cat([p.flatten() for p in [*trained.actor.parameters()]]), trained.records

    (first, records), (second, again), (other, _) = weights(1), weights(1), weights(2)
    assert torch.equal(first, second)
    assert [asdict(record) for record in records] == [asdict(record) for record in again]
    assert not torch.equal(first, other)


def test_a_training_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    train_actor_critic(Plane(), [in_disc], SHORT, generator=seeded())
    assert torch.equal(before, torch.get_rng_state())


def test_the_callback_sees_every_round_as_it_ends():
    seen = []
    trained = train_actor_critic(
        Plane(), [in_disc], SHORT, generator=seeded(), callback=seen.append
    )
    assert [record.round for record in seen] == [0, 1, 2, 3]
    assert seen == trained.records


def test_what_a_round_records_is_what_the_actors_points_earned():
    earned = []

    def reward(z):
        earned.append(in_disc(z) if len(earned) % 2 else torch.ones(len(z)))
        return earned[-1]

    settings = replace(SHORT, bank=0, validation=0)
    trained = train_actor_critic(Plane(), [reward], settings, generator=seeded())
    for record, values in zip(trained.records, earned, strict=True):
        own = values[: SHORT.actor_points]
        assert record.rewards == [pytest.approx(own.mean().item())]
        assert record.satisfied == [pytest.approx((own >= SATISFIED).float().mean().item())]
        assert record.all_satisfied == record.satisfied[0]


def test_a_model_of_torch_layers_is_neither_trained_nor_differentiated():
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
    train_actor_critic(model, rewards, SHORT, generator=seeded())
    assert torch.equal(model.linear.weight, before)
    assert model.linear.weight.grad is None


def test_a_plain_object_with_three_members_is_a_latent_model():
    assert isinstance(Plane(), LatentModel)
    assert not isinstance(object(), LatentModel)


def test_no_reward_is_refused():
    with pytest.raises(UsageError, match="give at least one reward"):
        train_actor_critic(Plane(), [], SHORT)


def test_a_constant_reward_is_refused_and_named():
    def flat(z):
        return torch.full((len(z),), 0.25)

    message = "reward 2 of 2 is 0.25 for all 64 samples of the prior: there is nothing to learn"
    with pytest.raises(TrainingError, match=message):
        train_actor_critic(Plane(), [in_disc, flat], SHORT)


def test_a_reward_that_all_samples_satisfy_is_accepted():
    trained = train_actor_critic(Plane(), [lambda z: torch.ones(len(z))], SHORT)
    assert trained.best == 1.0


@pytest.mark.parametrize(
    ("value", "shown"), [(1.5, "1.5"), (-0.25, "-0.25"), (float("nan"), "nan")]
)
def test_a_reward_outside_its_range_is_refused_and_named(value, shown):
    def wrong(z):
        return torch.linspace(0, 1, len(z)).index_fill(0, torch.tensor([3]), value)

    message = rf"reward 1 of 1 gave {shown}; a reward must be a number in \[0, 1\]"
    with pytest.raises(TrainingError, match=message):
        train_actor_critic(Plane(), [wrong], SHORT)


@pytest.mark.parametrize(
    "name",
    ["rounds", "actor_points", "batch_size", "critic_steps", "actor_every", "validate_every"],
)
def test_settings_that_do_nothing_are_refused(name):
    with pytest.raises(UsageError, match=f"{name} must be at least 1, got 0"):
        ActorCriticSettings(**{name: 0})


@pytest.mark.parametrize("sharpness", [-0.1, 1.5])
def test_a_sharpness_outside_its_range_is_refused(sharpness):
    with pytest.raises(UsageError, match=rf"sharpness must be in \[0, 1\], got {sharpness}"):
        ActorCriticSettings(sharpness=sharpness)


@pytest.mark.parametrize(("sharpness", "expected"), [(0.0, 0.8), (0.5, 0.4), (1.0, 0.0)])
def test_sharpness_tells_nearly_satisfied_from_satisfied(sharpness, expected):
    def reward(z):
        return torch.where(z[:, 0] > 0, 1.0, 0.8)

    settings = replace(SHORT, sharpness=sharpness, gradient_penalty=0.0, bank=512)
    settings = replace(settings, warmup_steps=300, batch_size=64, learning_rate=1e-2)
    trainer = _Trainer(Plane(), [reward], settings, seeded())
    trainer.satisfied.fill_(1.0)
    trainer.warm_up()
    with torch.no_grad():
        left, right = torch.sigmoid(trainer.critic(torch.tensor([[-1.5, 0.0], [1.5, 0.0]])))
    assert left.item() == pytest.approx(expected, abs=0.07)
    assert right.item() == pytest.approx(1.0, abs=0.07)


def test_the_learning_rate_falls_along_a_line():
    trainer = _Trainer(Plane(), [in_disc], replace(SHORT, learning_rate=1.0), seeded())
    for progress, expected in [(0.0, 1.0), (0.5, 0.55), (1.0, 0.1)]:
        trainer._set_rates(progress)
        for optimizer in (trainer.actor_optimizer, trainer.critic_optimizer):
            assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_the_actor_that_is_returned_is_the_moving_average():
    settings = replace(SHORT, average=0.9, actor_steps=1, validation=0, bank=0)
    trainer = _Trainer(Plane(), [in_disc], settings, seeded())
    start = [parameter.detach().clone() for parameter in trainer.actor.parameters()]
    trainer.round(0)
    returned = trainer.finish()
    assert math.isnan(returned.best)
    for mean, first, now in zip(
        returned.actor.parameters(), start, trainer.actor.parameters(), strict=True
    ):
        torch.testing.assert_close(mean, 0.9 * first + 0.1 * now)


def test_the_best_of_the_validated_actors_is_returned(monkeypatch):
    trainer = _Trainer(Plane(), [in_disc], SHORT, seeded())
    judged, weights = [], []
    for share in (0.25, 0.75, 0.5):
        values = (torch.arange(16) < 16 * share).float()[:, None]
        monkeypatch.setattr(trainer, "judge", lambda points, values=values: values)
        with torch.no_grad():
            next(trainer.averaged.parameters()).fill_(share)
        judged.append(share)
        weights.append(trainer.averaged.state_dict())
        trainer._validate()
    returned = trainer.finish()
    assert returned.best == 0.75
    assert (next(returned.actor.parameters()) == 0.75).all()


@pytest.mark.parametrize(("memory", "expected"), [(0, [8, 8, 8]), (12, [8, 16, 20])])
def test_the_critic_learns_from_the_newest_decodings(memory, expected):
    trainer = _Trainer(Plane(), [in_disc], replace(SHORT, memory=memory, bank=0), seeded())
    sizes = []
    for number in range(3):
        trainer.round(number)
        sizes.append(len(trainer.points))
    assert sizes == expected
    assert torch.equal(trainer.values[:, 0], in_disc(trainer.points))


def test_the_papers_preset_holds_the_papers_values():
    paper = PRESETS["paper"]
    assert paper.actor_hidden == paper.critic_hidden == (2048,) * 4
    assert (paper.gradient_penalty, paper.one_sided) == (10.0, False)
    assert (paper.learning_rate, paper.betas, paper.final_share) == (3e-4, (0.0, 0.9), 1.0)
    assert paper.actor_every * paper.critic_steps == 10 * paper.actor_steps
    assert paper.actor_points / paper.prior_points == pytest.approx(10, rel=0.1)
    assert (paper.bank, paper.warmup_steps, paper.memory) == (0, 0, 0)
    assert (paper.sharpness, paper.shell_weight, paper.average, paper.validation) == (0, 0, 0, 0)


def test_the_papers_recipe_runs_ten_critic_steps_to_an_actor_step():
    settings = replace(PRESETS["paper"], actor_hidden=(8,) * 4, critic_hidden=(8,) * 4, rounds=20)
    model = Plane()
    trained = train_actor_critic(model, [in_disc], settings, generator=seeded())
    assert model.decoded == [settings.actor_points + settings.prior_points] * 20
    learned = [r.round for r in trained.records if not math.isnan(r.actor_loss)]
    assert learned == [9, 19]
    assert all(math.isfinite(record.critic_loss) for record in trained.records)
    assert math.isnan(trained.best)


def test_sharpness_grows_with_the_share_satisfied_and_never_falls():
    settings = replace(SHORT, bank=0, validation=0)
    shares = iter([0.0, 1.0, 0.5, 0.0])

    def reward(z):
        satisfied = round(next(shares) * settings.actor_points)
        return torch.where(torch.arange(len(z)) < satisfied, 1.0, 0.5)

    trainer = _Trainer(Plane(), [reward], settings, seeded())
    found = []
    for number in range(4):
        trainer.round(number)
        found.append(trainer.satisfied.item())
    # A round weighs a fifth: 0, 0.2, 0.8 * 0.2 + 0.2 * 0.5; what would be less is not taken.
    assert found == pytest.approx([0.0, 0.2, 0.26, 0.26])
