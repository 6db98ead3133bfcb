"""An invertible map from noise to bar codes under a condition.

Affine couplings (Dinh et al., "Density estimation using Real NVP", ICLR 2017) between fixed
rotations: half of the dimensions is scaled and shifted by numbers that a network reads from the
other half and the condition.

Shapes: ``N`` bars, ``C`` dimensions of a code, ``H`` size of a condition.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_WIDEST = 2.0
"""Largest logarithm of a coupling's scale."""


class Coupling(nn.Module):
    """Scales and shifts the second half of the dimensions, as the first and a condition say."""

    def __init__(self, size: int, condition: int, units: int) -> None:
        super().__init__()
        self.unchanged_size = size // 2
        self.first = nn.Linear(self.unchanged_size, units)
        self.condition = nn.Linear(condition, units)
        self.hidden = nn.Linear(units, units)
        self.last = nn.Linear(units, 2 * (size - self.unchanged_size))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, unchanged: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C // 2)``, ``(N, H)`` to logarithms of scales, and shifts, of the rest."""
        hidden = nn.functional.gelu(self.first(unchanged) + self.condition(condition))
        log_scale, shift = self.last(nn.functional.gelu(self.hidden(hidden))).chunk(2, -1)
        return _WIDEST * torch.tanh(log_scale / _WIDEST), shift


class ConditionalFlow(nn.Module):
    """Noise ``(N, C)`` and conditions ``(N, H)`` to codes ``(N, C)``, and back."""

    rotations: Tensor

    def __init__(self, size: int, condition: int, units: int, layers: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(size, condition, units) for _ in range(layers))
        self.affine = nn.Linear(condition, 2 * size)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)
        rotations = torch.empty(layers, size, size)
        if not rotations.is_meta:  # where they have memory, and are not to be read from a file
            generator = torch.Generator().manual_seed(0)
            rotations = torch.linalg.qr(torch.randn(rotations.shape, generator=generator))[0]
        self.register_buffer("rotations", rotations)

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Noise to codes."""
        x = noise
        turns = zip(torch.linalg.inv(self.rotations), self.couplings, strict=True)
        for back, coupling in reversed(list(turns)):
            unchanged, rest = x.tensor_split([coupling.unchanged_size], -1)
            log_scale, shift = coupling(unchanged, condition)
            x = torch.cat([unchanged, (rest - shift) * torch.exp(-log_scale)], -1) @ back
        mean, log_scale = self.affine(condition).chunk(2, -1)
        return x * torch.exp(log_scale) + mean

    def inverse(self, codes: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Codes to noise, and log |det d noise / d codes|, ``(N,)``."""
        mean, log_scale = self.affine(condition).chunk(2, -1)
        x, log_det = (codes - mean) * torch.exp(-log_scale), -log_scale.sum(-1)
        for rotation, coupling in zip(self.rotations, self.couplings, strict=True):
            unchanged, rest = (x @ rotation).tensor_split([coupling.unchanged_size], -1)
            log_scale, shift = coupling(unchanged, condition)
            x = torch.cat([unchanged, rest * torch.exp(log_scale) + shift], -1)
            log_det = log_det + log_scale.sum(-1)
        return x, log_det

    def negative_log_likelihood(self, codes: Tensor, condition: Tensor) -> Tensor:
        """-log p(codes | condition), ``(N,)`` in nats."""
        noise, log_det = self.inverse(codes, condition)
        normal = 0.5 * (noise.square() + math.log(2 * math.pi)).sum(-1)
        return normal - log_det
