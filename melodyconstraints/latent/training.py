"""Zero-shot actor-critic training in latent space (the paper, section 6).

The critic D learns the expected reward of latent points from decoded samples; the actor G learns
to shift points of the prior to where D is high, with a small step. The rewards need no gradient.

A training begins with a bank of decoded prior samples that warms the critic. Then come rounds: the
actor's points and some of the prior's are decoded and judged, the critic learns from the newest
decodings, the actor from the critic. The paper's recipe is the special case without bank and
memory, one critic step a round and an actor step every tenth round.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from melodyconstraints.errors import TrainingError, UsageError
from melodyconstraints.latent import losses
from melodyconstraints.latent.networks import Actor, Critic
from melodyconstraints.latent.protocols import LatentModel, Reward

SATISFIED = 1 - 1e-6
"""A reward of at least this counts as satisfied."""
_NEWEST_SHARE = 0.2
"""Weight of a round in the share of satisfied points, which only rises."""

_AT_LEAST_ONE = (
    "rounds",
    "actor_points",
    "batch_size",
    "critic_steps",
    "actor_every",
    "validate_every",
)


@dataclass(frozen=True)
class ActorCriticSettings:
    """Recipe of a training.

    Args:
        actor_hidden, critic_hidden: units of each ReLU layer.
        bank: prior points that are decoded before the first round.
        warmup_steps: critic steps on the bank.
        rounds: rounds of decoding and learning.
        actor_points, prior_points: points decoded each round.
        memory: newest decodings that the critic learns from; 0 for those of the round alone.
        critic_steps, actor_steps: optimiser steps a round.
        actor_every: the actor learns in every so-manieth round.
        batch_size: latent points an optimiser step.
        learning_rate, betas: of Adam.
        final_share: share of the learning rate that is left at the end of the linear fall.
        distance_weight: lambda_dist.
        shell_weight: of :func:`melodyconstraints.latent.losses.shell_penalty`.
        gradient_penalty, one_sided: of the critic.
        sharpness: in [0, 1]. The critic learns (1 - s) * reward + s * (reward satisfied), which
            tells 0.99 from 1 where the plain reward hardly does. For each reward s is the
            sharpness times the largest share of the actor's points that satisfied it so far:
            while it is never satisfied, only the graded reward shows the way.
        average: decay of the moving average of the actor's weights that is returned; 0 for none.
        validation: prior points on which the averaged actor is judged to keep the best; 0 keeps
            the last.
        validate_every: in rounds.
    """

    actor_hidden: tuple[int, ...] = (512, 512, 512)
    critic_hidden: tuple[int, ...] = (512, 512, 512)
    bank: int = 2048
    warmup_steps: int = 500
    rounds: int = 120
    actor_points: int = 96
    prior_points: int = 16
    memory: int = 20_000
    critic_steps: int = 20
    actor_steps: int = 10
    actor_every: int = 1
    batch_size: int = 128
    learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.5, 0.9)
    final_share: float = 0.02
    distance_weight: float = 0.05
    shell_weight: float = 1.0
    gradient_penalty: float = 1.0
    one_sided: bool = True
    sharpness: float = 0.8
    average: float = 0.995
    validation: int = 256
    validate_every: int = 10

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.sharpness <= 1:
            raise UsageError(f"sharpness must be in [0, 1], got {self.sharpness}")


PRESETS: dict[str, ActorCriticSettings] = {
    "default": ActorCriticSettings(),
    "paper": ActorCriticSettings(
        actor_hidden=(2048,) * 4,
        critic_hidden=(2048,) * 4,
        bank=0,
        warmup_steps=0,
        rounds=5000,
        actor_points=64,
        prior_points=6,
        memory=0,
        critic_steps=1,
        actor_steps=1,
        actor_every=10,
        batch_size=70,
        learning_rate=3e-4,
        betas=(0.0, 0.9),
        final_share=1.0,
        distance_weight=0.1,
        shell_weight=0.0,
        gradient_penalty=10.0,
        one_sided=False,
        sharpness=0.0,
        average=0.0,
        validation=0,
    ),
}
"""``paper`` follows appendix 9.2 with ten critic steps to an actor step and one prior point to ten
of the actor's. Batch size, rounds and lambda_dist are not in the paper."""


@dataclass
class RoundRecord:
    """What one round saw: the points of the paper's Figure 11."""

    round: int
    critic_loss: float
    actor_loss: float
    distance: float
    rewards: list[float]
    satisfied: list[float]
    all_satisfied: float


