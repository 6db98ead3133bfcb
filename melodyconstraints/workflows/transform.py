"""The user's own melody, moved as little as the rules need (the paper, section 5).

A melody's latent point is found by inversion. From there searches along the critic's gradient set
out with different weights on distance; what they find is decoded and rewarded, and the critic
learns from it the neighbourhood of this one melody. Of all melodies that satisfy the rules the one
is taken that keeps most of the original's notes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
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
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.agreement import onset_recall
from melodyconstraints.melody.units import BARS
from melodyconstraints.melody.vae.inversion import invert
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import LIKELIEST, MelodySampler
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.storage.arguments import DEFAULT_SEED, check_seed, checked
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.conditional import load_knobs, searching
from melodyconstraints.workflows.editing import (
    in_key,
    in_scale,
    keep,
    repeats_of,
    restore,
    with_repeats,
)
from melodyconstraints.workflows.seeds import derived_generator

OF_TONIC = False
"""Whether a transformation to a scale asks for its tonic too, or its notes alone, which are most
often reached without a search. A key moves the tonic, and the rule ``scale:D-dorian`` searches for
it."""
TRANSFORMING, CRITIC_OF_BANK = "transforming", "critic of the bank"
"""Purposes of the draws of a transformation."""
BANK_CRITIC, BANK_STEPS, BANK_BATCH, BANK_RATE = (512, 512), 500, 256, 5e-4
"""Layers and training of a critic of knobs, which learns from the bank before the search."""
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
class Transformation:
    """A melody, and its relation to the original.

    Args:
        original, melody: before and after the search; both in the key, if one was given.
        before, after: ``(R,)`` rewards of the melody as it was given, and as it came out.
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
    moving notes to the nearest of the scale is enough, but for what kept bars hold, and the actor
    learned nothing beside its rules, there is no search. Bars that equal one another go on doing
    so, where they can.

    Args:
        source: a model, of which :func:`transforming` makes an actor, or an actor: used are its
            rules, its critic and, of knobs, which have no critic, its shift. The critic of an
            actor that transposes knows no keys: one learns them from the model's bank instead.
        scale, density, rules: with a model, what is asked for; see :func:`transforming`.
        key: key such as ``A-minor`` that the melody is first moved into by :func:`.in_key`; with a
            model it is the scale too, where none is given.
        strength: share of the way to the point that was found: 0 is the model's reconstruction,
            1 the point itself, more goes beyond.
        keep_bars: bars from 1 to 16 that stay note for note.
        variations: how many; from the second on searches begin beside the melody's point.
        seed: of these beginnings and of the search.
        callback: called with the rounds of search that are done, and with the most there can be.

    Raises:
        UsageError: a bar outside 1 to 16, a negative strength, no variation, no rules, no such
            scale, key or rule, or a scale, a density or rules beside an actor.
    """
    actor = _actor_of(source, scale, density, rules, key)
    _check(actor, strength, keep_bars, variations, seed)
    options = (strength, keep_bars, variations, seed, callback)
    if key is None:
        return _transformed(actor, melody, *options)
    transformed = _transformed(actor, in_key(melody, key), *options)
    before = rewards_of(actor.rules, Melodies.stack([melody]))[0]
    return [replace(one, before=before) for one in transformed]


def transforming(
    model: MelodyVAE,
    scale: str | Collection[int] | None = None,
    density: int | str | None = None,
    rules: Iterable[str | Rule | Callable[..., Any]] = (),
    key: str | Collection[int] | None = None,
) -> MelodyActor:
    """Make the actor that moves melodies without a training, to a scale, a density and rules.

    Args:
        scale: as in :meth:`.knobs.Knobs.at`, and its notes alone: see :data:`OF_TONIC`.
        density: at least so many notes in 16 bars, or a range such as ``40..60``.
        rules: as :func:`.find_rules` takes them.
        key: the scale, where none is given.

    Raises:
        UsageError: nothing is asked for, or no such scale or rule.
    """
    scale, found = key if scale is None else scale, find_rules(rules)
    if scale is not None:
        return load_knobs(model=model).at(scale, density, *found, tonic=OF_TONIC)
    if density is None and not found:
        raise UsageError("with a model, a transformation needs a scale, key, density or rules")
    return searching(model, [*found, *([] if density is None else [f"density:{density}"])])


def _actor_of(
    source: MelodyActor | MelodyVAE,
    scale: str | Collection[int] | None,
    density: int | str | None,
    rules: Iterable[str | Rule | Callable[..., Any]],
    key: str | Collection[int] | None,
) -> MelodyActor:
    """The actor that was given, or the model's for what is asked for."""
    if not isinstance(source, MelodyActor):
        return transforming(source, scale, density, rules, key)
    if scale is not None or density is not None or list(rules):
        raise UsageError(
            "scale, density and rules go with a model; an actor has rules of its own, so leave "
            "them out or give the actor's model"
        )
    return source


