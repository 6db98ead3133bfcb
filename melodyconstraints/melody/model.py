"""The hierarchical LSTM melody VAE (the paper, section 6 and appendix 9.2.3).

::

    events ──> encoder ──> q(z | m) ──> z ──> conductor ──> 16 bar embeddings
                                                                  │
                          events <── bar decoder, one bar each <──┘

The bar decoder's state is made anew at every bar from the bar's embedding, and the embedding is
part of every input, so all that joins two bars is z (and, with ``carry``, one event).

Shapes: ``B`` melodies, ``T`` = 256 steps, ``K`` = 16 bars of ``S`` = 16 steps, ``Z`` latent
dimensions, ``V`` = 130 events, ``H`` units.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.config import MelodyVAEConfig
from melodyconstraints.melody.decoding import FreeRunning, filled
from melodyconstraints.melody.drawing import Drawing
from melodyconstraints.melody.events import START, VOCABULARY, Events
from melodyconstraints.melody.recurrence import LayerWeights, scan
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR
from melodyconstraints.vae.posterior import Posterior
from melodyconstraints.vae.precision import products

DECODE_BATCH = 256
"""Melodies that are encoded or decoded at once: enough to fill the cores, little memory."""


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
        """What a linear map ``(G, size)`` makes of every event: ``(131, G)``."""
        if self.embedding is not None:
            every = torch.arange(VOCABULARY + 1, device=weight.device)
            return F.linear(self.embedding(every), weight)
        return F.pad(weight.T, (0, 0, 0, VOCABULARY + 1 - self.size))


class FlatEncoder(nn.Module):
    """One bidirectional LSTM over all events; its two final outputs make the posterior."""

    def __init__(self, config: MelodyVAEConfig) -> None:
        super().__init__()
        self.events = EventInput(config.event_embedding, learned_start=False)
        self.lstm = lstm(self.events.size, config.encoder_units, bidirectional=True)
        self.head = nn.Linear(2 * config.encoder_units, 2 * config.latent_dim)

    def forward(self, events: Tensor) -> Posterior:
        """``(B, T)`` int64 to q(z | m)."""
        return Posterior.from_head(self.head(final_states(self.lstm, self.events(events))))

    def to_posterior(self) -> list[nn.Linear]:
        """The layers that make the posterior's means, then its raw scales; ``(2Z, ...)`` each."""
        return [self.head]


class HierarchicalEncoder(nn.Module):
    """Each bar to a code, all bars side by side; then over the codes of the 16 bars."""

    def __init__(self, config: MelodyVAEConfig) -> None:
        super().__init__()
        units = config.encoder_units
        self.events = EventInput(config.event_embedding, learned_start=False)
        self.bar_lstm = lstm(self.events.size, units, bidirectional=True)
        self.bar_code = nn.Linear(2 * units, config.bar_code)
        self.lstm = lstm(config.bar_code, units, bidirectional=True)
        self.head = nn.Linear(2 * units, 2 * config.latent_dim)
        self.shortcut = (
            nn.Linear(BARS * config.bar_code, 2 * config.latent_dim) if config.residual else None
        )

    def bar_codes(self, events: Tensor) -> Tensor:
        """``(B, T)`` int64 to ``(B, K, bar_code)``."""
        bars = events.reshape(-1, STEPS_PER_BAR)
        if events.device.type == "cpu":
            states = torch.cat([self._scan(bars, ""), self._scan(bars.flip(1), "_reverse")], -1)
        else:
            states = final_states(self.bar_lstm, self.events(bars))
        return self.bar_code(states).reshape(len(events), BARS, -1)

    def _scan(self, bars: Tensor, direction: str) -> Tensor:
        """Last hidden state of one direction: ``(N, S)`` events to ``(N, H)``."""
        layer = LayerWeights.of(self.bar_lstm, 0, direction)
        nothing = layer.bias.new_zeros(len(bars), self.bar_lstm.hidden_size)
        constant = layer.bias.expand(1, len(bars), -1)
        table = self.events.table(layer.inputs)
        return scan(layer.recurrent, (nothing, nothing), constant, table, bars.T)[-1]

    def forward(self, events: Tensor) -> Posterior:
        """``(B, T)`` int64 to q(z | m)."""
        codes = self.bar_codes(events)
        head = self.head(final_states(self.lstm, codes))
        if self.shortcut is not None:
            head = head + self.shortcut(codes.flatten(1))
        return Posterior.from_head(head)

    def to_posterior(self) -> list[nn.Linear]:
        """The layers whose sum makes the posterior's means, then its raw scales."""
        return [self.head] if self.shortcut is None else [self.head, self.shortcut]


