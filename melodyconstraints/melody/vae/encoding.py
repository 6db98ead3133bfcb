"""Melodies as points of a model's latent space."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.vae.model import MelodyVAE, event_batches
from melodyconstraints.vae.posterior import Posterior


@torch.no_grad()
def encode(model: MelodyVAE, melodies: Melodies | Sequence[Melody]) -> Posterior:
    """The posteriors ``(B, Z)`` of ``B`` melodies, at least one."""
    events = Melodies.stack(list(melodies)).events
    return Posterior.join([model.encode(batch) for batch in event_batches(events, model.device)])
