"""One training loop for every VAE: seeded, clipped, with a learning-rate schedule, resumable.

A step is a pure function of the state and the step number: the batch and the noise are drawn from
generators seeded by (seed, step). So a run that was killed and resumed gives the same weights as
one that was not (with a step limit; a time budget depends on the clock), and so do several
processes that share the batch.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from melodyconstraints.errors import TrainingError, UsageError
from melodyconstraints.storage.files import locked
from melodyconstraints.vae.checkpoints import load_checkpoint, save_checkpoint
from melodyconstraints.vae.distributed import Processes
from melodyconstraints.vae.precision import products, require_precision
from melodyconstraints.vae.state import Metrics, TrainingState

_EMA_EVERY = 10
"""Steps between two updates of the averaged weights, which cost a pass over all weights."""
_EMA_WARMUP_UPDATES = 9
"""Updates over which the decay rises: that of update n is at most n / (9 + n)."""
SEED_STRIDE = 1_000_003
"""Distance of two seeds' noise generators: a prime above the steps of usual trainings."""


@dataclass(frozen=True)
class TrainingSettings:
    """Length, learning rate and other settings of a training.

    The names of the fields are also the keys in a model's ``config.json``; older folders have
    ``average`` for ``ema_decay`` and ``final_share`` for ``final_learning_rate_fraction``.

    Args:
        steps: optimiser steps in all, or None for a time budget.
        time_budget_seconds: training time in all, evaluations included, or None for a step limit.
        batch_size: data points a step, of all processes together.
        learning_rate: learning rate of Adam after the warm-up; falls along a cosine.
        final_learning_rate_fraction: the rate at the end, divided by ``learning_rate``.
        warmup_steps: steps over which the learning rate rises from zero.
        gradient_clip: largest norm of the gradient; 0 for any.
        ema_decay: decay a step, in [0, 1), of the exponential moving average of the weights, which
            is evaluated and returned. Lower in the first steps; 0 for no average.
        precision: type of matrix products: ``bfloat16``, ``float32``, or ``auto``, which is
            bfloat16 where the hardware has it.
        evaluate_every: steps between two evaluations.
        checkpoint_every: steps between two checkpoints.
        seed: seed of the noise.
    """

    steps: int | None = None
    time_budget_seconds: float | None = None
    batch_size: int = 8
    learning_rate: float = 1e-3
    final_learning_rate_fraction: float = 0.02
    warmup_steps: int = 200
    gradient_clip: float = 1.0
    ema_decay: float = 0.0
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
        if not 0 <= self.ema_decay < 1:
            raise UsageError(f"ema_decay must be at least 0 and below 1, got {self.ema_decay}")

    def progress(self, step: int, elapsed_seconds: float) -> float:
        """Fraction of the training that is done, in [0, 1]."""
        if self.steps is not None:
            return min(step / max(self.steps, 1), 1.0)
        return min(elapsed_seconds / max(self.time_budget_seconds or 0.0, 1e-9), 1.0)

    def rate(self, step: int, progress: float) -> float:
        """Learning rate: linear warm-up, and a cosine from 1 down to the final fraction."""
        fall = (1 + math.cos(math.pi * progress)) / 2
        final = self.final_learning_rate_fraction
        cosine = final + (1 - final) * fall
        return self.learning_rate * min((step + 1) / max(self.warmup_steps, 1), 1.0) * cosine


PAPER: dict[str, float] = {
    "learning_rate": 3e-4,
    "final_learning_rate_fraction": 1.0,
    "warmup_steps": 0,
    "gradient_clip": 0.0,
    "ema_decay": 0.0,
}
"""Settings of appendix 9.2: Adam with its usual betas at one learning rate, and nothing else."""


