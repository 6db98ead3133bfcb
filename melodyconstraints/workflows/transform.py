"""The user's own melody, moved as little as the rules need (the paper, section 5).

A melody's latent point is found by inversion. From there searches along the critic's gradient set
out with different weights on distance; what they find is decoded and rewarded, and the critic
learns from it the neighbourhood of this one melody. Of all melodies that satisfy the rules the one
is taken that keeps most of the original's notes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from types import EllipsisType
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.constraints import RewardConstraint, Rewards
from melodyconstraints.latent.critic_learning import CriticLearner
from melodyconstraints.latent.networks import Critic, Critics
from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.latent.search import GradientSearch
from melodyconstraints.melody.events import HOLD, PITCHES, Melodies, Melody
from melodyconstraints.melody.metrics.agreement import onset_recall
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR, STEPS_PER_QUARTER
from melodyconstraints.melody.vae.inversion import invert
from melodyconstraints.melody.vae.sampler import LIKELIEST, MelodySampler
from melodyconstraints.melody.vae.sampling import DEFAULT_SEED
from melodyconstraints.rules import Rule
from melodyconstraints.workflows.actor import MelodyActor, rewards_of
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.seeds import derived_generator

TRANSFORMING, CRITIC_OF_BANK = "transforming", "critic of the bank"
"""Purposes of the draws of a transformation."""
BANK_CRITIC, BANK_STEPS, BANK_BATCH, BANK_RATE = (512, 512), 500, 256, 5e-4
"""Layers and training of a critic of knobs, which learns from the bank before the search."""
PURE_ROUNDS, ROUNDS, MOST_ROUNDS = 2, 6, 12
"""Rounds without projection, in all, and in all while nothing satisfies the rules."""
DISTANCE_WEIGHTS = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""Distance weights of a round's searches, from a small step to a free one."""
THRESHOLDS = (0.5, 0.8, 0.95, 0.99)
"""Values of D at which a round's searches stop, from doubtful to sure."""
SEARCH_RATE = 0.03
"""Learning rate of a search: small, since the way is short and must not be overshot."""
NEIGHBOURS = 24
"""Points drawn around one each round."""
NEAR, WIDE = 0.1, 0.3
"""Spreads of these draws, in posterior scales: other decodings of one melody; like melodies."""
WAY_BACK = (0.3, 0.95)
"""Shares of the way from the original to the best point between which nearer ones are tried."""
CRITIC_STEPS, CRITIC_BATCH, CRITIC_RATE = 60, 64, 3e-4
"""Fine-tuning of the critic each round."""
REPLAY_SIZE = 4000
"""Newest decodings that the critic is taught: more than one search makes."""
SHARPNESS = 0.5
"""Share of the critic's target that is "satisfied" instead of the graded reward."""


@dataclass(frozen=True)
class Transformation:
    """A melody, and its relation to the original.

    Args:
        original, melody: before and after.
        before, after: ``(R,)`` rewards.
        distance: mean over dimensions of the squared shift over the posterior's scale.
        decoded: melodies that were decoded in the search.
        asked: ``(R,)`` whether a rule's weight is not 0; all if not given.
    """

    original: Melody
    melody: Melody
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    distance: float
    decoded: int
    asked: NDArray[np.bool_] | EllipsisType = ...

    @property
    def satisfied(self) -> bool:
        """Whether every rule whose weight is not 0 is satisfied."""
        return bool((self.after[self.asked] >= SATISFIED).all())

    @property
    def notes_kept(self) -> float:
        """Share of the original's notes that are there with their pitch at their step."""
        return onset_recall(self.melody.events[None], self.original.events[None])


def transform(
    actor: MelodyActor,
    melody: Melody,
    *,
    strength: float = 1.0,
    keep_bars: Collection[int] = (),
    variations: int = 1,
    seed: int = DEFAULT_SEED,
) -> list[Transformation]:
    """Move a melody to where it satisfies the actor's rules, as near to the original as possible.

    A melody that satisfies them already, or of which all bars are kept, comes back as it is. Where
    knobs are set and moving notes to the nearest of the scale is enough, there is no search.

    Args:
        actor: its rules, its critic and, of knobs, which have no critic, its shift.
        strength: share of the way to the point that was found: 0 is the model's reconstruction,
            1 the point itself, more goes beyond.
        keep_bars: bars from 1 to 16 that stay note for note.
        variations: how many; from the second on searches begin beside the melody's point.
        seed: of these beginnings and of the search.

    Raises:
        UsageError: a bar outside 1 to 16, a negative strength, no variation, or an actor without
            rules.
    """
    _check(actor, strength, keep_bars, variations)
    before = rewards_of(actor.rules, Melodies.stack([melody]))[0]
    unchanged = Transformation(melody, melody, before, before, 0.0, 0, actor.is_asked)
    if len(set(keep_bars)) == BARS:
        return [unchanged] * variations
    knobs = not actor.heads
    if knobs and strength == variations == 1:
        at_once = _without_search(actor, unchanged, keep_bars)
        if at_once.satisfied:
            return [at_once]
    if knobs and not unchanged.satisfied:
        actor = replace(actor, **_critic_of_bank(actor, seed))
    start = invert(actor.model, [melody])
    generator = derived_generator(TRANSFORMING, seed)
    transformed = []
    for number in range(variations):
        if number == 0 and unchanged.satisfied:
            transformed.append(unchanged)
            continue
        z = start
        if number:  # a variation begins beside the melody's point
            noise = torch.randn(start.shape, generator=generator).to(start.device)
            z = start + actor.model.sigma_bar * noise
        search = _Neighbourhood(actor, melody, z, frozenset(keep_bars), generator)
        moved, result = search.moved(actor.shift(z) if knobs else None, strength)
        after = rewards_of(actor.rules, Melodies.stack([result]))[0]
        distance = float(((moved - start) / actor.model.sigma_bar).square().mean())
        found = {"melody": result, "after": after, "distance": distance}
        transformed.append(replace(unchanged, decoded=search.decoded, **found))
    return transformed


