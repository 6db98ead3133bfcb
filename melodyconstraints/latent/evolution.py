"""A search by true rewards alone: no critic, no gradient and no training.

The points are a population, each of whose members has offspring of its own and is replaced by the
best of them that is no worse: a (1 + lambda) evolution strategy a member (Beyer and Schwefel,
"Evolution strategies", Natural Computing 2002). Offspring differ from their parent in a few blocks
of dimensions, each of which is drawn anew, moved by sqrt(1 - b^2) z + b N(0, I) (preconditioned
Crank-Nicolson; Cotter et al., "MCMC methods for functions", Statistical Science 2013) or taken
from another member. All three leave N(0, I) as it is, so only the choice of the best leads away
from the prior. Blocks that have helped any member are changed more often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from melodyconstraints.latent.protocols import Samples
from melodyconstraints.latent.satisfaction import SATISFIED

_LEAST = 1e-2
"""Rewards below it count as it, so that their logarithms are finite."""
_SPREADS = torch.tensor([1.0, 0.5, 0.2])
"""b, one as often as another; 1 draws a block anew."""
_FROM_ANOTHER = 0.25
"""Share of the offspring that take their changed blocks from another member."""
_MOST_BLOCKS = 8
"""Changed at once; one more for half of the offspring, two more for a quarter, and so on."""


class Population(NamedTuple):
    """Points with what was decoded from them; ``N`` members.

    Args:
        points: ``(N, Z)``.
        samples: ``N`` of them.
        rewards: ``(N, R)``.
        drawn: samples that were decoded for them.
    """

    points: Tensor
    samples: list[Any]
    rewards: Tensor
    drawn: int


@dataclass(frozen=True)
class EvolutionSearch:
    """Changes points until every reward of what is decoded from them is satisfied.

    A decoder may draw at random: the sample that was rewarded is the one that is returned.

    Args:
        draws: samples decoded for each point that is wanted, at most.
        fresh: each member's first offspring that are new points of the prior altogether.
        patience: samples decoded for each unsatisfied member, at most, while none is better than
            its parent.
        batch: decoded at a time, or as many as there are members.
        weights: of the rewards; ones if empty. One of weight 0 is measured only.
    """

    draws: int = 400
    fresh: int = 32
    patience: int = 100
    batch: int = 128
    weights: tuple[float, ...] = ()

    def __call__(
        self,
        decode: Callable[[Tensor], Samples],
        reward: Callable[[Samples], Tensor],
        z: Tensor,
        blocks: Sequence[slice],
        *,
        wanted: int | None = None,
        generator: torch.Generator,
        callback: Callable[[int, int], None] | None = None,
    ) -> Population:
        """Evolve ``(N, Z)`` points of the prior, until ``wanted`` of them are satisfied.

        Args:
            decode: ``(B, Z)`` to ``B`` samples, which can be indexed by numbers.
            reward: samples to ``(B, R)``.
            blocks: dimensions that are changed together; together all of them.
            wanted: from 1 to N; N if not given. A few members more than are wanted save the search
                from its hardest ones.
            callback: called with the number of satisfied members and of decoded samples.

        Returns:
            The ``wanted`` best, in the order of their members.
        """
        wanted = len(z) if wanted is None else wanted
        samples = decode(z)
        found = Population(z.clone(), [samples[i] for i in range(len(z))], reward(samples), len(z))
        offspring, in_vain = _Offspring(z, blocks, generator), 0
        tried = torch.zeros(len(z), dtype=torch.int64)
        while True:
            satisfied = self._satisfied(found.rewards)
            missing = (~satisfied).nonzero()[:, 0]
            if callback:
                callback(int(satisfied.sum()), found.drawn)
            left = self.draws * wanted - found.drawn
            is_hopeless = in_vain >= max(self.patience, self.fresh) * len(missing)
            if len(z) - len(missing) >= wanted or left < len(missing) or is_hopeless:
                return self._best(found, wanted)
            each = max(1, min(self.batch, left) // len(missing))
            parents = missing.repeat_interleave(each)
            points = offspring.of(found.points, parents, tried[parents] < self.fresh)
            tried[missing] += each
            before = self._scores(found.rewards)
            found = self._survivors(found, points, parents, decode, reward, offspring)
            better = self._scores(found.rewards) > before
            in_vain = 0 if better.any() else in_vain + len(points)

    def _best(self, found: Population, wanted: int) -> Population:
        satisfied, scores = self._satisfied(found.rewards), self._scores(found.rewards)
        order = torch.where(satisfied, torch.inf, scores).argsort(descending=True, stable=True)
        rows = order[:wanted].sort().values
        samples = [found.samples[row] for row in rows.tolist()]
        return Population(found.points[rows], samples, found.rewards[rows], found.drawn)

    def _satisfied(self, rewards: Tensor) -> Tensor:
        """``(N,)`` whether every reward is satisfied whose weight is not 0."""
        return (rewards[:, self._weights(rewards) > 0] >= SATISFIED).all(1)

    def _survivors(
        self,
        before: Population,
        points: Tensor,
        parents: Tensor,
        decode: Callable[[Tensor], Samples],
        reward: Callable[[Samples], Tensor],
        offspring: _Offspring,
    ) -> Population:
        """The population with each member's best offspring, where it is no worse."""
        samples = decode(points)
        rewards = reward(samples)
        scores, own = self._scores(rewards), self._scores(before.rewards)
        offspring.learn(scores > own[parents])
        after = before._replace(
            points=before.points.clone(),
            samples=list(before.samples),
            rewards=before.rewards.clone(),
            drawn=before.drawn + len(points),
        )
        for row in scores.argsort(stable=True).tolist():  # the best comes last
            member = int(parents[row])
            if scores[row] >= own[member]:
                after.points[member] = points[row]
                after.samples[member] = samples[row]
                after.rewards[member] = rewards[row]
        return after

    def _scores(self, rewards: Tensor) -> Tensor:
        """``(B, R)`` rewards to the weighted sum of their logarithms, ``(B,)``."""
        return rewards.double().clamp(_LEAST, 1).log() @ self._weights(rewards)

    def _weights(self, rewards: Tensor) -> Tensor:
        return torch.tensor(self.weights or (1.0,) * rewards.shape[1], dtype=torch.float64)


