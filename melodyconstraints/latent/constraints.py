"""The constraints of the paper: rewards, attributes and realism, each as examples for a critic.

Rewards are those of decoded samples (section 6), attributes learned from labelled encodings
(section 5), realism from encodings against points of the prior and of the actor (section 3),
under a condition if labels are given (section 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from melodyconstraints.errors import TrainingError, UsageError
from melodyconstraints.latent.protocols import (
    ConditionalRewards,
    Conditions,
    Examples,
    LatentModel,
    Reward,
    Samples,
)
from melodyconstraints.latent.satisfaction import SATISFIED

DECODE_BATCH = 256
_NEWEST_SHARE = 0.2
"""Weight of the newest points in the share of satisfied ones, which only rises."""
_PRIOR_SHARE = 1 / 11
"""Share of the prior in the negatives of realism: one point to ten of the actor (appendix 9.2)."""
_REALISM_REPLAY_SIZE = 2_000
"""Newest points of the actor, at most, that a critic of realism learns from."""


class Rewards:
    """Rewards that depend on no condition: what is measured of a sample is its rewards.

    Args:
        rewards: rewards, at least one; each maps decoded samples to ``(B,)`` values in [0, 1].

    Raises:
        UsageError: there is no reward.
    """

    def __init__(self, rewards: Sequence[Reward]) -> None:
        if not rewards:
            raise UsageError("give at least one reward")
        self.functions = tuple(rewards)
        self.names = tuple(
            str(getattr(reward, "name", f"{number} of {len(rewards)}"))
            for number, reward in enumerate(rewards, 1)
        )

    def measure(self, samples: Samples) -> Tensor:
        """Samples to rewards ``(B, R)``.

        Raises:
            TrainingError: a reward outside [0, 1].
        """
        columns = [torch.as_tensor(reward(samples)).float() for reward in self.functions]
        for name, column in zip(self.names, columns, strict=True):
            wrong = column[~((column >= 0) & (column <= 1))]
            if len(wrong):
                raise TrainingError(
                    f"reward {name} gave {wrong[0].item():.3g}; "
                    "a reward must be a number in [0, 1]"
                )
        return torch.stack(columns, -1)

    def compute(self, measured: Tensor, y: Tensor | None) -> Tensor:
        """``(B, R)`` rewards, as measured."""
        return measured


class RewardConstraint:
    """Rewards of decoded samples, learned from the newest of them.

    Args:
        model: model that decodes points.
        rewards: rewards, for which each sample is measured once, under conditions.
        conditions: function that draws conditions; with a replay half of the examples have new
            ones.
        replay_size: newest decodings to learn from; 0 for those of the last round, as decoded.
        sharpness: see :class:`melodyconstraints.latent.settings.ActorCriticSettings`.
        weights: weight of each head in the actor's loss; ones if not given.
    """

    def __init__(
        self,
        model: LatentModel,
        rewards: ConditionalRewards,
        *,
        conditions: Conditions | None = None,
        replay_size: int = 20_000,
        sharpness: float = 0.0,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.model, self.rewards, self.conditions = model, rewards, conditions
        self.replay_size, self.sharpness = replay_size, sharpness
        self.names = rewards.names
        self.weights = checked_weights(weights, self.names)
        self.satisfied = torch.zeros(len(self.names), device=model.sigma_bar.device)
        self.points = torch.empty(0, model.latent_dim, device=model.sigma_bar.device)
        self.decoded = 0
        self.measured: Tensor | None = None
        self.y: Tensor | None = None

    @torch.no_grad()
    def measure(self, points: Tensor) -> Tensor:
        """``(B, F)`` what is measured of the samples that ``(B, Z)`` points decode to."""
        self.decoded += len(points)
        parts = [self.rewards.measure(self.model.decode(z)) for z in points.split(DECODE_BATCH)]
        return torch.cat(parts).to(points.device)

    @property
    def conditional(self) -> bool:
        """Whether conditions are drawn."""
        return self.conditions is not None

    def observe(self, shifted: Tensor, prior: Tensor, y: Tensor | None) -> Tensor:
        """Decode, reward and keep; see :class:`..protocols.Constraint`."""
        points = torch.cat([shifted, prior])
        measured = self.measure(points)
        self.keep(points, measured, None if y is None else self._with_others(y, len(prior)))
        rewards = self.rewards.compute(measured[: len(shifted)], y)
        newest = (rewards >= SATISFIED).float().mean(0)
        self.satisfied = torch.maximum(
            self.satisfied, torch.lerp(self.satisfied, newest, _NEWEST_SHARE)
        )
        return rewards

    def evaluate(self, points: Tensor, y: Tensor | None) -> Tensor:
        """Decode and reward; see :class:`..protocols.Constraint`."""
        return self.rewards.compute(self.measure(points), y)

    def _with_others(self, y: Tensor, others: int) -> Tensor:
        """The actor's conditions, and some of them again for other points."""
        return torch.cat([y, y[torch.arange(others, device=y.device) % len(y)]])

    def keep(self, points: Tensor, measured: Tensor, y: Tensor | None) -> None:
        """Keep ``B`` points with what was measured of them and their conditions."""
        self.points = _newest(self.points, points, self.replay_size)
        self.measured = _newest(self.measured, measured, self.replay_size)
        if y is not None:
            self.y = _newest(self.y, y, self.replay_size)

    def warm_up(self, bank: Tensor, measured: Tensor, generator: torch.Generator) -> None:
        """Keep a bank of ``B`` points of the prior.

        Raises:
            TrainingError: a reward is the same, below 1, for every one: nothing to learn from.
        """
        y = self.conditions(len(bank), generator).to(bank.device) if self.conditions else None
        for name, column in zip(
            self.names, self.rewards.compute(measured, y).unbind(-1), strict=True
        ):
            if column.min() == column.max() < SATISFIED:
                raise TrainingError(
                    f"reward {name} is {column[0].item():.3g} for all "
                    f"{len(column)} samples of the prior: there is nothing to learn from; "
                    "make it graded, so that a sample that comes closer has a higher reward"
                )
        self.keep(bank, measured, y)

    def examples(self, count: int, generator: torch.Generator) -> Examples:
        """Decodings with their rewards, sharpened: at random, or each once without a replay."""
        if self.measured is None:
            raise UsageError(
                "a reward constraint gives examples of observed points; call observe first"
            )
        rows = _rows(count, len(self.points), self.replay_size, generator)
        y = None
        if self.conditions is not None and self.y is not None:
            y = self.y[rows]
            if self.replay_size:
                y[::2] = self.conditions(len(y[::2]), generator)
        values = self.rewards.compute(self.measured[rows], y)
        sharpness = self.sharpness * self.satisfied
        targets = torch.lerp(values, (values >= SATISFIED).float(), sharpness)
        return Examples(self.points[rows], y, targets)


