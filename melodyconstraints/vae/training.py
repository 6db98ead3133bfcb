"""One training loop for every VAE: seeded, clipped, with a learning-rate schedule, resumable.

A step is a pure function of the state and the step number: the batch and the noise are drawn from
generators seeded by (seed, step), so a run that was killed and resumed repeats the run that was
not (with a step limit; a time budget ends where the clock says), and several processes that share
the batch repeat the run of one.
"""

from __future__ import annotations

import copy
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from melodyconstraints.errors import ArtifactError, TrainingError, UsageError
from melodyconstraints.vae.distributed import Processes
from melodyconstraints.vae.precision import products, require_precision

STATE = "state.safetensors"
PROGRESS = "progress.json"
Metrics = dict[str, float]
_ADAM, _AVERAGE = "adam.", "average."
_AVERAGE_EVERY = 10
"""Steps between two updates of the averaged weights; the last step makes one too."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast.

    Args:
        steps: optimiser steps in all, or None to go by time.
        time_budget_seconds: training time in all, evaluations included, or None to go by steps.
        batch_size: data points a step, of all processes together.
        learning_rate: of Adam, after the warm-up; falls along a cosine to ``final_share`` of it.
        warmup_steps: steps over which the rate rises from zero.
        gradient_clip: largest norm of the gradient.
        average: decay a step of the exponential average of the weights, which is what is measured
            and kept, less in the first steps; 0 keeps the weights themselves.
        precision: of matrix products: ``bfloat16``, ``float32``, or ``auto``, which is bfloat16
            where the processor multiplies it.
        evaluate_every, checkpoint_every: in steps.
    """

    steps: int | None = None
    time_budget_seconds: float | None = None
    batch_size: int = 8
    learning_rate: float = 1e-3
    final_share: float = 0.02
    warmup_steps: int = 200
    gradient_clip: float = 1.0
    average: float = 0.0
    precision: str = "auto"
    evaluate_every: int = 2_000
    checkpoint_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.time_budget_seconds is None):
            raise UsageError("give either steps or a time budget")
        if (self.steps or self.time_budget_seconds or 0) <= 0:
            raise UsageError("steps and time budget must be above 0")
        require_precision(self.precision)
        if not 0 <= self.average < 1:
            raise UsageError(f"average must be at least 0 and below 1, got {self.average}")

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
    """Where a training stands; handed to the callback after every step.

    Args:
        progress: share that is done.
        prepared: the furthest that ``progress`` has been, which is what the objective goes by: a
            longer budget sets progress back, but not what has been learned.
    """

    step: int = 0
    elapsed_seconds: float = 0.0
    progress: float = 0.0
    prepared: float = -1.0
    latest: Metrics = field(default_factory=dict)
    curves: list[Metrics] = field(default_factory=list)


class Objective(nn.Module):
    """The loss of a batch: a module around the model, so that processes can share its gradients.

    ``noise_size`` is how many standard normal numbers a data point needs.
    """

    noise_size: int

    def prepare(self, since: float, progress: float) -> bool:
        """Called before every step; true if it has set weights of the model.

        Args:
            since: progress at the call before, -1 at the first; of a resumed training as well.
        """
        return False

    def forward(self, batch: Tensor, progress: float, noise: Tensor) -> Mapping[str, Tensor]:
        """``loss`` is minimised, the other entries are logged.

        Args:
            batch: ``(B, ...)``.
            noise: ``(B, noise_size)`` standard normal.
        """
        raise NotImplementedError


def train(
    model: nn.Module,
    objective: Objective,
    batch_at: Callable[[int], Tensor],
    settings: TrainingSettings,
    *,
    processes: Processes | None = None,
    folder: Path | None = None,
    resume: bool = False,
    evaluate: Callable[[nn.Module], Metrics] | None = None,
    callback: Callable[[TrainingState], None] | None = None,
) -> TrainingState:
    """Train until the steps or the time are used up.

    Args:
        objective: a module around ``model``.
        batch_at: the global batch of a step number.
        processes: this process's place among those that train together.
        folder: where checkpoints go; None keeps none.
        resume: go on from the newest checkpoint in ``folder``; start anew if there is none.
        evaluate: measures quality on held-out data; its results go into ``curves``.

    Raises:
        TrainingError: the loss is not a finite number.
        ArtifactError: the checkpoint cannot be read or belongs to another model.
    """
    place = processes or Processes()
    run = _Run(model, objective, settings, place)
    if resume and folder is not None:
        run.state = load_checkpoint(folder, model, run.optimizer, run.average) or run.state
    state = run.state
    state.progress = place.agree(settings.progress(state.step, state.elapsed_seconds))
    place.share(model)
    if run.average is not None:
        place.share(run.average)
    began = time.monotonic() - state.elapsed_seconds
    while state.progress < 1.0:
        run.step(batch_at(state.step))
        state.elapsed_seconds = time.monotonic() - began
        progress = settings.progress(state.step, state.elapsed_seconds)
        state.progress = progress if settings.steps else place.agree(progress)
        run.follow()
        if not place.first:
            continue
        if evaluate and (state.step % settings.evaluate_every == 0 or state.progress >= 1.0):
            measured = {"step": state.step, "seconds": state.elapsed_seconds}
            state.curves.append(measured | state.latest | evaluate(run.measured))
        if callback:
            callback(state)
        if folder and (state.step % settings.checkpoint_every == 0 or state.progress >= 1.0):
            save_checkpoint(folder, model, run.optimizer, state, run.average)
    place.wait()
    if run.average:
        model.load_state_dict(run.average.state_dict())
    return state


