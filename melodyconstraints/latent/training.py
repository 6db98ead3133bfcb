"""Actor-critic training in latent space (the paper, sections 3, 4 and 6).

A critic learns where a constraint holds, an actor G learns to shift points of the prior there,
with a small step. The constraints are a list, each with a critic of its own: rewards
of decoded samples, which need no gradient and no labels; attributes of labelled encodings;
realism.

A training begins with a bank of decoded prior samples that warms the critic of the rewards. Then
come rounds: the constraints observe the actor's points and some of the prior's, the critics learn
from examples, the actor from the critics. The paper's recipe is the special case without
bank and replay, with one critic step a round, on what the round decoded, and an actor step every
tenth round. With a search in place of the actor (G_opt or Langevin steps) the critics learn from
the points that it finds.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from melodyconstraints.errors import MelodyConstraintsError, UsageError
from melodyconstraints.latent import losses
from melodyconstraints.latent.constraints import DECODE_BATCH, RewardConstraint, Rewards
from melodyconstraints.latent.critic_learning import CriticLearner
from melodyconstraints.latent.networks import Actor, Critics, build_networks
from melodyconstraints.latent.pair import ActorCritic, RoundRecord
from melodyconstraints.latent.protocols import (
    ConditionalRewards,
    Conditions,
    Constraint,
    LatentModel,
    Reward,
    Samples,
    Search,
)
from melodyconstraints.latent.satisfaction import PREDICTED_SATISFIED, SATISFIED
from melodyconstraints.latent.settings import ActorCriticSettings

DECODED, WARMUP_STEPS = "points decoded", "warm-up steps"
"""Names of what a warm-up counts: points whose samples are rewarded, then the critic's steps."""


def train_actor_critic(
    model: LatentModel,
    rewards: Sequence[Reward] | ConditionalRewards = (),
    settings: ActorCriticSettings | None = None,
    *,
    constraints: Sequence[Constraint] = (),
    conditions: Conditions | None = None,
    weights: Sequence[float] | None = None,
    bank: tuple[Tensor, Samples] | None = None,
    search: Search | None = None,
    starts: Callable[[Tensor], Tensor] | None = None,
    generator: torch.Generator | None = None,
    callback: Callable[[RoundRecord], None] | None = None,
    warmup_callback: Callable[[str, int, int], object] | None = None,
) -> ActorCritic:
    """Train an actor, and critics with a head for each reward and each learned constraint.

    Where every sample of the bank satisfies all rewards already, and an actor learns nothing else,
    there are no rounds: it takes each point to itself.

    Ctrl-C ends the rounds; what is returned is then the best so far. An error of the package that
    a reward raises after the first round has the best so far as its attribute ``actor``.

    Args:
        model: model that decodes latent points; never trained, never differentiated.
        rewards: rewards, each from decoded samples to ``(B,)`` values in [0, 1]; or rewards under
            conditions.
        constraints: further constraints, such as realism.
        conditions: function that draws y for a conditional pair G(z, y), D(z, y).
        weights: weight of each reward in the actor's loss.
        bank: ``(B, Z)`` points of the prior with their samples, decoded before.
        search: search in the actor's place.
        starts: function from ``(B, Z)`` points of the prior to those that the actor sets out from;
            the points themselves if not given.
        generator: source of latent points and shuffles.
        callback: called after every round.
        warmup_callback: called in the warm-up with the name of what is counted (:data:`DECODED`,
            then :data:`WARMUP_STEPS`), how many are done, and how many there are.

    Raises:
        UsageError: nothing to train for, or a constraint on a condition and no conditions.
        TrainingError: a reward outside [0, 1], or one that is the same, below 1, for every sample
            of the bank: nothing to learn from.
    """
    settings = settings or ActorCriticSettings()
    generator = generator or torch.Generator().manual_seed(0)
    of_rewards = _reward_constraint(model, rewards, settings, conditions, weights)
    wanted = [*of_rewards, *constraints]
    _check_constraints(wanted, conditions)
    trainer = _Trainer(model, wanted, settings, generator, conditions, search, starts)
    trainer.warm_up(bank, warmup_callback or (lambda *_: None))
    if trainer.is_settled:
        return trainer.finish()
    interrupted = False
    try:
        for number in range(settings.rounds):
            record = trainer.round(number)
            if callback:
                callback(record)
    except KeyboardInterrupt:
        if not trainer.records:  # nothing was learned yet
            raise
        interrupted = True
    except MelodyConstraintsError as error:
        if trainer.records:
            error.actor = trainer.finish(interrupted=True)
        raise
    return trainer.finish(interrupted=interrupted)


def _reward_constraint(
    model: LatentModel,
    rewards: Sequence[Reward] | ConditionalRewards,
    settings: ActorCriticSettings,
    conditions: Conditions | None,
    weights: Sequence[float] | None,
) -> list[Constraint]:
    """The constraint of the rewards; none without rewards."""
    if isinstance(rewards, Sequence) and not rewards:
        return []
    constraint = RewardConstraint(
        model,
        Rewards(rewards) if isinstance(rewards, Sequence) else rewards,
        conditions=conditions,
        replay_size=settings.replay_size,
        sharpness=settings.sharpness,
        weights=weights,
    )
    return [constraint]