def _without_search(
    actor: MelodyActor, unchanged: Transformation, keep_bars: Collection[int]
) -> Transformation:
    """The melody with its notes at the nearest ones of the scale, but for bars to keep."""
    original = unchanged.original
    moved = Melodies.stack([in_scale(original, actor.pitch_classes)])
    (melody,) = keep(original, moved, keep_bars)
    after = rewards_of(actor.rules, Melodies.stack([melody]))[0]
    z, z_moved = invert(actor.model, [original, melody])
    distance = float(((z_moved - z) / actor.model.sigma_bar).square().mean())
    return replace(unchanged, melody=melody, after=after, distance=distance)


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
        "weights": actor.weights or (1.0,) * len(actor.rules),
    }


def _check(
    actor: MelodyActor, strength: float, keep_bars: Collection[int], variations: int
) -> None:
    """Refuse what :func:`transform` cannot do."""
    if not set(keep_bars) <= set(range(1, BARS + 1)):
        raise UsageError(f"bars to keep must be from 1 to {BARS}, got {sorted(keep_bars)}")
    if not 0 <= strength < math.inf:
        raise UsageError(f"strength must be a number of at least 0, got {strength}")
    if variations < 1:
        raise UsageError(f"variations must be at least 1, got {variations}")
    if not actor.asked:
        raise UsageError("a transformation needs an actor with rules; train one with rules")


def keep(original: Melody, melodies: Melodies, bars: Collection[int]) -> Melodies:
    """``B`` melodies with bars, from 1 to 16, of the original in their places.

    A note of the original that sounds into such a bar begins with it.
    """
    events = melodies.events.copy()
    for bar in sorted(bars):
        first = (bar - 1) * STEPS_PER_BAR
        own = original.events[first : first + STEPS_PER_BAR].copy()
        if own[0] == HOLD and bar - 1 not in bars:
            earlier = original.events[:first]
            own[0] = earlier[np.flatnonzero(earlier < PITCHES)[-1]]
        events[:, first : first + STEPS_PER_BAR] = own
    return Melodies(events)


def in_scale(melody: Melody, pitch_classes: Collection[int] | None) -> Melody:
    """The melody with every note at the nearest pitch of a set, the lower of two as near.

    >>> tune = Melody.from_notes([(0, 4, 61), (4, 4, 64)])
    >>> in_scale(tune, {0, 4, 7}).pitches.tolist()
    [60, 64]
    """
    if not pitch_classes:
        return melody
    every = np.arange(PITCHES)
    allowed = every[np.isin(every % 12, list(pitch_classes))]
    nearest = allowed[np.abs(allowed[:, None] - every).argmin(0)]
    events = melody.events.copy()
    notes = events < PITCHES
    events[notes] = nearest[events[notes]]
    return Melody(events)


def restore(original: Melody, changed: Melody, rules: Sequence[Rule]) -> Melody:
    """A changed melody with every bar, beat and step of the original that the rules allow.

    Bars are tried first, then beats, then steps, each from the first to the last; what makes a
    reward smaller is not taken.
    """
    events = changed.events.copy()
    rewards = rewards_of(rules, Melodies(events[None]))[0]
    for size in (STEPS_PER_BAR, STEPS_PER_QUARTER, 1):
        for first in range(0, STEPS, size):
            place = slice(first, first + size)
            if np.array_equal(events[place], original.events[place]):
                continue
            tried = events.copy()
            tried[place] = original.events[place]
            rewards_tried = rewards_of(rules, Melodies(tried[None]))[0]
            if (rewards_tried >= rewards).all():
                events, rewards = tried, rewards_tried
    return Melody(events)


@dataclass(frozen=True)
class _Candidate:
    """A melody that a search decoded, and its score.

    Args:
        score: satisfied; then the share of notes kept, or the mean reward; then nearness.
        point: ``(1, Z)``.
    """

    score: tuple[bool, float, float]
    point: Tensor
    melody: Melody

    @property
    def satisfied(self) -> bool:
        """Whether every rule is satisfied."""
        return self.score[0]


