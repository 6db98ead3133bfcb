"""Rhythms that are asked for: written by the staff generator, whatever its notes are."""

import numpy as np
import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.evolution import EvolutionSearch
from melodyconstraints.melody.events import HOLD, PITCHES, Melodies, Melody
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.rules import find_rules
from melodyconstraints.workflows.conditional import load_knobs
from melodyconstraints.workflows.editing import in_rhythm
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.reroll import reroll
from melodyconstraints.workflows.train_actor import train_actor
from melodyconstraints.workflows.training_sampling import training_sampling
from melodyconstraints.workflows.transform import transform
from melodyconstraints.workflows.written import rhythm_of, written_rules

TRESILLO = "x..x..x.x..x..x."
LONG = "x.x.x...|x..x..x.|x.xxx...|x_____x."


@pytest.fixture(scope="module")
def knobs():
    return load_knobs()


def onsets(melodies):
    """Onsets of each melody, a sign a sixteenth."""
    return ["".join("x" if event < PITCHES else "." for event in row) for row in melodies.events]


@pytest.mark.parametrize("others", [(), ("scale:D-dorian",), ("cmajor", "ambitus:8..14")])
def test_notes_start_where_the_rhythm_has_them(knobs, others):
    melodies = knobs.at(None, None, f"rhythm:{TRESILLO}", *others).generate(4, seed=3)
    assert onsets(melodies) == 4 * [16 * TRESILLO]
    assert len({tuple(row[row < PITCHES]) for row in melodies.events}) == 4


def test_where_either_may_stand_the_melody_decides(knobs):
    melodies = knobs.at(None, None, f"rhythm:{LONG}").generate(8, seed=3)
    signs = np.array([list(row) for row in onsets(melodies)])
    wanted = np.array(list(8 * LONG.replace("|", "")))
    fixed = wanted != "_"
    assert (signs[:, fixed] == wanted[fixed]).all()
    assert 0 < (signs[:, ~fixed] == "x").mean() < 1


@pytest.mark.parametrize("form", ["AABA", "ABA'C", 16 * "A", "ABCDA'B'C'D'"])
def test_a_form_repeats_notes_as_far_as_the_rhythm_allows(knobs, form):
    """A rhythm of five bars, so that what the form repeats is played in another one."""
    rhythm = "".join(f"{TRESILLO if bar % 5 else 4 * 'x...'}" for bar in range(16))
    actor = knobs.at(None, None, f"rhythm:{rhythm}")
    melodies = actor.generate(2, seed=3, form=form)
    assert onsets(melodies) == 2 * [rhythm]
    if form == 16 * "A":
        bars = melodies.events.reshape(2, 16, 16)
        assert all((bars[:, 1] == bars[:, bar])[bars[:, 1] != HOLD].all() for bar in (2, 3, 4, 6))


def test_an_actor_has_no_rhythm_to_learn(knobs, one_round, tmp_path):
    news = []
    rules = [f"rhythm:{TRESILLO}", "cmajor"]
    actor = train_actor(knobs.model, rules, settings=one_round, announce=news.append)
    assert news == [
        f"melodies are written in the notes of cmajor and in rhythm:{TRESILLO}",
        "nothing is left to learn: every melody drawn satisfies every rule",
    ]
    actor.save(tmp_path / "actor")
    for one in (actor, load_actor(tmp_path / "actor")):
        assert one.rhythm == TRESILLO
        melodies = one.generate(3, seed=5)
        assert onsets(melodies) == 3 * [16 * TRESILLO]
        assert set((melodies.notes.pitches % 12).tolist()) <= {0, 2, 4, 5, 7, 9, 11}


def test_beside_a_rhythm_other_rules_are_learned_in_it(knobs, one_round):
    actor = train_actor(knobs.model, [f"rhythm:{TRESILLO}", "steps:80%"], settings=one_round)
    assert actor.records
    assert all(record.rewards[0] == 1 for record in actor.records)


def test_a_rhythm_of_weight_0_is_measured_only(knobs):
    rules = find_rules([f"rhythm:{TRESILLO}", "steps:80%"])
    draws = training_sampling(knobs.model, rules, [0, 1], Sampling(), plain=False)
    assert draws.sampling.rhythm == ""


def test_a_melody_comes_back_in_a_rhythm(knobs, some_melodies):
    (found,) = transform(knobs.model, some_melodies[0], rules=[f"rhythm:{TRESILLO}"])
    assert onsets(Melodies.stack([found.melody])) == [16 * TRESILLO]


def test_a_note_in_a_silence_lasts_to_the_next_sign():
    """Of one note of two beats, and silence."""
    changed = in_rhythm(Melody.from_notes([(0, 8, 60)]), "x...|....|x..x|...." + 48 * ".")
    assert changed.onsets.tolist()[:4] == [0, 8, 11, 64]
    assert changed.durations.tolist()[:3] == [8, 3, 53]
    rests = in_rhythm(Melody.from_notes([(0, 4, 60), (8, 8, 62)]), "x.......x.......")
    assert rests.durations.tolist()[:2] == [4, 8]  # a silence after a note of the melody stays


def test_kept_bars_keep_their_rhythm(knobs, some_melodies):
    actor = knobs.at(None, None, f"rhythm:{TRESILLO}")
    actor.search = EvolutionSearch(draws=1)  # no draw satisfies it
    (kept,) = reroll(actor, some_melodies[0], 1, keep_bars=[2]).bars
    assert (kept[1] == some_melodies.bars[0, 1]).all()
    assert onsets(Melodies(kept.reshape(1, -1)))[0][32:] == 14 * TRESILLO


def test_the_first_of_two_rhythms_is_written(knobs):
    rules = find_rules(["density:4", f"rhythm:{TRESILLO}", "rhythm:x..."])
    assert rhythm_of(written_rules(knobs.model, rules)) == TRESILLO


def test_a_users_function_of_that_name_is_no_rhythm(knobs):
    def rhythm(melody):
        return 1.0

    assert written_rules(knobs.model, find_rules([rhythm])) == []


def test_a_model_without_a_staff_draws_in_no_rhythm(tiny_model):
    assert written_rules(tiny_model, find_rules([f"rhythm:{TRESILLO}"])) == []
    with pytest.raises(UsageError, match=r"no form, scale or rhythm, got the rhythm x\.\.\.;"):
        tiny_model.decode(torch.zeros(1, tiny_model.latent_dim), Sampling(rhythm="x..."))


def test_a_rhythm_that_is_none_is_refused():
    with pytest.raises(UsageError, match="a rhythm has 4, 8"):
        Sampling(rhythm="x..")
