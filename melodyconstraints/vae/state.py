"""The state of a training, which its checkpoints hold and its callbacks are given."""

from __future__ import annotations

from dataclasses import dataclass, field

Metrics = dict[str, float]


@dataclass
class TrainingState:
    """The state of a training; the argument of the callback after every step.

    Args:
        step: optimiser steps done.
        elapsed_seconds: training time so far, of resumed runs as well.
        progress: fraction of the training that is done.
        prepared: largest ``progress`` so far, on which schedules of the objective depend: a
            training resumed with a longer budget has less progress, but has learned no less.
        latest: losses of the last step.
        curves: losses and metrics of each evaluation.
    """

    step: int = 0
    elapsed_seconds: float = 0.0
    progress: float = 0.0
    prepared: float = -1.0
    latest: Metrics = field(default_factory=dict)
    curves: list[Metrics] = field(default_factory=list)
