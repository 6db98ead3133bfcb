"""Melodies as points of a model's latent space, and what lies around and between them.

>>> import melodyconstraints as mc
>>> tune, other = mc.Melody.from_notes([(0, 4, 60)]), mc.Melody.from_notes([(0, 8, 67)])
>>> model = mc.load_model()
>>> len(mc.reconstruct(model, [tune, other])), len(mc.interpolate(model, tune, other, 5))
(2, 5)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.interpolation import slerp
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.model import MelodyVAE, event_batches
from melodyconstraints.melody.sampler import MelodySampler
from melodyconstraints.vae.posterior import Posterior


def reconstruct(
    model: MelodyVAE,
    melodies: Melodies | Sequence[Melody],
    *,
    temperature: float = 0.0,
    seed: int = 0,
) -> Melodies:
    """Encode melodies and decode their posterior means: what the model has understood of them.

    Args:
        melodies: ``B`` melodies.
        temperature: of the decoder; 0 takes the likeliest events.
        seed: of its draws.

    Returns:
        ``B`` melodies.
    """
    if not len(melodies):
        return Melodies.stack([])
    return _decode(model, encode(model, melodies).mean, temperature, seed)


def vary(
    model: MelodyVAE, melody: Melody, n: int, *, temperature: float = 0.0, seed: int = 0
) -> Melodies:
    """``n`` melodies near one: draws from its posterior, decoded.

    Raises:
        UsageError: n below 1.
    """
    if n < 1:
        raise UsageError(f"n must be at least 1, got {n}")
    posterior = encode(model, [melody])
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, model.latent_dim, generator=generator).to(model.device)
    decoder_seed = int(torch.randint(2**31, (), generator=generator))
    return _decode(model, posterior.mean + posterior.scale * noise, temperature, decoder_seed)


def interpolate(
    model: MelodyVAE,
    start: Melody,
    end: Melody,
    n: int,
    *,
    temperature: float = 0.0,
    seed: int = 0,
) -> Melodies:
    """``n`` melodies at even distances on the arc between the posterior means of two.

    The first and the last are reconstructions of ``start`` and ``end``; see
    :func:`melodyconstraints.latent.interpolation.slerp`.

    Raises:
        UsageError: n below 2.
    """
    if n < 2:
        raise UsageError(f"n must be at least 2, for both ends, got {n}")
    first, last = encode(model, [start, end]).mean
    points = slerp(first, last, torch.linspace(0, 1, n))
    return _decode(model, points, temperature, seed)


@torch.no_grad()
def encode(model: MelodyVAE, melodies: Melodies | Sequence[Melody]) -> Posterior:
    """The posteriors ``(B, Z)`` of ``B`` melodies, at least one."""
    events = Melodies.stack(list(melodies)).events
    found = [model.encode(batch) for batch in event_batches(events, model.device)]
    return Posterior(
        torch.cat([posterior.mean for posterior in found]),
        torch.cat([posterior.scale for posterior in found]),
    )


def _decode(model: MelodyVAE, points: Tensor, temperature: float, seed: int) -> Melodies:
    return MelodySampler(model, temperature=temperature, seed=seed).decode(points)
