"""Inversion: the latent point that reconstructs a melody best."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.training import negative_log_likelihood

STEPS = 30
LEARNING_RATE = 0.05
PRIOR_WEIGHT = 0.2


def invert(
    model: MelodyVAE,
    melodies: Melodies | Sequence[Melody],
    *,
    steps: int = STEPS,
    prior_weight: float = PRIOR_WEIGHT,
) -> Tensor:
    """Points ``(B, Z)`` that maximise log p(m | z) + w log N(z; 0, I), from the posterior mean on.

    An encoder's guess is amortised over all melodies; some steps of gradient ascent for this one
    give back more of it (semi-amortised inference, Kim et al. 2018). With w below 1 the melody
    counts for more than the prior. Where the encoder inverts the decoder it is the encoder's.

    Args:
        melodies: ``B`` melodies, at least one.
        steps: steps of Adam.
        prior_weight: w, weight of the prior.
    """
    batch = Melodies.stack(list(melodies))
    events = torch.tensor(batch.events).long().to(model.device)
    z = encode(model, batch).mean
    if model.inverts:
        return z
    z.requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=LEARNING_RATE)
    for _ in range(steps):
        nats = len(events) * negative_log_likelihood(model.logits(z, events), events)
        total = nats + prior_weight * 0.5 * z.square().sum()
        (z.grad,) = torch.autograd.grad(total, z)
        optimizer.step()
    return z.detach()
