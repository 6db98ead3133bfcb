"""Actors for rules about a generator's attributes set out from points that have them."""

from dataclasses import replace

import pytest
import torch

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.attributes import NAMES
from melodyconstraints.rules import find_rules
from melodyconstraints.storage.artifacts import load_artifact, save_artifact
from melodyconstraints.workflows.knobs import ranges_of
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.seeds import prior_points
from melodyconstraints.workflows.train_actor import train_actor
from melodyconstraints.workflows.training_sampling import training_sampling

RULES = ("density:100..140", "steps:..40%")
RANGES = {"notes": (100, 140), "steps": (0, 0.4)}


@pytest.fixture(scope="module")
def generator():
    return load_model()


@pytest.fixture(scope="module")
def trained(generator, one_round):
    return train_actor(generator, RULES, settings=one_round)


@pytest.fixture
def actor(trained):
    return replace(trained)


def draws(model, *rules, weights=(1, 1), plain=False):
    return training_sampling(model, find_rules(rules), weights, Sampling(), plain=plain)


def changed(folder, change):
    """The actor's folder with another configuration."""
    artifact = load_artifact(folder, "actor")
    change(artifact.config)
    save_artifact(folder, "actor", artifact.config, artifact.tensors(), "")


def test_a_training_sets_out_from_what_rules_ask_of_attributes(generator):
    assert draws(generator, *RULES).ranges == RANGES


def test_what_a_rhythm_leaves_is_a_range_of_notes(generator):
    of_training = draws(generator, "rhythm:x.._x...", "steps:50%")
    assert of_training.ranges == {"notes": (64, 96), "steps": (0.5, 1)}


def test_from_what_hardly_any_melody_has_it_does_not_set_out(generator):
    """192 notes, of which actors that set out from there make melodies unlike others."""
    assert draws(generator, "density:192", "steps:..40%").ranges == {"steps": (0, 0.4)}
    assert 0 < generator.scores.share_within(NAMES.index("notes"), 192, 256) < 0.02


@pytest.mark.parametrize(
    ("rules", "weights", "plain"),
    [(RULES, (0, 0), False), (RULES, (1, 1), True), (["mean-length:2"], (1,), False)],
)
def test_a_training_that_is_asked_for_none_sets_out_from_the_prior(
    generator, rules, weights, plain
):
    assert draws(generator, *rules, weights=weights, plain=plain).ranges == {}


def test_a_model_that_knows_no_attributes_moves_no_point(tiny_model):
    assert draws(tiny_model, *RULES).ranges == {}
    with pytest.raises(UsageError, match="knows no attributes, got notes, steps; take --model s"):
        tiny_model.moved_to(torch.zeros(1, tiny_model.latent_dim), RANGES)


def test_an_actor_sets_out_from_the_ranges(actor, generator):
    z = prior_points(generator, 4, 1)
    moved = generator.moved_to(z, RANGES)
    assert actor.ranges == RANGES
    shifted = actor.shift(z)
    actor.ranges = {}
    assert torch.equal(actor.shift(moved), shifted)
    assert not torch.equal(actor.shift(z), shifted)


def test_the_first_round_proposes_points_that_satisfy_rules_more_often(generator, one_round):
    """Of 64 points, by a network that has learned nothing yet; .26 do under no rule."""
    settings = replace(one_round, actor_points=64, warmup_steps=0)
    actor = train_actor(generator, ["rests:10%..30%"], settings=settings, rules_alone=True)
    assert actor.records[0].satisfied[0] > 0.4


def test_a_folder_keeps_the_ranges_and_an_older_one_has_none(actor, tmp_path):
    actor.save(tmp_path)
    read, z = load_actor(tmp_path), prior_points(actor.model, 2, 3)
    assert read.ranges == RANGES
    assert torch.equal(read.shift(z), actor.shift(z))
    changed(tmp_path, lambda config: config.pop("ranges"))
    assert load_actor(tmp_path).ranges == {}


def test_ranges_of_nothing_are_refused(actor, tmp_path):
    actor.save(tmp_path)
    for ranges in ({"loudness": [0, 1]}, {"notes": [9, 8]}):
        changed(tmp_path, lambda config, ranges=ranges: config.update(ranges=ranges))
        with pytest.raises(ArtifactError, match="ranges of no attributes, or of none of their va"):
            load_actor(tmp_path)


@pytest.mark.parametrize("method", ["gradient", "langevin"])
def test_a_search_sets_out_from_the_ranges_too(generator, one_round, method):
    actor = train_actor(generator, ["rise:2..5"], settings=one_round, method=method)
    assert list(actor.ranges) == ["rise"]
    assert len(actor.records) == 1


@pytest.mark.parametrize(
    ("rules", "notes"),
    [
        (("density:100", "density:..110"), (100, 110)),
        (("density:..110", "density:100"), (100, 110)),
        (("rhythm:x_..", "density:..100"), (64, 100)),
        (("density:4", "density:..2"), (0, 2)),  # which is refused
    ],
)
def test_of_two_rules_what_both_ask_for_counts(rules, notes):
    assert ranges_of(find_rules(rules)) == {"notes": notes}
