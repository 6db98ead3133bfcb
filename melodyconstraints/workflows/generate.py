"""Melodies from a model's prior, under no rule; an actor's: :meth:`.actor.MelodyActor.generate`.

>>> import melodyconstraints as mc
>>> len(mc.generate(mc.load_model(), 2, seed=3))
2
"""

from __future__ import annotations

from typing import Unpack

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling, SamplingOptions
from melodyconstraints.workflows.seeds import EVENTS, derived_seed, prior_points


def generate(model: MelodyVAE, n: int, **options: Unpack[SamplingOptions]) -> Melodies:
    """Draw ``n`` melodies from a model's prior, under no rule.

    Args:
        options: see :class:`melodyconstraints.melody.vae.sampling.Sampling`.

    Raises:
        UsageError: n below 1, or an option outside its range.
    """
    sampling = Sampling.of(options)
    return prior_sampler(model, sampling).decode(prior_points(model, n, sampling.seed))


def prior_sampler(model: MelodyVAE, sampling: Sampling) -> MelodySampler:
    """The model's decoder, with draws of its own for generated melodies."""
    return MelodySampler(model, sampling.with_seed(derived_seed(EVENTS, sampling.seed)))
