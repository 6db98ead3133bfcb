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

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Events
from melodyconstraints.melody.form import form_of
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR
from melodyconstraints.melody.vae.bar_decoder import BarDecoder
from melodyconstraints.melody.vae.config import MelodyVAEConfig, ModelConfig
from melodyconstraints.melody.vae.free_running import FreeRunning, filled
from melodyconstraints.melody.vae.layers import EventInput, InitialState, final_states, lstm
from melodyconstraints.melody.vae.lstm import LayerWeights, scan, scan_layers
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.vae.posterior import Posterior
from melodyconstraints.vae.precision import products

DECODE_BATCH = 256
"""Melodies that are encoded or decoded at once: enough to fill the cores, little memory."""


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
    """Each bar to a code, all bars side by side; then the 16 codes to the posterior."""

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
        inputs = z.new_zeros(BARS, len(z), 1)
        return scan_layers(self.lstm, (hidden, cell), inputs).transpose(0, 1)


class MelodyVAE(nn.Module, ABC):
    """Base class of all models of melodies: z ~ N(0, I), an encoder and a decoder.

    ``sigma_bar`` ``(Z,)`` is the posterior's scale averaged over the training data; ones until the
    training has measured it. ``folder`` is where the model was read from or written to, and
    ``fingerprint`` names its weights; both are empty for a model that was never on disk. Where
    ``inverts`` is true, ``encode`` is the inverse of ``decode``; then products are in float32, for
    no others can be undone. Where ``has_form`` is true, bars can be made to repeat others.
    """

    config: ModelConfig
    sigma_bar: Tensor
    folder: str = ""
    fingerprint: str = ""
    inverts: bool = False
    has_form: bool = False

    def __repr__(self) -> str:
        parameters = sum(parameter.numel() for parameter in self.parameters())
        known = f"; {self.fingerprint[:12]}" if self.fingerprint else ""
        return f"{type(self).__name__}({self.latent_dim} latent, {parameters:,} weights{known})"

    @property
    def latent_dim(self) -> int:
        """Z, the dimensions of z."""
        return len(self.sigma_bar)

    @property
    def blocks(self) -> list[slice]:
        """Dimensions of z that say one thing together: a sixteenth each if nothing is known."""
        bounds = [self.latent_dim * number // BARS for number in range(BARS + 1)]
        return [slice(low, high) for low, high in pairwise(bounds) if low < high]

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.sigma_bar.device

    @abstractmethod
    def encode(self, events: Tensor) -> Posterior:
        """``(B, T)`` integers in [0, 129] to the posterior q(z | m)."""

    @abstractmethod
    def logits(self, z: Tensor, events: Tensor) -> Tensor:
        """Teacher-forced logits ``(B, T, V)`` of the true ``events`` ``(B, T)`` under ``z``."""

    @torch.no_grad()
    def decode(
        self,
        z: Tensor,
        sampling: Sampling | None = None,
        *,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
        precision: str = "auto",
    ) -> Tensor:
        """Draw one melody for each latent point.

        One number of ``noise`` decides each event, and on CPUs a point's logits do not depend
        on the points beside it, to the bit: the same points give the same melodies however they
        are split into batches.

        Args:
            z: ``(B, Z)``.
            sampling: sampling of events; ``Sampling()`` if not given.
            generator: source of the noise, in place of the sampling's seed.
            noise: ``(B, T)`` uniform in [0, 1); drawn if not given.
            precision: type of matrix products. With ``auto`` they are in bfloat16 where the
                processor multiplies it, so another kind of processor may draw another event now
                and then.

        Returns:
            ``(B, T)`` int64 events in [0, 129].

        Raises:
            UsageError: a ``z`` of another size, a precision that does not exist, or a form, a
                scale or a rhythm for a model that draws in none.
        """
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise UsageError(f"z must have shape (batch, {self.latent_dim}), got {tuple(z.shape)}")
        sampling = sampling or Sampling()
        if not self.has_form:
            _check_plain(sampling)
        if noise is None:
            generator = generator or torch.Generator().manual_seed(sampling.seed)
            noise = torch.rand(len(z), STEPS, generator=generator, device=generator.device)
        with products("float32" if self.inverts else precision, z.device):
            if not len(z):
                return torch.empty(0, STEPS, dtype=torch.int64, device=z.device)
            return self._draw(z, noise.to(z.device), sampling)

    def moved_to(self, z: Tensor, ranges: Mapping[str, tuple[float, float]]) -> Tensor:
        """``(B, Z)`` points moved to where attributes lie in ranges, where a model knows some.

        Raises:
            UsageError: this model knows none.
        """
        if ranges:
            raise UsageError(
                f"this model knows no attributes, got {', '.join(ranges)}; take --model staff, or "
                "train one with --preset staff"
            )
        return z

    @abstractmethod
    def _draw(self, z: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        """Events of at least one point, from ``(B, T)`` numbers in [0, 1)."""


def _check_plain(sampling: Sampling) -> None:
    """Refuse a form, a scale or a rhythm."""
    wanted = {
        "rhythm": sampling.rhythm,
        "scale": ",".join(map(str, sampling.scale)),
        "form": "" if form_of(sampling.form) is None else sampling.form,
    }
    for name, value in wanted.items():
        if value:
            raise UsageError(
                f"this model draws in no form, scale or rhythm, got the {name} {value}; take "
                "--model staff, or train one with --preset staff"
            )


class HierarchicalVAE(MelodyVAE):
    """Encoder, conductor and bar decoder."""

    config: MelodyVAEConfig

    def __init__(self, config: MelodyVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder: FlatEncoder | HierarchicalEncoder = (
            FlatEncoder(config) if config.encoder == "flat" else HierarchicalEncoder(config)
        )
        self.conductor = Conductor(config)
        self.decoder = BarDecoder(config)
        self.register_buffer("sigma_bar", torch.ones(config.latent_dim))

    def encode(self, events: Tensor) -> Posterior:
        """``(B, T)`` integers in [0, 129] to the posterior q(z | m)."""
        return self.encoder(events.long())

    def logits(self, z: Tensor, events: Tensor) -> Tensor:
        """Teacher-forced logits ``(B, T, V)`` of the true ``events`` ``(B, T)`` under ``z``."""
        return self.decoder(self.conductor(z), events.long())

    def _draw(self, z: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        embeddings = self.conductor(filled(z))[: len(z)]
        return FreeRunning(self.decoder)(embeddings, noise, sampling)


def event_batches(
    events: Events, device: torch.device, size: int = DECODE_BATCH
) -> Iterator[Tensor]:
    """``(B, T)`` uint8 events as int64 tensors of at most ``size`` melodies."""
    for first in range(0, len(events), size):
        yield torch.from_numpy(events[first : first + size].astype(np.int64)).to(device)
