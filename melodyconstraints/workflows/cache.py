"""Actors that commands train by the way, kept so that the same rules are trained for once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.latent.settings import PRESETS
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.rules import Rule
from melodyconstraints.rules.loading import rule_files
from melodyconstraints.storage.cache import ACTORS, cache_place
from melodyconstraints.workflows.actor import MelodyActor, load_actor
from melodyconstraints.workflows.bank import load_bank

_TRIED = 64
"""Melodies of the bank whose rewards tell a rule from its earlier versions."""


def cached_actor(
    model: MelodyVAE, rules: Sequence[Rule], form: str, train: Callable[[], MelodyActor]
) -> MelodyActor:
    """The actor of the cache for a model, rules and a form, or one that is trained now.

    A rule is known by its specification, by the contents of its file, if it has one, and by its
    rewards of some melodies, since modules that it imports may have changed.

    Args:
        train: trains the actor by the default recipe; called if the cache has none. What it
            returns is put there, unless its training fell short.
    """
    melodies = load_bank(model).melodies[:_TRIED]
    rewards = [rule(melodies).round(6).tolist() for rule in rules]
    specs = [(rule.spec, _files_of(rule.spec)) for rule in rules]
    place = cache_place(
        ACTORS, repr((model.fingerprint, PRESETS["default"], specs, rewards, form))
    )
    try:
        return load_actor(place, model=model, rules=rules)
    except ArtifactError:  # none, or of another version
        actor = train()
    if actor.shortcoming is None:
        with suppress(OSError, UsageError):  # no place to keep it, or a model of no folder
            actor.save(place)
    return actor


def _files_of(spec: str) -> list[bytes]:
    """Contents of the rule files that a specification names."""
    return [path.read_bytes() for path in rule_files(spec) if path.is_file()]
