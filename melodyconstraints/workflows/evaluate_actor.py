"""The paper's Table 2 for any rules: prior against actor, satisfaction, distance, diversity.

And beyond it, realism: how much the actor's melodies are like held-out ones in all features that
the rules do not affect; and how much they are like those held-out ones that satisfy the rules, in
all features. The prior's melodies are measured the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.evaluation import (
    RewardStatistics,
    all_satisfied,
    mean_pairwise_distance,
    reward_statistics,
    share_distinct,
    z_mse,
)
from melodyconstraints.latent.satisfaction import PREDICTED_SATISFIED
from melodyconstraints.melody.events import PITCHES, REST, Melodies, transposed
from melodyconstraints.melody.metrics.agreement import onset_recall
from melodyconstraints.melody.metrics.distances import compare_feature
from melodyconstraints.melody.metrics.statistics import FEATURES
from melodyconstraints.melody.metrics.structure import structure
from melodyconstraints.melody.metrics.typical import full_typicality
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.sampling import SamplingOptions
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.storage.arguments import DEFAULT_EVALUATED, MOST_SEED, checked
from melodyconstraints.workflows.actor import SEARCH, MelodyActor
from melodyconstraints.workflows.examples import Examples, read_examples
from melodyconstraints.workflows.examples import held_out as held_out_examples
from melodyconstraints.workflows.keys import InKeys, in_best_keys
from melodyconstraints.workflows.real_melodies import satisfying
from melodyconstraints.workflows.seeds import (
    check_count,
    derived_generator,
    prior_points,
    prior_sampler,
)
from melodyconstraints.workflows.train_actor import LIKE
from melodyconstraints.workflows.train_vae import choose

_ROUNDING = 1e-9
"""Largest spread of a feature's values that counts as rounding."""


@dataclass(frozen=True)
class Likeness:
    """Overlapping area of one feature with held-out melodies, in [0, 1]; 1 is best.

    Args:
        prior, actor: overlapping area of melodies drawn from each.
        affected: whether a rule affects the feature.
        satisfying: overlapping areas with held-out melodies that satisfy the rules, of ``prior``
            and ``actor``; None where fewer than two do, or all of these have the same value.
    """

    prior: float
    actor: float
    affected: bool
    satisfying: dict[str, float] | None


@dataclass(frozen=True)
class Moved:
    """Distance of points from those of the prior that they are compared with.

    Args:
        z_mse: mean square difference in posterior scales.
        surviving_notes: share of the notes of the melodies decoded before that are in the ones
            decoded after, pitch and step, by the same draws and before any is transposed into the
            key that the rules reward most; where notes move to chords, both are in that key. Where
            rules have pitch classes, of the notes in them alone.
    """

    z_mse: float
    surviving_notes: float


@dataclass(frozen=True)
class ExampleLikeness:
    """Likeness of an actor's melodies to held-out examples, if it learned from examples.

    Args:
        liked, unliked: numbers of held-out examples of both kinds.
        predicted: shares that the critic predicts to be like the examples, by what they are of:
            ``liked``, ``unliked``, ``prior``, ``actor``.
        overlapping_area: overlapping area with the liked, mean over all features, of ``unliked``,
            ``prior`` and ``actor``.
    """

    liked: int
    unliked: int
    predicted: dict[str, float]
    overlapping_area: dict[str, float]


@dataclass(frozen=True)
class ActorEvaluation:
    """Measurements of an actor that ``mc evaluate`` prints.

    Args:
        n: melodies drawn from the prior, and from the actor at the same latent points.
        prior, actor: statistics of each rule by its name.
        prior_typical, typical: statistics of typicality; see :func:`.full_typicality`.
        prior_all_satisfied, all_satisfied: share of melodies that satisfy all the actor's rules;
            None for an actor without any.
        moved: distance by which the actor moves points.
        unrelated: distance between a point of the prior and another one, which have nothing in
            common.
        distinct: share of distinct melodies among the actor's.
        diversity, prior_diversity: mean edit distance of random pairs, in events of 256.
        likeness: likeness to held-out melodies, by feature; empty where none were given.
        n_satisfying: number of held-out melodies that satisfy the rules as they are or
            transposed; see :func:`.real_melodies.satisfying`.
        structure: measures of :mod:`melodyconstraints.melody.metrics.structure` by name, and the
            mean number of notes and the share of typical melodies, of
            ``held_out`` melodies that satisfy the rules, ``prior`` and ``actor``, the last two
            with their ``similarity_error``; empty where fewer than two do.
        examples: likeness to held-out examples; None where none were given.
    """

    n: int
    temperature: float
    prior: dict[str, RewardStatistics]
    actor: dict[str, RewardStatistics]
    prior_typical: RewardStatistics
    typical: RewardStatistics
    prior_all_satisfied: float | None
    all_satisfied: float | None
    moved: Moved
    unrelated: Moved
    distinct: float
    diversity: float
    prior_diversity: float
    likeness: dict[str, Likeness]
    n_satisfying: int
    structure: dict[str, dict[str, float]]
    examples: ExampleLikeness | None

    @property
    def realism(self) -> tuple[float, float] | None:
        """Mean overlapping area of features no rule affects, prior's and actor's, if measured."""
        free = [one for one in self.likeness.values() if not one.affected]
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
        rules = {name: _both(self.prior[name], self.actor[name]) for name in self.actor}
        return {
            "n": self.n,
            "temperature": self.temperature,
            "rules": rules,
            "typical": _both(self.prior_typical, self.typical),
            "all_satisfied": self.all_satisfied,
            "prior_all_satisfied": self.prior_all_satisfied,
            **asdict(self.moved),
            "unrelated": asdict(self.unrelated),
            "distinct": self.distinct,
            "diversity_ratio": self.diversity_ratio,
            "realism": self.realism,
            "likeness": {name: asdict(one) for name, one in self.likeness.items()},
            "n_satisfying": self.n_satisfying,
            "structure": self.structure,
            "examples": self.examples and asdict(self.examples),
        }


