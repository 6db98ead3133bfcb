"""What holds for every rule: those of the library, a bare scale, and rules of a user's file."""

import numpy as np
import pytest

from melodyconstraints.melody.events import HOLD, REST, Melodies, Melody
from melodyconstraints.rules import find_rule, library
from melodyconstraints.rules.contract import CONTRACT

USERS_FILE = """
from melodyconstraints import rule

def ends_on_c(melody):
    return float(len(melody) > 0 and melody.pitches[-1] % 12 == 0)

@rule(batched=True)
def mostly_short(melodies):
    short = (melodies.durations <= 2) & melodies.onsets
    return short.sum(axis=1) / melodies.note_counts.clip(1)
"""

EMPTY = Melody(np.full(256, REST))
SPECS = ["cmajor", *(row.example for row in library()), "density:0"]
OWN = ["ends_on_c", "mostly_short"]


@pytest.fixture(params=[*SPECS, *OWN])
def any_rule(request, tmp_path):
    if request.param not in OWN:
        return find_rule(request.param)
    path = tmp_path / "own.py"
    path.write_text(USERS_FILE, encoding="utf-8")
    return find_rule(f"{path}:{request.param}")


@pytest.fixture
def batch():
    """Melodies of many densities, with silence, one note, a note on every step among them."""
    rng = np.random.default_rng(3)
    density = rng.random((40, 1))
    pitches = rng.integers(0, 128, (40, 256))
    events = np.where(rng.random((40, 256)) < density, pitches, rng.integers(HOLD, 130, (40, 256)))
    events[0], events[1], events[2] = REST, HOLD, 60
    events[3] = [60, *[HOLD] * 255]
    return Melodies(events)


@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.check.__name__)
def test_the_clauses_that_users_rules_are_held_to(any_rule, batch, clause):
    assert clause.check(any_rule, batch) is None


def test_rewards_are_floats_one_for_each_melody(any_rule, batch):
    rewards = any_rule(batch)
    assert rewards.shape == (40,)
    assert rewards.dtype == np.float64


def test_an_empty_melody_satisfies_nothing_but_a_density_of_zero(any_rule):
    expected = 1.0 if any_rule.name == "density:0" else 0.0
    assert any_rule(Melodies.stack([EMPTY])).tolist() == [expected]


@pytest.mark.parametrize("pitch", [0, 60, 61, 127])
def test_one_note_earns_a_reward(any_rule, pitch):
    (reward,) = any_rule(Melodies.stack([Melody.from_notes([(17, 3, pitch)])]))
    if any_rule.pitch_classes is None:
        assert 0 <= reward <= 1
    else:
        assert reward == float(pitch % 12 in any_rule.pitch_classes)


def test_no_melodies_earn_no_rewards(any_rule):
    assert any_rule(Melodies.stack([])).shape == (0,)


def test_the_specification_finds_an_equal_rule(any_rule, batch):
    assert np.array_equal(find_rule(any_rule.spec)(batch), any_rule(batch))
