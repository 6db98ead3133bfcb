"""``mc images train-captions``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import FOLDER, print_table, seed_option, talk
from melodyconstraints.cli._output import overwrite_option
from melodyconstraints.cli._training import TrainingDisplay, training_bar
from melodyconstraints.cli.images._common import (
    REMEDY,
    attributes_option,
    data_argument,
    read_data_of,
)

if TYPE_CHECKING:
    from melodyconstraints.datasets.images.labelled_images import LabelledImages
    from melodyconstraints.vae.training import Metrics

SHOWN = 5
"""Test images whose captions are read back."""


@click.command("train-captions")
@data_argument
@click.option("-o", "--output", type=FOLDER, required=True, help="Captioner folder to make.")
@click.option(
    "--model",
    "model_folder",
    type=FOLDER,
    help="Folder of mc images train-vae.  [default: the bundled model of digits]",
)
@click.option(
    "--captions",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV of file,caption.  [default: those of DATA, else made from its labels]",
)
@click.option("--steps", type=click.IntRange(1), default=600, show_default=True)
@attributes_option
@seed_option
@overwrite_option
def command(
    data: Path,
    output: Path,
    model_folder: Path | None,
    captions: Path | None,
    steps: int,
    attributes: tuple[str, ...],
    seed: int,
    overwrite: bool,
) -> None:
    """Teach a network to read captions in a model's latent points, for generate --caption.

    Without captions in DATA or a CSV they are made from the labels, such as "a smiling young
    woman with blond hair" or "the digit seven".
    """
    from melodyconstraints.images import captions as library
    from melodyconstraints.images.checkpoint import load_model
    from melodyconstraints.images.vocabulary import words_of
    from melodyconstraints.storage.artifacts import check_free
    from melodyconstraints.workflows.images.training_folders import train_captions_folder

    check_free(output, library.KIND, overwrite=overwrite, remedy=REMEDY)
    settings = replace(library.TRAINING, steps=steps, seed=seed)
    with training_bar() as bar:
        model = load_model(model_folder)
        images = read_data_of([model], data, attributes, bar.console.print)
        train, test = (captioned(part, captions) for part in (images.train, images.test))
        found = train_captions_folder(
            replace(images, train=train, test=test),
            model,
            output,
            settings,
            callback=TrainingDisplay(bar, line, digits=2),
        )
    pairs = list(zip(test.captions, found, strict=False))  # of many test images not all are read
    print_table(["caption of a test image", "read in its point"], pairs[:SHOWN], text_columns=2)
    right = sum(a == b for a, b in pairs) / len(pairs)
    talk().print(f"{right:.1%} of the first {len(pairs)} are read to the word")
    # what the training never saw may have words that cannot be asked for
    example = test.captions[0] if test.captions[0] in train.captions else train.captions[0]
    words = " ".join(words_of(example)).replace(" ,", ",")  # nothing that a shell reads
    talk().print(
        f"captioner in {output}; see it with: "
        f'mc images generate --captioner {output} --caption "{words}"',
        soft_wrap=True,
    )


def captioned(images: LabelledImages, table: Path | None) -> LabelledImages:
    """Images with captions: of a table, their own, or made from their labels."""
    from melodyconstraints.datasets.images.image_folder import read_captions, with_captions
    from melodyconstraints.images.grammar import describe

    if table is not None:
        return with_captions(images, read_captions(table))
    if images.captions:
        return images
    made = tuple(
        describe(images.names, labels, exclusive=images.exclusive) for labels in images.labels
    )
    return replace(images, captions=made)


def line(point: Metrics) -> str:
    """Nothing is measured on the way."""
    return ""
