"""A search around one melody's point, with a critic that learns its neighbourhood (section 5).

Searches along the critic's gradient set out from the point with different weights on distance;
what they find is decoded and rewarded, and the critic is taught what was seen. Of all melodies
that satisfy the rules the one is taken that keeps most of the original's notes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor

from melodyconstraints.latent.constraints import RewardConstraint, Rewards
from melodyconstraints.latent.critic_learning import CriticLearner
from melodyconstraints.latent.networks import Critic, Critics
from melodyconstraints.latent.satisfaction import are_satisfied
from melodyconstraints.latent.search import GradientSearch
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.agreement import onset_recall
from melodyconstraints.melody.units import BARS
from melodyconstraints.melody.vae.inversion import invert
from melodyconstraints.melody.vae.sampler import LIKELIEST, MelodySampler
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.editing import (
    in_rhythm,
    in_scale,
    keep,
    repeats_of,
    restore,
    with_repeats,
)
from melodyconstraints.workflows.written import rhythm_of

PURE_ROUNDS, ROUNDS, MOST_ROUNDS = 2, 6, 12
"""Rounds without projection, in all, and in all while nothing satisfies the rules. Bars that equal
one another do so in the first :data:`ROUNDS`, whatever is changed."""
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
class Candidate:
    """A melody that a search decoded, and its score.

    Args:
        score: whether satisfied; then the share of notes kept, or the mean reward; then nearness.
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
class Neighbourhood:
    """A search around one melody, with a critic that learns its neighbourhood."""

    actor: MelodyActor
    original: Melody
    start: Tensor
    bars: frozenset[int]
    generator: torch.Generator
    report: Callable[[int], None]
    decoded: int = field(default=0, init=False)
    best: Candidate | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.repeats = repeats_of(self.original)
        self.sampler = MelodySampler(
            self.actor.model, replace(LIKELIEST, rhythm=self.actor.rhythm)
        )
        self.critic = copy.deepcopy(self.actor.critic)
        self.constraint = RewardConstraint(
            self.sampler, Rewards(self.actor.rewards), sharpness=SHARPNESS, replay_size=REPLAY_SIZE
        )
        self.constraint.satisfied = torch.ones_like(self.constraint.satisfied)
        of_rules = Critics([cast(Critic, self.critic.critics[0])])
        self.learner = CriticLearner(
            of_rules, [self.constraint], self.generator, CRITIC_BATCH, CRITIC_RATE
        )

    def decode(self, points: Tensor) -> Melodies:
        """Melodies of ``(B, Z)`` points with the original's repeats, kept bars in their places."""
        placed = keep(self.original, self.sampler.decode(points), self.bars)
        placed = self.actor.write(placed, self.bars)
        return with_repeats(placed, self.repeats, self.bars)

    def run(self, shifted: Tensor | None = None) -> Candidate:
        """The best candidate; searched for longer while none satisfies the rules.

        Args:
            shifted: ``(1, Z)`` point to which an actor moves the start; it and the way back are
                tried too.
        """
        points = [self.start, self.around(self.start, WIDE)]
        if shifted is not None:
            points += [shifted, self._way_back(shifted)]
        rhythm = rhythm_of(self.actor.active_rules)
        if self.actor.pitch_classes or rhythm:
            moved = in_rhythm(in_scale(self.original, self.actor.pitch_classes), rhythm)
            points.append(invert(self.actor.model, [moved]))
        best = self._try(torch.cat(points))
        for number in range(MOST_ROUNDS):
            self.report(number)
            if number >= ROUNDS:
                if best.satisfied:
                    break
                self.repeats = list(range(BARS))
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
            points = [self._searched(origin), self._way_back(best.point)]
            points.append(self.around(best.point, NEAR))
            best = self._try(torch.cat(points))
        return best

    def moved(self, shifted: Tensor | None, strength: float) -> tuple[Tensor, Melody]:
        """The point at a share of the way to the best one, ``(1, Z)``, and its melody.

        Where the rules are satisfied, the original is put back as far as they allow: decoded from
        the point of :meth:`project`, some of it is lost again.
        """
        best = self.run(shifted)
        melody = self.restored(best) if best.satisfied else best.melody
        point = best.point if melody == best.melody else invert(self.actor.model, [melody])
        if strength == 1:
            return point, melody
        point = self.start + strength * (point - self.start)
        return point, self.decode(point)[0]

    def project(self, candidate: Candidate) -> Tensor:
        """The point of a candidate with all of the original that the rules allow."""
        return invert(self.actor.model, [self.restored(candidate)])

    def restored(self, candidate: Candidate) -> Melody:
        """A candidate's melody with all of the original that the rules allow."""
        return restore(self.original, candidate.melody, self.actor.active_rules, self.repeats)

    def around(self, point: Tensor, spread: float) -> Tensor:
        """``(NEIGHBOURS, Z)`` points beside one ``(1, Z)``, in posterior scales."""
        noise = torch.randn(NEIGHBOURS, point.shape[1], generator=self.generator)
        return point + spread * self.actor.model.sigma_bar * noise.to(point.device)

    @property
    def _weights(self) -> tuple[float, ...]:
        """Weights of the heads; 0 for typicality, for which the user has not asked."""
        of_rules, of_others = len(self.actor.rules), len(self.actor.rewards)
        weights = list(self.actor.weights)
        weights[of_rules:of_others] = [0.0] * (of_others - of_rules)
        return tuple(weights)

    def _way_back(self, point: Tensor) -> Tensor:
        """``(NEIGHBOURS / 2, Z)`` points between the original's and ``(1, Z)``."""
        shares = torch.linspace(*WAY_BACK, NEIGHBOURS // 2, device=point.device)[:, None]
        return self.start + shares * (point - self.start)

    def _searched(self, origin: Tensor) -> Tensor:
        """Points found from ``(1, Z)``, one for each distance weight and threshold."""
        weights, thresholds = torch.meshgrid(
            torch.tensor(DISTANCE_WEIGHTS), torch.tensor(THRESHOLDS), indexing="ij"
        )
        search = GradientSearch(
            thresholds=thresholds.reshape(-1, 1).to(origin.device),
            weights=self._weights,
            distance_weight=weights.flatten().to(origin.device),
            shell_weight=1.0,
            learning_rate=SEARCH_RATE,
        )
        every = origin.expand(weights.numel(), -1)
        return search(self.critic, every, sigma_bar=self.actor.model.sigma_bar)

    def _try(self, points: Tensor) -> Candidate:
        """Decode points, keep their rewards for the critic, and return the best so far."""
        melodies = self.decode(points)
        self.decoded += len(points)
        rewards = rewards_of(self.actor.rewards, melodies)
        measured = torch.from_numpy(rewards).float().to(points.device)
        self.constraint.keep(points, measured, None)
        shifts = ((points - self.start) / self.actor.model.sigma_bar).square().mean(-1).tolist()
        candidates = [] if self.best is None else [self.best]
        of_active = rewards[:, : len(self.actor.rules)][:, self.actor.is_active]
        for row, melody in enumerate(melodies):
            satisfied = bool(are_satisfied(of_active[row]))
            notes_kept = onset_recall(melody.events[None], self.original.events[None])
            merit = notes_kept if satisfied else float(of_active[row].mean())
            score = (satisfied, merit, -shifts[row])
            candidates.append(Candidate(score, points[row : row + 1], melody))
        self.best = max(candidates, key=lambda one: one.score)
        return self.best
