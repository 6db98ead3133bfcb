"""Reconstruction of held-out melodies by a melody VAE."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from melodyconstraints.melody.events import Events, canonical_events
from melodyconstraints.melody.metrics.agreement import onset_f1, onset_recall
from melodyconstraints.melody.vae.model import MelodyVAE, event_batches
from melodyconstraints.melody.vae.sampler import LIKELIEST
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.vae.posterior import Posterior

_ACTIVE_NATS = 0.02


@dataclass(frozen=True)
class Reconstruction:
    """Quality on held-out melodies; shares in [0, 1].

    Args:
        teacher_forced: share of events that are the likeliest given the true events before them.
        free_running: share of events given back by decoding the posterior mean, the likeliest
            event at each step.
        onset_f1: F1 of notes given back, pitch and step exact.
        kl: KL(q || p) in nats a melody.
        active_dimensions: dimensions of z with more than 0.02 nats.
        mean_variance: variance of the posterior means, averaged over the active dimensions; 1 is
            the prior's.
        sigma: mean posterior scale.
    """

    teacher_forced: float
    free_running: float
    onset_f1: float
    kl: float
    active_dimensions: float
    mean_variance: float
    sigma: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers by name."""
        return asdict(self)


@dataclass(frozen=True)
class Accuracy:
    """Agreement of decoded and true events; shares in [0, 1].

    Args:
        teacher_forced, free_running, onset_f1: as in :class:`Reconstruction`.
        onsets_teacher_forced: share of the true notes whose pitch is the likeliest event at the
            step where they start, given the true events before it.
        onsets_free_running: share of the true notes given back with pitch and step exact.
    """

    teacher_forced: float
    free_running: float
    onset_f1: float
    onsets_teacher_forced: float
    onsets_free_running: float


@dataclass(frozen=True)
class Decoded:
    """Melodies, their posterior, and melodies decoded from a point of it.

    Args:
        true: ``(B, 256)`` events.
        forced: ``(B, 256)`` likeliest events, each given the true ones before it.
        free: ``(B, 256)`` events decoded without the true ones.
        posterior: q(z | m) of each melody.
    """

    true: Events
    forced: Events
    free: Events
    posterior: Posterior

    def accuracy(self, rows: NDArray[np.bool_] | slice = slice(None)) -> Accuracy:
        """Agreement over all melodies, or over some of them."""
        true, forced, free = self.true[rows], self.forced[rows], self.free[rows]
        return Accuracy(
            teacher_forced=float((forced == true).mean()),
            free_running=float((free == true).mean()),
            onset_f1=onset_f1(free, true),
            onsets_teacher_forced=onset_recall(forced, true),
            onsets_free_running=onset_recall(free, true),
        )

    def reconstruction(self) -> Reconstruction:
        """Accuracy and the state of the latent space, over all melodies."""
        accuracy, kl = self.accuracy(), self.posterior.kl_by_dimension()
        active = kl.mean(0) > _ACTIVE_NATS
        variance = self.posterior.mean.var(0, unbiased=False)[active]
        return Reconstruction(
            teacher_forced=accuracy.teacher_forced,
            free_running=accuracy.free_running,
            onset_f1=accuracy.onset_f1,
            kl=float(kl.sum(1).mean()),
            active_dimensions=int(active.sum()),
            mean_variance=float(variance.mean()) if len(variance) else 0.0,
            sigma=float(self.posterior.scale.mean()),
        )


def measure_reconstruction(model: MelodyVAE, events: Events) -> Reconstruction:
    """Encode, decode the posterior mean and compare.

    Args:
        events: ``(B, 256)`` held-out melodies.
    """
    return encode_and_decode(model, events).reconstruction()


@torch.no_grad()
def encode_and_decode(
    model: MelodyVAE,
    events: Events,
    sampling: Sampling = LIKELIEST,
    *,
    generator: torch.Generator | None = None,
) -> Decoded:
    """Encode and decode.

    Args:
        events: ``(B, 256)`` melodies.
        sampling: sampling of ``free``; the likeliest events if not given, as ``forced`` always is.
        generator: source, on the model's device, of a point drawn from each posterior in place of
            its mean. It draws the events as well, in place of the sampling's seed.
    """
    forced, free, posteriors = [], [], []
    for batch in event_batches(events, model.device):
        posterior = model.encode(batch)
        z = posterior.mean if generator is None else posterior.sample(generator)
        forced.append(model.logits(z, batch).argmax(-1).cpu().numpy())
        drawn = model.decode(z, sampling, generator=generator)
        free.append(drawn.cpu().numpy())
        posteriors.append(posterior)
    return Decoded(
        true=events,
        forced=np.concatenate(forced).astype(np.uint8),
        free=canonical_events(np.concatenate(free)),
        posterior=Posterior.join(posteriors),
    )
