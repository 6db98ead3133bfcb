"""Knobs of a generator that knows its attributes: any rule asked for without any training.

The staff generator draws a melody from its number of notes, its range, its share of steps and
others, and writes it on a staff that any scale may be read into. So a scale holds for every note,
and rules about those numbers are set in z itself. What that does not settle, and any other
rule, is left to draws and a search by rewards alone
(:class:`melodyconstraints.latent.evolution.EvolutionSearch`).

>>> import melodyconstraints as mc
>>> knobs = mc.load_knobs(model=mc.load_model("staff"))
>>> melodies = knobs.at("D-dorian", "40..60", "ambitus:10..14", "final-note:A").generate(2)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.modes import degree_likeness
from melodyconstraints.melody.metrics.statistics import notes_per_bar
from melodyconstraints.melody.metrics.typical import closing, full_typicality, typicality
from melodyconstraints.melody.notes import Numbers
from melodyconstraints.melody.rhythm import NO_NOTE, NOTE, signs_of_rhythm
from melodyconstraints.melody.units import STEPS
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.rules.arguments import parse_number, parse_range, parse_share
from melodyconstraints.rules.scales import parse_scale
from melodyconstraints.storage.arguments import checked
from melodyconstraints.workflows.actor import Preference
from melodyconstraints.workflows.examples import Examples, matched
from melodyconstraints.workflows.search import SearchActor, search_actor
from melodyconstraints.workflows.written import is_of_chords, is_of_rhythm, is_settled, rhythm_of

_STEPS_PER_SEMITONE = 7 / 12
"""Scale steps to a semitone."""
_START = 64
"""Melodies drawn at first where knobs do not settle every rule: often as many satisfy them as are
wanted, and one draw takes less time than two."""
_CHOICE = _START // 16
"""Melodies drawn at first for each that is wanted, where those that are most in a scale are
chosen: as many as for the sixteen that commands make."""
_CLOSING = 1.5
"""Weight of a last note that closes, where that of degrees as in real melodies is 1."""
NOTE_COUNT = notes_per_bar.__name__
"""Feature that a rule about the number of notes affects."""


@dataclass(frozen=True)
class Knob:
    """A rule with a range, and the generator's attribute that it is about.

    Args:
        attribute: a key of :data:`melodyconstraints.melody.vae.staff.attributes.NAMES`.
        unit: the attribute's units in one of the rule's.
        highest, lowest: largest and least value, in the rule's units.
        is_share: whether values are written as shares, such as 60%.
    """

    attribute: str
    unit: float
    highest: float
    is_share: bool = False
    lowest: float = 0

    def range_of(self, argument: str) -> tuple[float, float]:
        """Least and largest value of the attribute, from what stands behind a rule's colon."""
        parse = parse_share if self.is_share else parse_number
        wanted = parse_range(argument, parse, self.lowest, self.highest, "a knob")
        return wanted.low * self.unit, wanted.high * self.unit


KNOBS = {
    "density": Knob("notes", 1, STEPS),
    "ambitus": Knob("range", _STEPS_PER_SEMITONE, 127),
    "rise": Knob("rise", _STEPS_PER_SEMITONE, 127, lowest=-127),
    "steps": Knob("steps", 1, 1, is_share=True),
    "off-beat": Knob("off_beats", 0.5, 1, is_share=True),
    "rests": Knob("rests", 1, 1, is_share=True),
}
"""Knobs by the name of the rule."""


class Request(nn.Module):
    """Stand-in for an actor: takes points of the prior to points of melodies as asked for."""

    def __init__(self, model: StaffGenerator, ranges: Mapping[str, tuple[float, float]]) -> None:
        super().__init__()
        self.generator, self.ranges = model, ranges

    def forward(self, z: Tensor) -> Tensor:
        """``(B, Z)`` to ``(B, Z)``."""
        return self.generator.moved_to(z, self.ranges)


