"""The actor with knobs: its judge, its conditions, its settings, and its folder."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.vae.model import HierarchicalVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.rules import find_rule
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.rules.scales import SCALES
from melodyconstraints.rules.tonality import in_set_rule
from melodyconstraints.storage.artifacts import load_artifact, save_artifact
from melodyconstraints.workflows import conditional as module
from melodyconstraints.workflows.conditional import (
    CONDITION,
    FEWEST_PITCH_CLASSES,
    FOLDER_OF_KNOBS,
    HIGHEST_DENSITY,
    KIND,
    SETTINGS,
    ScaleAndDensity,
    condition,
    draw_conditions,
    load_knobs,
    save_knobs,
    train_knobs,
    train_knobs_folder,
)
from melodyconstraints.workflows.models import BUNDLED, load_model, save_model
from melodyconstraints.workflows.search import SearchActor
from melodyconstraints.workflows.seeds import EVENTS, derived_seed, prior_points

TINY_MODEL_DENSITY = 190
"""Notes that every melody of the tiny model has, and that the knobs may be set to."""


@pytest.fixture
def model(tiny_model_folder):
    """The saved tiny model."""
    return load_model(tiny_model_folder)


@pytest.fixture
def knobs(model, tiny_settings):
    """A knob actor after three rounds."""
    return train_knobs(model, tiny_settings)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same_weights(first, second) -> bool:
    other = second.state_dict()
    return all(torch.equal(value, other[name]) for name, value in first.state_dict().items())


def within(found: float, expected: float, deviation: float) -> bool:
    """Within five standard errors; for one number that fails once in 1.7 million seeds."""
    return abs(found - expected) < 5 * deviation


# The judge


def test_notes_of_each_pitch_class_are_counted():
    batch = Melodies.stack(
        [
            Melody.from_notes([(0, 4, 60), (8, 1, 72), (16, 100, 71)]),
            Melody.from_notes([]),
            Melody.from_notes([(255, 1, 127)]),
        ]
    )
    found = ScaleAndDensity().measure(batch)
    assert found.dtype == torch.float32
    expected = torch.zeros(3, 12)
    expected[0, 0], expected[0, 11], expected[2, 7] = 2, 1, 1
    assert torch.equal(found, expected)


def test_rewards_by_hand():
    counts = torch.zeros(4, 12)
    counts[0, [0, 7, 1]] = torch.tensor([3.0, 2.0, 1.0])
    counts[1] = counts[0]
    counts[2, 1] = 200
    asked = torch.stack(
        [condition({0, 7}, 12), condition({1}, 6), condition({0, 7}, 0), condition({0}, 8)]
    )
    expected = torch.tensor([[5 / 6, 6 / 12], [1 / 6, 1.0], [0.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(ScaleAndDensity().compute(counts, asked), expected)


def test_the_judge_agrees_with_the_rules_of_the_library(some_melodies, rng):
    judge = ScaleAndDensity()
    batch = Melodies.stack([*some_melodies, Melody.from_notes([])])
    measured = judge.measure(batch)
    for _ in range(50):
        pitch_classes = rng.permutation(12)[: rng.integers(1, 13)].tolist()
        density = int(rng.integers(0, 257))
        y = condition(pitch_classes, density).expand(len(batch), -1)
        specs = [f"pitch-classes:{','.join(map(str, pitch_classes))}", f"density:{density}"]
        expected = rewards_of([find_rule(spec) for spec in specs], batch)
        np.testing.assert_allclose(judge.compute(measured, y), expected, atol=1e-6)


def test_a_judge_that_is_not_told_what_is_asked_refuses():
    with pytest.raises(ValueError, match="the knobs need a condition"):
        ScaleAndDensity().compute(torch.zeros(1, 12), None)


# Conditions


def test_a_condition_is_a_bit_a_pitch_class_and_a_share_of_all_steps():
    y = condition([11, 2], 192)
    assert y.shape == (CONDITION,)
    assert y.nonzero().flatten().tolist() == [2, 11, 12]
    assert y[[2, 11, 12]].tolist() == [1, 1, 0.75]
    assert torch.equal(condition({2, 11}, 192), y)
    assert condition(range(12), 0).tolist() == [1.0] * 12 + [0.0]


@pytest.mark.parametrize("pitch_classes", [[], [0, 12], [-1]])
def test_pitch_classes_that_are_none_are_refused(pitch_classes):
    with pytest.raises(UsageError, match=r"pitch classes must be some of 0 to 11, got \["):
        condition(pitch_classes, 10)


@pytest.mark.parametrize("density", [-1, 257])
def test_a_density_that_no_melody_has_is_refused(density):
    message = f"density must be from 0 to 256 notes in 16 bars, got {density}"
    with pytest.raises(UsageError, match=message):
        condition([0], density)


COUNT = 20_000


@pytest.fixture(scope="module")
def drawn() -> torch.Tensor:
    """Many conditions."""
    return draw_conditions(COUNT, seeded(0))


def transposed() -> dict[int, set[frozenset[int]]]:
    """All scales on all tonics, by their size."""
    found: dict[int, set[frozenset[int]]] = {}
    for steps in SCALES.values():
        for tonic in range(12):
            notes = frozenset((tonic + step) % 12 for step in steps)
            found.setdefault(len(notes), set()).add(notes)
    return found


def test_conditions_are_a_function_of_the_generator(drawn):
    assert drawn.shape == (COUNT, CONDITION)
    assert torch.equal(draw_conditions(COUNT, seeded(0)), drawn)
    assert not torch.equal(draw_conditions(COUNT, seeded(1)), drawn)


def test_half_of_the_sets_are_scales(drawn):
    scales = transposed()
    sets = [frozenset(row.nonzero().flatten().tolist()) for row in drawn[:, :12]]
    found = np.mean([one in scales.get(len(one), set()) for one in sets])
    sizes = range(FEWEST_PITCH_CLASSES, 13)
    by_chance = np.mean([len(scales.get(size, ())) / math.comb(12, size) for size in sizes])
    expected = 0.5 + 0.5 * by_chance
    assert within(found, expected, math.sqrt(expected * (1 - expected) / COUNT))


def test_sizes_are_those_of_scales_and_all_from_three_on(drawn):
    bits = drawn[:, :12]
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    found = bits.sum(1).long().bincount(minlength=13) / COUNT
    assert found[:FEWEST_PITCH_CLASSES].sum() == 0
    of_scales = np.bincount([len(steps) for steps in SCALES.values()], minlength=13) / len(SCALES)
    for size in range(FEWEST_PITCH_CLASSES, 13):
        expected = 0.5 * of_scales[size] + 0.5 / (13 - FEWEST_PITCH_CLASSES)
        assert within(found[size], expected, math.sqrt(expected * (1 - expected) / COUNT))


def test_every_pitch_class_is_asked_for_as_often(drawn):
    bits = drawn[:, :12]
    expected = float(bits.mean())
    deviation = math.sqrt(expected * (1 - expected) / COUNT)
    assert all(within(float(share), expected, deviation) for share in bits.mean(0))


def test_densities_are_whole_numbers_of_notes_and_some_ask_for_none(drawn):
    notes = drawn[:, 12] * 256
    assert torch.equal(notes, notes.round())
    assert (notes.min(), notes.max()) == (0, HIGHEST_DENSITY)
    free = module._FREE_SHARE + (1 - module._FREE_SHARE) / (HIGHEST_DENSITY + 1)
    assert within(float((notes == 0).float().mean()), free, math.sqrt(free * (1 - free) / COUNT))
    asked = notes[notes > 0]
    mean, spread = (HIGHEST_DENSITY + 1) / 2, HIGHEST_DENSITY / math.sqrt(12)
    assert within(float(asked.mean()), mean, spread / math.sqrt(len(asked)))


# Training


def test_a_training_is_a_function_of_its_seed(model, tiny_settings):
    seen = []
    first, again, other = (
        train_knobs(model, tiny_settings, seed=seed, callback=seen.append) for seed in (1, 1, 2)
    )
    assert same_weights(first.actor, again.actor)
    assert not same_weights(first.actor, other.actor)
    assert first.records == again.records == seen[:3]
    assert all(len(record.rewards) == 2 for record in seen)
    assert (first.model, first.settings) == (model, tiny_settings)


def test_a_training_into_a_folder_is_the_same_and_shows_its_bar(
    model, tiny_settings, tmp_path, capsys
):
    seen, folder = [], tmp_path / "knobs"
    options = {"seed": 3, "callback": seen.append, "progress": True}
    found = train_knobs_folder(model, folder, tiny_settings, **options)
    assert f"satisfied: scale {seen[-1].satisfied[0]:.0%}, den" in capsys.readouterr().err
    same = train_knobs(model, tiny_settings, seed=3)
    assert found.records == same.records == seen
    save_knobs(same, tmp_path / "same")
    files = [{path.name: path.read_bytes() for path in one.iterdir()}
             for one in (folder, tmp_path / "same")]  # fmt: skip
    assert files[0] == files[1]
    with pytest.raises(UsageError, match="already holds the knob-actor of an earlier run"):
        train_knobs_folder(model, folder, tiny_settings)
    train_knobs_folder(model, folder, tiny_settings, seed=4, overwrite=True)
    assert not same_weights(load_knobs(folder, model=model).actor, same.actor.half().float())


def test_a_training_into_a_folder_needs_a_model_with_one(tiny_model, tiny_settings, tmp_path):
    with pytest.raises(UsageError, match="the actor's model has no folder; save it first with"):
        train_knobs_folder(tiny_model, tmp_path / "knobs", tiny_settings, callback=pytest.fail)


def test_a_staff_generator_has_knobs_untrained(tiny_settings, tmp_path):
    model, told = load_model(), "a staff generator needs no training for any scale and density"
    with pytest.raises(UsageError, match=told):
        train_knobs(model, tiny_settings, callback=pytest.fail)
    with pytest.raises(UsageError, match=told):
        train_knobs_folder(model, tmp_path / "knobs", tiny_settings)
    assert not (tmp_path / "knobs").exists()


def test_a_training_leaves_the_model_alone(model, tiny_settings):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train_knobs(model, tiny_settings)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


# Settings


@pytest.mark.parametrize(
    ("scale", "density", "specs"),
    [
        (None, None, []),
        (None, 96, ["density:96"]),
        ("D-dorian", None, ["pitch-classes:2,4,5,7,9,11,0"]),
        ("cmajor", 0, ["pitch-classes:0,2,4,5,7,9,11", "density:0"]),
        ("0,2,E", 5, ["pitch-classes:0,2,E", "density:5"]),
        ("Am", "9", ["pitch-classes:9,11,0,2,4,5,7", "density:9"]),
        ([7, 0, 4], None, ["pitch-classes:7,0,4"]),
    ],
    ids=str,
)
def test_settings_are_rules_of_notes(knobs, scale, density, specs):
    assert knobs.at(scale, density).names == specs


@pytest.mark.parametrize("setting", [(None, "40..60"), (None, None, "ambitus:10..14")], ids=str)
def test_other_rules_and_ranges_are_searched_for(knobs, setting):
    actor = knobs.at("D-dorian", *setting[1:])
    assert isinstance(actor, SearchActor)
    z = torch.randn(5, 8)
    assert torch.equal(actor.shift(z), knobs.at("D-dorian").shift(z))


@pytest.mark.parametrize("scale", ["D-dorian", "C,D,E,F,G,A,B", [11, 0, 2, 4, 5, 7, 9]])
def test_an_actor_at_a_setting_shifts_by_its_condition(knobs, scale):
    actor = knobs.at(scale, 96)
    z = torch.randn(5, 8)
    white = condition([0, 2, 4, 5, 7, 9, 11], 96).expand(5, -1)
    assert torch.equal(actor.shift(z), knobs.actor(z, white))
    assert not actor.shift(z).requires_grad
    assert actor.pitch_classes == {0, 2, 4, 5, 7, 9, 11}
    other = knobs.at(scale, 97).shift(z)
    assert not torch.equal(other, actor.shift(z))


def test_an_actor_at_a_setting_has_its_rules_and_key(knobs):
    actor = knobs.at("D-dorian", 96)
    assert (actor.names, actor.key, actor.temperature) == (
        ["pitch-classes:2,4,5,7,9,11,0", "density:96"],
        "C",
        0.5,
    )
    assert knobs.at([0, 4, 7]).key is None
    free = knobs.at()
    assert (free.rules, free.key, free.pitch_classes) == ([], None, None)
    z = torch.randn(2, 8)
    assert torch.equal(free.shift(z), knobs.actor(z, condition(range(12), 0).expand(2, -1)))
    dense = knobs.at(density=40)
    assert dense.names == ["density:40"]
    assert torch.equal(dense.shift(z), knobs.actor(z, condition(range(12), 40).expand(2, -1)))


def test_melodies_are_decoded_from_shifted_points_of_the_prior(knobs):
    actor = knobs.at("C-major", 50)
    z = actor.shift(prior_points(knobs.model, 4, 3))
    expected = MelodySampler(
        knobs.model, Sampling(temperature=0.5, seed=derived_seed(EVENTS, 3))
    ).decode(z)
    assert np.array_equal(actor.generate(4, seed=3).events, expected.events)


def test_only_satisfying_melodies_are_kept(knobs):
    kept, drawn = knobs.at(density=TINY_MODEL_DENSITY).generate_satisfying(3, seed=1)
    assert (kept.note_counts >= TINY_MODEL_DENSITY).all()
    assert 3 <= drawn <= 32


@pytest.mark.parametrize(
    ("scale", "density", "message"),
    [
        ("D-doria", None, ".D-doria.; the nearest are D-dorian, D-dorian-b2, D-locrian"),
        ("0,2,H", None, "pitch classes are numbers 0-11 or note names .* got 'H' in '0,2,H'"),
        (None, 257, "density must be a whole number from 0 to 256, got '257'"),
        (
            "0,7",
            200,
            "the knobs take at least 3 pitch classes and at most 192 notes, got 2 and 200; search "
            "without knobs: mc generate --rule pitch-classes:0,7 --rule density:200",
        ),
        ("cmajor", 193, "at most 192 notes, got 7 and 193"),
    ],
    ids=str,
)
def test_a_setting_out_of_reach_is_told(knobs, scale, density, message):
    with pytest.raises(UsageError, match=message):
        knobs.at(scale, density)


# Folders


def test_a_knob_actor_comes_back_in_half_precision(knobs, model, tmp_path):
    save_knobs(knobs, tmp_path / "a", card="# Knobs\n")
    found = load_knobs(tmp_path / "a", model=model)
    for name, value in knobs.actor.state_dict().items():
        assert torch.equal(found.actor.state_dict()[name], value.half().float())
    assert (found.settings, found.records) == (knobs.settings, knobs.records)
    assert found.model is model
    assert not found.actor.training
    assert (tmp_path / "a" / "README.md").read_text().endswith("# Knobs\n")
    save_knobs(found, tmp_path / "b", card="# Knobs\n")
    first, again = (load_artifact(tmp_path / name, KIND) for name in "ab")
    assert first.fingerprint == again.fingerprint
    named = load_knobs(tmp_path / "b")
    assert named.model.folder == model.folder
    drawn = named.at("C-major", 50).generate(2, seed=4)
    assert np.array_equal(drawn.events, found.at("C-major", 50).generate(2, seed=4).events)


def test_without_a_folder_it_is_that_of_the_bundled_model(knobs, model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUNDLED", tmp_path)
    save_knobs(knobs, tmp_path / FOLDER_OF_KNOBS)
    assert load_knobs(model=model).model.fingerprint == model.fingerprint


def test_an_actor_of_a_model_without_a_folder_is_not_saved(tiny_model, tiny_settings, tmp_path):
    with pytest.raises(UsageError, match="the actor's model has no folder; save it first with"):
        save_knobs(train_knobs(tiny_model, tiny_settings), tmp_path / "knobs")
    assert not (tmp_path / "knobs").exists()


def test_one_setting_is_not_saved(knobs, tmp_path):
    with pytest.raises(UsageError, match="knobs at one setting are not saved; save all of them"):
        knobs.at("cmajor").save(tmp_path / "actor")
    assert not (tmp_path / "actor").exists()


@pytest.mark.parametrize("latent_dim", [8, 6])
def test_another_model_is_refused(knobs, tiny_config, latent_dim, tmp_path):
    save_knobs(knobs, tmp_path / "knobs")
    torch.manual_seed(1)
    other = HierarchicalVAE(replace(tiny_config, latent_dim=latent_dim)).eval()
    save_model(other, tmp_path / "other")
    message = (
        f"knobs was trained on the model {knobs.model.fingerprint[:12]}, found "
        f"{other.fingerprint[:12]}; train it again with: mc train-actor --knobs; or an actor"
    )
    with pytest.raises(ArtifactError, match=message):
        load_knobs(tmp_path / "knobs", model=other)


def test_damage_is_told(knobs, tiny_model_folder, tmp_path):
    save_knobs(knobs, tmp_path)
    weights = tmp_path / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"is damaged: model\.safetensors does not match"):
        load_knobs(tmp_path)
    with pytest.raises(ArtifactError, match="none is not a finished knob-actor folder"):
        load_knobs(tmp_path / "none")
    with pytest.raises(ArtifactError, match="is of kind melody-vae"):
        load_knobs(tiny_model_folder)


@pytest.mark.parametrize("damage", ["settings", "records", "model", "tensors"])
def test_a_folder_of_another_version_is_told(knobs, model, tmp_path, damage):
    save_knobs(knobs, tmp_path)
    artifact = load_artifact(tmp_path, KIND)
    config, tensors = dict(artifact.config), artifact.tensors()
    if damage == "tensors":
        tensors.popitem()
    else:
        config[damage] = {"unknown": 1}
    save_artifact(tmp_path, KIND, config, tensors, "")
    with pytest.raises(ArtifactError, match="does not fit this version"):
        load_knobs(tmp_path, model=model)


@pytest.mark.skipif(
    not (BUNDLED / FOLDER_OF_KNOBS).is_dir(), reason="the bundled model comes without knobs yet"
)
def test_the_bundled_knobs_turn():
    found = load_knobs(model=load_model("bundled"))
    for scale, density in (("D-dorian", 64), ("Eb-minor", 128)):
        actor = found.at(scale, density)
        rules = [in_set_rule(scale, actor.pitch_classes), actor.rules[1]]
        rewards = rewards_of(rules, actor.generate(32, seed=1))
        assert (rewards.mean(axis=0) > 0.95).all()


def test_the_bundled_knobs_were_trained_by_the_recipe_that_is_here():
    assert (
        load_knobs(model=load_model("bundled")).settings == SETTINGS
    )  # the defaults of other trainings may change


def test_knobs_of_an_older_version_are_refused_with_how_to_make_them_again(knobs, tmp_path):
    save_knobs(knobs, tmp_path)
    artifact = load_artifact(tmp_path, KIND)
    old = {key: artifact.config[key] for key in ("model", "settings", "records")}
    tensors = {name.removeprefix("actor."): one for name, one in artifact.tensors().items()}
    save_artifact(tmp_path, KIND, old, tensors, "")
    message = "this version: heads: Field required; train it again with: mc train-actor --knobs"
    with pytest.raises(ArtifactError, match=message):
        load_knobs(tmp_path, model=knobs.model)


def test_knobs_of_the_bundled_model_are_not_looked_for_where_the_user_stands(
    tmp_path, monkeypatch
):
    (tmp_path / "bundled" / "knobs").mkdir(parents=True)  # the user's own, and empty
    monkeypatch.chdir(tmp_path)
    model = load_model("bundled")
    assert load_knobs(model=model).model is model
