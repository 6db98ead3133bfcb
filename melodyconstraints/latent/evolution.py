"""A search by true rewards alone: no critic, no gradient and no training.

The points are a population, each of whose members has offspring of its own and is replaced by the
best of them that is no worse: a (1 + lambda) evolution strategy a member (Beyer and Schwefel,
"Evolution strategies", Natural Computing 2002). Offspring differ from their parent in a few blocks
of dimensions, each of which is drawn anew, moved by sqrt(1 - b^2) z + b N(0, I) (preconditioned
Crank-Nicolson; Cotter et al., "MCMC methods for functions", Statistical Science 2013) or taken
from another member. All three leave N(0, I) as it is, so only the choice of the best leads away
from the prior. Blocks that have helped any member are changed more often.

Of several candidates for an offspring the one is decoded from which most is expected: a linear
regression of the rewards on the points decoded so far says it (surrogate-assisted evolution: Jin,
"Surrogate-assisted evolutionary computation", Swarm and Evolutionary Computation 2011). True
rewards alone decide who survives; for one that is not linear in z, any candidate is as good.

Where some samples are preferred to others that satisfy the rewards as well, the search goes on a
little from those that are not, and never gives up a satisfied reward for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from melodyconstraints.latent.protocols import Samples
from melodyconstraints.latent.satisfaction import are_satisfied

_LEAST = 1e-2
"""Rewards below it count as it, so that their logarithms are finite."""
_SPREADS = torch.tensor([1.0, 0.5, 0.2])
"""Scales b of a mutation, equally likely; 1 draws a block anew."""
_FROM_ANOTHER = 0.25
"""Share of the offspring that take their changed blocks from another member."""
_RIDGE = 300.0
"""Ridge penalty of the regression: as if so many points had been decoded that say nothing."""
_MOST_CANDIDATES = 16_384
"""Most candidates held at once; of very many members there are fewer for each offspring."""
_MOST_BLOCKS = 8
"""Most blocks changed in one offspring; one in half of them, two in a quarter, and so on."""
_EXTRA_SHARE, _EXTRA_LEAST, _EXTRA_MOST = 1.0, 4, 40
"""Further draws for preferred samples, once enough samples are satisfied: the number for each draw
until then, and the fewest and the most for each sample that is wanted."""


class Population(NamedTuple):
    """Points with what was decoded from them; ``N`` members.

    Args:
        points: ``(N, Z)``.
        samples: ``N`` samples.
        rewards: ``(N, R)``.
        preferences: ``(N,)``, ones where nothing is preferred.
        drawn: number of samples that were decoded for them.
    """

    points: Tensor
    samples: list[Any]
    rewards: Tensor
    preferences: Tensor
    drawn: int

    def of(self, rows: Tensor) -> Population:
        """The given members as a population, in their order; as many were drawn."""
        return self._replace(
            points=self.points[rows],
            samples=[self.samples[row] for row in rows.tolist()],
            rewards=self.rewards[rows],
            preferences=self.preferences[rows],
        )

    def and_also(self, other: Population) -> Population:
        """These members and then another population's."""
        return Population(
            torch.cat([self.points, other.points]),
            [*self.samples, *other.samples],
            torch.cat([self.rewards, other.rewards]),
            torch.cat([self.preferences, other.preferences]),
            self.drawn + other.drawn,
        )


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C during a search.

    Args:
        population: population that it would have returned then.
    """

    def __init__(self, population: Population) -> None:
        super().__init__()
        self.population = population


@contextmanager
def _interruptible(best: Callable[[], Population]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        raise SearchInterrupted(best()) from stop


@dataclass(frozen=True)
class EvolutionSearch:
    """Changes points until every reward of what is decoded from them is satisfied.

    A decoder may draw at random: the sample that was rewarded is the one that is returned.

    Args:
        draws: most samples decoded for each point that is wanted.
        fresh: number of each member's first offspring, all new points of the prior.
        candidates: points drawn for each offspring, of which the most promising is decoded; fewer
            where members are so many that all would not fit the memory.
        patience: most samples decoded for each unsatisfied member while none is better than its
            parent.
        batch: samples decoded at a time, or as many as there are members.
        first_batch: offspring decoded at first, then twice as many each time up to ``batch``: what
            is soon found is found sooner, while what is not is decoded in few large batches.
        start_batch: points of the start decoded at a time: Ctrl-C keeps the parts before it.
        weights: weight of each reward; ones if empty. One of weight 0 is measured only.
    """

    draws: int = 400
    fresh: int = 32
    candidates: int = 32
    patience: int = 100
    batch: int = 128
    first_batch: int = 128
    start_batch: int = 256
    weights: tuple[float, ...] = ()

    def __call__(
        self,
        decode: Callable[[Tensor], Samples],
        reward: Callable[[Samples], Tensor],
        z: Tensor,
        blocks: Sequence[slice],
        *,
        wanted: int | None = None,
        members: int | None = None,
        preference: Callable[[Samples], Tensor] | None = None,
        generator: torch.Generator,
        callback: Callable[[int, int], object] | None = None,
    ) -> Population:
        """Evolve ``(N, Z)`` points of the prior, until ``wanted`` of them are satisfied.

        Args:
            decode: function from ``(B, Z)`` to ``B`` samples, which can be indexed by numbers.
            reward: function from samples to rewards ``(B, R)``.
            blocks: dimensions that are changed together; together all of them.
            wanted: number of points that are wanted, from 1 to the members; all if not given. A
                few members more than are wanted save the search from its hardest ones.
            members: number of points that are evolved, the best, from 1 to N; N if not given.
            preference: function from samples to ``(B,)`` numbers, preferred from 1 on. Counts
                among satisfied samples only; for it as many are drawn as before at most, and
                from four to forty for each that is wanted.
            callback: called with the number of satisfied samples or members, and of decoded
                samples.

        Returns:
            The ``wanted`` best, in the order of their members: preferred ones that are satisfied,
            then other satisfied ones, then the nearest to it.

        Raises:
            SearchInterrupted: Ctrl-C, after the first part of the start.
        """
        members = len(z) if members is None else members
        wanted = members if wanted is None else wanted
        draw = _Draw(decode, reward, preference)
        first, *others = z.clone().split(self.start_batch)
        population = draw(first)
        with _interruptible(lambda: self._best(population, wanted)):
            # The start: all points are decoded, and the best become the members.
            for part in others:
                if callback:
                    callback(int(self._satisfied(population.rewards).sum()), population.drawn)
                population = population.and_also(draw(part))
            offspring, in_vain = _Offspring(z, blocks, generator), 0
            forecast = _Forecast(z.shape[1])
            forecast.learn(population.points, self.scores(population.rewards))
            population = self._best(population, members)
            tried = torch.zeros(members, dtype=torch.int64)
            most, is_enough, batch = self.draws * wanted, False, min(self.first_batch, self.batch)
            while True:
                # Progress; once enough are satisfied, what follows is for preferred ones.
                satisfied = self._satisfied(population.rewards)
                preferred = satisfied & (population.preferences >= 1)
                if callback:
                    callback(int(satisfied.sum()), population.drawn)
                if not is_enough and satisfied.sum() >= wanted:
                    is_enough = True
                    least, limit = _EXTRA_LEAST * wanted, _EXTRA_MOST * wanted
                    extra = min(max(int(_EXTRA_SHARE * population.drawn), least), limit)
                    most = min(most, population.drawn + extra)
                # The end: enough are preferred, the draws are spent, or nothing gets better.
                missing = (satisfied & ~preferred if is_enough else ~satisfied).nonzero()[:, 0]
                left = most - population.drawn
                patience = max(self.patience, self.fresh) * len(missing)
                is_hopeless = in_vain >= patience and not is_enough
                if preferred.sum() >= wanted or left < len(missing) or is_hopeless:
                    return self._best(population, wanted)
                # Offspring of the missing members, of which the most promising are decoded.
                each = max(1, min(batch, left) // len(missing))
                batch = min(2 * batch, self.batch)
                count = max(1, min(self.candidates, _MOST_CANDIDATES // (each * len(missing))))
                candidates, changed = offspring.of(
                    population.points, missing, tried[missing] < self.fresh, each * count
                )
                chosen = forecast.best(candidates, len(missing), each)
                parents, new = missing.repeat_interleave(each), draw(candidates[chosen])
                # What they teach: the forecast, the choice of blocks, and which members survive.
                forecast.learn(new.points, self.scores(new.rewards))
                tried[missing] += each
                is_better = self._is_better(new, population.of(parents))
                offspring.learn(changed[chosen], is_better)
                in_vain = 0 if is_better.any() else in_vain + len(parents)
                population = self._survivors(population, new, parents)

    def scores(self, rewards: Tensor) -> Tensor:
        """``(N,)`` weighted sums of the logarithms of ``(N, R)`` rewards."""
        return rewards.double().clamp(_LEAST, 1).log() @ self._weights(rewards)

    def _best(self, population: Population, wanted: int) -> Population:
        return population.of(self._order(population, descending=True)[:wanted].sort().values)

    def _satisfied(self, rewards: Tensor) -> Tensor:
        """``(N,)`` whether every reward is satisfied whose weight is not 0."""
        return are_satisfied(rewards[:, self._weights(rewards) > 0])

    def _survivors(self, before: Population, new: Population, parents: Tensor) -> Population:
        """The population with each member's best offspring, where it is no worse."""
        after = Population(
            before.points.clone(),
            list(before.samples),
            before.rewards.clone(),
            before.preferences.clone(),
            before.drawn + new.drawn,
        )
        is_worse = self._is_better(before.of(parents), new)
        for row in self._order(new).tolist():  # the best comes last
            if not is_worse[row]:
                member = int(parents[row])
                after.points[member] = new.points[row]
                after.samples[member] = new.samples[row]
                after.rewards[member] = new.rewards[row]
                after.preferences[member] = new.preferences[row]
        return after

    def _is_better(self, one: Population, other: Population) -> Tensor:
        """``(N,)`` whether members are better than another population's."""
        (score, preference), (score_of_other, its_preference) = map(self._merits, (one, other))
        is_preferred = (score == score_of_other) & (preference > its_preference)
        return (score > score_of_other) | is_preferred

    def _order(self, population: Population, *, descending: bool = False) -> Tensor:
        """``(N,)`` members from the worst to the best, or the other way round."""
        score, preference = self._merits(population)
        order = preference.argsort(stable=True, descending=descending)
        return order[score[order].argsort(stable=True, descending=descending)]

    def _merits(self, population: Population) -> tuple[Tensor, Tensor]:
        """Two ``(N,)`` numbers: what counts first, and what counts among equals.

        The weighted sum of the rewards' logarithms, 0 where they are satisfied; and the
        preference, where they are.
        """
        scores, satisfied = self.scores(population.rewards), self._satisfied(population.rewards)
        return scores.masked_fill(satisfied, 0), population.preferences.where(satisfied, 0)

    def _weights(self, rewards: Tensor) -> Tensor:
        return torch.tensor(self.weights or (1.0,) * rewards.shape[1], dtype=torch.float64)


