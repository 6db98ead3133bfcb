"""Prior against actor: every number against its direct computation."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from rapidfuzz.distance import Levenshtein

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.evaluation import reward_statistics
from melodyconstraints.latent.networks import Actor, Critic, Critics
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.distances import compare_feature
from melodyconstraints.melody.metrics.statistics import FEATURES, PITCH_CLASS_FEATURES
from melodyconstraints.melody.metrics.structure import structure
from melodyconstraints.melody.metrics.typical import full_typicality
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.rules import find_rules
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.evaluate_actor import evaluate_actor
from melodyconstraints.workflows.seeds import prior_points
from melodyconstraints.workflows.train_vae import choose

NOTES = {"notes_per_bar", "note_length_histogram", "empty_bars", "empty_beats"}
"""What follows from how many notes there are."""


@pytest.fixture
def actor(tiny_model, tiny_settings) -> MelodyActor:
    """Untrained networks on the tiny model, whose posterior scales are 0.1 to 0.8."""
    tiny_model.sigma_bar.copy_(torch.arange(1, 9) / 10)
    rules = find_rules(["cmajor", "density:252"])
    networks = Actor(8, (16,)), Critics([Critic(8, 2, (16,))])
    heads = (("cmajor", "density:252"),)
    return MelodyActor(
        model=tiny_model,
        rules=rules,
        actor=networks[0],
        critic=networks[1],
        heads=heads,
        settings=tiny_settings,
    )


def edit_distance(first: bytes, second: bytes) -> int:
    """Insertions, deletions and replacements between two strings, by the textbook's table."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
            diagonal, row[j] = row[j], best
    return row[-1]


def test_the_edit_distance_of_bytes_is_levenshteins(rng):
    assert edit_distance(b"kitten", b"sitting") == 3
    for _ in range(50):
        first, second = (
            rng.integers(126, 131, rng.integers(0, 12)).astype(np.uint8).tobytes()
            for _ in range(2)
        )
        assert Levenshtein.distance(first, second) == edit_distance(first, second)


def test_every_number_is_what_its_definition_gives(actor):
    n, seed = 40, 7
    z = prior_points(actor.model, n, seed)
    shifted = actor.actor(z).detach()
    prior = actor.sampler(Sampling(0.8, seed=seed)).decode(z)
    drawn = actor.sampler(Sampling(0.8, seed=seed + 1)).decode(shifted)
    found = evaluate_actor(actor, n, temperature=0.8, seed=seed)

    assert (found.n, found.temperature) == (n, 0.8)
    for melodies, statistics in ((prior, found.prior), (drawn, found.actor)):
        notes = melodies.events < 128
        white = np.isin(melodies.events % 12, [0, 2, 4, 5, 7, 9, 11]) & notes
        rewards = {
            "cmajor": white.sum(1) / notes.sum(1),
            "density:252": np.minimum(notes.sum(1) / 252, 1),
        }
        assert statistics == {name: reward_statistics(r) for name, r in rewards.items()}
    satisfied = (drawn.events < 128).sum(1) >= 252
    assert found.actor["density:252"].satisfied == satisfied.mean()
    moved = ((shifted - z) / (torch.arange(1, 9) / 10)) ** 2
    assert found.moved.z_mse == pytest.approx(moved.mean().item())
    between = ((z.roll(1, 0) - z) / (torch.arange(1, 9) / 10)) ** 2
    assert found.unrelated.z_mse == pytest.approx(between.mean().item())
    by_the_same_draws = actor.sampler(Sampling(0.8, seed=seed)).decode(shifted).events
    white = np.isin(prior.events % 12, [0, 2, 4, 5, 7, 9, 11]) & (prior.events < 128)
    for melodies, one in (
        (by_the_same_draws, found.moved),
        (np.roll(prior.events, 1, axis=0), found.unrelated),
    ):
        assert one.surviving_notes == (melodies == prior.events)[white].mean()
    assert found.distinct == len({row.tobytes() for row in drawn.events}) / n


def test_all_rules_are_satisfied_where_each_one_is(actor):
    def low(melody):
        return float(melody.pitches[0] < 64)

    actor.rules = find_rules(["density:252", low])
    found = evaluate_actor(actor, 60, seed=3)
    z = prior_points(actor.model, 60, 3)
    for share, points, seed in (
        (found.prior_all_satisfied, z, 3),
        (found.all_satisfied, actor.actor(z).detach(), 4),
    ):
        melodies = actor.sampler(Sampling(0.5, seed=seed)).decode(points)
        both = [len(melody) >= 252 and melody.pitches[0] < 64 for melody in melodies]
        assert 0 < share < 1
        assert share == pytest.approx(np.mean(both))


