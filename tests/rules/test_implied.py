"""What rules together imply."""

from __future__ import annotations

from melodyconstraints.rules import find_rules
from melodyconstraints.rules.implied import (
    allowed_pitch_classes,
    implied_chords,
    implied_key,
    implied_tonic,
)


def test_pitch_classes_are_those_that_all_rules_with_a_set_allow():
    rules = find_rules(["density:96", "scale:G-major", "pitch-classes:0,2,5"])
    assert allowed_pitch_classes(rules) == {0, 2}  # F is not in G major
    disjoint = find_rules(["pitch-classes:0", "pitch-classes:1"])
    assert allowed_pitch_classes(disjoint) == frozenset()


def test_the_first_rule_with_a_key_or_chords_decides():
    rules = find_rules(["density:96", "scale:A-minor", "scale:G-major", "chords:C,Am"])
    assert (implied_key(rules), implied_tonic(rules)) == ("Am", 9)
    assert implied_chords(rules)[:2] == ("C", "Am")


def test_rules_without_a_set_imply_nothing():
    for rules in ([], find_rules(["density:96"])):
        assert allowed_pitch_classes(rules) is implied_key(rules) is implied_tonic(rules) is None
        assert implied_chords(rules) == ()
