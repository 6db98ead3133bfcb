"""Rules that no melody satisfies together, told before a search or a training spends minutes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.rhythm import EITHER, signs_of_rhythm
from melodyconstraints.rules import Rule
from melodyconstraints.rules.implied import allowed_pitch_classes
from melodyconstraints.workflows.knobs import KNOBS, ranges_of
from melodyconstraints.workflows.written import is_of_rhythm, rhythm_of


def refuse_contradictions(rules: Sequence[Rule]) -> None:
    """Make sure that a melody may satisfy all rules, as far as those of the library tell.

    Sets of pitch classes do, rhythms, and rules with a range that are knobs.

    Raises:
        UsageError: no melody satisfies them all.
    """
    own = [rule for rule in rules if rule.is_own]
    if allowed_pitch_classes(own) == frozenset():
        _refuse([rule for rule in own if rule.pitch_classes is not None], "no note is in all")
    for pair in combinations(own, 2):
        if all(map(is_of_rhythm, pair)) and _differ(*pair):
            _refuse(pair, "the one has a note where the other has none")
        one, other = (ranges_of([rule]) for rule in pair)
        for attribute in one.keys() & other.keys():
            (low, high), (other_low, other_high) = one[attribute], other[attribute]
            if low > other_high or other_low > high:
                _refuse(pair, _apart(attribute, one[attribute], other[attribute]))


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
