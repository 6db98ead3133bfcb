"""A bar decoder prepared for drawing: what does not depend on the notes is computed once.

Shapes: ``N`` bars side by side, ``S`` = 16 steps, ``V`` = 72 tokens, ``G`` gates of the GRU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from melodyconstraints.melody.vae.staff.bars import (
    ANY,
    Given,
    StaffBarDecoder,
    degree_columns,
    not_in_rhythm,
)
from melodyconstraints.melody.vae.staff.calibration import SO_FAR, Calibration, silence_class
from melodyconstraints.melody.vae.staff.layers import NEVER
from melodyconstraints.melody.vae.staff.notation import (
    SCALE,
    TOKEN_HOLD,
    TOKEN_REST,
    TOKEN_START,
    TOKENS,
)

Choose = Callable[[int, Tensor], Tensor]
"""Function that chooses ``(N,)`` tokens of a step from ``(N, V)`` logits."""


class BarState:
    """State of bars whose first tokens are known, step by step.

    Attributes:
        last: ``(N,)`` last note, or :data:`.bars.ANY` where there is none yet.
        silence: ``(N,)`` steps in which nothing has sounded.
        agreement: ``(N,)`` agreement with the recalled bar: :data:`.calibration.SO_FAR` and so on.
    """

    def __init__(self, given: Given) -> None:
        self._recalled = given.recalled.unbind(1)
        self.last = torch.full_like(given.degrees, ANY)
        self.silence = given.silence
        self._ever_other = torch.zeros_like(self.last)
        self._last_other = torch.zeros_like(self.last)
        self.agreement = torch.full_like(self.last, SO_FAR)

    def update(self, step: int, tokens: Tensor) -> None:
        """Take in ``(N,)`` tokens of a step."""
        is_note, other = tokens < TOKEN_HOLD, (tokens != self._recalled[step]).long()
        self._ever_other |= other
        self._last_other = torch.where(is_note, other, self._last_other)
        self.last = torch.where(is_note, tokens, self.last)
        self.silence = torch.where(tokens == TOKEN_REST, self.silence + 1, 0)
        self.agreement = self._ever_other + self._last_other  # SO_FAR, LAST, NEITHER: 0, 1, 2


class PreparedDecoder:
    """Decoder that draws bars, by the logits of a :class:`.bars.StaffBarDecoder` step by step.

    A state's share of the next gates and of this step's scores is one product.
    """

    def __init__(self, decoder: StaffBarDecoder, calibration: Calibration) -> None:
        self._decoder, self._calibration = decoder, calibration
        units, embedding = decoder.gru.hidden_size, decoder.before.embedding_dim
        of_input, of_state, bias, state_bias = decoder.gru.all_weights[0]
        output = torch.cat([decoder.output.weight, decoder.degrees.weight])
        output_bias = torch.cat([decoder.output.bias, decoder.degrees.bias])
        no_degree = F.pad(output, (0, 0, 0, 1))
        self._before = decoder.before.weight @ of_input[:, :embedding].T
        self._of_features = torch.cat([of_input[:, embedding:], no_degree[:, units:]])
        self._bias = torch.cat([bias, F.pad(output_bias, (0, 1))])
        self._of_state = torch.cat([of_state, no_degree[:, :units]])
        self._state_bias = F.pad(state_bias, (0, len(no_degree)))
        degrees = torch.arange(SCALE, device=of_input.device)[:, None]
        last = torch.arange(ANY, TOKEN_HOLD, device=of_input.device)
        of_interval = calibration.of_interval(last.expand(SCALE, -1), degrees)
        self._of_interval, self._notes = of_interval.flatten(0, 1), len(last)
        self._of_kinds = calibration.of_kinds().unbind()

    def __call__(self, codes: Tensor, given: Given, choose: Choose) -> Tensor:
        """A bar for each of ``(N, C)`` codes, or several: ``(M N, S)`` int64 tokens.

        Args:
            given: conditions ``(N, H)``; the rest ``(M N, ...)``, all rows once, once more, ...
        """
        features, state = self._decoder.prepare(codes, given)
        copies, gates = len(given.degrees) // len(codes), 3 * state.shape[1]
        of_steps = F.linear(features, self._of_features, self._bias).repeat(copies, 1, 1)
        never = not_in_rhythm(given.rhythms)
        of_steps[..., gates : gates + TOKENS].masked_fill_(never, NEVER)
        state = state.repeat(copies, 1)
        recalled, recalls = given.recalled.clamp(min=0)[..., None], given.recalled != ANY
        of_agreement = self._calibration.recalled_tokens[given.new.long()]
        of_agreement = of_agreement[:, None] * recalls[..., None]
        columns = TOKENS + degree_columns(given.degrees)
        signature = given.of_signature * self._notes - ANY
        token = torch.full((len(state),), TOKEN_START, device=codes.device)
        of_state = F.linear(state, self._of_state, self._state_bias)
        so_far, drawn = BarState(given), []
        parts = (part.unbind(1) for part in (of_steps, recalled, of_agreement))
        steps = (*parts, self._of_kinds)
        for step, (of_step, of_recalled, terms, of_kind) in enumerate(zip(*steps, strict=True)):
            of_gates, of_scores = of_step.tensor_split([gates], 1)
            new = of_gates + self._before.index_select(0, token)
            state = _advanced(new, of_state[:, :gates], state)
            of_state = F.linear(state, self._of_state, self._state_bias)
            scores = of_state[:, gates:] + of_scores
            logits = scores[:, :TOKENS] + scores.gather(-1, columns)
            logits += self._of_interval.index_select(0, signature + so_far.last)
            logits += of_kind.index_select(0, silence_class(so_far.silence))
            logits.scatter_add_(-1, of_recalled, terms.gather(-1, so_far.agreement[:, None]))
            token = choose(step, logits)
            so_far.update(step, token)
            drawn.append(token)
        return torch.stack(drawn, 1)


def _advanced(new: Tensor, old: Tensor, state: Tensor) -> Tensor:
    """``(N, units)`` state of the GRU after a step.

    Args:
        new, old: ``(N, 3 units)`` shares of the gates of the input and of the ``state``.
    """
    split = [2 * state.shape[1]]
    (new_gates, new_candidate), (old_gates, old_candidate) = (
        shares.tensor_split(split, 1) for shares in (new, old)
    )
    reset, update = torch.sigmoid_(new_gates + old_gates).chunk(2, 1)
    candidate = torch.addcmul(new_candidate, reset, old_candidate)
    return torch.lerp(candidate.tanh_(), state, update)


def calibrated(calibration: Calibration, given: Given, bars: Tensor) -> Tensor:
    """``(N, S, V)`` terms of the logits of the true ``bars`` ``(N, S)``."""
    so_far, terms, of_kinds = BarState(given), [], calibration.of_kinds()
    for step, tokens in enumerate(bars.unbind(1)):
        of_recalled = calibration.of_recalled(given.recalled[:, step], given.new, so_far.agreement)
        of_interval = calibration.of_interval(so_far.last, given.of_signature)
        terms.append(of_recalled + of_interval + of_kinds[step, silence_class(so_far.silence)])
        so_far.update(step, tokens)
    return torch.stack(terms, 1)
