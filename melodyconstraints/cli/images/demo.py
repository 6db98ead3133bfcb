"""``mc images demo``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    print_json,
    print_table,
    progress_bar,
    seed_option,
    stderr_console,
)
from melodyconstraints.cli._training import TrainingDisplay, training_bar
from melodyconstraints.cli.images._common import show_rounds

if TYPE_CHECKING:
    from melodyconstraints.images.actor import ImageActor
    from melodyconstraints.workflows.images.demo import Demo


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
@json_option
def command(output: Path, seed: int, as_json: bool) -> None:
    """Everything once, on the 1,797 digits of 8x8 pixels that come with scikit-learn.

    \b
    mc images demo -o images-demo/

    Trains a model, a classifier and an actor of digits, in a minute and without a download; draws
    images of each, and says how many digits the classifier recognises.
    """  # noqa: D301 (click wants the character)
    if output.is_dir() and any(output.iterdir()):
        raise click.UsageError(f"{output} is not empty; choose a new folder by -o")

    from melodyconstraints.workflows.images.demo import Demo

    demo = Demo(output, seed)
    recognised = demo.draw_and_measure(_train(demo))
    rows = [
        [f"made, asked for {name}", f"{share:.0%}"] for name, share in recognised.by_digit.items()
    ]
    rows.append(["made, all", f"{recognised.generated:.1%}"])
    rows.append(["real, held out", f"{recognised.held_out:.1%}"])
    if as_json:
        print_json(asdict(recognised))
    else:
        print_table(["digits", "recognised"], rows)
    stderr_console().print(f"pictures in {demo.samples} and {demo.digits}")


def _train(demo: Demo) -> ImageActor:
    """Train all three, each with its bar; returns the actor."""
    from melodyconstraints.cli.images.train_vae import line

    stderr_console().print("a model: it learns to draw, from images without labels")
    with training_bar() as bar:
        demo.train_model(TrainingDisplay(bar, line))
    stderr_console().print("a classifier: it will measure the actor's images")
    with training_bar() as bar:
        demo.train_classifier(TrainingDisplay(bar, lambda point: "", digits=3))
    stderr_console().print(
        "an actor: it learns where in the model the digits are; the model stays as it is"
    )
    with progress_bar("rounds") as bar:
        task = bar.add_task("", total=demo.rounds)
        return demo.train_actor(show_rounds(bar, task))
