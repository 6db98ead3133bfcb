"""``mc images generate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import FOLDER, seed_option, talk
from melodyconstraints.cli._output import (
    earlier_files,
    earlier_run,
    overwrite_option,
    write_manifest,
)
from melodyconstraints.cli.images._common import (
    actor_option,
    attribute_places,
    class_rows,
    find_actor,
    label_option,
    names_option,
    refuse_labels,
)

if TYPE_CHECKING:
    from torch import Tensor

    from melodyconstraints.images.actor import ImageActor

ACROSS, ACROSS_ALONE = 16, 8
"""Images in a row of a picture of several classes, or of one; more go on in the next."""
ENTRIES = "images"
"""Key of a manifest."""


@click.command("generate")
@actor_option
@label_option
@names_option("--with", "present", "Attributes that hold; those not named do not.")
@names_option("--without", "absent", "Attributes that do not hold, as those not named.")
@click.option("--caption", help="What to see, of a captioner: 'a smiling young man'.")
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
def command(
    actor_folder: Path | None,
    labels: tuple[str, ...],
    present: tuple[str, ...],
    absent: tuple[str, ...],
    caption: str | None,
    captioner_folder: Path | None,
    count: int,
    output: Path,
    seed: int,
    overwrite: bool,
) -> None:
    """Write images that have the labels that you ask for.

    \b
    mc images generate -o digits.png
    mc images generate --label 7 -n 100 -o sevens/
    mc images generate --actor actors/faces --with smiling,young -o faces.png
    mc images generate --captioner captioners/faces --caption "a bald man" -o bald.png

    An actor of classes makes those of --label, or a row of each. One of attributes needs --with or
    --without: what is named in neither is absent. One of realism alone needs nothing; beside a
    --caption it keeps the search where images are real.
    """  # noqa: D301 (click wants the character)
    one_picture = output.suffix.lower() == ".png"
    earlier = (
        earlier_files([output], overwrite)
        if one_picture
        else earlier_run(output, overwrite, ENTRIES)
    )
    if (caption is None) != (captioner_folder is None):
        raise click.UsageError("--caption and --captioner go together: give both")
    if caption is not None and captioner_folder is not None:
        if labels or present or absent:
            raise click.UsageError("--caption says what to see: give no labels with it")
        facts, made = _captioned(captioner_folder, actor_folder, caption, count, seed)
        rows = [_Wish(caption, {})]
    else:
        actor = find_actor(actor_folder)
        facts = {"model": actor.model.fingerprint, "method": actor.method}
        rows = _wishes(actor, labels, present, absent)
        made = _made(actor, rows, count, seed)
    for path in earlier:
        path.unlink(missing_ok=True)
    if one_picture:
        _draw(made, rows, output)
        talk().print(f"{sum(map(len, made))} images in {output}")
        return
    files = _write(made, rows, output, {**facts, "seed": seed})
    talk().print(f"{files} image{'s' if files > 1 else ''} in {output}")


@dataclass(frozen=True)
class _Wish:
    """Labels that are asked for at a time.

    Args:
        name: what stands beside the images.
        wanted: each of the actor's labels and whether it should hold.
    """

    name: str
    wanted: dict[str, bool]


def _wishes(
    actor: ImageActor, labels: Sequence[str], present: Sequence[str], absent: Sequence[str]
) -> list[_Wish]:
    """One for each row of images."""
    refuse_labels(actor, {"--label": labels, "--with": present, "--without": absent})
    if not actor.names:
        return [_Wish("", {})]
    if actor.exclusive:
        places = class_rows(labels, actor) or range(len(actor.names))
        return [
            _Wish(actor.names[place], {name: i == place for i, name in enumerate(actor.names)})
            for place in places
        ]
    if not present and not absent:
        raise click.UsageError(
            "say by --with, or --without, what the images should have; the actor knows: "
            + ", ".join(actor.names)
        )
    on, _ = attribute_places(present, absent, actor)
    told = ", ".join(actor.names[place] for place in on) or "none"
    return [_Wish(told, {name: place in on for place, name in enumerate(actor.names)})]


def _made(actor: ImageActor, wishes: Sequence[_Wish], count: int, seed: int) -> list[Tensor]:
    """Images ``(count, C, H, W)`` of each wish."""
    import torch

    if not actor.names:
        return [actor.generate(n=count, seed=seed)]
    asked = torch.tensor([list(wish.wanted.values()) for wish in wishes]).float()
    asked = asked.repeat_interleave(count, 0).to(actor.model.sigma_bar.device)
    return list(actor.generate(asked, seed=seed).split(count))


def _captioned(
    folder: Path, realism: Path | None, caption: str, count: int, seed: int
) -> tuple[dict[str, Any], list[Tensor]]:
    """What the manifest says of them, and images ``(count, C, H, W)``.

    Args:
        realism: folder of an actor without labels, which keeps the search where images are real.
    """
    from melodyconstraints.images.actor import load_actor
    from melodyconstraints.images.captions import generate_from_caption, load_captioner

    model, captioner = load_captioner(folder)
    actor = None if realism is None else load_actor(realism, model=model)
    made = generate_from_caption(model, captioner, caption, count, seed=seed, realism=actor)
    return {"model": model.fingerprint, "method": "captions", "caption": caption}, [made]


def _draw(made: Sequence[Tensor], wishes: Sequence[_Wish], output: Path) -> None:
    """One picture; a wish's first row has its name."""
    from melodyconstraints.images.grids import draw_grid

    across = ACROSS if len(wishes) > 1 else ACROSS_ALONE
    rows, names = [], []
    for images, wish in zip(made, wishes, strict=True):
        parts = images.split(across)
        rows += parts
        names += [wish.name.replace(", ", "\n"), *[""] * (len(parts) - 1)]
    output.parent.mkdir(parents=True, exist_ok=True)
    draw_grid(rows, output, row_names=names if any(names) else ())


def _write(
    made: Sequence[Tensor], wishes: Sequence[_Wish], output: Path, facts: dict[str, Any]
) -> int:
    """A file for each image, and the manifest; returns how many."""
    import torch

    from melodyconstraints.images.grids import save_images

    output.mkdir(parents=True, exist_ok=True)
    images = torch.cat(list(made))
    digits = max(3, len(str(len(images))))
    names = [f"image-{number:0{digits}d}.png" for number in range(1, len(images) + 1)]
    save_images(images, [output / name for name in names])
    asked = [wish.wanted for wish, part in zip(wishes, made, strict=True) for _ in part]
    entries = [
        {"file": name, "labels": [label for label, holds in wanted.items() if holds]}
        for name, wanted in zip(names, asked, strict=True)
    ]
    write_manifest(output, {**facts, ENTRIES: entries})
    return len(images)
