"""Sources of melodies: a trained actor, knobs with a search, or the prior."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.latent.evolution import EvolutionSearch
from melodyconstraints.latent.satisfaction import SATISFIED, are_satisfied
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.rules import Rule
from melodyconstraints.rules.implied import allowed_pitch_classes, implied_key
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.rules.scales import parse_scale
from melodyconstraints.studio.engine import Models
from melodyconstraints.studio.places import Settings
from melodyconstraints.studio.schemas import Answer, Wish, notes_of
from melodyconstraints.studio.wishes import find_wishes
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.conditional import ConditionalActor
from melodyconstraints.workflows.knobs import Knobs, is_turned_alone
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.search import FEW, SearchActor, search_actor
from melodyconstraints.workflows.transform import of_notes

POOL = 8
"""Melodies drawn for each that is wanted, where no actor knows all the rules."""
DRAWS = 100
"""Most melodies drawn by a search for each wanted: some seconds for all that a page shows."""
FIRST_BATCH = 32
"""Melodies that a search changes at first."""
START, LEAST_START = 5, 16
"""Melodies drawn before that for each that is wanted, where knobs alone do not satisfy the rules,
and at least: so many are decoded in the time of one, and it is seldom that none of them is
typical."""


@dataclass(frozen=True)
class Source:
    """Source of melodies for some wishes.

    Args:
        model: the melody model.
        actor: actor that moves its points; None for the prior.
        rules: rules of the wishes, in their order.
        knows_all: whether the actor was trained for every rule, or searches for them; if not, the
            best of more melodies are taken.
        how: description of the source, for the user.
        drawn: numbers of melodies drawn so far, to which a search adds.
    """

    model: MelodyVAE
    actor: MelodyActor | None
    rules: list[Rule]
    weights: list[float]
    knows_all: bool
    how: str
    drawn: list[int] = field(default_factory=list)

    @property
    def active(self) -> NDArray[np.bool_]:
        """``(R,)`` whether a rule's weight is not 0."""
        return np.array(self.weights, float) > 0

    @property
    def actor_or_model(self) -> MelodyActor | MelodyVAE:
        """The actor, or the model without one."""
        return self.actor or self.model

    def pool(self, n: int) -> int:
        """Number of melodies that are drawn where ``n`` are wanted."""
        return n if self.knows_all else POOL * n

    def answer(self, melodies: Melodies, n: int) -> Answer:
        """The ``n`` best melodies, as JSON, with their rewards.

        Those that satisfy every rule go first, then those of the greatest weighted mean reward;
        where an actor knows all rules, they stay in the order in which they were drawn.
        """
        rewards = rewards_of(self.rules, melodies)
        order = np.arange(len(melodies))[:n] if self.knows_all else self._best(rewards)[:n]
        return {
            "rules": [rule.name for rule in self.rules],
            "melodies": rewarded(melodies[order], rewards[order], self.active),
            "drawn": self.drawn[-1] if self.drawn else len(melodies),
            "how": self.how if self.knows_all else f"{self.how} of {len(melodies)}",
            **implied(self.rules, self.active),
        }

    def _best(self, rewards: NDArray[np.float64]) -> NDArray[np.int64]:
        weights = np.array(self.weights) if sum(self.weights) else np.ones(len(self.weights))
        mean = rewards @ weights / weights.sum()
        satisfied = are_satisfied(rewards[:, self.active])
        return np.lexsort((-mean, ~satisfied))


def find_source(
    models: Models, wishes: Sequence[Wish], n: int, settings: Settings, form: str | None = None
) -> Source:
    """The best source for some wishes: see this module.

    Args:
        n: number of melodies that will be wanted.
        form: form of the melodies; an actor that was trained in it is looked for.

    Raises:
        MelodyConstraintsError: a rule is not there, or its argument is wrong.
    """
    rules, weights = find_wishes(wishes, settings), [wish.weight for wish in wishes]
    if not wishes:
        return Source(models.model, None, rules, weights, True, "the model, under no rule")
    trained = _trained(
        actor_folder(models.model, wishes, form, settings), models, wishes, settings
    )
    searches = isinstance(models.knobs, Knobs)
    if trained is not None and not (searches and trained.best < FEW):
        is_whole = trained.shortcoming is None
        how = "an actor trained for this" + ("" if is_whole else ", cut short: the best")
        # What a generator writes as is asked for it writes so, whatever its actor has learned.
        turned = _turned(models.knobs, wishes, rules)
        trained = replace(
            trained,
            scale=trained.scale or turned.scale,
            rhythm=trained.rhythm or turned.rhythm,
        )
        return Source(trained.model, trained, rules, weights, is_whole, how)
    actor, drawn = _turned(models.knobs, wishes, rules), list[int]()
    if isinstance(actor, SearchActor):
        start = 0 if all(map(is_turned_alone, actor.active_rules)) else START * n
        start = max(LEAST_START, start)
        actor = replace(actor, callback=lambda _, count: drawn.append(count), start=start)
    return Source(actor.model, actor, rules, weights, True, "no training", drawn)


