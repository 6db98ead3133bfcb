"""A bar decoder prepared for drawing: what does not depend on the notes is computed once.

Shapes: ``N`` bars side by side, ``S`` = 16 steps, ``V`` = 72 tokens, ``G`` gates of the GRU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from melodyconstraints.melody.units import STEPS_PER_BAR
from melodyconstraints.melody.vae.staff.bars import (
    ANY,
    NEVER,
    Given,
    StaffBarDecoder,
    degree_columns,
    not_in_rhythm,
)
from melodyconstraints.melody.vae.staff.calibration import LAST, NEITHER, SO_FAR, Calibration
from melodyconstraints.melody.vae.staff.notation import (
    SCALE,
    TOKEN_HOLD,
    TOKEN_START,
    TOKENS,
)

Choose = Callable[[int, Tensor], Tensor]
"""Of a step, ``(N, V)`` logits to ``(N,)`` tokens."""


class Heard:
    """What has been heard of bars so far.

    Attributes:
        last: ``(N,)`` last note, or :data:`.bars.ANY` where there is none yet.
        agreement: ``(N,)`` with the recalled bar: :data:`.calibration.SO_FAR` and so on.
    """

    def __init__(self, given: Given) -> None:
        self._recalled = given.recalled.unbind(1)
        self.last = torch.full_like(given.degrees, ANY)
        self.agreement = torch.full_like(given.degrees, SO_FAR)

    def hear(self, step: int, tokens: Tensor) -> None:
        """``(N,)`` tokens of a step."""
        is_note, same = tokens < TOKEN_HOLD, tokens == self._recalled[step]
        so_far = (self.agreement == SO_FAR) & same
        last = torch.where(is_note, same, self.agreement != NEITHER)
        self.last = torch.where(is_note, tokens, self.last)
        self.agreement = torch.where(so_far, SO_FAR, torch.where(last, LAST, NEITHER))


class Drawing:
    """Draws bars; see :class:`.bars.StaffBarDecoder`, whose logits it takes step by step."""

    def __init__(self, decoder: StaffBarDecoder, calibration: Calibration) -> None:
        self._decoder, self._calibration = decoder, calibration
        of_input, self._of_state, self._bias, self._state_bias = decoder.gru.all_weights[0]
        embedding = decoder.before.embedding_dim
        self._of_features = of_input[:, embedding:]
        self._before = decoder.before.weight @ of_input[:, :embedding].T
        degrees = torch.arange(SCALE, device=of_input.device)[:, None]
        last = torch.arange(ANY, TOKEN_HOLD, device=of_input.device)
        self._intervals = calibration.of_interval(last.expand(SCALE, -1), degrees)
        layers = decoder.output, decoder.degrees
        self._output = F.pad(torch.cat([layer.weight for layer in layers]), (0, 0, 0, 1))
        self._output_bias = F.pad(torch.cat([layer.bias for layer in layers]), (0, 1))

    def __call__(self, codes: Tensor, given: Given, choose: Choose) -> Tensor:
        """A bar for each of ``(N, C)`` codes: ``(N, S)`` int64 tokens."""
        features, state = self._decoder.prepare(codes, given)
        of_steps = F.linear(features, self._of_features, self._bias)
        never = not_in_rhythm(given.rhythms)
        every = torch.arange(TOKENS, device=codes.device)
        again = (given.recalled[..., None] == every).to(codes)
        of_agreement = self._calibration.recalled_tokens[given.new.long()]
        columns = TOKENS + degree_columns(given.degrees)
        token = torch.full((len(codes),), TOKEN_START, device=codes.device)
        heard, drawn = Heard(given), []
        for step in range(STEPS_PER_BAR):
            state = self._advance(self._before[token] + of_steps[:, step], state)
            outputs = torch.cat([state, features[:, step]], -1)
            scores = F.linear(outputs, self._output, self._output_bias)
            logits = scores[:, :TOKENS] + scores.gather(-1, columns)
            term = of_agreement.gather(-1, heard.agreement[:, None])
            of_interval = self._intervals[given.of_signature, heard.last + 1]
            logits = logits + of_interval + term * again[:, step]
            token = choose(step, logits.masked_fill_(never[:, step], NEVER))
            heard.hear(step, token)
            drawn.append(token)
        return torch.stack(drawn, 1)

    def _advance(self, gates: Tensor, state: Tensor) -> Tensor:
        """One step of the GRU."""
        new = gates.chunk(3, -1)
        old = F.linear(state, self._of_state, self._state_bias).chunk(3, -1)
        reset, update = torch.sigmoid(new[0] + old[0]), torch.sigmoid(new[1] + old[1])
        return torch.lerp(torch.tanh(new[2] + reset * old[2]), state, update)


def calibrated(calibration: Calibration, given: Given, bars: Tensor) -> Tensor:
    """``(N, S, V)`` terms of the logits of the true ``bars`` ``(N, S)``."""
    heard, terms = Heard(given), []
    for step, tokens in enumerate(bars.unbind(1)):
        of_recalled = calibration.of_recalled(given.recalled[:, step], given.new, heard.agreement)
        terms.append(of_recalled + calibration.of_interval(heard.last, given.of_signature))
        heard.hear(step, tokens)
    return torch.stack(terms, 1)
