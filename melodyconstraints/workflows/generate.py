"""Melodies from a model, under any rules or none; an actor's: :meth:`.actor.MelodyActor.generate`.

>>> import melodyconstraints as mc
>>> melodies = mc.generate(mc.load_model(), 2, scale="D-dorian", density="40..60", seed=3)
>>> [len(melody) for melody in melodies]
[50, 47]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any, Unpack

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampling import DrawingOptions, Sampling
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.storage.arguments import checked
from melodyconstraints.workflows.examples import Examples
from melodyconstraints.workflows.seeds import prior_points, prior_sampler
from melodyconstraints.workflows.untrained_actor import searching_actor


@checked
def generate(
    model: MelodyVAE,
    n: int,
    rules: Iterable[str | Rule | Callable[..., Any]] = (),
    *,
    scale: str | Collection[int] | None = None,
    density: int | str | None = None,
    like: Examples | None = None,
    callback: Callable[[int, int], object] | None = None,
    **options: Unpack[DrawingOptions],
) -> Melodies:
    """Draw ``n`` melodies from a model's prior, and search on until they satisfy rules.

    The search needs no training; it ends after some hundred draws for each melody, and those that
    do not satisfy every rule by then are the nearest that were found.

    Args:
        rules: specifications such as ``cmajor`` or ``density:192``, rules, or plain functions of
            one melody.
        scale: scale with its tonic, such as ``D-dorian``, or pitch classes, the tonic first, as in
            ``C,D,E,G,A`` or as numbers in [0, 11].
        density: least number of notes in 16 bars, or a range such as ``40..60``.
        like: melodies, or a folder of MIDI or a file, that they should be like; see
            :class:`melodyconstraints.latent.matching.Matched`.
        callback: see :class:`.MelodyActor`.
        options: temperature, top_k, top_p, seed and form of
            :class:`melodyconstraints.melody.vae.sampling.Sampling`.

    Raises:
        UsageError: n below 1, an option outside its range, no such scale or rule, or no melody
            that others should be like.
    """
    rules = find_rules(rules)
    if rules or any(one is not None for one in (scale, density, like)):
        actor = searching_actor(model, rules, scale=scale, density=density, like=like)
        return replace(actor, callback=callback).generate(n, **options)
    return from_prior(model, n, Sampling.of(options), callback)


def from_prior(
    model: MelodyVAE,
    n: int,
    sampling: Sampling,
    callback: Callable[[int, int], object] | None = None,
) -> Melodies:
    """Draw ``n`` melodies from a model's prior, under no rule.

    Args:
        callback: see :class:`.MelodyActor`.
    """
    tell = (lambda count: callback(count, count)) if callback else None
    return prior_sampler(model, sampling).decode(prior_points(model, n, sampling.seed), tell)
