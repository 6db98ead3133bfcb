"""Options and display that several commands of ``mc images`` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from melodyconstraints.cli._common import (
    FOLDER,
    Decorator,
    option_group,
    seed_option_of,
)
from melodyconstraints.cli._training import length_choices, precision_option
from melodyconstraints.workflows.images.settings import BATCH_SIZE, Defaults, settings_of

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from melodyconstraints.datasets.images.labelled_images import Announce, ImageData
    from melodyconstraints.images.model import ImageVAE
    from melodyconstraints.latent.pair import RoundRecord
    from melodyconstraints.vae.training import TrainingSettings

EDGE = 64
"""Default edge in pixels of the images of a folder."""
SettingsOf: TypeAlias = "Callable[[str | None], TrainingSettings]"
"""Name of a preset, if any, to the settings of a training."""

data_argument = click.argument("data", type=FOLDER)
edge_option = click.option(
    "--pixels",
    "edge",
    type=click.IntRange(1),
    default=EDGE,
    show_default=True,
    help="Edge in pixels to which images of a folder are reduced; digits keep their own.",
)


def names_option(flag: str, variable: str, text: str) -> Decorator:
    """An option of names with commas between them, given once or several times.

    Args:
        flag: such as ``--label``.
        variable: name of the argument.
        text: help.
    """
    return click.option(
        flag, variable, multiple=True, callback=split_names, metavar="NAME,...", help=text
    )


def split_names(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    """Texts such as ``smiling,young`` as names."""
    for text in texts:
        if not all(name.strip() for name in text.split(",")):
            message = f"{text!r}: write names with commas between them"
            raise click.BadParameter(message, context, option)
    return tuple(name.strip() for text in texts for name in text.split(","))


attributes_option = names_option(
    "--attributes",
    "attributes",
    "Labels to take of DATA.  [default: all; of CelebA the paper's ten]",
)
label_option = names_option("--label", "classes", "Classes wanted, of an actor of classes: 7.")
actor_option = click.option(
    "--actor",
    "actor_folder",
    type=FOLDER,
    help="Folder of mc images train-actor.  [default: the bundled actor of digits]",
)


model_option = click.option(
    "--model",
    "model_folder",
    type=FOLDER,
    help="Folder of mc images train-vae.  [default: the bundled model of digits]",
)


def settings_options(defaults: Defaults) -> Decorator:
    """Options of a training, handed over as ``settings_of``, a :data:`SettingsOf`."""

    def make(time_budget: float | None, **given: Any) -> SettingsOf:
        return partial(settings_of, defaults=defaults, time_budget_seconds=time_budget, **given)

    options: dict[str, Decorator] = {
        **length_choices(f"{defaults.time_budget_seconds / 60:g}m"),
        "batch_size": click.option(
            "--batch-size", type=click.IntRange(1), default=BATCH_SIZE, show_default=True
        ),
        "learning_rate": click.option(
            "--learning-rate",
            type=click.FloatRange(0, min_open=True),
            help="Adam's learning rate.  [default: 3e-4 for the paper's, else "
            f"{defaults.learning_rate:g}]",
        ),
        "precision": precision_option,
        "seed": seed_option_of(0),
    }
    return option_group("settings_of", make, options)


@dataclass(frozen=True)
class DataChoice:
    """The data of a command: a folder or a word, and what is taken of it.

    Args:
        data: a folder, or the word "digits".
        attributes: names of the labels; all, or CelebA's ten of the paper, if empty.
        edge: edge of the images in pixels; that of the model's images if None.
    """

    data: Path
    attributes: tuple[str, ...]
    edge: int | None = None

    def read(self, announce: Announce | None = None) -> ImageData:
        """Read the images at the edge."""
        from melodyconstraints.datasets.images.read_images import read_images

        size = EDGE if self.edge is None else self.edge
        return read_images(self.data, self.attributes or None, size=size, announce=announce)

    def read_for(self, models: Sequence[ImageVAE], announce: Announce | None = None) -> ImageData:
        """Read the images at the size of the models' images."""
        from melodyconstraints.workflows.images.image_data import read_images_of

        return read_images_of(models, self.data, self.attributes or None, announce)


_DATA = {"data": data_argument, "attributes": attributes_option}
data_options = option_group("choice", DataChoice, _DATA)
"""DATA and ``--attributes``, handed over as ``choice``."""
sized_data_options = option_group("choice", DataChoice, {**_DATA, "edge": edge_option})
"""DATA, ``--attributes`` and ``--pixels``, handed over as ``choice``."""


def show_stages(bar: Progress) -> Callable[[str, int, int], None]:
    """A callback that shows on a bar what is under way, how many are done, and of how many."""
    task = bar.add_task("preparing", total=None)

    def show(text: str, done: int, count: int) -> None:
        bar.update(task, description=text, completed=done, total=count)

    return show


def show_rounds(bar: Progress, task: TaskID) -> Callable[[RoundRecord], None]:
    """A callback that shows the rounds of an actor's training on a bar."""

    def show(record: RoundRecord) -> None:
        shown = f"critics' loss {record.critic_loss:.2f}"
        if record.satisfied:
            shown = f"satisfied {record.all_satisfied:.0%}, {shown}"
        bar.update(task, completed=record.round + 1, description=shown)

    return show
