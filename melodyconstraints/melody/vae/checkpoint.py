"""Melody VAEs on disk, and the one that comes with the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from melodyconstraints.melody.vae.config import MelodyVAEConfig
from melodyconstraints.melody.vae.model import HierarchicalVAE, MelodyVAE
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.storage.artifacts import fits_this_version, load_artifact, save_artifact

KIND = "melody-vae"
BUNDLED = Path(__file__).parent / "bundled"
"""The model that comes with the package."""
BUNDLED_NAME = "bundled"
"""What stands for its folder in actors, wherever the package is installed."""


def home_of(model: MelodyVAE) -> Path | None:
    """Folder of a model, wherever the package is installed; None if it was never on disk."""
    if not model.folder:
        return None
    return BUNDLED if model.folder == BUNDLED_NAME else Path(model.folder)


def save_model(
    model: MelodyVAE,
    folder: Path | str,
    *,
    card: str = "",
    training: Mapping[str, Any] | None = None,
) -> str:
    """Write a model folder, weights in half precision.

    Args:
        card: the model card, Markdown.
        training: settings and measured quality, JSON values.

    Returns:
        The fingerprint by which actors know the model.
    """
    tensors = {name: tensor.half() for name, tensor in model.state_dict().items()}
    config = {"model": asdict(model.config), "training": dict(training or {})}
    model.fingerprint = save_artifact(Path(folder), KIND, config, tensors, card)
    model.folder = str(Path(folder).resolve())
    return model.fingerprint


def load_model(folder: Path | str | None = None, *, device: str = "cpu") -> MelodyVAE:
    """Read a model folder; without one, the bundled model.

    Raises:
        ArtifactError: missing, unfinished, damaged, or not a melody VAE.
    """
    folder = BUNDLED if folder in (None, BUNDLED_NAME) else Path(folder)
    artifact = load_artifact(folder, KIND)
    with fits_this_version(folder):
        model = model_of(artifact.config["model"])
        model.load_state_dict({name: t.float() for name, t in artifact.tensors.items()})
    model.folder = BUNDLED_NAME if folder == BUNDLED else str(folder.resolve())
    model.fingerprint = artifact.fingerprint
    return model.to(torch.device(device)).eval()


def model_of(config: Mapping[str, Any]) -> MelodyVAE:
    """A model of random weights; its configuration's names tell its kind."""
    if "flow_layers" in config:
        return StaffGenerator(StaffConfig(**config))
    return HierarchicalVAE(MelodyVAEConfig(**config))
