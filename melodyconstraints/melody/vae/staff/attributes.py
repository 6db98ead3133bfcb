"""Attributes of a whole melody: twelve numbers, and those as normal scores.

The numbers of the training melodies are ranked; a rank's place in the normal distribution is a
melody's score, and a rotation of the scores makes them uncorrelated: together they are nearly
N(0, I), so they can be drawn, and a melody's can be found.

Shapes: ``B`` melodies, ``T`` = 256 steps, ``K`` = 16 bars of ``S`` = 16 steps, ``G`` attributes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR
from melodyconstraints.melody.vae.staff.notation import (
    LINES,
    REACH,
    TOKEN_HOLD,
    TOKEN_REST,
    Ints,
    Staff,
    kinds,
)

Numbers = NDArray[np.float64]

NAMES = (
    *("notes", "range", "raised_notes", "rests", "steps", "off_beats", "rhythms"),
    *("length_entropy", "fresh_bars", "rise", "bar_jumps", "leaps"),
)
"""Notes; scale steps from the lowest to the highest; share of raised notes; share of silent steps;
share of intervals of one scale step; share of notes off the beat; different rhythms of bars;
entropy of the distances between notes; bars unlike any earlier one; rise from the first half to
the second; mean change of bars' mean lines; share of intervals of three scale steps or more."""
_KNOTS = 201
_LEAST = 1e-3
"""Variance below which a direction of the scores is not stretched further."""
_RAREST = 0.002
"""Ranks stay this far from 0 and 1."""


def attributes(staff: Staff) -> Numbers:
    """``(B, G)`` attributes of melodies, in the order of :data:`NAMES`."""
    tokens = staff.tokens
    notes, bars = tokens < TOKEN_HOLD, tokens.reshape(-1, BARS, STEPS_PER_BAR)
    lines = np.where(notes, tokens % LINES - REACH, 0)
    count = np.maximum(notes.sum(1), 1)
    place = np.arange(STEPS) % 4
    off_beats = notes[:, place % 2 == 1].sum(1) + 0.5 * notes[:, place == 2].sum(1)
    highest = np.where(notes, lines, -REACH).max(1)
    lowest = np.where(notes, lines, REACH).min(1)
    heights = _bar_heights(lines, notes)
    steps, leaps, entropy = _intervals(tokens, notes)
    columns = [
        notes.sum(1),
        np.maximum(highest - lowest, 0),
        (notes & (tokens >= LINES)).sum(1) / count,
        (tokens == TOKEN_REST).mean(1),
        steps,
        off_beats / count,
        _different(kinds(bars)),
        entropy,
        _different(bars),
        heights[:, BARS // 2 :].mean(1) - heights[:, : BARS // 2].mean(1),
        np.abs(np.diff(heights, axis=1)).mean(1),
        leaps,
    ]
    return np.stack(columns, 1).astype(np.float64)


def equal_bars(tokens: Ints) -> NDArray[np.bool_]:
    """``(B, K, K)`` whether a bar (second axis) equals an earlier one (third)."""
    bars = np.ascontiguousarray(tokens.reshape(-1, BARS, STEPS_PER_BAR), np.uint8)
    halves = bars.view(np.uint64)
    same = (halves[:, :, None] == halves[:, None, :]).all(-1)
    equal: NDArray[np.bool_] = same & np.tri(BARS, k=-1, dtype=bool)
    return equal


def _different(bars: Ints) -> Ints:
    """``(B,)`` number of different bars of ``(B, K, S)``."""
    different: Ints = BARS - equal_bars(bars).any(-1).sum(1)
    return different


def _bar_heights(lines: Ints, notes: NDArray[np.bool_]) -> Numbers:
    """``(B, K)`` mean line of each bar; a silent bar has that of the bar before."""
    count = notes.reshape(-1, BARS, STEPS_PER_BAR).sum(-1)
    heights = lines.reshape(-1, BARS, STEPS_PER_BAR).sum(-1) / np.maximum(count, 1)
    sounding = np.where(count > 0, np.arange(BARS), 0)
    filled: Numbers = np.take_along_axis(heights, np.maximum.accumulate(sounding, 1), 1)
    return filled


def _intervals(tokens: Ints, notes: NDArray[np.bool_]) -> tuple[Numbers, Numbers, Numbers]:
    """Shares of steps and of leaps among the intervals, entropy of the distances: ``(B,)``."""
    rows, steps = np.nonzero(notes)
    same = rows[1:] == rows[:-1]
    owner = rows[1:][same]
    interval = np.abs(np.diff(tokens[rows, steps] % LINES))[same]
    distance = np.minimum(np.diff(steps)[same], STEPS_PER_BAR)
    total = np.maximum(np.bincount(owner, minlength=len(tokens)), 1)
    by_step = np.bincount(owner, interval == 1, len(tokens)) / total
    by_leap = np.bincount(owner, interval >= 3, len(tokens)) / total
    size = STEPS_PER_BAR + 1
    counts = np.bincount(owner * size + distance, minlength=len(tokens) * size)
    shares = counts.reshape(-1, size) / total[:, None]
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1)
    return by_step, by_leap, entropy