@dataclass
class _Neighbourhood:
    """A search around one melody, with a critic that learns its neighbourhood."""

    actor: MelodyActor
    original: Melody
    start: Tensor
    bars: frozenset[int]
    generator: torch.Generator
    decoded: int = field(default=0, init=False)
    best: _Candidate | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.sampler = MelodySampler(self.actor.model, LIKELIEST)
        self.critic = copy.deepcopy(self.actor.critic)
        self.constraint = RewardConstraint(
            self.sampler, Rewards(self.actor.rules), sharpness=SHARPNESS, replay_size=REPLAY_SIZE
        )
        self.constraint.satisfied = torch.ones_like(self.constraint.satisfied)
        of_rules = Critics([cast(Critic, self.critic.critics[0])])
        self.learner = CriticLearner(
            of_rules, [self.constraint], self.generator, CRITIC_BATCH, CRITIC_RATE
        )

    def decode(self, points: Tensor) -> Melodies:
        """Melodies of ``(B, Z)`` points, the kept bars in their places."""
        return keep(self.original, self.sampler.decode(points), self.bars)

    def run(self, shifted: Tensor | None = None) -> _Candidate:
        """The best candidate; searched for longer while none satisfies the rules.

        Args:
            shifted: ``(1, Z)``, where an actor moves the start; it and the way back are tried too.
        """
        points = [self.start, self.around(self.start, WIDE)]
        if shifted is not None:
            points += [shifted, self._way_back(shifted)]
        best = self._try(torch.cat(points))
        for number in range(MOST_ROUNDS):
            if number >= ROUNDS and best.satisfied:
                break
            # What of the original the rules allow is put back, and its neighbourhood tried.
            if number >= PURE_ROUNDS:
                near = self.project(best)
                around = [self.around(near, spread) for spread in (NEAR, WIDE)]
                best = self._try(torch.cat([near, *around]))
            # The critic learns the rewards of all that was decoded so far.
            for _ in range(CRITIC_STEPS):
                self.learner.step()
            # New searches up the critic, then points between the original and the best one.
            origin = self.start if best.satisfied or number < PURE_ROUNDS else best.point
            points = [self._searched(origin, weight) for weight in DISTANCE_WEIGHTS]
            points += [self._way_back(best.point), self.around(best.point, NEAR)]
            best = self._try(torch.cat(points))
        return best

    def moved(self, shifted: Tensor | None, strength: float) -> tuple[Tensor, Melody]:
        """The point at a share of the way to the best one, ``(1, Z)``, and its melody."""
        best = self.run(shifted)
        if strength == 1:
            return best.point, best.melody
        point = self.start + strength * (best.point - self.start)
        return point, self.decode(point)[0]

    def project(self, candidate: _Candidate) -> Tensor:
        """The point of a candidate with all of the original that the rules allow."""
        target = restore(self.original, candidate.melody, self.actor.asked)
        return invert(self.actor.model, [target])

    def around(self, point: Tensor, spread: float) -> Tensor:
        """``(NEIGHBOURS, Z)`` points beside one ``(1, Z)``, in posterior scales."""
        noise = torch.randn(NEIGHBOURS, point.shape[1], generator=self.generator)
        return point + spread * self.actor.model.sigma_bar * noise.to(point.device)

    def _way_back(self, point: Tensor) -> Tensor:
        """``(NEIGHBOURS / 2, Z)`` points between the original's and ``(1, Z)``."""
        shares = torch.linspace(*WAY_BACK, NEIGHBOURS // 2, device=point.device)[:, None]
        return self.start + shares * (point - self.start)

    def _searched(self, origin: Tensor, distance_weight: float) -> Tensor:
        """A point for each threshold, from ``(1, Z)``."""
        searches = [
            GradientSearch(
                thresholds=threshold,
                weights=self.actor.weights,
                distance_weight=distance_weight,
                shell_weight=1.0,
                learning_rate=SEARCH_RATE,
            )
            for threshold in THRESHOLDS
        ]
        sigma_bar = self.actor.model.sigma_bar
        return torch.cat([search(self.critic, origin, sigma_bar=sigma_bar) for search in searches])

    def _try(self, points: Tensor) -> _Candidate:
        """Decode points, keep their rewards for the critic, and return the best so far."""
        melodies = self.decode(points)
        self.decoded += len(points)
        rewards = rewards_of(self.actor.rules, melodies)
        measured = torch.from_numpy(rewards).float().to(points.device)
        self.constraint.keep(points, measured, None)
        shifts = ((points - self.start) / self.actor.model.sigma_bar).square().mean(-1).tolist()
        candidates = [] if self.best is None else [self.best]
        of_asked = rewards[:, self.actor.is_asked]
        for row, melody in enumerate(melodies):
            satisfied = bool((of_asked[row] >= SATISFIED).all())
            kept = onset_recall(melody.events[None], self.original.events[None])
            quality = kept if satisfied else float(of_asked[row].mean())
            score = (satisfied, quality, -shifts[row])
            candidates.append(_Candidate(score, points[row : row + 1], melody))
        self.best = max(candidates, key=lambda one: one.score)
        return self.best
