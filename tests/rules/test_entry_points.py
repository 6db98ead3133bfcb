"""A rule of another distribution, as pip would have installed it."""

import sys

import pytest

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import find_rule
from melodyconstraints.workflows.train_actor import train_actor

MODULE = """
import numpy as np
from melodyconstraints import Melodies

def wide(melodies: Melodies):
    '''At least an octave from the lowest note to the highest.'''
    high = melodies.pitches.max(axis=1)
    low = np.where(melodies.onsets, melodies.pitches, 128).min(axis=1)
    return np.clip((high - low) / 12, 0, 1) * (melodies.note_counts > 0)
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    site = tmp_path / "site"
    info = site / "somebodys_wide_rules-1.2.dist-info"
    info.mkdir(parents=True)
    (site / "somebodys_wide_rules.py").write_text(MODULE, encoding="utf-8")
    metadata = "Metadata-Version: 2.1\nName: somebodys-wide-rules\nVersion: 1.2\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    points = "[melodyconstraints.rules]\nwide-range = somebodys_wide_rules:wide\n"
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    sys.modules.pop("somebodys_wide_rules", None)


def test_an_installed_rule_is_found_and_scores():
    found = find_rule("wide-range")
    fourth = Melody.from_notes([(0, 4, 60), (4, 4, 66)])
    octaves = Melody.from_notes([(0, 4, 40), (4, 4, 70)])
    tunes = Melodies.stack([Melody.from_notes([]), fourth, octaves])
    assert found(tunes).tolist() == [0.0, 0.5, 1.0]
    assert (found.name, found.spec, found.batched) == ("wide-range", "wide-range", True)
    assert found.description == "At least an octave from the lowest note to the highest."


def test_an_actor_is_trained_on_an_installed_rule(tiny_model, tiny_settings):
    with pytest.warns(UserWarning, match="satisfy wide-range already"):
        actor = train_actor(tiny_model, ["density:256", "wide-range"], settings=tiny_settings)
    assert [rule.name for rule in actor.rules] == ["density:256", "wide-range"]
    assert len(actor.records[-1].rewards) == 2
