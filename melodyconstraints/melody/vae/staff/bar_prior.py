"""Bars one after another: what a bar is like after those before it.

A causal transformer reads the bars before. It says which of them the next bar repeats, if any,
and gives the flow its condition otherwise. All that is drawn comes from normal and uniform
numbers that are handed in, so that noise and bars determine each other.

Shapes: ``B`` melodies, ``K`` = 16 bars, ``C`` dimensions of a code, ``U`` units, ``G`` attributes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.melody.form import FRESH
from melodyconstraints.melody.units import BARS
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.flow import ConditionalFlow
from melodyconstraints.melody.vae.staff.notation import SCALE, Ints

_NEAR = (1, 2, 4, 8)
"""So many bars back the flow sees codes as they are."""
_POINTER = 64
_NEVER = -1e9


class Whole(NamedTuple):
    """What all bars of a melody are conditioned on.

    Args:
        attributes: ``(B, G)`` normal scores.
        degrees: ``(B,)`` int64 degree of the scale at the place on the staff, in [0, 6], counted
            from the tonic.
        modes: ``(B,)`` int64 degree of the major scale that is the tonic, in [0, 6].
    """

    attributes: Tensor
    degrees: Tensor
    modes: Tensor

    @classmethod
    def of(cls, attributes: Tensor, degrees: Ints, modes: Ints) -> Whole:
        """Of arrays, on the device of the attributes."""
        device = attributes.device
        on_device = (torch.from_numpy(numbers).to(device) for numbers in (degrees, modes))
        return cls(attributes, *on_device)


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

    def forward(self, x: Tensor, before: list[Tensor] | None = None) -> Tensor:
        """``(B, N, U)`` to ``(B, N, U)``.

        Args:
            before: keys and values of the places before, which it is given those of ``x`` as well.
        """
        batch, count, units = x.shape
        parts = self.to_heads(self.first_norm(x)).chunk(3, -1)
        query, key, value = (
            part.reshape(batch, count, self.heads, -1).transpose(1, 2) for part in parts
        )
        if before is not None:
            if before:
                key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
            before[:] = key, value
        back = distances(key.shape[2], x.device)[-count:]
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        scores = scores + self.by_distance[:, back.clamp(min=0)]
        weights = scores.masked_fill(back < 0, _NEVER).softmax(-1)
        x = x + self.from_heads((weights @ value).transpose(1, 2).reshape(batch, count, units))
        return x + self.fall(F.gelu(self.rise(self.second_norm(x))))


class BarPrior(nn.Module):
    """Noise of 16 bars to their codes and repeats, and back."""

    def __init__(self, config: StaffConfig, attributes: int) -> None:
        super().__init__()
        units, code = config.units, config.bar_code
        self.code, self.spread = code, config.spread
        self.bar = nn.Linear(code, units)
        self.start = nn.Parameter(nn.init.normal_(torch.empty(units), std=0.02))
        self.number = nn.Parameter(nn.init.normal_(torch.empty(BARS, units), std=0.02))
        self.attributes = nn.Sequential(
            nn.Linear(attributes, units), nn.GELU(), nn.Linear(units, units)
        )
        self.degree, self.mode = nn.Embedding(SCALE, units), nn.Embedding(SCALE, units)
        self.repeat = nn.Embedding(BARS, units)
        for table in (self.degree, self.mode, self.repeat):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(units, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(units)
        self.query, self.key = nn.Linear(units, _POINTER), nn.Linear(2 * units, _POINTER)
        self.by_place = nn.Parameter(torch.zeros(BARS, BARS))
        self.fresh = nn.Linear(units, 1)
        flow = config.flow_units, config.flow_layers
        self.flow = ConditionalFlow(code, condition_size(config), *flow)

    def read(self, codes: Tensor, sources: Tensor, whole: Whole) -> tuple[Tensor, Tensor]:
        """All bars at once, each after the true bars before it.

        Args:
            codes: ``(B, K, C)``.
            sources: ``(B, K)`` the bar that each repeats, or :data:`FRESH`.

        Returns:
            Conditions of the flow ``(B, K, H)``, and logarithms of probabilities
            ``(B, K, 1 + K)``: that the bar is fresh, that it repeats bar 0, 1, ...
        """
        given = self.bar(codes[:, :-1]) + self.repeat(repeat_distances(sources)[:, :-1])
        x = torch.cat([self.start.expand(len(codes), 1, -1), given], 1)
        x = x + self.number + self._of_whole(whole)[:, None]
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        near = [F.pad(codes[:, :-back], (0, 0, back, 0)) for back in _NEAR]
        after = F.pad(x[:, 1:], (0, 0, 0, 1))
        keys = self.key(torch.cat([after, self.bar(codes)], -1))
        back = distances(BARS, codes.device)
        numbers = torch.arange(BARS, device=codes.device)[:, None].expand(BARS, BARS)
        scores = self.query(x) @ keys.transpose(1, 2) / math.sqrt(_POINTER)
        scores = scores + self.by_place[numbers, back.clamp(min=0)]
        scores = scores.masked_fill(back <= 0, _NEVER)
        return torch.cat([x, *near], -1), torch.cat([self.fresh(x), scores], -1).log_softmax(-1)

    def write(
        self,
        noise: Tensor,
        choices: Tensor,
        whole: Whole,
        form: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw bars in turn.

        Args:
            noise: ``(B, K, C)`` standard normal.
            choices: ``(B, K)`` uniform in [0, 1]: which bar each repeats.
            form: ``(B, K)`` the bar that each repeats, or :data:`FRESH`, whatever ``choices`` say.

        Returns:
            Codes ``(B, K, C)`` and sources ``(B, K)``, as :meth:`read` takes them, and the
            conditions ``(B, K, H)`` that it gives.
        """
        of_whole = self._of_whole(whole)
        caches: list[list[Tensor]] = [[] for _ in self.blocks]
        codes: list[Tensor] = []
        states: list[Tensor] = []
        sources: list[Tensor] = []
        conditions: list[Tensor] = []
        x = self.start.expand(len(noise), -1)
        for bar in range(BARS):
            x = (x + self.number[bar] + of_whole)[:, None]
            for block, cache in zip(self.blocks, caches, strict=True):
                x = block(x, cache)
            states.append(self.norm(x)[:, 0])
            chosen = self._choose(states, codes, choices[:, bar])
            source = chosen if form is None else form[:, bar]
            near = [codes[bar - n] if bar >= n else torch.zeros_like(noise[:, 0]) for n in _NEAR]
            conditions.append(torch.cat([states[-1], *near], -1))
            code = self.flow(self.spread * noise[:, bar], conditions[-1])
            if codes:
                earlier = torch.stack(codes, 1)[torch.arange(len(code)), source.clamp(min=0)]
                code = torch.where((source == FRESH)[:, None], code, earlier)
            codes.append(code)
            sources.append(source)
            back = torch.where(source == FRESH, 0, bar - source)
            x = self.bar(code) + self.repeat(back)
        return torch.stack(codes, 1), torch.stack(sources, 1), torch.stack(conditions, 1)

    def noise_of(self, codes: Tensor, sources: Tensor, whole: Whole) -> tuple[Tensor, Tensor]:
        """What :meth:`write` needs to draw these bars.

        Args:
            codes: ``(B, K, C)``, equal for a bar and what it repeats.
            sources: ``(B, K)``.

        Returns:
            Noise ``(B, K, C)``, zeros for repeats; and the bounds ``(B, K, 2)`` between which
            :meth:`write` chooses each source.
        """
        conditions, choices = self.read(codes, sources, whole)
        noise, _ = self.flow.inverse(codes.flatten(0, 1), conditions.flatten(0, 1))
        noise = noise.reshape(codes.shape) / self.spread
        noise = torch.where((sources == FRESH)[..., None], noise, 0.0)
        probabilities = choices.exp()
        picked = (sources + 1)[..., None]
        upper = probabilities.cumsum(-1).gather(-1, picked)
        lower = upper - probabilities.gather(-1, picked)
        return noise, torch.cat([lower, upper], -1)

    def _choose(self, states: list[Tensor], codes: list[Tensor], choice: Tensor) -> Tensor:
        """``(B,)`` the bar that the next one repeats, or :data:`FRESH`."""
        state, bar = states[-1], len(codes)
        if not codes:
            return torch.full((len(state),), FRESH, device=state.device)
        played = [torch.stack(states[1:], 1), self.bar(torch.stack(codes, 1))]
        scores = (self.key(torch.cat(played, -1)) @ self.query(state)[..., None])[..., 0]
        back = bar - torch.arange(bar, device=state.device)
        scores = scores / math.sqrt(_POINTER) + self.by_place[bar, back]
        cumulative = torch.cat([self.fresh(state), scores], -1).softmax(-1).cumsum(-1)
        return (cumulative <= choice[:, None]).sum(-1).clamp(max=bar) + FRESH

    def _of_whole(self, whole: Whole) -> Tensor:
        """``(B, U)``."""
        of_scale = self.degree(whole.degrees) + self.mode(whole.modes)
        return self.attributes(whole.attributes) + of_scale


def condition_size(config: StaffConfig) -> int:
    """H: numbers on which the flow and the decoder are conditioned."""
    return config.units + len(_NEAR) * config.bar_code


def distances(count: int, device: torch.device) -> Tensor:
    """``(count, count)`` places from the column back to the row: negative above the diagonal."""
    places = torch.arange(count, device=device)
    return places[:, None] - places[None]


def repeat_distances(sources: Tensor) -> Tensor:
    """``(B, K)`` bars from each bar back to the one that it repeats, 0 if it is fresh."""
    numbers = torch.arange(sources.shape[1], device=sources.device)
    return torch.where(sources == FRESH, 0, numbers - sources)
