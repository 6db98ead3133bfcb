"""The user's own melody, moved as little as the rules need (the paper, section 5).

A melody's latent point is found by inversion. From there searches along the critic's gradient set
out with different weights on distance; what they find is decoded and rewarded, and the critic
learns from it the neighbourhood of this one melody. Of all melodies that satisfy the rules the one
is taken that keeps most of the original's notes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import EllipsisType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.constraints import RewardConstraint, Rewards
from melodyconstraints.latent.critic_learning import CriticLearner
from melodyconstraints.latent.networks import Critic, Critics
from melodyconstraints.latent.satisfaction import are_satisfied
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.agreement import onset_recall
from melodyconstraints.melody.units import BARS
from melodyconstraints.melody.vae.inversion import invert
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import LIKELIEST, MelodySampler
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.rules.scales import parse_scale
from melodyconstraints.storage.arguments import DEFAULT_SEED, check_seed, checked
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.editing import (
    in_key,
    in_rhythm,
    in_scale,
    keep,
)
from melodyconstraints.workflows.knobs import scale_rules
from melodyconstraints.workflows.neighbourhood import MOST_ROUNDS, SHARPNESS, Neighbourhood
from melodyconstraints.workflows.seeds import derived_generator
from melodyconstraints.workflows.untrained_actor import searching_actor
from melodyconstraints.workflows.written import rhythm_of

OF_TONIC = False
"""Whether a transformation to a scale is about its tonic too, or its notes alone, which most often
need no search. A key moves the tonic, and the rule ``scale:D-dorian`` searches for it."""
TRANSFORMING, CRITIC_OF_BANK = "transforming", "critic of the bank"
"""Purposes of the draws of a transformation."""
BANK_CRITIC, BANK_STEPS, BANK_BATCH, BANK_RATE = (512, 512), 500, 256, 5e-4
"""Layers and training of a critic of knobs, which learns from the bank before the search."""


@dataclass(frozen=True)
class Transformation:
    """A melody, and its relation to the original.

    Args:
        original, melody: melody before and after the search; both in the key, if one was given.
        before, after: ``(R,)`` rewards of the melody as it was given, and as it came out.
        distance: mean over dimensions of the squared shift over the posterior's scale.
        decoded: melodies that were decoded in the search.
        active: ``(R,)`` whether a rule's weight is not 0; all if not given.
    """

    original: Melody
    melody: Melody
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    distance: float
    decoded: int
    active: NDArray[np.bool_] | EllipsisType = ...

    @property
    def satisfied(self) -> bool:
        """Whether every rule whose weight is not 0 is satisfied."""
        return bool(are_satisfied(self.after[self.active]))

    @property
    def notes_kept(self) -> float:
        """Share of the original's notes that are there with their pitch at their step."""
        return onset_recall(self.melody.events[None], self.original.events[None])


@checked
def transform(
    source: MelodyActor | MelodyVAE,
    melody: Melody,
    *,
    scale: str | Collection[int] | None = None,
    density: int | str | None = None,
    rules: Iterable[str | Rule | Callable[..., Any]] = (),
    key: str | Collection[int] | None = None,
    strength: float = 1.0,
    keep_bars: Collection[int] = (),
    variations: int = 1,
    seed: int = DEFAULT_SEED,
    callback: Callable[[int, int], None] | None = None,
) -> list[Transformation]:
    """Move a melody to where it satisfies rules, as near to the original as possible.

    A melody that satisfies them already, or of which all bars are kept, comes back as it is. Where
    it is enough to give it the rhythm and move notes to the nearest of the scale and the chords,
    but for what kept bars hold, and the actor learned neither realism nor likeness, there is no
    search. Bars that equal one another go on doing so, where they can.

    Args:
        source: a model, of which :func:`transforming` makes an actor, or an actor: used are its
            rules, its critic and, of knobs, which have no critic, its shift. The critic of an
            actor that transposes knows no keys: unless it learned realism or likeness too, one
            learns them from the model's bank instead.
        scale, density, rules: arguments of :func:`transforming`, for a model.
        key: key such as ``A-minor`` that the melody is first moved into by :func:`.in_key`; with a
            model it is the scale too, where none is given.
        strength: share of the way to the point that was found: 0 is the model's reconstruction,
            1 the point itself, more goes beyond.
        keep_bars: bars from 1 to 16 that stay note for note.
        variations: number of variations; from the second on searches begin beside the melody's
            point.
        seed: seed of these beginnings and of the search.
        callback: called with the rounds of search that are done, and with the most there can be.

    Raises:
        UsageError: a bar outside 1 to 16, a negative strength, no variation, no rules, no such
            scale, key or rule, or a scale, a density or rules beside an actor.
    """
    actor = _actor_of(source, scale, density, rules, key)
    options = (strength, keep_bars, variations, seed, callback)
    if key is None:
        return list(transformations(actor, melody, *options))
    before = rewards_of(actor.rules, Melodies.stack([melody]))[0]
    moved = transformations(actor, in_key(melody, key), *options)
    return [replace(one, before=before) for one in moved]


