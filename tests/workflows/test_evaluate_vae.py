"""How good a model is: every number against its direct computation."""

import json
from dataclasses import asdict

import matplotlib.image
import numpy as np
import pytest
import torch

from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.copies import Originals
from melodyconstraints.melody.metrics.distances import compare_feature
from melodyconstraints.melody.metrics.statistics import FEATURES
from melodyconstraints.melody.metrics.structure import structure
from melodyconstraints.melody.vae.model import HierarchicalVAE
from melodyconstraints.melody.vae.reconstruction import encode_and_decode, measure_reconstruction
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.workflows import evaluate_vae
from melodyconstraints.workflows.evaluate_vae import evaluate_model, plot_model_evaluation
from melodyconstraints.workflows.real_melodies import matched
from melodyconstraints.workflows.seeds import derived_seed, prior_points
from melodyconstraints.workflows.train_vae import choose

N, SEED, TEMPERATURE = 10, 4, 0.8


@pytest.fixture(scope="module")
def store(tmp_path_factory, make_store):
    """30 training melodies, 12 to validate and 16 to test with, of two collections."""
    rng = np.random.default_rng(8)
    events = np.where(
        rng.random((58, 256)) < 0.3,
        rng.integers(50, 80, (58, 256)),
        rng.integers(128, 130, (58, 256)),
    )
    events[44:46] = np.where(events[:2] < 128, events[:2] + 3, events[:2])  # copies, in test
    events[46] = np.where(np.arange(256) < 128, events[2], events[46])  # half a copy
    splits = ["train"] * 30 + ["validation"] * 12 + ["test"] * 16
    files = [f"{'airs' if number % 3 else 'hymns'}/{number}.mid" for number in range(58)]
    folder = tmp_path_factory.mktemp("stores") / "random"
    return make_store(folder, Melodies(events).events, splits, files)


