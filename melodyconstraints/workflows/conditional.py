"""One actor with knobs: G(z, y), where y names a set of pitch classes and a density.

It comes with the bundled model, so that a scale and a density need no training. One decoded melody
teaches the critic its rewards under any setting of the knobs, since both rewards follow from the
counts of its pitch classes.

>>> import melodyconstraints as mc
>>> melodies = mc.load_knobs().at("D-dorian", density=96).generate(2)     # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.networks import Actor, ConditionedActor, Critics
from melodyconstraints.latent.pair import (
    ActorCritic,
    PairConfig,
    RoundRecord,
    load_pair,
    model_reference,
    save_pair,
    size_on_disk,
)
from melodyconstraints.latent.progress import rounds_bar
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.latent.training import train_actor_critic
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.units import STEPS
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.rules.scales import SCALES
from melodyconstraints.storage.arguments import DEFAULT_SEED, checked
from melodyconstraints.storage.artifacts import claimed
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.examples import Examples
from melodyconstraints.workflows.knobs import Knobs, moved_first, scale_rules
from melodyconstraints.workflows.models import BUNDLED, home_of, load_model
from melodyconstraints.workflows.search import search_actor
from melodyconstraints.workflows.seeds import derived_generator, derived_seed
from melodyconstraints.workflows.train_actor import (
    TRAINING_EVENTS,
    TRAINING_POINTS,
    TRAINING_TEMPERATURE,
)

KIND = "knob-actor"
_REMEDY = (
    "train it again with: mc train-actor --knobs; or an actor for your rules with: mc train-actor"
)
FOLDER_OF_KNOBS = "knobs"
"""Name of the knobs' folder in their model's."""
PITCH_CLASSES = 12
CONDITION = PITCH_CLASSES + 1
FEWEST_PITCH_CLASSES = 3
HIGHEST_DENSITY = 192
"""Highest density, in notes, that is trained for."""
_FREE_SHARE = 0.15
"""Share of the training's conditions that leave the density free."""

SETTINGS = ActorCriticSettings(
    actor_hidden=(768, 768, 768),
    critic_hidden=(768, 768, 768),
    bank=4096,
    warmup_steps=2000,
    rounds=600,
    actor_points=128,
    replay_size=60_000,
    batch_size=256,
    distance_weight=0.05,
    prior_weight=0.3,
    gradient_penalty=0.0,
    validation=512,
    validate_every=20,
)


class ScaleAndDensity:
    """Rewards of both knobs: share of notes in the set, and min(1, notes / density).

    The paper, equation 4; the first is 0 for a melody without notes.
    """

    names = ("scale", "density")

    def measure(self, samples: Melodies) -> Tensor:
        """``(B, 12)`` notes of each pitch class."""
        counts = np.stack(
            [
                ((samples.pitch_classes == pc) & samples.onsets).sum(axis=1)
                for pc in range(PITCH_CLASSES)
            ],
            axis=1,
        )
        return torch.from_numpy(counts).float()

    def compute(self, measured: Tensor, y: Tensor | None) -> Tensor:
        """Counts ``(B, 12)`` and conditions ``(B, 13)`` to rewards ``(B, 2)``."""
        if y is None:
            raise ValueError("the knobs need a condition")
        notes = measured.sum(-1)
        inside = (measured * y[:, :PITCH_CLASSES]).sum(-1) / notes.clamp(min=1)
        wanted = (y[:, PITCH_CLASSES] * STEPS).round()
        dense = torch.where(wanted > 0, notes / wanted.clamp(min=1), torch.ones_like(notes))
        return torch.stack([inside, dense.clamp(max=1)], -1)


def condition(pitch_classes: Collection[int], density: int) -> Tensor:
    """``(13,)``: a bit for each pitch class, and notes in 16 bars over 256.

    Raises:
        UsageError: no pitch class, one outside [0, 11], or a density that no melody can have.

    >>> condition([0, 4, 7], 64)
    tensor([1.0000, 0.0000, 0.0000, 0.0000, 1.0000, 0.0000, 0.0000, 1.0000, 0.0000,
            0.0000, 0.0000, 0.0000, 0.2500])
    """
    if not pitch_classes or not set(pitch_classes) <= set(range(PITCH_CLASSES)):
        raise UsageError(f"pitch classes must be some of 0 to 11, got {sorted(pitch_classes)}")
    if not 0 <= density <= STEPS:
        raise UsageError(f"density must be from 0 to {STEPS} notes in 16 bars, got {density}")
    y = torch.zeros(CONDITION)
    y[list(pitch_classes)] = 1
    y[PITCH_CLASSES] = density / STEPS
    return y


