"""Images with wanted labels, or of a caption: what ``mc images generate`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.images.actor import ImageActor, load_actor
from melodyconstraints.images.captions import generate_from_caption, load_captioner
from melodyconstraints.images.grids import draw_grid, save_images
from melodyconstraints.images.model import MOST_AT_ONCE
from melodyconstraints.storage.arguments import DEFAULT_SEED, check_amount
from melodyconstraints.workflows.images.labels import (
    check_label_options,
    find_attributes,
    find_classes,
)

ACROSS, ACROSS_ALONE = 16, 8
"""Images in a row of a picture of several sets of labels, or of one; more go on in the next."""


class LabelSet(NamedTuple):
    """Wanted labels of some images: a title, and the names of those that should hold."""

    title: str
    present: Sequence[str] = ()


@dataclass(frozen=True)
class GeneratedImages:
    """Images, and what they were generated for.

    Args:
        images: ``(n, C, H, W)`` in [0, 1] for each of the label sets.
        label_sets: label set of each.
        facts: model, method and caption, by the keys of a manifest.
    """

    images: list[Tensor]
    label_sets: list[LabelSet]
    facts: dict[str, str]

    def __len__(self) -> int:
        return sum(map(len, self.images))

    def draw(self, path: Path) -> None:
        """Write one picture; the first row of each label set has its title."""
        across = ACROSS if len(self.label_sets) > 1 else ACROSS_ALONE
        rows, titles = [], []
        for images, label_set in zip(self.images, self.label_sets, strict=True):
            parts = images.split(across)
            rows += parts
            titles += [label_set.title.replace(", ", "\n"), *[""] * (len(parts) - 1)]
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_grid(rows, path, row_names=titles if any(titles) else ())

    @property
    def labels(self) -> list[list[str]]:
        """Labels that should hold for each image."""
        pairs = zip(self.label_sets, self.images, strict=True)
        return [list(label_set.present) for label_set, images in pairs for _ in images]

    def save(self, folder: Path) -> list[str]:
        """Write a PNG for each image; returns the files' names."""
        folder.mkdir(parents=True, exist_ok=True)
        digits = max(3, len(str(len(self))))
        names = [f"image-{number:0{digits}d}.png" for number in range(1, len(self) + 1)]
        save_images(torch.cat(self.images), [folder / name for name in names])
        return names


def generate(
    actor: ImageActor, label_sets: Sequence[LabelSet], n: int, *, seed: int = DEFAULT_SEED
) -> GeneratedImages:
    """Generate ``n`` images for each label set; see :func:`label_sets_of`.

    Raises:
        UsageError: n below 1, or more images in all than :data:`.model.MOST_AT_ONCE`.
    """
    check_amount(n * len(label_sets), MOST_AT_ONCE, "images")
    facts = {"model": actor.model.fingerprint, "method": actor.method}
    if not actor.names:
        return GeneratedImages([actor.generate(n=n, seed=seed)], list(label_sets), facts)
    y = torch.tensor([[float(name in one.present) for name in actor.names] for one in label_sets])
    y = y.repeat_interleave(n, 0).to(actor.model.sigma_bar.device)
    images = actor.generate(y, seed=seed).split(n)
    return GeneratedImages(list(images), list(label_sets), facts)


def generate_captioned(
    folder: Path, caption: str, n: int, *, realism: Path | None = None, seed: int = DEFAULT_SEED
) -> GeneratedImages:
    """Generate ``n`` images of a caption.

    Args:
        folder: folder of a captioner.
        realism: folder of an actor without labels, which holds the search to realistic points.

    Raises:
        UsageError: see :func:`~melodyconstraints.images.captions.generate_from_caption`.
    """
    model, captioner = load_captioner(folder)
    actor = None if realism is None else load_actor(realism, model=model)
    images = generate_from_caption(model, captioner, caption, n, seed=seed, realism=actor)
    facts = {"model": model.fingerprint, "method": "captions", "caption": caption}
    return GeneratedImages([images], [LabelSet(caption)], facts)


def label_sets_of(
    actor: ImageActor,
    classes: Sequence[str] = (),
    present: Sequence[str] = (),
    absent: Sequence[str] = (),
) -> list[LabelSet]:
    """The label sets that names of labels stand for.

    Args:
        classes: classes, for an actor of classes; a set for each, or for every class if none is
            given.
        present, absent: attributes, for an actor of attributes; those in neither should not hold.

    Raises:
        UsageError: names that the actor does not know or that are for another kind of actor, or
            none for an actor of attributes.
    """
    check_label_options(actor, {"--label": classes, "--with": present, "--without": absent})
    if not actor.names:
        return [LabelSet("")]
    if actor.exclusive:
        find_classes(classes, actor)
        return [LabelSet(name, [name]) for name in classes or actor.names]
    if not present and not absent:
        raise UsageError(
            "say by --with, or --without, what the images should have; the actor knows: "
            + ", ".join(actor.names)
        )
    on, _ = find_attributes(present, absent, actor)
    holding = [name for place, name in enumerate(actor.names) if place in on]
    return [LabelSet(", ".join(actor.names[place] for place in on) or "none", holding)]
