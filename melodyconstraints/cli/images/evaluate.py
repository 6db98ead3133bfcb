"""``mc images evaluate``: the paper's Tables 1 and 4, and what becomes of identity."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import FOLDER, json_option, print_json, print_table, talk
from melodyconstraints.cli.images._common import (
    attributes_option,
    check_names,
    data_argument,
    read_data_of,
)

if TYPE_CHECKING:
    from torch import Tensor

    from melodyconstraints.datasets.images.labelled_images import LabelledImages
    from melodyconstraints.images.actor import ImageActor
    from melodyconstraints.images.classifier import ImageClassifier
    from melodyconstraints.images.model import ImageVAE
    from melodyconstraints.vae.training import Metrics
    from melodyconstraints.workflows.images.evaluate import Identity, Row

TRANSFORMED = 500
"""Test images of which one label is changed."""

Folders = tuple[Path, ...]
Table = tuple[str, Sequence[str], list[Sequence[str]]]


@click.command("evaluate")
@data_argument
@click.option(
    "--model", "models", type=FOLDER, multiple=True, help="Model folders, for Table 4: ELBO."
)
@click.option(
    "--actor", "actors", type=FOLDER, multiple=True, help="Actor folders, for Table 1: labels."
)
@click.option("--classifier", type=FOLDER, help="Folder of mc images train-classifier.")
@click.option("-n", "count", type=click.IntRange(2), default=2000, show_default=True)
@attributes_option
@click.option("--seed", type=click.IntRange(0), default=301, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the tables, as JSON.")
@json_option
def command(
    data: Path,
    models: Folders,
    actors: Folders,
    classifier: Path | None,
    count: int,
    attributes: tuple[str, ...],
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Measure models and actors on the test images of DATA.

    Table 4 of the paper for every --model: ELBO, log-likelihood and divergence in nats. Table 1
    for every --actor: how often a separate classifier finds the labels that were asked for and
    how far the points were moved; beyond the paper the Fréchet distance to the test images in
    that classifier's features, the diversity of images with the same labels, and what is left of
    an image when one of its labels is changed.
    """
    if not models and not actors:
        raise click.UsageError("give at least one --model or --actor")
    if actors and classifier is None:
        raise click.UsageError("--actor needs a --classifier to judge the images")
    from melodyconstraints.images.actor import load_actor
    from melodyconstraints.images.checkpoint import load_model
    from melodyconstraints.workflows.images.training_folders import tensors

    loaded = {name: load_model(folder) for name, folder in _told(models).items()}
    asked = {name: load_actor(folder) for name, folder in _told(actors).items()}
    everyone = [*loaded.values(), *(actor.model for actor in asked.values())]
    found = read_data_of(everyone, data, attributes, talk().print)
    for name, actor in asked.items():
        if actor.names:
            check_names(f"the actor {name}", actor.names, found.test)
    judge = None
    if asked and classifier is not None:
        judge = _fitting_judge(classifier, list(asked.values()), found.test)
    images, labels = tensors(found.test)
    report: dict[str, Any] = {"test_images": len(images)}
    tables: list[Table] = []
    if loaded:
        measured = _elbo(loaded, images)
        report["table_4"] = measured
        tables.append(_elbo_table(measured))
    if judge is not None:
        rows, identities = _labels(
            asked, judge, (images, labels), tensors(found.train)[0], count, seed
        )
        report |= {"n": count, "seed": seed}
        report["table_1"] = [asdict(row) for row in rows]
        report["identity"] = [asdict(one) for one in identities]
        tables.append(_label_table(rows))
        if len(compared := _diversities(rows)) > 1:
            report["diversity_over_first"] = [list(line) for line in compared]
            tables.append(_diversity_table(compared))
        if identities:
            tables.append(_identity_table(identities))
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(report)
        return
    for title, columns, lines in tables:
        print_table(columns, lines, title)


def _told(folders: Folders) -> dict[str, Path]:
    """Folders by their names where these differ, else by their paths."""
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return dict(zip(names, folders, strict=True))


def _fitting_judge(
    folder: Path, actors: Sequence[ImageActor], images: LabelledImages
) -> ImageClassifier:
    """The classifier of a folder, of the labels of actors and images and of these images."""
    from melodyconstraints.images.checkpoint import load_classifier
    from melodyconstraints.workflows.images.evaluate import check_labels
    from melodyconstraints.workflows.images.training_folders import shape_of

    judge = load_classifier(folder)
    for actor in actors:
        if actor.names:
            check_labels(actor, judge)
    check_names(f"the classifier {folder}", judge.config.names, images)
    wanted, found = judge.config.trunk.shape, shape_of(images)
    if wanted != found:
        raise click.UsageError(
            f"the classifier {folder} is for images of {'x'.join(map(str, wanted))} (channels, "
            f"rows, columns), the data has {'x'.join(map(str, found))}; train one with: "
            "mc images train-classifier"
        )
    return judge


def _elbo(models: Mapping[str, ImageVAE], images: Tensor) -> dict[str, Metrics]:
    from melodyconstraints.images.training import measure_elbo

    return {
        name: {"sigma_x": model.config.sigma_x} | measure_elbo(model, images)
        for name, model in models.items()
    }


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


def _labels(
    actors: Mapping[str, ImageActor],
    judge: ImageClassifier,
    test: tuple[Tensor, Tensor],
    train: Tensor,
    count: int,
    seed: int,
) -> tuple[list[Row], list[Identity]]:
    from melodyconstraints.workflows.images import evaluate

    images, labels = test
    rows = [evaluate.evaluate_data(judge, images, labels, train[: len(images)])]
    first = next(iter(actors.values()))
    rows.append(evaluate.evaluate_prior(first, judge, images, n=count, seed=seed))
    identities = []
    for name, actor in actors.items():
        talk().print(f"measuring {name}")
        rows.append(
            evaluate.evaluate_actor(name, actor, judge, images, labels, n=count, seed=seed)
        )
        if actor.names and actor.method != "langevin":
            some = images[:TRANSFORMED], labels[:TRANSFORMED]
            identities.append(evaluate.evaluate_identity(name, actor, judge, *some, seed=seed))
    return rows, identities


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


def _diversities(rows: Sequence[Row]) -> list[tuple[str, float, float, float]]:
    """Actors and how many times as diverse as the first they are, with the interval's ends."""
    found = [
        (row.name, row.diversity) for row in rows if row.diversity and all(row.diversity.each)
    ]
    ratios = [(name, diverse.over(found[0][1])) for name, diverse in found]
    return [(name, ratio, *interval) for name, (ratio, interval) in ratios]


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
