"""Folders of image models and classifiers: what is written is what is read."""

import json
from dataclasses import asdict

import pytest
import torch

from melodyconstraints.errors import ArtifactError
from melodyconstraints.images import checkpoint
from melodyconstraints.images.checkpoint import (
    CLASSIFIER_KIND,
    KIND,
    halved,
    load_classifier,
    load_model,
    save_classifier,
    save_model,
)
from melodyconstraints.images.classifier import ClassifierConfig, ImageClassifier
from melodyconstraints.images.config import ImageVAEConfig, TrunkConfig
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.storage.artifacts import save_artifact

TRUNK = TrunkConfig((3, 16, 16), "convolutional", (4, 5, 6, 7))


@pytest.fixture
def model() -> ImageVAE:
    """Of random weights and a latent space that was measured."""
    model = ImageVAE(ImageVAEConfig(TRUNK, 6, 0.2))
    for buffer in (model.sigma_bar, model.code_mean, model.code_scale):
        buffer.uniform_(0.1, 1)
    return model


@pytest.fixture
def classifier() -> ImageClassifier:
    """Of random weights."""
    return ImageClassifier(ClassifierConfig(TRUNK, ("a", "b"), exclusive=True, hidden=9))


def test_a_model_comes_back_in_half_precision(model, tmp_path):
    save_model(model.train(), tmp_path)
    loaded = load_model(str(tmp_path))
    assert loaded.config == model.config
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        assert loaded.state_dict()[name].dtype == torch.float32
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name


def test_what_was_saved_twice_is_the_same(model, tmp_path):
    fingerprint = save_model(model, tmp_path / "first")
    again = load_model(tmp_path / "first")
    assert model.fingerprint == again.fingerprint == fingerprint
    assert model.folder == again.folder == str((tmp_path / "first").resolve())
    save_model(again, tmp_path / "second")
    second, z = load_model(tmp_path / "second"), torch.randn(3, 6)
    assert torch.equal(again.decode(z), second.decode(z))
    assert second.fingerprint == fingerprint
    again.sigma_bar[0] += 1
    assert save_model(again, tmp_path / "third") != fingerprint


def test_a_classifier_comes_back_and_judges_alike(classifier, tmp_path):
    save_classifier(classifier, tmp_path, card="# Judge\n", training={"steps": 3})
    loaded, images = load_classifier(str(tmp_path)), torch.rand(50, 3, 16, 16)
    assert loaded.config == classifier.config
    assert not loaded.training
    assert (tmp_path / "README.md").read_text().endswith("# Judge\n")
    assert json.loads((tmp_path / "config.json").read_text())["training"] == {"steps": 3}
    classifier.load_state_dict({k: t.float() for k, t in halved(classifier).items()})
    assert torch.equal(loaded.predict(images), classifier.predict(images))
    assert torch.equal(loaded.features(images), classifier.features(images))


def test_the_folder_holds_card_and_configuration(model, tmp_path):
    save_model(model, tmp_path / "deep", card="# Card\n", training={"steps": 3})
    folder = tmp_path / "deep"
    assert (folder / "README.md").read_text().endswith("# Card\n")
    assert json.loads((folder / "config.json").read_text()) == {
        "format": "melodyconstraints-1",
        "kind": "image-vae",
        "model": json.loads(json.dumps(asdict(model.config))),
        "training": {"steps": 3},
    }


def test_without_a_folder_the_bundled_model_is_read(model, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    save_model(model, tmp_path)
    for name in (None, "bundled", tmp_path):
        loaded = load_model(name)
        assert loaded.folder == "bundled"
        assert loaded.fingerprint == model.fingerprint


def test_missing_and_foreign_folders_are_refused(model, classifier, tmp_path):
    with pytest.raises(ArtifactError, match="none is not a finished image-vae folder: manifest"):
        load_model(tmp_path / "none")
    with pytest.raises(ArtifactError, match="none is not a finished image-classifier folder"):
        load_classifier(tmp_path / "none")
    save_model(model, tmp_path / "model")
    save_classifier(classifier, tmp_path / "judge")
    with pytest.raises(ArtifactError, match=r"is of kind image-vae, .*; kind image-classifier, "):
        load_classifier(tmp_path / "model")
    with pytest.raises(ArtifactError, match=r"is of kind image-classifier, .*; kind image-vae, "):
        load_model(tmp_path / "judge")


def test_damaged_weights_are_refused(model, tmp_path):
    save_model(model, tmp_path)
    weights = tmp_path / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"is damaged: model\.safetensors does not match"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"latent_dim": 5},
        {"latent_dim": "many"},
        {"sigma_x": -1},
        {"trunk": {}},
        {"trunk": {"shape": [3, 16], "architecture": "convolutional", "widths": [4, 5, 6, 7]}},
        {"trunk": {"shape": [3, 16, 16], "architecture": "dense", "widths": [4, 5, 6, 7]}},
    ],
    ids=str,
)
def test_a_model_of_another_version_is_refused(model, tmp_path, change):
    save_artifact(tmp_path, KIND, {"model": asdict(model.config) | change}, halved(model), "")
    with pytest.raises(ArtifactError, match="does not fit this version: "):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "change", [{"names": ["a"]}, {"hidden": 0}, {"names": 3}, {"unheard_of": 1}], ids=str
)
def test_a_classifier_of_another_version_is_refused(classifier, tmp_path, change):
    config = {"classifier": asdict(classifier.config) | change}
    save_artifact(tmp_path, CLASSIFIER_KIND, config, halved(classifier), "")
    with pytest.raises(ArtifactError, match="does not fit this version: "):
        load_classifier(tmp_path)


def test_a_model_whose_codes_have_no_scale_is_refused(model, tmp_path):
    model.code_scale[0] = 0
    save_model(model, tmp_path)
    with pytest.raises(ArtifactError, match="tensor code_scale must be above 0"):
        load_model(tmp_path)
