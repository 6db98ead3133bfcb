"""``mc images transform``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import json_option, print_json, print_table
from melodyconstraints.cli._output import check_inputs, earlier_files, overwrite_option
from melodyconstraints.cli.images._common import (
    actor_option,
    attribute_places,
    class_rows,
    find_actor,
    label_option,
    names_option,
    refuse_labels,
)
from melodyconstraints.errors import ImageDataError, UsageError
from melodyconstraints.storage.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from melodyconstraints.images.actor import ImageActor
    from melodyconstraints.images.config import Shape
    from melodyconstraints.workflows.images.transform import Transformation

COLUMNS = ("picture", "reconstruction", "transformed")


@click.command("transform")
@click.argument(
    "pictures",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    nargs=-1,
    required=True,
)
@actor_option
@names_option("--set", "present", "Attributes that should hold.")
@names_option("--unset", "absent", "Attributes that should not hold.")
@label_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Picture to write, a PNG: a row for each of PICTURES, before and after.",
)
@click.option(
    "--crop",
    type=click.IntRange(1),
    help="Edge in pixels of the square that is taken out of the middle of a picture; 128 of "
    "CelebA's.  [default: as large as can be]",
)
@click.option(
    "--invert", is_flag=True, help="Dark becomes light: for ink on paper, as MNIST's is light."
)
@click.option(
    "--distance",
    type=click.FloatRange(0),
    help="lambda_dist, what it costs to move away; of --method gradient.  [default: 0]",
)
@click.option(
    "--steps", type=click.IntRange(1), help="Of a search at most.  [default: the method's]"
)
@overwrite_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    pictures: tuple[Path, ...],
    actor_folder: Path | None,
    present: tuple[str, ...],
    absent: tuple[str, ...],
    labels: tuple[str, ...],
    output: Path,
    crop: int | None,
    invert: bool,
    distance: float | None,
    steps: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Give PICTURES other labels, and change as little else as can be.

    \b
    mc images transform me.jpg --actor actors/faces --set eyeglasses --unset smiling -o me.png
    mc images transform five.png --label 3 -o three.png

    Needs an actor of --method gradient: it leaves attributes that are not named as its critic sees
    them in the picture. One of --method actor needs all of its labels named.
    """  # noqa: D301 (click wants the character)
    if output.suffix.lower() != ".png":
        raise click.UsageError(f"{output} must end in .png")
    earlier_files([output], overwrite)
    check_inputs(pictures, [output])
    actor = find_actor(actor_folder)
    asked = _Asked(actor, present, absent, labels)
    shape = actor.model.config.trunk.shape

    import torch

    from melodyconstraints.workflows.images.transform import transform

    images = torch.stack([read_picture(path, shape, crop, invert) for path in pictures])
    wanted = asked.wanted(images)
    result = transform(actor, images, wanted, steps=steps, distance_weight=distance)
    _draw(pictures, images, result, output)
    rows = _rows(pictures, wanted, result, actor)
    if as_json:
        print_json({"model": actor.model.fingerprint, "method": actor.method, "images": rows})
    else:
        _print(rows)
    if actor.actor is None and not result.reached.any():
        click.echo(f"Error: {_shortcoming(distance)}", err=True)
        context.exit(1)


