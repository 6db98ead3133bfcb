"""``mc images transform``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from melodyconstraints.cli._common import json_option, option_group, print_json, print_table
from melodyconstraints.cli._output import check_inputs, earlier_files, overwrite_option
from melodyconstraints.cli.images._common import actor_option, label_option, names_option
from melodyconstraints.storage.text import printable

labels_options = option_group(
    "labels",
    dict,
    {
        "present": names_option("--set", "present", "Attributes that should hold."),
        "absent": names_option("--unset", "absent", "Attributes that should not hold."),
        "classes": label_option,
    },
)
picture_options = option_group(
    "reading",
    dict,
    {
        "crop": click.option(
            "--crop",
            type=click.IntRange(1),
            help="Edge in pixels of the square that is taken out of the middle of a picture; 128 "
            "of CelebA's.  [default: as large as can be]",
        ),
        "invert": click.option(
            "--invert",
            is_flag=True,
            help="Dark becomes light: for ink on paper, as MNIST's is light.",
        ),
    },
)
search_options = option_group(
    "search",
    dict,
    {
        "distance_weight": click.option(
            "--distance",
            "distance_weight",
            type=click.FloatRange(0),
            help="lambda_dist, a search's distance weight; of --method gradient.  [default: 0]",
        ),
        "steps": click.option(
            "--steps",
            type=click.IntRange(1),
            help="Most steps of a search.  [default: the method's]",
        ),
    },
)


@click.command("transform")
@click.argument(
    "pictures",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    nargs=-1,
    required=True,
)
@actor_option
@labels_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Picture to write, a PNG: a row for each of PICTURES, before and after.",
)
@picture_options
@search_options
@overwrite_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    pictures: tuple[Path, ...],
    actor_folder: Path | None,
    labels: dict[str, tuple[str, ...]],
    output: Path,
    reading: dict[str, Any],
    search: dict[str, Any],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Give PICTURES other labels, and change as little else as can be.

    \b
    mc images transform me.jpg --actor actors/faces --set eyeglasses -o me.png
    mc images transform five.png --label 3 -o three.png

    Needs an actor of --method gradient: attributes that are not named stay as its critic reads
    them in the picture. One of --method actor needs all of its labels named.
    """  # noqa: D301 (click wants the character)
    if output.suffix.lower() != ".png":
        raise click.UsageError(f"{output} must end in .png")
    earlier_files([output], overwrite)
    check_inputs(pictures, [output])
    from melodyconstraints.images.actor import load_actor
    from melodyconstraints.workflows.images.transform import transform_pictures

    actor = load_actor(actor_folder)
    rows = transform_pictures(actor, pictures, output, labels, reading=reading, search=search)
    if as_json:
        print_json({"model": actor.model.fingerprint, "method": actor.method, "images": rows})
    else:
        _print(rows)
    if actor.actor is None and not any(row["predicted_satisfied"] for row in rows):
        advice = ("a lower --distance or " if search["distance_weight"] else "") + "more --steps"
        click.echo(
            f"Error: the critics predict none of the pictures satisfied; try {advice}", err=True
        )
        context.exit(1)


def _print(rows: Sequence[dict[str, Any]]) -> None:
    print_table(
        ["picture", "labels wanted", "predicted satisfied", "pixel distance", "latent distance"],
        [
            [
                printable(row["file"]),
                printable(", ".join(row["labels"]) or "none"),
                {True: "yes", False: "no", None: "-"}[row["predicted_satisfied"]],
                f"{row['pixel_distance']:.3f}",
                f"{row['latent_distance']:.2f}",
            ]
            for row in rows
        ],
        text_columns=2,
    )
