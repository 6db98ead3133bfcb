"""``mc images train-classifier``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    print_json,
    print_table,
    stderr_console,
)
from melodyconstraints.cli._output import overwrite_option
from melodyconstraints.cli._training import TrainingDisplay, device_option, training_bar
from melodyconstraints.cli.images._common import (
    DataChoice,
    SettingsOf,
    settings_options,
    sized_data_options,
)
from melodyconstraints.storage.text import printable
from melodyconstraints.workflows.images.settings import CLASSIFIER

if TYPE_CHECKING:
    from melodyconstraints.images.classifier import ClassifierMetrics
    from melodyconstraints.vae.state import Metrics


@click.command("train-classifier")
@sized_data_options
@click.option("-o", "--output", type=FOLDER, required=True, help="Classifier folder to make.")
@click.option(
    "--size",
    type=click.Choice(["small", "faces", "paper"]),
    help="Size of its layers; paper is slow, and trained as in the appendix.  [default: small for "
    "classes, faces for attributes]",
)
@settings_options(CLASSIFIER)
@device_option
@overwrite_option
@json_option
def command(
    choice: DataChoice,
    output: Path,
    size: str | None,
    settings_of: SettingsOf,
    device: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train a classifier on the labels of DATA, a folder or the word digits.

    \b
    mc images train-classifier digits -o classifiers/digits

    It measures images in mc images evaluate, and plays no part in making them.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.images.checkpoint import CLASSIFIER_KIND
    from melodyconstraints.storage.artifacts import check_free
    from melodyconstraints.workflows.images.train_classifier import train_classifier_folder

    check_free(output, CLASSIFIER_KIND, overwrite=overwrite)
    with training_bar() as bar:
        data = choice.read(bar.console.print)
        metrics = train_classifier_folder(
            data,
            output,
            settings_of(size),
            size=size,
            overwrite=overwrite,
            device=device,
            callback=TrainingDisplay(bar, _line, digits=3),
        )
    if as_json:
        print_json(metrics.means() | {"by_label": dict(metrics.by_label)})
    else:
        _print_metrics(f"{len(data.test):,} held-out images", metrics)
    stderr_console().print(f"classifier in {output}")


def _line(point: Metrics) -> str:
    return f"accuracy {point['accuracy']:.3f}, F1 {point['f1']:.3f}"


def _print_metrics(title: str, metrics: ClassifierMetrics) -> None:
    """Means over all labels, then the metrics of each."""
    rows = [["all labels", *(f"{value:.3f}" for value in metrics.means().values())]]
    for name, (accuracy, f1) in metrics.by_label.items():
        rows.append([printable(name), f"{accuracy:.3f}", "", "", f"{f1:.3f}"])
    print_table([title, "accuracy", "precision", "recall", "F1"], rows)
