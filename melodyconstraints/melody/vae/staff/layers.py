"""Layers of the prior over bars.

Shapes: ``B`` melodies, ``N`` and ``M`` bars, ``U`` units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.melody.units import BARS
from melodyconstraints.melody.vae.staff.notation import LINES, REACH, SCALE, SILENT

_POINTER = 64
NEVER = -1e9
"""Logit of what must not be chosen: its probability is 0, and unlike infinity it makes no NaN."""
INITIAL_STD = 0.02
"""Deviation of embeddings at the start, as GPT-2 has it: well below the normed states."""


class Block(nn.Module):
    """A layer of a causal transformer that knows how many bars back a bar is."""

    def __init__(self, units: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first_norm, self.second_norm = nn.LayerNorm(units), nn.LayerNorm(units)
        self.to_heads = nn.Linear(units, 3 * units)
        self.from_heads = nn.Linear(units, units)
        self.by_distance = nn.Parameter(torch.zeros(heads, BARS))
        self.rise = nn.Linear(units, 4 * units)
        self.fall = nn.Linear(4 * units, units)

    def forward(
        self,
        x: Tensor,
        before: list[Tensor] | None = None,
        dropout_factors: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """``(B, N, U)`` to ``(B, N, U)``.

        Args:
            before: keys and values of the earlier bars; those of ``x`` are appended in place.
            dropout_factors: factors on what the heads and the linear layers add, see
                :meth:`.BarPrior.dropout_factors`; 1 if None.
        """
        batch, count, units = x.shape
        parts = self.to_heads(self.first_norm(x)).reshape(batch, count, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if before is not None:
            if before:
                key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
            before[:] = key, value
        back = distances(key.shape[2], x.device)[-count:]
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        scores = scores + self.by_distance[:, back.clamp(min=0)]
        weights = scores.masked_fill(back < 0, NEVER).softmax(-1)
        attended = self.from_heads((weights @ value).transpose(1, 2).reshape(batch, count, units))
        x = x + (attended if dropout_factors is None else dropout_factors[0] * attended)
        added = self.fall(F.gelu(self.rise(self.second_norm(x))))
        return x + (added if dropout_factors is None else dropout_factors[1] * added)


class Pointer(nn.Module):
    """Choice of one of the bars before, or of none of them."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(units, _POINTER), nn.Linear(2 * units, _POINTER)
        self.by_place = nn.Parameter(torch.zeros(BARS, BARS))
        self.none = nn.Linear(units, 1)

    def forward(self, states: Tensor, played: Tensor, allowed: Tensor, first: int = 0) -> Tensor:
        """Logarithms of probabilities ``(B, N, 1 + M)``: of none, of bar 0, 1, ...

        Args:
            states: ``(B, N, U)`` before each of N bars.
            played: ``(B, M, 2 U)`` of M bars: the state after each, and what it is like.
            allowed: ``(B, N, M)`` or ``(N, M)`` whether a bar may be chosen.
            first: number of the first of the N bars.
        """
        count, device = played.shape[1], states.device
        numbers = torch.arange(first, first + states.shape[1], device=device)[:, None]
        back = (numbers - torch.arange(count, device=device)).clamp(0, BARS - 1)
        scores = self.query(states) @ self.key(played).transpose(1, 2) / math.sqrt(_POINTER)
        scores = scores + self.by_place[numbers.expand_as(back), back]
        scores = scores.masked_fill(~allowed, NEVER)
        return torch.cat([self.none(states), scores], -1).log_softmax(-1)


class Line(nn.Module):
    """Embedding of a line of the staff: of its height, and of its degree of the scale."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.heights = nn.Embedding(LINES + 1, units)
        self.degrees = nn.Embedding(SCALE, units)
        for table in (self.heights, self.degrees):
            nn.init.normal_(table.weight, std=INITIAL_STD)

    def forward(self, lines: Tensor, degrees: Tensor) -> Tensor:
        """``(..., U)`` embeddings of ``(...)`` lines, where the place has these degrees."""
        of_degrees = self.degrees((lines - REACH + degrees) % SCALE)
        silent = (lines == SILENT)[..., None]
        return self.heights(lines) + torch.where(silent, 0.0, of_degrees)


class NextStart(nn.Module):
    """Line on which the next bar starts: its interval, height and degree at once."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.last = Line(units)
        self.hidden = nn.Linear(units, units)
        self.scores = nn.Linear(units, 2 * LINES - 1 + LINES + 1 + SCALE)

    def forward(self, states: Tensor, ends: Tensor, degrees: Tensor) -> Tensor:
        """Logarithms of probabilities ``(..., 36)``, silent last.

        Args:
            states: ``(..., U)``.
            ends: ``(...)`` line of the last note before.
            degrees: degree of the scale at the place, as many dimensions as ``ends`` has.
        """
        hidden = F.gelu(self.hidden(states + self.last(ends, degrees)))
        sizes = [2 * LINES - 1, LINES + 1, SCALE]
        intervals, lines, of_degrees = self.scores(hidden).split(sizes, -1)
        line = torch.arange(LINES, device=ends.device)
        interval = line - ends[..., None] + LINES - 1
        degree = ((line - REACH + degrees[..., None]) % SCALE).expand_as(interval)
        scores = intervals.gather(-1, interval) + of_degrees.gather(-1, degree)
        return (lines + F.pad(scores, (0, 1))).log_softmax(-1)


def distances(count: int, device: torch.device) -> Tensor:
    """``(count, count)`` places from the column back to the row: negative above the diagonal."""
    places = torch.arange(count, device=device)
    return places[:, None] - places[None]
