"""The paper's Table 2 for any rules: prior against actor, satisfaction, distance, diversity.

And beyond it, realism: how much the actor's melodies are like held-out ones, in all features that
the rules do not ask to change, against the prior's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Unpack

import numpy as np
from rapidfuzz.distance import Levenshtein

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.evaluation import (
    RewardStatistics,
    all_satisfied,
    mean_pairwise_distance,
    reward_statistics,
    share_distinct,
    z_mse,
)
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.distances import compare
from melodyconstraints.melody.metrics.statistics import FEATURES
from melodyconstraints.melody.vae.sampling import SamplingOptions
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.workflows.actor import MelodyActor, rewards_of
from melodyconstraints.workflows.seeds import prior_points

_ACTOR_SEED_OFFSET = 1


@dataclass(frozen=True)
class Likeness:
    """Overlapping area of one feature with held-out melodies, in [0, 1]; 1 is best.

    Args:
        prior, actor: of melodies drawn from each.
        touched: whether a rule asks for other values of it.
    """

    prior: float
    actor: float
    touched: bool


@dataclass(frozen=True)
class Evaluation:
    """What ``mc evaluate`` prints.

    Args:
        n: melodies drawn from the prior, and from the actor at the same latent points.
        prior, actor: statistics of each rule by its name.
        prior_all_satisfied, all_satisfied: share of melodies that satisfy all the actor's rules.
        z_mse: shift of the latent points in posterior scales.
        distinct: share of distinct melodies among the actor's.
        diversity, prior_diversity: mean edit distance of random pairs, in events of 256.
        likeness: to held-out melodies, by feature; empty where none were given.
    """

    n: int
    temperature: float
    prior: dict[str, RewardStatistics]
    actor: dict[str, RewardStatistics]
    prior_all_satisfied: float
    all_satisfied: float
    z_mse: float
    distinct: float
    diversity: float
    prior_diversity: float
    likeness: dict[str, Likeness] = field(default_factory=dict)

    @property
    def realism(self) -> tuple[float, float] | None:
        """Mean overlapping area of the untouched features, prior's and actor's, if measured."""
        free = [one for one in self.likeness.values() if not one.touched]
        if not free:
            return None
        return float(np.mean([one.prior for one in free])), float(
            np.mean([one.actor for one in free])
        )

    @property
    def diversity_ratio(self) -> float | None:
        """The actor's mean pairwise edit distance over the prior's; None if that is zero."""
        return self.diversity / self.prior_diversity if self.prior_diversity else None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        rules = {
            name: {
                "prior_mean": self.prior[name].mean,
                "prior_satisfied": self.prior[name].satisfied,
                "mean": self.actor[name].mean,
                "mean_interval": self.actor[name].mean_interval,
                "satisfied": self.actor[name].satisfied,
                "satisfied_interval": self.actor[name].satisfied_interval,
            }
            for name in self.actor
        }
        return {
            "n": self.n,
            "temperature": self.temperature,
            "rules": rules,
            "all_satisfied": self.all_satisfied,
            "prior_all_satisfied": self.prior_all_satisfied,
            "z_mse": self.z_mse,
            "distinct": self.distinct,
            "diversity_ratio": self.diversity_ratio,
            "realism": self.realism,
            "likeness": {name: asdict(one) for name, one in self.likeness.items()},
        }


def evaluate_actor(
    actor: MelodyActor,
    n: int = 1024,
    *,
    also: Iterable[str | Rule] = (),
    held_out: Melodies | None = None,
    **options: Unpack[SamplingOptions],
) -> Evaluation:
    """Draw ``n`` melodies from the prior and ``n`` from the actor and measure both.

    Args:
        also: rules to measure besides the actor's own, such as the density of a C major actor.
        held_out: real melodies, to measure realism by.
        options: see :class:`melodyconstraints.melody.vae.sampling.Sampling`.

    Raises:
        UsageError: n below 2, since diversity needs pairs.
    """
    if n < 2:
        raise UsageError(f"n must be at least 2, since diversity needs pairs; got {n}")
    own = len(actor.rules)
    rules = find_rules([*actor.rules, *also])
    sampling = actor.sampling(options)
    z = prior_points(actor.model, n, sampling.seed)
    shifted = actor.shift(z)
    prior = actor.sampler(sampling).decode(z)
    other = sampling.with_seed(sampling.seed + _ACTOR_SEED_OFFSET)
    drawn = actor.sampler(other).decode(shifted)
    prior_rewards, rewards = rewards_of(rules, prior), rewards_of(rules, drawn)
    names = [rule.name for rule in rules]
    return Evaluation(
        n=len(z),
        temperature=sampling.temperature,
        prior={name: reward_statistics(prior_rewards[:, i]) for i, name in enumerate(names)},
        actor={name: reward_statistics(rewards[:, i]) for i, name in enumerate(names)},
        prior_all_satisfied=all_satisfied(prior_rewards[:, :own]),
        all_satisfied=all_satisfied(rewards[:, :own]),
        z_mse=z_mse(shifted, z, actor.model.sigma_bar),
        distinct=share_distinct([row.tobytes() for row in drawn.events]),
        diversity=_mean_edit_distance(drawn),
        prior_diversity=_mean_edit_distance(prior),
        likeness={} if held_out is None else _likeness(held_out, prior, drawn, actor.rules),
    )


def _likeness(
    held_out: Melodies, prior: Melodies, drawn: Melodies, rules: Iterable[Rule]
) -> dict[str, Likeness]:
    touched = frozenset[str]().union(*(rule.affected_features for rule in rules))
    likeness = {}
    for name, feature in FEATURES.items():
        reference = feature(held_out)
        likeness[name] = Likeness(
            prior=compare(reference, feature(prior)).overlapping_area,
            actor=compare(reference, feature(drawn)).overlapping_area,
            touched=name in touched,
        )
    return likeness


def _mean_edit_distance(melodies: Melodies) -> float:
    """Mean Levenshtein distance of random pairs of event sequences."""
    texts = [row.tobytes() for row in melodies.events]
    return mean_pairwise_distance(texts, Levenshtein.distance)
