"""Rules that no melody satisfies together, told before a search or a training spends minutes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.satisfaction import are_satisfied
from melodyconstraints.melody.events import HOLD, PITCHES, Melodies
from melodyconstraints.melody.rhythm import EITHER, signs_of_rhythm
from melodyconstraints.melody.units import STEPS
from melodyconstraints.rules import Rule
from melodyconstraints.rules.implied import allowed_pitch_classes
from melodyconstraints.workflows.knobs import KNOBS, ranges_of
from melodyconstraints.workflows.written import is_of_rhythm, rhythm_of

_OF_FIRST, _OF_LAST = {"first-note", "compass"}, {"final-note", "compass"}
"""Rules that each say which pitches the first note may have, or the last one, by name."""
_CADENCE = "cadence"
"""The rule whose last note is the tonic."""
_ONE_NOTE = np.full((PITCHES, STEPS), HOLD, np.uint8)
_ONE_NOTE[:, 0] = np.arange(PITCHES)
"""``(128, T)`` a melody of one note for each pitch: its first one, and its last."""


def refuse_contradictions(rules: Sequence[Rule]) -> None:
    """Make sure that a melody may satisfy all rules, as far as those of the library tell.

    Sets of pitch classes do, rhythms, rules with a range that are knobs, and those that say
    what the first note is, or the last one; so does a rule beside its ``not:``.

    Raises:
        UsageError: no melody satisfies them all.
    """
    own = [rule for rule in rules if rule.is_own]
    if allowed_pitch_classes(own) == frozenset():
        _refuse([rule for rule in own if rule.pitch_classes is not None], "no note is in all")
    for which, names in (("first", _OF_FIRST), ("last", _OF_LAST)):
        _refuse_notes(which, [(rule, _pitches(rule, names)) for rule in own])
    for pair in combinations(own, 2):
        if any(_negates(*two) for two in (pair, pair[::-1])):
            _refuse(pair, "the one is that the other is not satisfied")
        if all(map(is_of_rhythm, pair)) and _differ(*pair):
            _refuse(pair, "the one has a note where the other has none")
        one, other = (ranges_of([rule]) for rule in pair)
        for attribute in one.keys() & other.keys():
            (low, high), (other_low, other_high) = one[attribute], other[attribute]
            if low > other_high or other_low > high:
                _refuse(pair, _apart(attribute, one[attribute], other[attribute]))


def _refuse_notes(which: str, asked: Sequence[tuple[Rule, NDArray[np.bool_] | None]]) -> None:
    """Refuse rules that leave no pitch for the first note, or for the last one.

    Args:
        asked: rules, each with the pitches ``(128,)`` that it allows; None for all.
    """
    told = [(rule, pitches) for rule, pitches in asked if pitches is not None]
    for number in (2, len(told)):
        for some in combinations(told, number):
            if some and not np.all([pitches for _, pitches in some], axis=0).any():
                _refuse([rule for rule, _ in some], f"no note is left to be the {which} one")


def _pitches(rule: Rule, names: Collection[str]) -> NDArray[np.bool_] | None:
    """``(128,)`` whether a rule allows each pitch for a note; None where it does not say."""
    name = rule.spec.partition(":")[0]
    every = np.arange(PITCHES)
    if name in names:
        return are_satisfied(rule(Melodies(_ONE_NOTE))[:, None])
    if rule.pitch_classes is not None:
        return np.isin(every % 12, list(rule.pitch_classes))
    if name == _CADENCE and "final-note" in names:
        return every % 12 == rule.tonic
    return None


def _negates(one: Rule, other: Rule) -> bool:
    """Whether one rule is the ``not:`` of another."""
    return one.spec == f"not:{other.spec}"


def _differ(one: Rule, other: Rule) -> bool:
    """Whether one rhythm has a note where another has none."""
    signs, others = (signs_of_rhythm(rhythm_of([rule])) for rule in (one, other))
    return bool(((signs != others) & (signs != EITHER) & (others != EITHER)).any())


def _apart(attribute: str, one: tuple[float, float], other: tuple[float, float]) -> str:
    """How two ranges differ; those of notes by their numbers, which a rhythm does not tell."""
    if attribute != KNOBS["density"].attribute:
        return "their ranges do not meet"
    low, high = (f"{least:g} to {most:g}" for least, most in (one, other))
    return f"they have {low} and {high} notes in 16 bars"


def _refuse(rules: Sequence[Rule], why: str) -> None:
    names = " and ".join(rule.name for rule in rules)
    raise UsageError(f"no melody satisfies {names}: {why}; leave one out or change it")
