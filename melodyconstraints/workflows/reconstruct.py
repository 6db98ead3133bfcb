"""Reconstructions of melodies by a model, and other melodies near them.

>>> import melodyconstraints as mc
>>> model = mc.load_model()
>>> len(mc.reconstruct(model, [mc.Melody.from_notes([(0, 4, 60)])]))
1
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling, SamplingOptions
from melodyconstraints.storage.arguments import checked
from melodyconstraints.workflows.seeds import check_count


@checked
def reconstruct(
    model: MelodyVAE,
    melodies: Melodies | Sequence[Melody],
    **options: Unpack[SamplingOptions],
) -> Melodies:
    """Encode melodies and decode their posterior means.

    Args:
        melodies: ``B`` melodies.
        options: see :class:`melodyconstraints.melody.vae.sampling.Sampling`; without a
            temperature, the likeliest events are taken.

    Returns:
        ``B`` melodies.
    """
    if not len(melodies):
        return Melodies.stack([])
    sampler = MelodySampler(model, Sampling.of(options, temperature=0.0))
    return sampler.decode(encode(model, melodies).mean)


@checked
def vary(model: MelodyVAE, melody: Melody, n: int, **options: Unpack[SamplingOptions]) -> Melodies:
    """``n`` melodies near one: draws from its posterior, decoded.

    Args:
        options: see :func:`reconstruct`; the seed is also that of the draws from the posterior.

    Raises:
        UsageError: n below 1 or above :data:`.seeds.MOST_AT_ONCE`.
    """
    check_count(n)
    posterior = encode(model, [melody])
    sampling = Sampling.of(options, temperature=0.0)
    generator = torch.Generator().manual_seed(sampling.seed)
    noise = torch.randn(n, model.latent_dim, generator=generator).to(model.sigma_bar)
    decoder_seed = int(torch.randint(2**31, (), generator=generator))
    sampler = MelodySampler(model, sampling.with_seed(decoder_seed))
    return sampler.decode(posterior.mean + posterior.scale * noise)
