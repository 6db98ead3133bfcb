"""Playing of bars: their notes, in turn.

What the next bar goes on from is the likeliest notes of those before it: they depend on the point
alone, whatever temperature the notes are drawn at.

Shapes: ``B`` melodies, ``K`` = 16 bars of ``S`` = 16 steps, ``T`` = 256 steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from melodyconstraints.melody.form import FRESH, Form
from melodyconstraints.melody.rhythm import EITHER, NO_NOTE, NOTE, signs_of_rhythm
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.bar_prior import Next, Played, Whole
from melodyconstraints.melody.vae.staff.bars import (
    ANY,
    BarVAE,
    Given,
    first_line,
    higher,
    kinds_of,
    last_line,
    lines_above,
    silence_after,
)
from melodyconstraints.melody.vae.staff.calibration import Calibration
from melodyconstraints.melody.vae.staff.decisions import Bars, recalled_bar
from melodyconstraints.melody.vae.staff.layers import NEVER
from melodyconstraints.melody.vae.staff.notation import SCALE, TOKEN_HOLD
from melodyconstraints.melody.vae.staff.prepared_decoder import PreparedDecoder

_LIKELIEST = Sampling(temperature=0.0)


class Player:
    """Plays bars for :meth:`.bar_prior.BarPrior.write`: their likeliest notes, and drawn ones.

    Args:
        whole: conditions of all bars.
        noise: ``(B, T)`` uniform in [0, 1), one number a token; None where nothing is drawn.
        form: form, in which some bars begin like others; none do where None.
    """

    def __init__(
        self,
        bars: BarVAE,
        calibration: Calibration,
        whole: Whole,
        noise: Tensor | None = None,
        sampling: Sampling = _LIKELIEST,
        form: Form | None = None,
    ) -> None:
        self._bars, self._sampling, self._form = bars, sampling, form
        self._rhythms = _rhythms_of_bars(sampling.rhythm)
        self._decoder = PreparedDecoder(bars.decoder, calibration)
        self._noise = None if noise is None else noise.unbind(1)
        self._rows, self._copies = len(whole.modes), 1 if noise is None else 2
        self._whole = Whole(*self._copied(whole))
        self._played: list[Tensor] = []
        self._sources: list[Tensor] = []

    @property
    def drawn(self) -> Tensor:
        """``(B, T)`` tokens; the likeliest where nothing is drawn."""
        return torch.cat(self._played, 1)[-self._rows :]

    def __call__(self, bar: Next) -> Played:
        """Play the next bar; a repeat is what it repeats."""
        copied = self._in_rhythm(Next(*self._copied(bar)))
        given = given_after(copied, self._whole, self._played, len(self._played))
        given = given._replace(conditions=bar.condition)
        above, begun = lines_above(copied.start), self._begun()
        choose = partial(self._choose, higher(begun, -above).unbind(1))
        tokens = higher(self._decoder(self._bars.raw(bar.code), given, choose), above)
        tokens[:, : begun.shape[1]] = begun
        if self._played:
            fresh = (copied.source == FRESH)[:, None]
            tokens = torch.where(fresh, tokens, _tokens_of(self._played, copied.source))
        self._played.append(tokens)
        likeliest = tokens[: self._rows]
        code = self._bars.mean_codes(likeliest)
        return Played(code, first_line(likeliest), last_line(likeliest))

    def _copied(self, parts: Iterable[Tensor]) -> Iterator[Tensor]:
        """Tensors repeated for likeliest and drawn notes."""
        return (torch.cat([part] * self._copies) for part in parts)

    def _in_rhythm(self, bar: Next) -> Next:
        """The next bar, where what it repeats was played in another rhythm than is asked for.

        There it repeats what does so in this rhythm, or else is a fresh one.
        """
        self._sources.append(bar.source)
        number, source, rhythm = len(self._played), bar.source, bar.rhythm
        fits = [self._rhythms[earlier] == self._rhythms[number] for earlier in range(number)]
        for other in (earlier for earlier in range(number) if not fits[earlier]):
            repeat = torch.full_like(source, FRESH)
            for earlier in filter(fits.__getitem__, range(number)):
                repeat = torch.where(self._sources[earlier] == other, earlier, repeat)
            source = torch.where(source == other, repeat, source)
            rhythm = torch.where(rhythm == other, FRESH, rhythm)
        return bar._replace(source=source, rhythm=rhythm)

    def _begun(self) -> Tensor:
        """``(N, n)`` tokens with which the next bar begins, as its form says; mostly none."""
        form, bar = self._form, len(self._played)
        like = FRESH if form is None else int(form.begins[bar])
        if form is None or like == FRESH or self._rhythms[like] != self._rhythms[bar]:
            return torch.empty_like(self._whole.modes)[:, None][:, :0]
        return self._played[like][:, : form.begun]

    def _choose(self, begun: Sequence[Tensor], step: int, logits: Tensor) -> Tensor:
        if step < len(begun):
            return begun[step]
        sign = self._rhythms[len(self._played)][step]
        if sign == NOTE:
            logits[:, TOKEN_HOLD:] = NEVER
        elif sign == NO_NOTE:  # where a note would have started, the one before it is held on
            logits[:, TOKEN_HOLD] = logits[:, : TOKEN_HOLD + 1].logsumexp(-1)
            logits[:, :TOKEN_HOLD] = NEVER
        likeliest = logits[: self._rows].argmax(-1)
        if self._noise is None:
            return likeliest
        noise = self._noise[len(self._played) * STEPS_PER_BAR + step]
        return torch.cat([likeliest, self._sampling(logits[self._rows :], noise)])


def given_after(bar: Next, whole: Whole, played: list[Tensor], number: int) -> Given:
    """Inputs of the decoder of a bar.

    Args:
        played: tokens ``(B, S)`` of the bars before, and perhaps of later ones.
        number: number of the bar.
    """
    above = lines_above(bar.start)
    degrees = (whole.degrees + above) % SCALE
    none = torch.full((len(above), STEPS_PER_BAR), ANY, device=above.device)
    silence = torch.zeros_like(above)
    for tokens in played[:number]:
        silence = silence_after(tokens, silence)
    rhythms = recalled = none
    if number:
        of_rhythm = kinds_of(_tokens_of(played, bar.rhythm))
        rhythms = torch.where((bar.rhythm == FRESH)[:, None], none, of_rhythm)
        earlier = recalled_bar(bar.rhythm, number)
        tokens = higher(_tokens_of(played, earlier), -above)
        recalled = torch.where((earlier < 0)[:, None], none, tokens)
    of_signature = (degrees + whole.modes) % SCALE
    return Given(bar.condition, degrees, of_signature, rhythms, recalled, silence)


def given_all(bars: Bars, conditions: Tensor, whole: Whole, tokens: Tensor) -> Given:
    """Decoder inputs of all bars, side by side, after true notes.

    Args:
        conditions: ``(B, K, H)``.
        tokens: ``(B, T)``.
    """
    played = list(tokens.reshape(len(tokens), BARS, -1).unbind(1))
    every = Next(bars.codes, bars.starts, conditions, bars.sources, bars.rhythms)
    parts = [
        given_after(Next(*(part[:, number] for part in every)), whole, played, number)
        for number in range(BARS)
    ]
    return Given(*(torch.stack(part, 1).flatten(0, 1) for part in zip(*parts, strict=True)))


def _rhythms_of_bars(text: str) -> list[str]:
    """The 16 signs of each bar; see :mod:`melodyconstraints.melody.rhythm`.

    >>> _rhythms_of_bars("x...|.x..|____|____|x...|....|....|....")[:3]
    ['x....x..________', 'x...............', 'x....x..________']
    """
    signs = "".join(signs_of_rhythm(text)) if text else STEPS * EITHER
    return [signs[start : start + STEPS_PER_BAR] for start in range(0, STEPS, STEPS_PER_BAR)]


def _tokens_of(played: list[Tensor], numbers: Tensor) -> Tensor:
    """``(B, S)`` tokens of the bar of each ``(B,)`` number; any bar's for negative ones."""
    rows = torch.arange(len(numbers), device=numbers.device)
    return torch.stack(played, 1)[rows, numbers.clamp(min=0)]
