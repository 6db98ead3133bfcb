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
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.layers import NEVER
from melodyconstraints.melody.vae.staff.notation import (
    LINES,
    REACH,
    SCALE,
    SILENT,
    TOKEN_HOLD,
    TOKEN_REST,
    TOKEN_START,
    TOKENS,
    first_lines,
    kinds,
    moved,
)
from melodyconstraints.vae.posterior import Posterior

ANY = -1
"""Number in place of a kind of token, of a token, of a note: whichever."""


class Given(NamedTuple):
    """Conditions of the decoder of bars.

    Args:
        conditions: ``(N, H)`` conditions by the bars before.
        degrees: ``(N,)`` int64 degree of the scale of each bar's first note, in [0, 6], counted
            from the tonic.
        of_signature: ``(N,)`` that degree, counted from the major tonic of the key signature:
            where its tritones lie.
        rhythms: ``(N, S)`` int64 kind of token that must stand there, see
            :func:`.notation.kinds`, or :data:`ANY`.
        recalled: ``(N, S)`` int64 tokens of the bar that it is likely to recall, counted as its
            own, or :data:`ANY`; see :func:`.decisions.recalled_bar`.
        silence: ``(N,)`` int64 steps just before it in which nothing sounds.
    """

    conditions: Tensor
    degrees: Tensor
    of_signature: Tensor
    rhythms: Tensor
    recalled: Tensor
    silence: Tensor

    @property
    def new(self) -> Tensor:
        """``(N,)`` whether the rhythm is a new one."""
        return self.rhythms[:, 0] == ANY


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
        """Each degree, plain and raised, has a share of its own, in whatever octave."""
        for layer in (self.condition_steps, self.condition_start, self.degrees):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, codes: Tensor, bars: Tensor, given: Given | None = None) -> Tensor:
        """Teacher-forced logits ``(N, S, V)`` of the true ``bars`` ``(N, S)``.

        Args:
            codes: ``(N, C)``.
            given: conditions; None where bars stand alone.
        """
        features, state = self.prepare(codes, given)
        before = self.before(F.pad(bars[:, :-1], (1, 0), value=TOKEN_START))
        outputs, _ = self.gru(torch.cat([before, features], -1), state[None])
        outputs = torch.cat([outputs, features], -1)
        logits = self.output(outputs)
        if given is None:
            return logits
        columns = degree_columns(given.degrees)[:, None].expand(-1, STEPS_PER_BAR, -1)
        logits = logits + F.pad(self.degrees(outputs), (0, 1)).gather(-1, columns)
        return logits.masked_fill(not_in_rhythm(given.rhythms), NEVER)

    def prepare(self, codes: Tensor, given: Given | None) -> tuple[Tensor, Tensor]:
        """Features of each step ``(N, S, features)`` and the state before the first."""
        features, state = self.steps(codes), self.start(codes)
        if given is not None:
            features = features + self.condition_steps(given.conditions)
            state = state + self.condition_start(given.conditions)
        return features.reshape(len(codes), STEPS_PER_BAR, self.features), torch.tanh(state)


def not_in_rhythm(rhythms: Tensor) -> Tensor:
    """``(..., V)`` whether a token is of another kind than ``(...)``, which must stand there."""
    of_tokens = torch.from_numpy(kinds(np.arange(TOKENS))).to(rhythms.device)
    return (of_tokens != rhythms[..., None]) & (rhythms != ANY)[..., None]


def degree_of(notes: Tensor, degrees: Tensor) -> Tensor:
    """``(...)`` degree of the scale of ``(...)`` notes, in [0, 6], and 7 more where raised.

    Args:
        degrees: degrees of the lines from which the notes are counted, as many dimensions.
    """
    return notes // LINES * SCALE + (notes % LINES - REACH + degrees) % SCALE


def degree_columns(degrees: Tensor) -> Tensor:
    """``(N, V)`` degree of each token, see :func:`degree_of`; 14 for those of no note."""
    tokens = torch.arange(TOKENS, device=degrees.device)
    return torch.where(tokens < TOKEN_HOLD, degree_of(tokens, degrees[:, None]), 2 * SCALE)


class BarVAE(nn.Module):
    """Encoder and decoder, each bar alone in the first stage of the training.

    Codes are whitened by ``code_mean`` and ``code_scale`` ``(C,)`` for all but these two.
    """

    code_mean: Tensor
    code_scale: Tensor

    def __init__(self, config: StaffConfig, condition: int) -> None:
        super().__init__()
        self.encoder = BarEncoder(config)
        self.decoder = StaffBarDecoder(config, condition)
        self.register_buffer("code_mean", torch.zeros(config.bar_code))
        self.register_buffer("code_scale", torch.ones(config.bar_code))

    def whitened(self, codes: Tensor) -> Tensor:
        """``(..., C)`` codes of the encoder."""
        return (codes - self.code_mean) / self.code_scale

    def raw(self, codes: Tensor) -> Tensor:
        """``(..., C)`` whitened codes as the decoder takes them, ``(N, C)``."""
        return (codes * self.code_scale + self.code_mean).reshape(-1, codes.shape[-1])

    def mean_codes(self, bars: Tensor) -> Tensor:
        """``(N, C)`` whitened mean codes of ``(N, S)`` tokens, wherever the bars lie."""
        return self.whitened(self.encoder(on_first_line(bars)).mean)


def kinds_of(tokens: Tensor) -> Tensor:
    """``(...)`` kinds of ``(...)`` tokens; see :func:`.notation.kinds`."""
    return torch.from_numpy(kinds(tokens.cpu().numpy())).to(tokens.device)


def silence_after(bars: Tensor, before: Tensor) -> Tensor:
    """``(N,)`` steps at the end of ``(N, S)`` tokens in which nothing sounds.

    Args:
        before: ``(N,)`` silent steps before them.

    >>> bars = torch.tensor([[20, TOKEN_REST, TOKEN_REST], 3 * [TOKEN_REST], [20, 70, 70]])
    >>> silence_after(bars, torch.tensor([5, 5, 5])).tolist()
    [2, 8, 0]
    """
    steps = bars.shape[1]
    numbers = torch.arange(1, steps + 1, device=bars.device)
    last = torch.where(bars == TOKEN_REST, 0, numbers).amax(1)
    return torch.where(last == 0, before + steps, steps - last)


def first_line(bars: Tensor) -> Tensor:
    """``(N,)`` line of the first note of ``(N, S)`` tokens, or SILENT."""
    return torch.from_numpy(first_lines(bars.cpu().numpy())).to(bars.device)


def last_line(bars: Tensor) -> Tensor:
    """``(N,)`` line of the last note of ``(N, S)`` tokens, or SILENT."""
    return first_line(bars.flip(1))


def lines_above(starts: Tensor) -> Tensor:
    """``(...)`` lines from the place to those on which bars start, 0 for silent ones.

    >>> lines_above(torch.tensor([17, 20, SILENT])).tolist()
    [0, 3, 0]
    """
    return torch.where(starts == SILENT, 0, starts - REACH)


def higher(bars: Tensor, lines: Tensor) -> Tensor:
    """``(N, S)`` tokens ``(N,)`` lines higher; see :func:`.notation.moved`."""
    return torch.from_numpy(moved(bars.cpu().numpy(), lines.cpu().numpy())).to(bars.device)


def on_first_line(bars: Tensor) -> Tensor:
    """``(N, S)`` tokens, counted from each bar's first note."""
    return higher(bars, -lines_above(first_line(bars)))