def test_the_diversity_of_two_melodies_is_their_edit_distance(actor):
    z = prior_points(actor.model, 2, 1)
    prior = actor.sampler(Sampling(0.5, seed=1)).decode(z)
    drawn = actor.sampler(Sampling(0.5, seed=2)).decode(actor.actor(z).detach())
    found = evaluate_actor(actor, 2)
    assert found.prior_diversity == edit_distance(*(row.tobytes() for row in prior.events))
    assert found.diversity == edit_distance(*(row.tobytes() for row in drawn.events))
    assert found.diversity_ratio == found.diversity / found.prior_diversity


def test_an_actor_that_stays_where_it_is_moves_nothing(actor):
    torch.nn.init.constant_(actor.actor.layers[-1].bias[8:], -100.0)
    torch.nn.init.zeros_(actor.actor.layers[-1].weight)
    found = evaluate_actor(actor, 4)
    assert asdict(found.moved) == {"z_mse": 0, "surviving_notes": 1}
    assert found.unrelated.surviving_notes < 0.5


def test_without_pitch_classes_all_notes_may_survive(actor):
    actor.rules = find_rules(["density:252"])
    found = evaluate_actor(actor, 4, seed=7)
    prior = actor.sampler(Sampling(0.5, seed=7)).decode(prior_points(actor.model, 4, 7)).events
    same = (np.roll(prior, 1, axis=0) == prior)[prior < 128]
    assert found.unrelated.surviving_notes == same.mean()


def test_the_same_seed_gives_the_same_evaluation(actor):
    assert evaluate_actor(actor, 5, seed=2) == evaluate_actor(actor, 5, seed=2)
    assert evaluate_actor(actor, 5, seed=2) != evaluate_actor(actor, 5, seed=3)


def test_the_dictionary_has_the_promised_names(actor):
    found = evaluate_actor(actor, 4)
    told = found.as_dict()
    assert set(told) == {
        "n",
        "temperature",
        "rules",
        "typical",
        "all_satisfied",
        "prior_all_satisfied",
        "z_mse",
        "surviving_notes",
        "unrelated",
        "distinct",
        "diversity_ratio",
        "realism",
        "likeness",
        "n_satisfying",
        "structure",
        "examples",
    }
    assert list(told["rules"]) == ["cmajor", "density:252"]
    prior, drawn = found.prior["cmajor"], found.actor["cmajor"]
    assert told["rules"]["cmajor"] == {
        "prior_mean": prior.mean,
        "prior_satisfied": prior.satisfied,
        "mean": drawn.mean,
        "mean_interval": drawn.mean_interval,
        "satisfied": drawn.satisfied,
        "satisfied_interval": drawn.satisfied_interval,
    }
    assert (told["n"], told["temperature"]) == (4, 0.5)
    assert told["z_mse"] == found.moved.z_mse
    assert told["unrelated"] == asdict(found.unrelated)
    assert told["diversity_ratio"] == found.diversity_ratio
    assert (told["realism"], told["likeness"], told["structure"]) == (None, {}, {})


def test_likeness_is_the_overlap_with_held_out_melodies(actor, some_melodies):
    found = evaluate_actor(actor, 30, seed=5, held_out=some_melodies)
    z = prior_points(actor.model, 30, 5)
    prior, drawn = (
        actor.sampler(Sampling(seed=5)).decode(z),
        actor.sampler(Sampling(seed=6)).decode(actor.actor(z).detach()),
    )
    assert list(found.likeness) == list(FEATURES)
    for name, one in found.likeness.items():
        of_real, of_prior, of_actor = (
            FEATURES[name](melodies) for melodies in (some_melodies, prior, drawn)
        )
        assert one.prior == compare_feature(of_real, of_prior).overlapping_area
        assert one.actor == compare_feature(of_real, of_actor).overlapping_area
        # C major asks for pitch classes, 252 notes for notes
        assert one.affected == (name in PITCH_CLASS_FEATURES | NOTES)
    free = [one for one in found.likeness.values() if not one.affected]
    assert len(free) == len(FEATURES) - 4 - 4
    assert found.realism == (
        pytest.approx(np.mean([one.prior for one in free])),
        pytest.approx(np.mean([one.actor for one in free])),
    )
    assert found.as_dict()["likeness"]["pitch_range"] == {
        "prior": found.likeness["pitch_range"].prior,
        "actor": found.likeness["pitch_range"].actor,
        "affected": False,
        "satisfying": None,
    }
    assert (found.n_satisfying, found.structure) == (0, {})


