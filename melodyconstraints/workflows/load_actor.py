"""Actors as they are read from their folders, with the models and the rules that these name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.pair import load_pair
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.rules.loading import code_only_where
from melodyconstraints.rules.registry import distinct, find_named
from melodyconstraints.storage.arguments import checked
from melodyconstraints.storage.consents import consent, is_consented
from melodyconstraints.workflows.actor import KIND, MelodyActor
from melodyconstraints.workflows.actor_config import ActorConfig
from melodyconstraints.workflows.models import load_model

_REMEDY = "train it again with: mc train-actor"


@checked
def load_actor(
    folder: Path | str,
    *,
    model: MelodyVAE | None = None,
    rules: Iterable[str | Rule | Callable[..., Any]] | None = None,
    rules_from: Sequence[Path | str] = (),
    allow_code: bool = False,
) -> MelodyActor:
    """Read an actor folder, and the model and the rules that it names.

    An actor needs its rules for rewards only: those that are not there any more, or are code that
    the user has not consented to run, are its :attr:`~MelodyActor.missing_rules`. The user has
    consented by training with a file as it is, by ``rules_from`` or by ``allow_code``, now or
    before; see :mod:`melodyconstraints.storage.consents`.

    Args:
        model: model in place of the one that it names; must have the same weights.
        rules: rules in place of those that it names, for instance functions that have no file.
        rules_from: Python files of rules that have moved, and MIDI files of ``novelty`` rules.
        allow_code: whether to run the Python files that its rules name.

    Raises:
        ArtifactError: damaged or foreign, or trained on another model.
        RuleNotFoundError: ``rules_from`` lacks a rule.
        UsageError: another number of ``rules`` than it was trained for.
    """
    folder = Path(folder)
    config, pair = load_pair(folder, KIND, ActorConfig, _REMEDY, model, load_model)
    if rules is None:
        given = {Path(path).resolve() for path in rules_from}

        def may_run(path: Path) -> bool:
            if allow_code or path in given:
                consent(path)
                return True
            return is_consented(path)

        with code_only_where(may_run):
            found_rules = distinct(find_named(rule.spec, rules_from) for rule in config.rules)
    else:
        found_rules = find_rules(rules)
        if len(found_rules) != len(config.rules):
            count = len(config.rules)
            raise UsageError(f"{folder} was trained for {count} rules, got {len(found_rules)}")
    names = "temperature", "form", "rhythm", "examples", "transposes", "ranges"
    own = {name: getattr(config, name) for name in names}
    own["scale"] = config.scale if config.has_tonic else frozenset(config.scale)
    return MelodyActor(rules=found_rules, **own, **pair)
