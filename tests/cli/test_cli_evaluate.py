"""``mc evaluate``."""

import json
from pathlib import Path

import matplotlib.image
import pytest
import torch

from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.latent.constraints import Encodings
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.workflows.evaluate_actor import evaluate_actor
from melodyconstraints.workflows.evaluate_vae import STAGES, evaluate_model
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model, save_model
from melodyconstraints.workflows.read_melodies import folder_melodies
from melodyconstraints.workflows.train_actor import train_actor


@pytest.fixture
def evaluate(mc, tiny_actor_folder):
    """Evaluates the tiny actor."""
    return lambda *options: mc("evaluate", "--actor", tiny_actor_folder, *options)


def test_json_is_the_evaluation_in_python(evaluate, tiny_actor_folder):
    result = evaluate("-n", 20, "--seed", 3, "--temperature", 0.8, "--json")
    assert result.exit_code == 0
    expected = evaluate_actor(load_actor(tiny_actor_folder), 20, seed=3, temperature=0.8)
    assert json.loads(result.stdout) == json.loads(json.dumps(expected.as_dict()))


def test_the_seed_is_that_of_python_by_default(evaluate, tiny_actor_folder):
    expected = evaluate_actor(load_actor(tiny_actor_folder), 2)
    found = json.loads(evaluate("-n", 2, "--json").stdout)
    assert found == json.loads(json.dumps(expected.as_dict()))


def test_the_table_shows_prior_and_actor_rule_by_rule(evaluate, table, tiny_actor_folder):
    result = evaluate("-n", 20, "--seed", 3)
    assert result.exit_code == 0
    found = evaluate_actor(load_actor(tiny_actor_folder), 20, seed=3)
    assert "n = 20, temperature 0.5" in result.stdout

    def cells(statistics) -> list[str]:
        mean, satisfied = statistics.mean_interval, statistics.satisfied_interval
        return [
            f"{statistics.mean:.4f}",
            f"{mean[0]:.4f}-{mean[1]:.4f}",
            f"{statistics.satisfied:.1%}",
            f"{satisfied[0]:.1%}-{satisfied[1]:.1%}",
        ]

    assert table(result.stdout) == [
        ["rule", "from", "mean", "95%", "satisfied", "95%"],
        ["cmajor", "prior", *cells(found.prior["cmajor"])],
        ["", "actor", *cells(found.actor["cmajor"])],
        ["density:252", "prior", *cells(found.prior["density:252"])],
        ["", "actor", *cells(found.actor["density:252"])],
        ["all its rules", "prior", "", "", "0.0%", ""],
        ["", "actor", "", "", "0.0%", ""],
        ["typical melodies", "prior", *cells(found.prior_typical)],
        ["", "actor", *cells(found.typical)],
        ["", "actor", "unrelated prior point"],
        ["z_MSE", f"{found.moved.z_mse:.3f}", f"{found.unrelated.z_mse:.3f}"],
        [
            "notes of the prior's melodies that stay",
            *(f"{one.surviving_notes:.1%}" for one in (found.moved, found.unrelated)),
        ],
        ["distinct melodies", "100.0%", ""],
        [
            "pairwise edit distance, actor / prior",
            f"{found.diversity_ratio:.2f}  "
            f"({found.diversity:.0f} / {found.prior_diversity:.0f} events)",
            "",
        ],
    ]


def test_with_a_store_it_is_told_how_like_held_out_melodies_they_are(
    evaluate, table, tiny_actor_folder, store
):
    result = evaluate("-n", 20, "--data", store)
    assert result.exit_code == 0
    held_out = Melodies(read_store(store, "test").events)
    found = evaluate_actor(load_actor(tiny_actor_folder), 20, held_out=held_out)
    rows = table(result.stdout)[14:]
    columns = ["all: prior", "all: actor", "satisfying: prior", "satisfying: actor"]
    assert rows[0] == ["overlap with", *columns]
    assert rows[1:3] == [
        [
            label,
            *(f"{area:.3f}" for area in (found.likeness[name].prior, found.likeness[name].actor)),
            "",
            "",
        ]
        for name, label in (
            ("pitch_class_histogram", "pitch class *"),
            ("interval_histogram", "interval"),
        )
    ]
    assert len(rows) == 1 + len(found.likeness) + 1
    assert rows[-1][:3] == ["mean of the others", *(f"{area:.3f}" for area in found.realism)]
    assert "the 0 of these that satisfy the rules in some key" in result.stdout
    assert "Fewer than two held-out melodies satisfy the rules: no structure" in result.stdout


