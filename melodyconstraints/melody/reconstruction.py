"""How well a melody VAE gives back melodies that it has not seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from melodyconstraints.melody.events import PITCHES, Events, canonical_events
from melodyconstraints.melody.model import MelodyVAE, event_batches

_ACTIVE_NATS = 0.02


@dataclass(frozen=True)
class Reconstruction:
    """Quality on held-out melodies; shares in [0, 1].

    Args:
        teacher_forced: events that are the likeliest given the true events before them.
        free_running: events given back by decoding the posterior mean, likeliest event each step.
        onset_f1: notes given back, pitch and step exact, harmonic mean of precision and recall.
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


@torch.no_grad()
def measure_reconstruction(model: MelodyVAE, events: Events) -> Reconstruction:
    """Encode, decode and compare.

    Args:
        events: ``(B, 256)`` held-out melodies.
    """
    forced, free, means, kls, scales = [], [], [], [], []
    for batch in event_batches(events, model.device):
        posterior = model.encode(batch)
        forced.append(model.logits(posterior.mean, batch).argmax(-1).cpu().numpy())
        free.append(model.decode(posterior.mean, temperature=0.0).cpu().numpy())
        means.append(posterior.mean)
        kls.append(posterior.kl_by_dimension())
        scales.append(posterior.scale)
    kl = torch.cat(kls)
    active = kl.mean(0) > _ACTIVE_NATS
    variance = torch.cat(means).var(0, unbiased=False)[active]
    decoded = canonical_events(np.concatenate(free))
    return Reconstruction(
        teacher_forced=float((np.concatenate(forced) == events).mean()),
        free_running=float((decoded == events).mean()),
        onset_f1=onset_f1(decoded, events),
        kl=float(kl.sum(1).mean()),
        active_dimensions=int(active.sum()),
        mean_variance=float(variance.mean()) if len(variance) else 0.0,
        sigma=float(torch.cat(scales).mean()),
    )


def onset_f1(found: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """F1 of notes whose pitch and step both agree, over a batch; 1.0 if neither has a note.

    >>> onset_f1(np.array([[60, 128, 62, 129]]), np.array([[60, 128, 64, 65]]))
    0.4
    """
    hits = int(((found == true) & (true < PITCHES)).sum())
    notes = int((found < PITCHES).sum()) + int((true < PITCHES).sum())
    return 2 * hits / notes if notes else 1.0
