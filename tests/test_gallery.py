"""The rule gallery shows every rule, and the rewards that it tells are its melodies' own."""

import json
from pathlib import Path

import pytest

from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.rules import find_rule, library
from melodyconstraints.studio.schemas import melody_of

GALLERY = json.loads((Path(__file__).parents[1] / "docs" / "gallery.json").read_text("utf-8"))
COUNT = 256
FREE = [melody_of(notes) for notes in GALLERY["under no rule"]["melodies"]]


def test_it_has_every_rule_of_the_library():
    assert set(GALLERY) == {"under no rule", *(row.name for row in library())}


@pytest.mark.parametrize("name", GALLERY)
def test_it_tells_how_many_melodies_are_typical_and_whether_that_was_learned(name):
    assert 0 < GALLERY[name]["typical"] < 1
    if name != "under no rule":
        assert GALLERY[name]["learned"] in (True, False)


@pytest.mark.parametrize("row", library(), ids=lambda row: row.name)
def test_rewards_are_the_melodies_own(row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_melody(FREE[0], "tune.mid")  # of which the rule of novelty is
    entry = GALLERY[row.name]
    assert entry["rule"] == row.example
    melodies = [*FREE, *(melody_of(notes) for notes in entry["melodies"])]
    rewards = find_rule(row.example)(Melodies.stack(melodies))
    assert rewards.round(4).tolist() == pytest.approx(entry["rewards"], abs=1.1e-4)
    satisfied = (rewards[2:] >= SATISFIED).sum()
    assert satisfied == min(2, round(COUNT * entry["actor"]))  # those that satisfy it come first