def test_what_is_searched_for_rules_is_compared_with_real_melodies_that_satisfy_them(
    mc, tiny_model_folder, store
):
    result = mc(
        *("evaluate", "--model", tiny_model_folder, "--rule", "density:50"),
        *("--data", store, "-n", 4, "--json"),
    )
    assert result.exit_code == 0
    flat = json.loads(result.stdout)
    assert (list(flat["rules"]), flat["n_satisfying"]) == (["density:50"], 4)
    assert list(flat["structure"]) == ["held_out", "prior", "actor"]


def test_the_title_of_structures_names_the_best_values_of_measures_that_are_there(
    mc, tiny_model_folder, store, table
):
    result = mc(
        *("evaluate", "--model", tiny_model_folder, "--rule", "density:50"),
        *("--data", store, "-n", 4),
    )
    assert result.exit_code == 0
    (title,) = (line for line in result.stdout.splitlines() if line.startswith("Are they built"))
    assert title == (
        "Are they built like held-out melodies that satisfy the rules? "
        "Best are the values of the held-out melodies, similarity error 0"
    )
    labels = [row[0] for row in table(result.stdout)]
    assert "similarity error" in labels
    assert "AUC of a classifier" not in labels


def test_a_store_with_one_held_out_melody_is_refused(evaluate, make_store, tmp_path):
    events = Melodies.stack([Melody.from_notes([(0, 4, 60)])] * 2).events
    make_store(tmp_path / "store", events, ["train", "test"], ["a/b.mid"] * 2)
    result = evaluate("--data", "store")
    assert result.exit_code == 1
    assert (
        "store holds too few melodies of the split test: 1, at least 2 are needed" in result.stderr
    )


def test_melodies_that_are_all_alike_have_no_ratio(mc, table, tiny_model, tiny_settings, tmp_path):
    tiny_model.decoder.output.weight.data.zero_()
    save_model(tiny_model, tmp_path / "model")
    actor = train_actor(load_model(tmp_path / "model"), ["cmajor"], settings=tiny_settings)
    actor.save(tmp_path / "actor")
    result = mc("evaluate", "--actor", "actor", "-n", 4, "--temperature", 0)
    assert result.exit_code == 0
    assert table(result.stdout)[-1][1:] == ["-  (0 / 0 events)", ""]


def test_another_model_is_refused(evaluate, tiny_model_folder, tmp_path):
    model = load_model(tiny_model_folder)
    model.sigma_bar.mul_(2)
    save_model(model, tmp_path / "other")
    result = evaluate("--model", "other")
    assert result.exit_code == 1
    assert "was trained on the model" in result.stderr
    assert "train it again with: mc train-actor" in result.stderr


def test_its_model_may_be_given(evaluate, tiny_model_folder):
    assert evaluate("--model", tiny_model_folder, "-n", 2).exit_code == 0


def test_a_model_folder_is_no_actor(mc, tiny_model_folder):
    result = mc("evaluate", "--actor", tiny_model_folder)
    assert result.exit_code == 1
    assert "is of kind melody-vae, format melodyconstraints-1; kind actor" in result.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory, tiny_store, make_store):
    """The tiny store, but one of the melodies to test with is one of those to train on."""
    stored = read_store(tiny_store)
    events = stored.events.copy()
    events[18] = events[3]
    splits = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    return make_store(tmp_path_factory.mktemp("stores") / "known", events, splits, stored.files)


@pytest.fixture
def measure(mc, tiny_model_folder, store):
    """Measures the tiny model on it."""
    return lambda *options: mc("evaluate", "--model", tiny_model_folder, "--data", store, *options)


@pytest.fixture
def quality(tiny_model_folder, store):
    """What that finds."""
    model = load_model(tiny_model_folder)
    return lambda *args, **options: evaluate_model(model, store, *args, **options)


def test_the_json_of_a_model_is_its_quality_in_python(measure, quality):
    result = measure("-n", 3, "--seed", 2, "--temperature", 0.9, "--split", "validation", "--json")
    assert result.exit_code == 0
    expected = quality(3, seed=2, temperature=0.9, split="validation")
    assert json.loads(result.stdout) == json.loads(json.dumps(expected.as_dict()))