@dataclass(frozen=True)
class Knobs:
    """The knobs of a staff generator; :meth:`at` sets them."""

    model: StaffGenerator

    @checked
    def at(
        self,
        scale: str | Collection[int] | None = None,
        density: int | str | None = None,
        *others: str | Rule | Callable[..., Any],
        tonic: bool = True,
        like: Examples | None = None,
    ) -> SearchActor:
        """The generator at one setting.

        Args:
            scale: scale as in the rule ``scale:D-dorian``, or pitch classes, the tonic first, as
                in ``C,D,E,G,A`` or as numbers in [0, 11]; None for notes as they come.
            density: least number of notes in 16 bars, or a range such as ``40..60``.
            others: rules, as :func:`.find_rules` takes them. Those of :data:`KNOBS` are knobs, and
                so is the first of a scale or of pitch classes where no scale is given; the first
                of a rhythm and of chords are written, see :mod:`.written`.
            tonic: whether a scale's rule is about its tonic as well, or its notes alone.
            like: melodies, or a folder of MIDI or a file, that what is drawn should be like; see
                :class:`melodyconstraints.latent.matching.Matched`.

        Raises:
            UsageError: no such scale, rule or range, or no melody that others should be like.
        """
        of_density = [] if density is None else [f"density:{density}"]
        rules = find_rules([*scale_rules(scale, tonic=tonic), *others, *of_density])
        if scale is not None:
            tonic_first = pitch_classes_of(scale)
        else:
            tonic_first = next(filter(None, map(_scale_of, rules)), ())
        request = Request(self.model, ranges_of(rules))
        tonic_of_rules = next((rule.tonic for rule in rules if rule.tonic is not None), None)
        rests_on_it = tonic_of_rules in tonic_first[:1]
        return search_actor(
            self.model,
            rules,
            prefers=preference(tonic_of_rules, tonic_first, rules),
            move=moved_first(self.model, like, request),
            scale=tonic_first,
            rhythm=rhythm_of(rules),
            start=0 if all(map(is_turned_alone, rules)) else _START,
            choice=_CHOICE if rests_on_it else 1,
            transpose=None if tonic_first else self.model.transposed,
        )


def preference(tonic: int | None, scale: Sequence[int], rules: Sequence[Rule]) -> Preference:
    """Preference for typical melodies; in a scale with a tonic, those first that are most in it.

    These have as many notes as real ones, where no rule is about that; their last note closes, and
    they weigh degrees as real melodies do.

    Args:
        tonic: pitch class in [0, 11], or None.
        scale: pitch classes of the scale, the tonic first; where it is another one, or where there
            is no scale, only the last note counts.
    """
    if tonic is None:
        return typicality
    if tonic not in scale[:1]:
        return lambda melodies: _first_among_typical(
            typicality(melodies), closing(melodies, tonic)
        )
    affected = frozenset[str]().union(*(rule.affected_features for rule in rules))
    is_typical = typicality if NOTE_COUNT in affected else full_typicality

    def prefers(melodies: Melodies) -> Numbers:
        typical = is_typical(melodies)
        in_scale = _CLOSING * closing(melodies, tonic) + degree_likeness(melodies, scale)
        return _first_among_typical(typical, in_scale)

    return prefers


def _first_among_typical(typical: Numbers, more: Numbers) -> Numbers:
    """``(B,)`` typicality, and what orders those that are typical."""
    return np.where(typical >= 1, typical + more, typical)


def moved_first(model: MelodyVAE, like: Examples | None, then: nn.Module) -> nn.Module:
    """Module that takes points of the prior to points like examples, if any, before ``then``."""
    return then if like is None else nn.Sequential(matched(model, like), then)


def is_knob(rule: Rule) -> bool:
    """Whether a rule of the library is a knob, which is set by value."""
    return rule.is_own and rule.spec.partition(":")[0] in KNOBS


def is_turned_alone(rule: Rule) -> bool:
    """Whether a rule is satisfied without a search: a knob, or what is written as asked for."""
    is_written = (is_of_rhythm(rule) or is_of_chords(rule)) and is_settled(rule, [])
    return is_knob(rule) or is_of_set(rule) or is_written


def ranges_of(rules: Sequence[Rule]) -> dict[str, tuple[float, float]]:
    """Attributes and their ranges that rules ask for, the notes of a written rhythm among them.

    Of two rules about one attribute what both ask for, where there is such.
    """
    ranges = _notes_of(rhythm_of(rules))
    for rule in filter(is_knob, rules):
        attribute, (low, high) = _attribute_and_range(rule.spec)
        least, most = ranges.get(attribute, (low, high))
        meet = max(low, least), min(high, most)
        ranges[attribute] = meet if meet[0] <= meet[1] else (low, high)
    return ranges