def draw_conditions(count: int, generator: torch.Generator) -> Tensor:
    """``(count, 13)``: half of them scales on any tonic, half any sets of at least three."""
    scales = torch.zeros(len(SCALES), PITCH_CLASSES)
    for row, steps in zip(scales, SCALES.values(), strict=True):
        row[list(steps)] = 1
    which = torch.randint(len(SCALES), (count,), generator=generator)
    tonic = torch.randint(PITCH_CLASSES, (count, 1), generator=generator)
    places = (torch.arange(PITCH_CLASSES) - tonic) % PITCH_CLASSES
    bits = scales[which].gather(1, places)
    order = torch.rand(count, PITCH_CLASSES, generator=generator).argsort(-1).argsort(-1)
    size = torch.randint(FEWEST_PITCH_CLASSES, PITCH_CLASSES + 1, (count, 1), generator=generator)
    any_set = torch.rand(count, 1, generator=generator) < 0.5
    bits = torch.where(any_set, (order < size).float(), bits)
    notes = torch.randint(HIGHEST_DENSITY + 1, (count, 1), generator=generator)
    notes[torch.rand(count, 1, generator=generator) < _FREE_SHARE] = 0
    return torch.cat([bits, notes / STEPS], -1)


@dataclass(kw_only=True)
class KnobsConfig(PairConfig):
    """The configuration of the folder of a conditional actor, which has no critic."""

    method: Literal["actor"]
    heads: tuple[()]

    @property
    def condition_dim(self) -> int:  # noqa: D102 (as of the base)
        return CONDITION


@dataclass(kw_only=True)
class ConditionalActor(ActorCritic):
    """A conditional actor for scale and density; :meth:`at` sets them. It needs no critic.

    Args:
        model: the melody model that it works on.
    """

    model: MelodyVAE

    @checked
    def at(
        self,
        scale: str | Collection[int] | None = None,
        density: int | str | None = None,
        *others: str | Rule | Callable[..., Any],
        tonic: bool = False,
        like: Examples | None = None,
    ) -> MelodyActor:
        """The actor at one setting of the knobs; it draws like one trained for these rules.

        Args:
            scale: scale as in the rule ``scale:D-dorian``, pitch classes as in
                ``pitch-classes:0,2,E``, or numbers in [0, 11]; None for all notes.
            density: least number of notes in 16 bars, or a range, which is searched for; None for
                any number.
            others: rules that are searched for from there.
            tonic: not used: these knobs are about notes alone; see :mod:`.knobs`.
            like: see :meth:`.knobs.Knobs.at`.

        Raises:
            UsageError: no such scale or pitch class, or a setting that was not trained for.
        """
        is_least = str(density or 0).isdecimal()
        of_density = [] if density is None else [f"density:{density}"]
        rules = find_rules([*scale_rules(scale, tonic=False), *others, *of_density])
        least = int(density or 0) if is_least else 0
        allowed = next((one.pitch_classes for one in rules if one.pitch_classes), range(12))
        if len(allowed) < FEWEST_PITCH_CLASSES or least > HIGHEST_DENSITY:
            wanted = " ".join(f"--rule {rule.spec}" for rule in rules)
            raise UsageError(
                f"the knobs take at least {FEWEST_PITCH_CLASSES} pitch classes and at most "
                f"{HIGHEST_DENSITY} notes, got {len(allowed)} and {least}; search without knobs: "
                f"mc generate {wanted}"
            )
        y = condition(allowed, least)
        actor = ConditionedActor(cast(Actor, self.require_actor()), y)
        if others or like is not None or not is_least:
            return search_actor(self.model, rules, move=moved_first(self.model, like, actor))
        return MelodyActor(
            model=self.model,
            rules=rules,
            actor=actor,
            critic=Critics([]),
            settings=self.settings,
        )


