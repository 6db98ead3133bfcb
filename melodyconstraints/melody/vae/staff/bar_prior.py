"""Bars one after another: what a bar is like after those before it.

A causal transformer reads the bars before. It says which of them the next bar repeats, if any;
else whose rhythm it has, if not a new one, on which line of the staff it starts, and the flow's
condition, which makes the code that says how it goes on. All that is drawn comes from normal and
uniform numbers that are handed in, so that noise and bars determine each other.

Shapes: ``B`` melodies, ``K`` = 16 bars, ``C`` dimensions of a code, ``U`` units, ``G`` attributes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.melody.form import FRESH
from melodyconstraints.melody.units import BARS
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.flow import ConditionalFlow
from melodyconstraints.melody.vae.staff.notation import LINES, REACH, SCALE, SILENT, Ints

_NEAR = (1, 2, 4, 8)
"""So many bars back the flow sees codes as they are."""
_POINTER = 64
_NEVER = -1e9
_DROPOUT = 0.1


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

    def forward(
        self,
        x: Tensor,
        before: list[Tensor] | None = None,
        kept: Sequence[Tensor | float] = (1.0, 1.0),
    ) -> Tensor:
        """``(B, N, U)`` to ``(B, N, U)``.

        Args:
            before: keys and values of the places before, which it is given those of ``x`` as well.
            kept: factors on what the heads and the linear layers add, see :meth:`BarPrior.kept`.
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
        heard = self.from_heads((weights @ value).transpose(1, 2).reshape(batch, count, units))
        x = x + kept[0] * heard
        return x + kept[1] * self.fall(F.gelu(self.rise(self.second_norm(x))))


class Pointer(nn.Module):
    """Which of the bars before is meant, or none of them."""

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
            allowed: ``(B, N, M)`` or ``(N, M)`` whether a bar may be meant.
            first: number of the first of the N bars.
        """
        count, device = played.shape[1], states.device
        numbers = torch.arange(first, first + states.shape[1], device=device)[:, None]
        back = (numbers - torch.arange(count, device=device)).clamp(0, BARS - 1)
        scores = self.query(states) @ self.key(played).transpose(1, 2) / math.sqrt(_POINTER)
        scores = scores + self.by_place[numbers.expand_as(back), back]
        scores = scores.masked_fill(~allowed, _NEVER)
        return torch.cat([self.none(states), scores], -1).log_softmax(-1)


class Bars(NamedTuple):
    """The bars of melodies, one after another.

    Args:
        codes: ``(B, K, C)`` how each moves.
        starts: ``(B, K)`` int64 line of each one's first note, in [0, 34], or SILENT.
        ends: ``(B, K)`` int64 that of its last note, told from its code.
        sources: ``(B, K)`` int64 the bar that each repeats, or :data:`FRESH`.
        rhythms: ``(B, K)`` int64 the last bar before a fresh one that has its rhythm, or FRESH.
    """

    codes: Tensor
    starts: Tensor
    ends: Tensor
    sources: Tensor
    rhythms: Tensor

    @property
    def roots(self) -> Tensor:
        """``(B, K)`` number of the first bar that has each one's rhythm by sources and rhythms."""
        found: list[Tensor] = []
        for bar, (source, rhythm) in enumerate(
            zip(self.sources.unbind(1), self.rhythms.unbind(1), strict=True)
        ):
            found.append(_root(bar, torch.where(source == FRESH, rhythm, source), found))
        return torch.stack(found, 1)


class Read(NamedTuple):
    """What the bars before say of each bar.

    Args:
        conditions: ``(B, K, H)`` of the flow and of the decoder.
        choices: ``(B, K, 1 + K)`` logarithms of the probabilities that it is fresh, that it
            repeats bar 0, 1, ...
        rhythms: ``(B, K, 1 + K)`` those that, if fresh, it has a new rhythm, that of bar 0, 1, ...
        starts: ``(B, K, 36)`` those that its first note lies on line 0, 1, ..., that it is silent.
    """

    conditions: Tensor
    choices: Tensor
    rhythms: Tensor
    starts: Tensor


