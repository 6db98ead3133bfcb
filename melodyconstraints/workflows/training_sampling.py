"""How a training draws melodies, and its actor afterwards: scale or best key, rhythm, ranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.form import AUTO
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.attributes import NAMES
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.rules import Rule
from melodyconstraints.workflows.keys import transposing
from melodyconstraints.workflows.knobs import has_keys, is_of_set, ranges_of, scale_read
from melodyconstraints.workflows.seeds import prior_points
from melodyconstraints.workflows.written import (
    chord_writing,
    is_settled,
    rhythm_of,
    written_rules,
)

_RARE = 0.05
"""Share of the training melodies from which on an actor sets out from points that have what is
asked of an attribute."""
_SOME = 256
"""Number of melodies drawn to see how rules reward them."""


@dataclass(frozen=True)
class TrainingSampling:
    """How a training draws melodies.

    Args:
        sampling: sampling of the training; its scale is empty where the actor learns the scale.
        scale: scale in which the trained actor draws.
        of_set, written: rules that all melodies satisfy as they are written, so that they are not
            learned: of the notes of a set; of a rhythm and of chords.
        transposes: whether each melody is taken in the key that the rules reward most.
        finish: function that changes what is decoded; None where nothing does.
        ranges: attributes that points are moved to before the actor, and their ranges; see
            :class:`.knobs.Request`.
    """

    model: MelodyVAE
    sampling: Sampling
    scale: tuple[int, ...] | frozenset[int]
    of_set: Sequence[Rule]
    written: Sequence[Rule]
    transposes: bool
    finish: Callable[[Melodies], Melodies] | None
    ranges: dict[str, tuple[float, float]]

    @property
    def is_banks(self) -> bool:
        """Whether a bank's melodies were drawn in the same way: in no form, scale or rhythm."""
        sampling = self.sampling
        return sampling.form == AUTO and not (sampling.scale or sampling.rhythm)

    @property
    def asked(self) -> str:
        """What the melodies are drawn in that a bank's are not: a scale or a rhythm."""
        return "scale" if self.sampling.scale else "rhythm"

    @property
    def settled(self) -> list[Rule]:
        """The rules that are not learned."""
        return [*self.of_set, *self.written]

    def settled_text(self) -> str | None:
        """What melodies are written in, so that it is not learned; None where nothing is."""
        notes = " and ".join(rule.name for rule in self.of_set)
        parts = [
            *([f"the notes of {notes}"] if notes else []),
            *(rule.name for rule in self.written),
        ]
        return f"melodies are written in {' and in '.join(parts)}" if parts else None

    def sampler(self) -> MelodySampler:
        """New sampler of the training, which draws from the seed on."""
        return MelodySampler(self.model, self.sampling, self.finish)

    def some(self) -> Melodies:
        """Melodies of the prior drawn in this way, enough to see how rules reward them."""
        return self.sampler().decode(prior_points(self.model, _SOME, self.sampling.seed))


def training_sampling(
    model: MelodyVAE,
    rules: Sequence[Rule],
    weights: Sequence[float],
    sampling: Sampling,
    *,
    plain: bool,
) -> TrainingSampling:
    """How a training for rules draws melodies: in the rules' scale and rhythm, or the best key."""
    active_rules = list(compress(rules, weights))
    scale = () if plain else scale_read(model, active_rules)
    written = [] if plain else written_rules(model, active_rules)
    settled = [rule for rule in written if is_settled(rule, active_rules)]
    others = [rule for rule in active_rules if rule not in settled]
    learned_in = scale if isinstance(scale, tuple) or all(map(is_of_set, others)) else ()
    of_set = others if isinstance(learned_in, frozenset) else []
    transposes = not (scale or plain) and has_keys(model, active_rules)
    write = None if plain else chord_writing(model, active_rules)
    finish = transposing(rules, weights, write=write) if transposes else write
    sampling = replace(sampling, scale=learned_in, rhythm=rhythm_of(written))
    ranges = {} if plain else _common_ranges(model, active_rules)
    return TrainingSampling(model, sampling, scale, of_set, settled, transposes, finish, ranges)


def _common_ranges(model: MelodyVAE, rules: Sequence[Rule]) -> dict[str, tuple[float, float]]:
    """What rules ask of attributes that a model knows, but for what hardly any melody has.

    Melodies that have it anyway are unlike others in more than that.
    """
    if not isinstance(model, StaffGenerator):
        return {}
    return {
        name: wanted
        for name, wanted in ranges_of(rules).items()
        if model.scores.share_within(NAMES.index(name), *wanted) >= _RARE
    }
