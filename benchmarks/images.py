"""What docs/images.md says beyond ``mc images evaluate``: speed of two ways to search.

python benchmarks/images.py langevin DATA --model DIR --actor DIR --classifier DIR
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from melodyconstraints.datasets.labelled_images import read_images
from melodyconstraints.images.actors import default_search, load_actor, prior_points
from melodyconstraints.images.checkpoint import load_classifier
from melodyconstraints.images.classifier import ImageClassifier
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.images.recipe import tensors
from melodyconstraints.latent.search import signed

FOLDER = click.Path(path_type=Path, exists=True)


@click.group()
def main() -> None:
    """Measure."""


@main.command()
@click.argument("data", type=FOLDER)
@click.option("--actor", "folder", type=FOLDER, required=True, help="Of the method langevin.")
@click.option("--classifier", type=FOLDER, required=True)
@click.option("-n", "count", default=64, show_default=True)
def langevin(data: Path, folder: Path, classifier: Path, count: int) -> None:
    """The third paper's Figure 1: (c), a classifier on z, against (a), one on images.

    Both are sampled by the same steps until the classifier in use is content; a sample counts as
    accepted if the classifier of images reads all wanted labels in its image.
    """
    actor, judge = load_actor(folder), load_classifier(classifier)
    _, labels = tensors(read_images(data).test)
    y, search = labels[:count], default_search("langevin", len(actor.names))
    z = prior_points(actor.model, count, seed=301)
    rows = []
    for name, critic in (
        ("(c) classifier on z", signed(actor.critic)),
        ("(a) through decoder and classifier", signed(through_image(actor.model, judge))),
    ):
        generator = torch.Generator().manual_seed(1)
        started = time.perf_counter()
        found = search(critic, z, y, generator=generator)
        images = actor.model.decode(found)
        seconds = time.perf_counter() - started
        accepted = int((judge.predict(images) == y).all(-1).sum())
        right = float((judge.predict(images) == y).float().mean())
        each = seconds / accepted if accepted else float("inf")
        rows.append(
            [name, f"{seconds:.2f} s", f"{accepted} of {count}", f"{right:.3f}", f"{each:.4f} s"]
        )
    table = Table("gradient", "time", "accepted", "labels right", "a sample accepted")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def through_image(
    model: ImageVAE, classifier: ImageClassifier
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """A critic that looks at the image that a point decodes to."""
    return lambda z, _: classifier(model.pixels(z))


if __name__ == "__main__":
    main()
