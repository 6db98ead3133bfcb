"""Bars one after another: what a bar is like after those before it.

A causal transformer reads the bars before. It says which of them the next bar repeats, if any;
else whose rhythm it has, if not a new one, on which line of the staff it starts, and the flow's
condition, which makes the code that says how it goes on. All that is drawn comes from normal and
uniform numbers that are handed in, so that numbers and bars determine each other.

Shapes: ``B`` melodies, ``K`` = 16 bars, ``C`` dimensions of a code, ``U`` units, ``G`` attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.melody.form import FRESH
from melodyconstraints.melody.units import BARS
from melodyconstraints.melody.vae.staff.bars import ANY
from melodyconstraints.melody.vae.staff.calibration import Calibration
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.decisions import (
    RHYTHM,
    SOURCE,
    START,
    Bars,
    Decisions,
    last_of_rhythms,
    recalled_bar,
    root,
)
from melodyconstraints.melody.vae.staff.flow import ConditionalFlow
from melodyconstraints.melody.vae.staff.layers import (
    INITIAL_STD,
    Block,
    Line,
    NextStart,
    Pointer,
    distances,
)
from melodyconstraints.melody.vae.staff.notation import REACH, SCALE, SILENT, Ints

_NEAR = (1, 2, 4, 8)
"""Bars back at which the flow sees codes as they are."""
_DROPOUT = 0.1


class Whole(NamedTuple):
    """Conditions of all bars of a melody: its attributes, place and mode.

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
        """Build from arrays, on the device of the attributes."""
        device = attributes.device
        on_device = (torch.from_numpy(numbers).to(device) for numbers in (degrees, modes))
        return cls(attributes, *on_device)


class Next(NamedTuple):
    """The next bar of melodies, before it is played.

    Args:
        code: ``(B, C)`` code of how it moves.
        start: ``(B,)`` int64 line of its first note, in [0, 34], or SILENT.
        condition: ``(B, H)`` condition of the decoder.
        source: ``(B,)`` int64 the bar that it repeats, or :data:`FRESH`.
        rhythm: ``(B,)`` int64 the bar whose rhythm a fresh one has, or FRESH.
    """

    code: Tensor
    start: Tensor
    condition: Tensor
    source: Tensor
    rhythm: Tensor


class Played(NamedTuple):
    """A bar of melodies, after it is played.

    Args:
        code: ``(B, C)`` code of its notes.
        first, last: ``(B,)`` int64 lines of its first and last notes, or SILENT.
    """

    code: Tensor
    first: Tensor
    last: Tensor


