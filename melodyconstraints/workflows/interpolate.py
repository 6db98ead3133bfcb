"""Melodies on the way from one to another.

>>> import melodyconstraints as mc
>>> tune, other = mc.Melody.from_notes([(0, 4, 60)]), mc.Melody.from_notes([(0, 8, 67)])
>>> len(mc.interpolate(mc.load_model(), tune, other, 5))
5
"""

from __future__ import annotations

from typing import Unpack

import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.interpolation import slerp
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling, SamplingOptions
from melodyconstraints.storage.arguments import checked
from melodyconstraints.workflows.seeds import check_count


@checked
def interpolate(
    model: MelodyVAE,
    start: Melody,
    end: Melody,
    n: int,
    **options: Unpack[SamplingOptions],
) -> Melodies:
    """``n`` melodies at even distances on the arc between the posterior means of two.

    The first and the last are reconstructions of ``start`` and ``end``; see
    :func:`melodyconstraints.latent.interpolation.slerp`.

    Args:
        options: see :func:`melodyconstraints.workflows.reconstruct.reconstruct`.

    Raises:
        UsageError: n below 2 or above :data:`.seeds.MOST_AT_ONCE`.
    """
    if n < 2:
        raise UsageError(f"n must be at least 2, for both ends, got {n}")
    check_count(n)
    first, last = encode(model, [start, end]).mean
    points = slerp(first, last, torch.linspace(0, 1, n))
    return MelodySampler(model, Sampling.of(options, temperature=0.0)).decode(points)