@dataclass
class ActorCritic:
    """A trained pair and how it got there.

    ``best`` is the share of the validated points that it satisfies; NaN if none were.
    """

    actor: Actor
    critic: Critic
    records: list[RoundRecord] = field(default_factory=list)
    best: float = float("nan")


def train_actor_critic(
    model: LatentModel,
    rewards: Sequence[Reward],
    settings: ActorCriticSettings | None = None,
    *,
    generator: torch.Generator | None = None,
    callback: Callable[[RoundRecord], None] | None = None,
) -> ActorCritic:
    """Train an actor and a critic with a head for each reward.

    Args:
        model: decodes latent points; never trained, never differentiated.
        rewards: each maps decoded samples to ``(B,)`` values in [0, 1].
        generator: source of latent points and shuffles.
        callback: called after every round.

    Raises:
        UsageError: no reward.
        TrainingError: a reward outside [0, 1], or one that is the same, below 1, for every sample
            of the bank: nothing to learn from.
    """
    if not rewards:
        raise UsageError("give at least one reward")
    trainer = _Trainer(model, rewards, settings or ActorCriticSettings(), generator)
    trainer.warm_up()
    for number in range(trainer.settings.rounds):
        record = trainer.round(number)
        if callback:
            callback(record)
    return trainer.finish()


