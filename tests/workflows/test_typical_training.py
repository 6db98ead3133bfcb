"""What is typical is learned beside rules, which say nothing of what they leave free."""

from dataclasses import replace

import pytest
import torch

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.neighbourhood import Neighbourhood
from melodyconstraints.workflows.train_actor import size_of_folder, train_actor
from melodyconstraints.workflows.transform import transform
from melodyconstraints.workflows.typical_reward import TYPICALITY

TUNE = Melody.from_notes([(4 * i, 4, 60 + i % 8) for i in range(64)])
FEW = Melody.from_notes([(4 * i, 4, 60 + i % 8) for i in range(10)])


@pytest.fixture
def model(tiny_model_folder):
    """The saved tiny model."""
    return load_model(tiny_model_folder)


@pytest.fixture
def train(model, tiny_settings):
    """Trains with a bank of 22 typical melodies of 64 notes and 18 of 10 notes."""
    bank = torch.randn(40, 8), Melodies.stack([TUNE] * 22 + [FEW] * 18)

    def run(*rules, settings=tiny_settings, **options):
        return train_actor(model, rules, settings=settings, bank=bank, **options)

    return run


def test_it_is_a_head_behind_the_rules(train, tmp_path):
    actor = train("density:100", "cmajor", weights=[2, 3], method="actor")
    assert actor.heads == (("density:100", "cmajor", "typical melodies"),)
    assert actor.weights == (2, 3, 2.5)
    assert (actor.names, actor.learned) == (["density:100", "cmajor"], ())
    assert actor.rewards == [*actor.rules, TYPICALITY]
    assert actor.is_active.tolist() == [True, True]
    assert [len(record.rewards) for record in actor.records] == [3, 3, 3]
    actor.save(tmp_path / "a")
    loaded = load_actor(tmp_path / "a")
    assert (loaded.heads, loaded.names) == (actor.heads, actor.names)
    assert loaded.rewards[-1] is TYPICALITY
    assert "- typical melodies: within bounds" in (tmp_path / "a" / "README.md").read_text("utf-8")


def test_rules_that_ask_for_what_is_not_typical_are_learned_alone(train):
    told = []
    actor = train("density:5..20", "cmajor", weights=[1, 0], announce=told.append)
    assert actor.heads == (("density:5..20", "cmajor"),)
    assert actor.rewards == actor.rules
    assert told[-1].endswith("be typical: typical melodies seldom satisfy what is asked")


def test_the_paper_has_rules_alone(train, tiny_settings):
    assert train("density:100", settings=replace(tiny_settings, plain=True)).heads == (
        ("density:100",),
    )


def test_rules_can_be_learned_alone(train):
    assert train("density:100").heads == (("density:100", "typical melodies"),)
    assert train("density:100", rules_alone=True).heads == (("density:100",),)


def test_rules_that_few_melodies_satisfy_are_judged_by_the_nearest(train):
    """None of the bank has 3 notes; those of 10 are nearer, whatever is asked beside."""
    assert train("density:1..3", "cmajor").heads == (("density:1..3", "cmajor"),)


def test_where_most_melodies_satisfy_the_rules_already_nothing_is_learned_beside(train):
    """22 of 40 have 64 notes."""
    assert train("density:64").heads == (("density:64",),)


def test_examples_say_themselves_what_is_typical(train):
    actor = train("density:100", like=Melodies.stack([FEW] * 9), unlike=Melodies.stack([TUNE] * 9))
    assert actor.head_names == ("density:100", "like the examples")
    assert actor.learned == ("like the examples",)


def test_a_rule_of_weight_0_asks_for_nothing(train):
    told = []
    actor = train("density:3", "density:100", weights=[1, 0], announce=told.append)
    assert actor.heads == (("density:3", "density:100"),)
    assert "satisfy density:3 already" in told[0]
    both = train("density:100", "density:5..20", weights=[4, 0])
    assert (both.head_names[-1], both.weights) == ("typical melodies", (4, 0, 4))


def test_where_no_rule_asks_for_anything_nothing_is_learned_beside(train):
    assert train("density:100", weights=[0]).heads == (("density:100",),)
    with pytest.warns(UserWarning, match="satisfy density:3 already") as warned:
        actor = train("density:3")
    assert warned[0].filename == __file__  # the caller's
    assert (actor.heads, len(actor.records)) == ((("density:3",),), 0)


def test_no_room_is_taken_that_was_not_asked_for(train, model, tiny_settings, tmp_path):
    train("density:100").save(tmp_path / "a")
    taken = sum(path.stat().st_size for path in (tmp_path / "a").iterdir())
    assert taken <= size_of_folder(model, 1, settings=tiny_settings)


def test_none_satisfied_is_told_with_both(train):
    actor = replace(train("density:100"), best=0.0)
    actor.records = [replace(actor.records[0], all_satisfied=0.0)]
    told = actor.shortcoming or ""
    assert "satisfied every rule and was typical; in the last round: density:100" in told
    assert "contradict each other or ask for what few real melodies do?" in told


def test_a_users_melody_is_moved_by_rules_alone(train):
    actor = train("density:252")
    search = Neighbourhood(
        actor, TUNE, torch.zeros(1, 8), frozenset(), torch.Generator(), lambda rounds: None
    )
    assert search._weights == (1, 0)
    (found,) = transform(actor, TUNE, seed=1)
    assert len(found.before) == len(found.after) == 1