def transforming(
    model: MelodyVAE,
    scale: str | Collection[int] | None = None,
    density: int | str | None = None,
    rules: Iterable[str | Rule | Callable[..., Any]] = (),
    key: str | Collection[int] | None = None,
) -> MelodyActor:
    """Make the actor that moves melodies without a training, to a scale, a density and rules.

    Args:
        scale: scale as in :meth:`.knobs.Knobs.at`, and its notes alone: see :data:`OF_TONIC`.
        density: least number of notes in 16 bars, or a range such as ``40..60``.
        rules: rules, as :func:`.find_rules` takes them.
        key: scale, where none is given.

    Raises:
        UsageError: nothing is asked for, or no such scale or rule.
    """
    scale, found_rules = key if scale is None else scale, find_rules(rules)
    if scale is None and density is None and not found_rules:
        raise UsageError("with a model, a transformation needs a scale, key, density or rules")
    actor = searching_actor(model, found_rules, scale=scale, density=density, tonic=OF_TONIC)
    if scale is None:
        return actor
    return replace(actor, rules=[_named_for(scale, actor.rules[0]), *actor.rules[1:]])


def of_notes(scale: str | Collection[int]) -> Rule:
    """The rule that a transformation has for a scale or a set: see :data:`OF_TONIC`."""
    return _named_for(scale, scale_rules(scale, tonic=OF_TONIC)[0])


def _named_for(scale: str | Collection[int], rule: Rule) -> Rule:
    """The rule of a scale's notes, which says that it is about these alone."""
    named = isinstance(scale, str) and parse_scale(scale)
    return replace(rule, name=f"notes of {scale}") if named else rule


def _actor_of(
    source: MelodyActor | MelodyVAE,
    scale: str | Collection[int] | None,
    density: int | str | None,
    rules: Iterable[str | Rule | Callable[..., Any]],
    key: str | Collection[int] | None,
) -> MelodyActor:
    """The actor that was given, or one of the model's for a scale, a density and rules."""
    if not isinstance(source, MelodyActor):
        return transforming(source, scale, density, rules, key)
    if scale is not None or density is not None or list(rules):
        raise UsageError(
            "scale, density and rules go with a model; an actor has rules of its own, so leave "
            "them out or give the actor's model"
        )
    return source


