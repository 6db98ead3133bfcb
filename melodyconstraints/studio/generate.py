"""Melodies for the page and the API: drawn, re-rolled, transformed, reconstructed, joined."""

from __future__ import annotations

from collections.abc import Callable

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.sampling import DrawingOptions
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
    find_source,
    implied,
    rewarded,
    transforming_source,
)
from melodyconstraints.studio.wishes import find_wishes
from melodyconstraints.workflows import generate as prior
from melodyconstraints.workflows.interpolate import interpolate
from melodyconstraints.workflows.reconstruct import reconstruct
from melodyconstraints.workflows.reroll import reroll
from melodyconstraints.workflows.transform import Transformation, transformations


def generated(models: Models, body: GenerateRequest, settings: Settings) -> Answer:
    """Answer of ``POST /generate``."""
    source = find_source(models, body.rules, body.n, settings, body.form)
    count, sampling = source.pool(body.n), _sampling(body)
    if source.actor is None:
        melodies = prior.generate(source.model, count, **sampling)
    else:
        melodies = source.actor.generate(count, **sampling)
    return {**source.answer(melodies, body.n), "seed": body.seed}


def rerolled(models: Models, body: RerollRequest, settings: Settings) -> Answer:
    """Answer of ``POST /reroll``."""
    source = find_source(models, body.rules, body.n, settings, body.form)
    melodies = reroll(
        source.actor_or_model,
        melody_of(body.melody),
        source.pool(body.n),
        keep_bars=body.keep_bars,
        strength=body.strength,
        **_sampling(body),
    )
    return {**source.answer(melodies, body.n), "seed": body.seed}


def transformed(
    models: Models,
    body: TransformRequest,
    settings: Settings,
    report: Callable[[float], object],
    cancelled: Callable[[], bool],
) -> Answer:
    """Result of a job of ``POST /transform``, one variation after another.

    Args:
        report: called with the share that is done.
        cancelled: called after every variation; true where there are to be no more.
    """
    actor, rules = transforming_source(models, body.rules, settings)
    melody, found = melody_of(body.melody), list[Transformation]()
    options = (body.strength, body.keep_bars, body.variations, body.seed)
    for one in transformations(actor, melody, *options):
        found.append(one)
        report(len(found) / body.variations)
        if cancelled():
            break
    melodies = Melodies.stack([one.melody for one in found])
    before = rewards_of(rules, Melodies.stack([melody]))[0]
    searched = any(one.decoded for one in found)
    return {
        "rules": [rule.name for rule in rules],
        "melodies": rewarded(melodies, rewards_of(rules, melodies), are_active(body.rules)),
        "before": body.melody,
        "rewards_before": before.tolist(),
        "notes_kept": [one.notes_kept for one in found],
        "seed": body.seed,
        "how": "a search around your melody" if searched else "no search was needed",
        **implied(rules, are_active(body.rules)),
    }


def scored(body: ScoreRequest, settings: Settings) -> Answer:
    """Answer of ``POST /score``."""
    rules = find_wishes(body.rules, settings)
    melodies = Melodies.stack([melody_of(notes) for notes in body.melodies])
    active = are_active(body.rules)
    own = rewarded(melodies, rewards_of(rules, melodies), active)
    return {"rules": [rule.name for rule in rules], "melodies": own, **implied(rules, active)}


def reconstructed(models: Models, notes: Notes) -> Answer:
    """Answer of ``POST /reconstruct``."""
    melodies = reconstruct(models.model, [melody_of(notes)])
    return {"rules": [], "melodies": rewarded(melodies, rewards_of([], melodies), are_active([]))}


def interpolated(models: Models, body: InterpolateRequest) -> Answer:
    """Answer of ``POST /interpolate``."""
    melodies = interpolate(models.model, melody_of(body.start), melody_of(body.end), body.n)
    return {"rules": [], "melodies": rewarded(melodies, rewards_of([], melodies), are_active([]))}


def _sampling(body: GenerateRequest) -> DrawingOptions:
    return {"seed": body.seed, "temperature": body.temperature, "form": body.form}