def test_a_bar_counts_the_stages_of_a_measurement(measure, bars_ended):
    result = measure("-n", 3)
    assert bars_ended == [(STAGES - 1, STAGES, "looking for copies of 12 training melodies")]
    assert result.stderr == ""


def test_the_tables_of_a_model_answer_three_questions(measure, quality, table):
    result = measure()
    assert result.exit_code == 0
    found = quality(1024)  # the store has 4
    flat = found.as_dict()
    text = " ".join(result.stdout.split())
    assert "Does it give melodies back? 4 of the split test; samples at temperature 0.5." in text
    assert "4 samples of the prior at temperature 0.5 against the held-out melodies." in text

    def shares(one, *names):
        return [f"{one[name]:.1%}" for name in names]

    rows = table(result.stdout)
    assert rows[:6] == [
        ["right", "posterior mean", "posterior sample"],
        *(
            [label, *shares(flat, name), *shares(flat["sampled"], name)]
            for label, name in (
                ("events, teacher-forced", "teacher_forced"),
                ("events, free-running", "free_running"),
                ("notes, teacher-forced", "onsets_teacher_forced"),
                ("notes, free-running", "onsets_free_running"),
                ("notes, F1", "onset_f1"),
            )
        ),
    ]
    names = ("teacher_forced", "free_running", "onset_f1")
    assert rows[6:9] == [
        ["collection", "melodies", "teacher-forced", "free-running", "notes, F1"],
        ["airs", "3", *shares(flat["collections"]["airs"], *names)],
        ["hymns", "1", *shares(flat["collections"]["hymns"], *names)],
    ]
    assert rows[9:14] == [
        ["latent space", ""],
        ["KL from the prior, nats a melody", f"{flat['kl']:.1f}"],
        ["active dimensions", f"{flat['active_dimensions']}"],
        ["variance of the posterior means; the prior's is 1", f"{flat['mean_variance']:.2f}"],
        ["mean posterior scale", f"{flat['sigma']:.2f}"],
    ]
    assert rows[14] == ["feature", "held out", "samples", "overlap", "KL", "gap", "ceiling"]
    assert [row[0] for row in rows[15:29]] == [
        *("pitch class", "interval", "note length", "notes per bar", "pitch range"),
        *("pitches used", "pitch classes used", "pitch class entropy", "scale consistency"),
        *("groove consistency", "repeated bars", "empty bars", "empty beats", "mean"),
    ]
    for row, name in ((rows[16], "interval_histogram"), (rows[19], "pitch_range")):
        one, listed = flat["features"][name], name == "interval_histogram"
        assert row[1:] == [
            *("" if listed else f"{one[where]:.3g}" for where in ("held_out", "samples")),
            f"{one['overlapping_area']:.3f}",
            f"{one['kl_divergence']:.3f}",
            f"{one['distance']:.3f}",
            f"{one['training']['overlapping_area']:.3f}",
        ]
    areas = f"{flat['overlapping_area']:.3f}", f"{flat['training_overlapping_area']:.3f}"
    assert rows[28] == ["mean", "", "", areas[0], "", "", areas[1]]
    assert flat["held_out_novelty"]["near_copies"] == 1 / 4 != flat["near_copies"]
    novelty = [
        shares(one, "near_copies", "quotations", "similarity")
        for one in (flat, flat["held_out_novelty"])
    ]
    assert rows[29:32] == [
        ["mean", "held out", "samples", "training"],
        *(
            [name.replace("_", " "), *(f"{one[name]:.3f}" for one in flat["structure"].values())]
            for name in ("repeated_bars", "repeated_rhythms")
        ),
    ]
    errors = [flat["structure"][name]["similarity_error"] for name in ("samples", "training")]
    assert rows[43] == ["similarity error", "", *(f"{error:.3f}" for error in errors)]
    assert rows[44:] == [
        ["", "samples", "held out"],
        ["near-copies of a training melody", novelty[0][0], novelty[1][0]],
        ["quote 17 notes of a training melody", novelty[0][1], novelty[1][1]],
        ["notes shared with the most similar one", novelty[0][2], novelty[1][2]],
    ]


