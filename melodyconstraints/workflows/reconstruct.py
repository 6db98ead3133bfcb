"""What a model makes of melodies, and others near them.

>>> import melodyconstraints as mc
>>> model = mc.load_model()
>>> len(mc.reconstruct(model, [mc.Melody.from_notes([(0, 4, 60)])]))
1
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler


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
    return MelodySampler(model, temperature=temperature, seed=seed).decode(
        encode(model, melodies).mean
    )


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
    sampler = MelodySampler(model, temperature=temperature, seed=decoder_seed)
    return sampler.decode(posterior.mean + posterior.scale * noise)
