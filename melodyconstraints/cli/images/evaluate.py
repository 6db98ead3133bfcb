"""``mc images evaluate``: the paper's Tables 1 and 4, diversity and identity."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    print_json,
    print_table,
    progress_bar,
    seed_option_of,
    stderr_console,
)
from melodyconstraints.cli.images._common import DataChoice, data_options, show_stages
from melodyconstraints.workflows.images.settings import EVALUATION_SEED

if TYPE_CHECKING:
    from melodyconstraints.vae.state import Metrics
    from melodyconstraints.workflows.images.evaluate import Identity, Report, Row

Folders = tuple[Path, ...]
Table = tuple[str, Sequence[str], list[Sequence[str]]]
"""Title, columns and rows."""


@click.command("evaluate")
@data_options
@click.option(
    "--model", "models", type=FOLDER, multiple=True, help="Model folders, for Table 4: ELBO."
)
@click.option(
    "--actor", "actors", type=FOLDER, multiple=True, help="Actor folders, for Table 1: labels."
)
@click.option("--classifier", type=FOLDER, help="Folder of mc images train-classifier.")
@click.option("-n", "count", type=click.IntRange(2), default=2000, show_default=True)
@seed_option_of(EVALUATION_SEED)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the tables, as JSON.")
@json_option
def command(
    choice: DataChoice,
    models: Folders,
    actors: Folders,
    classifier: Path | None,
    count: int,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Measure models and actors on the test images of DATA.

    \b
    mc images evaluate digits --model models/digits

    Table 4 of the paper for every --model: ELBO, log-likelihood and divergence in nats. Table 1
    for every --actor: how often a separate classifier finds the wanted labels, and how far the
    points were moved; beyond the paper the Fréchet distance to the test images in that
    classifier's features, the diversity of images with the same labels, and how much of an image
    changes with one of its labels.
    """  # noqa: D301 (click wants the character)
    if not models and not actors:
        raise click.UsageError("give at least one --model or --actor")
    if actors and classifier is None:
        raise click.UsageError("--actor needs a --classifier to measure the images")
    from melodyconstraints.images.actor import load_actor
    from melodyconstraints.images.checkpoint import load_classifier, load_model
    from melodyconstraints.workflows.images.evaluate import evaluate

    measured = {name: load_model(folder) for name, folder in _by_names(models).items()}
    pairs = {name: load_actor(folder) for name, folder in _by_names(actors).items()}
    all_models = [*measured.values(), *(pair.model for pair in pairs.values())]
    data = choice.read_for(all_models, stderr_console().print)
    judge = load_classifier(classifier) if actors and classifier else None
    with progress_bar("stages", transient=True) as bar:
        report = evaluate(
            data,
            measured,
            pairs,
            judge,
            n=count,
            seed=seed,
            announce=bar.console.print,
            callback=show_stages(bar),
        )
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report.as_json(), indent=2) + "\n"
        output.write_text(text, encoding="utf-8")
    if as_json:
        print_json(report.as_json())
        return
    for title, columns, lines in _tables(report):
        print_table(columns, lines, title)


def _by_names(folders: Folders) -> dict[str, Path]:
    """Folders by their names, or by their paths if two have one name."""
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return dict(zip(names, folders, strict=True))


def _tables(report: Report) -> list[Table]:
    """Tables of what was measured."""
    tables = [_elbo_table(report.table_4)] if report.table_4 else []
    if report.table_1:
        tables.append(_label_table(report.table_1))
    if len(compared := report.diversity_over_first()) > 1:
        tables.append(_diversity_table(compared))
    if report.identity:
        tables.append(_identity_table(report.identity))
    return tables


def _elbo_table(measured: Mapping[str, Metrics]) -> Table:
    names = ("ll", "kl", "elbo")
    lines = [
        [folder, f"{values['sigma_x']:g}"]
        + [f"{values[name]:,.0f}" if name in values else "-" for name in names]
        + [f"{values['mse']:.5f}"]
        for folder, values in measured.items()
    ]
    columns = ["model", "sigma_x", "LL, nats", "KL, nats", "ELBO, nats", "error a pixel"]
    return "Table 4: test images", columns, [*lines]


def _label_table(rows: Sequence[Row]) -> Table:
    lines = []
    for row in rows:
        scores = row.scores
        cells = ["-"] * 4
        if scores:
            values = (scores.accuracy, scores.precision, scores.recall, scores.f1)
            cells = [f"{value:.3f}" for value in values]
        cells.append("-" if row.z_mse is None else f"{row.z_mse:.1f}")
        cells.append(f"{row.frechet:.1f}")
        diverse = row.diversity
        cells.append(
            f"{diverse.mean:.3f} ± {diverse.interval[1] - diverse.mean:.3f}" if diverse else "-"
        )
        lines.append([row.name, *cells])
    columns = ["", "accuracy", "precision", "recall", "F1", "z_MSE", "Fréchet", "diversity"]
    return "Table 1: a separate classifier's labels", columns, [*lines]


def _diversity_table(compared: Sequence[tuple[str, float, float, float]]) -> Table:
    (first, *_), *others = compared
    lines = [[name, f"{ratio:.2f}", f"{low:.2f}-{high:.2f}"] for name, ratio, low, high in others]
    columns = ["same labels", f"times as diverse as {first}", "95%"]
    return "Diversity: pixel distance of images with the same labels", columns, [*lines]


def _identity_table(identities: Sequence[Identity]) -> Table:
    lines = [
        [
            one.name,
            f"{one.changed:.3f}",
            "-" if one.kept is None else f"{one.kept:.3f}",
            f"{one.pixels:.4f}",
            f"{one.latent:.2f}",
        ]
        for one in identities
    ]
    columns = ["one label changed", "changed", "others kept", "pixels", "z_MSE"]
    return "Identity: distance to the image's reconstruction", columns, [*lines]