def test_all_features_are_compared_with_real_melodies_that_satisfy_the_rules(actor, rng):
    actor.rules = find_rules(["cmajor"])
    white = rng.choice([0, 2, 4, 5, 7, 9, 11], (9, 256)) + 60
    real = np.where(rng.random((9, 256)) < 0.4, white, 129)
    held_out = np.concatenate([np.where(real < 128, real + 3, 129), np.full((1, 256), 61)])
    held_out[9, :128] = 60  # C and C sharp: in no key is it in C major
    held_out[9, 1:9] = 62
    found = evaluate_actor(actor, 6, seed=5, held_out=Melodies(held_out))
    assert found.n_satisfying == 9
    z, rows = prior_points(actor.model, 6, 5), choose(np.arange(9), 6)
    drawn = {
        "prior": actor.sampler(Sampling(seed=5)).decode(z),
        "actor": actor.sampler(Sampling(seed=6)).decode(actor.actor(z).detach()),
    }
    chosen = Melodies(real[rows])
    for name in ("interval_histogram", "pitch_class_histogram", "repeated_bars"):
        value = FEATURES[name]
        expected = {
            key: compare_feature(value(chosen), value(one)).overlapping_area
            for key, one in drawn.items()
        }
        assert found.likeness[name].satisfying == (None if name == "repeated_bars" else expected)
    assert found.likeness["scale_consistency"].satisfying is None  # it is 1 for all of these
    for name, melodies in {"held_out": chosen, **drawn}.items():
        notes, typical = melodies.note_counts.mean(), (full_typicality(melodies) >= 1).mean()
        beside = {"notes": notes, "typical": typical}
        of_others = () if name == "held_out" else (chosen,)
        assert found.structure[name] == structure(melodies, *of_others) | beside
    assert found.as_dict()["structure"] == found.structure


def test_a_rule_of_weight_0_says_nothing_of_the_real_melodies(actor, some_melodies):
    actor.rules, actor.weights = find_rules(["density:1", "density:256"]), (1.0, 0.0)
    found = evaluate_actor(actor, 4, held_out=some_melodies)
    assert found.n_satisfying == len(some_melodies)


def test_the_last_seed_is_a_seed(actor):
    assert evaluate_actor(actor, 2, seed=2**63 - 1).n == 2


@pytest.mark.parametrize(
    ("rules", "affected"),
    [
        (["density:252"], NOTES),
        (["cmajor"], PITCH_CLASS_FEATURES),
        (["first-note:C", lambda melody: float(len(melody) > 0)], set()),
    ],
)
def test_a_rule_affects_what_it_asks_for(actor, some_melodies, rules, affected):
    actor.rules = find_rules(rules)
    found = evaluate_actor(actor, 5, held_out=some_melodies)
    assert {name for name, one in found.likeness.items() if one.affected} == affected


def test_melodies_that_are_all_alike_have_no_diversity_to_compare_with(actor):
    torch.nn.init.zeros_(actor.model.decoder.output.weight)
    found = evaluate_actor(actor, 4, temperature=0.0)
    assert (found.prior_diversity, found.distinct) == (0, 0.25)
    assert found.diversity_ratio is None
    assert found.as_dict()["diversity_ratio"] is None


@pytest.mark.parametrize("n", [-1, 0, 1])
def test_fewer_than_two_melodies_cannot_be_compared(actor, n):
    with pytest.raises(UsageError, match=f"n must be at least 2, .* got {n}"):
        evaluate_actor(actor, n)


def test_a_rule_of_the_actors_own_is_measured_once(actor):
    assert evaluate_actor(actor, 2, also=["cmajor"]) == evaluate_actor(actor, 2)


def test_rules_besides_the_actors_own_are_judged_but_not_asked_of_all(actor):
    alone = evaluate_actor(actor, 20)
    white = "pitch-classes:C,D,E,F,G,A,B"
    found = evaluate_actor(actor, 20, also=["density:10", white])
    assert list(found.actor) == ["cmajor", "density:252", "density:10", white]
    assert found.actor["density:10"].satisfied == 1
    assert found.actor[white] == found.actor["cmajor"]
    assert found.all_satisfied == alone.all_satisfied
    assert found.prior_all_satisfied == alone.prior_all_satisfied