@dataclass(frozen=True)
class _Draw:
    """Decodes points and measures the samples; see :meth:`EvolutionSearch.__call__`."""

    decode: Callable[[Tensor], Samples]
    reward: Callable[[Samples], Tensor]
    preference: Callable[[Samples], Tensor] | None

    def __call__(self, points: Tensor) -> Population:
        """``(B, Z)`` points with their samples."""
        samples, count = self.decode(points), len(points)
        preferences = self.preference(samples) if self.preference else torch.ones(count)
        listed = [samples[i] for i in range(count)]
        return Population(points, listed, self.reward(samples), preferences, count)


class _Forecast:
    """Ridge regression of scores on points; Hoerl and Kennard, Technometrics 1970."""

    def __init__(self, size: int) -> None:
        self._count, self._score = 0, 0.0
        self._point, self._scored = (torch.zeros(size, dtype=torch.float64) for _ in range(2))
        self._products = torch.zeros(size, size, dtype=torch.float64)

    def learn(self, points: Tensor, scores: Tensor) -> None:
        """Take in ``(N, Z)`` decoded points and their ``(N,)`` scores."""
        points, scores = points.cpu().double(), scores.cpu()
        self._count += len(points)
        self._point += points.sum(0)
        self._score += float(scores.sum())
        self._products += points.T @ points
        self._scored += points.T @ scores

    @property
    def slope(self) -> Tensor:
        """``(Z,)`` by how much the score is expected to rise with each dimension."""
        mean = self._point / self._count
        spread = self._products - torch.outer(mean, self._point)
        ridge = _RIDGE * torch.eye(len(mean), dtype=torch.float64)
        return torch.linalg.solve(spread + ridge, self._scored - mean * self._score)

    def best(self, candidates: Tensor, parents: int, each: int) -> Tensor:
        """``(N each,)`` rows, in order: for each of N parents those with the highest forecasts.

        Args:
            candidates: ``(N M, Z)``, M of each parent after another.
            parents: N, number of parents.
        """
        forecasts = (candidates.cpu().double() @ self.slope).reshape(parents, -1)
        chosen = forecasts.topk(each, 1).indices.sort(1).values
        return (chosen + forecasts.shape[1] * torch.arange(parents)[:, None]).flatten()


