"""Free-running decoding: bars from their embeddings, event by event.

All that does not depend on the drawn events is computed once: what a bar embedding adds to the
gates, and what each of the 131 inputs adds. A step is then one product with the hidden state, one
look-up, one product for the logits. On CPUs a row's logits are the same to the bit whatever rows
stand beside it, and how many.

Shapes: ``B`` melodies, ``N`` bars side by side, ``K`` = 16 bars a melody of ``S`` = 16 steps,
``T`` = 256, ``E`` size of a bar embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from melodyconstraints.melody.events import START
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR
from melodyconstraints.melody.vae.bar_decoder import BarDecoder
from melodyconstraints.melody.vae.lstm import BLOCK, LayerWeights, forward_step
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.vae.precision import products_dtype

ROWS = 16
"""Products of a multiple of so many rows treat every row alike; others round some otherwise."""


class FreeRunning:
    """A bar decoder prepared for drawing: its inputs' products are taken once.

    Under autocast, products are of its type.
    """

    def __init__(self, decoder: BarDecoder) -> None:
        self._decoder = decoder
        dtype = products_dtype(decoder.output.weight.device)
        layers = [
            LayerWeights.of(decoder.lstm, number) for number in range(decoder.lstm.num_layers)
        ]
        of_event, self._of_bar = decoder.split_inputs(layers[0].inputs)
        self._table = decoder.events.table(of_event).to(dtype)
        self._layers = [LayerWeights(*(tensor.to(dtype) for tensor in layer)) for layer in layers]
        self._output = decoder.output.weight.to(dtype), decoder.output.bias.to(dtype)

    def __call__(self, embeddings: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        """Draw melodies.

        Args:
            embeddings: ``(B, K, E)``.
            noise: ``(B, T)`` uniform in [0, 1); one number decides each event.

        Returns:
            ``(B, T)`` int64.
        """
        batch = len(embeddings)
        if self._decoder.carry:
            return self._one_after_another(filled(embeddings), filled(noise), sampling)[:batch]
        # Bars do not depend on each other; a melody's are as many as a multiple of ROWS.
        bars, noise = embeddings.flatten(0, 1), noise.reshape(-1, STEPS_PER_BAR)
        first = torch.full((len(bars),), START, device=bars.device)
        drawn = [
            self._draw_bars(*block, sampling)
            for block in zip(
                bars.split(BLOCK), first.split(BLOCK), noise.split(BLOCK), strict=True
            )
        ]
        return torch.cat(drawn).reshape(batch, STEPS)

    def _one_after_another(self, embeddings: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        first = torch.full((len(embeddings),), START, device=embeddings.device)
        drawn: list[Tensor] = []
        for bar in range(BARS):
            of_bar = noise[:, bar * STEPS_PER_BAR : (bar + 1) * STEPS_PER_BAR]
            drawn.append(self._draw_bars(embeddings[:, bar], first, of_bar, sampling))
            first = drawn[-1][:, -1]
        return torch.cat(drawn, 1)

    def _draw_bars(self, bars: Tensor, event: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        """``(N, E)``, the event before each bar ``(N,)`` and ``(N, S)`` to events ``(N, S)``."""
        hidden, cell = self._decoder.start(bars)
        hiddens, cells = list(hidden.to(self._table.dtype)), list(cell.float())
        of_bar = F.linear(bars, self._of_bar).to(self._table.dtype) + self._layers[0].bias
        drawn = []
        for step in range(STEPS_PER_BAR):
            given = of_bar + F.embedding(event, self._table)
            for number, layer in enumerate(self._layers):
                if number:
                    given = F.linear(hiddens[number - 1], layer.inputs, layer.bias)
                recurrent = F.linear(hiddens[number], layer.recurrent)
                forward_step(recurrent, given, cells[number], hiddens[number], cells[number])
            event = sampling(F.linear(hiddens[-1], *self._output), noise[:, step])
            drawn.append(event)
        return torch.stack(drawn, 1)


def filled(rows: Tensor) -> Tensor:
    """``(N, ...)`` with zeros below until there are a multiple of :data:`ROWS`."""
    missing = -len(rows) % ROWS
    if not missing:
        return rows
    return torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])])
