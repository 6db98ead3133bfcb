"""Checkpoints of a training, each written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from melodyconstraints.errors import ArtifactError, TrainingError
from melodyconstraints.storage.artifacts import with_added_tensors
from melodyconstraints.storage.text import printable, shortened
from melodyconstraints.vae.state import TrainingState

STATE = "state.safetensors"
PROGRESS = "progress.json"
_CHECKSUM = "sha256"
"""Key of the checksum in a checkpoint's progress: of its tensors and the other progress."""
_ADAM, _EMA = "adam.", "average."
"""Prefixes of the optimiser's and the averaged weights' tensors in a checkpoint on disk."""


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    ema_model: nn.Module | None = None,
) -> None:
    """Write the checkpoint ``step-N`` completely or not at all, and remove the older ones.

    Raises:
        TrainingError: it cannot be written, as where the disk is full; the last one stays.
    """
    target = folder / f"step-{state.step:09d}"
    partial = folder / f".{target.name}"
    tensors = dict(model.state_dict())
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{_ADAM}{key}.{name}"] = value
    if ema_model is not None:
        for name, parameter in ema_model.named_parameters():
            tensors[f"{_EMA}{name}"] = parameter.detach()
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        safetensors.torch.save_file(tensors, partial / STATE)
        progress = asdict(state)
        progress[_CHECKSUM] = _checksum(partial, progress)
        (partial / PROGRESS).write_text(json.dumps(progress), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise TrainingError(
            f"the checkpoint {target} cannot be written: {error}; the last one before it stays, "
            "make room and go on with --resume"
        ) from error
    for old in folder.glob("step-*"):
        if old != target:
            shutil.rmtree(old)


def load_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema_model: nn.Module | None = None,
) -> TrainingState | None:
    """Restore the newest checkpoint into model, optimiser and averaged model.

    Where a checkpoint has no averaged weights, they start as its weights.

    Returns:
        The state, or None if there is no checkpoint.

    Raises:
        ArtifactError: the checkpoint cannot be read or belongs to another model.
    """
    steps = sorted(folder.glob("step-*"))
    if not steps:
        return None
    try:
        progress: dict[str, Any] = json.loads((steps[-1] / PROGRESS).read_text(encoding="utf-8"))
        if progress.pop(_CHECKSUM) != _checksum(steps[-1], progress):
            raise ValueError("its checksum is another")
        tensors = safetensors.torch.load_file(steps[-1] / STATE)
        prefixes = (_ADAM, _EMA)
        own = {k: v for k, v in tensors.items() if not k.startswith(prefixes)}
        model.load_state_dict(with_added_tensors(model, own))
        for name, parameter in model.named_parameters():
            optimizer.state[parameter] = {
                key: tensors[f"{_ADAM}{key}.{name}"].to(parameter.device)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{_ADAM}{key}.{name}" in tensors
            }
        if ema_model is not None:
            ema_model.load_state_dict(model.state_dict())
            for name, parameter in ema_model.named_parameters():
                parameter.data.copy_(tensors.get(f"{_EMA}{name}", parameter.data))
        return TrainingState(**progress)
    except Exception as error:
        raise ArtifactError(
            f"cannot resume from {steps[-1]}: it is damaged or belongs to another model "
            f"({shortened(printable(str(error)), 200)}); delete it to start anew"
        ) from error


def _checksum(checkpoint: Path, progress: Mapping[str, Any]) -> str:
    """SHA-256 of a checkpoint's tensors and of its progress, without the checksum."""
    with (checkpoint / STATE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(progress).encode())
    return digest.hexdigest()
