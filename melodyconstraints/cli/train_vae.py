"""``mc train-vae``."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from melodyconstraints.cli.common import FOLDER, Duration, print_table, talk

if TYPE_CHECKING:
    from rich.progress import Progress

    from melodyconstraints.vae.training import Metrics, TrainingSettings, TrainingState

AVERAGE = 0.999
LEARNING_RATES = {"small": 1e-3, "paper": 3e-4}


@click.command("train-vae")
@click.argument("melodies", type=FOLDER)
@click.option("-o", "--output", type=FOLDER, required=True, help="Model folder to make.")
@click.option(
    "--preset", type=click.Choice(["small", "paper"]), default="small", show_default=True
)
@click.option(
    "--time-budget", type=Duration(), help="Train for so long: 90s, 30m, 2h.  [default: 30m]"
)
@click.option("--steps", type=click.IntRange(1), help="Train for so many steps instead.")
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Of Adam.  [default: 1e-3 for small, 3e-4 for paper]",
)
@click.option(
    "--beta",
    type=click.FloatRange(0),
    default=0.3,
    show_default=True,
    help="Weight of the divergence from the prior: more gives better samples, less better copies.",
)
@click.option(
    "--free-bits",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Divergence that costs nothing. MusicVAE: --beta 0.2 --free-bits 256.",
)
@click.option(
    "--notes",
    type=click.File(encoding="utf-8"),
    help="Markdown to add to the model card: where the data is from, its licences.",
)
@click.option("--resume", is_flag=True, help="Go on with a training that was ended or killed.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "bfloat16", "float32"]),
    default="auto",
    show_default=True,
    help="Of matrix products; auto is bfloat16 where the processor multiplies it.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def command(
    melodies: Path,
    output: Path,
    preset: str,
    time_budget: float | None,
    steps: int | None,
    batch_size: int,
    learning_rate: float | None,
    beta: float,
    free_bits: float,
    notes: TextIO | None,
    resume: bool,
    device: str,
    precision: str,
    seed: int,
) -> None:
    """Train a melody VAE on the store MELODIES and write a model folder.

    Checkpoints and learning curves stand in OUTPUT/training; a training that was killed goes on
    with --resume. On several GPUs: torchrun --no-python --nproc-per-node 8 mc train-vae ...
    """
    from melodyconstraints.melody.training import ElboSettings
    from melodyconstraints.recipe import train_model
    from melodyconstraints.vae.training import TrainingSettings

    if steps is None and time_budget is None:
        time_budget = 1800.0
    settings = TrainingSettings(
        steps=steps,
        time_budget_seconds=time_budget,
        batch_size=batch_size,
        learning_rate=learning_rate or LEARNING_RATES[preset],
        average=AVERAGE,
        precision=precision,
        seed=seed,
    )
    elbo = ElboSettings(beta=beta, free_nats=free_bits * math.log(2))
    with _bar() as bar:
        measured = train_model(
            melodies,
            output,
            preset,
            settings,
            elbo,
            device=device,
            resume=resume,
            notes=notes.read() if notes else "",
            callback=_Display(bar, settings),
            announce=bar.console.print,
        )
    if not measured:  # a process that only helps
        return
    _print(measured)
    talk().print(f"model in {output}; learning curves in {output / 'learning-curves.png'}")


def _bar() -> Progress:
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


class _Display:
    """Shows the latest losses beside the bar, and a line after each evaluation."""

    def __init__(self, bar: Progress, settings: TrainingSettings) -> None:
        self._bar, self._task = bar, bar.add_task("training", total=1.0)
        self._shown = 0

    def __call__(self, state: TrainingState) -> None:
        terms = ", ".join(
            f"{name} {value:.1f}" for name, value in state.latest.items() if name != "loss"
        )
        self._bar.update(
            self._task, completed=state.progress, description=f"step {state.step}: {terms}"
        )
        if len(state.curves) > self._shown:
            self._shown = len(state.curves)
            self._bar.console.print(_line(state.curves[-1]))


def _line(point: Metrics) -> str:
    return (
        f"{int(point['step']):>7,} {point['seconds'] / 60:6.1f} min  "
        f"right: {point['teacher_forced']:.3f} teacher-forced, {point['free_running']:.3f} "
        f"free-running; KL {point['kl']:.0f} nats"
    )


def _print(measured: dict[str, Metrics]) -> None:
    names = list(next(iter(measured.values())))
    rows = [
        [name.replace("_", " "), *(f"{values[name]:.3f}" for values in measured.values())]
        for name in names
    ]
    print_table(["held-out melodies", *measured], rows)