def train_knobs(
    model: MelodyVAE,
    settings: ActorCriticSettings = SETTINGS,
    *,
    temperature: float = TRAINING_TEMPERATURE,
    seed: int = DEFAULT_SEED,
    callback: Callable[[RoundRecord], None] | None = None,
    progress: bool = False,
) -> ConditionalActor:
    """Train a conditional actor for any scale and density.

    Args:
        callback: called after every round.
        progress: whether to show a bar on stderr.

    Raises:
        UsageError: a staff generator, which has such knobs itself.
    """
    _check_has_none(model)
    sampling = Sampling(temperature, seed=derived_seed(TRAINING_EVENTS, seed))
    warm_up: Callable[[str, int, int], object] | None = None
    with ExitStack() as stack:
        if progress:
            bar = rounds_bar(settings.rounds, _satisfied_text, callback)
            callback, warm_up, _ = stack.enter_context(bar)
        pair = train_actor_critic(
            MelodySampler(model, sampling),
            ScaleAndDensity(),
            settings,
            conditions=draw_conditions,
            generator=derived_generator(TRAINING_POINTS, seed),
            callback=callback,
            warmup_callback=warm_up,
        )
    without_critic = {"critic": Critics([]), "heads": (), "weights": ()}
    return ConditionalActor(model=model, **(vars(pair) | without_critic))


def _satisfied_text(record: RoundRecord) -> str:
    scale, density = record.satisfied
    return f"satisfied: scale {scale:.0%}, density {density:.0%}"


def train_knobs_folder(
    model: MelodyVAE,
    folder: Path | str,
    settings: ActorCriticSettings = SETTINGS,
    *,
    temperature: float = TRAINING_TEMPERATURE,
    seed: int = DEFAULT_SEED,
    overwrite: bool = False,
    callback: Callable[[RoundRecord], None] | None = None,
    progress: bool = False,
) -> ConditionalActor:
    """Train a conditional actor and write its folder; see :func:`train_knobs`.

    Args:
        folder: folder to write; :data:`FOLDER_OF_KNOBS` in the model's is where it is looked for.
        overwrite: whether a conditional actor in the folder may be replaced.

    Raises:
        UsageError: a folder that must not be replaced, one that its disk has no room for, a model
            that was never saved, or a staff generator, which has such knobs itself.
        StoreError: another training is at work in the folder.
    """
    _check_has_none(model)
    model_reference(model, "actor")  # before the training: without one, nothing can be saved
    folder, size = Path(folder), size_of_folder(model, settings)
    with claimed(folder, KIND, overwrite=overwrite, size=size):
        knobs = train_knobs(
            model,
            settings,
            temperature=temperature,
            seed=seed,
            callback=callback,
            progress=progress,
        )
        save_knobs(knobs, folder)
    return knobs


def _check_has_none(model: MelodyVAE) -> None:
    if isinstance(model, StaffGenerator):
        raise UsageError(
            "a staff generator needs no training for any scale and density: "
            "mc generate --scale D-dorian --density 96; for knobs of another model, name it"
        )


def size_of_folder(model: MelodyVAE, settings: ActorCriticSettings = SETTINGS) -> int:
    """Bytes that the folder of a model's conditional actor takes, at most."""
    return size_on_disk(model.latent_dim, settings, [], half=True, condition_dim=CONDITION)


def save_knobs(knobs: ConditionalActor, folder: Path | str, card: str = "") -> None:
    """Write a folder with the actor, in half precision, and the fingerprint of its model.

    Raises:
        UsageError: the model was never saved.
    """
    save_pair(knobs, Path(folder), KIND, knobs.model, config={}, card=card, half=True)


@checked
def load_knobs(
    folder: Path | str | None = None, *, model: MelodyVAE | None = None
) -> ConditionalActor | Knobs:
    """Knobs: a conditional actor's, or those that a staff generator has itself.

    Args:
        folder: folder of the knobs; if not given, that of the model, where it has one, or of the
            packaged ``bundled``.
        model: model in place of the one that the folder names; must have the same weights. With
            neither, the packaged staff generator.

    Raises:
        ArtifactError: missing, damaged, foreign, or trained on another model.
    """
    if folder is None:
        model = model or load_model()
        if isinstance(model, StaffGenerator):
            return Knobs(model)
        home = home_of(model) or BUNDLED
        own = home / FOLDER_OF_KNOBS
        folder = own if own.is_dir() else BUNDLED / FOLDER_OF_KNOBS
    _, pair = load_pair(folder, KIND, KnobsConfig, _REMEDY, model, load_model)
    return ConditionalActor(**pair)
