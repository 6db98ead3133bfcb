"""What docs/images.md says beyond ``mc images evaluate``.

python benchmarks/images.py langevin DATA --actor DIR --classifier DIR     two ways to search
python benchmarks/images.py captions --captioner DIR --actor DIR --classifier DIR
                                                        what comes true of captions
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from torch import Tensor

from melodyconstraints.cli._common import print_table
from melodyconstraints.datasets.images.read_images import read_images
from melodyconstraints.images.actor import default_search, load_actor, prior_points
from melodyconstraints.images.captions import generate_from_caption, load_captioner
from melodyconstraints.images.checkpoint import load_classifier
from melodyconstraints.images.classifier import ImageClassifier
from melodyconstraints.images.grammar import describe
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.latent.search import signed
from melodyconstraints.workflows.images.image_data import tensors

FOLDER = click.Path(path_type=Path, exists=True)


@click.group()
def main() -> None:
    """Measure searches for images, and images for captions."""


@main.command()
@click.argument("data", type=FOLDER)
@click.option("--actor", "folder", type=FOLDER, required=True, help="Of the method langevin.")
@click.option("--classifier", type=FOLDER, required=True)
@click.option("-n", "count", default=64, show_default=True)
def langevin(data: Path, folder: Path, classifier: Path, count: int) -> None:
    """A search along a classifier on z or on images.

    The third paper's Figure 1, (c) against (a). Both are sampled by the same steps until the
    classifier in use finds all wanted labels; a sample counts as accepted if the classifier of
    images reads all wanted labels in its image.
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
    print_table(["gradient", "time", "accepted", "labels right", "a sample accepted"], rows)


CAPTIONED = (
    {"Smiling", "Young", "Blond_Hair"},
    {"Smiling", "Young", "Male", "Black_Hair"},
    {"Male", "Facial_Hair", "Eyeglasses"},
)
"""Attributes that hold in each caption; the others do not."""


@main.command()
@click.option("--captioner", "folder", type=FOLDER, required=True)
@click.option("--actor", "realism", type=FOLDER, required=True, help="For realism alone.")
@click.option("--classifier", type=FOLDER, required=True, help="Of the paper's ten attributes.")
@click.option("-n", "count", default=64, show_default=True)
def captions(folder: Path, realism: Path, classifier: Path, count: int) -> None:
    """What comes true of three captions.

    Of the images made for each, the share with the labels that it names, by a classifier.
    """
    model, captioner = load_captioner(folder)
    judge, actor = load_classifier(classifier), load_actor(realism, model=model)
    names = judge.config.names
    rows = []
    for held in CAPTIONED:
        wanted = torch.tensor([[float(name in held) for name in names]])
        caption = describe(names, wanted[0].tolist())
        for told, beside in (("from the prior", None), ("with realism", actor)):
            images = generate_from_caption(
                model, captioner, caption, count, seed=301, realism=beside
            )
            right = (judge.predict(images) == wanted).float()
            asked = [
                f"{name} {share:.0%}"
                for name, share, holds in zip(
                    names, right.mean(0).tolist(), wanted[0].tolist(), strict=True
                )
                if holds
            ]
            every = float(right.all(-1).float().mean())
            rows.append([caption, told, f"{right.mean():.1%}", f"{every:.1%}", ", ".join(asked)])
    columns = ["caption", "search", "labels right", "all right", "asked for"]
    print_table(columns, rows, text_columns=2)


def through_image(
    model: ImageVAE, classifier: ImageClassifier
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """A critic that looks at the image that a point decodes to."""
    return lambda z, _: classifier(model.pixels(z))


if __name__ == "__main__":
    main()
