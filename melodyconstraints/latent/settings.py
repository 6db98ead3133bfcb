"""Settings of actor-critic trainings: the default, and the paper's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from melodyconstraints.errors import UsageError
from melodyconstraints.storage.schema import Count, Share, Units, Weight, Widths


def _formerly(former: str, name: str) -> Any:
    """A field that earlier versions wrote under another name."""
    return Field(validation_alias=AliasChoices(name, former))


_LEAST = {
    "rounds": 1,
    "actor_points": 1,
    "batch_size": 2,  # one point has no variance
    "critic_steps": 1,
    "penalty_points": 1,
    "actor_every": 1,
    "validate_every": 1,
}


@dataclass(frozen=True)
class ActorCriticSettings:
    """Settings of a training.

    Args:
        actor_hidden, critic_hidden: units of each ReLU layer.
        condition_units: units of the linear map of a condition y, where there is one; 0 for y as
            it is.
        gate_bias: bias of the actor's gates at the start. At 0 half of every point is replaced
            before anything is learned; below it the actor begins close to the identity.
        bank: prior points that are decoded and rewarded before the first round, if they were not
            before.
        warmup_steps: critic steps on the bank.
        rounds: rounds of decoding and learning.
        actor_points, prior_points: points decoded each round.
        replay_size: newest decodings kept for replay, from which the critic's batches are drawn at
            random; a critic of realism keeps no more of the actor's points. 0 for no replay: the
            points of the current round, each once before any is repeated.
        critic_steps, actor_steps: optimiser steps a round.
        actor_every: rounds from one update of the actor to the next.
        batch_size: latent points an optimiser step.
        learning_rate, betas: Adam's.
        final_learning_rate_fraction: learning rate at the end of its linear fall, as a share of
            that at the start.
        distance_weight: lambda_dist.
        prior_weight: weight of :func:`melodyconstraints.latent.losses.prior_penalty`.
        gradient_penalty, one_sided: weight and kind of the critic's gradient penalty.
        penalty_points: points of a batch, drawn at random, on which the penalty is taken; it costs
            more than the rest of a step.
        sharpness: largest s, in [0, 1]. The critic learns (1 - s) * reward + s * (reward
            satisfied), which distinguishes 0.99 from 1 where the plain reward hardly does. For
            each reward s is the sharpness times the largest share of the actor's points that
            satisfied it so far: while it is never satisfied, only the graded reward shows the way.
        ema_decay: decay of the moving average of the actor's weights that is returned; 0 for
            none.
        validation: prior points on which the averaged actor is evaluated to keep the best; 0
            keeps the last.
        validate_every: rounds from one validation to the next.
        plain: whether all is left out that the paper does not have: the refinement as the default
            method, threshold and shell penalty in a gradient search, and for labelled encodings
            mirrored ones, oversampling of rare labels and negatives with wrong labels. Of melodies
            no scale is written either: all is learned in z.
    """

    actor_hidden: Widths = (512, 512, 512)
    critic_hidden: Widths = (512, 512, 512)
    condition_units: Units = 256
    gate_bias: float = -3.0
    bank: Count = 4096
    warmup_steps: Count = 1500
    rounds: Count = 140
    actor_points: Count = 96
    prior_points: Count = 16
    replay_size: Annotated[Count, _formerly("memory", "replay_size")] = 20_000
    critic_steps: Count = 20
    actor_steps: Count = 10
    actor_every: Count = 1
    batch_size: Count = 256
    learning_rate: Weight = 5e-4
    betas: tuple[Share, Share] = (0.5, 0.9)
    final_learning_rate_fraction: Annotated[
        Share, _formerly("final_share", "final_learning_rate_fraction")
    ] = 0.02
    distance_weight: Weight = 0.02
    prior_weight: Weight = 0.35
    gradient_penalty: Weight = 0.1
    penalty_points: Count = 64
    one_sided: bool = True
    sharpness: Share = 0.8
    ema_decay: Annotated[Share, _formerly("average", "ema_decay")] = 0.995
    validation: Count = 256
    validate_every: Count = 10
    plain: bool = False

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 <= self.sharpness <= 1:
            raise UsageError(f"sharpness must be in [0, 1], got {self.sharpness}")


PRESETS: dict[str, ActorCriticSettings] = {
    "default": ActorCriticSettings(),
    "paper": ActorCriticSettings(
        actor_hidden=(2048,) * 4,
        critic_hidden=(2048,) * 4,
        condition_units=2048,
        gate_bias=0.0,
        bank=0,
        warmup_steps=0,
        rounds=5000,
        actor_points=60,
        prior_points=6,
        replay_size=0,
        critic_steps=1,
        actor_steps=1,
        actor_every=10,
        batch_size=66,
        learning_rate=3e-4,
        betas=(0.0, 0.9),
        final_learning_rate_fraction=1.0,
        distance_weight=0.1,
        prior_weight=0.0,
        gradient_penalty=10.0,
        penalty_points=66,
        one_sided=False,
        sharpness=0.0,
        ema_decay=0.0,
        validation=0,
        plain=True,
    ),
}
"""``paper`` is appendix 9.2: ten critic steps to an actor step, one prior point to ten of the
actor's. Batch size, rounds and, for rewards, lambda_dist are not in the paper."""