def _both(prior: RewardStatistics, actor: RewardStatistics) -> dict[str, Any]:
    """Statistics of one reward as plain JSON values."""
    of_prior = {"prior_mean": prior.mean, "prior_satisfied": prior.satisfied}
    return of_prior | asdict(actor)


@checked
def evaluate_actor(
    actor: MelodyActor,
    n: int = DEFAULT_EVALUATED,
    *,
    also: Iterable[str | Rule] = (),
    held_out: Melodies | None = None,
    like: Examples | None = None,
    unlike: Examples | None = None,
    **options: Unpack[SamplingOptions],
) -> ActorEvaluation:
    """Draw ``n`` melodies from the prior and ``n`` from the actor and measure both.

    Args:
        also: rules to measure besides the actor's own, such as the density of a C major actor;
            its own among them are measured once.
        held_out: real melodies, to measure realism by: ``n`` of them, always the same ones, and
            those of all that satisfy the actor's rules, ``n`` at most.
        like, unlike: examples of both kinds, for an actor that learned from examples; those that
            it learned from are left out.
        options: see :class:`melodyconstraints.melody.vae.sampling.Sampling`.

    Raises:
        UsageError: n below 2, since diversity needs pairs; or examples of one kind only, or for an
            actor that learned from none, or fewer than two of a kind that are held out.
    """
    if n < 2:
        raise UsageError(f"n must be at least 2, since diversity needs pairs; got {n}")
    check_count(n)
    examples = None if like is unlike is None else _held_out_examples(actor, like, unlike)
    actor.require_rules()
    active = np.flatnonzero(actor.is_active)
    known = {rule.spec for rule in actor.rules}
    rules = find_rules(
        [*actor.rules, *(rule for rule in find_rules(also) if rule.spec not in known)]
    )
    sampling = actor.sampling(options)
    z = prior_points(actor.model, n, sampling.seed)
    of_prior = replace(
        sampling, scale=options.get("scale") or (), rhythm=options.get("rhythm") or ""
    )
    prior = prior_sampler(actor.model, of_prior).decode(z)
    other = sampling.with_seed((sampling.seed + 1) % (MOST_SEED + 1))
    shifted, drawn = actor.draw_from(z, other, derived_generator(SEARCH, sampling.seed))
    prior_rewards, rewards = rewards_of(rules, prior), rewards_of(rules, drawn)
    names = [rule.name for rule in rules]
    return ActorEvaluation(
        n=len(z),
        temperature=sampling.temperature,
        prior={name: reward_statistics(prior_rewards[:, i]) for i, name in enumerate(names)},
        actor={name: reward_statistics(rewards[:, i]) for i, name in enumerate(names)},
        prior_typical=reward_statistics(full_typicality(prior)),
        typical=reward_statistics(full_typicality(drawn)),
        prior_all_satisfied=all_satisfied(prior_rewards[:, active]) if len(active) else None,
        all_satisfied=all_satisfied(rewards[:, active]) if len(active) else None,
        moved=_moved(
            actor, (z, shifted), (prior, prior_sampler(actor.model, sampling).decode(shifted))
        ),
        unrelated=_moved(actor, (z, z.roll(1, 0)), (prior, prior[np.roll(np.arange(n), 1)])),
        distinct=share_distinct([row.tobytes() for row in drawn.events]),
        diversity=_mean_edit_distance(drawn),
        prior_diversity=_mean_edit_distance(prior),
        **_realism(held_out, (prior, drawn), actor.active_rules, n),
        examples=examples and _example_likeness(actor, examples, (z, shifted), (prior, drawn)),
    )


