"""``mc images train-vae``, ``train-classifier`` and ``train-actor``, on a few made-up faces."""

import csv
import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from melodyconstraints.cli.images import train_actor as train_actor_module
from melodyconstraints.errors import UsageError
from melodyconstraints.images import actor_training, config
from melodyconstraints.images.actor import load_actor, size_of_folder
from melodyconstraints.images.actor_training import preset_settings
from melodyconstraints.images.checkpoint import BUNDLED, load_classifier, load_model
from melodyconstraints.images.config import Preset
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.workflows.images import settings, train_classifier, train_vae

pytestmark = pytest.mark.usefixtures("blank_curves")

TINY = ActorCriticSettings(
    actor_hidden=(8,),
    critic_hidden=(8,),
    condition_units=4,
    rounds=3,
    actor_points=8,
    critic_steps=1,
    actor_steps=1,
    batch_size=8,
    validation=0,
)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch) -> None:
    monkeypatch.setitem(
        config.PRESETS, "small", Preset("convolutional", (4, 4, 4, 4), 3, "of the test")
    )
    monkeypatch.setitem(config.PRESETS, "digits", Preset("feed-forward", (8,), 3, "of the test"))
    monkeypatch.setitem(train_classifier.SIZES, "faces", ((4, 4, 4, 4), 0))
    monkeypatch.setitem(actor_training.PRESETS, "small", TINY)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Twenty images of noise in colour, with two attributes and one that nobody has."""
    folder = tmp_path_factory.mktemp("data") / "faces"
    folder.mkdir()
    rng = np.random.default_rng(0)
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "Smiling", "Wearing_Hat", "Blue_Skin"])
        for number in range(20):
            name = f"{number}.png"
            pixels = rng.integers(256, size=(20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name)
            rows.writerow([name, number % 2, number // 2 % 2, 0])
    return folder


@pytest.fixture
def train(mc, faces):
    """Trains a model of 16x16 pixels in ``model``."""
    return lambda *options: mc(
        *("images", "train-vae", faces, "-o", "model", "--pixels", 16, "--batch-size", 4),
        *options,
    )


@pytest.fixture
def train_actor(mc, train, faces):
    """Trains an actor in ``actor`` on a model in ``model``."""
    assert train("--steps", 1).exit_code == 0
    two = ("--attributes", "smiling,wearing hat")
    start = ("images", "train-actor", faces, "--model", "model", "-o", "actor", *two)
    return lambda *options: mc(*start, *options)


def config_in(folder) -> dict:
    return json.loads((folder / "config.json").read_text())


@pytest.mark.usefixtures("drawn_curves")
def test_a_model_of_faces_is_written_and_its_quality_told(train, table, tmp_path):
    result = train("--steps", 4)
    assert result.exit_code == 0
    folder = tmp_path / "model"
    assert load_model(folder).config.trunk.shape == (3, 16, 16)
    assert (folder / "learning-curves.png").read_bytes().startswith(b"\x89PNG")
    quality = config_in(folder)["training"]["quality"]
    assert quality["elbo"] == pytest.approx(quality["ll"] - quality["kl"])
    assert table(result.stdout) == [
        ["4 held-out images", "mean"],
        ["ELBO, nats an image", f"{quality['elbo']:,.1f}"],
        ["log-likelihood, nats an image", f"{quality['ll']:,.1f}"],
        ["KL divergence, nats an image", f"{quality['kl']:.4g}"],
        ["squared error, a pixel", f"{quality['mse']:.4g}"],
    ]
    assert re.search(r"^ {6}4 +\d+\.\d min  ", result.stderr, re.MULTILINE)
    assert " nats; squared error 0." in result.stderr
    assert result.stderr.endswith("model in model; learning curves in model/learning-curves.png\n")


def test_options_reach_the_training_of_a_model(train, tmp_path):
    result = train(
        *("--steps", 2, "--learning-rate", 0.002, "--precision", "float32", "--seed", 3),
        *("--sigma-x", 0.3),
    )
    assert result.exit_code == 0
    whole = config_in(tmp_path / "model")
    assert whole["model"]["sigma_x"] == 0.3
    settings = whole["training"]["settings"]
    assert (settings["preset"], settings["steps"], settings["batch_size"]) == ("small", 2, 4)
    assert (settings["learning_rate"], settings["seed"]) == (0.002, 3)
    assert (settings["precision"], settings["ema_decay"]) == ("float32", 0.999)


def test_an_autoencoder_has_its_error_alone(train, table):
    result = train("--steps", 1, "--sigma-x", 0)
    assert result.exit_code == 0
    assert [row[0] for row in table(result.stdout)[1:]] == ["squared error, a pixel"]


@pytest.mark.parametrize(
    ("command", "module", "defaults"),
    [
        ("train-vae", train_vae, settings.VAE),
        ("train-classifier", train_classifier, settings.CLASSIFIER),
    ],
    ids=["vae", "classifier"],
)
def test_the_command_has_the_defaults_of_python_and_its_help_tells_them(
    mc, monkeypatch, command, module, defaults
):
    asked = []

    def stop(data, output, settings, **options):
        asked.append(settings)
        raise UsageError("enough")

    monkeypatch.setattr(module, f"{command.replace('-', '_')}_folder", stop)
    mc("images", command, "digits", "-o", "model")
    assert asked == [settings.settings_of(None, defaults)]
    told = " ".join(mc("images", command, "--help").stdout.split())
    assert f"[default: {defaults.time_budget_seconds / 60:g}m]" in told
    assert f"[default: 3e-4 for the paper's, else {defaults.learning_rate:g}]" in told


def test_a_training_of_digits_takes_half_an_hour(mc, monkeypatch):
    asked = []
    monkeypatch.setattr(
        train_vae, "train_vae_folder", lambda *a, **kw: asked.append(a) or {"mse": 0.5}
    )
    assert mc("images", "train-vae", "digits", "-o", "model").exit_code == 0
    data, _, settings = asked[0]
    assert data.train.source == "digits"
    assert (settings.time_budget_seconds, settings.steps) == (1800, None)


@pytest.mark.parametrize(
    ("command", "module", "option"),
    [
        ("train-vae", train_vae, ("--preset", "paper")),
        ("train-vae", train_vae, ("--preset", "paper-digits")),
        ("train-classifier", train_classifier, ("--size", "paper")),
    ],
    ids=str,
)
def test_the_papers_models_are_trained_as_in_the_appendix(
    mc, monkeypatch, command, module, option
):
    asked = []

    def stop(data, output, settings, **options):
        asked.append(asdict(settings))
        raise UsageError("enough")

    monkeypatch.setattr(module, f"{command.replace('-', '_')}_folder", stop)
    start = ("images", command, "digits", "-o", "model", "--steps", 7, *option)
    assert mc(*start).stderr.endswith("enough\n")
    paper = {
        # appendix 9.2: Adam, whose betas are those of torch, (0.9, 0.999)
        "learning_rate": 3e-4,
        "final_learning_rate_fraction": 1.0,
        "warmup_steps": 0,
        "gradient_clip": 0.0,
        "ema_decay": 0.0,
        # not in the paper
        "steps": 7,
        "time_budget_seconds": None,
        "batch_size": 128,
        "precision": "auto",
        "evaluate_every": 2000,
        "checkpoint_every": 200,
        "seed": 0,
    }
    assert asked == [paper]
    mc(*start, "--learning-rate", 0.002)
    assert asked[1] == paper | {"learning_rate": 0.002}


def test_a_process_that_only_helps_says_nothing(train, monkeypatch):
    monkeypatch.setattr(train_vae, "train_vae_folder", lambda *a, **kw: {})
    assert train("--steps", 1).stdout == ""


def test_a_training_goes_on_only_on_demand(train, tmp_path):
    assert train("--steps", 2).exit_code == 0
    refused = train("--steps", 4)
    assert refused.exit_code == 2
    assert "model already holds a training; pass --resume or choose another" in refused.stderr
    printed = json.loads(train("--steps", 4, "--resume", "--json").stdout)
    trained = config_in(tmp_path / "model")["training"]
    assert trained["settings"]["steps"] == 4
    assert printed == trained["quality"]


def test_a_classifier_is_written_and_scored(mc, faces, table, tmp_path):
    start = ("images", "train-classifier", faces, "-o", "judge", "--pixels", 16, "--steps", 2)
    result = mc(*start, "--attributes", "Smiling", "--attributes", "Wearing_Hat")
    assert result.exit_code == 0
    names = ("Smiling", "Wearing_Hat")
    assert load_classifier(tmp_path / "judge").config.names == names
    head, together, *each = table(result.stdout)
    assert head == ["4 held-out images", "accuracy", "precision", "recall", "F1"]
    assert together[0] == "all labels"
    assert [row[0] for row in each] == list(names)
    assert float(together[1]) == pytest.approx(sum(float(row[1]) for row in each) / 2, abs=1e-3)
    assert float(together[4]) == pytest.approx(sum(float(row[4]) for row in each) / 2, abs=1e-3)
    assert re.search(r"^ {6}2 +\d+\.\d min  accuracy [01]\.", result.stderr, re.MULTILINE)

    again = mc(*start)
    assert again.exit_code == 2
    assert "judge already holds the image-classifier of an earlier run; pass" in again.stderr
    printed = json.loads(mc(*start, "--overwrite", "--json").stdout)
    assert set(printed) == {"accuracy", "precision", "recall", "f1", "by_label"}


@pytest.mark.parametrize(
    "method",
    [
        "actor",
        "gradient",
        "langevin",
    ],
)
def test_an_actor_of_every_method_is_written(train_actor, method, tmp_path):
    result = train_actor("--method", method)
    assert result.exit_code == 0
    assert "3/3 rounds" in result.stderr
    assert result.stderr.endswith("see it with: mc images generate --actor actor\n")
    actor = load_actor(tmp_path / "actor")
    assert (actor.method, actor.names) == (method, ("Smiling", "Wearing_Hat"))
    assert not actor.exclusive
    assert actor.settings == preset_settings("small", method)
    assert (tmp_path / "actor" / "training-curves.png").is_file()
    estimate = size_of_folder(actor.model, actor.settings, actor.names, method)
    weights = (tmp_path / "actor" / "model.safetensors").stat().st_size
    assert 0 <= weights - (estimate - 2**20) < 4096  # the names of the tensors


@pytest.mark.parametrize("method", ["actor", "gradient", "langevin"])
def test_json_is_what_the_actors_folder_says_of_its_training(train_actor, method, tmp_path):
    told = json.loads(train_actor("--method", method, "--json").stdout)
    actor = load_actor(tmp_path / "actor")
    assert (told["folder"], told["model"]) == ("actor", actor.model.fingerprint)
    assert (told["method"], told["labels"]) == (method, ["Smiling", "Wearing_Hat"])
    assert (told["rounds"], told["interrupted"]) == (3, False)
    last = actor.records[-1]
    names = [] if method == "langevin" else ["realism"]  # what records are kept of
    assert told["rewards"] == dict(zip(names, last.rewards, strict=True))
    assert told["satisfied"] == dict(zip(names, last.satisfied, strict=True))
    assert told["critic_loss"] == last.critic_loss


def test_an_actor_without_room_on_the_disk_is_not_begun(train_actor, tmp_path, request):
    request.getfixturevalue("full_disk")  # once the model is made
    result = train_actor()
    assert result.exit_code == 2
    assert "actor needs 1.0 MB, and its disk has 0.5 MB free; make room or" in result.stderr
    assert not (tmp_path / "actor").exists()


def test_options_reach_the_training_of_an_actor(train_actor, tmp_path):
    given = ("--distance", 0.5, "--rounds", 2, "--condition-units", 0)
    assert train_actor(*given).exit_code == 0
    settings = load_actor(tmp_path / "actor").settings
    assert settings == replace(TINY, distance_weight=0.5, rounds=2, condition_units=0)


def test_realism_has_no_names(train_actor, tmp_path):
    assert train_actor("--realism-only").exit_code == 0
    assert load_actor(tmp_path / "actor").names == ()


def test_an_actor_is_replaced_only_on_demand(train_actor):
    assert train_actor().exit_code == 0
    refused = train_actor()
    assert refused.exit_code == 2
    assert "actor already holds the image-actor of an earlier run; pass --over" in refused.stderr
    assert train_actor("--overwrite").exit_code == 0


def test_a_training_that_is_stopped_keeps_what_was_learned(train_actor, monkeypatch, tmp_path):
    def stopping(bar, task):
        def show(record):
            if record.round == 1:
                raise KeyboardInterrupt

        return show

    monkeypatch.setattr(train_actor_module, "show_rounds", stopping)
    result = train_actor()
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: stopped after round 2; what was learned is kept\n")
    assert len(load_actor(tmp_path / "actor").records) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--realism-only", "--method", "langevin"], "langevin has no critic of realism"),
        (["--distance", 1, "--method", "gradient"], "gradient trains no actor"),
        (["--device", "moon"], "device 'moon' cannot be used"),
        (["--attributes", "pale"], "unknown attribute 'pale'; known are Smiling, Wearing_Hat, Bl"),
        (["--rounds", 0], "0 is not in the range x>=1"),
        (["--attributes", "blue skin", "--method", "gradient"], "Blue_Skin is 0 in all"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(mc, train, faces, options, message):
    train("--steps", 1)
    result = mc("images", "train-actor", faces, "--model", "model", "-o", "actor", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_data_of_another_shape_are_told(mc, train):
    train("--steps", 1)
    result = mc("images", "train-actor", "digits", "--model", "model", "-o", "actor")
    assert result.exit_code == 2
    assert "makes images of 16x16 pixels in colour, the data has 8x8 pixels in gr" in result.stderr


def test_a_model_that_is_none_is_told(mc, faces, tmp_path):
    (tmp_path / "none").mkdir()
    result = mc("images", "train-actor", faces, "--model", "none", "-o", "actor")
    assert result.exit_code == 1
    assert "Error: none is not a finished image-vae folder" in result.stderr


def test_without_a_model_it_is_the_bundled_one(mc, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "melodyconstraints.images.checkpoint.load_artifact",
        lambda folder, kind, schema: asked.append(folder) or (_ for _ in ()).throw(OSError("no")),
    )
    assert mc("images", "train-actor", "digits", "-o", "actor").exit_code == 1
    assert asked == [BUNDLED]


@pytest.mark.parametrize("name", ["train-vae", "train-classifier"])
def test_data_that_are_none_are_told(mc, name, tmp_path):
    result = mc("images", name, "nowhere", "-o", "out")
    assert result.exit_code == 1
    assert "Error: nowhere is not a folder; give one with images, or 'digits'" in result.stderr
    (tmp_path / "empty").mkdir()
    result = mc("images", name, "empty", "-o", "out")
    assert result.exit_code == 1
    assert "Error: empty holds no labelled images: looked for" in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_image_that_does_not_decode_is_told(mc, tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "labels.csv").write_text("file,Smiling\na.png,1\nb.png,0\n")
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "b.png").write_bytes(b"")
    result = mc("images", "train-classifier", folder, "-o", "out")
    assert result.exit_code == 1
    assert ".png is of no format that is known" in result.stderr
    assert result.stderr.rstrip().endswith("; save it as PNG or JPEG")