@pytest.fixture(scope="module")
def found(tiny_config, store):
    """The quality of the tiny model."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = HierarchicalVAE(tiny_config).eval()
    return evaluate_model(model, store, N, temperature=TEMPERATURE, seed=SEED)


def chosen(store, split):
    events = read_store(store, split).events
    return choose(events, N)


def test_reconstruction_is_of_the_melodies_chosen_once_and_for_all(found, tiny_model, store):
    events = chosen(store, "test")
    assert (found.n, found.split, found.seed, found.temperature) == (N, "test", SEED, TEMPERATURE)
    assert np.array_equal(found.held_out.events, events)
    assert found.reconstruction == measure_reconstruction(tiny_model, events)
    mean = encode_and_decode(tiny_model, events)
    assert found.accuracy == mean.accuracy()
    assert np.array_equal(found.decoded, mean.free)
    generator = torch.Generator().manual_seed(derived_seed("posterior points", SEED))
    sampled = encode_and_decode(tiny_model, events, Sampling(TEMPERATURE), generator=generator)
    assert found.sampled == sampled.accuracy()
    assert found.sampled != found.accuracy


def test_top_k_holds_for_posterior_samples_too(found, tiny_model, store):
    events = chosen(store, "test")
    options = {"temperature": TEMPERATURE, "seed": SEED}
    generator = torch.Generator().manual_seed(derived_seed("posterior points", SEED))
    likeliest = encode_and_decode(tiny_model, events, Sampling(0.0), generator=generator)
    only_one = evaluate_model(tiny_model, store, N, top_k=1, **options)
    assert only_one.sampled == likeliest.accuracy() != found.sampled
    nearly_one = evaluate_model(tiny_model, store, N, top_p=1e-6, **options)
    assert nearly_one.sampled == likeliest.accuracy()


def test_every_collection_has_its_accuracy(found, tiny_model, store):
    stored = read_store(store, "test")
    rows = choose(np.arange(len(stored)), N)
    sources = stored.sources[rows]
    assert list(found.collections) == ["airs", "hymns"]
    for name, collection in found.collections.items():
        own = stored.events[rows][sources == name]
        assert 0 < collection.n == len(own) < N
        whole = encode_and_decode(tiny_model, own).accuracy()
        assert asdict(collection.accuracy) == pytest.approx(asdict(whole))


def test_samples_are_the_priors_and_are_compared_with_the_held_out_melodies(
    found, tiny_model, store
):
    sampler = MelodySampler(
        tiny_model, Sampling(temperature=TEMPERATURE, seed=derived_seed("events", SEED))
    )
    samples = sampler.decode(prior_points(tiny_model, N, SEED))
    assert np.array_equal(found.samples.events, samples.events)
    held_out = Melodies(chosen(store, "test"))
    training = matched(
        read_store(store, "train"), found.held_out.sources, np.random.default_rng(1)
    ).melodies
    assert len(training) == N
    assert list(found.features) == list(FEATURES)
    for name, feature in FEATURES.items():
        row, true = found.features[name], feature(held_out)
        assert row.held_out == pytest.approx(true.mean(0))
        assert row.samples == pytest.approx(feature(samples).mean(0))
        assert row.compared == compare_feature(true, feature(samples))
        assert row.ceiling == compare_feature(true, feature(training))
    assert found.structure == {
        "held_out": structure(held_out),
        "samples": structure(samples, held_out),
        "training": structure(training, held_out),
    }


def test_a_classifier_tells_samples_and_training_melodies_apart(tiny_model, store, monkeypatch):
    seen = []

    def classifier_aucs(held_out, training, samples):
        seen.extend([len(held_out), len(training), len(samples)])
        return 0.9, 0.6

    monkeypatch.setattr(evaluate_vae, "classifier_aucs", classifier_aucs)
    flat = evaluate_model(tiny_model, store, N).as_dict()
    assert seen == [16, 30, N]  # of all held-out tunes, not of those chosen
    assert [one.get("auc") for one in flat["structure"].values()] == [None, 0.9, 0.6]


def test_overlapping_areas_are_means_over_the_features(found):
    rows = found.features.values()
    areas = [row.compared.overlapping_area for row in rows]
    ceilings = [row.ceiling.overlapping_area for row in rows]
    assert found.overlapping_area == pytest.approx(sum(areas) / 13)
    assert found.training_overlapping_area == pytest.approx(sum(ceilings) / 13)
    assert found.overlapping_area != found.training_overlapping_area


def test_copies_are_looked_for_among_all_training_melodies(found, store):
    events = chosen(store, "test")
    originals = Originals(read_store(store, "train").events)
    for novelty, melodies in (
        (found.novelty, found.samples.events),
        (found.held_out_novelty, events),
    ):
        similarity = originals.similarity(melodies)
        assert novelty.similarity == pytest.approx(similarity.mean())
        assert novelty.near_copies == (similarity >= 0.7).mean()
        assert novelty.quotations == originals.quoted(melodies).mean()


def test_a_held_out_copy_of_a_training_melody_is_counted(tiny_model, store):
    found = evaluate_model(tiny_model, store, 16)
    assert found.held_out_novelty.near_copies == 2 / 16
    assert found.held_out_novelty.quotations == 3 / 16  # and the one of which half is a copy
    assert found.novelty.near_copies == found.novelty.quotations == 0


def test_the_dictionary_is_json_with_the_chief_numbers_at_its_top(found):
    flat = found.as_dict()
    assert json.loads(json.dumps(flat, allow_nan=False)) == flat
    expected = {
        "teacher_forced": found.reconstruction.teacher_forced,
        "free_running": found.reconstruction.free_running,
        "onset_f1": found.reconstruction.onset_f1,
        "kl": found.reconstruction.kl,
        "overlapping_area": found.overlapping_area,
        "near_copies": found.novelty.near_copies,
        "onsets_teacher_forced": found.accuracy.onsets_teacher_forced,
        "training_overlapping_area": found.training_overlapping_area,
        "quotations": found.novelty.quotations,
    }
    assert {name: flat[name] for name in expected} == expected
    assert flat["sampled"] == asdict(found.sampled)
    airs = found.collections["airs"]
    assert flat["collections"]["airs"] == {"n": airs.n, **asdict(airs.accuracy)}
    row = found.features["pitch_range"]
    assert flat["features"]["pitch_range"] == {
        "held_out": row.held_out,
        "samples": row.samples,
        **asdict(row.compared),
        "training": asdict(row.ceiling),
    }
    assert len(flat["features"]["interval_histogram"]["samples"]) == 25
    assert flat["held_out_novelty"] == asdict(found.held_out_novelty)


def test_a_seed_repeats_it_and_another_draws_others(found, tiny_model, store):
    again = evaluate_model(tiny_model, str(store), N, temperature=TEMPERATURE, seed=SEED)
    assert again.as_dict() == found.as_dict()
    other = evaluate_model(tiny_model, store, N, temperature=TEMPERATURE, seed=SEED + 1)
    assert other.reconstruction == found.reconstruction
    assert other.sampled != found.sampled
    assert not np.array_equal(other.samples.events, found.samples.events)


def test_all_held_out_melodies_are_taken_where_there_are_fewer(tiny_model, store):
    said = []
    found = evaluate_model(tiny_model, store, 500, split="validation", announce=said.append)
    assert found.n == len(found.samples) == 12
    assert found.temperature == 0.5
    assert np.array_equal(found.held_out.events, read_store(store, "validation").events)
    assert said[1:3] == [
        "encoding and decoding 12 held-out melodies, twice",
        "drawing 12 melodies from the prior",
    ]


def test_fewer_than_two_melodies_cannot_be_compared(tiny_model, store):
    with pytest.raises(
        UsageError, match="n must be at least 2, since distributions are compared; got 1"
    ):
        evaluate_model(tiny_model, store, 1)


def test_training_melodies_are_not_held_out(tiny_model, store):
    with pytest.raises(UsageError, match="split must be validation or test, got 'train'"):
        evaluate_model(tiny_model, store, split="train")


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (["train"] * 12, "too few melodies of the split test: 0, at least 2 are needed"),
        (["train"] * 11 + ["test"], "too few melodies of the split test: 1, at least 2"),
        (["test"] * 12, "too few melodies of the split train: 0, at least 2"),
    ],
)
def test_a_split_without_melodies_is_told(
    tiny_model, make_store, tmp_path, some_melodies, splits, message
):
    store = make_store(tmp_path / "store", some_melodies.events, splits, ["a/b.mid"] * 12)
    with pytest.raises(StoreError, match=message):
        evaluate_model(tiny_model, store)


def test_a_missing_store_is_told(tiny_model, tmp_path):
    with pytest.raises(StoreError, match="is not a finished melody store"):
        evaluate_model(tiny_model, tmp_path / "nowhere")


def test_the_picture_shows_what_came_back_and_then_samples_beside_real_melodies(
    found, tmp_path, monkeypatch
):
    drawn = {}

    def draw(melodies, path, **options):
        drawn.update(options, melodies=melodies, path=path)

    monkeypatch.setattr(evaluate_vae, "plot_melodies", draw)
    plot_model_evaluation(found, tmp_path / "q.png")
    true, back = found.held_out.melodies, Melodies(found.decoded)
    inputs, pairs = [0, 3, 7], [1, 2, 5, 6, 9]
    assert drawn["path"] == tmp_path / "q.png"
    shown, others = list(drawn["melodies"]), list(drawn["others"])
    assert shown[:6] == [one for row in inputs for one in (true[row], back[row])]
    assert others == [*(one for row in inputs for one in (back[row], true[row])), *[None] * 10]
    right = (true.events[3] == back.events[3]).mean()
    assert drawn["titles"][2:4] == (
        f"input 2: {found.held_out.files[3]}",
        f"reconstruction 2, {right:.0%} of events; red differs",
    )
    answers = []
    for number, row in enumerate(pairs):
        left, right = shown[6 + 2 * number : 8 + 2 * number]
        answers.append("L" if left == true[row] else "R")
        assert {left, right} == {true[row], found.samples[row]}
        assert drawn["titles"][6 + 2 * number] == f"pair {number + 1}: one is real, one a sample"
    assert set(answers) == {"L", "R"}
    told = " ".join(f"{number}{side}" for number, side in enumerate(answers, 1))
    assert drawn["upside_down"] == f"real: {told}"


def test_the_picture_of_few_melodies_with_strange_names(
    tiny_model, make_store, tmp_path, some_melodies
):
    files = ["a/$x_{.mid", "a/\u4e00\u4e8c\u0301.mid", f"a/{'long' * 40}.mid", *["a/b.mid"] * 9]
    store = make_store(
        tmp_path / "store", some_melodies.events, ["test"] * 3 + ["train"] * 9, files
    )
    plot_model_evaluation(evaluate_model(tiny_model, store), tmp_path / "q.png")
    # an input and 2 pairs: 3 rows of 1.7 inches, at 110 dots an inch
    assert matplotlib.image.imread(tmp_path / "q.png").shape[:2] == (654, 1640)
