"""Image models and classifiers on disk; see :mod:`melodyconstraints.storage.artifacts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from melodyconstraints.errors import ArtifactError
from melodyconstraints.images.classifier import ClassifierConfig, ImageClassifier
from melodyconstraints.images.config import ImageVAEConfig, trunk_from_json
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.storage.artifacts import fits_this_version, load_artifact, save_artifact

KIND, CLASSIFIER_KIND = "image-vae", "image-classifier"
BUNDLED = Path(__file__).parent / "bundled"
"""The model of digits that comes with the package."""
BUNDLED_NAME = "bundled"
"""Name of its folder in actors' folders, wherever the package is installed."""


def save_model(
    model: ImageVAE, folder: Path, *, card: str = "", training: Mapping[str, Any] | None = None
) -> str:
    """Write a model folder, weights in half precision; returns the fingerprint."""
    config = {"model": asdict(model.config), "training": dict(training or {})}
    model.fingerprint = save_artifact(folder, KIND, config, halved(model), card)
    model.folder = str(folder.resolve())
    return model.fingerprint


def load_model(folder: Path | str | None = None, *, device: str = "cpu") -> ImageVAE:
    """Read a model folder; without one, the bundled model of digits.

    Raises:
        ArtifactError: missing, unfinished, damaged, or not an image VAE.
    """
    folder = BUNDLED if folder in (None, BUNDLED_NAME) else Path(folder)
    artifact = load_artifact(folder, KIND)
    with fits_this_version(folder):
        model = ImageVAE(ImageVAEConfig.from_json(artifact.config["model"]))
    fill(model, artifact.tensors, folder)
    model.folder = BUNDLED_NAME if folder == BUNDLED else str(folder.resolve())
    model.fingerprint = artifact.fingerprint
    return model.to(torch.device(device))


def save_classifier(
    classifier: ImageClassifier,
    folder: Path,
    *,
    card: str = "",
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a classifier folder."""
    config = {"classifier": asdict(classifier.config), "training": dict(training or {})}
    save_artifact(folder, CLASSIFIER_KIND, config, halved(classifier), card)


def load_classifier(folder: Path | str, *, device: str = "cpu") -> ImageClassifier:
    """Read a classifier folder.

    Raises:
        ArtifactError: missing, unfinished, damaged, or not a classifier of images.
    """
    folder = Path(folder)
    artifact = load_artifact(folder, CLASSIFIER_KIND)
    with fits_this_version(folder):
        values = dict(artifact.config["classifier"])
        values["trunk"] = trunk_from_json(values["trunk"])
        values["names"] = tuple(values["names"])
        classifier = ImageClassifier(ClassifierConfig(**values))
    fill(classifier, artifact.tensors, folder)
    return classifier.to(torch.device(device))


def halved(module: nn.Module) -> dict[str, Tensor]:
    """A module's tensors in half precision."""
    return {name: tensor.half() for name, tensor in module.state_dict().items()}


def fill(module: nn.Module, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Set a module's tensors, and evaluation mode.

    Raises:
        ArtifactError: the tensors are those of another module.
    """
    try:
        module.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise ArtifactError(f"{folder} does not fit this version: {error}") from error
    module.eval()
