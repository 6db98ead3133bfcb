"""Read images with labels, in any of these layouts.

=====================================  =========================  ==========================
``data``                               labels                     module
=====================================  =========================  ==========================
the word ``digits``                    classes "0" to "9"         :mod:`.mnist`
a folder with MNIST's four idx files   classes                    :mod:`.mnist`
a folder in CelebA's official layout   attributes                 :mod:`.celeba`
a folder with a ``labels.csv``         classes or attributes      :mod:`.image_folder`
=====================================  =========================  ==========================
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from melodyconstraints.datasets.images import celeba, image_folder, mnist
from melodyconstraints.datasets.images.labelled_images import (
    DIGITS,
    MAX_LISTED_FILES,
    Announce,
    ImageData,
    refuse_attributes,
)
from melodyconstraints.errors import ImageDataError, UsageError
from melodyconstraints.storage.text import printable


def read_images(
    data: Path | str,
    attributes: Sequence[str] | None = None,
    *,
    size: int = 64,
    announce: Announce | None = None,
) -> ImageData:
    """Read a data set in any of the layouts of this module's table.

    Args:
        data: a folder, or the word "digits".
        attributes: the labels wanted, in this order, whatever their case and with or without
            ``_``, ``-`` and spaces; all, or CelebA's ten of the paper, where not given.
        size: edge of the images in pixels; idx files and digits keep their own.
        announce: called with lines that say what is read, and how far it is.

    Raises:
        UsageError: an attribute is unknown or given twice, or the labels are classes.
        ImageDataError: the data are missing, damaged or none of these.

    Example:
        >>> digits = read_images("digits")
        >>> len(digits.train), len(digits.test), digits.train.images.shape[1:]
        (1438, 359, (8, 8, 1))
    """
    if size < 1:
        raise UsageError(f"size must be at least 1 pixel, got {size}")
    if attributes is not None and not attributes:
        raise UsageError("no attribute is named; name at least one, or none to have the usual")
    folder = Path(data)
    if not folder.is_dir():
        if str(data) == DIGITS:
            refuse_attributes(attributes, DIGITS)
            return mnist.read_digits()
        raise ImageDataError(f"{data} is not a folder; give one with images, or {DIGITS!r}")
    if mnist.is_idx_folder(folder):
        refuse_attributes(attributes, str(folder))
        return mnist.read_idx_folder(folder, announce=announce)
    if (folder / celeba.ATTRIBUTES).is_file():
        return celeba.read_celeba(folder, attributes, size=size, announce=announce)
    if (folder / image_folder.LABELS).is_file():
        return image_folder.read_image_folder(folder, attributes, size=size, announce=announce)
    raise ImageDataError(
        f"{folder} holds no labelled images: looked for {mnist.TRAIN_IMAGES} (MNIST), "
        f"{celeba.ATTRIBUTES} (CelebA) and {image_folder.LABELS}, found {_listing(folder)}"
    )


def _listing(folder: Path) -> str:
    names = sorted(printable(path.name) for path in folder.iterdir())
    others = len(names) - MAX_LISTED_FILES
    more = [f"and {others:,} more"] if others > 0 else []
    return ", ".join([*names[:MAX_LISTED_FILES], *more]) or "nothing"
