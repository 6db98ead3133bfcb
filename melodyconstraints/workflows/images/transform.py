"""Identity-preserving transformation: other attributes, the same face (section 5).

From an image's own latent point a search follows the critics' gradient until they predict all
wanted attributes and realism satisfied; each point stops by itself, so that it moves no further
than it must. An image that has its wanted attributes already is not moved.

Shapes: ``B`` images, ``C`` channels, ``H`` x ``W`` pixels, ``Y`` labels of 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from melodyconstraints.datasets.images.image_folder import decode_image, fit_square
from melodyconstraints.errors import ImageDataError, UsageError
from melodyconstraints.images.actor import ImageActor, default_search
from melodyconstraints.images.classifier import decided
from melodyconstraints.images.config import Shape
from melodyconstraints.images.distances import pixel_distance
from melodyconstraints.images.grids import draw_grid
from melodyconstraints.images.model import as_pixels
from melodyconstraints.latent.satisfaction import PREDICTED_SATISFIED
from melodyconstraints.latent.search import GradientSearch, predicted_satisfied, signed
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
    """Images before and after a transformation.

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
        search = default_search(actor.method, len(actor.names), plain=actor.settings.plain)
        if steps is not None:
            search = replace(search, steps=steps)
        if distance_weight is not None:
            if not isinstance(search, GradientSearch):
                raise UsageError(
                    "a distance weight is for the method gradient, this actor's is "
                    f"{actor.method}; leave it out"
                )
            search = replace(search, distance_weight=distance_weight)
    elif (steps, distance_weight) != (None, None):
        raise UsageError(
            "steps and a distance weight are for a search, this actor is a network; leave them out"
        )
    end = actor.shift(start, y, search=search)
    before, after = (actor.model.decode(points) for points in (start, end))
    return Transformation(start, end, before, after, _predict_satisfied(actor, end, y))


@torch.no_grad()
def _predict_satisfied(actor: ImageActor, points: Tensor, y: Tensor) -> Tensor:
    """``(B,)`` whether the critics predict it satisfied; a search has thresholds of its own."""
    if actor.actor is not None:
        return predicted_satisfied(actor.critic(points, y), PREDICTED_SATISFIED)[:, 0]
    search = default_search(actor.method, len(actor.names))
    thresholds = search.thresholds  # also of a plain search, which has none of its own
    return predicted_satisfied(signed(actor.critic)(points, y), thresholds)[:, 0]


def wanted_labels(
    actor: ImageActor,
    images: Tensor,
    *,
    present: Sequence[str] = (),
    absent: Sequence[str] = (),
    classes: Sequence[str] = (),
) -> Tensor:
    """``(B, Y)`` labels wanted of ``(B, C, H, W)`` images; others stay as the critic predicts.

    Args:
        present, absent: attributes that should hold, and that should not.
        classes: the one class, for an actor of classes.

    Raises:
        UsageError: names that the actor does not know, none or too many of them, or too few for a
            network, whose critic predicts no labels of an image.
    """
    if not actor.names:
        raise UsageError("this actor knows realism alone; train one with labels")
    check_label_options(actor, {"--label": classes, "--set": present, "--unset": absent})
    known = ", ".join(actor.names)
    if actor.exclusive:
        if len(classes) != 1:
            raise UsageError(f"give one --label, got {len(classes)}; known are {known}")
        on = find_classes(classes, actor)
        off = [place for place in range(len(actor.names)) if place not in on]
    else:
        on, off = find_attributes(present, absent, actor)
    if not on and not off:
        raise UsageError(f"give --set or --unset; the actor knows {known}")
    y = torch.zeros(len(images), len(actor.names))
    if actor.actor is None:
        start = actor.model.encode(images).mean
        with torch.no_grad():
            y = decided(actor.critic(start, None)[:, : y.shape[1]], exclusive=actor.exclusive)
    elif len(on) + len(off) < len(actor.names):
        raise UsageError(
            "transform needs a folder trained with --method gradient, which predicts what else "
            f"holds in a picture; or name all {len(actor.names)} attributes by --set and --unset: "
            f"{known}"
        )
    y[:, on], y[:, off] = 1.0, 0.0
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
    actor: ImageActor,
    files: Sequence[Path],
    output: Path,
    labels: Mapping[str, Sequence[str]],
    *,
    reading: Mapping[str, Any] = MappingProxyType({}),
    search: Mapping[str, Any] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Transform image files and draw each, its reconstruction and the result in a row.

    Args:
        output: the PNG to write.
        labels, reading, search: options of :func:`wanted_labels`, :func:`read_picture` and
            :func:`transform`.

    Returns:
        JSON values for each file. ``predicted_satisfied`` is whether the critics predict that of
        all labels; None for a network, whose critic was trained to tell its points from those of
        images.
    """
    shape = actor.model.config.trunk.shape
    images = torch.stack([read_picture(path, shape, **reading) for path in files])
    wanted = wanted_labels(actor, images, **labels)
    result = transform(actor, images, wanted, **search)
    stages = (as_pixels(images), result.reconstructed.cpu(), result.transformed.cpu())
    output.parent.mkdir(parents=True, exist_ok=True)
    titles = [printable(path.name) for path in files]
    draw_grid(list(torch.stack(stages, 1)), output, row_names=titles, column_names=COLUMNS)
    satisfied = result.predicted_satisfied.tolist()
    pixels = result.pixel_distance().tolist()
    latent = result.z_distance(actor.model.sigma_bar).tolist()
    return [
        {
            "file": str(path),
            "labels": [
                name for name, holds in zip(actor.names, wanted[row], strict=True) if holds
            ],
            "predicted_satisfied": satisfied[row] if actor.actor is None else None,
            "pixel_distance": pixels[row],
            "latent_distance": latent[row],
        }
        for row, path in enumerate(files)
    ]
