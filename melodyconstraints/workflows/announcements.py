"""Announcements before a training: which rules are slow, and which have nothing to learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.melody.events import Melodies
from melodyconstraints.rules import Rule
from melodyconstraints.rules.contract import melodies_per_second
from melodyconstraints.rules.learnability import cost_of_training
from melodyconstraints.workflows.keys import asks_for_keys

_TIMED = 64
"""Number of melodies on which a rule is timed."""


def announce_rules(
    rules: Sequence[Rule],
    melodies: Melodies,
    announce: Callable[[str], object] | None,
    *,
    transposes: bool,
) -> None:
    """Announce rules that are slow, and rules that all melodies satisfy already.

    Args:
        announce: called with each line; if not given, the latter are warnings.
        transposes: whether each melody is in the key that the rules reward most.
    """
    for rule in rules:
        if announce:
            seconds, slow = cost_of_training(melodies_per_second(rule, melodies[:_TIMED]))
            if slow:
                announce(f"{rule.name} is slow: about {seconds:,.0f} s of this training")
        if all((rule(some) >= SATISFIED).all() for some in (melodies[:_TIMED], melodies)):
            in_keys = transposes and asks_for_keys(rule, melodies[:_TIMED])
            already = "already, in some key" if in_keys else "already"
            (announce or _warn)(
                f"all {len(melodies):,} melodies drawn from the model satisfy {rule.name} "
                f"{already}: training for it changes nothing"
            )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=6)  # the caller of train_actor, behind its check of arguments
