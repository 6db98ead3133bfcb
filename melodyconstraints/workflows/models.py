"""Melody models on disk, and those that come with the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Discriminator, Tag

from melodyconstraints.errors import ArtifactError
from melodyconstraints.melody.vae.config import MelodyVAEConfig
from melodyconstraints.melody.vae.model import HierarchicalVAE, MelodyVAE
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.melody.vae.tables import wrong_table
from melodyconstraints.storage.arguments import checked
from melodyconstraints.storage.artifacts import halved, load_artifact, save_artifact
from melodyconstraints.storage.hub import full_name, on_disk
from melodyconstraints.storage.text import nearest
from melodyconstraints.vae.folders import check_device

KIND = "melody-vae"
BUNDLED = Path(__file__).parents[1] / "melody" / "vae" / "bundled"
BUNDLED_NAME, STAFF_NAME = "bundled", "staff"
PACKAGED = {BUNDLED_NAME: BUNDLED, STAFF_NAME: BUNDLED.with_name("bundled_staff")}
"""Models that come with the package, by what stands for their folders in commands and actors: the
staff generator, and a hierarchical VAE of the preset ``small``."""
_REMEDY = "train it again with: mc train-vae"
DEFAULT_NAME = STAFF_NAME
"""Name of the model that is taken where none is given."""


def _architecture(config: Any) -> str:
    return "staff" if isinstance(config, dict) and "flow_layers" in config else "hierarchical"


@dataclass(kw_only=True)
class _Folder:
    model: Annotated[
        Annotated[MelodyVAEConfig, Tag("hierarchical")] | Annotated[StaffConfig, Tag("staff")],
        Discriminator(_architecture),
    ]
    training: dict[str, Any] = field(default_factory=dict)


def home_of(model: MelodyVAE) -> Path | None:
    """Folder of a model, wherever the package is installed; None if it was never on disk."""
    if not model.folder:
        return None
    return PACKAGED.get(model.folder) or on_disk(model.folder)


@checked
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
    config = {"model": asdict(model.config), "training": dict(training or {})}
    model.fingerprint = save_artifact(Path(folder), KIND, config, halved(model), card)
    model.folder = str(Path(folder).resolve())
    return model.fingerprint


@checked
def load_model(
    folder: Path | str | None = None, *, device: str | torch.device = "cpu"
) -> MelodyVAE:
    """Read a model folder; without one, the packaged staff generator.

    Args:
        folder: a folder, ``hf://owner/name``, or a name of :data:`PACKAGED`.

    Raises:
        ArtifactError: missing, unfinished, damaged, not a melody VAE, or with tables that make no
            sense.
        UsageError: a device that cannot be used.
    """
    folder = PACKAGED.get(str(folder or DEFAULT_NAME)) or Path(str(folder))
    check_device(device)
    try:
        artifact = load_artifact(on_disk(folder), KIND, _Folder, _REMEDY)
    except ArtifactError as error:
        is_name = folder.name == str(folder) and not folder.exists()
        meant = is_name and nearest(folder.name, PACKAGED)
        if not meant:
            raise
        raise ArtifactError(f"{error}; did you mean {meant}?") from error
    model = artifact.fill(lambda: model_of(artifact.config.model))
    wrong = wrong_table(model)
    if wrong:
        raise artifact.misfit(wrong)
    names = [name for name, packaged in PACKAGED.items() if packaged == folder]
    model.folder = names[0] if names else full_name(folder)
    model.fingerprint = artifact.fingerprint
    return model.to(device)


def model_of(config: MelodyVAEConfig | StaffConfig) -> MelodyVAE:
    """A model of random weights."""
    if isinstance(config, StaffConfig):
        return StaffGenerator(config)
    return HierarchicalVAE(config)
