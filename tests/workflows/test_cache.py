"""Actors in the cache: trained once for a model and rules, again where one of them changed."""

from dataclasses import replace

import pytest
import torch

from melodyconstraints.latent.settings import PRESETS
from melodyconstraints.melody.vae.checkpoint import load_model
from melodyconstraints.rules import find_rules, rule
from melodyconstraints.rules.loading import rule_files
from melodyconstraints.storage.cache import CACHE, cache_entries
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.cache import cached_actor
from melodyconstraints.workflows.train_actor import train_actor


@pytest.fixture
def trainings(tiny_model_folder, tiny_recipe, monkeypatch, tmp_path):
    """Asks for the actor of some rules; and a list of what was trained."""
    monkeypatch.setitem(PRESETS, "default", tiny_recipe)
    monkeypatch.setitem(load_bank.__kwdefaults__, "size", 24)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    model, trained = load_model(tiny_model_folder), []

    def actor_for(specs, **changes):
        rules = find_rules(specs)

        def train():
            trained.append([one.name for one in rules])
            return replace(train_actor(model, rules, announce=lambda _: None), best=1.0, **changes)

        return cached_actor(model, rules, "auto", train)

    return actor_for, trained


def test_the_same_rules_are_trained_for_once(trainings):
    actor_for, trained = trainings
    first, second = actor_for(["cmajor"]), actor_for(["cmajor"])
    assert trained == [["cmajor"]]
    z = torch.randn(5, first.model.latent_dim)
    assert torch.equal(first.shift(z), second.shift(z))
    actor_for(["cmajor", "density:252"])
    assert trained == [["cmajor"], ["cmajor", "density:252"]]
    kinds = [entry.config["kind"] for entry in cache_entries()]
    assert kinds.count("actor") == 2


def test_a_rule_that_was_edited_is_another_rule(trainings):
    actor_for, trained = trainings
    for reward in (0.25, 0.25, 0.5):
        mine = rule(lambda melody, reward=reward: reward + 0.25 * (len(melody) % 2), name="mine")
        actor_for([mine])
    assert trained == [["mine"], ["mine"]]


def test_another_recipe_makes_another_actor(trainings, monkeypatch, tiny_recipe):
    actor_for, trained = trainings
    actor_for(["cmajor"])
    monkeypatch.setitem(PRESETS, "default", replace(tiny_recipe, rounds=1))
    actor_for(["cmajor"])
    assert len(trained) == 2


def test_an_actor_whose_training_was_interrupted_is_not_kept(trainings):
    actor_for, trained = trainings
    for _ in range(2):
        actor_for(["cmajor"], interrupted=True)
    assert len(trained) == 2


def test_without_a_place_to_keep_it_an_actor_is_trained_all_the_same(
    trainings, monkeypatch, tmp_path
):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    actor_for, trained = trainings
    assert actor_for(["cmajor"]).names == ["cmajor"]
    assert len(trained) == 1


def test_an_edit_that_changes_no_reward_of_the_bank_makes_another_rule_too(trainings, tmp_path):
    actor_for, trained = trainings
    path = tmp_path / "mine.py"
    for limit in (300, 300, 301):  # more notes than a melody has
        path.write_text(
            "def f(melody):\n"
            f"    return 1.0 if len(melody) > {limit} else 0.25 + 0.25 * (len(melody) % 2)\n",
            encoding="utf-8",
        )
        actor_for([f"{path}:f"])
    assert len(trained) == 2


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("cmajor", []),
        ("/a/mine.py:f", ["/a/mine.py"]),
        ("not:/a b/mine.py:f", ["/a b/mine.py"]),
        ("novelty:tune.mid", []),
    ],
)
def test_files_in_specifications_by_hand(spec, names):
    assert [str(path) for path in rule_files(spec)] == names