def _transformed(
    actor: MelodyActor,
    melody: Melody,
    strength: float,
    keep_bars: Collection[int],
    variations: int,
    seed: int,
    callback: Callable[[int, int], None] | None,
) -> list[Transformation]:
    """The melody as :func:`transform` moves it, in whatever key it is."""
    before = rewards_of(actor.rules, Melodies.stack([melody]))[0]
    unchanged = Transformation(melody, melody, before, before, 0.0, 0, actor.is_asked)
    if len(set(keep_bars)) == BARS:
        return [unchanged] * variations
    of_bank = not actor.heads or (actor.transposes and not actor.learned)
    if strength == variations == 1 and not (actor.learned or unchanged.satisfied):
        at_once = _without_search(actor, unchanged, keep_bars)
        if at_once is not None:
            return [at_once]
    if of_bank and (variations > 1 or not unchanged.satisfied):
        actor = replace(actor, **_critic_of_bank(actor, seed))
    start = invert(actor.model, [melody])
    generator = derived_generator(TRANSFORMING, seed)
    transformed = []

    def report(variation: int, rounds: int) -> None:
        if callback:
            callback(variation * MOST_ROUNDS + rounds, variations * MOST_ROUNDS)

    for number in range(variations):
        if number == 0 and unchanged.satisfied:
            transformed.append(unchanged)
            continue
        z = start
        if number:  # a variation begins beside the melody's point
            noise = torch.randn(start.shape, generator=generator).to(start.device)
            z = start + actor.model.sigma_bar * noise
        bars = frozenset(keep_bars)
        search = _Neighbourhood(actor, melody, z, bars, generator, partial(report, number))
        moved, result = search.moved(actor.shift(z) if of_bank else None, strength)
        after = rewards_of(actor.rules, Melodies.stack([result]))[0]
        distance = float(((moved - start) / actor.model.sigma_bar).square().mean())
        fields = {"melody": result, "after": after, "distance": distance}
        transformed.append(replace(unchanged, decoded=search.decoded, **fields))
    return transformed


def _without_search(
    actor: MelodyActor, unchanged: Transformation, keep_bars: Collection[int]
) -> Transformation | None:
    """The melody with its notes at the nearest ones of the scale, but for bars to keep.

    None where more is missing than what those bars hold, which no search would change.
    """
    if not actor.pitch_classes:
        return None
    original, moved = unchanged.original, in_scale(unchanged.original, actor.pitch_classes)
    (melody,) = keep(original, Melodies.stack([moved]), keep_bars)
    every, after = rewards_of(actor.rules, Melodies.stack([moved, melody]))
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
        "weights": actor.weights or (1.0,) * len(actor.rules),
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
    if not actor.asked:
        raise UsageError("a transformation needs an actor with rules; train one with rules")


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
    report: Callable[[int], None]
    decoded: int = field(default=0, init=False)
    best: _Candidate | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.repeats = repeats_of(self.original)
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
        """Melodies of ``(B, Z)`` points with the original's repeats, kept bars in their places."""
        kept = keep(self.original, self.sampler.decode(points), self.bars)
        return with_repeats(kept, self.repeats, self.bars)

    def run(self, shifted: Tensor | None = None) -> _Candidate:
        """The best candidate; searched for longer while none satisfies the rules.

        Args:
            shifted: ``(1, Z)``, where an actor moves the start; it and the way back are tried too.
        """
        points = [self.start, self.around(self.start, WIDE)]
        if shifted is not None:
            points += [shifted, self._way_back(shifted)]
        if self.actor.pitch_classes:
            moved = in_scale(self.original, self.actor.pitch_classes)
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

    def project(self, candidate: _Candidate) -> Tensor:
        """The point of a candidate with all of the original that the rules allow."""
        return invert(self.actor.model, [self.restored(candidate)])

    def restored(self, candidate: _Candidate) -> Melody:
        """A candidate's melody with all of the original that the rules allow."""
        return restore(self.original, candidate.melody, self.actor.asked, self.repeats)

    def around(self, point: Tensor, spread: float) -> Tensor:
        """``(NEIGHBOURS, Z)`` points beside one ``(1, Z)``, in posterior scales."""
        noise = torch.randn(NEIGHBOURS, point.shape[1], generator=self.generator)
        return point + spread * self.actor.model.sigma_bar * noise.to(point.device)

    def _way_back(self, point: Tensor) -> Tensor:
        """``(NEIGHBOURS / 2, Z)`` points between the original's and ``(1, Z)``."""
        shares = torch.linspace(*WAY_BACK, NEIGHBOURS // 2, device=point.device)[:, None]
        return self.start + shares * (point - self.start)

    def _searched(self, origin: Tensor) -> Tensor:
        """From ``(1, Z)``, a point for each distance weight and threshold."""
        weights, thresholds = torch.meshgrid(
            torch.tensor(DISTANCE_WEIGHTS), torch.tensor(THRESHOLDS), indexing="ij"
        )
        search = GradientSearch(
            thresholds=thresholds.reshape(-1, 1).to(origin.device),
            weights=self.actor.weights,
            distance_weight=weights.flatten().to(origin.device),
            shell_weight=1.0,
            learning_rate=SEARCH_RATE,
        )
        every = origin.expand(weights.numel(), -1)
        return search(self.critic, every, sigma_bar=self.actor.model.sigma_bar)

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