def test_the_picture_of_a_model_is_written_and_named_on_stderr(measure, tmp_path):
    result = measure("-n", 2, "--plot", "rolls.png", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["n"] == 2
    assert "piano rolls in rolls.png" in result.stderr
    # an input and a pair: 2 rows of 1.7 inches, at 110 dots an inch
    assert matplotlib.image.imread(tmp_path / "rolls.png").shape[:2] == (436, 1640)


def test_a_store_that_is_not_there_is_told(mc, tiny_model_folder):
    result = mc("evaluate", "--model", tiny_model_folder, "--data", "nowhere")
    assert result.exit_code == 1
    assert "nowhere is not a finished melody store" in result.stderr
    assert "make one with: mc extract-melodies" in result.stderr


def test_a_store_without_held_out_melodies_is_told(mc, tiny_model_folder, make_store, tmp_path):
    events = Melodies.stack([Melody.from_notes([(0, 4, 60)])] * 2).events
    make_store(tmp_path / "store", events, ["train"] * 2, ["a/b.mid"] * 2)
    result = mc("evaluate", "--model", tiny_model_folder, "--data", "store")
    assert result.exit_code == 1
    assert "store holds too few melodies of the split test: 0" in result.stderr


def test_a_model_that_is_not_there_is_told(mc, tiny_store):
    result = mc("evaluate", "--model", "nowhere", "--data", tiny_store)
    assert result.exit_code == 1
    assert "nowhere" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --actor DIR, --rule RULE or --data STORE"),
        (["--actor", "x", "-n", "1"], "1 is not in the range x>=2"),
        (["--actor", "x", "--split", "test"], "--split goes with --data alone only"),
        (["--actor", "x", "--plot", "x.png"], "--plot goes with --data alone only"),
        (["--data", "x", "--rule", "cmajor", "--split", "test"], "--split goes with --data alone"),
        (["--rule", "cmajor", "--rules-from", __file__], "--rules-from goes with --actor only"),
        (["--data", "x", "--split", "train"], "'train' is not one of 'validation', 'test'"),
        (["--data", "x", "--plot", "x.pdf"], "--plot writes a PNG; x.pdf must end in .png"),
        (["--data", "x", "--plot", "no/x.png"], "--plot: there is no folder no"),
    ],
)
def test_wrong_usage_is_told(mc, arguments, message):
    result = mc("evaluate", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_actor_by_examples_is_compared_with_those_held_out(
    mc, tiny_model_folder, tiny_settings, table
):
    for folder, low in (("reels", 60), ("hymns", 30)):
        Path(folder).mkdir()
        for number in range(6):
            notes = [(4 * beat, 4, low + beat * (number + 1) % 12) for beat in range(64)]
            write_melody(Melody.from_notes(notes), Path(folder) / f"{number}.mid")
    kinds = [folder_melodies(folder) for folder in ("reels", "hymns")]
    like, unlike = (Melodies(kind.events[:3]) for kind in kinds)
    model = load_model(tiny_model_folder)
    actor = train_actor(model, like=like, unlike=unlike, settings=tiny_settings)
    actor.save("actor")
    result = mc("evaluate", "--actor", "actor", "-n", 4)
    assert "like the examples: give --like and --unlike to compare with those" in result.stdout
    assert "all its rules" not in result.stdout
    result = mc("evaluate", "--actor", "actor", "-n", 4, "--like", "reels", "--unlike", "hymns")
    assert result.exit_code == 0
    found = evaluate_actor(actor, 4, like=kinds[0], unlike=kinds[1]).examples
    rows = table(result.stdout)[-4:]
    assert [row[0] for row in rows] == [
        *("3 liked, held out", "3 unliked, held out", "prior", "actor")
    ]
    assert [row[1] for row in rows] == [
        f"{found.predicted[name]:.1%}" for name in ("liked", "unliked", "prior", "actor")
    ]
    assert [row[2] for row in rows[1:]] == [
        f"{found.overlapping_area[name]:.3f}" for name in ("unliked", "prior", "actor")
    ]


def test_an_actor_of_realism_is_not_asked_for_examples(mc, tiny_model_folder, tiny_settings):
    model = load_model(tiny_model_folder)
    encodings = Encodings(torch.randn(32, model.latent_dim))
    train_actor(model, ["cmajor"], settings=tiny_settings, realism=encodings).save("actor")
    result = mc("evaluate", "--actor", "actor", "-n", 4)
    assert result.exit_code == 0
    assert "--like" not in result.stdout
