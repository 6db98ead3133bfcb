"""Model folders: what is written is what is read, and anything else is refused."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest
import torch

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.melody.vae.config import PRESETS
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.storage.artifacts import save_artifact
from melodyconstraints.workflows.models import BUNDLED, KIND, load_model, save_model


def test_a_model_comes_back_in_half_precision(tiny_model, tmp_path):
    tiny_model.sigma_bar.uniform_(0.1, 1)
    tiny_model.train()
    save_model(tiny_model, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.config == tiny_model.config
    assert not loaded.training
    read = loaded.state_dict()
    for name, tensor in tiny_model.state_dict().items():
        assert read[name].dtype == torch.float32
        assert torch.equal(read[name], tensor.half().float()), name


def test_what_was_saved_twice_is_the_same(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "first")
    again = load_model(tmp_path / "first")
    save_model(again, tmp_path / "second")
    z = torch.randn(3, 8)
    second = load_model(tmp_path / "second")
    assert torch.equal(
        again.decode(z, Sampling(temperature=0)), second.decode(z, Sampling(temperature=0))
    )
    assert again.fingerprint == second.fingerprint


def test_the_fingerprint_names_weights_and_configuration(tiny_model, tmp_path):
    fingerprint = save_model(tiny_model, tmp_path, card="one")
    assert load_model(tmp_path).fingerprint == fingerprint
    assert save_model(tiny_model, tmp_path, card="another") == fingerprint
    assert save_model(tiny_model, tmp_path, training={"steps": 3}) != fingerprint
    tiny_model.decoder.output.bias.data[0] += 1
    assert save_model(tiny_model, tmp_path) != fingerprint


def test_the_folder_holds_card_configuration_and_weights(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "deep" / "down", card="# Card\n", training={"steps": 3})
    folder = tmp_path / "deep" / "down"
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "README.md", "manifest.json"}
    assert (folder / "README.md").read_text().endswith("# Card\n")
    assert json.loads((folder / "config.json").read_text()) == {
        "format": "melodyconstraints-1",
        "kind": "melody-vae",
        "model": asdict(tiny_model.config),
        "training": {"steps": 3},
    }


def test_a_folder_may_be_named_by_a_string(tiny_model_folder):
    assert load_model(str(tiny_model_folder)).latent_dim == 8


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"none is not a finished melody-vae folder: manifest"):
        load_model(tmp_path / "none")


@pytest.mark.parametrize(
    ("typed", "meant"), [("budled", "bundled"), ("Bundled", "bundled"), ("stafff", "staff")]
)
def test_a_packaged_model_that_is_mistyped_is_suggested(typed, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = f"^{typed} is not a finished .*; there is no such folder; did you mean {meant}[?]$"
    with pytest.raises(ArtifactError, match=told):
        load_model(typed)


@pytest.mark.parametrize("other", ["models/mine", "stall/staff", "mine"])
def test_for_another_name_nothing_is_suggested(other, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=r"there is no such folder$"):
        load_model(other)


def test_a_folder_that_is_there_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "budled").mkdir()
    with pytest.raises(ArtifactError, match=r"manifest.json cannot be read$"):
        load_model("budled")


def test_another_kind_of_folder_is_refused(tiny_actor_folder):
    message = "is of kind actor, format melodyconstraints-1; kind melody-vae, format .* is wanted"
    with pytest.raises(ArtifactError, match=message):
        load_model(tiny_actor_folder)


def test_damaged_weights_are_refused(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path)
    weights = tmp_path / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"is damaged: model\.safetensors does not match"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"unheard_of": 1},
        {"encoder": "conv"},
        {"latent_dim": 9},
        {"latent_dim": "many"},
    ],
    ids=str,
)
def test_a_model_of_another_version_is_refused(tiny_model, tmp_path, change):
    tensors = {name: tensor.half() for name, tensor in tiny_model.state_dict().items()}
    save_artifact(tmp_path, KIND, {"model": asdict(tiny_model.config) | change}, tensors, "")
    message = "does not fit this version: .*; train it again with: mc train-vae$"
    with pytest.raises(ArtifactError, match=message):
        load_model(tmp_path)


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    save_artifact(tmp_path, KIND, {}, {}, "")
    with pytest.raises(ArtifactError, match="does not fit this version: model: Field required"):
        load_model(tmp_path)


def test_the_staff_generator_is_the_default():
    assert load_model().fingerprint == load_model("staff").fingerprint


def test_the_bundled_model_is_small():
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) <= 16_000_000
    model = load_model("bundled")
    assert isinstance(model, MelodyVAE)
    assert model.config == PRESETS["small"]
    assert model.fingerprint == load_model(BUNDLED).fingerprint
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())


@pytest.mark.parametrize("name", ["staff", "bundled"])
def test_a_model_is_read_and_draws_melodies_without_a_compiler(name):
    program = f"""
import sys
import melodyconstraints as mc
mc.generate(mc.load_model({name!r}), 1)
loaded = {{"torch._dynamo", "sympy", "scipy", "numba"}} & {{*sys.modules}}
sys.exit(f"loads {{loaded}}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("device", "reason"), [("abacus", "abacus"), ("meta", "meta tensors")])
def test_a_device_that_holds_no_weights_is_refused(device, reason):
    with pytest.raises(
        UsageError, match=f"device '{device}' cannot be used: .*{reason}.*; take cpu"
    ):
        load_model(device=device)


def test_what_json_does_not_know_is_refused_before_a_folder_is_made(tiny_model, tmp_path):
    with pytest.raises(UsageError, match=r"can hold plain JSON values only: Object of type"):
        save_model(tiny_model, tmp_path / "mine", training={"by": object()})
    assert not (tmp_path / "mine").exists()