class NormalScores(nn.Module):
    """Numbers to uncorrelated normal scores; it learns the ranks and the rotation from data."""

    quantiles: Tensor
    rotation: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("quantiles", torch.zeros(size, _KNOTS))
        self.register_buffer("rotation", torch.from_numpy(np.eye(size, dtype=np.float32)))

    def learn(self, numbers: Numbers, shares: Numbers) -> None:
        """Take ranks and rotation from ``(N, G)`` numbers, with shares as below."""
        table = np.quantile(numbers, np.linspace(0, 1, _KNOTS), axis=0).T
        self.quantiles.copy_(torch.from_numpy(table))
        values, axes = np.linalg.eigh(np.cov(self._raw(numbers, shares).T))
        self.rotation.copy_(torch.from_numpy((axes / np.sqrt(values.clip(_LEAST))) @ axes.T))

    def forward(self, numbers: Numbers, shares: Numbers) -> Tensor:
        """``(B, G)`` to scores ``(B, G)``.

        Args:
            shares: ``(B, G)`` places in [0, 1] among the ranks of equal numbers; 1/2 is the
                middle.
        """
        raw = torch.from_numpy(self._raw(numbers, shares)).float()
        return raw.to(self.rotation.device) @ self.rotation

    def conditioned(self, scores: Tensor, ranges: Mapping[int, tuple[float, float]]) -> Tensor:
        """``(B, G)`` scores where some numbers lie in ranges, drawn from what the others leave.

        A number keeps its rank among those of its range, and the others move as the conditional
        mean of a normal distribution does.

        Args:
            ranges: least and largest number, by column.
        """
        if not ranges:
            return scores
        columns = list(ranges)
        rotation = self.rotation.double()
        raw = scores.double() @ torch.linalg.inv(rotation)
        covariance = torch.linalg.inv(rotation @ rotation)
        wanted = torch.stack(
            [self._in_range(raw[:, column], column, *ranges[column]) for column in columns], 1
        )
        spread = torch.linalg.solve(covariance[columns][:, columns], covariance[columns])
        return ((raw + (wanted - raw[:, columns]) @ spread) @ rotation).float()

    def share_within(self, column: int, low: float, high: float) -> float:
        """Share in [0, 1] of the numbers learned from that lie in a range, of a column."""
        table = self.quantiles[column]
        return float(((table >= low) & (table <= high)).double().mean())

    def _in_range(self, raw: Tensor, column: int, low: float, high: float) -> Tensor:
        """``(B,)`` normal scores of a column, moved to between those of two numbers."""
        bounds = self._ranks(column, np.array([low, high]), np.array([0.0, 1.0]))
        lower, upper = bounds.clip(_RAREST, 1 - _RAREST).tolist()
        return torch.special.ndtri(lower + (upper - lower) * torch.special.ndtr(raw))

    def _raw(self, numbers: Numbers, shares: Numbers) -> Numbers:
        columns = enumerate(zip(numbers.T, shares.T, strict=True))
        ranks = np.stack([self._ranks(column, *own) for column, own in columns], 1)
        scores = torch.special.ndtri(torch.from_numpy(ranks.clip(_RAREST, 1 - _RAREST)))
        return scores.numpy()

    def _ranks(self, column: int, values: Numbers, shares: Numbers) -> Numbers:
        """Ranks in [0, 1] of ``(B,)`` numbers of a column; see :meth:`forward` for the shares."""
        ranks, table = np.linspace(0, 1, _KNOTS), self.quantiles[column].double().cpu().numpy()
        values = values.astype(np.float32).astype(np.float64)
        low = np.searchsorted(table, values, "left").clip(0, _KNOTS - 1)
        high = (np.searchsorted(table, values, "right") - 1).clip(0, _KNOTS - 1)
        tied = ranks[low] + (ranks[high] - ranks[low]) * shares
        different, first = np.unique(table, return_index=True)
        return np.where(high > low, tied, np.interp(values, different, ranks[first]))