class Encodings:
    """The posteriors of a data set, from which points are drawn.

    Args:
        means: ``(N, Z)``.
        scales: ``(N, Z)`` standard deviations; None where the means are samples already.
        labels: ``(N, Y)``, or None.
        shares: ``(N,)`` shares, at least 0, by which they are drawn; equal if not given.

    Raises:
        UsageError: no encodings, or shares that do not fit them.
    """

    def __init__(
        self,
        means: Tensor,
        scales: Tensor | None = None,
        labels: Tensor | None = None,
        shares: Tensor | None = None,
    ) -> None:
        if not len(means):
            raise UsageError("give at least one encoding")
        if shares is not None and (shares.shape != means.shape[:1] or not _are_shares(shares)):
            raise UsageError(f"give a share of at least 0 for each of {len(means)} encodings")
        self.means, self.scales = means, scales
        self.labels = means.new_empty(len(means), 0) if labels is None else labels
        self._up_to = None if shares is None else shares.cpu().double().cumsum(0)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``(count, Z)`` points of q(z) and their labels ``(count, Y)``; Y is 0 without any."""
        rows = self.rows(count, generator)
        points = self.means[rows]
        if self.scales is not None:
            noise = torch.randn(points.shape, generator=generator)
            points = points + self.scales[rows] * noise.to(points.device)
        return points, self.labels[rows]

    def rows(self, count: int, generator: torch.Generator) -> Tensor:
        """``(count,)`` numbers of encodings, drawn by their shares."""
        if self._up_to is None:
            return torch.randint(len(self.means), (count,), generator=generator)
        places = torch.rand(count, generator=generator, dtype=torch.double) * self._up_to[-1]
        return torch.searchsorted(self._up_to, places, right=True).clamp(max=len(self.means) - 1)


class AttributeConstraint:
    """Attributes that labelled encodings show (the paper, section 5), a head for each.

    Args:
        encodings: encodings with labels ``(N, R)`` of 0 and 1.
        names: ``R`` names.
        wanted: ``(R,)`` wanted values, 0 for absent or 1 for present; ones if not given.
        weights: weight of each head in the actor's loss; ones if not given.

    Raises:
        UsageError: the labels do not fit the names, or an attribute has one value only.
    """

    def __init__(
        self,
        encodings: Encodings,
        names: Sequence[str],
        *,
        wanted: Tensor | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        labels = encodings.labels
        if labels.shape[1] != len(names):
            raise UsageError(f"encodings need {len(names)} labels each, found {labels.shape[1]}")
        for name, column in zip(names, labels.unbind(-1), strict=True):
            if column.min() == column.max():
                raise UsageError(
                    f"attribute {name} is {column[0].item():g} in all {len(column)} examples; "
                    "a critic needs examples with and without it"
                )
        self.encodings, self.names, self.conditional = encodings, tuple(names), False
        self.wanted = torch.ones_like(labels[0]) if wanted is None else wanted
        self.weights = checked_weights(weights, self.names)

    def observe(self, shifted: Tensor, prior: Tensor, y: Tensor | None) -> None:
        """Take in nothing: unlabelled points teach nothing."""

    def evaluate(self, points: Tensor, y: Tensor | None) -> None:
        """Return None: only the critic predicts it."""

    def examples(self, count: int, generator: torch.Generator) -> Examples:
        """Encodings at random; the target is whether an attribute is as wanted."""
        points, labels = self.encodings.draw(count, generator)
        return Examples(points, None, (labels == self.wanted).float())


class RealismConstraint:
    """Points that could be encodings: q(z) against prior and actor (the paper, equation 2).

    Conditional where the encodings have labels (section 4): then an encoding under the labels of
    another can be a negative too, so that the critic recognises realistic points *with these
    attributes*.

    Args:
        encodings: encodings of the data.
        weight: weight in the actor's loss.
        replay_size: newest points of the actor to learn from, of which the newest 2,000 are kept;
            0 for those of the last round alone.
        mislabelled: whether encodings under the labels of others are negatives.
    """

    names = ("realism",)

    def __init__(
        self,
        encodings: Encodings,
        *,
        weight: float = 1.0,
        replay_size: int = _REALISM_REPLAY_SIZE,
        mislabelled: bool = True,
    ) -> None:
        self.encodings, self.mislabelled = encodings, mislabelled
        self.replay_size = min(replay_size, _REALISM_REPLAY_SIZE)
        self.weights = checked_weights([weight], self.names)
        self.conditional = encodings.labels.shape[1] > 0
        self.shifted, self.y = encodings.means[:0], encodings.labels[:0]

    def observe(self, shifted: Tensor, prior: Tensor, y: Tensor | None) -> None:
        """Keep the actor's points, as negatives."""
        self.shifted = _newest(self.shifted, shifted, self.replay_size)
        if self.conditional and y is not None:
            self.y = _newest(self.y, y, self.replay_size)

    def evaluate(self, points: Tensor, y: Tensor | None) -> None:
        """Return None: only the critic predicts it."""

    def examples(self, count: int, generator: torch.Generator) -> Examples:
        """Encodings in the first half; negatives in the second."""
        half, quarter = count // 2, count // 4 if self.conditional and self.mislabelled else 0
        real, labels = self.encodings.draw(count - half, generator)
        mislabelled, own = self.encodings.draw(quarter, generator)
        _, other = self.encodings.draw(quarter, generator)
        generated, conditions = self._generated(half - quarter, generator)
        targets = torch.zeros(count, 1, device=real.device)
        targets[: len(real)] = 1
        targets[len(real) : len(real) + quarter, 0] = (own == other).all(-1).float()
        y = torch.cat([labels, other, conditions]) if self.conditional else None
        return Examples(torch.cat([real, mislabelled, generated]), y, targets)

    def _generated(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points of the actor and, one in eleven, of the prior, with their conditions."""
        of_actor = round(count * (1 - _PRIOR_SHARE)) if len(self.shifted) else 0
        z = torch.randn(count - of_actor, self.encodings.means.shape[1], generator=generator)
        _, y = self.encodings.draw(len(z), generator)
        if not of_actor:
            return z.to(self.encodings.means.device), y
        rows = _rows(of_actor, len(self.shifted), self.replay_size, generator)
        points = torch.cat([z.to(self.shifted.device), self.shifted[rows]])
        return points, torch.cat([y, self.y[rows]]) if self.conditional else y


def _newest(old: Tensor | None, new: Tensor, size: int) -> Tensor:
    """The newest ``size`` rows of ``old``, and after them ``new``."""
    return new if old is None or not size else torch.cat([old[-size:], new])


def _rows(count: int, size: int, replay_size: int, generator: torch.Generator) -> Tensor:
    """``(count,)`` rows of ``size``, at random; without a replay none again before all came."""
    if replay_size:
        return torch.randint(size, (count,), generator=generator)
    return torch.randperm(size, generator=generator)[torch.arange(count) % size]


def _are_shares(shares: Tensor) -> bool:
    return bool((shares >= 0).all() and 0 < shares.sum() < float("inf"))


def checked_weights(weights: Sequence[float] | None, names: Sequence[str]) -> tuple[float, ...]:
    """Weights of the heads of those names; 1 each if not given.

    Raises:
        UsageError: another number of them, or one below 0 or infinite.
    """
    chosen = tuple(weights) if weights is not None else (1.0,) * len(names)
    if chosen and not names:
        raise UsageError(f"there is no rule to weigh, got the weights {list(chosen)}")
    if len(chosen) != len(names) or not all(0 <= weight < math.inf for weight in chosen):
        raise UsageError(
            f"give a weight of at least 0 for each of {', '.join(names)}, got {list(chosen)}"
        )
    return chosen
