"""``mc images train-vae``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import FOLDER, print_table, talk
from melodyconstraints.cli._training import (
    TrainingDisplay,
    budget,
    device_option,
    length_options,
    precision_option,
    resume_option,
    training_bar,
)
from melodyconstraints.cli.images._common import (
    attributes_option,
    data_argument,
    edge_option,
    read_data,
)
from melodyconstraints.images.config import PRESETS

if TYPE_CHECKING:
    from melodyconstraints.vae.training import Metrics

AVERAGE, BUDGET = 0.999, "30m"
GREY, COLOUR = "digits", "small"
"""Presets that are taken where none is asked for."""
MEASURES = {
    "elbo": "ELBO, nats an image",
    "ll": "log-likelihood, nats an image",
    "kl": "KL divergence, nats an image",
    "mse": "squared error, a pixel",
}


@click.command("train-vae")
@data_argument
@click.option("-o", "--output", type=FOLDER, required=True, help="Model folder to make.")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())
    + f".  [default: {GREY} for grey images, {COLOUR} for those in colour]",
)
@click.option(
    "--sigma-x",
    type=click.FloatRange(0),
    default=0.1,
    show_default=True,
    help="Deviation of a pixel: less gives better copies, worse samples of the prior. "
    "0: an autoencoder.",
)
@length_options(BUDGET)
@click.option("--batch-size", type=click.IntRange(1), default=128, show_default=True)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=5e-4,
    show_default=True,
    help="Of Adam.",
)
@attributes_option
@edge_option
@resume_option
@device_option
@precision_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def command(
    data: Path,
    output: Path,
    preset: str | None,
    sigma_x: float,
    time_budget: float | None,
    steps: int | None,
    batch_size: int,
    learning_rate: float,
    attributes: tuple[str, ...],
    edge: int,
    resume: bool,
    device: str,
    precision: str,
    seed: int,
) -> None:
    """Train a VAE on the images of DATA, a folder or the word digits, and write a model folder.

    \b
    mc images train-vae digits -o models/digits --steps 1500
    mc images train-vae my_faces/ -o models/faces --time-budget 4h

    Checkpoints and learning curves stand in OUTPUT; a training that was killed goes on with
    --resume. On several GPUs: torchrun --no-python --nproc-per-node 8 mc images train-vae ...
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.vae.training import TrainingSettings
    from melodyconstraints.workflows.images.training_folders import shape_of, train_model

    settings = TrainingSettings(
        steps=steps,
        time_budget_seconds=budget(time_budget, steps, BUDGET),
        batch_size=batch_size,
        learning_rate=learning_rate,
        average=AVERAGE,
        precision=precision,
        seed=seed,
    )
    with training_bar() as bar:
        images = read_data(data, attributes, edge, bar.console.print)
        channels, _, _ = shape_of(images.train)
        measured = train_model(
            images,
            output,
            preset or (GREY if channels == 1 else COLOUR),
            settings,
            sigma_x=sigma_x,
            device=device,
            resume=resume,
            callback=TrainingDisplay(bar, line),
        )
    if not measured:  # a process that only helps
        return
    rows = [[told, _number(measured[name])] for name, told in MEASURES.items() if name in measured]
    print_table([f"{len(images.test):,} held-out images", "mean"], rows)
    talk().print(f"model in {output}; learning curves in {output / 'learning-curves.png'}")


def line(point: Metrics) -> str:
    """What is told of an evaluation."""
    likely = f"ELBO {point['elbo']:,.0f}, KL {point['kl']:.0f} nats; " if "elbo" in point else ""
    return f"{likely}squared error {point['mse']:.4f} a pixel"


def _number(value: float) -> str:
    """Tenths of nats, four digits of what is small.

    >>> _number(-1834.56), _number(0.0123456)
    ('-1,834.6', '0.01235')
    """
    return f"{value:,.1f}" if abs(value) >= 1 else f"{value:.4g}"
