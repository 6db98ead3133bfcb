"""From a melody store to a model folder."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.errors import ArtifactError, StoreError, UsageError
from melodyconstraints.melody.vae.config import PRESETS
from melodyconstraints.melody.vae.reconstruction import measure_reconstruction
from melodyconstraints.melody.vae.staff.config import STAFF_PRESETS, StaffConfig
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.melody.vae.training import ElboSettings
from melodyconstraints.vae.distributed import Processes
from melodyconstraints.vae.training import TrainingSettings
from melodyconstraints.workflows import train_vae
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.train_vae import choose, settings_of, train_model

pytestmark = pytest.mark.usefixtures("blank_curves")


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch, tiny_config) -> None:
    monkeypatch.setitem(PRESETS, "small", tiny_config)
    monkeypatch.setattr(train_vae, "BANKED", 4)


def settings(steps: int) -> TrainingSettings:
    return TrainingSettings(steps=steps, batch_size=4, precision="float32")


@pytest.fixture
def store_with(make_store):
    """Makes a store with one melody for each split named."""

    def make(folder, melodies, splits):
        count = len(splits)
        return make_store(folder, melodies.events[:count], splits, ["a/b.mid"] * count)

    return make


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("preset", ["small", "staff"])
def test_a_training_without_room_on_the_disk_is_not_begun(tiny_store, tmp_path, preset):
    out = tmp_path / "model"
    with pytest.raises(UsageError, match=r"needs [\d.]+ MB, and its disk has 0\.5 MB free"):
        train_model(tiny_store, out, preset, settings(2), ElboSettings())
    assert not out.exists()


@pytest.mark.usefixtures("drawn_curves")
def test_a_training_leaves_a_model_with_card_and_curves(tiny_store, tmp_path, tiny_config):
    steps = []
    measured = train_model(
        tiny_store,
        tmp_path,
        "small",
        settings(4),
        ElboSettings(beta=0.25),
        notes="## Data\n\nMade up.",
        callback=lambda state: steps.append(state.step),
    )
    model = load_model(tmp_path)
    assert model.config == tiny_config
    assert steps == [1, 2, 3, 4]
    assert (tmp_path / "learning-curves.png").read_bytes().startswith(b"\x89PNG")
    assert set(measured) == {"validation", "test"}
    for split, quality in measured.items():
        # the folder holds half precision, the numbers are of full precision
        again = measure_reconstruction(model, read_store(tiny_store, split).events).as_dict()
        assert quality["kl"] == pytest.approx(again["kl"], rel=0.02)
        assert quality["sigma"] == pytest.approx(again["sigma"], rel=0.02)
    card = (tmp_path / "README.md").read_text()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert f"{parameters:,} parameters, trained for 4 steps" in card
    assert "| airs | 9 |\n| hymns | 3 |" in card
    assert "| beta | 0.25 |" in card
    assert "## Data\n\nMade up." in card
    training = json.loads((tmp_path / "config.json").read_text())["training"]
    assert (training["preset"], training["steps"]) == ("small", 4)
    assert training["quality"] == measured
    assert (training["settings"]["beta"], training["settings"]["batch_size"]) == (0.25, 4)


def test_an_earlier_training_is_kept_unless_it_is_resumed(tiny_store, tmp_path):
    train_model(tiny_store, tmp_path, "small", settings(2), ElboSettings())
    with pytest.raises(UsageError, match="already holds a training; pass --resume or choose ano"):
        train_model(tiny_store, tmp_path, "small", settings(4), ElboSettings())
    steps = []
    train_model(
        tiny_store,
        tmp_path,
        "small",
        settings(4),
        ElboSettings(),
        resume=True,
        callback=lambda state: steps.append(state.step),
    )
    assert steps == [3, 4]


def test_a_training_of_another_preset_is_not_resumed(tiny_store, tmp_path, monkeypatch):
    train_model(tiny_store, tmp_path, "small", settings(2), ElboSettings())
    monkeypatch.undo()
    with pytest.raises(ArtifactError, match="is damaged or belongs to another model"):
        train_model(tiny_store, tmp_path, "small", settings(4), ElboSettings(), resume=True)


def test_a_model_can_be_trained_further_into_another_folder(tiny_store, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    train_model(tiny_store, first, "small", settings(3), ElboSettings(beta=0.3))
    train_model(tiny_store, second, "small", settings(2), ElboSettings(beta=0.4), start_from=first)
    training = json.loads((second / "config.json").read_text())["training"]
    assert training["settings"]["start_from"] == load_model(first).fingerprint
    assert (training["settings"]["bars_share"], training["settings"]["first_beta"]) == (None, 0.4)
    card = (second / "README.md").read_text()
    assert f"| start_from | {load_model(first).fingerprint} |" in card
    with pytest.raises(ArtifactError, match="nowhere is not a finished melody-vae folder"):
        train_model(
            *(tiny_store, tmp_path / "third", "small", settings(2), ElboSettings()),
            start_from=tmp_path / "nowhere",
        )
    assert not (tmp_path / "third").exists()


def test_a_model_is_trained_further_by_its_own_preset(tiny_store, tmp_path, monkeypatch):
    train_model(tiny_store, tmp_path / "first", "small", settings(1), ElboSettings())
    monkeypatch.undo()
    with pytest.raises(UsageError, match="first is not of preset small; choose the one it was ma"):
        train_model(
            *(tiny_store, tmp_path / "second", "small", settings(1), ElboSettings()),
            start_from=tmp_path / "first",
        )


def test_a_process_that_only_helps_measures_and_writes_nothing(tiny_store, tmp_path, monkeypatch):
    @contextmanager
    def helping(device, batch_size):
        assert (device, batch_size) == ("cpu", 4)
        yield Processes(rank=1), device

    monkeypatch.setattr(train_vae, "processes", helping)
    told = []
    measured = train_model(
        tiny_store,
        tmp_path / "model",
        "small",
        settings(1),
        ElboSettings(),
        callback=told.append,
        announce=told.append,
    )
    assert (measured, told) == ({}, [])
    assert not (tmp_path / "model").exists()


def test_a_split_without_melodies_is_not_measured(some_melodies, tmp_path, store_with):
    store = store_with(tmp_path / "store", some_melodies, ["train", "train", "validation"])
    measured = train_model(store, tmp_path / "model", "small", settings(1), ElboSettings())
    assert set(measured) == {"validation"}


@pytest.mark.parametrize(
    ("splits", "error", "message"),
    [
        ([], UsageError, "holds no melody to train on; extract more files"),
        (["validation", "test"], UsageError, "holds no melody to train on; extract more files"),
        (["train", "test"], StoreError, "holds no melody of the split validation; extract more"),
    ],
)
def test_a_store_that_is_too_small_is_refused(
    some_melodies, tmp_path, splits, error, message, store_with
):
    store = store_with(tmp_path / "store", some_melodies, splits)
    with pytest.raises(error, match=message):
        train_model(store, tmp_path / "model", "small", settings(1), ElboSettings())
    assert not (tmp_path / "model").exists()


def test_a_missing_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="none is not a finished melody store"):
        train_model(tmp_path / "none", tmp_path, "small", settings(1), ElboSettings())


def test_choosing_takes_different_melodies_in_their_order_and_always_the_same(some_melodies):
    chosen = choose(some_melodies.events, 5)
    rows = [np.flatnonzero((some_melodies.events == row).all(1)).tolist() for row in chosen]
    places = [row[0] for row in rows]
    assert places == sorted(set(places))
    assert len(places) == 5
    assert np.array_equal(chosen, choose(some_melodies.events, 5))
    assert np.array_equal(choose(some_melodies.events, 50), some_melodies.events)


def test_the_watched_melodies_are_of_the_validation_split(tiny_store, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        train_vae, "train_melody_vae", lambda *args, **kw: seen.append(args) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        train_model(tiny_store, tmp_path, "small", settings(1), ElboSettings())
    _, events, sources, held_out, _ = seen[0]
    assert np.array_equal(events, read_store(tiny_store, "train").events)
    assert sorted(set(sources)) == ["airs", "hymns"]
    assert np.array_equal(held_out, read_store(tiny_store, "validation").events)


def test_a_finished_model_without_its_checkpoints_is_not_overwritten(
    tiny_store, tiny_model_folder
):
    with pytest.raises(UsageError, match="already holds the melody-vae of an earlier run; choose"):
        train_model(tiny_store, tiny_model_folder, "small", settings(1), ElboSettings())


def test_an_unknown_preset_is_refused(tiny_store, tmp_path):
    with pytest.raises(UsageError, match="preset must be one of paper, small, staff, got 'huge'"):
        train_model(tiny_store, tmp_path, "huge", settings(1), ElboSettings())


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tiny_store, tmp_path):
    output = tmp_path / "model"
    with pytest.raises(UsageError, match="device 'abacus' cannot be used"):
        train_model(tiny_store, output, "small", settings(1), ElboSettings(), device="abacus")
    assert not output.exists()


@pytest.mark.usefixtures("quick_calibration")
def test_a_staff_generator_is_trained_saved_and_read(tiny_store, tmp_path, monkeypatch):
    small = StaffConfig(
        bar_code=4, bar_units=8, bar_hidden=8, step_features=4, decoder_units=8, units=8, heads=2
    )
    monkeypatch.setitem(STAFF_PRESETS, "staff", small)
    said = []
    measured = train_model(
        *(tiny_store, tmp_path / "first", "staff", settings(4), ElboSettings()),
        announce=said.append,
    )
    assert set(measured) == {"validation", "test"}
    assert [line.split()[0] for line in said] == ["drawing", "measuring", "decoding"]
    model = load_model(tmp_path / "first")
    assert isinstance(model, StaffGenerator)
    assert model.config == small
    z = torch.randn(3, model.latent_dim)
    assert torch.equal(model.decode(z), load_model(tmp_path / "first").decode(z))
    assert len(load_bank(model).points) >= 1
    train_model(
        *(tiny_store, tmp_path / "further", "staff", settings(2), ElboSettings()),
        start_from=tmp_path / "first",
    )
    again = load_model(tmp_path / "further")
    codes = [one.bars.encoder.tokens.weight for one in (again, model)]
    assert torch.equal(*codes)


@pytest.mark.parametrize(
    ("preset", "batch_size", "learning_rate", "decay", "betas"),
    [("staff", 64, 1e-3, 0.999, (0.02, 0.3)), ("paper", 8, 3e-4, 0.0, (1.0, 1.0))],
)
def test_a_preset_has_settings_of_its_own(preset, batch_size, learning_rate, decay, betas):
    training, elbo = settings_of(preset, steps=5, batch_size=None)
    assert (training.steps, training.batch_size, training.ema_decay) == (5, batch_size, decay)
    assert training.learning_rate == learning_rate
    assert (elbo.first_beta, elbo.beta) == betas
    assert elbo.as_stored == (preset == "paper")


def test_what_is_given_goes_before_the_settings_of_a_preset():
    training, elbo = settings_of("small", steps=5, learning_rate=0.1, beta=0.2, free_bits=2.0)
    assert (training.learning_rate, elbo.beta) == (0.1, 0.2)
    assert elbo.free_nats == pytest.approx(2 * 0.6931471805599453)


def test_without_a_length_a_training_takes_half_an_hour():
    training, _ = settings_of("small", time_budget_seconds=None)
    assert (training.steps, training.time_budget_seconds) == (None, 1800)
    with pytest.raises(UsageError, match="give either steps or a time budget"):
        settings_of("small", steps=5, time_budget_seconds=5.0)


def test_settings_of_no_preset_are_refused():
    with pytest.raises(UsageError, match=r"preset must be one of .*, got 'huge'"):
        settings_of("huge", steps=1)
