"""Layers that encoder, conductor and bar decoder share.

Shapes: ``N`` rows side by side, ``S`` steps, ``H`` units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.melody.events import START, VOCABULARY


class EventInput(nn.Module):
    """Events, and ``START``, as vectors: learned, or one-hot when ``size`` is None."""

    def __init__(self, size: int | None, *, learned_start: bool) -> None:
        super().__init__()
        self.size = size or VOCABULARY + learned_start
        self.embedding: nn.Embedding | None = None
        if size is not None:
            padding = None if learned_start else START
            self.embedding = nn.Embedding(VOCABULARY + 1, size, padding_idx=padding)

    def forward(self, events: Tensor) -> Tensor:
        """``(...)`` int64 in [0, 130] to ``(..., size)``."""
        if self.embedding is not None:
            return self.embedding(events)
        return F.one_hot(events, VOCABULARY + 1)[..., : self.size].float()

    def table(self, weight: Tensor) -> Tensor:
        """Products of a linear map ``(G, size)`` with every event's vector: ``(131, G)``."""
        if self.embedding is not None:
            every = torch.arange(VOCABULARY + 1, device=weight.device)
            return F.linear(self.embedding(every), weight)
        return F.pad(weight.T, (0, 0, 0, VOCABULARY + 1 - self.size))


class InitialState(nn.Module):
    """A vector to the initial (hidden, cell) of every layer: tanh of a linear map."""

    def __init__(self, size: int, units: int, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.linear = nn.Linear(size, 2 * layers * units)

    def forward(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, size)`` to two ``(layers, N, H)``."""
        states = torch.tanh(self.linear(vector)).reshape(len(vector), 2, self.layers, -1)
        hidden, cell = states.permute(1, 2, 0, 3).contiguous()
        return hidden, cell


def lstm(size: int, units: int, layers: int = 1, *, bidirectional: bool = False) -> nn.LSTM:
    """A batch-first LSTM whose forget gates start open (bias +1, Jozefowicz et al. 2015)."""
    module = nn.LSTM(size, units, layers, batch_first=True, bidirectional=bidirectional)
    for name, parameter in module.named_parameters():
        if name.startswith("bias_ih"):
            parameter.data[units : 2 * units] += 1.0
    return module


def final_states(module: nn.LSTM, inputs: Tensor) -> Tensor:
    """Last forward hidden state with the backward state at position 0: ``(N, 2H)``."""
    _, (hidden, _) = module(inputs)
    return torch.cat([hidden[-2], hidden[-1]], -1)
