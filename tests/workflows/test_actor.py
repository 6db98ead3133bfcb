"""Actors for melodies: training on rules, drawing, and folders that know their model."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from melodyconstraints.errors import (
    ArtifactError,
    RuleError,
    RuleNotFoundError,
    TrainingError,
    UsageError,
)
from melodyconstraints.latent.constraints import Encodings
from melodyconstraints.latent.networks import Actor, Critic, Critics
from melodyconstraints.latent.search import GradientSearch
from melodyconstraints.latent.settings import PRESETS
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.melody.vae.sampler import MelodySampler, SamplingInterrupted
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.rules import Rule, find_rule, find_rules, rule
from melodyconstraints.rules import rewards as rewards_module
from melodyconstraints.rules.registry import find_named
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.storage.artifacts import load_artifact, save_artifact
from melodyconstraints.workflows.actor import SEARCH, MelodyActor
from melodyconstraints.workflows.actor_config import REFINEMENT, SEARCHES
from melodyconstraints.workflows.evaluate_actor import evaluate_actor
from melodyconstraints.workflows.generate import generate
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model, save_model
from melodyconstraints.workflows.seeds import EVENTS, POINTS, derived_seed, prior_points
from melodyconstraints.workflows.train_actor import train_actor
from melodyconstraints.workflows.transform import transform


def starts_low(melody: Melody) -> float:
    """The first note is below pitch 64; a random model does so about every other time."""
    return float(len(melody) > 0 and melody.pitches[0] < 64)


@pytest.fixture
def model(tiny_model_folder):
    """The saved tiny model."""
    return load_model(tiny_model_folder)


@pytest.fixture
def actor_for(model, tiny_settings):
    """An untrained actor for rules."""

    def make(*rules) -> MelodyActor:
        found = find_rules(rules)
        networks = Actor(8, (16,)), Critics([Critic(8, len(found), (16,))])
        heads = (tuple(rule.name for rule in found),)
        return MelodyActor(
            model=model,
            rules=found,
            actor=networks[0],
            critic=networks[1],
            heads=heads,
            settings=tiny_settings,
        )

    return make


def same_networks(first: MelodyActor, second: MelodyActor) -> bool:
    pairs = [(first.critic, second.critic)]
    if first.actor is not None:
        pairs.append((first.actor, second.actor))
    return all(
        torch.equal(tensor, b.state_dict()[name])
        for a, b in pairs
        for name, tensor in a.state_dict().items()
    )


# Training


def test_rules_may_be_specifications_rules_and_functions(model, tiny_settings):
    rules = ["density:252", find_rule("cmajor"), starts_low]
    seen = []
    actor = train_actor(model, rules, settings=tiny_settings, callback=seen.append)
    assert [rule.name for rule in actor.rules] == ["density:252", "cmajor", "starts_low"]
    assert actor.critic(torch.zeros(1, 8)).shape == (1, 3)
    assert actor.heads == (
        (
            "density:252",
            "cmajor",
            "starts_low",
        ),
    )
    assert actor.records == seen
    assert [record.round for record in seen] == [0, 1, 2]
    assert all(len(record.rewards) == 3 for record in seen)


def test_a_training_is_a_function_of_its_seed(model, tiny_settings):
    first, again, other = (
        train_actor(model, ["cmajor"], settings=tiny_settings, seed=seed) for seed in (1, 1, 2)
    )
    assert same_networks(first, again)
    assert first.records == again.records
    assert not same_networks(first, other)


def test_a_training_leaves_the_model_alone(model, tiny_settings):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train_actor(model, ["cmajor"], settings=tiny_settings)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_an_actor_is_trained_at_one_temperature_and_drawn_from_at_a_lower_one(
    model, tiny_settings
):
    actor, hot, cold = (
        train_actor(model, ["cmajor"], settings=tiny_settings, **options)
        for options in ({}, {"temperature": 1.0}, {"temperature": 0.1})
    )
    assert (actor.temperature, actor.settings) == (0.5, tiny_settings)
    assert actor.sampling({}).temperature == 0.5
    assert actor.sampling({"temperature": 0.0}).temperature == 0.0
    assert cold.temperature == 0.5
    assert actor.records == hot.records
    assert actor.records != cold.records


def test_the_papers_recipe_has_no_refinement_and_searches_by_all_steps(model, tiny_settings):
    plain = replace(tiny_settings, plain=True)
    actor, named, searched = (
        train_actor(model, ["cmajor"], settings=plain, **options)
        for options in ({}, {"method": "refined"}, {"method": "gradient"})
    )
    assert [found.method for found in (actor, named, searched)] == ["actor", "refined", "gradient"]
    z = prior_points(model, 3, 0)
    expected = GradientSearch(steps=100, learning_rate=0.1)(
        searched.critic, z, sigma_bar=model.sigma_bar
    )
    assert torch.equal(searched.shift(z), expected)


@pytest.mark.parametrize("method", ["gradient", "langevin"])
def test_a_search_takes_the_actors_place(model, tiny_settings, method):
    found = train_actor(model, ["cmajor", "density:252"], settings=tiny_settings, method=method)
    assert found.actor is None
    assert found.method == method
    z = prior_points(model, 3, 0)
    generator = torch.Generator().manual_seed(derived_seed(SEARCH, 0))
    expected = SEARCHES[method](found.critic, z, sigma_bar=model.sigma_bar, generator=generator)
    assert torch.equal(found.shift(z), expected)
    assert not torch.equal(found.shift(z), z)
    # no actor is judged: three rounds of 8 + 4
    assert found.decoded == 3 * 12


def test_an_actor_is_refined_by_a_search_from_where_it_leads(model, tiny_settings):
    plain, refined = (
        train_actor(model, ["cmajor"], settings=tiny_settings, **options)
        for options in ({"method": "actor"}, {})
    )
    assert refined.method == "refined"
    assert same_networks(plain, refined)
    z = prior_points(model, 5, 0)
    assert torch.equal(plain.shift(z), plain.actor(z))
    expected = REFINEMENT(refined.critic, plain.actor(z).detach(), sigma_bar=model.sigma_bar)
    assert torch.equal(refined.shift(z), expected)
    assert not torch.equal(expected, plain.shift(z))


def test_an_unknown_method_is_refused(model):
    message = "method must be one of refined, actor, gradient, langevin, got 'leap'"
    with pytest.raises(UsageError, match=message):
        train_actor(model, ["cmajor"], method="leap")


def test_a_pair_without_an_actor_does_not_act(actor_for):
    actor = actor_for("cmajor")
    actor.actor = None
    for method in ("actor", "refined"):
        actor.method = method
        with pytest.raises(UsageError, match="this pair has no actor; it was trained for a sear"):
            actor.shift(torch.zeros(1, 8))


def test_rules_weigh_what_they_are_given(model, tiny_settings):
    rules = ["cmajor", "density:252"]
    plain, ones, other = (
        train_actor(model, rules, settings=tiny_settings, weights=weights)
        for weights in (None, [1.0, 1.0], [1.0, 0.0])
    )
    assert same_networks(plain, ones)
    assert not same_networks(plain, other)
    message = r"give a weight of at least 0 for each of cmajor, density:252, got \[1\.0\]"
    with pytest.raises(UsageError, match=message):
        train_actor(model, rules, settings=tiny_settings, weights=[1.0])


def half(melody) -> float:
    """Never satisfied."""
    return len(melody) / 512


def test_a_rule_of_weight_0_asks_nothing(model, tiny_settings):
    rules = ["density:1", half]
    quiet = {"settings": tiny_settings, "announce": [].append}
    actor = train_actor(model, rules, weights=[1.0, 0.0], **quiet)
    assert actor.best == actor.records[-1].all_satisfied == 1
    assert actor.shortcoming is None
    assert [rule.name for rule in actor.active_rules] == ["density:1"]
    assert replace(actor, prefers=None).generate_satisfying(3)[1] == 3
    evaluation = evaluate_actor(actor, 4)
    assert (evaluation.all_satisfied, evaluation.actor["half"].satisfied) == (1, 0)
    melody = Melody.from_notes([(0, 4, 60)])
    (found,) = transform(actor, melody)
    assert (found.melody, found.satisfied, found.after.tolist()) == (melody, True, [1, 1 / 512])
    assert train_actor(model, [half], weights=[0.0], **quiet).best == 0


def test_noise_depends_on_the_seed_and_points_are_the_models(actor_for, monkeypatch):
    actor, seen = actor_for("cmajor"), []
    actor.model.sigma_bar = actor.model.sigma_bar.double()

    def shift(self, z, generator):
        seen.append((z.dtype, generator, generator.initial_seed()))
        return z.float()

    monkeypatch.setattr(MelodyActor, "shift", shift)
    actor.generate(2, seed=7)
    never = [Rule("never", lambda melody: 0.0)]
    with pytest.raises(TrainingError, match="0 of 64 melodies satisfy"):
        replace(actor, rules=never).generate_satisfying(1, max_draws=640, seed=7)
    assert {(dtype, seed) for dtype, _, seed in seen} == {(torch.float64, derived_seed(SEARCH, 7))}
    (_, first, _), (_, second, _), (_, third, _) = seen
    assert second is third is not first  # one stream for all batches
    actor.model.sigma_bar = actor.model.sigma_bar.to("meta")
    assert prior_points(actor.model, 2, 0).is_meta


@pytest.mark.parametrize("method", ["gradient", "langevin"])
def test_what_rules_weigh_they_weigh_in_a_search(model, tiny_settings, method):
    rules = ["cmajor", "density:252"]
    plain, ones, other = (
        train_actor(model, rules, settings=tiny_settings, method=method, weights=weights)
        for weights in (None, [1.0, 1.0], [3.0, 0.5])
    )
    assert (plain.weights, ones.weights, other.weights) == ((1.0, 1.0), (1.0, 1.0), (3.0, 0.5))
    assert same_networks(plain, ones)
    assert not same_networks(plain, other)  # other points were found in training
    z = prior_points(model, 3, 0)
    search = replace(SEARCHES[method], weights=(3.0, 0.5))
    generator = torch.Generator().manual_seed(derived_seed(SEARCH, 0))
    expected = search(other.critic, z, sigma_bar=model.sigma_bar, generator=generator)
    assert torch.equal(other.shift(z), expected)


def test_an_actor_is_refined_by_what_rules_weigh(model, tiny_settings, tmp_path):
    actor = train_actor(
        model, ["cmajor", "density:252"], settings=tiny_settings, weights=[1.0, 0.25]
    )
    z = prior_points(model, 5, 0)
    search = replace(REFINEMENT, weights=(1.0, 0.25))
    expected = search(actor.critic, actor.actor(z).detach(), sigma_bar=model.sigma_bar)
    assert torch.equal(actor.shift(z), expected)
    assert not torch.equal(expected, replace(actor, weights=()).shift(z))
    actor.save(tmp_path)
    assert torch.equal(load_actor(tmp_path, model=model).shift(z), expected)


def test_weights_are_of_all_heads(model, tiny_settings, some_melodies):
    encodings = Encodings(torch.randn(20, 8), torch.full((20, 8), 0.1))
    options = {"like": some_melodies[:5], "unlike": some_melodies[5:], "realism": encodings}
    actor = train_actor(model, ["cmajor"], settings=tiny_settings, weights=[2.0], **options)
    assert actor.heads == (
        ("cmajor",),
        ("like the examples",),
        ("realism",),
    )
    assert actor.weights == (2.0, 1.0, 1.0)
    assert len(actor.generate(2)) == 2


def test_realism_is_a_head_of_its_own_behind_the_rules(model, tiny_settings):
    encodings = Encodings(torch.randn(20, 8), torch.full((20, 8), 0.1))
    actor = train_actor(model, ["cmajor"], settings=tiny_settings, realism=encodings)
    assert actor.heads == (
        ("cmajor",),
        ("realism",),
    )
    assert actor.critic(torch.zeros(1, 8)).shape == (1, 2)
    assert all(len(record.rewards) == 2 for record in actor.records)


def test_examples_of_two_kinds_take_the_place_of_rules(model, tiny_settings, some_melodies):
    like, unlike = some_melodies[:5], some_melodies[5:]
    actor = train_actor(model, like=like, unlike=unlike, settings=tiny_settings)
    assert (actor.rules, actor.heads) == ([], (("like the examples",),))
    assert actor.decoded == 0
    assert len(actor.generate(2)) == 2


def test_examples_of_one_kind_are_refused(model, tiny_settings, some_melodies):
    for options in ({"like": some_melodies}, {"unlike": some_melodies}):
        with pytest.raises(UsageError, match="give melodies of both kinds, like and unlike"):
            train_actor(model, settings=tiny_settings, **options)


def test_a_bank_that_is_handed_in_is_not_decoded_again(model, tiny_settings):
    z = torch.randn(24, 8)
    bank = z, MelodySampler(model, Sampling(temperature=1.0, seed=0)).decode(z)
    # three rounds of 8 + 4 and three validations of 8; of the bank of 32 what is missing
    assert train_actor(model, ["cmajor"], settings=tiny_settings).decoded == 3 * 20
    assert train_actor(model, ["cmajor"], settings=tiny_settings, bank=bank).decoded == 8 + 3 * 20


def test_the_error_of_a_rule_that_fails_late_has_the_best_actor(
    model, tiny_settings, some_melodies
):
    seen = []

    def fails(melody):
        return 2.0 if len(seen) == 2 else len(melody) / 256

    bank = (torch.randn(12, 8), some_melodies)
    options = {"settings": tiny_settings, "bank": bank}
    with pytest.raises(RuleError, match=r"^rule fails gave 2\.0 for melody 1 of") as caught:
        train_actor(model, ["cmajor", fails], callback=seen.append, **options)
    actor = caught.value.actor
    assert isinstance(actor, MelodyActor)
    assert (actor.records, actor.names, actor.interrupted) == (seen, ["cmajor", "fails"], True)
    assert caught.value.__notes__ == [
        "The best actor so far is the attribute `actor` of this error."
    ]
    seen.clear()
    whole = train_actor(
        model,
        ["cmajor", lambda melody: len(melody) / 256],
        callback=seen.append,
        **{**options, "settings": replace(tiny_settings, rounds=2)},
    )
    assert whole.records[0] == actor.records[0]
    assert len(actor.generate(2)) == 2


def test_a_rule_that_fails_before_the_first_round_leaves_no_actor(model, tiny_settings):
    with pytest.raises(RuleError, match="gave 2") as caught:
        train_actor(model, [rule(lambda melody: 2)], settings=tiny_settings)
    assert caught.value.actor is None


def test_a_rule_that_every_melody_satisfies_is_a_warning(model, tiny_settings, some_melodies):
    bank = (torch.randn(12, 8), some_melodies)
    told = "all 12 melodies drawn from the model satisfy density:3 already: training for it chang"
    with pytest.warns(UserWarning, match=told) as caught:
        train_actor(model, ["cmajor", "density:3"], settings=tiny_settings, bank=bank)
    assert [one.filename for one in caught] == [__file__]


def test_a_training_that_is_interrupted_is_kept(model, tiny_settings, tmp_path):
    def stop(record):
        if record.round == 1:
            raise KeyboardInterrupt

    actor = train_actor(model, ["cmajor"], settings=tiny_settings, callback=stop)
    assert actor.interrupted
    assert len(actor.records) == 2
    actor.save(tmp_path)
    assert load_actor(tmp_path, model=model).interrupted


def test_a_preset_is_found_by_its_name(model, tiny_settings, monkeypatch):
    monkeypatch.setitem(PRESETS, "default", tiny_settings)
    assert train_actor(model, ["cmajor"]).settings == tiny_settings


def test_an_unknown_preset_is_refused(model):
    with pytest.raises(UsageError, match="preset must be one of default, paper, got 'fast'"):
        train_actor(model, ["cmajor"], preset="fast")


def test_no_rule_is_refused(model, tiny_settings):
    with pytest.raises(UsageError, match="give at least one reward"):
        train_actor(model, [], settings=tiny_settings)


def test_the_same_rule_twice_is_refused(model, tiny_settings):
    with pytest.raises(UsageError, match="each rule may be given once, got cmajor, cmajor"):
        train_actor(model, ["cmajor", "cmajor"], settings=tiny_settings)


def test_a_rule_that_raises_ends_the_training(model, tiny_settings):
    def broken(melody):
        raise KeyError("no such chord")

    with pytest.raises(RuleError, match="rule broken raised KeyError: 'no such chord'"):
        train_actor(model, [broken], settings=tiny_settings)


def test_a_rule_that_never_varies_ends_the_training(model, tiny_settings):
    with pytest.raises(TrainingError, match=r"reward <lambda> is 0\.25 for all 32 samples"):
        train_actor(model, [rule(lambda melody: 0.25)], settings=tiny_settings)


# Drawing


def test_melodies_are_decoded_from_shifted_points_of_the_prior(actor_for):
    actor = actor_for("cmajor")
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(derived_seed(POINTS, 4)))
    assert torch.equal(prior_points(actor.model, 5, 4), z)
    shifted = actor.shift(z)
    assert torch.equal(shifted, actor.actor(z))
    assert not shifted.requires_grad
    expected = MelodySampler(
        actor.model, Sampling(temperature=0.5, seed=derived_seed(EVENTS, 4))
    ).decode(shifted)
    assert np.array_equal(actor.generate(5, seed=4).events, expected.events)


def test_drawing_is_a_function_of_the_seed(actor_for):
    actor = actor_for("cmajor")
    assert np.array_equal(actor.generate(4, seed=1).events, actor.generate(4, seed=1).events)
    assert not np.array_equal(actor.generate(4, seed=1).events, actor.generate(4, seed=2).events)


def test_a_temperature_replaces_that_of_the_actor(actor_for):
    actor = actor_for("cmajor")
    expected = MelodySampler(actor.model, Sampling(temperature=0.0)).decode(
        actor.shift(prior_points(actor.model, 3, 1))
    )
    assert np.array_equal(actor.generate(3, temperature=0.0).events, expected.events)


@pytest.mark.parametrize("n", [0, -3])
def test_no_melody_is_nothing_to_ask_for(actor_for, n):
    actor = actor_for("cmajor")
    for draw in (actor.generate, actor.generate_satisfying):
        with pytest.raises(UsageError, match=f"n must be at least 1, got {n}"):
            draw(n)


def test_what_is_drawn_is_counted_on_the_way(actor_for, model):
    told = []
    actor = replace(actor_for(starts_low), callback=lambda *counts: told.append(counts))
    actor.generate(300)
    generate(model, 300, callback=lambda *counts: told.append(counts))
    assert told == [(256, 256), (300, 300)] * 2
    told.clear()
    replace(actor, prefers=None).generate_satisfying(40)  # about every other one starts low
    assert [drawn for _, drawn in told] == [40 * n for n in range(1, len(told) + 1)]
    found, drawn = told[-1]
    assert found == sum(starts_low(one) == 1 for one in actor.generate(drawn))


def test_what_satisfies_its_rules_by_then_is_kept_where_ctrl_c_stops_the_drawing(actor_for):
    def stop(_: int, drawn: int) -> None:
        if drawn == 64:
            raise KeyboardInterrupt

    actor = actor_for(starts_low)
    with pytest.raises(SamplingInterrupted) as stopped:
        replace(actor, callback=stop).generate_satisfying(32)
    both = actor.generate(64)
    low = [melody for melody in both if starts_low(melody) == 1]
    assert list(stopped.value.melodies) == low
    with pytest.raises(SamplingInterrupted) as stopped:
        replace(actor, callback=stop).generate(64)
    assert list(stopped.value.melodies) == list(both)


@pytest.mark.parametrize("stopped_at", [1, 2])
def test_of_a_first_batch_that_ctrl_c_stops_the_parts_before_are_kept(
    actor_for, monkeypatch, stopped_at
):
    actor, told, parts = actor_for(starts_low), [], []
    whole = actor.generate(300)
    decode = type(actor.model).decode

    def stop(model, z, *arguments, **options):
        parts.append(len(z))
        if len(parts) == stopped_at:
            raise KeyboardInterrupt
        return decode(model, z, *arguments, **options)

    monkeypatch.setattr(type(actor.model), "decode", stop)
    with pytest.raises(SamplingInterrupted) as stopped:
        replace(actor, callback=lambda *counts: told.append(counts)).generate_satisfying(300)
    low = [melody for melody in whole[:256] if starts_low(melody) == 1]
    expected = [] if stopped_at == 1 else low
    assert list(stopped.value.melodies) == expected
    assert told == ([] if stopped_at == 1 else [(len(low), 256)])


def test_nothing_is_kept_of_a_drawing_that_ctrl_c_stopped_at_once(model, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "decode", stop)
    with pytest.raises(SamplingInterrupted) as stopped:
        generate(model, 3)
    assert len(stopped.value.melodies) == 0


@pytest.mark.parametrize("n", [1, 40])
def test_only_satisfying_melodies_are_kept_and_all_draws_up_to_the_last_counted(actor_for, n):
    actor = replace(actor_for(starts_low, "density:252"), prefers=None)
    kept, drawn = actor.generate_satisfying(n, seed=3)

    generator = torch.Generator().manual_seed(derived_seed(POINTS, 3))
    sampler = MelodySampler(actor.model, Sampling(temperature=0.5, seed=derived_seed(EVENTS, 3)))
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


def ends_high(melodies):
    """A preference that a random melody has every other time."""
    return np.array([float(melody.pitches[-1] >= 64) for melody in melodies])


def test_of_satisfying_melodies_preferred_ones_come_first(actor_for):
    plain = replace(actor_for(starts_low), prefers=None)
    every, _ = plain.generate_satisfying(40, seed=3)
    kept, drawn = replace(plain, prefers=ends_high).generate_satisfying(4, seed=3)
    assert np.array_equal(kept.events, every.events[ends_high(every) == 1][:4])
    assert drawn > plain.generate_satisfying(4, seed=3)[1]


def test_where_few_are_preferred_others_fill_up(actor_for):
    plain = replace(actor_for(starts_low), prefers=None)
    expected, drawn = plain.generate_satisfying(40, seed=3)
    never = replace(plain, prefers=lambda melodies: np.zeros(len(melodies)))
    kept, drawn_in_vain = never.generate_satisfying(40, seed=3)
    assert np.array_equal(kept.events, expected.events)
    assert 1.5 * drawn <= drawn_in_vain < 1.5 * drawn + 40  # whole batches


def test_a_rule_that_is_never_satisfied_ends_after_a_tenth_of_the_draws_allowed(actor_for):
    actor = actor_for("cmajor")
    message = "0 of 64 melodies satisfy every rule, 2 were wanted; train the actor longer"
    with pytest.raises(TrainingError, match=message):
        actor.generate_satisfying(2, max_draws=640)


def test_a_rule_that_is_seldom_satisfied_ends_after_the_draws_allowed(actor_for, monkeypatch):
    actor, calls = actor_for("cmajor"), []

    def one_in_the_first_draws(rules, melodies):
        calls.append(len(melodies))
        return np.eye(len(melodies), 1) if len(calls) == 1 else np.zeros((len(melodies), 1))

    monkeypatch.setattr(rewards_module, "rewards_of", one_in_the_first_draws)
    with pytest.raises(TrainingError, match="1 of 96 melodies satisfy every rule, 2 were wanted"):
        actor.generate_satisfying(2, max_draws=96)
    assert calls == [32, 32, 32]


# What the rules imply


def test_pitch_classes_are_what_all_rules_allow(actor_for):
    actor = actor_for("cmajor", "density:3", "scale:G-major", "pitch-classes:0,4,6,7")
    assert actor.pitch_classes == {0, 4, 7}
    assert actor_for("density:3").pitch_classes is None


def test_the_key_is_that_of_the_first_rule_with_one(actor_for):
    assert actor_for("density:3", "pitch-classes:1", "scale:D-dorian", "gmajor").key == "C"
    assert actor_for("density:3").key is None
    assert actor_for("density:3", "beat-chords:C, F#min7,60%").chords == ("C", "F#m7")
    assert actor_for("density:3").chords == ()


def test_rewards_have_a_column_a_rule(some_melodies):
    rules = find_rules(["density:100", "cmajor"])
    found = rewards_of(rules, some_melodies)
    counts = np.minimum((some_melodies.events < 128).sum(1) / 100, 1)
    np.testing.assert_allclose(found[:, 0], counts)
    np.testing.assert_allclose(found[:, 1], rules[1](some_melodies))
    assert rewards_of([], some_melodies).shape == (12, 0)


# Folders


def test_an_actor_comes_back_as_it_was(tiny_actor_folder, tiny_settings, model, tmp_path):
    actor = load_actor(tiny_actor_folder)
    trained = train_actor(model, ["cmajor", "density:252"], settings=tiny_settings)
    assert same_networks(actor, trained)
    assert [rule.name for rule in actor.rules] == ["cmajor", "density:252"]
    assert (actor.temperature, actor.settings) == (trained.temperature, tiny_settings)
    assert actor.records == trained.records
    assert (actor.heads, actor.method) == (trained.heads, "refined")
    assert (actor.best, actor.decoded, actor.interrupted) == (trained.best, 60, False)
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
    assert "Trained in 3 rounds, 60 melodies decoded." in card
    assert config["heads"] == [["cmajor", "density:252"]]


def test_a_search_comes_back_as_it_was(model, tiny_settings, tmp_path):
    trained = train_actor(model, ["cmajor"], settings=tiny_settings, method="gradient")
    trained.save(tmp_path)
    actor = load_actor(tmp_path, model=model)
    assert (actor.actor, actor.method) == (None, "gradient")
    assert np.isnan(actor.best)
    assert same_networks(actor, trained)
    assert np.array_equal(actor.generate(2).events, trained.generate(2).events)


def test_what_critics_have_learned_from_examples_comes_back(
    model, tiny_settings, some_melodies, tmp_path
):
    trained = train_actor(
        model, like=some_melodies[:5], unlike=some_melodies[5:], settings=tiny_settings
    )
    trained.save(tmp_path)
    actor = load_actor(tmp_path, model=model)
    assert (actor.rules, actor.heads) == ([], (("like the examples",),))
    assert same_networks(actor, trained)
    card = (tmp_path / "README.md").read_text()
    assert "- like the examples, as a critic has learned it" in card


def test_an_actor_of_the_bundled_model_names_it_by_no_path(actor_for, tmp_path):
    actor = actor_for("cmajor")
    actor.model.folder = load_model().folder
    actor.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model"]["folder"] == "staff"


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
    expected = (
        r"gone is not a finished melody-vae folder: .* it is the model of .*actor: where it "
    )
    with pytest.raises(ArtifactError, match=rf"{expected}has moved, give its folder with --model"):
        load_actor(tmp_path / "actor")


def test_an_actor_of_a_model_that_was_never_saved_is_not_saved(actor_for, tmp_path):
    actor = actor_for("cmajor")
    actor.model.folder = ""
    with pytest.raises(UsageError, match="the actor's model has no folder; save it first"):
        actor.save(tmp_path / "actor")


def test_as_many_rules_as_it_was_trained_for_must_be_given(tiny_actor_folder, model):
    with pytest.raises(UsageError, match="was trained for 2 rules, got 1"):
        load_actor(tiny_actor_folder, model=model, rules=["cmajor"])


def test_a_long_rule_that_is_not_there_is_told_in_short():
    rule = find_named("density:" + 5000 * "9", [])
    assert rule.why.startswith("rewards of density:999")
    assert len(rule.why) < 500


def test_an_actor_draws_without_the_rules_that_are_not_there(actor_for, model, tmp_path):
    actor = actor_for("cmajor", starts_low)
    actor.save(tmp_path)
    found = load_actor(tmp_path, model=model)
    assert found.names == ["cmajor", "starts_low"]
    assert [rule.name for rule in found.missing_rules] == ["starts_low"]
    assert np.array_equal(found.generate(3).events, actor.generate(3).events)
    told = (
        "^rewards of starts_low are missing: there is no rule 'starts_low'; .* with --rules-from "
    )
    for needs_rewards in (
        lambda: found.generate_satisfying(1),
        lambda: evaluate_actor(found, 2),
        lambda: transform(found, Melody.from_notes([(0, 4, 60)])),
        lambda: rewards_of(found.rules, Melodies.stack([])),
        lambda: found.rules[1](Melody.from_notes([])),
    ):
        with pytest.raises(RuleNotFoundError, match=told):
            needs_rewards()
    again = load_actor(tmp_path, model=model, rules=["cmajor", starts_low])
    assert again.missing_rules == []
    assert again.rules[1].function is starts_low
    assert same_networks(again, actor)


RULE_FILE = "def f(melody):\n    return len(melody) / 512\n"


@pytest.fixture
def moved(actor_for, tmp_path):
    """An actor of rules in files that have moved into a folder, and that folder."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    (old / "mine.py").write_text(RULE_FILE, encoding="utf-8")
    write_melody(Melody.from_notes([(0, 4, 60), (4, 4, 62)]), old / "tune.mid")
    specs = [f"{old}/mine.py:f", f"not:{old}/mine.py:f", f"novelty:{old}/tune.mid,1"]
    actor_for(*specs).save(tmp_path / "actor")
    for file in old.iterdir():
        file.rename(new / file.name)
    return tmp_path / "actor", new


