"""Single bars to codes and back: a variational autoencoder of 16 tokens.

Lines are counted from a bar's first note: a code says how a bar moves, not where it lies, and bars
that are equal but for their height have equal codes, whatever stands beside them. The decoder may
be conditioned on the bars before: they say which notes fit.

Shapes: ``N`` bars side by side, ``S`` = 16 steps, ``C`` dimensions of a code, ``V`` = 72 tokens,
``H`` size of a condition.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.melody.units import STEPS_PER_BAR
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.notation import (
    LINES,
    REACH,
    SCALE,
    TOKEN_HOLD,
    TOKEN_START,
    TOKENS,
    kinds,
)
from melodyconstraints.vae.posterior import Posterior

ANY = -1
_NEVER = -1e9


class Given(NamedTuple):
    """On what the decoder of a bar is conditioned.

    Args:
        conditions: ``(N, H)`` of the bars before.
        degrees: ``(N,)`` int64 degree of the scale of each bar's first note, in [0, 6], counted
            from the tonic.
        rhythms: ``(N, S)`` int64 the kind of token that must stand there, see
            :func:`.notation.kinds`, or :data:`ANY`; None for any everywhere.
    """

    conditions: Tensor
    degrees: Tensor
    rhythms: Tensor | None = None

    def rows(self, chosen: Tensor) -> Given:
        """Those of some bars."""
        rhythms = None if self.rhythms is None else self.rhythms[chosen]
        return Given(self.conditions[chosen], self.degrees[chosen], rhythms)


class BarEncoder(nn.Module):
    """A bar to its code."""

    def __init__(self, config: StaffConfig) -> None:
        super().__init__()
        wide = config.bar_units
        self.tokens = nn.Embedding(TOKENS, config.token_embedding)
        self.layers = nn.Sequential(
            nn.Linear(STEPS_PER_BAR * config.token_embedding, wide),
            nn.GELU(),
            nn.Linear(wide, wide),
            nn.GELU(),
            nn.Linear(wide, 2 * config.bar_code),
        )

    def forward(self, bars: Tensor) -> Posterior:
        """``(N, S)`` int64 tokens to q(code | bar), ``(N, C)``."""
        return Posterior.from_head(self.layers(self.tokens(bars).flatten(1)))


class StaffBarDecoder(nn.Module):
    """A code to its bar's tokens, one after another."""

    def __init__(self, config: StaffConfig, condition: int) -> None:
        super().__init__()
        hidden, self.features = config.bar_hidden, config.step_features
        self.steps = nn.Sequential(
            nn.Linear(config.bar_code, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, STEPS_PER_BAR * self.features),
        )
        self.before = nn.Embedding(TOKENS + 1, config.token_embedding)
        self.start = nn.Linear(config.bar_code, config.decoder_units)
        size = config.token_embedding + self.features
        self.gru = nn.GRU(size, config.decoder_units, batch_first=True)
        self.output = nn.Linear(config.decoder_units + self.features, TOKENS)
        self.condition_steps = nn.Linear(condition, STEPS_PER_BAR * self.features)
        self.condition_start = nn.Linear(condition, config.decoder_units)
        self.degrees = nn.Linear(config.decoder_units + self.features, 2 * SCALE)
        for layer in (self.condition_steps, self.condition_start, self.degrees):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, codes: Tensor, bars: Tensor, given: Given | None = None) -> Tensor:
        """Teacher-forced logits ``(N, S, V)`` of the true ``bars`` ``(N, S)``.

        Args:
            codes: ``(N, C)``.
            given: None where bars stand alone.
        """
        features, state = self._prepare(codes, given)
        before = F.pad(bars[:, :-1], (1, 0), value=TOKEN_START)
        outputs, _ = self.gru(torch.cat([self.before(before), features], -1), state[None])
        logits = self._logits(torch.cat([outputs, features], -1), given)
        return logits if given is None else _in_rhythm(logits, given.rhythms)

    def draw(self, codes: Tensor, given: Given, noise: Tensor, sampling: Sampling) -> Tensor:
        """Draw a bar for each code.

        Args:
            codes: ``(N, C)``.
            noise: ``(N, S)`` uniform in [0, 1); one number decides each token.

        Returns:
            ``(N, S)`` int64 tokens.
        """
        features, state = self._prepare(codes, given)
        token = torch.full((len(codes),), TOKEN_START, device=codes.device)
        rhythms = [None] * STEPS_PER_BAR if given.rhythms is None else given.rhythms.unbind(1)
        drawn = []
        for step in range(STEPS_PER_BAR):
            of_step = features[:, step]
            state = self._advance(torch.cat([self.before(token), of_step], -1), state)
            logits = self._logits(torch.cat([state, of_step], -1)[:, None], given)[:, 0]
            logits = _in_rhythm(logits, rhythms[step])
            token = sampling(logits, noise[:, step])
            drawn.append(token)
        return torch.stack(drawn, 1)

    def _logits(self, outputs: Tensor, given: Given | None) -> Tensor:
        """``(N, n, V)`` from the states and features of n steps.

        Each degree of the scale has a share of its own, plain and raised, in whatever octave and
        wherever it stands on the staff.
        """
        logits = self.output(outputs)
        if given is None:
            return logits
        lines = torch.arange(LINES, device=logits.device) - REACH
        degrees = (lines + given.degrees[:, None]) % SCALE
        index = torch.cat([degrees, degrees + SCALE], 1)[:, None].expand(-1, logits.shape[1], -1)
        of_degrees = self.degrees(outputs).gather(-1, index)
        return logits + F.pad(of_degrees, (0, TOKENS - TOKEN_HOLD))

    def _prepare(self, codes: Tensor, given: Given | None) -> tuple[Tensor, Tensor]:
        """Features of each step ``(N, S, features)`` and the state before the first."""
        features, state = self.steps(codes), self.start(codes)
        if given is not None:
            features = features + self.condition_steps(given.conditions)
            state = state + self.condition_start(given.conditions)
        return features.reshape(len(codes), STEPS_PER_BAR, self.features), torch.tanh(state)

    def _advance(self, inputs: Tensor, state: Tensor) -> Tensor:
        """One step of the GRU."""
        of_inputs, of_state, bias, other_bias = self.gru.all_weights[0]
        new = F.linear(inputs, of_inputs, bias).chunk(3, -1)
        old = F.linear(state, of_state, other_bias).chunk(3, -1)
        reset, update = torch.sigmoid(new[0] + old[0]), torch.sigmoid(new[1] + old[1])
        return torch.lerp(torch.tanh(new[2] + reset * old[2]), state, update)


def _in_rhythm(logits: Tensor, rhythms: Tensor | None) -> Tensor:
    """``(..., V)`` logits, of tokens of the ``(...)`` kinds alone."""
    if rhythms is None:
        return logits
    of_tokens = torch.from_numpy(kinds(np.arange(TOKENS))).to(logits.device)
    other = (of_tokens != rhythms[..., None]) & (rhythms != ANY)[..., None]
    return logits.masked_fill(other, _NEVER)


class BarVAE(nn.Module):
    """Encoder and decoder, each bar alone in the first stage of the training."""

    def __init__(self, config: StaffConfig, condition: int) -> None:
        super().__init__()
        self.encoder = BarEncoder(config)
        self.decoder = StaffBarDecoder(config, condition)
        self.ends = nn.Sequential(
            nn.Linear(config.bar_code, config.decoder_units),
            nn.GELU(),
            nn.Linear(config.decoder_units, LINES),
        )
        """Logits of the line of a bar's last note, counted like its others."""
