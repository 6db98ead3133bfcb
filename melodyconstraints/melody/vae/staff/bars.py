"""Single bars to codes and back: a variational autoencoder of 16 tokens.

Equal bars have equal codes, whatever stands beside them.

Shapes: ``N`` bars side by side, ``S`` = 16 steps, ``C`` dimensions of a code, ``V`` = 72 tokens.
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


class BarVAE(nn.Module):
    """A bar to its code, and a code to its bar's tokens, one after another."""

    def __init__(self, config: StaffConfig) -> None:
        super().__init__()
        code, token = config.bar_code, config.token_embedding
        wide, hidden = config.bar_units, config.bar_hidden
        self.features = config.step_features
        self.tokens = nn.Embedding(TOKENS, token)
        self.encoder = nn.Sequential(
            nn.Linear(STEPS_PER_BAR * token, wide),
            nn.GELU(),
            nn.Linear(wide, wide),
            nn.GELU(),
            nn.Linear(wide, 2 * code),
        )
        self.steps = nn.Sequential(
            nn.Linear(code, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, STEPS_PER_BAR * self.features),
        )
        self.before = nn.Embedding(TOKENS + 1, token)
        self.start = nn.Linear(code, config.decoder_units)
        self.gru = nn.GRU(token + self.features, config.decoder_units, batch_first=True)
        self.output = nn.Linear(config.decoder_units + self.features, TOKENS)

    def encode(self, bars: Tensor) -> Posterior:
        """``(N, S)`` int64 tokens to q(code | bar), ``(N, C)``."""
        return Posterior.from_head(self.encoder(self.tokens(bars).flatten(1)))

    def logits(self, codes: Tensor, bars: Tensor) -> Tensor:
        """Teacher-forced logits ``(N, S, V)`` of the true ``bars`` ``(N, S)``."""
        features = self._features(codes)
        before = F.pad(bars[:, :-1], (1, 0), value=TOKEN_START)
        state = torch.tanh(self.start(codes))[None]
        outputs, _ = self.gru(torch.cat([self.before(before), features], -1), state)
        return self.output(torch.cat([outputs, features], -1))

    def draw(self, codes: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        """Draw a bar for each code.

        Args:
            codes: ``(N, C)``.
            noise: ``(N, S)`` uniform in [0, 1); one number decides each token.

        Returns:
            ``(N, S)`` int64 tokens.
        """
        features = self._features(codes)
        state = torch.tanh(self.start(codes))
        token = torch.full((len(codes),), TOKEN_START, device=codes.device)
        drawn = []
        for step in range(STEPS_PER_BAR):
            given = torch.cat([self.before(token), features[:, step]], -1)
            state = self._advance(given, state)
            logits = self.output(torch.cat([state, features[:, step]], -1))
            token = sampling(logits, noise[:, step])
            drawn.append(token)
        return torch.stack(drawn, 1)

    def _features(self, codes: Tensor) -> Tensor:
        """``(N, S, features)``."""
        return self.steps(codes).reshape(len(codes), STEPS_PER_BAR, self.features)

    def _advance(self, given: Tensor, state: Tensor) -> Tensor:
        """One step of the GRU."""
        of_given, of_state, bias, other_bias = self.gru.all_weights[0]
        new = F.linear(given, of_given, bias).chunk(3, -1)
        old = F.linear(state, of_state, other_bias).chunk(3, -1)
        reset, update = torch.sigmoid(new[0] + old[0]), torch.sigmoid(new[1] + old[1])
        return torch.lerp(torch.tanh(new[2] + reset * old[2]), state, update)
