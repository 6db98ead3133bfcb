"""``mc images train-vae``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    print_json,
    print_table,
    resume_hint,
    stderr_console,
)
from melodyconstraints.cli._training import (
    TrainingDisplay,
    device_option,
    resume_option,
    training_bar,
)
from melodyconstraints.cli.images._common import (
    DataChoice,
    SettingsOf,
    settings_options,
    sized_data_options,
)
from melodyconstraints.images.config import COLOUR_PRESET, GREY_PRESET, PRESETS
from melodyconstraints.workflows.images.settings import VAE

if TYPE_CHECKING:
    from melodyconstraints.vae.state import Metrics

MEASURES = {
    "elbo": "ELBO, nats an image",
    "ll": "log-likelihood, nats an image",
    "kl": "KL divergence, nats an image",
    "mse": "squared error, a pixel",
}
"""Rows of the table of a trained model's metrics."""


@click.command("train-vae")
@sized_data_options
@click.option("-o", "--output", type=FOLDER, required=True, help="Model folder to make.")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())
    + f".  [default: {GREY_PRESET} for grey images, {COLOUR_PRESET} for those in colour]",
)
@click.option(
    "--sigma-x",
    type=click.FloatRange(0),
    default=0.1,
    show_default=True,
    help="Standard deviation of a pixel: lower values give better reconstructions and "
    "worse samples of the prior. "
    "0: an autoencoder.",
)
@settings_options(VAE)
@resume_option
@device_option
@json_option
def command(
    choice: DataChoice,
    output: Path,
    preset: str | None,
    sigma_x: float,
    settings_of: SettingsOf,
    resume: bool,
    device: str,
    as_json: bool,
) -> None:
    """Train a VAE on the images of DATA, a folder or the word digits, and write a model folder.

    \b
    mc images train-vae digits -o models/digits --steps 1500
    mc images train-vae my_faces/ -o models/faces --time-budget 4h

    Checkpoints and learning curves are in OUTPUT; a training that was killed goes on with
    --resume. On several GPUs: torchrun --no-python --nproc-per-node 8 mc images train-vae ...
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.workflows.images.train_vae import train_vae_folder

    with resume_hint(), training_bar() as bar:
        data = choice.read(bar.console.print)
        metrics = train_vae_folder(
            data,
            output,
            settings_of(preset),
            preset=preset,
            sigma_x=sigma_x,
            device=device,
            resume=resume,
            callback=TrainingDisplay(bar, line),
        )
    if not metrics:  # not the first of several processes
        return
    if as_json:
        print_json(metrics)
    else:
        named = [(text, name) for name, text in MEASURES.items() if name in metrics]
        rows = [[text, _number(metrics[name])] for text, name in named]
        print_table([f"{len(data.test):,} held-out images", "mean"], rows)
    stderr_console().print(
        f"model in {output}; learning curves in {output / 'learning-curves.png'}"
    )


def line(point: Metrics) -> str:
    """Text for an evaluation's metrics."""
    bound = f"ELBO {point['elbo']:,.0f}, KL {point['kl']:.0f} nats; " if "elbo" in point else ""
    return f"{bound}squared error {point['mse']:.4f} a pixel"


def _number(value: float) -> str:
    """One decimal place from 1 on, four digits below.

    >>> _number(-1834.56), _number(0.0123456)
    ('-1,834.6', '0.01235')
    """
    return f"{value:,.1f}" if abs(value) >= 1 else f"{value:.4g}"