class _Trainer:
    """The state of one training."""

    def __init__(
        self,
        model: LatentModel,
        rewards: Sequence[Reward],
        settings: ActorCriticSettings,
        generator: torch.Generator | None,
    ) -> None:
        self.model, self.rewards, self.settings = model, rewards, settings
        self.generator = generator or torch.Generator().manual_seed(0)
        self.sigma_bar = model.sigma_bar
        device = self.sigma_bar.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._draw_seed())
            self.actor = Actor(model.latent_dim, settings.actor_hidden).to(device)
            self.critic = Critic(model.latent_dim, len(rewards), settings.critic_hidden).to(device)
        self.actor_optimizer = self._adam(self.actor)
        self.critic_optimizer = self._adam(self.critic)
        self.averaged = copy.deepcopy(self.actor)
        self.points = torch.empty(0, model.latent_dim, device=device)
        self.values = torch.empty(0, len(rewards), device=device)
        self.satisfied = torch.zeros(len(rewards), device=device)
        self.records: list[RoundRecord] = []
        self.validation = self.prior(settings.validation)
        self.best: tuple[float, float] | None = None
        self.best_weights = self.averaged.state_dict()

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        settings = self.settings
        return torch.optim.Adam(
            network.parameters(), lr=settings.learning_rate, betas=settings.betas
        )

    def _draw_seed(self) -> int:
        return int(torch.randint(2**31, (1,), generator=self.generator))

    def prior(self, count: int) -> Tensor:
        """``(count, Z)`` points of N(0, I)."""
        z = torch.randn(count, self.model.latent_dim, generator=self.generator)
        return z.to(self.sigma_bar.device)

    @torch.no_grad()
    def judge(self, points: Tensor) -> Tensor:
        """``(B, R)`` rewards of the samples that ``(B, Z)`` points decode to."""
        samples = self.model.decode(points)
        columns = [torch.as_tensor(reward(samples)).float() for reward in self.rewards]
        for head, column in enumerate(columns):
            wrong = column[~((column >= 0) & (column <= 1))]
            if len(wrong):
                raise TrainingError(
                    f"reward {self._name(head)} gave {wrong[0].item():.3g}; "
                    "a reward must be a number in [0, 1]"
                )
        return torch.stack(columns, -1).to(self.sigma_bar.device)

    def warm_up(self) -> None:
        """Decode the bank and teach it to the critic."""
        if not self.settings.bank:
            return
        bank = self.prior(self.settings.bank)
        values = torch.cat([self.judge(chunk) for chunk in bank.split(256)])
        self._refuse_constant(values)
        self._remember(bank, values)
        for _ in range(self.settings.warmup_steps):
            self._critic_step()

    def _name(self, head: int) -> str:
        """The reward's ``name`` if it has one, else its place."""
        return getattr(self.rewards[head], "name", f"{head + 1} of {len(self.rewards)}")

    def _refuse_constant(self, values: Tensor) -> None:
        for head, column in enumerate(values.unbind(-1)):
            if column.min() == column.max() < SATISFIED:
                raise TrainingError(
                    f"reward {self._name(head)} is {column[0].item():.3g} for all "
                    f"{len(column)} samples of the prior: there is nothing to learn from; "
                    "make it graded, so that a sample that comes closer earns more"
                )

    def round(self, number: int) -> RoundRecord:
        """Decode, learn, record."""
        settings = self.settings
        self._set_rates(number / settings.rounds)
        z = self.prior(settings.actor_points)
        with torch.no_grad():
            shifted = self.actor(z)
        points = torch.cat([shifted, self.prior(settings.prior_points)])
        values = self.judge(points)
        self._remember(points, values)
        critic_loss = [self._critic_step() for _ in range(settings.critic_steps)][-1]
        actor_loss = distance = float("nan")
        if (number + 1) % settings.actor_every == 0:
            for _ in range(settings.actor_steps):
                actor_loss, distance = self._actor_step()
        earned = values[: settings.actor_points]
        satisfied = earned >= SATISFIED
        self.satisfied = torch.maximum(
            self.satisfied,
            torch.lerp(self.satisfied, satisfied.float().mean(0), _NEWEST_SHARE),
        )
        record = RoundRecord(
            round=number,
            critic_loss=critic_loss,
            actor_loss=actor_loss,
            distance=distance,
            rewards=earned.mean(0).tolist(),
            satisfied=satisfied.float().mean(0).tolist(),
            all_satisfied=float(satisfied.all(-1).float().mean()),
        )
        self.records.append(record)
        if settings.validation and (number + 1) % settings.validate_every == 0:
            self._validate()
        return record

    def _set_rates(self, progress: float) -> None:
        share = 1 - (1 - self.settings.final_share) * progress
        for optimizer in (self.actor_optimizer, self.critic_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = self.settings.learning_rate * share

    def _remember(self, points: Tensor, values: Tensor) -> None:
        kept = self.settings.memory
        self.points = torch.cat([self.points[-kept:] if kept else self.points[:0], points])
        self.values = torch.cat([self.values[-kept:] if kept else self.values[:0], values])

    def _critic_step(self) -> float:
        settings = self.settings
        rows = torch.randint(len(self.points), (settings.batch_size,), generator=self.generator)
        points, values = self.points[rows], self.values[rows]
        sharpness = settings.sharpness * self.satisfied
        targets = torch.lerp(values, (values >= SATISFIED).float(), sharpness)
        loss = losses.cross_entropy(self.critic(points), targets)
        total = loss
        if settings.gradient_penalty:
            other = self.points[rows.roll(1)]
            total = loss + settings.gradient_penalty * losses.gradient_penalty(
                self.critic,
                points,
                other,
                generator=None if points.is_cuda else self.generator,
                one_sided=settings.one_sided,
            )
        self.critic_optimizer.zero_grad()
        total.backward()
        self.critic_optimizer.step()
        return float(loss.detach())

    def _actor_step(self) -> tuple[float, float]:
        settings = self.settings
        z = self.prior(settings.batch_size)
        shifted = self.actor(z)
        loss = losses.satisfaction_loss(self.critic(shifted))
        distance = losses.distance_penalty(shifted, z, self.sigma_bar)
        total = loss + settings.distance_weight * distance
        total = total + settings.shell_weight * losses.shell_penalty(shifted)
        self.actor_optimizer.zero_grad()
        total.backward()
        self.actor_optimizer.step()
        with torch.no_grad():
            for mean, now in zip(self.averaged.parameters(), self.actor.parameters(), strict=True):
                mean.lerp_(now, 1 - settings.average)
        return float(loss.detach()), float(distance.detach())

    def _validate(self) -> None:
        """Keep the averaged actor when it satisfies more of the validation points than before."""
        with torch.no_grad():
            values = self.judge(self.averaged(self.validation))
        satisfied = float((values >= SATISFIED).all(-1).float().mean())
        score = (satisfied, float(values.mean()))
        if self.best is None or score > self.best:
            self.best = score
            self.best_weights = copy.deepcopy(self.averaged.state_dict())

    def finish(self) -> ActorCritic:
        """The best actor, or the last where nothing was validated."""
        best = float("nan")
        if self.best is not None:
            best = self.best[0]
            self.averaged.load_state_dict(self.best_weights)
        return ActorCritic(self.averaged.eval(), self.critic.eval(), self.records, best)