class _Offspring:
    """Points that differ from their parents in some blocks; it learns which blocks help."""

    def __init__(self, z: Tensor, blocks: Sequence[slice], generator: torch.Generator) -> None:
        self.generator = generator
        self.block = torch.zeros(z.shape[1], dtype=torch.int64)
        for number, block in enumerate(blocks):
            self.block[block] = number
        self.tried = torch.ones(len(blocks), dtype=torch.float64)
        self.helped = torch.ones(len(blocks), dtype=torch.float64)

    def of(
        self, points: Tensor, parents: Tensor, fresh: Tensor, each: int
    ) -> tuple[Tensor, Tensor]:
        """``(N each, Z)`` offspring, and which of the ``(N each, blocks)`` differ from parents'.

        Args:
            points: points of the population.
            parents: ``(N,)`` indices.
            fresh: ``(N,)`` whether a parent's offspring are new points of the prior.
            each: number of offspring of each parent.
        """
        parents, fresh = parents.repeat_interleave(each), fresh.repeat_interleave(each)
        count, own = len(parents), points[parents]
        changed = self._choose(count) | fresh[:, None]
        which = torch.randint(len(_SPREADS), (count, len(self.tried)), generator=self.generator)
        spread = _SPREADS[which].masked_fill(fresh[:, None], 1)[:, self.block].to(points)
        noise = torch.randn(own.shape, generator=self.generator).to(points)
        new = (1 - spread.square()).sqrt() * own + spread * noise
        another = torch.randint(len(points), (count,), generator=self.generator)
        takes = (self._uniform(count) < _FROM_ANOTHER) & ~fresh
        new = torch.where(takes[:, None].to(points.device), points[another], new)
        return torch.where(changed[:, self.block].to(points.device), new, own), changed

    def learn(self, changed: Tensor, better: Tensor) -> None:
        """Take in which blocks of offspring were changed, and which ``(B,)`` are better."""
        some = ~changed.all(1)
        self.tried += changed[some].sum(0)
        self.helped += changed[some & better.cpu()].sum(0)

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
