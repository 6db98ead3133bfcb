"""Chords that are asked for: notes are moved to their tones, in whatever key fits best."""

from dataclasses import replace

import pytest

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.typical import typicality
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.rules import find_rules
from melodyconstraints.workflows.conditional import load_knobs
from melodyconstraints.workflows.evaluate_actor import evaluate_actor
from melodyconstraints.workflows.reroll import reroll
from melodyconstraints.workflows.train_actor import train_actor
from melodyconstraints.workflows.training_sampling import training_sampling
from melodyconstraints.workflows.transform import transform
from melodyconstraints.workflows.written import chord_writing, written_rules

CHORDS = "chords:C,Am,F,G,60%"


@pytest.fixture(scope="module")
def knobs():
    return load_knobs()


@pytest.mark.parametrize(
    "rules",
    [
        ("chords:Dm7,G7,Cmaj7,Cmaj7,70%", "scale:C-major"),
        (CHORDS, "rhythm:x..x..x."),
        ("beat-chords:C,Am,F,G",),
    ],
)
def test_chords_are_written_and_melodies_stay_typical(knobs, rules):
    actor = knobs.at(None, None, *rules)
    melodies = actor.generate(8, seed=3)
    assert all((rule(melodies) >= 0.97).all() for rule in actor.rules)
    assert (typicality(melodies) >= 1).mean() > 0.5


def test_an_actor_has_no_chords_to_learn(knobs, one_round):
    news = []
    actor = train_actor(knobs.model, [CHORDS], settings=one_round, announce=news.append)
    assert news[0] == f"melodies are written in {CHORDS}"
    assert news[1].startswith("nothing is left to learn")
    measured = evaluate_actor(actor, 8, seed=3)
    assert measured.all_satisfied == 1
    assert measured.moved.z_mse == 0
    assert 0.5 < measured.moved.surviving_notes < 0.95  # notes that the chords moved are counted


def test_the_papers_recipe_learns_chords_in_z(knobs, one_round):
    actor = train_actor(knobs.model, [CHORDS], settings=replace(one_round, plain=True))
    assert actor.records[0].rewards[0] < 1
    assert (actor.rules[0](actor.generate(8, seed=3)) < 0.97).any()


def test_a_melody_comes_back_on_chords_and_kept_bars_stay(knobs, some_melodies):
    tune = some_melodies[0]
    (found,) = transform(knobs.model, tune, rules=[CHORDS])
    assert found.satisfied
    assert found.melody.onsets.tolist() == tune.onsets.tolist()
    (found,) = transform(knobs.model, tune, rules=[CHORDS], keep_bars=[1, 2, 3, 4])
    assert found.satisfied  # by more notes of the others
    assert (found.melody.bars[:4] == tune.bars[:4]).all()
    (kept,) = reroll(knobs.at(None, None, CHORDS), tune, 1, keep_bars=[2, 7], seed=1).bars
    assert (kept[[1, 6]] == tune.bars[[1, 6]]).all()


@pytest.mark.parametrize(
    ("rules", "settled"),
    [
        ([CHORDS, "cmajor"], [CHORDS, "cmajor"]),
        (["chords:C,Am,40%..60%", "rhythm:x..."], ["rhythm:x..."]),  # at most 60% as well
        (["chords:Gb,C", "cmajor"], []),  # no tone of G flat major is in C major
    ],
)
def test_chords_that_writing_does_not_settle_are_learned(knobs, rules, settled):
    found = find_rules(rules)
    draws = training_sampling(knobs.model, found, [1, 1], Sampling(), plain=False)
    assert sorted(rule.name for rule in draws.settled) == sorted(settled)
    assert draws.finish is not None


def test_chords_are_taken_as_far_as_a_scale_allows(knobs):
    tune = Melodies.stack([])
    rules = find_rules(["chords:E", "cmajor"])  # E major without its third
    write = chord_writing(knobs.model, rules)
    assert write(tune).events.shape == (0, 256)
    assert write.keywords["progression"].chords == [frozenset({4, 11})]


def test_a_model_without_form_and_other_rules_write_none(tiny_model, knobs):
    assert written_rules(tiny_model, find_rules([CHORDS])) == []
    assert written_rules(knobs.model, find_rules(["cmajor", "final-note:C"])) == []
    assert chord_writing(knobs.model, find_rules(["cmajor"])) is None
    assert chord_writing(tiny_model, find_rules([CHORDS])) is None