class _Asked:
    """What the labels should be.

    Raises:
        UsageError: names that the actor does not know, or too few of them.
    """

    def __init__(
        self,
        actor: ImageActor,
        present: Sequence[str],
        absent: Sequence[str],
        labels: Sequence[str],
    ) -> None:
        self.actor = actor
        if not actor.names:
            raise click.UsageError("this actor knows realism alone; train one with labels")
        refuse_labels(actor, {"--label": labels, "--set": present, "--unset": absent})
        if actor.exclusive:
            if len(labels) != 1:
                known = ", ".join(actor.names)
                raise click.UsageError(f"give one --label, got {len(labels)}; known are {known}")
            on = class_rows(labels, actor)
            self.on, self.off = on, [i for i in range(len(actor.names)) if i not in on]
            return
        self.on, self.off = attribute_places(present, absent, actor)
        named = len(self.on) + len(self.off)
        if not named:
            raise click.UsageError(
                f"give --set or --unset; the actor knows {', '.join(actor.names)}"
            )
        if actor.actor is not None and named < len(actor.names):
            raise click.UsageError(
                "transform needs a folder trained with --method gradient, which sees what "
                f"else holds in a picture; or name all {len(actor.names)} attributes by --set "
                f"and --unset: {', '.join(actor.names)}"
            )

    def wanted(self, images: Tensor) -> Tensor:
        """Labels ``(B, Y)`` for images: those named, the others as the critic sees them."""
        import torch

        y = torch.zeros(len(images), len(self.actor.names))
        if self.actor.actor is None:
            start = self.actor.model.encode(images).mean
            with torch.no_grad():
                y = (self.actor.critic(start, None)[:, : y.shape[1]] > 0).float()
        y[:, self.on], y[:, self.off] = 1.0, 0.0
        return y


def read_picture(path: Path, shape: Shape, crop: int | None, invert: bool) -> Tensor:
    """The middle square of an image file as ``(C, H, W)`` bytes.

    Raises:
        UsageError: a model of images that are not square.
        ImageDataError: it does not decode, or is smaller than the crop.
    """
    import torch
    from PIL import ImageOps

    from melodyconstraints.datasets.images.image_folder import decode_image, fit_square

    channels, height, width = shape
    if height != width:
        raise UsageError(f"pictures become square; the model's images are {width}x{height}")

    def fit(image: Image) -> Image:
        if crop is not None and crop > min(image.size):
            raise ImageDataError(
                f"is {image.width}x{image.height}, smaller than --crop {crop}; ask for less"
            )
        square = fit_square(image, height, crop)
        square = ImageOps.invert(square) if invert else square
        return square.convert("L") if channels == 1 else square

    pixels, _ = decode_image(path.read_bytes(), str(path), fit)
    return torch.tensor(pixels.reshape(height, width, channels)).movedim(-1, 0)


def _rows(
    pictures: Sequence[Path], wanted: Tensor, result: Transformation, actor: ImageActor
) -> list[dict[str, Any]]:
    away = result.z_distance(actor.model.sigma_bar).tolist()
    changed = result.pixel_distance().tolist()
    return [
        {
            "file": str(path),
            "labels": [name for name, holds in zip(actor.names, y, strict=True) if holds],
            # a network's critic learned to tell its points from real ones; it is no judge
            "reached": reached if actor.actor is None else None,
            "pixel_distance": pixels,
            "latent_distance": z,
        }
        for path, y, reached, pixels, z in zip(
            pictures, wanted.tolist(), result.reached.tolist(), changed, away, strict=True
        )
    ]


def _print(rows: Sequence[dict[str, Any]]) -> None:
    print_table(
        ["picture", "labels wanted", "reached", "pixel distance", "latent distance"],
        [
            [
                printable(row["file"]),
                printable(", ".join(row["labels"]) or "none"),
                {True: "yes", False: "no", None: "-"}[row["reached"]],
                f"{row['pixel_distance']:.3f}",
                f"{row['latent_distance']:.2f}",
            ]
            for row in rows
        ],
        text_columns=2,
    )


def _draw(pictures: Sequence[Path], images: Tensor, result: Transformation, output: Path) -> None:
    import torch

    from melodyconstraints.images.grids import draw_grid
    from melodyconstraints.images.model import as_pixels

    parts = (as_pixels(images), result.reconstructed.cpu(), result.transformed.cpu())
    output.parent.mkdir(parents=True, exist_ok=True)
    draw_grid(
        list(torch.stack(parts, 1)),
        output,
        row_names=[printable(path.name) for path in pictures],
        column_names=COLUMNS,
    )


def _shortcoming(distance: float | None) -> str:
    """What to try where a search left every picture without its labels."""
    told = "the critics are content with none of the pictures; try "
    return told + ("a lower --distance or " if distance else "") + "more --steps"