class Objective(nn.Module):
    """The loss of a batch: a module around the model, so that processes can share its gradients.

    Attributes:
        noise_size: number of standard normal numbers that a data point needs.
    """

    noise_size: int

    def prepare(self, since: float, progress: float) -> bool:
        """Prepare the model for a step; called before each. True if it has set weights.

        Args:
            since: progress at the previous call, -1 at the first; a resumed training goes on with
                the previous run's.
            progress: largest progress so far.
        """
        return False

    def forward(self, batch: Tensor, progress: float, noise: Tensor) -> Mapping[str, Tensor]:
        """Losses of a batch: ``loss`` is minimised, the other entries are logged.

        Args:
            batch: ``(B, ...)`` data points.
            progress: largest progress so far.
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
    """Train a model until the steps or the time are used up.

    Args:
        model: trained in place; holds the averaged weights at the end.
        objective: a module around ``model``.
        batch_at: function from a step number to its global batch.
        processes: rank of this process among those that train together; None if it is alone.
        folder: folder of the checkpoints; None writes none.
        resume: go on from the newest checkpoint in ``folder``; start anew if there is none.
        evaluate: function that measures quality on held-out data; its results go into ``curves``.
        callback: called with the state after every step, in the first process only.

    Returns:
        The final state.

    Raises:
        TrainingError: the loss is not a finite number.
        ArtifactError: the checkpoint cannot be read or belongs to another model.
    """
    processes = processes or Processes()
    with _held(folder if processes.first else None):
        run = _Run(model, objective, settings, processes)
        if resume and folder is not None:
            run.state = load_checkpoint(folder, model, run.optimizer, run.ema_model) or run.state
        state = run.state
        state.progress = processes.agree(settings.progress(state.step, state.elapsed_seconds))
        processes.share(model)
        if run.ema_model is not None:
            processes.share(run.ema_model)
        began = time.monotonic() - state.elapsed_seconds
        try:
            while state.progress < 1.0:
                run.step(batch_at(state.step))
                state.elapsed_seconds = time.monotonic() - began
                progress = settings.progress(state.step, state.elapsed_seconds)
                state.progress = progress if settings.steps else processes.agree(progress)
                run.update_ema()
                if processes.first:
                    run.report(folder, evaluate, callback)
        except KeyboardInterrupt:
            if processes.first:
                run.keep(folder)
            raise
        processes.wait()
        if run.ema_model:
            model.load_state_dict(run.ema_model.state_dict())
        return state


@contextmanager
def _held(folder: Path | None) -> Iterator[None]:
    """Hold a folder of checkpoints, so that no other training writes there."""
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        yield


class _Run:
    """A training in progress: objective, optimiser, averaged weights and state.

    Attributes:
        consistent: whether weights, averages and state are of the same step.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        settings: TrainingSettings,
        processes: Processes,
    ) -> None:
        self.model, self.objective = model, objective
        self.settings, self.processes = settings, processes
        self.state = TrainingState()
        self.consistent = False
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=settings.learning_rate, fused=True
        )
        self.ema_model = copy.deepcopy(model) if settings.ema_decay else None
        self._parallel_objective = processes.wrap(objective)

    def step(self, batch: Tensor) -> None:
        """Do one step of the optimiser on a global batch."""
        settings, state = self.settings, self.state
        # The objective's schedule, and the learning rate's.
        self.consistent = False
        since, state.prepared = state.prepared, max(state.prepared, state.progress)
        if self.objective.prepare(since, state.prepared):
            self.processes.share(self.model)
            if self.ema_model is not None:
                self.ema_model.load_state_dict(self.model.state_dict())
        self.consistent = state.step > 0
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate(state.step, state.progress)
        # Drawn on the CPU for the whole batch: the same for all devices and numbers of processes.
        generator = torch.Generator().manual_seed(settings.seed * SEED_STRIDE + state.step)
        noise = torch.randn(len(batch), self.objective.noise_size, generator=generator)
        rows, noise = self.processes.rows(batch), self.processes.rows(noise).to(batch.device)
        with products(settings.precision, batch.device):
            losses = self._parallel_objective(rows, state.prepared, noise)
        if not torch.isfinite(losses["loss"]):
            raise TrainingError(
                f"the loss is {losses['loss'].item()} at step {state.step}; "
                "lower the learning rate, or resume from the last checkpoint in float32"
            )
        self.optimizer.zero_grad()
        losses["loss"].backward()
        if settings.gradient_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), settings.gradient_clip)
        self.consistent = False  # until the averages follow
        self.optimizer.step()
        state.step += 1
        state.latest = {name: float(value.detach()) for name, value in losses.items()}

    @torch.no_grad()
    def update_ema(self) -> None:
        """Update the averaged weights, every tenth step and at the last one.

        With an EMA decay d a step, that of the n-th update is min(d^steps, n / (9 + n)), so that
        even a short training forgets the initial weights.
        """
        update, rest = divmod(self.state.step + _EMA_EVERY - 1, _EMA_EVERY)
        steps, last = rest + 1, self.state.progress >= 1.0
        if self.ema_model is not None and (last or steps == _EMA_EVERY):
            decay = min(self.settings.ema_decay**steps, update / (_EMA_WARMUP_UPDATES + update))
            pairs = zip(self.ema_model.parameters(), self.model.parameters(), strict=True)
            for averaged, current in pairs:
                averaged.lerp_(current, 1 - decay)
        self.consistent = True

    def keep(self, folder: Path | None) -> None:
        """Write a checkpoint of an interrupted training, unless a step is half done."""
        if folder and self.consistent:
            save_checkpoint(folder, self.model, self.optimizer, self.state, self.ema_model)

    def report(
        self,
        folder: Path | None,
        evaluate: Callable[[nn.Module], Metrics] | None,
        callback: Callable[[TrainingState], None] | None,
    ) -> None:
        """Evaluate, call back and write a checkpoint, each if it is due after this step."""
        settings, state, last = self.settings, self.state, self.state.progress >= 1.0
        if evaluate and (state.step % settings.evaluate_every == 0 or last):
            metrics = evaluate(self.model if self.ema_model is None else self.ema_model)
            point = {"step": state.step, "seconds": state.elapsed_seconds}
            state.curves.append(point | state.latest | metrics)
        if callback:
            callback(state)
        if folder and (state.step % settings.checkpoint_every == 0 or last):
            save_checkpoint(folder, self.model, self.optimizer, state, self.ema_model)
