"""Training a melody VAE: its batches, its loss, its measures.

The loss is the negative ELBO with a free-bits hinge on the divergence (paper, equation 1), in nats
a melody, divided by its 256 events so that learning rates mean the same at every length.

A hierarchical model learns in two stages. First bars alone: a bar's code goes straight into the
bar decoder, which is quick to learn. Then melodies: the residual path between the 16 codes and z
starts as the principal components of the codes, and everything is trained through z.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Events, transposed
from melodyconstraints.melody.units import STEPS
from melodyconstraints.melody.vae.config import MelodyVAEConfig
from melodyconstraints.melody.vae.model import HierarchicalEncoder, HierarchicalVAE
from melodyconstraints.melody.vae.reconstruction import measure_reconstruction
from melodyconstraints.melody.vae.residual_path import (
    match_prior,
    mean_posterior_scale,
    residual_path,
    start_from_principal_components,
)
from melodyconstraints.vae.distributed import Processes
from melodyconstraints.vae.posterior import free_bits_penalty
from melodyconstraints.vae.state import TrainingState
from melodyconstraints.vae.training import Objective, TrainingSettings, train

MAX_TRANSPOSITION = 6
"""Most semitones of a transposition; with the octave's other half below, to every key."""
PATH_SAMPLE = 8_192
"""Melodies whose bar codes give the principal components, and whose posteriors sigma_bar."""


@dataclass(frozen=True)
class ElboSettings:
    """Weights of the loss, and how melodies are drawn.

    Args:
        beta: weight of the divergence. Below 1 it trades prior samples for reconstruction.
        free_nats: divergence that costs nothing. MusicVAE, 16 bars: beta 0.2, 256 bits = 177 nats.
        first_beta: weight at the start of the melody stage; rises linearly to ``beta`` over the
            stage's first half.
        bars_share: share of the training spent on bars alone, after which the residual path is
            started (residual models); None for a model that has learned already, see
            :meth:`further`.
        match_shares: shares of the training after which the posterior is matched to the prior
            (residual models); see :func:`match_prior`.
        as_stored: whether every melody is drawn as often as any other and in its own key (the
            paper), or small collections more often and all melodies transposed at random.
    """

    beta: float = 0.3
    free_nats: float = 0.0
    first_beta: float = 0.02
    bars_share: float | None = 0.05
    match_shares: tuple[float, ...] = (0.45, 0.9, 0.98)
    as_stored: bool = False

    def further(self) -> ElboSettings:
        """Settings for a trained model: no stage of single bars, the full ``beta`` at once."""
        return replace(self, bars_share=None, first_beta=self.beta)


class MelodyBatches:
    """Batches of melodies, a pure function of the step.

    Args:
        events: ``(N, 256)`` training melodies.
        groups: ``(N,)`` label of each melody's collection, or tune. One of n melodies is drawn
            with weight n^balance, so that small ones do not drown.
        as_stored: see :class:`ElboSettings`; the balance is then 1.
    """

    def __init__(
        self,
        events: Events,
        groups: NDArray[Any],
        batch_size: int,
        seed: int,
        *,
        balance: float = 0.5,
        as_stored: bool = False,
    ) -> None:
        if not len(events):
            raise UsageError("there is no melody to train on; extract more files")
        self._events, self._size, self._seed = events, batch_size, seed
        self._as_stored = as_stored
        _, label, counts = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
        self._members = [np.flatnonzero(label == i) for i in range(len(counts))]
        weights = counts ** (1.0 if as_stored else balance)
        self._weights = weights / weights.sum()

    def __call__(self, step: int) -> Tensor:
        """``(batch_size, 256)`` int64 for a step number."""
        generator = np.random.default_rng((self._seed, step))
        groups = generator.choice(len(self._members), self._size, p=self._weights)
        rows = [generator.choice(self._members[group]) for group in groups]
        drawn = self._events[rows]
        drawn = drawn if self._as_stored else transpose_randomly(drawn, generator)
        return torch.from_numpy(drawn.astype(np.int64))


def transpose_randomly(events: Events, generator: np.random.Generator) -> Events:
    """Shift each melody by a random number of semitones in [-6, 5] that keeps it in 0-127."""
    shifts = generator.integers(-MAX_TRANSPOSITION, MAX_TRANSPOSITION, (len(events), 1))
    return transposed(events, shifts)[0]


