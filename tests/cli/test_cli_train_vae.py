"""``mc train-vae``."""

import json
import math
import re
import signal
from dataclasses import asdict

import pytest
import torch

from melodyconstraints.melody.vae.config import PRESETS
from melodyconstraints.melody.vae.staff import measure_calibration, training
from melodyconstraints.workflows import train_vae
from melodyconstraints.workflows.models import load_model

pytestmark = pytest.mark.usefixtures("blank_curves")

MODEL_FILES = {"config.json", "model.safetensors", "README.md", "manifest.json"}


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch, tiny_config) -> None:
    monkeypatch.setitem(PRESETS, "small", tiny_config)
    monkeypatch.setattr("melodyconstraints.workflows.train_vae.BANKED", 4)


@pytest.fixture
def train(mc, tiny_store):
    """Trains a tiny model in ``model``."""

    def run(*options):
        return mc("train-vae", tiny_store, "-o", "model", "--batch-size", 4, *options)

    return run


def settings_in(folder) -> dict[str, object]:
    return json.loads((folder / "config.json").read_text())["training"]["settings"]


@pytest.mark.usefixtures("drawn_curves")
def test_a_training_writes_a_model_folder_and_tells_its_quality(train, table, tmp_path):
    result = train("--steps", 4)
    assert result.exit_code == 0
    folder = tmp_path / "model"
    assert {path.name for path in folder.iterdir()} == MODEL_FILES | {
        "bank",
        "learning-curves.png",
        "training",
    }
    assert (folder / "learning-curves.png").read_bytes().startswith(b"\x89PNG")
    assert load_model(folder).latent_dim == 8
    quality = json.loads((folder / "config.json").read_text())["training"]["quality"]
    rows = table(result.stdout)
    assert rows[0] == ["held-out melodies", "validation", "test"]
    for name, *values in rows[1:]:
        measured = [quality[split][name.replace(" ", "_")] for split in ("validation", "test")]
        assert values == [f"{value:.3f}" for value in measured]
    assert re.search(r"^ {6}4 +\d+\.\d min  right: ", result.stderr, re.MULTILINE)
    assert " free-running; KL " in result.stderr
    assert result.stderr.endswith("model in model; learning curves in model/learning-curves.png\n")


def test_options_reach_the_training(train, tmp_path):
    (tmp_path / "notes.md").write_text("## Data\n\nMade up: ü.\n", encoding="utf-8")
    result = train(
        *("--steps", 2, "--learning-rate", 0.002, "--precision", "float32", "--seed", 3),
        *("--beta", 0.2, "--free-bits", 256, "--notes", "notes.md"),
    )
    assert result.exit_code == 0
    settings = settings_in(tmp_path / "model")
    assert settings["steps"] == 2
    assert settings["time_budget_seconds"] is None
    assert settings["batch_size"] == 4
    assert settings["learning_rate"] == 0.002
    assert settings["precision"] == "float32"
    assert settings["ema_decay"] == 0.999
    assert settings["seed"] == 3
    assert settings["beta"] == 0.2
    assert settings["free_nats"] == pytest.approx(256 * math.log(2))
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert card.rstrip().endswith("## Data\n\nMade up: ü.")


OWN = {"learning_rate": 1e-3, "ema_decay": 0.999, "warmup_steps": 200, "gradient_clip": 1.0}
OWN |= {"final_learning_rate_fraction": 0.02, "beta": 0.3, "first_beta": 0.02, "as_stored": False}
PAPERS = {"learning_rate": 3e-4, "ema_decay": 0.0, "warmup_steps": 0, "gradient_clip": 0.0}
PAPERS |= {"final_learning_rate_fraction": 1.0, "beta": 1.0, "first_beta": 1.0, "as_stored": True}


@pytest.mark.parametrize(("preset", "expected"), [("small", OWN), ("paper", PAPERS)])
def test_the_settings_that_are_not_given_fit_the_preset(
    mc, tiny_store, monkeypatch, preset, expected
):
    asked = []
    monkeypatch.setattr(
        train_vae, "train_model", lambda *args, **kw: asked.append(args) or {"test": {"kl": 1.0}}
    )
    assert mc("train-vae", tiny_store, "-o", "model", "--preset", preset).exit_code == 0
    _, _, name, settings, elbo = asked[0]
    assert (name, settings.batch_size, settings.precision) == (preset, 8, "auto")
    used = asdict(settings) | asdict(elbo)
    assert {key: used[key] for key in expected} == expected
    assert elbo.free_nats == 0.0


