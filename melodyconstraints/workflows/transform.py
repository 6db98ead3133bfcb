"""The user's own melody, moved as little as the rules need (the paper, section 5).

A melody's latent point is found by inversion. From there searches along the critic's gradient set
out with different prices on distance; what they find is decoded, judged, and taught to the critic,
which so learns the neighbourhood of this one melody. Of all melodies that satisfy the rules the
one is taken that keeps most of the original's notes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.latent import losses
from melodyconstraints.latent.constraints import RewardConstraint, Rewards
from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.latent.search import GradientSearch
from melodyconstraints.melody.events import HOLD, PITCHES, Melodies, Melody
from melodyconstraints.melody.metrics.agreement import onset_recall
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR, STEPS_PER_QUARTER
from melodyconstraints.melody.vae.inversion import invert
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.rules import Rule
from melodyconstraints.workflows.actor import MelodyActor, rewards_of, stream

PURE_ROUNDS, ROUNDS, MOST_ROUNDS = 2, 6, 12
"""Without projection, in all, and in all while nothing satisfies the rules."""
DISTANCE_WEIGHTS = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
THRESHOLDS = (0.5, 0.8, 0.95, 0.99)
NEIGHBOURS = 24
"""Points around the best one that are tried each round."""
CRITIC_STEPS = 60
TRANSFORMING = "transforming"


@dataclass(frozen=True)
class Transformation:
    """A melody and how it came from the original.

    Args:
        original, melody: before and after.
        before, after: ``(R,)`` rewards.
        distance: mean over dimensions of the squared shift over the posterior's scale.
        decoded: melodies that were decoded in the search.
    """

    original: Melody
    melody: Melody
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    distance: float
    decoded: int

    @property
    def satisfied(self) -> bool:
        """Whether every rule is kept."""
        return bool((self.after >= SATISFIED).all())

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
    seed: int = 0,
) -> list[Transformation]:
    """Move a melody to where it keeps the actor's rules, as near to the original as can be found.

    A melody that keeps them already comes back as it is.

    Args:
        actor: its rules and its critic.
        strength: share of the way to the point that was found: 0 is the model's reconstruction,
            1 the point itself, more goes beyond.
        keep_bars: bars from 1 to 16 that stay note for note.
        variations: how many; from the second on searches begin beside the melody's point.
        seed: of these beginnings and of the search.

    Raises:
        UsageError: a bar outside 1 to 16, a negative strength, no variation, or an actor that
            has no rules or, as knobs, no critic.
    """
    if not set(keep_bars) <= set(range(1, BARS + 1)):
        raise UsageError(f"bars to keep must be from 1 to {BARS}, got {sorted(keep_bars)}")
    if not 0 <= strength < math.inf:
        raise UsageError(f"strength must be a number of at least 0, got {strength}")
    if variations < 1:
        raise UsageError(f"variations must be at least 1, got {variations}")
    if not actor.rules or not actor.heads:
        raise UsageError(
            "a transformation needs an actor with rules and a critic of them; this one has none: "
            "train one with rules"
        )
    before = rewards_of(actor.rules, Melodies.stack([melody]))[0]
    start = invert(actor.model, [melody])
    generator = torch.Generator().manual_seed(stream(TRANSFORMING, seed))
    found = []
    for number in range(variations):
        if number == 0 and (before >= SATISFIED).all():
            found.append(Transformation(melody, melody, before, before, 0.0, 0))
            continue
        z = start
        if number:
            noise = torch.randn(start.shape, generator=generator).to(start.device)
            z = start + actor.model.sigma_bar * noise
        search = _Neighbourhood(actor, melody, z, frozenset(keep_bars), generator)
        best = search.run()
        moved, result = best.point, best.melody
        if strength != 1:
            moved = z + strength * (best.point - z)
            result = search.decode(moved)[0]
        after = rewards_of(actor.rules, Melodies.stack([result]))[0]
        away = float(((moved - start) / actor.model.sigma_bar).square().mean())
        found.append(Transformation(melody, result, before, after, away, search.decoded))
    return found


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


def restore(original: Melody, changed: Melody, rules: Sequence[Rule]) -> Melody:
    """A changed melody with every bar, beat and step of the original that the rules allow.

    Bars are tried first, then beats, then steps, each from the first to the last; what makes a
    reward smaller is not taken.
    """
    events = changed.events.copy()
    earned = rewards_of(rules, Melodies(events[None]))[0]
    for size in (STEPS_PER_BAR, STEPS_PER_QUARTER, 1):
        for first in range(0, STEPS, size):
            place = slice(first, first + size)
            if np.array_equal(events[place], original.events[place]):
                continue
            tried = events.copy()
            tried[place] = original.events[place]
            rewards = rewards_of(rules, Melodies(tried[None]))[0]
            if (rewards >= earned).all():
                events, earned = tried, rewards
    return Melody(events)


@dataclass(frozen=True)
class _Found:
    """A melody and how good it is.

    Args:
        score: satisfied; then the share of notes kept, or the mean reward; then nearness.
        point: ``(1, Z)``.
    """

    score: tuple[bool, float, float]
    point: Tensor
    melody: Melody

    @property
    def satisfied(self) -> bool:
        """Whether every rule is kept."""
        return self.score[0]


@dataclass
class _Neighbourhood:
    """A search around one melody, with a critic that learns what lies there."""

    actor: MelodyActor
    original: Melody
    start: Tensor
    bars: frozenset[int]
    generator: torch.Generator
    decoded: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        model = self.actor.model
        self.sampler = MelodySampler(model, temperature=0.0)
        self.critic = copy.deepcopy(self.actor.critic)
        self.optimizer = torch.optim.Adam(self.critic.parameters(), lr=3e-4)
        self.constraint = RewardConstraint(
            self.sampler, Rewards(self.actor.rules), sharpness=0.5, memory=4000
        )
        self.constraint.satisfied = torch.ones_like(self.constraint.satisfied)
        self.found: list[_Found] = []

    def decode(self, points: Tensor) -> Melodies:
        """Melodies of ``(B, Z)`` points, the kept bars in their places."""
        return keep(self.original, self.sampler.decode(points), self.bars)

    def run(self) -> _Found:
        """The best that was found; searched for longer while nothing satisfies the rules."""
        best = self._try(torch.cat([self.start, self.around(self.start, 0.3)]))
        for number in range(MOST_ROUNDS):
            if number >= ROUNDS and best.satisfied:
                break
            if number >= PURE_ROUNDS:
                near = self.project(best)
                best = self._try(torch.cat([near, self.around(near, 0.1), self.around(near, 0.3)]))
            self._learn()
            origin = self.start if best.satisfied or number < PURE_ROUNDS else best.point
            shares = torch.linspace(0.3, 0.95, NEIGHBOURS // 2, device=origin.device)[:, None]
            points = [self._searched(origin, weight) for weight in DISTANCE_WEIGHTS]
            points.append(self.start + shares * (best.point - self.start))
            points.append(self.around(best.point, 0.1))
            best = self._try(torch.cat(points))
        return best

    def project(self, found: _Found) -> Tensor:
        """The point of a melody that was found with all of the original that the rules allow."""
        target = restore(self.original, found.melody, self.actor.rules)
        return invert(self.actor.model, [target])

    def around(self, point: Tensor, scale: float) -> Tensor:
        """``(NEIGHBOURS, Z)`` points beside one ``(1, Z)``, within its posterior's scale."""
        noise = torch.randn(NEIGHBOURS, point.shape[1], generator=self.generator)
        return point + scale * self.actor.model.sigma_bar * noise.to(point.device)

    def _searched(self, origin: Tensor, distance_weight: float) -> Tensor:
        """A point for each threshold, from ``(1, Z)``."""
        sigma_bar = self.actor.model.sigma_bar
        return torch.cat(
            [
                GradientSearch(
                    thresholds=threshold,
                    weights=self.actor.weights,
                    distance_weight=distance_weight,
                    shell_weight=1.0,
                    learning_rate=0.03,
                )(self.critic, origin, sigma_bar=sigma_bar)
                for threshold in THRESHOLDS
            ]
        )

    def _try(self, points: Tensor) -> _Found:
        """Decode, judge and remember points; the best so far."""
        melodies = self.decode(points)
        self.decoded += len(points)
        rewards = rewards_of(self.actor.rules, melodies)
        measured = torch.from_numpy(rewards).float().to(points.device)
        self.constraint.remember(points, measured, None)
        away = ((points - self.start) / self.actor.model.sigma_bar).square().mean(-1).tolist()
        for row, melody in enumerate(melodies):
            satisfied = bool((rewards[row] >= SATISFIED).all())
            kept = onset_recall(melody.events[None], self.original.events[None])
            worth = kept if satisfied else float(rewards[row].mean())
            self.found.append(
                _Found((satisfied, worth, -away[row]), points[row : row + 1], melody)
            )
        best = max(self.found, key=lambda one: one.score)
        self.found = [best]
        return best

    def _learn(self) -> None:
        """Teach the critic of the rules what was found."""
        rules = self.critic.critics[0]
        for _ in range(CRITIC_STEPS):
            points, _, targets = self.constraint.examples(64, self.generator)
            loss = losses.cross_entropy(rules(points), targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
