"""Melodies for the page and the API: drawn, re-rolled, transformed, reconstructed, joined."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
from melodyconstraints.workflows.transform import transform


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
        source.drawer,
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
        report: told the share that is done.
        cancelled: asked before every variation but the first.
    """
    actor, rules = transforming_source(models, asked.rules, settings)
    melody, found = melody_of(asked.melody), []
    for number in range(asked.variations):
        if number and cancelled():
            break
        found += transform(
            actor,
            melody,
            strength=asked.strength,
            keep_bars=asked.keep_bars,
            seed=asked.seed + number,
        )
        report((number + 1) / asked.variations)
    melodies = Melodies.stack([one.melody for one in found])
    before = rewards_of(rules, Melodies.stack([melody]))[0]
    has_weight = np.array([wish.weight > 0 for wish in asked.rules])
    return {
        "rules": [rule.name for rule in rules],
        "melodies": rewarded(melodies, rewards_of(rules, melodies), has_weight),
        "before": asked.melody,
        "rewards_before": before.tolist(),
        "notes_kept": [one.notes_kept for one in found],
        "seed": asked.seed,
        "how": "a search around your melody",
        **colours(rules),
    }


def scored(asked: ScoreRequest, settings: Settings) -> Answer:
    """Answer of ``POST /score``."""
    rules = find_wishes(asked.rules, settings)
    melodies = Melodies.stack([melody_of(notes) for notes in asked.melodies])
    own = rewarded(melodies, rewards_of(rules, melodies))
    return {"rules": [rule.name for rule in rules], "melodies": own, **colours(rules)}


def reconstructed(models: Models, notes: Notes) -> Answer:
    """Answer of ``POST /reconstruct``."""
    melodies = reconstruct(models.model, [melody_of(notes)])
    return {"rules": [], "melodies": rewarded(melodies, rewards_of([], melodies))}


def interpolated(models: Models, asked: InterpolateRequest) -> Answer:
    """Answer of ``POST /interpolate``."""
    melodies = interpolate(models.model, melody_of(asked.start), melody_of(asked.end), asked.n)
    return {"rules": [], "melodies": rewarded(melodies, rewards_of([], melodies))}


def _sampling(asked: GenerateRequest) -> SamplingOptions:
    return {"seed": asked.seed, "temperature": asked.temperature, "form": asked.form}
