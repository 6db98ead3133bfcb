"""Knobs of a generator that knows its attributes: any rule asked for without any training.

The staff generator draws a melody from its number of notes, its range, its share of steps and
others, and writes it on a staff that any scale may be read into. So a scale holds for every note,
and rules about those numbers are asked for in z itself. What that does not settle, and any other
rule, is left to draws and a search by rewards alone
(:class:`melodyconstraints.latent.evolution.EvolutionSearch`).

>>> import melodyconstraints as mc
>>> knobs = mc.load_knobs(model=mc.load_model("staff"))
>>> melodies = knobs.at("D-dorian", "40..60", "ambitus:10..14", "final-note:A").generate(2)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Unpack, cast

import torch
from torch import Tensor, nn

from melodyconstraints.errors import TrainingError
from melodyconstraints.latent.evolution import EvolutionSearch
from melodyconstraints.latent.networks import Actor, Critics
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.units import STEPS
from melodyconstraints.melody.vae.sampling import Sampling, SamplingOptions
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.melody.vae.staff.notation import mode_of
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.rules.arguments import parse_number, parse_range, parse_share
from melodyconstraints.rules.scales import parse_scale
from melodyconstraints.workflows.actor import SEARCH, MelodyActor, rewards_of, satisfies_all
from melodyconstraints.workflows.seeds import check_count, derived_generator, prior_points

SPARE = 4
"""Points are evolved for so many melodies more than are wanted, or a quarter more: the hardest are
left out."""
_STEPS_PER_SEMITONE = 7 / 12
"""Scale steps."""


@dataclass(frozen=True)
class Knob:
    """A rule with a range, and the generator's attribute that it is about.

    Args:
        attribute: a key of :data:`melodyconstraints.melody.vae.staff.attributes.NAMES`.
        unit: the attribute's units in one of the rule's.
        highest: largest value, in the rule's units.
        is_share: whether values are written as shares, such as 60%.
    """

    attribute: str
    unit: float
    highest: float
    is_share: bool = False

    def range_of(self, argument: str) -> tuple[float, float]:
        """Least and largest value of the attribute, from what stands behind a rule's colon."""
        parse = parse_share if self.is_share else parse_number
        wanted = parse_range(argument, parse, 0, self.highest, "a knob")
        return wanted.low * self.unit, wanted.high * self.unit


KNOBS = {
    "density": Knob("notes", 1, STEPS),
    "ambitus": Knob("range", _STEPS_PER_SEMITONE, 127),
    "steps": Knob("steps", 1, 1, is_share=True),
    "off-beat": Knob("off_beats", 0.5, 1, is_share=True),
    "rests": Knob("rests", 1, 1, is_share=True),
}
"""By the name of the rule."""


class Request(nn.Module):
    """What takes an actor's place: points of the prior to points of melodies as asked for."""

    def __init__(
        self, model: StaffGenerator, ranges: Mapping[str, tuple[float, float]], mode: int | None
    ) -> None:
        super().__init__()
        self.generator, self.ranges, self.mode = model, ranges, mode

    def forward(self, z: Tensor) -> Tensor:
        """``(B, Z)`` to ``(B, Z)``."""
        return self.generator.asked(z, self.ranges, self.mode)


