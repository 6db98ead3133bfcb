"""Single bars to codes and back: a variational autoencoder of 16 tokens.

Equal bars have equal codes, whatever stands beside them. The decoder may be conditioned on the
bars before: a code says what a bar is like, they say which notes fit.

Shapes: ``N`` bars side by side, ``S`` = 16 steps, ``C`` dimensions of a code, ``V`` = 72 tokens,
``H`` size of a condition.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.melody.units import STEPS_PER_BAR
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.notation import TOKEN_START, TOKENS
from melodyconstraints.vae.posterior import Posterior


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
        for layer in (self.condition_steps, self.condition_start):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, codes: Tensor, bars: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Teacher-forced logits ``(N, S, V)`` of the true ``bars`` ``(N, S)``.

        Args:
            codes: ``(N, C)``.
            conditions: ``(N, H)`` of the bars before; None where bars stand alone.
        """
        features, state = self._prepare(codes, conditions)
        before = F.pad(bars[:, :-1], (1, 0), value=TOKEN_START)
        outputs, _ = self.gru(torch.cat([self.before(before), features], -1), state[None])
        return self.output(torch.cat([outputs, features], -1))

    def draw(self, codes: Tensor, conditions: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        """Draw a bar for each code.

        Args:
            codes: ``(N, C)``.
            conditions: ``(N, H)``.
            noise: ``(N, S)`` uniform in [0, 1); one number decides each token.

        Returns:
            ``(N, S)`` int64 tokens.
        """
        features, state = self._prepare(codes, conditions)
        token = torch.full((len(codes),), TOKEN_START, device=codes.device)
        drawn = []
        for step in range(STEPS_PER_BAR):
            given = torch.cat([self.before(token), features[:, step]], -1)
            state = self._advance(given, state)
            logits = self.output(torch.cat([state, features[:, step]], -1))
            token = sampling(logits, noise[:, step])
            drawn.append(token)
        return torch.stack(drawn, 1)

    def _prepare(self, codes: Tensor, conditions: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features of each step ``(N, S, features)`` and the state before the first."""
        features, state = self.steps(codes), self.start(codes)
        if conditions is not None:
            features = features + self.condition_steps(conditions)
            state = state + self.condition_start(conditions)
        return features.reshape(len(codes), STEPS_PER_BAR, self.features), torch.tanh(state)

    def _advance(self, given: Tensor, state: Tensor) -> Tensor:
        """One step of the GRU."""
        of_given, of_state, bias, other_bias = self.gru.all_weights[0]
        new = F.linear(given, of_given, bias).chunk(3, -1)
        old = F.linear(state, of_state, other_bias).chunk(3, -1)
        reset, update = torch.sigmoid(new[0] + old[0]), torch.sigmoid(new[1] + old[1])
        return torch.lerp(torch.tanh(new[2] + reset * old[2]), state, update)


class BarVAE(nn.Module):
    """Encoder and decoder, each bar alone in the first stage of the training."""

    def __init__(self, config: StaffConfig, condition: int) -> None:
        super().__init__()
        self.encoder = BarEncoder(config)
        self.decoder = StaffBarDecoder(config, condition)