class _Offspring:
    """Points that differ from their parents in some blocks; it learns which blocks help."""

    def __init__(self, z: Tensor, blocks: Sequence[slice], generator: torch.Generator) -> None:
        self.generator = generator
        self.block = torch.zeros(z.shape[1], dtype=torch.int64)
        for number, block in enumerate(blocks):
            self.block[block] = number
        self.tried = torch.ones(len(blocks), dtype=torch.float64)
        self.helped = torch.ones(len(blocks), dtype=torch.float64)
        self._changed = torch.zeros(0, len(blocks), dtype=torch.bool)

    def of(self, points: Tensor, parents: Tensor, fresh: Tensor) -> Tensor:
        """``(B, Z)`` offspring.

        Args:
            points: ``(N, Z)`` of the population.
            parents: ``(B,)`` indices.
            fresh: ``(B,)`` which of the offspring are new points of the prior.
        """
        count, own = len(parents), points[parents]
        self._changed = self._choose(count) | fresh[:, None]
        which = torch.randint(len(_SPREADS), (count, len(self.tried)), generator=self.generator)
        spread = _SPREADS[which].masked_fill(fresh[:, None], 1)[:, self.block].to(points)
        noise = torch.randn(own.shape, generator=self.generator).to(points)
        new = (1 - spread.square()).sqrt() * own + spread * noise
        another = torch.randint(len(points), (count,), generator=self.generator)
        takes = (self._uniform(count) < _FROM_ANOTHER) & ~fresh
        new = torch.where(takes[:, None].to(points.device), points[another], new)
        return torch.where(self._changed[:, self.block].to(points.device), new, own)

    def learn(self, better: Tensor) -> None:
        """Take in which ``(B,)`` of the latest offspring are better than their parents."""
        some = ~self._changed.all(1)
        self.tried += self._changed[some].sum(0)
        self.helped += self._changed[some & better.cpu()].sum(0)

    def _choose(self, count: int) -> Tensor:
        """``(B, blocks)`` which blocks are changed; half of the choice follows what has helped."""
        blocks = len(self.tried)
        most = min(_MOST_BLOCKS, blocks)
        share = self.helped / self.tried
        share = 0.5 * share / share.sum() + 0.5 / blocks
        order = torch.multinomial(share.expand(count, -1), most, generator=self.generator)
        number = (1 - torch.log2(self._uniform(count).clamp(min=1e-9))).long().clamp(max=most)
        chosen = torch.zeros(count, blocks, dtype=torch.bool)
        return chosen.scatter_(1, order, torch.arange(most) < number[:, None])

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator)
