"""Identity-preserving transformation: other attributes, the same face (section 5).

From an image's own latent point a search follows the critics' gradient until they predict all
wanted attributes and realism satisfied; each point stops by itself, so that it moves no further
than it must. An image that has its wanted attributes already is not moved.

Shapes: ``B`` images, ``C`` channels, ``H`` x ``W`` pixels, ``Y`` labels of 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import torch
from PIL import Image, ImageOps
from torch import Tensor

from melodyconstraints.datasets.images.image_folder import decode_image, fit_square
from melodyconstraints.errors import ImageDataError, UsageError
from melodyconstraints.images.actor import ImageActor, default_search
from melodyconstraints.images.config import Shape
from melodyconstraints.images.distances import pixel_distance
from melodyconstraints.images.grids import draw_grid
from melodyconstraints.images.model import as_pixels
from melodyconstraints.latent.search import GradientSearch, reached, signed
from melodyconstraints.storage.text import printable
from melodyconstraints.workflows.images.labels import (
    check_label_options,
    find_attributes,
    find_classes,
)

COLUMNS = ("picture", "reconstruction", "transformed")
"""Columns of the picture of a transformation."""


@dataclass(frozen=True)
class Transformation:
    """Images before and after.

    Args:
        start, end: ``(B, Z)`` latent points.
        reconstructed, transformed: ``(B, C, H, W)`` images of them.
        predicted_satisfied: ``(B,)`` whether the critics predict all labels, and realism,
            satisfied at the end.
    """

    start: Tensor
    end: Tensor
    reconstructed: Tensor
    transformed: Tensor
    predicted_satisfied: Tensor

    def z_distance(self, sigma_bar: Tensor) -> Tensor:
        """``(B,)`` squared shifts in posterior scales, means over dimensions."""
        return ((self.end - self.start) / sigma_bar).square().mean(-1)

    def pixel_distance(self) -> Tensor:
        """``(B,)`` root mean squared differences of pixels between the images of both points."""
        return pixel_distance(self.transformed, self.reconstructed)


def transform(
    actor: ImageActor,
    images: Tensor,
    y: Tensor,
    *,
    steps: int | None = None,
    distance_weight: float | None = None,
) -> Transformation:
    """Move ``(B, C, H, W)`` images to labels ``(B, Y)``.

    The methods ``gradient`` and ``langevin`` do so by a search that stops; ``actor`` by the
    network, for comparison (Figure 10).

    Args:
        steps: most steps of the search; the method's if not given.
        distance_weight: lambda_dist of the search by gradient; 0 if not given.

    Raises:
        UsageError: an actor without labels, or a search's options for a network.
    """
    if not actor.names:
        raise UsageError(
            "a transformation needs an actor with labels; this one knows realism alone"
        )
    start = actor.model.encode(images).mean
    return transform_points(actor, start, y, steps=steps, distance_weight=distance_weight)


def transform_points(
    actor: ImageActor,
    start: Tensor,
    y: Tensor,
    *,
    steps: int | None = None,
    distance_weight: float | None = None,
) -> Transformation:
    """Move points ``(B, Z)``, of images or of the prior (Figure 9); see :func:`transform`."""
    search, y = None, y.to(start.device, start.dtype)
    if actor.actor is None:
        search = default_search(actor.method, len(actor.names))
        if steps is not None:
            search = replace(search, steps=steps)
        if distance_weight is not None:
            if not isinstance(search, GradientSearch):
                raise UsageError(
                    "a price on distance is for the method gradient, this actor's is "
                    f"{actor.method}; leave it out"
                )
            search = replace(search, distance_weight=distance_weight)
    elif (steps, distance_weight) != (None, None):
        raise UsageError(
            "steps and a price on distance are for a search, this actor is a network; "
            "leave them out"
        )
    end = actor.shift(start, y, search=search)
    before, after = (actor.model.decode(points) for points in (start, end))
    return Transformation(start, end, before, after, _predict_satisfied(actor, end, y))


@torch.no_grad()
def _predict_satisfied(actor: ImageActor, points: Tensor, y: Tensor) -> Tensor:
    """``(B,)`` whether the critics' values reach the thresholds of the method's search."""
    if actor.actor is not None:
        return actor.critic(points, y)[:, 0] > 0
    thresholds = default_search(actor.method, len(actor.names)).thresholds
    return reached(signed(actor.critic)(points, y), thresholds)[:, 0]


class PictureOptions(TypedDict, total=False):
    """Options of :func:`read_picture`."""

    crop: int | None
    invert: bool


class SearchOptions(TypedDict, total=False):
    """Options of :func:`transform`."""

    steps: int | None
    distance_weight: float | None


class TransformedPicture(TypedDict):
    """A transformed image file, by the keys of ``mc images transform --json``.

    ``reached`` is whether the critics predict all labels satisfied; None for a network, whose
    critic was trained to tell its points from those of images.
    """

    file: str
    labels: list[str]
    reached: bool | None
    pixel_distance: float
    latent_distance: float


@dataclass(frozen=True)
class LabelChoice:
    """Labels to be set in pictures; the others stay as the critic reads them there.

    Args:
        actor: knows the labels.
        present, absent: places, among its names, of labels that should hold and should not.
    """

    actor: ImageActor
    present: Sequence[int]
    absent: Sequence[int]

    @classmethod
    def of(
        cls,
        actor: ImageActor,
        present: Sequence[str] = (),
        absent: Sequence[str] = (),
        classes: Sequence[str] = (),
    ) -> LabelChoice:
        """The choice by names: of one class, or of attributes.

        Raises:
            UsageError: names that the actor does not know, none or too many of them, or too few
                for a network, which cannot read labels in a picture.
        """
        if not actor.names:
            raise UsageError("this actor knows realism alone; train one with labels")
        check_label_options(actor, {"--label": classes, "--set": present, "--unset": absent})
        known = ", ".join(actor.names)
        if actor.exclusive:
            if len(classes) != 1:
                raise UsageError(f"give one --label, got {len(classes)}; known are {known}")
            on = find_classes(classes, actor)
            return cls(actor, on, [i for i in range(len(actor.names)) if i not in on])
        on, off = find_attributes(present, absent, actor)
        if not on and not off:
            raise UsageError(f"give --set or --unset; the actor knows {known}")
        if actor.actor is not None and len(on) + len(off) < len(actor.names):
            raise UsageError(
                "transform needs a folder trained with --method gradient, which reads what "
                f"else holds in a picture; or name all {len(actor.names)} attributes by --set "
                f"and --unset: {known}"
            )
        return cls(actor, on, off)

    def labels(self, images: Tensor) -> Tensor:
        """Labels ``(B, Y)`` wanted of ``(B, C, H, W)`` images."""
        y = torch.zeros(len(images), len(self.actor.names))
        if self.actor.actor is None:
            start = self.actor.model.encode(images).mean
            with torch.no_grad():
                y = (self.actor.critic(start, None)[:, : y.shape[1]] > 0).float()
        y[:, self.present], y[:, self.absent] = 1.0, 0.0
        return y


def read_picture(
    path: Path, shape: Shape, *, crop: int | None = None, invert: bool = False
) -> Tensor:
    """The middle square of an image file as ``(C, H, W)`` bytes.

    Args:
        shape: channels, height and width of the result.
        crop: edge of the square in pixels of the file; as large as possible if not given.
        invert: whether dark becomes light.

    Raises:
        UsageError: a model of images that are not square.
        ImageDataError: the file does not decode, or is smaller than the crop.
    """
    channels, height, width = shape
    if height != width:
        raise UsageError(f"pictures become square; the model's images are {width}x{height}")

    def fit(image: Image.Image) -> Image.Image:
        if crop is not None and crop > min(image.size):
            raise ImageDataError(
                f"is {image.width}x{image.height}, smaller than --crop {crop}; ask for less"
            )
        square = fit_square(image, height, crop)
        square = ImageOps.invert(square) if invert else square
        return square.convert("L") if channels == 1 else square

    pixels, _ = decode_image(path.read_bytes(), str(path), fit)
    return torch.tensor(pixels.reshape(height, width, channels)).movedim(-1, 0)


def transform_pictures(
    choice: LabelChoice,
    files: Sequence[Path],
    output: Path,
    reading: PictureOptions | None = None,
    search: SearchOptions | None = None,
) -> list[TransformedPicture]:
    """Transform image files and draw each, its reconstruction and the result in a row.

    Args:
        output: the PNG to write.
        reading: see :func:`read_picture`.
        search: see :func:`transform`.

    Raises:
        UsageError: see :func:`read_picture` and :func:`transform`.
        ImageDataError: a file does not decode, or is smaller than the crop.
    """
    actor = choice.actor
    shape = actor.model.config.trunk.shape
    images = torch.stack([read_picture(path, shape, **(reading or {})) for path in files])
    wanted = choice.labels(images)
    result = transform(actor, images, wanted, **(search or {}))
    stages = (as_pixels(images), result.reconstructed.cpu(), result.transformed.cpu())
    output.parent.mkdir(parents=True, exist_ok=True)
    draw_grid(
        list(torch.stack(stages, 1)),
        output,
        row_names=[printable(path.name) for path in files],
        column_names=COLUMNS,
    )
    return [
        {
            "file": str(path),
            "labels": [name for name, holds in zip(actor.names, y, strict=True) if holds],
            "reached": satisfied if actor.actor is None else None,
            "pixel_distance": pixels,
            "latent_distance": latent,
        }
        for path, y, satisfied, pixels, latent in zip(
            files,
            wanted.tolist(),
            result.predicted_satisfied.tolist(),
            result.pixel_distance().tolist(),
            result.z_distance(actor.model.sigma_bar).tolist(),
            strict=True,
        )
    ]
