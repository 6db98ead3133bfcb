"""Options and words that several commands of ``mc images`` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import FOLDER, Command

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from melodyconstraints.datasets.images.labelled_images import (
        Announce,
        ImageData,
        LabelledImages,
    )
    from melodyconstraints.images.actor import ImageActor
    from melodyconstraints.images.model import ImageVAE
    from melodyconstraints.latent.pair import RoundRecord

EDGE = 64
"""Of the images of a folder in pixels, where nothing else is asked for."""
REMEDY = "pass --overwrite to replace it"

data_argument = click.argument("data", type=FOLDER)
edge_option = click.option(
    "--pixels",
    "edge",
    type=click.IntRange(1),
    default=EDGE,
    show_default=True,
    help="Edge in pixels to which images of a folder are reduced; digits keep their own.",
)


class Names(click.ParamType[tuple[str, ...]]):
    """``smiling,young`` as names."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split at commas, or fail with what is wanted."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(","))
        if "" in names:
            self.fail(f"{value!r}: write names with commas between them", param, ctx)
        return names


def names_option(flag: str, variable: str, told: str) -> Callable[[Command], Command]:
    """An option of names with commas between them, given once or several times."""

    def flat(
        context: click.Context, option: click.Parameter, given: tuple[tuple[str, ...], ...]
    ) -> tuple[str, ...]:
        return tuple(name for names in given for name in names)

    return click.option(
        flag,
        variable,
        type=Names(),
        multiple=True,
        callback=flat,
        metavar="NAME,...",
        help=told,
    )


attributes_option = names_option(
    "--attributes",
    "attributes",
    "Labels to take of DATA.  [default: all; of CelebA the paper's ten]",
)
label_option = names_option("--label", "labels", "Classes wanted, of an actor of classes: 7.")
actor_option = click.option(
    "--actor",
    "actor_folder",
    type=FOLDER,
    help="Folder of mc images train-actor.  [default: the bundled actor of digits]",
)


def read_data(
    data: Path, attributes: Sequence[str], edge: int, announce: Announce | None = None
) -> ImageData:
    """The images of a folder, or those that are meant by a word."""
    from melodyconstraints.datasets.images.read_images import read_images

    return read_images(data, attributes or None, size=edge, announce=announce)


def read_data_of(
    models: Sequence[ImageVAE],
    data: Path,
    attributes: Sequence[str],
    announce: Announce | None = None,
) -> ImageData:
    """The images of a folder, or of a word, as large as models make them.

    Raises:
        UsageError: a model makes images of another shape.
    """
    from melodyconstraints.workflows.images.training_folders import check_fits

    found = read_data(data, attributes, models[0].config.trunk.shape[1], announce)
    for model in models:
        check_fits(model, found.test)
    return found


def check_names(who: str, names: Sequence[str], images: LabelledImages) -> None:
    """Make sure that images have the labels that somebody knows, in the same order.

    Raises:
        UsageError: they have others.
    """
    if tuple(names) != images.names:
        raise click.UsageError(
            f"{who} knows {', '.join(names)}, the data has {', '.join(images.names)}; give the "
            "data that it was trained on, and its attributes in this order by --attributes"
        )


def show_rounds(bar: Progress, task: TaskID) -> Callable[[RoundRecord], None]:
    """What shows the rounds of an actor's training on a bar."""

    def show(record: RoundRecord) -> None:
        told = f"critics' loss {record.critic_loss:.2f}"
        if record.satisfied:
            told = f"content {record.all_satisfied:.0%}, {told}"
        bar.update(task, completed=record.round + 1, description=told)

    return show


def find_actor(folder: Path | None) -> ImageActor:
    """The actor of a folder; without one, that which comes with the package."""
    from melodyconstraints.images.actor import load_actor
    from melodyconstraints.images.checkpoint import BUNDLED

    return load_actor(BUNDLED / "actor" if folder is None else folder)


def refuse_labels(actor: ImageActor, options: dict[str, Sequence[str]]) -> None:
    """Refuse options that are for another kind of actor.

    Args:
        options: names given, by the option; ``--label`` is for classes, all others for attributes.
    """
    given = {option for option, names in options.items() if names}
    fitting = {"--label"} if actor.exclusive else set(options) - {"--label"}
    if not actor.names:
        told, fitting = "realism alone and no label", set()
    else:
        told = f"{'classes' if actor.exclusive else 'attributes'}: {', '.join(actor.names)}"
    if wrong := sorted(given - fitting):
        instead = f"; ask by {' and '.join(sorted(fitting))}" if fitting else ""
        raise click.UsageError(f"{wrong[0]} does not fit: the actor knows {told}{instead}")


def class_rows(wanted: Sequence[str], actor: ImageActor) -> list[int]:
    """Places of classes among an actor's names.

    Raises:
        UsageError: one is unknown.
    """
    for name in wanted:
        if name not in actor.names:
            known = ", ".join(actor.names)
            raise click.UsageError(f"unknown label {name!r}; known are {known}")
    return [actor.names.index(name) for name in wanted]


def attribute_places(
    on: Sequence[str], off: Sequence[str], actor: ImageActor
) -> tuple[list[int], list[int]]:
    """Places of attributes that should hold, and that should not, among an actor's names.

    Raises:
        UsageError: one is unknown, or named twice.
    """
    from melodyconstraints.datasets.images.labelled_images import find_names

    found = [actor.names.index(name) for name in find_names([*on, *off], actor.names)]
    return found[: len(on)], found[len(on) :]