def test_a_file_is_consented_to_whatever_its_path(model, tiny_settings, tmp_path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    (folder / "mine.py").write_text(RULE_FILE, encoding="utf-8")
    actor = train_actor(model, [f"{folder}/mine.py:f"], settings=tiny_settings)
    actor.save(tmp_path / "actor")
    loaded = load_actor(tmp_path / "actor", model=model)
    assert (loaded.missing_rules, loaded.names) == ([], ["mine.py:f"])


def test_rule_files_that_have_moved_are_given(moved, model):
    folder, new = moved
    assert len(load_actor(folder, model=model).missing_rules) == 3
    files = [new / "tune.mid", new / "mine.py"]
    found = load_actor(folder, model=model, rules_from=files)
    assert found.missing_rules == []
    assert [rule(Melody.from_notes([(0, 256, 60)])) for rule in found.rules] == [1 / 512, 1, 1]
    assert found.rules[0].spec == f"{new / 'mine.py'}:f"
    assert found.names == load_actor(folder, model=model).names
    partly = load_actor(folder, model=model, rules_from=[str(new / "mine.py")])
    assert [rule.spec for rule in partly.missing_rules] == [partly.rules[2].spec]


def test_a_rule_file_may_have_got_another_name(moved, model):
    folder, new = moved
    (new / "mine.py").rename(new / "other.py")
    (new / "wrong.py").write_text("def g(melody):\n    return 1\n", encoding="utf-8")
    files = [new / "wrong.py", new / "other.py"]
    found = load_actor(folder, model=model, rules_from=files)
    assert [rule.spec for rule in found.rules[:2]] == [
        f"{new / 'other.py'}:f",
        f"not:{new / 'other.py'}:f",
    ]
    with pytest.raises(
        RuleNotFoundError, match=r"there is no rule 'f' in .*wrong\.py; it holds g"
    ):
        load_actor(folder, model=model, rules_from=files[:1])


def test_a_rule_of_a_file_is_found_from_anywhere(actor_for, model, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def short(melody):\n    return float(len(melody) < 252)\n")
    monkeypatch.chdir(tmp_path)
    actor_for("mine.py:short").save(tmp_path / "actor")
    monkeypatch.chdir("/")
    actor = load_actor(tmp_path / "actor", model=model, allow_code=True)
    assert actor.rules[0](Melodies.stack([Melody.from_notes([(0, 1, 60)])])) == 1


def test_a_model_folder_is_no_actor(tiny_model_folder):
    with pytest.raises(ArtifactError, match=r"is of kind melody-vae, .*; kind actor, format"):
        load_actor(tiny_model_folder)


@pytest.mark.parametrize(
    "key",
    [
        *("model", "rules", "heads", "method", "settings", "records"),
        *("temperature", "best", "decoded", "interrupted"),
    ],
)
def test_an_actor_of_another_version_is_refused(actor_for, tmp_path, key):
    actor = actor_for("cmajor")
    actor.model.folder = load_model().folder
    actor.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config[key]
    save_artifact(tmp_path, "actor", config, load_artifact(tmp_path, "actor").tensors(), "")
    with pytest.raises(ArtifactError, match=f"does not fit this version: {key}: Field required"):
        load_actor(tmp_path)


def test_folders_from_before_weights_were_kept_weigh_all_heads_alike(
    tiny_actor_folder, model, tmp_path
):
    actor = load_actor(tiny_actor_folder, model=model)
    artifact = load_artifact(tiny_actor_folder, "actor")
    assert artifact.config.pop("weights") == [1.0, 1.0]
    save_artifact(tmp_path, "actor", artifact.config, artifact.tensors(), "")
    old = load_actor(tmp_path, model=model)
    assert old.weights == ()
    z = prior_points(model, 5, 0)
    assert torch.equal(old.shift(z), actor.shift(z))


def test_weights_that_do_not_fit_the_heads_are_refused(actor_for, tmp_path):
    actor = actor_for("cmajor")
    actor.model.folder = load_model().folder
    actor.weights = (1.0, 2.0)
    actor.save(tmp_path)
    with pytest.raises(
        ArtifactError, match="fit this version: configuration: 2 weights for 1 heads"
    ):
        load_actor(tmp_path)


def test_settings_that_cannot_be_are_refused(actor_for, tiny_settings, tmp_path):
    actor = actor_for("cmajor")
    actor.model.folder = load_model().folder
    actor.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["settings"] = asdict(tiny_settings) | {"sharpness": 2}
    save_artifact(tmp_path, "actor", config, {}, "")
    with pytest.raises(
        ArtifactError, match=r"fit this version: settings\.sharpness: Input should be less"
    ):
        load_actor(tmp_path)


def test_a_method_that_there_is_not_is_refused(actor_for, tmp_path):
    actor = actor_for("cmajor")
    actor.model.folder = load_model().folder
    actor.method = "leap"
    actor.save(tmp_path)
    with pytest.raises(
        ArtifactError, match=r"fit this version: method: Input should .*, got 'leap'"
    ):
        load_actor(tmp_path)


def test_networks_of_another_size_are_refused(actor_for, tiny_settings, model, tmp_path):
    actor = actor_for("cmajor")
    actor.settings = replace(tiny_settings, actor_hidden=(17,))
    actor.save(tmp_path)
    with pytest.raises(ArtifactError, match=r"actor.layers.0.bias has .* \(16,\), its .* \(17,\)"):
        load_actor(tmp_path, model=model)


@pytest.mark.parametrize("method", ["refined", "gradient"])
def test_a_search_pulls_points_outside_the_priors_shell_back(actor_for, method):
    actor = actor_for("cmajor")
    layers = actor.critic.critics[0].layers
    with torch.no_grad():  # D grows without end along every axis, and is never near the threshold
        for parameter in layers.parameters():
            parameter.zero_()
        layers[0].weight.fill_(0.01)
        layers[2].weight.fill_(0.01)
        layers[2].bias.fill_(-5.0)
        for parameter in actor.actor.parameters():
            parameter.zero_()
        actor.actor.layers[-1].bias[8:] = -50  # gates that are shut: the actor is the identity
    actor.method = method
    z = torch.full((3, 8), 2.0)  # |z|^2 / Z is 4, the shell's 1
    assert actor.shift(z).square().mean() < 4
    free = replace({"refined": REFINEMENT, **SEARCHES}[method], shell_weight=0.0)
    assert free(actor.critic, z, sigma_bar=actor.model.sigma_bar).square().mean() > 4


def test_an_actor_folder_without_its_actor_is_refused(actor_for, model, tmp_path):
    actor = actor_for("cmajor")
    actor.actor = None
    actor.save(tmp_path)
    message = r"tensor actor.layers.0.bias has shape None, .*; train it again with: mc train-actor"
    with pytest.raises(ArtifactError, match=message):
        load_actor(tmp_path, model=model)
