"""``mc images generate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    option_group,
    print_json,
    seed_option,
    stderr_console,
)
from melodyconstraints.cli._output import (
    earlier_files,
    earlier_run,
    overwrite_option,
    write_manifest,
)
from melodyconstraints.cli.images._common import actor_option, label_option, names_option

ENTRIES = "images"
"""Key of the images in a manifest."""

labels_options = option_group(
    "labels",
    dict,
    {
        "classes": label_option,
        "present": names_option("--with", "present", "Attributes that hold; all others do not."),
        "absent": names_option("--without", "absent", "Attributes that do not hold."),
    },
)


@click.command("generate")
@actor_option
@labels_options
@click.option("--caption", help="Caption of the images, with a captioner: 'a smiling young man'.")
@click.option(
    "--captioner", "captioner_folder", type=FOLDER, help="Folder of mc images train-captions."
)
@click.option(
    "-n",
    "count",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="Images to make; of each class, where there are several.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="A name that ends in .png: one picture of all. Else a folder, a PNG for each image.",
)
@seed_option
@overwrite_option
@json_option
def command(
    actor_folder: Path | None,
    labels: dict[str, tuple[str, ...]],
    caption: str | None,
    captioner_folder: Path | None,
    count: int,
    output: Path,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write images that have the labels that you ask for.

    \b
    mc images generate -o digits.png
    mc images generate --label 7 -n 100 -o sevens/
    mc images generate --actor actors/faces --with smiling,young -o faces.png
    mc images generate --captioner captioners/faces --caption "bald" -o bald.png

    An actor of classes makes those of --label, or a row of each. One of attributes needs --with or
    --without: what is named in neither is absent. One of realism alone needs nothing; beside a
    --caption it holds the search to realistic points.
    """  # noqa: D301 (click wants the character)
    one_picture = output.suffix.lower() == ".png"
    earlier = (
        earlier_files([output], overwrite)
        if one_picture
        else earlier_run(output, overwrite, ENTRIES)
    )
    if (caption is None) != (captioner_folder is None):
        raise click.UsageError("--caption and --captioner go together: give both")
    if caption is not None and any(labels.values()):
        raise click.UsageError("--caption takes the place of labels: give no labels with it")
    from melodyconstraints.images.actor import load_actor
    from melodyconstraints.workflows.images.generate import (
        generate,
        generate_captioned,
        label_sets_of,
    )

    if caption is not None and captioner_folder is not None:
        generated = generate_captioned(
            captioner_folder, caption, count, realism=actor_folder, seed=seed
        )
    else:
        actor = load_actor(actor_folder)
        generated = generate(actor, label_sets_of(actor, **labels), count, seed=seed)
    for path in earlier:
        path.unlink(missing_ok=True)
    if one_picture:
        generated.draw(output)
        files = [output.name] * len(generated)
    else:
        files = generated.save(output)
    pairs = zip(files, generated.labels, strict=True)
    entries = [{"file": name, "labels": labels} for name, labels in pairs]
    facts: dict[str, Any] = {**generated.facts, "seed": seed, ENTRIES: entries}
    if not one_picture:
        write_manifest(output, facts)
    if as_json:
        print_json(facts)
    stderr_console().print(
        f"{len(generated)} image{'s' if len(generated) > 1 else ''} in {output}"
    )
