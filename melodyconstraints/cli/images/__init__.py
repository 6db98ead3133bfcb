"""``mc images``: what ``mc`` does for melodies, for images."""

from __future__ import annotations

import click

from melodyconstraints.cli._table import CommandTable

COMMANDS = {
    "demo": ("demo", "Everything once, on digits that are here already; a minute."),
    "train-vae": ("train_vae", "Train a model on a folder of images."),
    "train-classifier": ("train_classifier", "Train the classifier that measures actors."),
    "train-actor": ("train_actor", "Train an actor for labels; the model stays as it is."),
    "train-captions": ("train_captions", "Train a captioner for generate --caption."),
    "generate": ("generate", "Write images with the labels that you ask for."),
    "transform": ("transform", "Your own pictures with other labels."),
    "evaluate": ("evaluate", "The paper's tables, for your models and actors."),
    "figures": ("figures", "The paper's figures, for your models and actors."),
}


@click.command("images", cls=CommandTable, rows=COMMANDS, package=__name__)
def command() -> None:
    """Images with the labels that you ask for, from a model that is not retrained.

    \b
    mc images demo
    mc images train-vae FOLDER -o models/faces
    mc images train-actor FOLDER --model models/faces -o actors/faces
    mc images generate --actor actors/faces --with smiling,young -o faces.png
    mc images transform me.jpg --actor actors/faces --set eyeglasses -o me.png

    FOLDER holds images and a labels.csv, CelebA as it is distributed, or MNIST's four files.
    """  # noqa: D301 (click wants the character)