@dataclass(kw_only=True, repr=False)
class RequestActor(MelodyActor):
    """One setting of the knobs; it draws like an actor that was trained for its rules.

    Args:
        search: what goes on from melodies that do not satisfy every rule.
        callback: called, while it searches, with the number of melodies that satisfy every rule
            and with how many were drawn.
    """

    search: EvolutionSearch = field(default_factory=EvolutionSearch)
    callback: Callable[[int, int], None] | None = None

    def generate(self, n: int, **options: Unpack[SamplingOptions]) -> Melodies:
        """Draw ``n`` melodies and search on from those that do not satisfy every rule.

        Args:
            options: see :class:`melodyconstraints.melody.vae.sampling.Sampling`.

        Raises:
            UsageError: n below 1, or an option outside its range.
        """
        return self._evolved(n, self.sampling(options), self.search).melodies

    def generate_satisfying(
        self, n: int, *, max_draws: int = 50_000, **options: Unpack[SamplingOptions]
    ) -> tuple[Melodies, int]:
        """Search until ``n`` melodies satisfy every rule; see :class:`.MelodyActor`."""
        self.require_rules(self.asked)
        search = replace(self.search, draws=max(1, max_draws // n))
        found = self._evolved(n, self.sampling(options), search)
        count = int(satisfies_all(self.asked, found.melodies).sum())
        if count < n:
            raise TrainingError(
                f"{count} of {n} melodies satisfy every rule after {found.drawn} were drawn; ask "
                "for less, or grade a rule so that a melody that comes closer has a higher reward"
            )
        return found.melodies, found.drawn

    def draw_from(
        self,
        z: Tensor,
        sampling: Sampling,
        generator: torch.Generator,
        finish: Callable[[Melodies], Melodies] = lambda melodies: melodies,
    ) -> tuple[Tensor, Melodies]:
        """Evolve ``(B, Z)`` points; see :class:`.MelodyActor`."""
        found = self._evolve(z, len(z), sampling, self.search, generator, finish)
        return self.shift(found.points), found.melodies

    def _evolved(self, n: int, sampling: Sampling, search: EvolutionSearch) -> _Found:
        check_count(n)
        count = n + (max(SPARE, n // 4) if self.asked else 0)
        z = prior_points(self.model, count, sampling.seed)
        return self._evolve(z, n, sampling, search, derived_generator(SEARCH, sampling.seed))

    def _evolve(
        self,
        z: Tensor,
        n: int,
        sampling: Sampling,
        search: EvolutionSearch,
        generator: torch.Generator,
        finish: Callable[[Melodies], Melodies] = lambda melodies: melodies,
    ) -> _Found:
        sampler = self.sampler(sampling)
        found = replace(search, weights=tuple(self.weights))(
            lambda points: finish(sampler.decode(self.shift(points))),
            lambda melodies: torch.from_numpy(rewards_of(self.rules, melodies)),
            z,
            self.model.blocks,
            wanted=n,
            generator=generator,
            callback=self.callback if self.asked else None,
        )
        return _Found(found.points, Melodies.stack(found.samples), found.drawn)


class _Found(NamedTuple):
    """Points ``(B, Z)`` before they are shifted, their melodies, and how many were drawn."""

    points: Tensor
    melodies: Melodies
    drawn: int


@dataclass(frozen=True)
class Knobs:
    """The knobs of a staff generator; :meth:`at` sets them."""

    model: StaffGenerator

    def at(
        self,
        scale: str | Collection[int] | None = None,
        density: int | str | None = None,
        *others: str | Rule | Callable[..., Any],
        tonic: bool = True,
    ) -> RequestActor:
        """The generator at one setting.

        Args:
            scale: as in the rule ``scale:D-dorian``, or pitch classes, the tonic first, as in
                ``C,D,E,G,A`` or as numbers in [0, 11]; None for notes as they come.
            density: at least so many notes in 16 bars, or a range such as ``40..60``.
            others: rules, as :func:`.find_rules` takes them. Those of :data:`KNOBS` are knobs, and
                so is the first of a scale or of pitch classes where no scale is given.
            tonic: whether a scale's rule is about its tonic as well, or its notes alone.

        Raises:
            UsageError: no such scale, rule or range.
        """
        rules = find_rules([*others, *([] if density is None else [f"density:{density}"])])
        ranges = dict(_asked(rule.spec) for rule in rules if is_knob(rule.spec))
        tonic_first: tuple[int, ...] = ()
        if scale is not None:
            rules = [*scale_rules(scale, tonic=tonic), *rules]
            tonic_first = pitch_classes_of(scale)
        elif any(rule.pitch_classes for rule in rules):
            tonic_first = next(filter(None, map(_scale_of, rules)), ())
        mode = mode_of(tonic_first) if tonic_first else None
        facts: dict[str, Any] = {"settings": ActorCriticSettings(), "critic": Critics([])}
        return RequestActor(
            model=self.model,
            rules=rules,
            actor=cast(Actor, Request(self.model, ranges, mode)),
            method="actor",
            scale=tonic_first,
            **facts,
        )


def is_knob(spec: str) -> bool:
    """Whether a rule is asked for by value."""
    return spec.partition(":")[0] in KNOBS


def _asked(spec: str) -> tuple[str, tuple[float, float]]:
    """An attribute and its range."""
    name, _, argument = spec.partition(":")
    return KNOBS[name].attribute, KNOBS[name].range_of(argument)


def _scale_of(rule: Rule) -> tuple[int, ...]:
    """Pitch classes of a rule that is of a scale or of a set and of nothing else, or none."""
    name, _, argument = rule.spec.partition(":")
    if name in ("scale", "pitch-classes"):
        return pitch_classes_of(argument)
    return pitch_classes_of(rule.spec) if parse_scale(rule.spec) else ()


def scale_rules(scale: str | Collection[int] | None, *, tonic: bool) -> list[Rule]:
    """The rule of a scale, or of its notes alone, in the key signature of the scale.

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
    return [replace(notes, key=rule.key)]


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
