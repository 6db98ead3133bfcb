"""Melodies for the page and the API: drawn, re-rolled, transformed, reconstructed, joined."""

from __future__ import annotations

from collections.abc import Callable

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.sampling import SamplingOptions
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.studio.engine import Models
from melodyconstraints.studio.places import Settings
from melodyconstraints.studio.schemas import (
    Answer,
    GenerateRequest,
    InterpolateRequest,
    Notes,
    RerollRequest,
    ScoreRequest,
    TransformRequest,
    melody_of,
)
from melodyconstraints.studio.sources import (
    are_active,
    colours,
    find_source,
    rewarded,
    transforming_source,
)
from melodyconstraints.studio.wishes import find_wishes
from melodyconstraints.workflows import generate as prior
from melodyconstraints.workflows.interpolate import interpolate
from melodyconstraints.workflows.reconstruct import reconstruct
from melodyconstraints.workflows.reroll import reroll
from melodyconstraints.workflows.transform import Transformation, transformations


def generated(models: Models, asked: GenerateRequest, settings: Settings) -> Answer:
    """Answer of ``POST /generate``."""
    source = find_source(models, asked.rules, asked.n, settings, asked.form)
    count, sampling = source.pool(asked.n), _sampling(asked)
    if source.actor is None:
        melodies = prior.generate(source.model, count, **sampling)
    else:
        melodies = source.actor.generate(count, **sampling)
    return {**source.answer(melodies, asked.n), "seed": asked.seed}


def rerolled(models: Models, asked: RerollRequest, settings: Settings) -> Answer:
    """Answer of ``POST /reroll``."""
    source = find_source(models, asked.rules, asked.n, settings, asked.form)
    melodies = reroll(
        source.actor_or_model,
        melody_of(asked.melody),
        source.pool(asked.n),
        keep_bars=asked.keep_bars,
        strength=asked.strength,
        **_sampling(asked),
    )
    return {**source.answer(melodies, asked.n), "seed": asked.seed}


def transformed(
    models: Models,
    asked: TransformRequest,
    settings: Settings,
    report: Callable[[float], object],
    cancelled: Callable[[], bool],
) -> Answer:
    """Result of a job of ``POST /transform``, one variation after another.

    Args:
        report: called with the share that is done.
        cancelled: called after every variation; true where there are to be no more.
    """
    actor, rules = transforming_source(models, asked.rules, settings)
    melody, found = melody_of(asked.melody), list[Transformation]()
    options = (asked.strength, asked.keep_bars, asked.variations, asked.seed)
    for one in transformations(actor, melody, *options):
        found.append(one)
        report(len(found) / asked.variations)
        if cancelled():
            break
    melodies = Melodies.stack([one.melody for one in found])
    before = rewards_of(rules, Melodies.stack([melody]))[0]
    searched = any(one.decoded for one in found)
    return {
        "rules": [rule.name for rule in rules],
        "melodies": rewarded(melodies, rewards_of(rules, melodies), are_active(asked.rules)),
        "before": asked.melody,
        "rewards_before": before.tolist(),
        "notes_kept": [one.notes_kept for one in found],
        "seed": asked.seed,
        "how": "a search around your melody" if searched else "no search was needed",
        **colours(rules, are_active(asked.rules)),
    }


def scored(asked: ScoreRequest, settings: Settings) -> Answer:
    """Answer of ``POST /score``."""
    rules = find_wishes(asked.rules, settings)
    melodies = Melodies.stack([melody_of(notes) for notes in asked.melodies])
    active = are_active(asked.rules)
    own = rewarded(melodies, rewards_of(rules, melodies), active)
    return {"rules": [rule.name for rule in rules], "melodies": own, **colours(rules, active)}


def reconstructed(models: Models, notes: Notes) -> Answer:
    """Answer of ``POST /reconstruct``."""
    melodies = reconstruct(models.model, [melody_of(notes)])
    return {"rules": [], "melodies": rewarded(melodies, rewards_of([], melodies), are_active([]))}


def interpolated(models: Models, asked: InterpolateRequest) -> Answer:
    """Answer of ``POST /interpolate``."""
    melodies = interpolate(models.model, melody_of(asked.start), melody_of(asked.end), asked.n)
    return {"rules": [], "melodies": rewarded(melodies, rewards_of([], melodies), are_active([]))}


def _sampling(asked: GenerateRequest) -> SamplingOptions:
    return {"seed": asked.seed, "temperature": asked.temperature, "form": asked.form}
