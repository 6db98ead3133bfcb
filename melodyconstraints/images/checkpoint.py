"""Image models and classifiers on disk; see :mod:`melodyconstraints.storage.artifacts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from melodyconstraints.images.classifier import ClassifierConfig, ImageClassifier
from melodyconstraints.images.config import ImageVAEConfig
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.storage.artifacts import halved, load_artifact, save_artifact
from melodyconstraints.storage.hub import full_name, on_disk
from melodyconstraints.vae.folders import check_device

KIND, CLASSIFIER_KIND = "image-vae", "image-classifier"
BUNDLED = Path(__file__).parent / "bundled"
"""The model of digits that comes with the package."""
BUNDLED_NAME = "bundled"
"""Name of its folder in actors' folders, wherever the package is installed."""


@dataclass(kw_only=True)
class _ModelFolder:
    model: ImageVAEConfig
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class _ClassifierFolder:
    classifier: ClassifierConfig
    training: dict[str, Any] = field(default_factory=dict)


def save_model(
    model: ImageVAE, folder: Path, *, card: str = "", training: Mapping[str, Any] | None = None
) -> str:
    """Write a model folder, weights in half precision; returns the fingerprint."""
    config = {"model": asdict(model.config), "training": dict(training or {})}
    model.fingerprint = save_artifact(folder, KIND, config, halved(model), card)
    model.folder = str(folder.resolve())
    return model.fingerprint


def load_model(
    folder: Path | str | None = None, *, device: str | torch.device = "cpu"
) -> ImageVAE:
    """Read a model folder; without one, the bundled model of digits.

    Raises:
        ArtifactError: missing, unfinished, damaged, or not an image VAE.
        UsageError: a device that cannot be used.
    """
    folder = BUNDLED if folder in (None, BUNDLED_NAME) else Path(folder)
    check_device(device)
    artifact = load_artifact(on_disk(folder), KIND, _ModelFolder)
    model = artifact.fill(lambda: ImageVAE(artifact.config.model))
    if not (model.code_scale > 0).all():  # codes are divided by it
        raise artifact.misfit("tensor code_scale must be above 0")
    model.folder = BUNDLED_NAME if folder == BUNDLED else full_name(folder)
    model.fingerprint = artifact.fingerprint
    return model.to(device)


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


def load_classifier(folder: Path | str) -> ImageClassifier:
    """Read a classifier folder.

    Raises:
        ArtifactError: missing, unfinished, damaged, or not a classifier of images.
    """
    artifact = load_artifact(Path(folder), CLASSIFIER_KIND, _ClassifierFolder)
    return artifact.fill(lambda: ImageClassifier(artifact.config.classifier))
