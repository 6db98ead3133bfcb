"""Labelled images as models and classifiers need them: tensors, encodings, checks that they fit.

Shapes: ``N`` images, ``C`` channels, ``H`` x ``W`` pixels, ``Y`` labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from melodyconstraints.datasets.images.labelled_images import Announce, ImageData, LabelledImages
from melodyconstraints.datasets.images.read_images import read_images
from melodyconstraints.errors import UsageError
from melodyconstraints.images.actor_training import encode_images
from melodyconstraints.images.config import Shape
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.latent.constraints import Encodings


def tensors(images: LabelledImages) -> tuple[Tensor, Tensor]:
    """Images as bytes ``(N, C, H, W)``, and labels ``(N, Y)`` of 0 and 1."""
    pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images.images, 3, 1)))
    return pixels, torch.from_numpy(images.labels).float()


def shape_of(images: LabelledImages) -> Shape:
    """Channels, height and width of an image."""
    _, height, width, channels = images.images.shape
    return channels, height, width


def may_be_mirrored(images: LabelledImages) -> bool:
    """Whether a mirror image has the same labels: faces do, digits do not."""
    return not images.exclusive


def encode_labelled(model: ImageVAE, images: LabelledImages, *, plain: bool = False) -> Encodings:
    """Posteriors of images with their labels.

    Args:
        plain: whether mirror images are left out, and rare attributes sampled no more often than
            others.
    """
    mirrored, balanced = may_be_mirrored(images) and not plain, not (images.exclusive or plain)
    return encode_images(model, *tensors(images), flip=mirrored, balance=balanced)


def read_images_of(
    models: Sequence[ImageVAE],
    data: Path,
    attributes: Sequence[str] | None = None,
    announce: Announce | None = None,
) -> ImageData:
    """Read a data set at the size of the images that models make.

    Args:
        models: models, one or more, all of images of one shape.
        data, attributes, announce: see
            :func:`~melodyconstraints.datasets.images.read_images.read_images`.

    Raises:
        UsageError: a model makes images of another shape.
        ImageDataError: the data are missing or damaged.
    """
    size = models[0].config.trunk.shape[1]
    images = read_images(data, attributes, size=size, announce=announce)
    for model in models:
        check_fits(model, images.test)
    return images


def check_fits(model: ImageVAE, images: LabelledImages) -> None:
    """Check that images have the shape of a model's images.

    Raises:
        UsageError: they have another shape.
    """
    expected, actual = model.config.trunk.shape, shape_of(images)
    if actual != expected:
        raise UsageError(
            f"the model makes images of {_shape_text(expected)}, the data has "
            f"{_shape_text(actual)}; give the data that it was trained on, or train a model with: "
            "mc images train-vae"
        )


def check_names(owner: str, names: Sequence[str], images: LabelledImages) -> None:
    """Check that images have the labels of an actor or a classifier, if any, in the same order.

    Args:
        owner: the actor or the classifier, for the error.

    Raises:
        UsageError: they have other labels.
    """
    if names and tuple(names) != images.names:
        raise UsageError(
            f"{owner} knows {', '.join(names)}, the data has {', '.join(images.names)}; give the "
            "data that it was trained on, and its attributes in this order by --attributes"
        )


def _shape_text(shape: Shape) -> str:
    channels, height, width = shape
    return f"{width}x{height} pixels in {'colour' if channels == 3 else 'grey'}"