class Conductor(nn.Module):
    """z to one embedding a bar: an LSTM that starts from z and sees only zeros."""

    def __init__(self, config: MelodyVAEConfig) -> None:
        super().__init__()
        units, layers = config.conductor_units, config.conductor_layers
        self.start = InitialState(config.latent_dim, units, layers)
        self.lstm = lstm(1, units, layers)
        self.output = nn.Linear(units, config.bar_embedding)
        self.shortcut = (
            nn.Linear(config.latent_dim, BARS * config.bar_embedding) if config.residual else None
        )

    def forward(self, z: Tensor) -> Tensor:
        """``(B, Z)`` to ``(B, K, bar_embedding)``."""
        embeddings = self.output(self._outputs(z))
        if self.shortcut is not None:
            embeddings = embeddings + self.shortcut(z).reshape(embeddings.shape)
        return embeddings

    def from_z(self) -> list[nn.Linear]:
        """The layers that see z: ``(..., Z)`` each."""
        layers = [self.start.linear]
        return layers if self.shortcut is None else [*layers, self.shortcut]

    def _outputs(self, z: Tensor) -> Tensor:
        """``(B, K, H)``."""
        hidden, cell = self.start(z)
        if z.device.type != "cpu":
            return self.lstm(z.new_zeros(len(z), BARS, 1), (hidden, cell))[0]
        outputs = z.new_zeros(BARS, len(z), 1)
        for number in range(self.lstm.num_layers):
            layer = LayerWeights.of(self.lstm, number)
            given = F.linear(outputs, layer.inputs, layer.bias)
            outputs = scan(layer.recurrent, (hidden[number], cell[number]), given)
        return outputs.transpose(0, 1)


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
        for number in range(1, self.lstm.num_layers):
            layer = LayerWeights.of(self.lstm, number)
            given = F.linear(outputs, layer.inputs, layer.bias)
            outputs = scan(layer.recurrent, (hidden[number], cell[number]), given)
        return outputs.transpose(0, 1)

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


class MelodyVAE(nn.Module):
    """Encoder, conductor and bar decoder.

    ``sigma_bar`` ``(Z,)`` is the posterior's scale averaged over the training data; ones until the
    training has measured it. ``folder`` is where the model was read from or written to, and
    ``fingerprint`` names its weights; both are empty for a model that was never on disk.
    """

    sigma_bar: Tensor
    folder: str = ""
    fingerprint: str = ""

    def __init__(self, config: MelodyVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder: FlatEncoder | HierarchicalEncoder = (
            FlatEncoder(config) if config.encoder == "flat" else HierarchicalEncoder(config)
        )
        self.conductor = Conductor(config)
        self.decoder = BarDecoder(config)
        self.register_buffer("sigma_bar", torch.ones(config.latent_dim))

    @property
    def latent_dim(self) -> int:
        """Z, the dimensions of z."""
        return self.config.latent_dim

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.sigma_bar.device

    def encode(self, events: Tensor) -> Posterior:
        """``(B, T)`` integers in [0, 129] to the posterior q(z | m)."""
        return self.encoder(events.long())

    def logits(self, z: Tensor, events: Tensor) -> Tensor:
        """Teacher-forced logits ``(B, T, V)`` of the true ``events`` ``(B, T)`` under ``z``."""
        return self.decoder(self.conductor(z), events.long())

    @torch.no_grad()
    def decode(
        self,
        z: Tensor,
        *,
        temperature: float = 0.5,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: torch.Generator | None = None,
        precision: str = "auto",
    ) -> Tensor:
        """Draw one melody for each latent point.

        One draw of ``generator`` decides each event, and on CPUs a point's logits do not depend
        on the points beside it, to the bit: the same points give the same melodies however they
        are split into batches.

        Args:
            z: ``(B, Z)``.
            temperature: in [0, inf); 0 takes the likeliest event at every step.
            top_k, top_p: see :class:`melodyconstraints.melody.drawing.Drawing`.
            generator: source of the draws.
            precision: of the products. With ``auto`` they are in bfloat16 where the processor
                multiplies it, so another kind of processor may draw another event now and then.

        Returns:
            ``(B, T)`` int64 events in [0, 129].

        Raises:
            UsageError: a temperature, ``top_k`` or ``top_p`` outside its range, a ``z`` of
                another size or a precision that does not exist.
        """
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise UsageError(f"z must have shape (batch, {self.latent_dim}), got {tuple(z.shape)}")
        drawing = Drawing(temperature, top_k, top_p)
        device = generator.device if generator is not None else z.device
        noise = torch.rand(len(z), STEPS, generator=generator, device=device).to(z.device)
        with products(precision, z.device):
            if not len(z):
                return torch.empty(0, STEPS, dtype=torch.int64, device=z.device)
            embeddings = self.conductor(filled(z))[: len(z)]
            return FreeRunning(self.decoder)(embeddings, noise, drawing)


def event_batches(
    events: Events, device: torch.device, size: int = DECODE_BATCH
) -> Iterator[Tensor]:
    """``(B, T)`` uint8 events as int64 tensors of at most ``size`` melodies."""
    for first in range(0, len(events), size):
        yield torch.from_numpy(events[first : first + size].astype(np.int64)).to(device)


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
