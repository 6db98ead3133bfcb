"""What the best of some transformations lacks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from melodyconstraints.melody.events import Melody
from melodyconstraints.rules import find_rules
from melodyconstraints.workflows.shortcoming import shortcoming_of
from melodyconstraints.workflows.transform import Transformation

TUNE = Melody.from_notes([(16, 4, 61), (20, 4, 60)])
"""C sharp and C in bar 2."""


def reached(*rewards, decoded=9, active=...):
    """A transformation with some rewards."""
    after = np.array(rewards)
    return Transformation(TUNE, TUNE, after, after, 0.0, decoded, active)


@pytest.fixture
def actor():
    """Rules of an actor, of which the last is measured only."""
    rules = find_rules(["density:4", "scale:A-minor", "cmajor"])
    return SimpleNamespace(rules=rules, active_rules=rules[:2])


def test_where_one_satisfies_every_rule_nothing_is_missing(actor):
    active = np.array([True, True, False])
    assert shortcoming_of([reached(0, 0, 1), reached(1, 1, 0, active=active)], actor) is None


def test_the_best_is_the_one_of_the_highest_mean_reward_under_weighted_rules(actor):
    active = np.array([True, True, False])
    some = [reached(*one, active=active) for one in ((0.5, 0.2, 1), (0.5, 0.4, 0), (0.1, 0.2, 1))]
    found = shortcoming_of(some, actor)
    assert found.number == 1
    assert [(rule.name, reward) for rule, reward in found.rewards] == [
        ("density:4", 0.5),
        ("scale:A-minor", 0.4),
    ]
    assert found.text == "density:4 0.500, scale:A-minor 0.400"
    assert (found.held, found.of_kept_bars, found.key) == ((), False, "A-minor")


def test_a_rule_that_is_satisfied_or_only_measured_is_not_named(actor):
    active = np.array([True, True, False])
    found = shortcoming_of([reached(0.5, 1, 0, active=active)], actor)
    assert found.text == "density:4 0.500"
    assert found.key is None


def test_notes_of_kept_bars_are_named_and_known_to_be_all_that_is_missing(actor):
    found = shortcoming_of([reached(1, 0.5, 1, decoded=0)], actor, {2})
    assert found.text == (
        "scale:A-minor 0.500; bar 2, which stays, holds 1 note outside the set of scale:A-minor"
    )
    assert found.of_kept_bars
    assert not shortcoming_of([reached(1, 0.5, 1, decoded=9)], actor, {2}).of_kept_bars
    assert not shortcoming_of([reached(1, 0.5, 1, decoded=0)], actor).of_kept_bars
