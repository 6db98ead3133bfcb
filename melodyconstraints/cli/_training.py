"""Options and progress display of the commands that train."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import Command, Decorator, Duration, print_json, stderr_console

if TYPE_CHECKING:
    from rich.progress import Progress

    from melodyconstraints.latent.pair import ActorCritic
    from melodyconstraints.latent.progress import Bar
    from melodyconstraints.vae.state import Metrics, TrainingState


def length_options(default: str, beside: str = "") -> Callable[[Command], Command]:
    """A decorator that adds ``--time-budget`` and ``--steps``.

    Args:
        default: time budget if neither is given, such as ``30m``; for the help alone.
        beside: text of the help on what the time budget is not for.
    """

    def decorate(command: Command) -> Command:
        for option in reversed(length_choices(default, beside).values()):
            command = option(command)
        return command

    return decorate


def length_choices(default: str, beside: str = "") -> dict[str, Decorator]:
    """The options of :func:`length_options`, by the names of their arguments."""
    return {
        "time_budget": click.option(
            "--time-budget",
            type=Duration(),
            help=f"Train for so long: 90s, 30m, 2h.{beside}  [default: {default}]",
        ),
        "steps": click.option(
            "--steps", type=click.IntRange(1), help="Train for so many steps instead."
        ),
    }


device_option = click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
precision_option = click.option(
    "--precision",
    type=click.Choice(["auto", "bfloat16", "float32"]),
    default="auto",
    show_default=True,
    help="Type of matrix products; auto is bfloat16 where the processor multiplies it.",
)
resume_option = click.option(
    "--resume", is_flag=True, help="Go on with a training that was ended or killed."
)


def training_bar() -> Bar:
    """A progress bar on stderr for the fraction done; hidden in all processes but the first."""
    from rich.progress import (
        BarColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    from melodyconstraints.latent.progress import Bar, TimeLeftColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeLeftColumn(),
    )
    is_first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts
    return Bar(*columns, console=stderr_console(), disable=not is_first)


class TrainingDisplay:
    """Shows the latest losses beside a progress bar, and a line after each evaluation.

    Args:
        bar: the progress bar.
        describe: text for an evaluation's metrics, printed after step and time.
        digits: decimal places of the losses.
    """

    def __init__(
        self, bar: Progress, describe: Callable[[Metrics], str], *, digits: int = 1
    ) -> None:
        self._bar, self._task = bar, bar.add_task("training", total=1.0)
        self._describe, self._digits, self._evaluations_shown = describe, digits, 0

    def __call__(self, state: TrainingState) -> None:
        """Show a state of the training; called after every step."""
        terms = ", ".join(
            f"{name} {value:.{self._digits}f}"
            for name, value in state.latest.items()
            if name != "loss" or len(state.latest) == 1
        )
        self._bar.update(
            self._task, completed=state.progress, description=f"step {state.step}: {terms}"
        )
        if len(state.curves) > self._evaluations_shown:
            self._evaluations_shown = len(state.curves)
            point = state.curves[-1]
            time = f"{int(point['step']):>7,} {point['seconds'] / 60:6.1f} min"
            self._bar.console.print(f"{time}  {self._describe(point)}")


def print_actor(
    folder: Path, model: str, actor: ActorCritic, names: Sequence[str] = (), **facts: Any
) -> None:
    """One JSON object on stdout: what a training has written, and its last round.

    Args:
        folder: the actor's folder.
        model: the model's fingerprint.
        names: names of the rewards, if they are not those of the actor's heads.
        facts: further values of the object.
    """
    rewards, satisfied, losses = [], [], {}
    for last in actor.records[-1:]:
        rewards, satisfied = last.rewards, last.satisfied
        losses = {"critic_loss": last.critic_loss, "actor_loss": last.actor_loss}
    heads = names or actor.head_names
    recorded = heads[len(heads) - len(rewards) :]  # the others' values are not recorded
    print_json(
        {
            "folder": str(folder),
            "model": model,
            "method": actor.method,
            **facts,
            "rounds": len(actor.records),
            "interrupted": actor.interrupted,
            "decoded": actor.decoded,
            "all_satisfied": actor.best,
            "rewards": dict(zip(recorded, rewards, strict=True)),
            "satisfied": dict(zip(recorded, satisfied, strict=True)),
            **losses,
        }
    )
