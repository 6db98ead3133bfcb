"""Actors for melodies: training on rules, drawing, and folders that know their model."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from melodyconstraints.actors import (
    EVENTS,
    POINTS,
    MelodyActor,
    load_actor,
    prior_points,
    rewards_of,
    stream,
    train_actor,
)
from melodyconstraints.artifacts import save_artifact
from melodyconstraints.errors import (
    ArtifactError,
    RuleError,
    RuleNotFoundError,
    TrainingError,
    UsageError,
)
from melodyconstraints.latent.networks import Actor, Critic
from melodyconstraints.latent.training import PRESETS
from melodyconstraints.melody.checkpoint import load_model, save_model
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.sampler import MelodySampler
from melodyconstraints.rules import find_rule, find_rules, rule


def starts_low(melody: Melody) -> float:
    """The first note is below pitch 64; a random model does so about every other time."""
    return float(len(melody) > 0 and melody.pitches[0] < 64)


@pytest.fixture
def model(tiny_model_folder):
    """The saved tiny model."""
    return load_model(tiny_model_folder)


@pytest.fixture
def actor_for(model, tiny_recipe):
    """An untrained actor for rules."""

    def make(*rules) -> MelodyActor:
        found = find_rules(rules)
        networks = Actor(8, (16,)), Critic(8, len(found), (16,))
        return MelodyActor(model, found, *networks, 0.5, tiny_recipe)

    return make


def same_networks(first: MelodyActor, second: MelodyActor) -> bool:
    pairs = ((first.actor, second.actor), (first.critic, second.critic))
    return all(
        torch.equal(tensor, b.state_dict()[name])
        for a, b in pairs
        for name, tensor in a.state_dict().items()
    )


# Training


def test_rules_may_be_specifications_rules_and_functions(model, tiny_recipe):
    rules = ["density:252", find_rule("cmajor"), starts_low]
    seen = []
    actor = train_actor(model, rules, settings=tiny_recipe, callback=seen.append)
    assert [rule.name for rule in actor.rules] == ["density:252", "cmajor", "starts_low"]
    assert actor.critic(torch.zeros(1, 8)).shape == (1, 3)
    assert actor.records == seen
    assert [record.round for record in seen] == [0, 1, 2]
    assert all(len(record.rewards) == 3 for record in seen)


def test_a_training_is_a_function_of_its_seed(model, tiny_recipe):
    first, again, other = (
        train_actor(model, ["cmajor"], settings=tiny_recipe, seed=seed) for seed in (1, 1, 2)
    )
    assert same_networks(first, again)
    assert first.records == again.records
    assert not same_networks(first, other)


def test_a_training_leaves_the_model_alone(model, tiny_recipe):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train_actor(model, ["cmajor"], settings=tiny_recipe)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_temperature_and_recipe_are_those_of_the_training(model, tiny_recipe):
    actor = train_actor(model, ["cmajor"], settings=tiny_recipe, temperature=0.9)
    assert (actor.temperature, actor.settings) == (0.9, tiny_recipe)
    assert actor.sampler(0).temperature == 0.9
    assert actor.sampler(0, 0.0).temperature == 0.0


def test_a_preset_is_found_by_its_name(model, tiny_recipe, monkeypatch):
    monkeypatch.setitem(PRESETS, "default", tiny_recipe)
    assert train_actor(model, ["cmajor"]).settings == tiny_recipe


def test_an_unknown_preset_is_refused(model):
    with pytest.raises(UsageError, match="preset must be one of default, paper, got 'fast'"):
        train_actor(model, ["cmajor"], preset="fast")


def test_no_rule_is_refused(model, tiny_recipe):
    with pytest.raises(UsageError, match="give at least one reward"):
        train_actor(model, [], settings=tiny_recipe)


def test_the_same_rule_twice_is_refused(model, tiny_recipe):
    with pytest.raises(UsageError, match="each rule may be given once, got cmajor, cmajor"):
        train_actor(model, ["cmajor", "cmajor"], settings=tiny_recipe)


def test_a_rule_that_raises_ends_the_training(model, tiny_recipe):
    def broken(melody):
        raise KeyError("no such chord")

    with pytest.raises(RuleError, match="rule broken raised KeyError: 'no such chord'"):
        train_actor(model, [broken], settings=tiny_recipe)


def test_a_rule_that_never_varies_ends_the_training(model, tiny_recipe):
    with pytest.raises(TrainingError, match=r"reward <lambda> is 0\.25 for all 32 samples"):
        train_actor(model, [rule(lambda melody: 0.25)], settings=tiny_recipe)


# Drawing


def test_melodies_are_decoded_from_shifted_points_of_the_prior(actor_for):
    actor = actor_for("cmajor")
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(stream(POINTS, 4)))
    assert torch.equal(prior_points(actor.model, 5, 4), z)
    shifted = actor.shift(z)
    assert torch.equal(shifted, actor.actor(z))
    assert not shifted.requires_grad
    expected = MelodySampler(actor.model, temperature=0.5, seed=stream(EVENTS, 4)).decode(shifted)
    assert np.array_equal(actor.generate(5, seed=4).events, expected.events)


def test_drawing_is_a_function_of_the_seed(actor_for):
    actor = actor_for("cmajor")
    assert np.array_equal(actor.generate(4, seed=1).events, actor.generate(4, seed=1).events)
    assert not np.array_equal(actor.generate(4, seed=1).events, actor.generate(4, seed=2).events)


def test_a_temperature_replaces_that_of_the_training(actor_for):
    actor = actor_for("cmajor")
    expected = MelodySampler(actor.model, temperature=0.0).decode(
        actor.shift(prior_points(actor.model, 3, 0))
    )
    assert np.array_equal(actor.generate(3, temperature=0.0).events, expected.events)


@pytest.mark.parametrize("n", [0, -3])
def test_no_melody_is_nothing_to_ask_for(actor_for, n):
    actor = actor_for("cmajor")
    for draw in (actor.generate, actor.generate_satisfying):
        with pytest.raises(UsageError, match=f"n must be at least 1, got {n}"):
            draw(n)


@pytest.mark.parametrize("n", [1, 40])
def test_only_satisfying_melodies_are_kept_and_all_draws_up_to_the_last_counted(actor_for, n):
    actor = actor_for(starts_low, "density:252")
    kept, drawn = actor.generate_satisfying(n, seed=3)

    generator = torch.Generator().manual_seed(stream(POINTS, 3))
    sampler = MelodySampler(actor.model, temperature=0.5, seed=stream(EVENTS, 3))
    batches = [
        sampler.decode(actor.shift(torch.randn(max(n, 32), 8, generator=generator))).events
        for _ in range(20)
    ]
    everything = Melodies(np.concatenate(batches))
    satisfying = [
        starts_low(melody) == 1 and melody.events[melody.events < 128].size >= 252
        for melody in everything
    ]
    places = np.flatnonzero(satisfying)[:n]
    assert len(places) == n
    assert np.array_equal(kept.events, everything.events[places])
    assert drawn == places[-1] + 1


def test_a_wish_that_never_comes_true_ends_after_the_draws_allowed(actor_for):
    actor = actor_for("cmajor")
    message = "0 of 64 melodies satisfy every rule, 2 were asked for; train the actor longer"
    with pytest.raises(TrainingError, match=message):
        actor.generate_satisfying(2, max_draws=64)


# What the rules imply


def test_pitch_classes_are_what_all_rules_allow(actor_for):
    actor = actor_for("cmajor", "density:3", "scale:G-major", "pitch-classes:0,4,6,7")
    assert actor.pitch_classes == {0, 4, 7}
    assert actor_for("density:3").pitch_classes is None


def test_the_key_is_that_of_the_first_rule_with_one(actor_for):
    assert actor_for("density:3", "pitch-classes:1", "scale:D-dorian", "gmajor").key == "C"
    assert actor_for("density:3").key is None


def test_rewards_have_a_column_a_rule(some_melodies):
    rules = find_rules(["density:100", "cmajor"])
    found = rewards_of(rules, some_melodies)
    counts = np.minimum((some_melodies.events < 128).sum(1) / 100, 1)
    np.testing.assert_allclose(found[:, 0], counts)
    np.testing.assert_allclose(found[:, 1], rules[1](some_melodies))


# Folders


def test_an_actor_comes_back_as_it_was(tiny_actor_folder, tiny_recipe, model, tmp_path):
    actor = load_actor(tiny_actor_folder)
    trained = train_actor(model, ["cmajor", "density:252"], settings=tiny_recipe)
    assert same_networks(actor, trained)
    assert [rule.name for rule in actor.rules] == ["cmajor", "density:252"]
    assert (actor.temperature, actor.settings) == (trained.temperature, tiny_recipe)
    assert actor.records == trained.records
    assert not actor.actor.training
    drawn = actor.generate(3, seed=9)
    assert np.array_equal(drawn.events, trained.generate(3, seed=9).events)


def test_an_actor_folder_says_what_it_holds(tiny_actor_folder, tiny_model_folder, model):
    config = json.loads((tiny_actor_folder / "config.json").read_text())
    assert config["kind"] == "actor"
    assert config["model"] == {
        "folder": str(tiny_model_folder.resolve()),
        "fingerprint": model.fingerprint,
    }
    assert config["rules"] == [
        {"name": "cmajor", "spec": "cmajor"},
        {"name": "density:252", "spec": "density:252"},
    ]
    card = (tiny_actor_folder / "README.md").read_text()
    assert f"the melody model `{model.fingerprint[:12]}`" in card
    assert "- `density:252`: at least 252 notes in 16 bars" in card
    assert "Trained in 3 rounds at temperature 0.5." in card


def test_an_actor_of_the_bundled_model_names_it_by_no_path(actor_for, tmp_path):
    actor = actor_for("cmajor")
    actor.model.folder = load_model().folder
    actor.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model"]["folder"] == "bundled"


def test_an_actor_is_refused_on_another_model(tiny_actor_folder, tiny_config, model, tmp_path):
    model.sigma_bar.mul_(0.5)
    fingerprint = save_model(model, tmp_path)
    found = load_model(tmp_path)
    message = f"was trained on the model .*, found {fingerprint[:12]}; train it again with: mc tr"
    with pytest.raises(ArtifactError, match=message):
        load_actor(tiny_actor_folder, model=found)


def test_an_actor_may_be_given_its_model(tiny_actor_folder, model):
    assert load_actor(tiny_actor_folder, model=model).model is model


def test_an_actor_whose_model_is_gone_is_refused(actor_for, tmp_path):
    actor = actor_for("cmajor")
    actor.model.folder = str(tmp_path / "gone")
    actor.save(tmp_path / "actor")
    with pytest.raises(ArtifactError, match="gone is not a finished melody-vae folder"):
        load_actor(tmp_path / "actor")


def test_an_actor_of_a_model_that_was_never_saved_is_not_saved(actor_for, tmp_path):
    actor = actor_for("cmajor")
    actor.model.folder = ""
    with pytest.raises(UsageError, match="the actor's model has no folder; save it first"):
        actor.save(tmp_path / "actor")


def test_as_many_rules_as_it_was_trained_for_must_be_given(tiny_actor_folder, model):
    with pytest.raises(UsageError, match="was trained for 2 rules, got 1"):
        load_actor(tiny_actor_folder, model=model, rules=["cmajor"])


def test_a_rule_without_a_file_must_be_given_again(actor_for, model, tmp_path):
    actor = actor_for(starts_low)
    actor.save(tmp_path)
    with pytest.raises(RuleNotFoundError, match="there is no rule 'starts_low'"):
        load_actor(tmp_path, model=model)
    again = load_actor(tmp_path, model=model, rules=[rule(starts_low)])
    assert again.rules[0].function is starts_low
    assert same_networks(again, actor)


def test_a_rule_of_a_file_is_found_from_anywhere(actor_for, model, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def short(melody):\n    return float(len(melody) < 252)\n")
    monkeypatch.chdir(tmp_path)
    actor_for("mine.py:short").save(tmp_path / "actor")
    monkeypatch.chdir("/")
    actor = load_actor(tmp_path / "actor", model=model)
    assert actor.rules[0](Melodies.stack([Melody.from_notes([(0, 1, 60)])])) == 1


def test_a_model_folder_is_no_actor(tiny_model_folder):
    with pytest.raises(ArtifactError, match=r"is of kind melody-vae, .*; kind actor, format"):
        load_actor(tiny_model_folder)


@pytest.mark.parametrize("key", ["model", "rules", "settings", "records", "temperature"])
def test_an_actor_of_another_version_is_refused(actor_for, tmp_path, key):
    actor = actor_for("cmajor")
    actor.model.folder = load_model().folder
    actor.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config[key]
    save_artifact(tmp_path, "actor", config, {}, "")
    with pytest.raises(ArtifactError, match=f"does not fit this version: '{key}'"):
        load_actor(tmp_path)


def test_settings_that_cannot_be_are_refused(actor_for, tiny_recipe, tmp_path):
    actor = actor_for("cmajor")
    actor.model.folder = load_model().folder
    actor.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["settings"] = asdict(tiny_recipe) | {"sharpness": 2}
    save_artifact(tmp_path, "actor", config, {}, "")
    with pytest.raises(ArtifactError, match="does not fit this version: sharpness must be"):
        load_actor(tmp_path)


def test_networks_of_another_size_are_refused(actor_for, tiny_recipe, model, tmp_path):
    actor = actor_for("cmajor")
    actor.settings = replace(tiny_recipe, actor_hidden=(17,))
    actor.save(tmp_path)
    with pytest.raises(ArtifactError, match=r"does not fit this version: Error.* loading"):
        load_actor(tmp_path, model=model)