def _attribute_and_range(spec: str) -> tuple[str, tuple[float, float]]:
    """An attribute and its range."""
    name, _, argument = spec.partition(":")
    return KNOBS[name].attribute, KNOBS[name].range_of(argument)


def _scale_of(rule: Rule) -> tuple[int, ...]:
    """Pitch classes of a library's rule that is of a scale or of a set alone, or none."""
    if rule.pitch_classes is None or not rule.is_own:
        return ()
    name, _, argument = rule.spec.partition(":")
    if name in ("scale", "pitch-classes"):
        return pitch_classes_of(argument)
    return pitch_classes_of(rule.spec) if parse_scale(rule.spec) else ()


def scale_read(model: MelodyVAE, rules: Sequence[Rule]) -> tuple[int, ...] | frozenset[int]:
    """Pitch classes of the first rule of a scale, the tonic first, if a model can write in one.

    Without such a rule those that are in all plain sets, such as ``cmajor``, as a set; see
    :attr:`.Sampling.scale`.
    """
    if not isinstance(model, StaffGenerator):
        return ()
    named = [scale for rule in rules if rule.tonic is not None and (scale := _scale_of(rule))]
    if named:
        return named[0]
    sets = [frozenset(_scale_of(rule)) for rule in rules if is_of_set(rule)]
    return (frozenset.intersection(*sets) if sets else None) or ()


def _notes_of(rhythm: str) -> dict[str, tuple[float, float]]:
    """Range of the number of notes in 16 bars of a rhythm; none for an empty one."""
    if not rhythm:
        return {}
    signs = signs_of_rhythm(rhythm)
    least, most = float((signs == NOTE).sum()), float((signs != NO_NOTE).sum())
    return {KNOBS["density"].attribute: (least, most)}


def has_keys(model: MelodyVAE, rules: Sequence[Rule]) -> bool:
    """Whether a model's melodies are of any key as they come, and a library's rule may need one.

    Then each is taken in the key that the rules reward most; see :mod:`.keys`.
    """
    return isinstance(model, StaffGenerator) and any(rule.is_own for rule in rules)


def is_of_set(rule: Rule) -> bool:
    """Whether a rule is of a plain set of pitch classes and of nothing else."""
    return bool(rule.tonic is None and _scale_of(rule))


def scale_rules(scale: str | Collection[int] | None, *, tonic: bool) -> list[Rule]:
    """The rule of a scale, or of its notes alone, with the key signature and tonic of the scale.

    Raises:
        UsageError: no such scale or pitch class.
    """
    if scale is None:
        return []
    if _is_set(scale):
        return find_rules([f"pitch-classes:{_text(scale)}"])
    (rule,) = find_rules([f"scale:{scale}"])
    if tonic:
        return [rule]
    (notes,) = find_rules([f"pitch-classes:{','.join(map(str, pitch_classes_of(scale)))}"])
    return [replace(notes, key=rule.key, tonic=rule.tonic)]


def pitch_classes_of(scale: str | Collection[int]) -> tuple[int, ...]:
    """Pitch classes of a scale or a set, the tonic, or what is named first, before the others.

    >>> pitch_classes_of("D-dorian"), pitch_classes_of("G,C,E")
    ((2, 4, 5, 7, 9, 11, 0), (7, 0, 4))
    """
    if not _is_set(scale):
        named = parse_scale(str(scale))
        if named is None:
            find_rules([f"scale:{scale}"])  # says which are near
        return () if named is None else named.from_tonic
    first, every = (
        find_rules([f"pitch-classes:{text}"])[0].pitch_classes or frozenset()
        for text in (_text(scale).split(",")[0], _text(scale))
    )
    (tonic,) = first
    return tuple(sorted(every, key=lambda pitch_class: (pitch_class - tonic) % 12))


def _is_set(scale: str | Collection[int]) -> bool:
    return not isinstance(scale, str) or "," in scale or scale.isdecimal()


def _text(scale: str | Collection[int]) -> str:
    return scale if isinstance(scale, str) else ",".join(map(str, scale))
