"""One training loop for every VAE: seeded, clipped, with a learning-rate schedule, resumable.

A step is a pure function of the state and the step number: the batch and the noise are drawn from
generators seeded by (seed, step), so a run that was killed and resumed repeats the run that was
not (with a step limit; a time budget ends where the clock says).
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import safetensors.torch
import torch
from torch import Tensor, nn

from melodyconstraints.errors import ArtifactError, TrainingError, UsageError

STATE = "state.safetensors"
PROGRESS = "progress.json"
Metrics = dict[str, float]


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast.

    Args:
        steps: optimiser steps in all, or None to go by time.
        time_budget_seconds: training time in all, evaluations included, or None to go by steps.
        batch_size: data points a step.
        learning_rate: of Adam, after the warm-up; falls along a cosine to ``final_share`` of it.
        warmup_steps: steps over which the rate rises from zero.
        gradient_clip: largest norm of the gradient.
        precision: ``bfloat16`` runs matrix products in bf16.
        evaluate_every, checkpoint_every: in steps.
    """

    steps: int | None = None
    time_budget_seconds: float | None = None
    batch_size: int = 8
    learning_rate: float = 1e-3
    final_share: float = 0.02
    warmup_steps: int = 200
    gradient_clip: float = 1.0
    precision: str = "bfloat16"
    evaluate_every: int = 2_000
    checkpoint_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.time_budget_seconds is None):
            raise UsageError("give either steps or a time budget")
        if (self.steps or self.time_budget_seconds or 0) <= 0:
            raise UsageError("steps and time budget must be above 0")
        if self.precision not in ("float32", "bfloat16"):
            raise UsageError(f"precision must be float32 or bfloat16, got {self.precision!r}")

    def progress(self, step: int, elapsed_seconds: float) -> float:
        """Share of the training that is done, in [0, 1]."""
        if self.steps is not None:
            return min(step / max(self.steps, 1), 1.0)
        return min(elapsed_seconds / max(self.time_budget_seconds or 0.0, 1e-9), 1.0)

    def rate(self, step: int, progress: float) -> float:
        """Learning rate: linear warm-up, then a cosine from full to ``final_share``."""
        fall = (1 + math.cos(math.pi * progress)) / 2
        cosine = self.final_share + (1 - self.final_share) * fall
        return self.learning_rate * min((step + 1) / max(self.warmup_steps, 1), 1.0) * cosine


@dataclass
class TrainingState:
    """Where a training stands; handed to the callback after every step."""

    step: int = 0
    elapsed_seconds: float = 0.0
    progress: float = 0.0
    latest: Metrics = field(default_factory=dict)
    curves: list[Metrics] = field(default_factory=list)


class Objective(Protocol):
    """The loss of a batch."""

    def __call__(
        self, batch: Tensor, progress: float, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """``loss`` is minimised, the other entries are logged."""
        ...


def train(
    model: nn.Module,
    objective: Objective,
    batch_at: Callable[[int], Tensor],
    settings: TrainingSettings,
    *,
    folder: Path | None = None,
    resume: bool = False,
    evaluate: Callable[[], Metrics] | None = None,
    callback: Callable[[TrainingState], None] | None = None,
) -> TrainingState:
    """Train until the steps or the time are used up.

    Args:
        batch_at: the batch of a step number.
        folder: where checkpoints go; None keeps none.
        resume: go on from the newest checkpoint in ``folder``; start anew if there is none.
        evaluate: measures quality on held-out data; its results go into ``curves``.

    Raises:
        TrainingError: the loss is not a finite number.
        ArtifactError: the checkpoint cannot be read or belongs to another model.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    state = TrainingState()
    if resume and folder is not None:
        state = load_checkpoint(folder, model, optimizer) or state
        state.progress = settings.progress(state.step, state.elapsed_seconds)
    began = time.monotonic() - state.elapsed_seconds
    while settings.progress(state.step, state.elapsed_seconds) < 1.0:
        _step(model, objective, batch_at, settings, optimizer, state)
        state.elapsed_seconds = time.monotonic() - began
        state.progress = settings.progress(state.step, state.elapsed_seconds)
        if evaluate and (state.step % settings.evaluate_every == 0 or state.progress >= 1.0):
            measured = {"step": state.step, "seconds": state.elapsed_seconds}
            state.curves.append(measured | state.latest | evaluate())
        if callback:
            callback(state)
        if folder and (state.step % settings.checkpoint_every == 0 or state.progress >= 1.0):
            save_checkpoint(folder, model, optimizer, state)
    return state


def _step(
    model: nn.Module,
    objective: Objective,
    batch_at: Callable[[int], Tensor],
    settings: TrainingSettings,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
) -> None:
    batch = batch_at(state.step)
    for group in optimizer.param_groups:
        group["lr"] = settings.rate(state.step, state.progress)
    generator = torch.Generator(batch.device).manual_seed(settings.seed * 1_000_003 + state.step)
    bf16 = settings.precision == "bfloat16"
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=bf16):
        losses = objective(batch, state.progress, generator)
    if not torch.isfinite(losses["loss"]):
        raise TrainingError(
            f"the loss is {losses['loss'].item()} at step {state.step}; "
            "lower the learning rate, or resume from the last checkpoint in float32"
        )
    optimizer.zero_grad()
    losses["loss"].backward()
    nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
    optimizer.step()
    state.step += 1
    state.latest = {name: float(value.detach()) for name, value in losses.items()}


def save_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState
) -> None:
    """Write ``step-N``, whole or not at all, and remove the older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{state.step:09d}"
    partial = folder / f".{target.name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    tensors = dict(model.state_dict())
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"adam.{key}.{name}"] = value
    safetensors.torch.save_file({k: v.contiguous() for k, v in tensors.items()}, partial / STATE)
    (partial / PROGRESS).write_text(json.dumps(asdict(state)), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    for old in folder.glob("step-*"):
        if old != target:
            shutil.rmtree(old)


def load_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> TrainingState | None:
    """Restore the newest checkpoint into model and optimiser; None if there is none.

    Raises:
        ArtifactError: it cannot be read or belongs to another model.
    """
    steps = sorted(folder.glob("step-*"))
    if not steps:
        return None
    try:
        tensors = safetensors.torch.load_file(steps[-1] / STATE)
        progress: dict[str, Any] = json.loads((steps[-1] / PROGRESS).read_text(encoding="utf-8"))
        model.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("adam.")})
        for name, parameter in model.named_parameters():
            optimizer.state[parameter] = {
                key: tensors[f"adam.{key}.{name}"].to("cpu" if key == "step" else parameter.device)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"adam.{key}.{name}" in tensors
            }
        return TrainingState(**progress)
    except Exception as error:
        raise ArtifactError(
            f"cannot resume from {steps[-1]}: it is damaged or belongs to another model "
            f"({error}); delete it to start anew"
        ) from error
