"""Melodies for any rules without any training: they are searched for.

>>> import melodyconstraints as mc
>>> from melodyconstraints.rules import find_rules
>>> actor = search_actor(mc.load_model(), find_rules(["final-note:C"]))
>>> [int(melody.pitches[-1]) % 12 for melody in actor.generate(2, seed=1)]
[0, 0]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Unpack, cast

import numpy as np
import torch
from torch import Tensor, nn

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.evolution import EvolutionSearch, SearchInterrupted
from melodyconstraints.latent.networks import Actor, Critics
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.typical import typicality
from melodyconstraints.melody.notes import Ints
from melodyconstraints.melody.units import STEPS, STEPS_PER_BAR
from melodyconstraints.melody.vae.model import DECODE_BATCH, MelodyVAE
from melodyconstraints.melody.vae.sampler import SamplingInterrupted, TooFewError
from melodyconstraints.melody.vae.sampling import Sampling, SamplingOptions
from melodyconstraints.rules import Rule
from melodyconstraints.rules.rewards import rewards_of, satisfies_all
from melodyconstraints.storage.arguments import checked
from melodyconstraints.workflows.actor import (
    HOPELESS_SHARE,
    MOST_DRAWS,
    SEARCH,
    MelodyActor,
    Preference,
)
from melodyconstraints.workflows.keys import InKeys, in_best_keys
from melodyconstraints.workflows.seeds import (
    EVENTS,
    POINTS,
    check_count,
    derived_generator,
    next_points,
)

SPARE = 4
"""Fewest points evolved beyond those that are wanted, or a quarter of these where that is more;
the hardest points are left out of the result."""
_LARGEST_NOISE = 1 - 1e-6
"""Largest number that decides an event: a decoder takes numbers in [0, 1), and the normal
distribution function of a large one, 5.5 say, is 1 in float32."""
FEW = 0.5
"""Share of an actor's melodies that satisfy every rule, and are typical where it has learned that,
below which a search is the better way."""


class MelodySearchInterrupted(SamplingInterrupted):
    """Ctrl-C during a search.

    Args:
        melodies: melodies found by then, which satisfy every rule; perhaps none.
    """


@dataclass(kw_only=True, repr=False)
class SearchActor(MelodyActor):
    """Actor that finds melodies for rules by searching with their rewards.

    Of melodies that satisfy every rule it prefers typical ones: once enough satisfy every rule,
    the search goes on for a while from those that are not typical.

    What the decoder draws is part of the points: an offspring differs from its parent in the
    blocks that were changed and in what follows from them, and in nothing else.

    Args:
        search: search that goes on from melodies that do not satisfy every rule.
        start: fewest melodies drawn at first, of which the best are evolved: for rules that many
            satisfy as drawn, since one large draw takes less time than two.
        choice: melodies drawn at first for each that is wanted, at least, of which the preferred
            ones are taken.
        transpose: function from ``(B, Z)`` points to those of the same melodies, ``(B,)``
            semitones higher; each melody is then taken in the key that the rules reward most.
    """

    search: EvolutionSearch = field(default_factory=EvolutionSearch)
    start: int = 0
    choice: int = 1
    transpose: Callable[[Tensor, Ints], Tensor] | None = None

    def __repr__(self) -> str:
        return f"SearchActor({', '.join(self.names) or 'no rule'}; {self.model.fingerprint[:12]})"

    @checked
    def generate(self, n: int, **options: Unpack[SamplingOptions]) -> Melodies:
        """Draw ``n`` melodies, and search on from those that do not satisfy every rule.

        Arguments and errors are those of :meth:`.MelodyActor.generate`; Ctrl-C raises
        :class:`MelodySearchInterrupted`, with what was found.
        """
        return self._evolved(n, self.sampling(options), self.search).melodies

    @checked
    def generate_satisfying(
        self, n: int, *, max_draws: int = MOST_DRAWS, **options: Unpack[SamplingOptions]
    ) -> tuple[Melodies, int]:
        """Search until ``n`` melodies satisfy every rule; see :class:`.MelodyActor`."""
        check_count(n)
        self.require_rules(self.active_rules)
        patience = math.ceil(HOPELESS_SHARE * max_draws / self._count(n))
        search = replace(self.search, draws=max(1, max_draws // n), patience=patience)
        result = self._evolved(n, self.sampling(options), search)
        satisfying = result.melodies[satisfies_all(self.active_rules, result.melodies)]
        if len(satisfying) < n:
            raise TooFewError(
                f"{len(satisfying)} of {n} melodies satisfy every rule after {result.drawn} were "
                "drawn; ask for less, or grade a rule so that a melody that comes closer has a "
                "higher reward",
                satisfying,
                result.drawn,
            )
        return result.melodies, result.drawn

    def save(self, folder: Path | str) -> None:
        """Refuse: a search has learned nothing.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"a search has learned nothing to save in {folder}; train an actor for these rules"
        )

    def draw_from(
        self,
        z: Tensor,
        sampling: Sampling,
        generator: torch.Generator,
        finish: Callable[[Melodies], Melodies] | None = None,
        *,
        wanted: int | None = None,
    ) -> tuple[Tensor, Melodies]:
        """Evolve ``(B, Z)`` points; see :class:`.MelodyActor`.

        Args:
            wanted: number of them that are returned, from 1 to B; all if not given.
        """
        result = self._evolve(z, wanted or len(z), sampling, self.search, generator, finish)
        points = self.shift(result.points)
        if self.transpose is not None:
            points = self.transpose(points, result.shifts)
        return points, result.melodies

    def points_for(self, n: int) -> int:
        """Points that a search for ``n`` melodies starts from."""
        if not self.active_rules:
            return self._count(n)
        return max(self._count(n), self.start, self.choice * n)

    def _count(self, n: int) -> int:
        """Points that are evolved for ``n`` melodies."""
        return n + (max(SPARE, n // 4) if self.active_rules else 0)

    def _evolved(self, n: int, sampling: Sampling, search: EvolutionSearch) -> _Found:
        check_count(n)
        generator = derived_generator(POINTS, sampling.seed)
        z = next_points(self.model, self.points_for(n), generator)
        return self._evolve(z, n, sampling, search, derived_generator(SEARCH, sampling.seed))

    def _evolve(
        self,
        z: Tensor,
        n: int,
        sampling: Sampling,
        search: EvolutionSearch,
        generator: torch.Generator,
        finish: Callable[[Melodies], Melodies] | None = None,
    ) -> _Found:
        events = torch.randn(len(z), STEPS, generator=derived_generator(EVENTS, sampling.seed))
        has_key = bool(finish or self.transpose is None or sampling.scale)

        def decode(points: Tensor) -> InKeys:
            drawn = []
            for part in points.split(DECODE_BATCH):
                z, events = part.tensor_split([self.model.latent_dim], 1)
                noise = torch.special.ndtr(events).clamp(max=_LARGEST_NOISE)
                drawn.append(self.model.decode(self.shift(z), sampling, noise=noise))
            melodies = Melodies(torch.cat(drawn).cpu().numpy())
            if has_key:
                melodies = self.write(melodies)
                melodies = finish(melodies) if finish else melodies
                return InKeys(melodies, np.zeros(len(points), np.int64))
            return in_best_keys(melodies, self.rules, self.weights, write=self.writing)

        prefers = self.prefers if self.active_rules else None
        try:
            population = replace(search, weights=tuple(self.weights), start_batch=DECODE_BATCH)(
                decode,
                lambda drawn: torch.from_numpy(rewards_of(self.rules, drawn.melodies)),
                torch.cat([z, events.to(z)], 1),
                [*self.model.blocks, *_of_bars(self.model.latent_dim)],
                wanted=n,
                members=min(len(z), self._count(n)),
                preference=prefers and (lambda drawn: torch.from_numpy(prefers(drawn.melodies))),
                generator=generator,
                callback=self.callback,
            )
        except SearchInterrupted as stop:
            decoded = Melodies.stack([melody for melody, _ in stop.population.samples])
            satisfying = decoded[satisfies_all(self.active_rules, decoded)]
            raise MelodySearchInterrupted(satisfying) from stop
        except KeyboardInterrupt as stop:
            raise MelodySearchInterrupted(Melodies(np.zeros((0, STEPS), np.uint8))) from stop
        melodies, shifts = zip(*population.samples, strict=True)
        points = population.points[:, : self.model.latent_dim]
        return _Found(points, np.array(shifts), Melodies.stack(melodies), population.drawn)


def _of_bars(first: int) -> list[slice]:
    """The events of each bar, in dimensions from ``first`` on."""
    return [
        slice(first + bar, first + bar + STEPS_PER_BAR) for bar in range(0, STEPS, STEPS_PER_BAR)
    ]


class _Found(NamedTuple):
    """Results of a search.

    Args:
        points: ``(B, Z)`` points before they are shifted.
        shifts: ``(B,)`` semitones by which what they decode to is then transposed.
        melodies: melodies as they come out.
        drawn: number of melodies that were decoded.
    """

    points: Tensor
    shifts: Ints
    melodies: Melodies
    drawn: int


def search_actor(
    model: MelodyVAE,
    rules: Sequence[Rule],
    *,
    move: nn.Module | None = None,
    scale: tuple[int, ...] = (),
    rhythm: str = "",
    start: int = 0,
    choice: int = 1,
    transpose: Callable[[Tensor, Ints], Tensor] | None = None,
    prefers: Preference = typicality,
) -> SearchActor:
    """Actor that searches a model's melodies for rules.

    Args:
        move: module from ``(B, Z)`` points of the prior to points that are decoded; they stay if
            None.
        scale, rhythm: scale and rhythm in which melodies are written; see :class:`.Sampling`.
        start, choice, transpose: see :class:`SearchActor`.
        prefers: see :class:`.MelodyActor`.
    """
    return SearchActor(
        model=model,
        rules=list(rules),
        actor=cast(Actor, move or nn.Identity()),
        critic=Critics([]),
        settings=ActorCriticSettings(),
        method="actor",
        scale=scale,
        rhythm=rhythm,
        start=start,
        choice=choice,
        transpose=transpose,
        prefers=prefers,
    )
