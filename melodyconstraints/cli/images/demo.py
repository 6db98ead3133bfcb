"""``mc images demo``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import FOLDER, print_table, progress_bar, seed_option, talk
from melodyconstraints.cli._training import TrainingDisplay, training_bar
from melodyconstraints.cli.images._common import show_rounds

if TYPE_CHECKING:
    from torch import Tensor

    from melodyconstraints.datasets.images.labelled_images import ImageData
    from melodyconstraints.images.actor import ImageActor
    from melodyconstraints.images.classifier import ImageClassifier
    from melodyconstraints.images.model import ImageVAE

MODEL_STEPS, JUDGE_STEPS, ROUNDS = 1500, 600, 400
"""How long each is trained."""
ACROSS = 10
"""Images in a row of a picture."""
JUDGED = 100
"""Images of each digit that the classifier is shown."""


@click.command("demo")
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default=Path("images-demo"),
    show_default=True,
    help="New folder for model, classifier, actor and pictures.",
)
@seed_option
def command(output: Path, seed: int) -> None:
    """Everything once, on the 1,797 digits of 8x8 pixels that come with scikit-learn.

    Trains a model, a classifier and an actor that is asked for digits, in a minute and without a
    download; draws what comes of each, and says how many digits the classifier recognises.
    """
    if output.is_dir() and any(output.iterdir()):
        raise click.UsageError(f"{output} is not empty; choose a new folder by -o")

    import torch

    from melodyconstraints.datasets.images.read_images import read_images

    torch.set_num_threads(1)  # networks as small as these wait for each other on several
    data = read_images("digits")
    model = _train_model(data, output / "model", seed)
    judge = _train_judge(data, output / "classifier", seed)
    actor = _train_actor(data, model, output / "actor", seed)
    _draw_samples(data, model, output / "samples.png", seed)
    _judge(data, actor, judge, output / "digits.png", seed)
    talk().print(f"pictures in {output / 'samples.png'} and {output / 'digits.png'}")


def _train_model(data: ImageData, folder: Path, seed: int) -> ImageVAE:
    from melodyconstraints.cli.images.train_vae import line
    from melodyconstraints.images.checkpoint import load_model
    from melodyconstraints.vae.training import TrainingSettings
    from melodyconstraints.workflows.images.training_folders import train_model

    talk().print("a model: it learns to draw, from images without labels")
    settings = TrainingSettings(
        steps=MODEL_STEPS, batch_size=64, learning_rate=2e-3, average=0.995, seed=seed
    )
    with training_bar() as bar:
        train_model(data, folder, "tiny", settings, callback=TrainingDisplay(bar, line))
    return load_model(folder)


def _train_judge(data: ImageData, folder: Path, seed: int) -> ImageClassifier:
    from melodyconstraints.images.checkpoint import load_classifier
    from melodyconstraints.vae.training import TrainingSettings
    from melodyconstraints.workflows.images.training_folders import train_classifier_folder

    talk().print("a classifier: the judge")
    settings = TrainingSettings(
        steps=JUDGE_STEPS, batch_size=64, learning_rate=1e-3, average=0.99, seed=seed
    )
    with training_bar() as bar:
        display = TrainingDisplay(bar, lambda point: "", digits=3)
        train_classifier_folder(data, folder, settings, callback=display)
    return load_classifier(folder)


def _train_actor(data: ImageData, model: ImageVAE, folder: Path, seed: int) -> ImageActor:
    from melodyconstraints.images.actor import PRESETS
    from melodyconstraints.workflows.images.training_folders import train_actor_folder

    talk().print("an actor: it learns where in the model the digits are; the model stays as it is")
    settings = replace(
        PRESETS["digits"],
        rounds=ROUNDS,
        actor_steps=2,
        learning_rate=1e-3,
        ema_decay=0.98,
        distance_weight=0.4,  # without it, all images of a digit are one
        prior_weight=0.3,
    )
    with progress_bar("rounds") as bar:
        task = bar.add_task("", total=settings.rounds)
        return train_actor_folder(
            data, model, folder, settings=settings, seed=seed, callback=show_rounds(bar, task)
        )


def _draw_samples(data: ImageData, model: ImageVAE, path: Path, seed: int) -> None:
    """A digit of each class, what the model makes of them, and what it makes of nothing."""
    from melodyconstraints.images.actor import prior_points
    from melodyconstraints.images.grids import draw_grid
    from melodyconstraints.workflows.images.training_folders import tensors

    images, labels = tensors(data.test)
    shown = images[labels.argmax(0)]  # the first of each class
    copies = model.decode(model.encode(shown).mean)
    drawn = model.decode(prior_points(model, ACROSS, seed))
    names = ["held-out digits", "reconstructions", "samples of the prior"]
    draw_grid([shown, copies, drawn], path, row_names=names)


def _judge(
    data: ImageData, actor: ImageActor, judge: ImageClassifier, path: Path, seed: int
) -> None:
    """Draw a row of each digit, and print how many are recognised."""
    import torch

    from melodyconstraints.images.grids import draw_grid
    from melodyconstraints.workflows.images.training_folders import tensors

    asked = torch.eye(len(actor.names)).repeat_interleave(JUDGED, 0)
    made = actor.generate(asked, seed=seed)
    rows = [part[:ACROSS] for part in made.split(JUDGED)]
    draw_grid(rows, path, row_names=[f"asked for {name}" for name in actor.names])

    right = _recognised(judge, made, asked)
    each = right.reshape(-1, JUDGED).mean(1).tolist()
    real = float(_recognised(judge, *tensors(data.test)).mean())
    table = [[f"made, asked for {n}", f"{s:.0%}"] for n, s in zip(actor.names, each, strict=True)]
    table.append(["made, all", f"{float(right.mean()):.1%}"])
    table.append(["real, held out", f"{real:.1%}"])
    print_table(["digits", "recognised"], table)


def _recognised(judge: ImageClassifier, images: Tensor, labels: Tensor) -> Tensor:
    """``(B,)`` 1 where the judge reads the labels ``(B, Y)``."""
    return (judge.predict(images) == labels).all(-1).float()