class BarPrior(nn.Module):
    """Noise of 16 bars to their codes, first lines and repeats, and back."""

    def __init__(self, config: StaffConfig, attributes: int) -> None:
        super().__init__()
        units, code = config.units, config.bar_code
        self.spread = config.spread
        self.dropout_size = config.layers * 2 * units
        self.bar = nn.Linear(code, units)
        self.start = nn.Parameter(nn.init.normal_(torch.empty(units), std=0.02))
        self.number = nn.Parameter(nn.init.normal_(torch.empty(BARS, units), std=0.02))
        self.attributes = nn.Sequential(
            nn.Linear(attributes, units), nn.GELU(), nn.Linear(units, units)
        )
        self.degree, self.mode = nn.Embedding(SCALE, units), nn.Embedding(SCALE, units)
        self.repeat = nn.Embedding(BARS, units)
        self.lines = nn.ModuleDict({name: _Line(units) for name in ("first", "last", "next")})
        for table in (self.degree, self.mode, self.repeat):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(units, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(units)
        self.source, self.rhythm = Pointer(units), Pointer(units)
        self.of_rhythm = nn.Linear(code, units)
        self.next_start = NextStart(units)
        flow = config.flow_units, config.flow_layers
        self.flow = ConditionalFlow(code, condition_size(config), *flow)

    def kept(self, noise: Tensor) -> Tensor:
        """``(layers, 2, B, 1, U)`` factors for a step of the training: a tenth are 0.

        Dropout, of the same units in all bars of a melody (Gal and Ghahramani, "A theoretically
        grounded application of dropout in recurrent neural networks", NIPS 2016).

        Args:
            noise: ``(B, dropout_size)`` standard normal.
        """
        keep = noise > torch.special.ndtri(torch.tensor(_DROPOUT))
        factors = keep.reshape(len(noise), len(self.blocks), 2, 1, -1) / (1 - _DROPOUT)
        return factors.permute(1, 2, 0, 3, 4)

    def read(self, bars: Bars, whole: Whole, kept: Tensor | None = None) -> Read:
        """All bars at once, each after the true bars before it.

        Args:
            kept: see :meth:`kept`; all where None.
        """
        codes = bars.codes
        before = Bars(*(part[:, :-1] for part in bars))
        degrees = whole.degrees[:, None]
        given = self._of_bars(before, repeat_distances(before.sources), degrees)
        x = torch.cat([self.start.expand(len(codes), 1, -1), given], 1)
        x = x + self.number + self._of_whole(whole)[:, None]
        for number, block in enumerate(self.blocks):
            x = block(x) if kept is None else block(x, kept=tuple(kept[number]))
        x = self.norm(x)
        near = [F.pad(codes[:, :-back], (0, 0, back, 0)) for back in _NEAR]
        played = torch.cat([F.pad(x[:, 1:], (0, 0, 0, 1)), self.bar(codes)], -1)
        earlier = distances(BARS, codes.device) > 0
        choices = self.source(x, played, earlier)
        rhythms = self.rhythm(x, played, last_of_rhythms(bars.roots))
        of_rhythm = _picked(codes, bars.rhythms)
        x = x + self.of_rhythm(of_rhythm)
        ends = F.pad(before.ends, (1, 0), value=REACH)
        starts = self.next_start(x, ends, degrees)
        x = x + self.lines["next"](bars.starts, degrees)
        return Read(torch.cat([x, *near, of_rhythm], -1), choices, rhythms, starts)

    def write(
        self,
        noise: Tensor,
        ranks: Tensor,
        whole: Whole,
        end_of: Callable[[Tensor], Tensor],
        form: Tensor | None = None,
    ) -> tuple[Bars, Tensor]:
        """Draw bars in turn.

        Args:
            noise: ``(B, K, C)`` standard normal.
            ranks: ``(B, K, 3)`` uniform in [0, 1]: which bar each repeats, whose rhythm it has, on
                which line it starts.
            end_of: ``(B, C)`` codes to lines from the first note up to the last, ``(B,)``.
            form: ``(B, K)`` the bar that each repeats, or :data:`FRESH`, whatever ``ranks`` say.

        Returns:
            The bars, and the conditions ``(B, K, H)`` that :meth:`read` gives of them.
        """
        rows = torch.arange(len(noise), device=noise.device)
        of_whole, degrees = self._of_whole(whole), whole.degrees
        caches: list[list[Tensor]] = [[] for _ in self.blocks]
        states: list[Tensor] = []
        conditions: list[Tensor] = []
        drawn: list[Bars] = []
        roots: list[Tensor] = []
        x = self.start.expand(len(noise), -1)
        end = torch.full_like(degrees, REACH)
        for bar in range(BARS):
            x = (x + self.number[bar] + of_whole)[:, None]
            for block, cache in zip(self.blocks, caches, strict=True):
                x = block(x, cache)
            states.append(self.norm(x)[:, 0])
            codes = [one.codes for one in drawn]
            source, rhythm = self._choose(states, codes, roots, ranks[:, bar], form)
            every = torch.stack([*codes, torch.zeros_like(noise[:, 0])], 1)
            of_rhythm = _picked(every, rhythm[:, None])[:, 0]
            state = states[-1] + self.of_rhythm(of_rhythm)
            start = _drawn(self._narrowed(self.next_start(state, end, degrees)), ranks[:, bar, 2])
            start = _repeated(start, [one.starts for one in drawn], source, rows)
            near = [codes[bar - n] if bar >= n else torch.zeros_like(noise[:, 0]) for n in _NEAR]
            state = state + self.lines["next"](start, degrees)
            conditions.append(torch.cat([state, *near, of_rhythm], -1))
            code = self.flow(self.spread * noise[:, bar], conditions[-1])
            code = _repeated(code, codes, source, rows)
            end = last_lines(start, end_of(code), end)
            drawn.append(Bars(code, start, end, source, rhythm))
            roots.append(_root(bar, torch.where(source == FRESH, rhythm, source), roots))
            back = torch.where(source == FRESH, 0, bar - source)
            x = self._of_bars(drawn[-1], back, degrees)
        return Bars(*(torch.stack(part, 1) for part in zip(*drawn, strict=True))), torch.stack(
            conditions, 1
        )

    def noise_of(self, bars: Bars, whole: Whole) -> tuple[Tensor, Tensor]:
        """What :meth:`write` needs to draw these bars.

        Args:
            bars: codes and starts equal for a bar and what it repeats.

        Returns:
            Noise ``(B, K, C)``, zeros for repeats; and the bounds ``(B, K, 3, 2)`` between which
            lie the ranks of each source, rhythm and start; 0 and 1 for the last two of a repeat.
        """
        read, codes = self.read(bars, whole), bars.codes
        noise, _ = self.flow.inverse(codes.flatten(0, 1), read.conditions.flatten(0, 1))
        fresh = bars.sources == FRESH
        noise = torch.where(fresh[..., None], noise.reshape(codes.shape) / self.spread, 0.0)
        of_sources = _bounds(read.choices, bars.sources - FRESH)
        of_rhythms = _bounds(read.rhythms, bars.rhythms - FRESH)
        of_starts = _bounds(self._narrowed(read.starts), bars.starts)
        of_fresh = torch.stack([of_rhythms, of_starts], 2)
        whole_range = torch.tensor([0.0, 1.0], device=codes.device)
        of_fresh = torch.where(fresh[..., None, None], of_fresh, whole_range)
        return noise, torch.cat([of_sources[:, :, None], of_fresh], 2)

    def _choose(
        self,
        states: list[Tensor],
        codes: list[Tensor],
        roots: list[Tensor],
        ranks: Tensor,
        form: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """``(B,)`` the bar that the next one repeats, and that whose rhythm it has, or FRESH."""
        state, bar = states[-1], len(codes)
        none = torch.full((len(state),), FRESH, device=state.device)
        if not codes:
            return (none if form is None else form[:, 0]), none
        played = torch.cat([torch.stack(states[1:], 1), self.bar(torch.stack(codes, 1))], -1)
        every = torch.ones(1, bar, dtype=torch.bool, device=state.device)
        if form is None:
            choices = self.source(state[:, None], played, every, bar)[:, 0]
            source = _drawn(choices, ranks[:, 0]) + FRESH
        else:
            source = form[:, bar]
        last = last_of_rhythms(torch.stack([*roots, none], 1))[:, -1:, :-1]
        rhythms = self.rhythm(state[:, None], played, last, bar)[:, 0]
        rhythm = _drawn(rhythms, ranks[:, 1]) + FRESH
        return source, torch.where(source == FRESH, rhythm, FRESH)

    def _narrowed(self, log_probabilities: Tensor) -> Tensor:
        """Those of first lines, nearer to the likeliest where the spread is below 1."""
        return (log_probabilities / self.spread).log_softmax(-1)

    def _of_whole(self, whole: Whole) -> Tensor:
        """``(B, U)``."""
        of_scale = self.degree(whole.degrees) + self.mode(whole.modes)
        return self.attributes(whole.attributes) + of_scale

    def _of_bars(self, bars: Bars, back: Tensor, degrees: Tensor) -> Tensor:
        """``(..., U)`` what later bars hear of ``(...)`` bars.

        Args:
            back: ``(...)`` bars back to the one that each repeats, 0 if it is fresh.
            degrees: degree of the scale at the place, as many dimensions as ``bars`` has.
        """
        of_lines = self.lines["first"](bars.starts, degrees) + self.lines["last"](
            bars.ends, degrees
        )
        return self.bar(bars.codes) + self.repeat(back) + of_lines


class _Line(nn.Module):
    """What a line of the staff says: how high it lies, and its degree of the scale."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.heights = nn.Embedding(LINES + 1, units)
        self.degrees = nn.Embedding(SCALE, units)
        for table in (self.heights, self.degrees):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, lines: Tensor, degrees: Tensor) -> Tensor:
        """``(..., U)`` of ``(...)`` lines, where the place has these degrees."""
        of_degrees = self.degrees((lines - REACH + degrees) % SCALE)
        silent = (lines == SILENT)[..., None]
        return self.heights(lines) + torch.where(silent, 0.0, of_degrees)


class NextStart(nn.Module):
    """Where the next bar starts: an interval from the last note, a line and a degree at once."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.last = _Line(units)
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


def last_lines(starts: Tensor, rises: Tensor, before: Tensor) -> Tensor:
    """``(...)`` line of the last note of bars: that of the bar before where one is silent.

    Args:
        rises: lines from each bar's first note to its last one.
    """
    ends = (starts + rises).clamp(0, LINES - 1)
    return torch.where(starts == SILENT, before, ends)


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


def _root(bar: int, earlier: Tensor, roots: list[Tensor]) -> Tensor:
    """``(B,)`` of bar number ``bar``: that of the ``earlier`` one, or its own if that is FRESH.

    Args:
        roots: of the bars before.
    """
    every = torch.stack([*roots, torch.full_like(earlier, bar)], 1)
    return every.gather(1, torch.where(earlier == FRESH, bar, earlier)[:, None])[:, 0]


def _picked(codes: Tensor, bars: Tensor) -> Tensor:
    """``(B, N, C)`` codes of ``(B, N)`` bars, from all ``(B, M, C)``; zeros for FRESH."""
    index = bars.clamp(min=0)[..., None].expand(*bars.shape, codes.shape[-1])
    return torch.where((bars == FRESH)[..., None], 0.0, codes.gather(1, index))


def _drawn(log_probabilities: Tensor, ranks: Tensor) -> Tensor:
    """``(B,)`` which of n each rank in [0, 1] means, by their ``(B, n)`` shares of it."""
    cumulative = log_probabilities.exp().cumsum(-1)
    last = log_probabilities.shape[-1] - 1
    return (cumulative <= ranks[:, None]).sum(-1).clamp(max=last)


def _bounds(log_probabilities: Tensor, chosen: Tensor) -> Tensor:
    """``(..., 2)`` between which the ranks lie that mean the chosen of ``(..., n)``."""
    probabilities = log_probabilities.exp()
    picked = chosen[..., None]
    upper = probabilities.cumsum(-1).gather(-1, picked)
    return torch.cat([upper - probabilities.gather(-1, picked), upper], -1)


def _repeated(drawn: Tensor, earlier: list[Tensor], source: Tensor, rows: Tensor) -> Tensor:
    """``(B, ...)`` what was drawn, where a bar is fresh, and what its source has elsewhere."""
    if not earlier:
        return drawn
    copied = torch.stack(earlier, 1)[rows, source.clamp(min=0)]
    fresh = (source == FRESH).reshape(-1, *[1] * (drawn.dim() - 1))
    return torch.where(fresh, drawn, copied)


def condition_size(config: StaffConfig) -> int:
    """H: numbers on which the flow and the decoder are conditioned."""
    return config.units + (len(_NEAR) + 1) * config.bar_code


def distances(count: int, device: torch.device) -> Tensor:
    """``(count, count)`` places from the column back to the row: negative above the diagonal."""
    places = torch.arange(count, device=device)
    return places[:, None] - places[None]


def repeat_distances(sources: Tensor) -> Tensor:
    """``(B, K)`` bars from each bar back to the one that it repeats, 0 if it is fresh."""
    numbers = torch.arange(sources.shape[1], device=sources.device)
    return torch.where(sources == FRESH, 0, numbers - sources)