class MelodyObjective(Objective):
    """The loss of a batch of melodies at a given progress of the training.

    Args:
        sample: ``(N, 256)`` melodies from which the second stage's principal components come.
        processes: this process's place among those that share the batch.
    """

    def __init__(
        self,
        model: HierarchicalVAE,
        settings: ElboSettings,
        sample: Events,
        processes: Processes | None = None,
    ) -> None:
        super().__init__()
        self._processes = processes or Processes()
        self.model, self.settings, self._sample = model, settings, sample
        self.noise_size = model.latent_dim
        self._path = residual_path(model)
        self._bars_share = (settings.bars_share or 0.0) if self._path else 0.0

    def prepare(self, since: float, progress: float) -> bool:
        """Between the stages, start the residual path; later, match the posterior to the prior."""
        if self._path is None:
            return False
        if self.settings.bars_share is not None and since < self._bars_share <= progress:
            start_from_principal_components(self._path, self._sample)
            return True
        if any(since < share <= progress for share in self.settings.match_shares):
            match_prior(self.model, self._sample)
            return True
        return False

    def forward(self, batch: Tensor, progress: float, noise: Tensor) -> Mapping[str, Tensor]:
        """Losses in nats an event; ``kl`` and ``reconstruction`` in nats a melody."""
        if self._path is not None and progress < self._bars_share:
            return self._bars_loss(batch, self._path.encoder)
        return self._melody_loss(batch, progress, noise)

    def _bars_loss(self, batch: Tensor, encoder: HierarchicalEncoder) -> Mapping[str, Tensor]:
        logits = self.model.decoder(encoder.bar_codes(batch), batch)
        reconstruction = negative_log_likelihood(logits, batch)
        return {"loss": reconstruction / STEPS, "reconstruction": reconstruction}

    def _melody_loss(self, batch: Tensor, progress: float, noise: Tensor) -> Mapping[str, Tensor]:
        posterior = self.model.encode(batch)
        logits = self.model.logits(posterior.sample(noise=noise), batch)
        reconstruction = negative_log_likelihood(logits, batch)
        kl = posterior.kl()
        penalty = free_bits_penalty(
            kl,
            beta=self._beta(progress),
            free_nats=self.settings.free_nats,
            mean=self._processes.mean(kl.mean()),
        )
        loss = (reconstruction + penalty) / STEPS
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl.mean()}

    def _beta(self, progress: float) -> float:
        stage = (progress - self._bars_share) / (1 - self._bars_share)
        rise = min(2 * stage, 1.0)
        return self.settings.first_beta + rise * (self.settings.beta - self.settings.first_beta)


def negative_log_likelihood(logits: Tensor, events: Tensor) -> Tensor:
    """Mean over the batch of -log p(m | z), in nats a melody.

    Args:
        logits: ``(B, T, V)``.
        events: ``(B, T)`` int64.
    """
    flat = F.cross_entropy(logits.float().flatten(0, 1), events.flatten(), reduction="sum")
    return flat / len(events)


def train_melody_vae(
    config: MelodyVAEConfig,
    events: Events,
    sources: NDArray[np.object_],
    held_out: Events,
    settings: TrainingSettings,
    *,
    elbo: ElboSettings | None = None,
    start: HierarchicalVAE | None = None,
    device: str = "cpu",
    processes: Processes | None = None,
    folder: Path | None = None,
    resume: bool = False,
    callback: Callable[[TrainingState], None] | None = None,
) -> tuple[HierarchicalVAE, TrainingState]:
    """Train a model and measure ``sigma_bar``.

    Args:
        events: ``(N, 256)`` training melodies.
        sources: ``(N,)`` collection of each, for balance.
        held_out: ``(M, 256)`` melodies of files that the training does not see.
        start: model of this ``config`` whose weights are the first ones; for ``elbo`` then see
            :meth:`ElboSettings.further`. A checkpoint goes before it.
        processes, folder: see :func:`melodyconstraints.vae.training.train`.

    Returns:
        The model and the final state with its learning curves.
    """
    elbo = elbo or ElboSettings()
    torch.manual_seed(settings.seed)
    model = HierarchicalVAE(config).to(device)
    if start is not None:
        model.load_state_dict(start.state_dict())
    generator = np.random.default_rng(settings.seed)
    picked = generator.choice(len(events), min(len(events), PATH_SAMPLE), replace=False)
    sample = events[np.sort(picked)]
    sample = sample if elbo.as_stored else transpose_randomly(sample, generator)
    batches = MelodyBatches(
        events, sources, settings.batch_size, settings.seed, as_stored=elbo.as_stored
    )
    state = train(
        model,
        MelodyObjective(model, elbo, sample, processes),
        lambda step: batches(step).to(device),
        settings,
        processes=processes,
        folder=folder,
        resume=resume,
        evaluate=lambda measured: measure_reconstruction(
            cast(HierarchicalVAE, measured), held_out
        ).as_dict(),
        callback=callback,
    )
    model.sigma_bar.copy_(mean_posterior_scale(model, sample))
    return model, state
