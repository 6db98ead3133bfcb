"""Melodies are taken in the nearest of the keys in which rules reward them most."""

from dataclasses import replace

import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import find_rules, rule
from melodyconstraints.workflows.conditional import load_knobs
from melodyconstraints.workflows.editing import keep
from melodyconstraints.workflows.evaluate_actor import evaluate_actor
from melodyconstraints.workflows.generate import generate
from melodyconstraints.workflows.keys import asks_for_keys, in_best_keys
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.reroll import reroll
from melodyconstraints.workflows.train_actor import train_actor

pytestmark = pytest.mark.usefixtures("few_draws")


def ending_on(*pitches: int) -> Melodies:
    """Melodies of two notes, the second of them as given."""
    return Melodies.stack([Melody.from_notes([(0, 4, 60), (4, 4, last)]) for last in pitches])


def test_the_nearest_of_the_best_keys_is_taken():
    """From E to C it is four down, from G five up, from F# six down: up it would be as far."""
    found = in_best_keys(ending_on(60, 64, 67, 66), find_rules(["final-note:C"]))
    assert found.shifts.tolist() == [0, -4, 5, -6]
    assert found.melodies.pitches[:, 4].tolist() == [60, 60, 72, 60]
    assert found.melodies.pitches[:, 0].tolist() == [60, 56, 65, 54]
    assert found[1] == (found.melodies[1], -4)


def test_where_every_key_is_as_good_a_melody_stays(some_melodies):
    found = in_best_keys(some_melodies, find_rules(["steps:60%", "density:12"]))
    assert not found.shifts.any()
    assert (found.melodies.events == some_melodies.events).all()


def test_no_note_leaves_the_pitches_that_there_are():
    """From 127, a G, one up is no pitch: C is seven away, so that nothing is nearer than G."""
    (shift,) = in_best_keys(ending_on(127), find_rules(["final-note:G#"])).shifts
    assert shift <= 0


def test_a_rule_of_weight_0_asks_for_no_key():
    rules = find_rules(["final-note:C", "final-note:D"])
    assert in_best_keys(ending_on(62), rules, (0.0, 1.0)).shifts.tolist() == [0]
    assert in_best_keys(ending_on(62), rules, (1.0, 0.0)).shifts.tolist() == [-2]


def test_a_users_function_is_not_asked_in_every_key():
    asked = []

    @rule
    def ends_on_c(melody: Melody) -> float:
        asked.append(melody)
        return float(melody.pitches[-1] % 12 == 0)

    own, users = find_rules(["final-note:D", ends_on_c])
    found = in_best_keys(ending_on(64), [users, own])
    assert found.shifts.tolist() == [-2]
    assert asks_for_keys(own, ending_on(64))
    assert not asks_for_keys(users, ending_on(64))
    assert not asked


def test_what_is_kept_stays_in_every_key():
    """The first bar, on C, stays where it is: only the second moves to go with it in C major."""
    kept = Melody.from_notes([(0, 16, 60)])
    other = Melody.from_notes([(0, 16, 60), *((16 + 2 * i, 2, 61 + p) for i, p in enumerate(
        (0, 2, 4, 5, 7, 9, 11)
    ))])  # fmt: skip
    found = in_best_keys(
        Melodies.stack([other]), find_rules(["cmajor"]), finish=lambda new: keep(kept, new, {1})
    )
    assert found.shifts.tolist() == [-1]
    assert found.melodies[0].pitches.tolist() == [60, 60, 62, 64, 65, 67, 69, 71]


@pytest.fixture(scope="module")
def model():
    """The packaged staff generator."""
    return load_knobs().model


def test_an_actor_learns_and_draws_in_the_best_of_keys(model, one_round, tmp_path):
    """Any melody can end on C, in a key of its own: nothing is left to learn."""
    with pytest.warns(UserWarning, match="satisfy final-note:C already"):
        actor = train_actor(model, ["final-note:C"], settings=one_round)
    assert actor.transposes
    assert actor.best == 1
    assert not actor.records
    free = generate(model, 8, seed=5)
    assert actor.rules[0](free).min() < 1
    actor.save(tmp_path / "actor")
    for one in (actor, load_actor(tmp_path / "actor")):
        melodies = one.generate(8, seed=5)
        assert (one.rules[0](melodies) == 1).all()
        chosen, _ = one.generate_satisfying(4, seed=5)
        assert (one.rules[0](chosen) == 1).all()
        moved = in_best_keys(free, actor.rules).melodies
        assert (melodies.events == moved.events).all()


def test_melodies_under_no_rule_are_measured_in_their_own_keys(model, one_round):
    with pytest.warns(UserWarning, match="already"):
        actor = train_actor(model, ["final-note:C"], settings=one_round)
    measured = evaluate_actor(actor, 32, seed=5)
    free = actor.rules[0](generate(model, 32, seed=5))
    assert measured.prior_all_satisfied == (free == 1).mean() < 0.5
    assert measured.all_satisfied == 1


def test_bars_that_are_kept_stay_in_their_key(model, one_round):
    with pytest.warns(UserWarning, match="already"):
        actor = train_actor(model, ["final-note:C"], settings=one_round)
    tune = generate(model, 1, seed=9)[0]
    melodies = reroll(actor, tune, 4, keep_bars={1, 2}, seed=3)
    assert all((one.bars[:2] == tune.bars[:2]).all() for one in melodies)
    assert (actor.rules[0](melodies) == 1).all()


def test_notes_that_stay_are_counted_in_the_key_that_a_melody_is_drawn_in(model, one_round):
    """Nothing is learned, so that no note is moved but by the key."""
    with pytest.warns(UserWarning, match="already, in some key"):
        actor = train_actor(model, ["final-note:C"], settings=one_round)
    measured = evaluate_actor(actor, 8, seed=5)
    assert (measured.moved.z_mse, measured.moved.surviving_notes) == (0, 1)


def test_what_stays_near_a_melody_stays_in_its_key(model, one_round):
    with pytest.warns(UserWarning, match="already"):
        actor = train_actor(model, ["final-note:C"], settings=one_round)
    tune = generate(model, 1, seed=9)[0]
    near = {"strength": 0.0, "temperature": 0.0, "seed": 3}
    assert reroll(actor, tune, 1, **near)[0] == reroll(model, tune, 1, **near)[0]


@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [1, -1]])
def test_each_rule_has_a_weight(model, one_round, weights):
    with pytest.raises(UsageError, match="a weight of at least 0 for each of key:A-minor"):
        train_actor(model, ["key:A-minor", "density:96"], settings=one_round, weights=weights)


def test_a_rule_that_asks_for_no_key_is_not_told_of_one(model, one_round):
    news = []
    train_actor(model, ["density:1"], settings=one_round, announce=news.append)
    assert [line for line in news if "density:1 already: training" in line]


@pytest.mark.parametrize(
    ("rules", "plain"),
    [
        (["final-note:C", "cmajor"], False),
        (["final-note:C", "scale:D-dorian"], False),
        (["final-note:C"], True),
    ],
)
def test_in_a_scale_and_by_the_papers_recipe_no_melody_is_transposed(
    model, one_round, rules, plain
):
    actor = train_actor(model, rules, settings=replace(one_round, plain=plain))
    assert not actor.transposes