def test_the_help_tells_the_presets_and_their_own_settings(mc):
    told = " ".join(mc("train-vae", "--help").stdout.split())
    assert f"[{'|'.join(train_vae.BATCH_SIZES)}]" in told
    batches = train_vae.BATCH_SIZES
    assert (batches["small"], train_vae.PAPER_BETA) == (batches["paper"], 1)
    assert (
        f"[default: {batches['staff']} for staff, {batches['small']} for small and paper]" in told
    )
    assert f"[default: 1 for paper, else {train_vae.BETA}]" in told
    assert f"[default: {train_vae.TIME_BUDGET_SECONDS / 60:g}m]" in told


def test_the_help_tells_what_the_time_budget_is_not_for(mc):
    text = " ".join(mc("train-vae", "--help").stdout.split())
    assert "2h. What follows the last step comes on top. [default: 30m]" in text
    offsets = (training._OFFSET_ROUNDS + 1) * training._OFFSET_SAMPLE
    drawn = offsets + measure_calibration.ROUNDS * measure_calibration.DRAWN
    assert f"up to {drawn // 1000},000 melodies that it draws" in text
    assert f"up to {2 * train_vae.MEASURED // 1000},000 held-out melodies" in text


def test_a_batch_that_the_processes_cannot_share_evenly_is_told(train, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    result = train("--steps", 1)
    assert result.exit_code == 2
    assert "a batch of 4 cannot be shared by 3 processes evenly" in result.stderr
    assert not (tmp_path / "model").exists()


def test_a_time_budget_ends_the_training(train, tmp_path):
    assert train("--time-budget", "0.05s").exit_code == 0
    settings = settings_in(tmp_path / "model")
    assert (settings["steps"], settings["time_budget_seconds"]) == (None, 0.05)


def test_half_an_hour_is_the_default(mc, tiny_store, monkeypatch):
    asked = []
    monkeypatch.setattr(
        train_vae, "train_model", lambda *args, **kw: asked.append(args) or {"test": {"kl": 1.0}}
    )
    assert mc("train-vae", tiny_store, "-o", "model").exit_code == 0
    assert asked[0][3].time_budget_seconds == 1800
    assert asked[0][3].steps is None


def test_a_training_goes_on_only_on_demand(train, tmp_path):
    assert train("--steps", 2).exit_code == 0
    refused = train("--steps", 4)
    assert refused.exit_code == 2
    assert "model already holds a training; pass --resume or choose another" in refused.stderr
    assert set(json.loads(train("--steps", 4, "--resume", "--json").stdout)) == {
        "validation",
        "test",
    }
    (checkpoint,) = (tmp_path / "model" / "training").glob("step-*")
    assert checkpoint.name == "step-000000004"
    assert "trained for 4 steps" in (tmp_path / "model" / "README.md").read_text()


def test_a_training_that_is_ended_says_how_to_go_on(train, monkeypatch):
    def ended(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(train_vae, "train_model", ended)
    result = train("--steps", 5)
    assert result.exit_code == 1
    assert "stopped; go on from here with --resume" in result.stderr


def test_a_finished_training_can_be_resumed_without_harm(train, tmp_path):
    train("--steps", 2, "--precision", "float32")
    before = load_model(tmp_path / "model").state_dict()
    assert train("--steps", 2, "--precision", "float32", "--resume").exit_code == 0
    after = load_model(tmp_path / "model").state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_a_model_is_trained_further_from_the_command_line(mc, train, tiny_store, tmp_path):
    train("--steps", 2)
    mc_again = ("train-vae", tiny_store, "-o", "further", "--start-from", "model", "--steps", 1)
    assert mc(*mc_again).exit_code == 0
    settings = settings_in(tmp_path / "further")
    assert settings["start_from"] == load_model(tmp_path / "model").fingerprint
    refused = mc("train-vae", tiny_store, "-o", "other", "--start-from", "none", "--steps", 1)
    assert refused.exit_code == 1
    assert "none is not a finished melody-vae folder" in refused.stderr
    assert not (tmp_path / "other").exists()


def test_a_missing_store_is_told(mc):
    result = mc("train-vae", "none", "-o", "model")
    assert result.exit_code == 1
    assert "Error: none is not a finished melody store" in result.stderr
    assert "mc extract-melodies MIDI_DIR -o none" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--time-budget", "30"], "'30' is no duration; write 90s, 30m or 1.5h"),
        (["--steps", "0"], "0 is not in the range x>=1"),
        (["--steps", "1", "--time-budget", "1s"], "give either steps or a time budget"),
        (["--preset", "huge"], "'huge' is not one of"),
        (["--learning-rate", "0"], "0.0 is not in the range x>0"),
        (["--precision", "float8"], "'float8' is not one of"),
        (["--notes", "none.md"], "'none.md': No such file"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(train, options, message):
    result = train(*options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_model_needs_a_place(mc, tiny_store):
    result = mc("train-vae", tiny_store)
    assert result.exit_code == 2
    assert "Missing option '-o'" in result.stderr