class Read(NamedTuple):
    """Predictions of each bar from the bars before.

    Args:
        conditions: ``(B, K, H)`` conditions of the flow and of the decoder.
        choices: ``(B, K, 1 + K)`` logarithms of the probabilities that it is fresh, that it
            repeats bar 0, 1, ...
        rhythms: ``(B, K, 1 + K)`` logarithms of those that, if fresh, it has a new rhythm, that of
            bar 0, 1, ...
        starts: ``(B, K, 36)`` logarithms of those that its first note lies on line 0, 1, ..., that
            it is silent.
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
        self.start = nn.Parameter(nn.init.normal_(torch.empty(units), std=INITIAL_STD))
        self.number = nn.Parameter(nn.init.normal_(torch.empty(BARS, units), std=INITIAL_STD))
        self.attributes = nn.Sequential(
            nn.Linear(attributes, units), nn.GELU(), nn.Linear(units, units)
        )
        self.degree, self.mode = nn.Embedding(SCALE, units), nn.Embedding(SCALE, units)
        self.repeat = nn.Embedding(BARS, units)
        self.lines = nn.ModuleDict({name: Line(units) for name in ("first", "last", "next")})
        for table in (self.degree, self.mode, self.repeat):
            nn.init.normal_(table.weight, std=INITIAL_STD)
        self.blocks = nn.ModuleList(Block(units, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(units)
        self.source, self.rhythm = Pointer(units), Pointer(units)
        self.of_rhythm = nn.Linear(code, units)
        self.next_start = NextStart(units)
        flow = config.flow_units, config.flow_layers
        self.flow = ConditionalFlow(code, condition_size(config), *flow)

    def dropout_factors(self, noise: Tensor) -> Tensor:
        """``(layers, 2, B, 1, U)`` factors for a step of the training: a tenth are 0.

        Dropout, of the same units in all bars of a melody (Gal and Ghahramani, "A theoretically
        grounded application of dropout in recurrent neural networks", NIPS 2016).

        Args:
            noise: ``(B, dropout_size)`` standard normal.
        """
        keep = noise > torch.special.ndtri(torch.tensor(_DROPOUT))
        factors = keep.reshape(len(noise), len(self.blocks), 2, 1, -1) / (1 - _DROPOUT)
        return factors.permute(1, 2, 0, 3, 4)

    def read(self, bars: Bars, whole: Whole, dropout_factors: Tensor | None = None) -> Read:
        """All bars at once, each after the true bars before it.

        Args:
            dropout_factors: factors of :meth:`dropout_factors`; 1 where None.
        """
        codes, degrees = bars.played_codes, whole.degrees[:, None]
        before = Bars(*(part[:, :-1] for part in bars))
        back = repeat_distances(before.sources)
        given = self._of_bars(before.played_codes, before.starts, before.ends, back, degrees)
        x = torch.cat([self.start.expand(len(codes), 1, -1), given], 1)
        x = x + self.number + self._of_whole(whole)[:, None]
        for number, block in enumerate(self.blocks):
            factors = None if dropout_factors is None else tuple(dropout_factors[number])
            x = block(x, dropout_factors=factors)
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
        decide: Decisions,
        whole: Whole,
        play: Callable[[Next], Played],
        calibration: Calibration,
    ) -> tuple[Bars, Tensor]:
        """Write bars in turn, each after what was played of those before it.

        Args:
            decide: decisions on each bar.
            play: function that turns each bar into notes.

        Returns:
            The bars, and the conditions ``(B, K, H)`` of their decoder.
        """
        of_whole, degrees = self._of_whole(whole), whole.degrees  # (B, U), (B,)
        of_signature = (degrees + whole.modes) % SCALE
        nothing = of_whole.new_zeros(len(degrees), self.bar.in_features)  # (B, C)
        so_far = _SoFar([torch.full_like(degrees, REACH)], [[] for _ in self.blocks])
        x = self.start.expand(len(degrees), -1)  # (B, U) input: what the bar before was like
        for bar in range(BARS):
            # the transformer: what the bars before say of this one
            x = (x + self.number[bar] + of_whole)[:, None]  # (B, 1, U)
            for block, cache in zip(self.blocks, so_far.caches, strict=True):
                x = block(x, cache)
            so_far.states.append(self.norm(x)[:, 0])
            # the bar that it repeats, or whose rhythm it has
            source, rhythm = self._choose(decide, so_far, calibration)  # (B,) each
            codes, end = so_far.codes, so_far.ends[-1]
            of_rhythm = _picked(torch.stack([*codes, nothing], 1), rhythm[:, None])[:, 0]  # (B, C)
            state = so_far.states[-1] + self.of_rhythm(of_rhythm)  # (B, U)
            # the line on which it starts
            starts = calibration.of_start(
                self.next_start(state, end, degrees),
                *(end, of_signature, _recalled_start(so_far.played, rhythm), rhythm == FRESH),
            )
            start = decide(START, bar, self._narrowed(starts))  # (B,), from (B, 36)
            start = _repeated(start, [one.start for one in so_far.written], source)
            # the code that says how it goes on, by the flow under all this
            near = [codes[bar - back] if bar >= back else nothing for back in _NEAR]
            state = state + self.lines["next"](start, degrees)
            condition = torch.cat([state, *near, of_rhythm], -1)  # (B, H)
            code = decide.code(bar, self.flow, condition, self.spread)  # (B, C)
            code = _repeated(code, [one.code for one in so_far.written], source)
            # its notes, and what the next bar sees of them
            written = Next(code, start, condition, source, rhythm)
            played = play(written)
            so_far.add(written, played)
            back = torch.where(source == FRESH, 0, bar - source)  # (B,)
            x = self._of_bars(played.code, played.first, so_far.ends[-1], back, degrees)
        return so_far.side_by_side()

    def _choose(
        self,
        decide: Decisions,
        so_far: _SoFar,
        calibration: Calibration,
    ) -> tuple[Tensor, Tensor]:
        """``(B,)`` the bar that the next one repeats, and that whose rhythm it has, or FRESH."""
        state, bar = so_far.states[-1], len(so_far.played)
        none = torch.full((len(state),), FRESH, device=state.device)
        if not bar:
            certain = state.new_zeros(len(state), 1)
            return decide(SOURCE, 0, certain) + FRESH, decide(RHYTHM, 0, certain) + FRESH
        codes = self.bar(torch.stack(so_far.codes, 1))
        played = torch.cat([torch.stack(so_far.states[1:], 1), codes], -1)
        every = torch.ones(1, bar, dtype=torch.bool, device=state.device)
        sources = self.source(state[:, None], played, every, bar)[:, 0]
        source = decide(SOURCE, bar, calibration.of_source(sources, bar)) + FRESH
        last = last_of_rhythms(torch.stack([*so_far.roots, none], 1))[:, -1:, :-1]
        rhythms = self.rhythm(state[:, None], played, last, bar)[:, 0]
        rhythm = decide(RHYTHM, bar, calibration.of_rhythm(rhythms)) + FRESH
        return source, torch.where(source == FRESH, rhythm, FRESH)

    def _narrowed(self, log_probabilities: Tensor) -> Tensor:
        """Log-probabilities of first lines, sharpened where the spread is below 1."""
        return (log_probabilities / self.spread).log_softmax(-1)

    def _of_whole(self, whole: Whole) -> Tensor:
        """``(B, U)`` input from the conditions of all bars."""
        of_scale = self.degree(whole.degrees) + self.mode(whole.modes)
        return self.attributes(whole.attributes) + of_scale

    def _of_bars(
        self, codes: Tensor, starts: Tensor, ends: Tensor, back: Tensor, degrees: Tensor
    ) -> Tensor:
        """``(..., U)`` input of later bars from ``(...)`` bars; see :class:`Bars`.

        Args:
            back: ``(...)`` bars back to the one that each repeats, 0 if it is fresh.
            degrees: degree of the scale at the place, as many dimensions as ``starts`` has.
        """
        of_lines = self.lines["first"](starts, degrees) + self.lines["last"](ends, degrees)
        return self.bar(codes) + self.repeat(back) + of_lines


@dataclass
class _SoFar:
    """Bars of ``B`` melodies that are written, an element each.

    Args:
        ends: ``(B,)`` line of the last note before each bar, and after the last one.
        caches: keys and values of each block of the transformer.
        states: ``(B, U)`` what the transformer says of each bar, and of the one that is written.
        written, played: bars as they were drawn, and as they were played.
        roots: ``(B,)`` first bar with the rhythm of each.
    """

    ends: list[Tensor]
    caches: list[list[Tensor]]
    states: list[Tensor] = field(default_factory=list)
    written: list[Next] = field(default_factory=list)
    played: list[Played] = field(default_factory=list)
    roots: list[Tensor] = field(default_factory=list)

    @property
    def codes(self) -> list[Tensor]:
        """``(B, C)`` codes of the bars as they were played."""
        return [one.code for one in self.played]

    def add(self, written: Next, played: Played) -> None:
        """Add a bar."""
        recalled = torch.where(written.source == FRESH, written.rhythm, written.source)
        self.roots.append(root(len(self.written), recalled, self.roots))
        self.ends.append(torch.where(played.last == SILENT, self.ends[-1], played.last))
        self.written.append(written)
        self.played.append(played)

    def side_by_side(self) -> tuple[Bars, Tensor]:
        """All bars, ``(B, K, ...)``, and the conditions ``(B, K, H)`` of their decoder."""
        every = Next(*(torch.stack(part, 1) for part in zip(*self.written, strict=True)))
        played = Played(*(torch.stack(part, 1) for part in zip(*self.played, strict=True)))
        bars = Bars(
            *(every.code, played.code, every.start, torch.stack(self.ends[1:], 1)),
            *(every.source, every.rhythm),
        )
        return bars, every.condition


def _picked(codes: Tensor, bars: Tensor) -> Tensor:
    """``(B, N, C)`` codes of ``(B, N)`` bars, from all ``(B, M, C)``; zeros for FRESH."""
    index = bars.clamp(min=0)[..., None].expand(*bars.shape, codes.shape[-1])
    return torch.where((bars == FRESH)[..., None], 0.0, codes.gather(1, index))


def _repeated(drawn: Tensor, earlier: list[Tensor], source: Tensor) -> Tensor:
    """``(B, ...)`` what was drawn, where a bar is fresh, and what its source has elsewhere."""
    if not earlier:
        return drawn
    rows = torch.arange(len(source), device=source.device)
    copied = torch.stack(earlier, 1)[rows, source.clamp(min=0)]
    fresh = (source == FRESH).reshape(-1, *[1] * (drawn.dim() - 1))
    return torch.where(fresh, drawn, copied)


def _recalled_start(played: list[Played], rhythm: Tensor) -> Tensor:
    """``(B,)`` line on which the bar starts that the next one recalls, or :data:`.bars.ANY`."""
    if not played:
        return torch.full_like(rhythm, ANY)
    bar = recalled_bar(rhythm, len(played))
    firsts = torch.stack([one.first for one in played], 1)
    return torch.where(bar < 0, ANY, firsts.gather(1, bar.clamp(min=0)[:, None])[:, 0])


def condition_size(config: StaffConfig) -> int:
    """H: numbers on which the flow and the decoder are conditioned."""
    return config.units + (len(_NEAR) + 1) * config.bar_code


def repeat_distances(sources: Tensor) -> Tensor:
    """``(B, K)`` bars from each bar back to the one that it repeats, 0 if it is fresh."""
    numbers = torch.arange(sources.shape[1], device=sources.device)
    return torch.where(sources == FRESH, 0, numbers - sources)
