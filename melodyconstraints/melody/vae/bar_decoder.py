"""The bar decoder: a bar embedding to 16 events (the paper, section 6 and appendix 9.2.3).

Its state starts at every bar from the bar's embedding, which is also part of every input.

Shapes: ``B`` melodies, ``T`` = 256 steps, ``K`` = 16 bars of ``S`` = 16 steps, ``N`` bars side by
side, ``V`` = 130 events, ``H`` units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.melody.events import START, VOCABULARY
from melodyconstraints.melody.units import STEPS, STEPS_PER_BAR
from melodyconstraints.melody.vae.config import MelodyVAEConfig
from melodyconstraints.melody.vae.layers import EventInput, InitialState, lstm
from melodyconstraints.melody.vae.lstm import LayerWeights, scan, scan_layers


class BarDecoder(nn.Module):
    """A bar embedding to the distribution of the bar's 16 events, one after another."""

    def __init__(self, config: MelodyVAEConfig) -> None:
        super().__init__()
        self.carry = config.first_input == "carry"
        self.events = EventInput(config.event_embedding, learned_start=not self.carry)
        units, layers = config.decoder_units, config.decoder_layers
        self.start = InitialState(config.bar_embedding, units, layers)
        self.lstm = lstm(self.events.size + config.bar_embedding, units, layers)
        self.output = nn.Linear(units, VOCABULARY)

    def forward(self, embeddings: Tensor, events: Tensor) -> Tensor:
        """Teacher-forced logits.

        Args:
            embeddings: ``(B, K, bar_embedding)``.
            events: ``(B, T)`` int64, the true events.

        Returns:
            ``(B, T, V)``.
        """
        previous = self._previous(events).reshape(-1, STEPS_PER_BAR)
        bars = embeddings.flatten(0, 1)
        if events.device.type == "cpu":
            outputs = self._scan(bars, previous)
        else:
            inputs = self.events(previous)
            repeated = bars[:, None].expand(-1, STEPS_PER_BAR, -1)
            outputs, _ = self.lstm(
                torch.cat([inputs.to(bars.dtype), repeated], -1), self.start(bars)
            )
        return self.output(outputs).reshape(len(events), STEPS, VOCABULARY)

    def _scan(self, bars: Tensor, previous: Tensor) -> Tensor:
        """``(N, bar_embedding)`` and the events before each step ``(N, S)`` to ``(N, S, H)``."""
        hidden, cell = self.start(bars)
        first = LayerWeights.of(self.lstm, 0)
        of_event, of_bar = self.split_inputs(first.inputs)
        outputs = scan(
            first.recurrent,
            (hidden[0], cell[0]),
            F.linear(bars, of_bar, first.bias)[None],
            self.events.table(of_event),
            previous.T,
        )
        return scan_layers(self.lstm, (hidden, cell), outputs, 1).transpose(0, 1)

    def split_inputs(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The first layer's input weights ``(4H, size)``: those of the event, of the bar."""
        of_event, of_bar = weight.tensor_split([self.events.size], dim=1)
        return of_event, of_bar

    def _previous(self, events: Tensor) -> Tensor:
        """The input event of every step: the event before, or ``START``."""
        previous = F.pad(events[:, :-1], (1, 0), value=START)
        if not self.carry:
            previous[:, ::STEPS_PER_BAR] = START
        return previous