def _held_out_examples(
    actor: MelodyActor, like: Examples | None, unlike: Examples | None
) -> tuple[Melodies, Melodies]:
    if LIKE not in actor.learned:
        raise UsageError("the actor learned from no examples: leave like and unlike out")
    liked, unliked = read_examples(like, unlike)
    return (
        held_out_examples(liked, actor.examples, "liked"),
        held_out_examples(unliked, actor.examples, "unliked"),
    )


def _example_likeness(
    actor: MelodyActor,
    examples: tuple[Melodies, Melodies],
    points: tuple[Tensor, Tensor],
    drawn: tuple[Melodies, Melodies],
) -> ExampleLikeness:
    """Likeness of melodies from the prior and the actor to held-out examples."""
    liked, unliked = examples
    encoded = [encode(actor.model, list(one)).mean for one in examples]
    head = actor.head_names.index(LIKE)
    predicted = {}
    for name, z in zip(("liked", "unliked", "prior", "actor"), (*encoded, *points), strict=True):
        with torch.no_grad():
            values = torch.sigmoid(actor.critic(z, None)[:, head])
        predicted[name] = float((values >= PREDICTED_SATISFIED).float().mean())
    others = dict(zip(("unliked", "prior", "actor"), (unliked, *drawn), strict=True))
    by_feature = [_areas(feature, liked, others) for feature in FEATURES]
    areas = {name: float(np.mean([one[name] for one in by_feature])) for name in others}
    return ExampleLikeness(len(liked), len(unliked), predicted, areas)


def _moved(
    actor: MelodyActor, points: tuple[Tensor, Tensor], melodies: tuple[Melodies, Melodies]
) -> Moved:
    """Shift and surviving notes between two sets."""
    (z, other), (before, after) = points, melodies
    notes = before.events
    if actor.writing:
        in_keys = InKeys(after, np.zeros(len(after), np.int64))
        if actor.transposes:
            in_keys = in_best_keys(after, actor.rules, actor.weights[: len(actor.rules)])
        notes, _ = transposed(notes, in_keys.shifts)
        after = actor.writing(in_keys.melodies)
    if actor.pitch_classes is not None:
        outside = (notes < PITCHES) & ~np.isin(notes % 12, list(actor.pitch_classes))
        notes = np.where(outside, REST, notes)
    return Moved(z_mse(other, z, actor.model.sigma_bar), onset_recall(after.events, notes))


class _Realism(TypedDict):
    """Fields of :class:`ActorEvaluation` that compare with held-out melodies."""

    likeness: dict[str, Likeness]
    n_satisfying: int
    structure: dict[str, dict[str, float]]


def _realism(
    held_out: Melodies | None, drawn: tuple[Melodies, Melodies], rules: Sequence[Rule], n: int
) -> _Realism:
    """Measure how similar melodies of prior and actor are to held-out ones, if any are given."""
    if held_out is None:
        return {"likeness": {}, "n_satisfying": 0, "structure": {}}
    both = dict(zip(("prior", "actor"), drawn, strict=True))
    everything = Melodies(choose(held_out.events, n))
    real = satisfying(held_out, rules)
    chosen = Melodies(choose(real.events, n)) if len(real) > 1 else None
    affected = frozenset[str]().union(*(rule.affected_features for rule in rules))
    likeness = {}
    for name in FEATURES:
        areas = _areas(name, everything, both)
        fixed = chosen is None or _constant(name, chosen)
        among = None if chosen is None or fixed else _areas(name, chosen, both)
        likeness[name] = Likeness(areas["prior"], areas["actor"], name in affected, among)
    built = {}
    if chosen is not None:
        built = {"held_out": structure(chosen)}
        built |= {name: structure(melodies, chosen) for name, melodies in both.items()}
        for name, melodies in {"held_out": chosen, **both}.items():
            typical = float(np.mean(full_typicality(melodies) >= 1))
            built[name] |= {"notes": float(melodies.note_counts.mean()), "typical": typical}
    return {"likeness": likeness, "n_satisfying": len(real), "structure": built}


def _constant(feature: str, melodies: Melodies) -> bool:
    """Whether all melodies have the same value, so that no distances can be compared."""
    return bool(np.ptp(FEATURES[feature](melodies), axis=0).max() <= _ROUNDING)


def _areas(feature: str, reference: Melodies, others: Mapping[str, Melodies]) -> dict[str, float]:
    """Overlapping areas of one feature, by the names of the others."""
    values = FEATURES[feature](reference)
    return {
        name: compare_feature(values, FEATURES[feature](melodies)).overlapping_area
        for name, melodies in others.items()
    }


def _mean_edit_distance(melodies: Melodies) -> float:
    """Mean Levenshtein distance of random pairs of event sequences."""
    texts = [row.tobytes() for row in melodies.events]
    return mean_pairwise_distance(texts, Levenshtein.distance)
