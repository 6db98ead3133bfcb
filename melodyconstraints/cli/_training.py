"""What commands that train have in common: how long, how fast, and what is shown meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import Command, Duration, talk

if TYPE_CHECKING:
    from rich.progress import Progress

    from melodyconstraints.vae.training import Metrics, TrainingState


def length_options(default: str) -> Callable[[Command], Command]:
    """``--time-budget`` and ``--steps``; see :func:`budget`.

    Args:
        default: the time that is taken without either, such as ``30m``.
    """

    def decorate(command: Command) -> Command:
        options = (
            click.option(
                "--time-budget",
                type=Duration(),
                help=f"Train for so long: 90s, 30m, 2h.  [default: {default}]",
            ),
            click.option(
                "--steps", type=click.IntRange(1), help="Train for so many steps instead."
            ),
        )
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def budget(time_budget: float | None, steps: int | None, default: str) -> float | None:
    """Seconds that were asked for; the default's where nothing was."""
    if time_budget is None and steps is None:
        return Duration().convert(default, None, None)
    return time_budget


device_option = click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
precision_option = click.option(
    "--precision",
    type=click.Choice(["auto", "bfloat16", "float32"]),
    default="auto",
    show_default=True,
    help="Of matrix products; auto is bfloat16 where the processor multiplies it.",
)
resume_option = click.option(
    "--resume", is_flag=True, help="Go on with a training that was ended or killed."
)


def training_bar() -> Progress:
    """A bar on stderr for the share that is done; none in a process that only helps."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    helps = os.environ.get("RANK", "0") != "0"  # beside another process, which shows it
    return Progress(*columns, console=talk(), disable=helps)


class TrainingDisplay:
    """Shows the latest losses beside a bar, and a line after each evaluation.

    Args:
        told: what the line says of an evaluation, behind step and time.
        digits: of the losses, behind the point.
    """

    def __init__(self, bar: Progress, told: Callable[[Metrics], str], *, digits: int = 1) -> None:
        self._bar, self._task = bar, bar.add_task("training", total=1.0)
        self._told, self._digits, self._shown = told, digits, 0

    def __call__(self, state: TrainingState) -> None:
        """To be called after every step."""
        terms = ", ".join(
            f"{name} {value:.{self._digits}f}"
            for name, value in state.latest.items()
            if name != "loss" or len(state.latest) == 1
        )
        self._bar.update(
            self._task, completed=state.progress, description=f"step {state.step}: {terms}"
        )
        if len(state.curves) > self._shown:
            self._shown = len(state.curves)
            point = state.curves[-1]
            self._bar.console.print(
                f"{int(point['step']):>7,} {point['seconds'] / 60:6.1f} min  {self._told(point)}"
            )
