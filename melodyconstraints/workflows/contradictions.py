"""Rules that no melody satisfies together, told before a search or a training spends minutes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.satisfaction import are_satisfied
from melodyconstraints.melody.events import HOLD, PITCHES, Melodies
from melodyconstraints.melody.rhythm import EITHER, NOTE, signs_of_rhythm
from melodyconstraints.melody.units import STEPS
from melodyconstraints.rules import Rule
from melodyconstraints.rules.implied import allowed_pitch_classes
from melodyconstraints.workflows.knobs import KNOBS, ranges_of
from melodyconstraints.workflows.written import is_of_rhythm, rhythm_of

_END_RULES = {"first": "first-note", "last": "final-note"}
"""Rules about the first note and the last one, by which it is."""
_EVERY_NOTE, _CADENCE = "compass", "cadence"
"""The rule about the pitches of all notes, and the one whose last note is the tonic."""
_OF_ONSETS = {"on-beat", "off-beat"}
"""Rules that look at nothing but where notes start."""
_ONE_NOTE = np.full((PITCHES, STEPS), HOLD, np.uint8)
_ONE_NOTE[:, 0] = np.arange(PITCHES)
"""``(128, T)`` a melody of one note for each pitch: its first one, and its last."""


def refuse_contradictions(rules: Sequence[Rule]) -> None:
    """Make sure that a melody may satisfy all rules, as far as those of the library tell.

    Sets of pitch classes and scales do, rhythms (beside another, or beside shares of notes on and
    off the beat), rules with a range that are knobs, and those that say what the first note is, or
    the last one: ``first-note``, ``final-note``, ``cadence`` and ``compass``; so does a rule
    beside its ``not:``. Users' rules do not tell.

    Raises:
        UsageError: no melody satisfies them all.
    """
    own = [rule for rule in rules if rule.is_own]
    if allowed_pitch_classes(own) == frozenset():
        _refuse([rule for rule in own if rule.pitch_classes is not None], "no note is in all")
    for which in _END_RULES:
        _refuse_notes(which, [(rule, _pitches(rule, which)) for rule in own])
    for pair in combinations(own, 2):
        if _are_opposites(*pair):
            _refuse(pair, "one is the opposite of the other")
        if all(map(is_of_rhythm, pair)) and _differ(*pair):
            _refuse(pair, "the one has a note where the other has none")
        if any(_starts_elsewhere(*two) for two in permutations(pair)):
            _refuse(pair, "the notes of the rhythm start elsewhere")
        one, other = (ranges_of([rule]) for rule in pair)
        for attribute in one.keys() & other.keys():
            (low, high), (other_low, other_high) = one[attribute], other[attribute]
            if low > other_high or other_low > high:
                _refuse(pair, _apart(attribute, one[attribute], other[attribute]))


def _refuse_notes(which: str, asked: Sequence[tuple[Rule, NDArray[np.bool_] | None]]) -> None:
    """Refuse the fewest rules that leave no pitch for the first note, or for the last one.

    Args:
        asked: rules, each with the pitches ``(128,)`` that it allows; None for all.
    """
    told = [(rule, pitches) for rule, pitches in asked if pitches is not None]
    for number in range(2, len(told) + 1):
        for some in combinations(told, number):
            if not np.all([pitches for _, pitches in some], axis=0).any():
                _refuse([rule for rule, _ in some], f"no note is left to be the {which} one")


def _pitches(rule: Rule, which: str) -> NDArray[np.bool_] | None:
    """``(128,)`` pitches that a rule allows for the first or last note; None: it does not say."""
    name, colon, _ = rule.spec.partition(":")
    every = np.arange(PITCHES)
    if colon and name in (_END_RULES[which], _EVERY_NOTE):
        return are_satisfied(rule(Melodies(_ONE_NOTE))[:, None])
    if rule.pitch_classes is not None:
        return np.isin(every % 12, list(rule.pitch_classes))
    if name == _CADENCE and which == "last":
        return every % 12 == rule.tonic
    return None


def _are_opposites(one: Rule, other: Rule) -> bool:
    """Whether one of two rules is the ``not:`` of the other, of those that combine none."""
    return any(
        first.spec == f"not:{second.spec}" and not second.parts
        for first, second in permutations((one, other))
    )


def _starts_elsewhere(rhythm: Rule, other: Rule) -> bool:
    """Whether a rule, unless it looks at more than onsets, refuses those of a whole rhythm."""
    if not is_of_rhythm(rhythm) or other.spec.partition(":")[0] not in _OF_ONSETS:
        return False
    signs = signs_of_rhythm(rhythm_of([rhythm]))
    notes = Melodies(np.where(signs == NOTE, 60, HOLD)[None].astype(np.uint8))
    return EITHER not in signs and not are_satisfied(other(notes)[:, None]).all()


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