def transformations(
    actor: MelodyActor,
    melody: Melody,
    strength: float = 1.0,
    keep_bars: Collection[int] = (),
    variations: int = 1,
    seed: int = DEFAULT_SEED,
    callback: Callable[[int, int], None] | None = None,
) -> Iterator[Transformation]:
    """Variations as :func:`transform` makes them, one after another, in whatever key they are."""
    _check(actor, strength, keep_bars, variations, seed)
    before = rewards_of(actor.rules, Melodies.stack([melody]))[0]
    unchanged = Transformation(melody, melody, before, before, 0.0, 0, actor.is_active)
    if len(set(keep_bars)) == BARS:
        yield from [unchanged] * variations
        return
    of_bank = not actor.heads or (actor.transposes and not actor.learned)
    if strength == variations == 1 and not (actor.learned or unchanged.satisfied):
        at_once = _without_search(actor, unchanged, keep_bars)
        if at_once is not None:
            yield at_once
            return
    if of_bank and (variations > 1 or not unchanged.satisfied):
        actor = replace(actor, **_critic_of_bank(actor, seed))
    start = invert(actor.model, [melody])
    generator = derived_generator(TRANSFORMING, seed)

    def report(variation: int, rounds: int) -> None:
        if callback:
            callback(variation * MOST_ROUNDS + rounds, variations * MOST_ROUNDS)

    for number in range(variations):
        if number == 0 and unchanged.satisfied:
            yield unchanged
            continue
        z = start
        if number:  # a variation begins beside the melody's point
            noise = torch.randn(start.shape, generator=generator).to(start.device)
            z = start + actor.model.sigma_bar * noise
        bars = frozenset(keep_bars)
        search = Neighbourhood(actor, melody, z, bars, generator, partial(report, number))
        moved, result = search.moved(actor.shift(z) if of_bank else None, strength)
        after = rewards_of(actor.rules, Melodies.stack([result]))[0]
        distance = float(((moved - start) / actor.model.sigma_bar).square().mean())
        fields = {"melody": result, "after": after, "distance": distance}
        yield replace(unchanged, decoded=search.decoded, **fields)


def _without_search(
    actor: MelodyActor, unchanged: Transformation, keep_bars: Collection[int]
) -> Transformation | None:
    """The melody in the rhythm, its notes at the nearest of scale and chords, but for kept bars.

    None where more is missing than what those bars hold, which no search would change.
    """
    original, rhythm = unchanged.original, rhythm_of(actor.active_rules)
    if not (actor.pitch_classes or rhythm or actor.chords):
        return None
    moved = Melodies.stack([in_rhythm(in_scale(original, actor.pitch_classes), rhythm)])
    (melody,) = actor.write(keep(original, moved, keep_bars), keep_bars)
    every, after = rewards_of(actor.rules, Melodies.stack([*actor.write(moved), melody]))
    changed = replace(unchanged, melody=melody, after=after)
    if not (changed.satisfied or replace(changed, after=every).satisfied):
        return None
    z, z_moved = invert(actor.model, [original, melody])
    distance = float(((z_moved - z) / actor.model.sigma_bar).square().mean())
    return replace(changed, distance=distance)


def _critic_of_bank(actor: MelodyActor, seed: int) -> dict[str, Any]:
    """A critic of the actor's rules, from the model's bank alone, as changes to the actor."""
    bank = load_bank(actor.model)
    generator = derived_generator(CRITIC_OF_BANK, seed)
    sampler = MelodySampler(actor.model, LIKELIEST)
    rewards = Rewards(actor.rules)
    constraint = RewardConstraint(sampler, rewards, sharpness=SHARPNESS)
    constraint.keep(bank.points.to(actor.model.device), rewards.measure(bank.melodies), None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        critic = Critic(actor.model.latent_dim, len(actor.rules), BANK_CRITIC)
    critics = Critics([critic.to(actor.model.device)])
    learner = CriticLearner(critics, [constraint], generator, BANK_BATCH, BANK_RATE)
    for _ in range(BANK_STEPS):
        learner.step()
    return {
        "critic": critics,
        "heads": (tuple(actor.names),),
        "weights": actor.weights[: len(actor.rules)] or (1.0,) * len(actor.rules),
    }


def _check(
    actor: MelodyActor, strength: float, keep_bars: Collection[int], variations: int, seed: int
) -> None:
    """Refuse what :func:`transform` cannot do."""
    if not set(keep_bars) <= set(range(1, BARS + 1)):
        raise UsageError(f"bars to keep must be from 1 to {BARS}, got {sorted(keep_bars)}")
    if not 0 <= strength < math.inf:
        raise UsageError(f"strength must be a number of at least 0, got {strength}")
    if variations < 1:
        raise UsageError(f"variations must be at least 1, got {variations}")
    check_seed(seed)
    if not actor.active_rules:
        raise UsageError("a transformation needs an actor with rules; train one with rules")
