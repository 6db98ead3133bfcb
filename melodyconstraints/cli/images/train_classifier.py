"""``mc images train-classifier``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import FOLDER, print_table, talk
from melodyconstraints.cli._output import overwrite_option
from melodyconstraints.cli._training import (
    TrainingDisplay,
    budget,
    device_option,
    length_options,
    precision_option,
    training_bar,
)
from melodyconstraints.cli.images._common import (
    REMEDY,
    attributes_option,
    data_argument,
    edge_option,
    read_data,
)
from melodyconstraints.storage.text import printable

if TYPE_CHECKING:
    from melodyconstraints.images.classifier import Scores
    from melodyconstraints.vae.training import Metrics

AVERAGE, BUDGET = 0.99, "10m"


@click.command("train-classifier")
@data_argument
@click.option("-o", "--output", type=FOLDER, required=True, help="Classifier folder to make.")
@click.option(
    "--size",
    type=click.Choice(["small", "faces", "paper"]),
    help="Of its layers; paper is slow.  [default: small for classes, faces for attributes]",
)
@length_options(BUDGET)
@click.option("--batch-size", type=click.IntRange(1), default=128, show_default=True)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Of Adam.",
)
@attributes_option
@edge_option
@device_option
@precision_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@overwrite_option
def command(
    data: Path,
    output: Path,
    size: str | None,
    time_budget: float | None,
    steps: int | None,
    batch_size: int,
    learning_rate: float,
    attributes: tuple[str, ...],
    edge: int,
    device: str,
    precision: str,
    seed: int,
    overwrite: bool,
) -> None:
    """Train a classifier on the labels of DATA, a folder or the word digits.

    It is the judge of mc images evaluate, and plays no part in the making of images.
    """
    from melodyconstraints.images.checkpoint import CLASSIFIER_KIND
    from melodyconstraints.storage.artifacts import check_free
    from melodyconstraints.vae.training import TrainingSettings
    from melodyconstraints.workflows.images.training_folders import train_classifier_folder

    check_free(output, CLASSIFIER_KIND, overwrite=overwrite, remedy=REMEDY)
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
        found = train_classifier_folder(
            images,
            output,
            settings,
            size=size,
            overwrite=overwrite,
            device=device,
            callback=TrainingDisplay(bar, line, digits=3),
        )
    print_scores(f"{len(images.test):,} held-out images", found)
    talk().print(f"classifier in {output}")


def line(point: Metrics) -> str:
    """What is told of an evaluation."""
    return f"accuracy {point['accuracy']:.3f}, F1 {point['f1']:.3f}"


def print_scores(title: str, found: Scores) -> None:
    """All labels together, then each."""
    together = [found.accuracy, found.precision, found.recall, found.f1]
    rows = [["all labels", *(f"{value:.3f}" for value in together)]]
    for name, (accuracy, f1) in found.by_label.items():
        rows.append([printable(name), f"{accuracy:.3f}", "", "", f"{f1:.3f}"])
    print_table([title, "accuracy", "precision", "recall", "F1"], rows)