def _check_constraints(constraints: Sequence[Constraint], conditions: Conditions | None) -> None:
    """Refuse no constraint at all, and one on a condition that nothing draws."""
    if not constraints:
        raise UsageError("give at least one reward or constraint")
    for constraint in constraints:
        if constraint.conditional and conditions is None:
            names = ", ".join(constraint.names)
            raise UsageError(f"{names} depends on a condition; give conditions to draw it from")


class _Trainer:
    """The state of one training."""

    def __init__(
        self,
        model: LatentModel,
        constraints: Sequence[Constraint],
        settings: ActorCriticSettings,
        generator: torch.Generator,
        conditions: Conditions | None = None,
        search: Search | None = None,
        starts: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.starts = starts or (lambda z: z)
        self.model, self.constraints, self.settings = model, constraints, settings
        self.generator, self.conditions, self.search = generator, conditions, search
        self.sigma_bar = model.sigma_bar
        condition_dim = 0 if conditions is None else conditions(1, generator).shape[1]
        self.actor, self.critic = self._networks(condition_dim)
        self.weights = [weight for constraint in constraints for weight in constraint.weights]
        some = any(self.weights)
        self.active_heads = [i for i, weight in enumerate(self.weights) if weight or not some]
        self.actor_optimizer = torch.optim.Adam(
            self.actor.parameters(), lr=settings.learning_rate, betas=settings.betas
        )
        self.critic_learner = CriticLearner(
            self.critic,
            constraints,
            generator,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            betas=settings.betas,
            gradient_penalty=settings.gradient_penalty,
            penalty_points=settings.penalty_points,
            one_sided=settings.one_sided,
        )
        self.averaged = copy.deepcopy(self.actor)
        self.records: list[RoundRecord] = []
        self.validation = self.sample(0 if search else settings.validation)
        self.best: tuple[float, float] | None = None
        self.best_weights = self.averaged.state_dict()
        self.is_settled = False
        """Whether every sample of the bank satisfies all rewards."""

    def _networks(self, condition_dim: int) -> tuple[Actor, Critics]:
        """The networks before training, with weights drawn by the generator's seed."""
        settings, latent_dim = self.settings, self.model.latent_dim
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._draw_seed())
            actor, critics = build_networks(
                latent_dim,
                settings,
                [len(constraint.names) for constraint in self.constraints],
                [condition_dim * constraint.conditional for constraint in self.constraints],
                condition_dim,
            )
        device = self.sigma_bar.device
        return actor.to(device), critics.to(device)

    def _draw_seed(self) -> int:
        return int(torch.randint(2**31, (1,), generator=self.generator))

    def prior(self, count: int) -> Tensor:
        """``(count, Z)`` points of N(0, I)."""
        z = torch.randn(count, self.model.latent_dim, generator=self.generator)
        return z.to(self.sigma_bar)

    def sample(self, count: int) -> tuple[Tensor, Tensor | None]:
        """``(count, Z)`` points that the actor sets out from, and their conditions."""
        z = self.starts(self.prior(count))
        if self.conditions is None or not count:
            return z, None
        return z, self.conditions(count, self.generator).to(z.device)

    def warm_up(
        self,
        bank: tuple[Tensor, Samples] | None = None,
        report: Callable[[str, int, int], object] = lambda *_: None,
    ) -> None:
        """Train the critic of the rewards on the bank, filled up to its size.

        Args:
            report: see ``warmup_callback`` of :func:`train_actor_critic`.
        """
        rewarded = [c for c in self.constraints if isinstance(c, RewardConstraint)]
        if not self.settings.bank or not rewarded:
            return
        device = self.sigma_bar.device
        settled = len(rewarded) == len(self.constraints)
        settled &= self.conditions is None and self.search is None
        for constraint in rewarded:
            points = [] if bank is None else [bank[0].to(device)]
            measured = [] if bank is None else [constraint.rewards.measure(bank[1]).to(device)]
            missing = self.settings.bank - sum(map(len, points))
            if missing > 0:
                points.append(self.prior(missing))
                measured.append(self._measured(constraint, points[-1], report))
            constraint.warm_up(torch.cat(points), torch.cat(measured), self.generator)
            settled &= bool((torch.cat(measured) >= SATISFIED).all())
        if settled:
            self._settle()
            return
        steps = self.settings.warmup_steps
        for number in range(steps):
            self.critic_learner.step()
            report(WARMUP_STEPS, number + 1, steps)

    @staticmethod
    def _measured(
        constraint: RewardConstraint, points: Tensor, report: Callable[[str, int, int], object]
    ) -> Tensor:
        """``(B, F)`` what is measured of the samples that ``(B, Z)`` points decode to."""
        parts: list[Tensor] = []
        for part in points.split(DECODE_BATCH):
            parts.append(constraint.measure(part))
            report(DECODED, sum(map(len, parts)), len(points))
        return torch.cat(parts)

    def _settle(self) -> None:
        """End before the rounds: every point stays, and is expected to satisfy all rewards."""
        self.is_settled, self.best = True, (1.0, 1.0)
        self.averaged.stay()
        self.best_weights = self.averaged.state_dict()
        self.critic.expect_all()

    def propose(self, z: Tensor, y: Tensor | None) -> Tensor:
        """``(B, Z)`` points moved by the actor, or by the search in its place."""
        if self.search is None:
            with torch.no_grad():
                shifted: Tensor = self.actor(z, y)
            return shifted
        return self.search(self.critic, z, y, sigma_bar=self.sigma_bar, generator=self.generator)

    def observe(self, shifted: Tensor, prior: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """Let every constraint observe; values and satisfaction ``(B, R)`` of ``shifted``."""
        rewards = [constraint.observe(shifted, prior, y) for constraint in self.constraints]
        return self._values(rewards, shifted, y)

    def evaluate(self, points: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """Values and satisfaction ``(B, R)`` of points from which nothing is learned."""
        return self._values([one.evaluate(points, y) for one in self.constraints], points, y)

    def _values(
        self, rewards: Sequence[Tensor | None], points: Tensor, y: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Rewards, or the critic's predictions where there are none, and whether they satisfy."""
        values, satisfied = [], []
        for constraint, critic, own in zip(
            self.constraints, self.critic.critics, rewards, strict=True
        ):
            threshold = SATISFIED
            if own is None:
                threshold = PREDICTED_SATISFIED
                with torch.no_grad():
                    own = torch.sigmoid(critic(points, y if constraint.conditional else None))
            values.append(own)
            satisfied.append(own >= threshold)
        return torch.cat(values, -1), torch.cat(satisfied, -1)

    def round(self, number: int) -> RoundRecord:
        """Observe, learn, record."""
        settings = self.settings
        self._set_rates(number / settings.rounds)
        z, y = self.sample(settings.actor_points)
        values, satisfied = self.observe(self.propose(z, y), self.prior(settings.prior_points), y)
        critic_loss = [self.critic_learner.step() for _ in range(settings.critic_steps)][-1]
        actor_loss = distance = float("nan")
        if self.search is None and (number + 1) % settings.actor_every == 0:
            for _ in range(settings.actor_steps):
                actor_loss, distance = self._actor_step()
        record = RoundRecord(
            round=number,
            critic_loss=critic_loss,
            actor_loss=actor_loss,
            distance=distance,
            rewards=values.mean(0).tolist(),
            satisfied=satisfied.float().mean(0).tolist(),
            all_satisfied=float(satisfied[:, self.active_heads].all(-1).float().mean()),
        )
        self.records.append(record)
        if len(self.validation[0]) and (number + 1) % settings.validate_every == 0:
            self._validate()
        return record

    def _set_rates(self, progress: float) -> None:
        share = 1 - (1 - self.settings.final_learning_rate_fraction) * progress
        for optimizer in (self.actor_optimizer, self.critic_learner.optimizer):
            for group in optimizer.param_groups:
                group["lr"] = self.settings.learning_rate * share

    def _actor_step(self) -> tuple[float, float]:
        settings = self.settings
        z, y = self.sample(settings.batch_size)
        shifted = self.actor(z, y)
        loss = losses.satisfaction_loss(self.critic(shifted, y), self.weights).mean()
        distance = losses.distance_penalty(shifted, z, self.sigma_bar).mean()
        total = loss + settings.distance_weight * distance
        total = total + settings.prior_weight * losses.prior_penalty(shifted)
        self.actor_optimizer.zero_grad()
        total.backward()
        self.actor_optimizer.step()
        with torch.no_grad():
            for mean, now in zip(self.averaged.parameters(), self.actor.parameters(), strict=True):
                mean.lerp_(now, 1 - settings.ema_decay)
        return float(loss.detach()), float(distance.detach())

    def _validate(self) -> None:
        """Keep the averaged actor when it satisfies more of the validation points than before."""
        z, y = self.validation
        with torch.no_grad():
            shifted = self.averaged(z, y)
        values, satisfied = (own[:, self.active_heads] for own in self.evaluate(shifted, y))
        score = (float(satisfied.all(-1).float().mean()), float(values.mean()))
        if self.best is None or score > self.best:
            self.best = score
            self.best_weights = copy.deepcopy(self.averaged.state_dict())

    def finish(self, *, interrupted: bool = False) -> ActorCritic:
        """The best actor, or the last where nothing was validated."""
        best = float("nan")
        if self.best is not None:
            best = self.best[0]
            self.averaged.load_state_dict(self.best_weights)
        return ActorCritic(
            actor=None if self.search else self.averaged.eval(),
            critic=self.critic.eval(),
            settings=self.settings,
            heads=tuple(tuple(constraint.names) for constraint in self.constraints),
            weights=tuple(self.weights),
            records=self.records,
            best=best,
            decoded=sum(getattr(c, "decoded", 0) for c in self.constraints),
            interrupted=interrupted,
        )