def transforming_source(
    models: Models, wishes: Sequence[Wish], settings: Settings
) -> tuple[MelodyActor, list[Rule]]:
    """An actor for wishes, trained for them or with knobs, and rules in the order of the wishes.

    Where no actor was trained, :data:`.OF_TONIC` says whether a scale's tonic counts.
    """
    trained = _trained(
        actor_folder(models.model, wishes, None, settings), models, wishes, settings
    )
    rules = find_wishes(wishes, settings)
    if trained is not None:
        return trained, rules
    rules = [_of_notes(wish, rule) for wish, rule in zip(wishes, rules, strict=True)]
    return _turned(models.knobs, wishes, rules), rules


def actor_folder(
    model: MelodyVAE, wishes: Sequence[Wish], form: str | None, settings: Settings
) -> Path:
    """Folder of the actor that is trained for some wishes in a form; it need not exist."""
    asked = sorted((wish.spec, wish.weight) for wish in wishes)
    digest = hashlib.sha256(repr((model.fingerprint, asked, form)).encode()).hexdigest()
    return settings.actors / digest[:32]


def are_active(wishes: Sequence[Wish]) -> NDArray[np.bool_]:
    """``(R,)`` whether the weight of a wish is not 0: others are measured only."""
    return np.array([wish.weight > 0 for wish in wishes], bool)


def implied(rules: Sequence[Rule], active: NDArray[np.bool_]) -> Answer:
    """Pitch classes that all active rules allow, and the key they imply; each may be None."""
    rules = list(compress(rules, active))
    allowed = allowed_pitch_classes(rules)
    return {
        "pitch_classes": None if allowed is None else sorted(allowed),
        "key": implied_key(rules),
    }


def rewarded(
    melodies: Melodies,
    rewards: NDArray[np.float64],
    active: NDArray[np.bool_],
) -> list[Answer]:
    """Melodies with ``(B, R)`` rewards, as JSON; satisfied by those ``active``, ``(R,)``."""
    return [
        {
            "notes": notes_of(melody),
            "rewards": own.round(6).tolist(),
            "satisfied_rules": (own >= SATISFIED).tolist(),
            "satisfied": bool(are_satisfied(own[active])) if len(own) else None,
        }
        for melody, own in zip(melodies, rewards, strict=True)
    ]


def _trained(
    folder: Path, models: Models, wishes: Sequence[Wish], settings: Settings
) -> MelodyActor | None:
    ordered = sorted(wishes, key=lambda wish: wish.spec)
    try:
        rules = find_wishes(ordered, settings)
        return load_actor(folder, model=models.model, rules=rules)
    except ArtifactError:
        return None


def _turned(
    knobs: ConditionalActor | Knobs, wishes: Sequence[Wish], rules: list[Rule]
) -> MelodyActor:
    """The knobs as wished, for the rules of the wishes; what they do not know is searched for.

    Rules of weight 0 move nothing, and are measured.
    """
    pairs = [(wish, rule) for wish, rule in zip(wishes, rules, strict=True) if wish.weight]
    actor = _knobs_at(knobs, pairs)
    actor = replace(actor, rules=rules, weights=tuple(wish.weight for wish in wishes))
    if isinstance(actor, SearchActor):
        actor = replace(actor, search=EvolutionSearch(draws=DRAWS, first_batch=FIRST_BATCH))
    return actor


def _knobs_at(knobs: ConditionalActor | Knobs, pairs: Sequence[tuple[Wish, Rule]]) -> MelodyActor:
    rules = [rule for _, rule in pairs]
    if isinstance(knobs, Knobs):
        return knobs.at(None, None, *rules)
    scale, density, others = None, None, []
    for wish, rule in pairs:
        name, _, argument = wish.spec.partition(":")
        bare = wish.spec if not argument and parse_scale(wish.spec) else None
        if scale is None and (bare or name in ("scale", "pitch-classes")):
            scale = bare or argument
        elif density is None and name == "density":
            density = argument
        else:
            others.append(rule)
    try:
        return knobs.at(scale, density, *others)
    except UsageError:  # beyond what the knobs reach
        return search_actor(knobs.model, rules)


def _of_notes(wish: Wish, rule: Rule) -> Rule:
    """The rule that a transformation has for a scale; other rules as they are."""
    name, _, argument = wish.spec.partition(":")
    scale = argument if name == "scale" else wish.spec
    if parse_scale(scale) is None:
        return rule
    return of_notes(scale)
