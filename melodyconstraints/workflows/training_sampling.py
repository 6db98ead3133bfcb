"""Scale or keys in which a training draws melodies, and its actor afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.form import AUTO
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.rules import Rule
from melodyconstraints.workflows.keys import transposing
from melodyconstraints.workflows.knobs import has_keys, is_of_set, scale_read
from melodyconstraints.workflows.seeds import prior_points

_SOME = 256
"""Melodies drawn to see how rules reward them."""


@dataclass(frozen=True)
class TrainingSampling:
    """Way in which a training draws melodies.

    Args:
        scale: scale in which the actor draws, and the training too where none of it is learned.
        settled: rules that hold in that scale, whatever is learned.
        transposes: whether each melody is taken in the key that the rules reward most.
    """

    model: MelodyVAE
    sampling: Sampling
    scale: tuple[int, ...] | frozenset[int]
    settled: Sequence[Rule]
    transposes: bool
    finish: Callable[[Melodies], Melodies] | None

    @property
    def is_banks(self) -> bool:
        """Whether the melodies of a bank were drawn so: in no form and no scale."""
        return self.sampling.form == AUTO and not self.sampling.scale

    def sampler(self) -> MelodySampler:
        """A sampler at the beginning of its draws."""
        return MelodySampler(self.model, self.sampling, self.finish)

    def some(self) -> Melodies:
        """Melodies of the prior, drawn so: enough to see how rules reward them."""
        return self.sampler().decode(prior_points(self.model, _SOME, self.sampling.seed))


def training_sampling(
    model: MelodyVAE,
    rules: Sequence[Rule],
    weights: Sequence[float],
    sampling: Sampling,
    *,
    plain: bool,
) -> TrainingSampling:
    """Draws of a training for rules: in their scale, or in the best key."""
    active_rules = list(compress(rules, weights))
    scale = () if plain else scale_read(model, active_rules)
    learned_in = scale if isinstance(scale, tuple) or all(map(is_of_set, active_rules)) else ()
    settled = active_rules if isinstance(learned_in, frozenset) else []
    transposes = not (scale or plain) and has_keys(model, active_rules)
    finish = transposing(rules, weights) if transposes else None
    sampling = replace(sampling, scale=learned_in)
    return TrainingSampling(model, sampling, scale, settled, transposes, finish)
