"""What several rules together imply of a melody: its notes, its key, its tonic, its chords."""

from __future__ import annotations

from collections.abc import Sequence

from melodyconstraints.rules.definition import Rule


def allowed_pitch_classes(rules: Sequence[Rule]) -> frozenset[int] | None:
    """Pitch classes in [0, 11] that every rule with a set allows; None without such a rule.

    >>> from melodyconstraints.rules import find_rules
    >>> allowed_pitch_classes(find_rules(["density:96", "cmajor", "pitch-classes:0,1,2"]))
    frozenset({0, 2})
    """
    sets = [rule.pitch_classes for rule in rules if rule.pitch_classes is not None]
    return frozenset.intersection(*sets) if sets else None


def implied_key(rules: Sequence[Rule]) -> str | None:
    """Key signature, such as ``Bbm``, of the first rule that implies one; None without one."""
    return next((rule.key for rule in rules if rule.key), None)


def implied_tonic(rules: Sequence[Rule]) -> int | None:
    """Pitch class in [0, 11] of the first rule with a tonic; None without one."""
    return next((rule.tonic for rule in rules if rule.tonic is not None), None)


def implied_chords(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Symbols of the chords of the first rule with chords, one a bar; empty without one."""
    return next((rule.chords for rule in rules if rule.chords), ())