class _Run:
    """What a step needs: the objective, the optimiser, the averaged weights and the state."""

    def __init__(
        self, model: nn.Module, objective: Objective, settings: TrainingSettings, place: Processes
    ) -> None:
        self.model, self.objective, self.settings, self.place = model, objective, settings, place
        self.state = TrainingState()
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=settings.learning_rate, fused=True
        )
        self.average = copy.deepcopy(model) if settings.average else None
        self._shared = place.wrap(objective)

    @property
    def measured(self) -> nn.Module:
        """The weights that are kept."""
        return self.model if self.average is None else self.average

    def step(self, batch: Tensor) -> None:
        """One step of the optimiser on a global batch."""
        settings, state = self.settings, self.state
        since, state.prepared = state.prepared, max(state.prepared, state.progress)
        if self.objective.prepare(since, state.prepared):
            self.place.share(self.model)
            if self.average is not None:
                self.average.load_state_dict(self.model.state_dict())
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate(state.step, state.progress)
        # Drawn on the CPU for the whole batch: the same on every device and for every sharing.
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + state.step)
        noise = torch.randn(len(batch), self.objective.noise_size, generator=generator)
        rows, noise = self.place.rows(batch), self.place.rows(noise).to(batch.device)
        with products(settings.precision, batch.device):
            losses = self._shared(rows, state.prepared, noise)
        if not torch.isfinite(losses["loss"]):
            raise TrainingError(
                f"the loss is {losses['loss'].item()} at step {state.step}; "
                "lower the learning rate, or resume from the last checkpoint in float32"
            )
        self.optimizer.zero_grad()
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), settings.gradient_clip)
        self.optimizer.step()
        state.step += 1
        state.latest = {name: float(value.detach()) for name, value in losses.items()}

    @torch.no_grad()
    def follow(self) -> None:
        """Draw the averaged weights after the weights, if it is time to.

        The decay d of a step makes that of the n-th update min(d^steps, n / (9 + n)), so that a
        short training leaves the weights behind that it began with.
        """
        update, rest = divmod(self.state.step + _AVERAGE_EVERY - 1, _AVERAGE_EVERY)
        steps, last = rest + 1, self.state.progress >= 1.0
        if self.average is None or not (last or steps == _AVERAGE_EVERY):
            return
        decay = min(self.settings.average**steps, update / (9 + update))
        for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    average: nn.Module | None = None,
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
            tensors[f"{_ADAM}{key}.{name}"] = value
    if average is not None:
        for name, parameter in average.named_parameters():
            tensors[f"{_AVERAGE}{name}"] = parameter.detach()
    safetensors.torch.save_file({k: v.contiguous() for k, v in tensors.items()}, partial / STATE)
    (partial / PROGRESS).write_text(json.dumps(asdict(state)), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    for old in folder.glob("step-*"):
        if old != target:
            shutil.rmtree(old)


def load_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: nn.Module | None = None,
) -> TrainingState | None:
    """Restore the newest checkpoint into model, optimiser and average; None if there is none.

    A checkpoint without an average starts it from its weights.

    Raises:
        ArtifactError: it cannot be read or belongs to another model.
    """
    steps = sorted(folder.glob("step-*"))
    if not steps:
        return None
    try:
        tensors = safetensors.torch.load_file(steps[-1] / STATE)
        progress: dict[str, Any] = json.loads((steps[-1] / PROGRESS).read_text(encoding="utf-8"))
        progress.setdefault("prepared", progress["progress"])
        apart = (_ADAM, _AVERAGE)
        model.load_state_dict({k: v for k, v in tensors.items() if not k.startswith(apart)})
        for name, parameter in model.named_parameters():
            optimizer.state[parameter] = {
                key: tensors[f"{_ADAM}{key}.{name}"].to(parameter.device)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{_ADAM}{key}.{name}" in tensors
            }
        if average is not None:
            average.load_state_dict(model.state_dict())
            for name, parameter in average.named_parameters():
                parameter.data.copy_(tensors.get(f"{_AVERAGE}{name}", parameter.data))
        return TrainingState(**progress)
    except Exception as error:
        raise ArtifactError(
            f"cannot resume from {steps[-1]}: it is damaged or belongs to another model "
            f"({error}); delete it to start anew"
        ) from error
