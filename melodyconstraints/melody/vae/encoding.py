"""Melodies as points of a model's latent space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.vae.model import DECODE_BATCH, MelodyVAE, event_batches
from melodyconstraints.vae.posterior import Posterior


@torch.no_grad()
def encode(model: MelodyVAE, melodies: Melodies | Sequence[Melody]) -> Posterior:
    """The posteriors ``(B, Z)`` of ``B`` melodies, at least one."""
    events = Melodies.stack(list(melodies)).events
    return Posterior.join([model.encode(batch) for batch in event_batches(events, model.device)])


@torch.no_grad()
def sample_points(
    model: MelodyVAE, melodies: Melodies | Sequence[Melody], noise: Tensor
) -> Tensor:
    """A sample of each posterior, ``(B, Z)``, by standard normal ``noise`` of this shape."""
    events = Melodies.stack(list(melodies)).events
    batches = event_batches(events, model.device)
    parts = zip(batches, noise.to(model.device).split(DECODE_BATCH), strict=True)
    return torch.cat([model.encode(batch).sample(noise=part) for batch, part in parts])
