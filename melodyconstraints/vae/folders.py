"""The output folder of a training: checkpoints while it runs, a model when it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from melodyconstraints.errors import UsageError
from melodyconstraints.storage.artifacts import artifact_size, check_free
from melodyconstraints.storage.files import check_room
from melodyconstraints.storage.text import shortened
from melodyconstraints.vae.state import Metrics, TrainingState

CHECKPOINTS = "training"
CURVES = "learning-curves.png"
_COPIES = 2 * 4 + 1
"""Weights on the disk at once: two checkpoints, the new one and the last, each with averages and
two moments of Adam, and the model."""
_LONGEST_REASON = 120
"""Characters of torch's words for why a device cannot be used."""


def claim(output: Path, kind: str, build: Callable[[], nn.Module], *, resume: bool) -> None:
    """Refuse an output folder that holds a model, or a training if ``resume`` is false.

    Args:
        build: makes the model, see :func:`~melodyconstraints.storage.artifacts.artifact_size`.

    Raises:
        UsageError: the folder holds one of them, or other files; or its disk is too full for the
            checkpoints and the model.
    """
    if not (output / CHECKPOINTS).exists():
        check_free(output, kind, overwrite=False, remedy="choose another folder")
        check_room(output, _COPIES * artifact_size(build, half=False))
    elif not resume:
        raise UsageError(f"{output} already holds a training; pass --resume or choose another")


def check_device(device: str | torch.device) -> None:
    """Check that tensors can be made on a device, and read again.

    Raises:
        UsageError: they cannot.
    """
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = shortened(str(error).splitlines()[0], _LONGEST_REASON)
        raise UsageError(f"device {str(device)!r} cannot be used: {reason}; take cpu") from error


def draw_evaluations(
    draw: Callable[[Sequence[Metrics]], None],
    callback: Callable[[TrainingState], None] | None = None,
) -> Callable[[TrainingState], None]:
    """A callback that draws the curves after each evaluation, and then calls another."""

    def after_step(state: TrainingState) -> None:
        if state.curves and state.curves[-1]["step"] == state.step:
            draw(state.curves)
        if callback:
            callback(state)

    return after_step
