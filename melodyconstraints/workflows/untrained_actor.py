"""An actor for rules without a training: by knobs where the model has them, or by a search.

>>> import melodyconstraints as mc
>>> actor = mc.searching_actor(mc.load_model(), ["final-note:D"], scale="D-dorian")
>>> [int(melody.pitches[-1]) % 12 for melody in actor.generate(2, seed=1)]
[2, 2]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from torch import nn

from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.conditional import (
    FOLDER_OF_KNOBS,
    HIGHEST_DENSITY,
    load_knobs,
)
from melodyconstraints.workflows.contradictions import refuse_contradictions
from melodyconstraints.workflows.examples import Examples
from melodyconstraints.workflows.knobs import Knobs, moved_first, scale_rules
from melodyconstraints.workflows.models import home_of
from melodyconstraints.workflows.search import search_actor


def searching_actor(
    model: MelodyVAE,
    rules: Iterable[str | Rule | Callable[..., Any]] = (),
    *,
    scale: str | Collection[int] | None = None,
    density: int | str | None = None,
    tonic: bool = True,
    like: Examples | None = None,
) -> MelodyActor:
    """Actor that finds a model's melodies for rules without a training; it turns knobs if it can.

    Args:
        rules: rules, as :func:`.find_rules` takes them.
        scale, density, tonic, like: see :meth:`.knobs.Knobs.at`; a scale needs a model with knobs.

    Raises:
        UsageError: no such scale or rule, rules that no melody satisfies together, or no melody
            that others should be like.
    """
    found_rules = find_rules(rules)
    of_scale = scale_rules(scale, tonic=tonic)
    of_density = [] if density is None else [f"density:{density}"]
    refuse_contradictions(find_rules([*of_scale, *found_rules, *of_density]))
    if scale is not None:
        return load_knobs(model=model).at(scale, density, *found_rules, tonic=tonic, like=like)
    found_rules = find_rules([*found_rules, *of_density])
    if isinstance(model, StaffGenerator):
        return Knobs(model).at(None, None, *found_rules, like=like)
    least = _least_density(model, found_rules)
    if least is not None:
        return load_knobs(model=model).at(None, least, like=like)
    return search_actor(model, found_rules, move=moved_first(model, like, nn.Identity()))


def _least_density(model: MelodyVAE, rules: Sequence[Rule]) -> str | None:
    """Number of notes of the only rule, where a model's own conditional actor knows that one."""
    home = home_of(model)
    if home is None or not (home / FOLDER_OF_KNOBS).is_dir() or len(rules) != 1:
        return None
    least = re.fullmatch(r"density:(\d+)", rules[0].spec)
    return least[1] if least and int(least[1]) <= HIGHEST_DENSITY else None
