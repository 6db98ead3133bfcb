"""Decisions on each bar before it is played: by a point, or by bars that are known.

Shapes: ``B`` melodies, ``K`` = 16 bars, ``C`` dimensions of a code, ``H`` size of a condition.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from melodyconstraints.melody.form import FRESH
from melodyconstraints.melody.units import BARS
from melodyconstraints.melody.vae.staff.flow import ConditionalFlow

SOURCE, RHYTHM, START = 0, 1, 2
"""Decisions before a bar's code: which bar it repeats, whose rhythm it has, on which line it
starts."""


class Bars(NamedTuple):
    """The bars of melodies, one after another.

    Args:
        codes: ``(B, K, C)`` codes of how each is to move.
        played_codes: ``(B, K, C)`` codes of the notes that were played.
        starts: ``(B, K)`` int64 line of each one's first note, in [0, 34], or SILENT.
        ends: ``(B, K)`` int64 line of the last note up to its end.
        sources: ``(B, K)`` int64 the bar that each repeats, or :data:`FRESH`.
        rhythms: ``(B, K)`` int64 the last bar before a fresh one that has its rhythm, or FRESH.
    """

    codes: Tensor
    played_codes: Tensor
    starts: Tensor
    ends: Tensor
    sources: Tensor
    rhythms: Tensor

    @property
    def roots(self) -> Tensor:
        """``(B, K)`` number of the first bar that has each one's rhythm by sources and rhythms."""
        roots: list[Tensor] = []
        for bar, (source, rhythm) in enumerate(
            zip(self.sources.unbind(1), self.rhythms.unbind(1), strict=True)
        ):
            roots.append(root(bar, torch.where(source == FRESH, rhythm, source), roots))
        return torch.stack(roots, 1)


class Decisions(ABC):
    """Decisions on each bar that :meth:`.bar_prior.BarPrior.write` follows."""

    @abstractmethod
    def __call__(self, what: int, bar: int, log_probabilities: Tensor) -> Tensor:
        """``(B,)`` number of the chosen one, of n.

        Args:
            what: :data:`SOURCE`, :data:`RHYTHM` or :data:`START`.
            log_probabilities: ``(B, n)``; of the first two, "none" stands before bar 0, 1, ...
        """

    @abstractmethod
    def code(self, bar: int, flow: ConditionalFlow, condition: Tensor, spread: float) -> Tensor:
        """``(B, C)`` code of a bar, if fresh, under ``(B, H)``.

        Args:
            spread: factor on the flow's noise.
        """


class Drawn(Decisions):
    """Decisions by normal and uniform numbers.

    Args:
        noise: ``(B, K, C)`` standard normal.
        ranks: ``(B, K, 3)`` ranks in [0, 1], of source, rhythm and start.
        form: ``(K,)`` the bar that each repeats, or :data:`FRESH`, whatever ``ranks`` say.
    """

    def __init__(self, noise: Tensor, ranks: Tensor, form: Tensor | None = None) -> None:
        self._noise, self._ranks, self._form = noise, ranks, form

    def __call__(self, what: int, bar: int, log_probabilities: Tensor) -> Tensor:
        """The decision in whose share of [0, 1] the rank lies."""
        if what == SOURCE and self._form is not None:
            return (self._form[bar] - FRESH).expand(len(log_probabilities))
        cumulative = log_probabilities.exp().cumsum(-1)
        last = log_probabilities.shape[-1] - 1
        ranks = self._ranks[:, bar, what, None]
        return (cumulative <= ranks).sum(-1).clamp(max=last)

    def code(self, bar: int, flow: ConditionalFlow, condition: Tensor, spread: float) -> Tensor:
        """Bar code from the flow's noise."""
        return flow(spread * self._noise[:, bar], condition)


class Known(Decisions):
    """The decisions that make known bars, and what :class:`Drawn` needs to make the same.

    Args:
        bars: known bars; codes and starts are equal for a bar and what it repeats.
    """

    def __init__(self, bars: Bars) -> None:
        chosen = bars.sources - FRESH, bars.rhythms - FRESH, bars.starts
        self._codes, self._chosen = bars.codes, torch.stack(chosen, -1)
        self._fresh = bars.sources == FRESH
        self._noise: list[Tensor] = []
        self._bounds: list[Tensor] = []

    @property
    def noise(self) -> Tensor:
        """``(B, K, C)`` noise of the flow, zeros for repeats."""
        return torch.where(self._fresh[..., None], torch.stack(self._noise, 1), 0.0)

    @property
    def bounds(self) -> Tensor:
        """``(B, K, 3, 2)`` bounds of the ranks; 0 and 1 for the last two of a repeat."""
        bounds = torch.stack(self._bounds, 1).unflatten(1, (BARS, -1))
        device = bounds.device
        counts = self._fresh[..., None] | (torch.arange(3, device=device) == SOURCE)
        return torch.where(counts[..., None], bounds, torch.tensor([0.0, 1.0], device=device))

    def __call__(self, what: int, bar: int, log_probabilities: Tensor) -> Tensor:
        """The decision of the known bars."""
        chosen = self._chosen[:, bar, what]
        probabilities = log_probabilities.exp()
        upper = probabilities.cumsum(-1).gather(-1, chosen[:, None])
        share = probabilities.gather(-1, chosen[:, None])
        self._bounds.append(torch.cat([upper - share, upper], -1))
        return chosen

    def code(self, bar: int, flow: ConditionalFlow, condition: Tensor, spread: float) -> Tensor:
        """The code of the known bars."""
        code = self._codes[:, bar]
        self._noise.append(flow.inverse(code, condition)[0] / spread)
        return code


def root(bar: int, earlier: Tensor, roots: list[Tensor]) -> Tensor:
    """``(B,)`` root of bar ``bar``: that of the ``earlier`` one, or its own number if FRESH.

    Args:
        roots: roots of the bars before.
    """
    every = torch.stack([*roots, torch.full_like(earlier, bar)], 1)
    return every.gather(1, torch.where(earlier == FRESH, bar, earlier)[:, None])[:, 0]


def last_of_rhythms(roots: Tensor) -> Tensor:
    """``(B, K, K)`` whether an earlier bar (third axis) is the last one with its rhythm.

    Args:
        roots: ``(B, K)``, equal for bars of one rhythm.

    >>> last_of_rhythms(torch.tensor([[0, 1, 0, 3]])).int()
    tensor([[[0, 0, 0, 0],
             [1, 0, 0, 0],
             [1, 1, 0, 0],
             [0, 1, 1, 0]]], dtype=torch.int32)
    """
    count = roots.shape[1]
    numbers = torch.arange(count, device=roots.device)
    again = (roots[:, :, None] == roots[:, None]) & (numbers > numbers[:, None])
    next_with_it = torch.where(again, numbers, count).amin(-1)
    return (numbers < numbers[:, None]) & (next_with_it[:, None] >= numbers[:, None])


def recalled_bar(rhythms: Tensor, bar: int | Tensor) -> Tensor:
    """``(...)`` the earlier bar that each is likely to recall: that of its rhythm, or four before.

    Args:
        rhythms: ``(...)`` the bar whose rhythm each has, or :data:`FRESH`.
        bar: number of each.

    Returns:
        Negative where there is none.

    >>> recalled_bar(torch.tensor([FRESH, 1]), 3).tolist()
    [-1, 1]
    """
    return torch.where(rhythms == FRESH, bar - _PERIOD, rhythms)


_PERIOD = 4
"""Bars after which most melodies come back, where they do."""
