"""Read a folder of the user's own images with labels, and decode image files into arrays.

The folder holds ``labels.csv``, in UTF-8, with a header and a line for each image::

    file,caption,Smiling,Eyeglasses,split
    ann.png,"Ann, laughing",1,0,train
    sub/bob.jpg,Bob,0,1,test

``file`` is the image's path below the folder. Optional columns are ``caption``; ``split``: train,
validation (in neither split) or test; and, instead of attributes, ``label``: one word for the
image's class. Every other column is an attribute with the values 0/1, -1/1 or true/false. Images
are cropped to their central square and resized, unless they have that size. If all images are
grey, the result has one channel. Transparency is ignored.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from melodyconstraints.datasets.images.label_table import (
    CAPTION,
    FILE,
    LabelTable,
    labels_of,
    splits_of,
)
from melodyconstraints.datasets.images.labelled_images import (
    Announce,
    ImageData,
    LabelledImages,
    Rows,
)
from melodyconstraints.errors import ImageDataError
from melodyconstraints.storage.machine import processors
from melodyconstraints.storage.text import printable

LABELS = "labels.csv"
GREY_MODES = frozenset({"1", "L", "LA"})
"""Pillow's modes without colours."""
DEEP_MODES = frozenset({"I", "F"})
"""First letters of Pillow's modes with more than 8 bits a channel."""
ANNOUNCE_EVERY = 10_000
"""Images between two lines of progress: some seconds of reading."""
BATCH = 500
"""Images queued for the threads at a time: bounds the memory of their results."""

Fit = Callable[[Image.Image], Image.Image]
"""A function that crops and resizes an image."""


class ImageFiles:
    """The image files below a folder, by their paths from there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def __contains__(self, name: str) -> bool:
        return (self.path / name).is_file()

    def read(self, name: str) -> bytes:
        """Read a whole file.

        Raises:
            ImageDataError: the file cannot be read.
        """
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise ImageDataError(f"{self.path / name} cannot be read: {error}") from error


@dataclass(frozen=True)
class Decoded:
    """Images decoded by :func:`decode_images`.

    Attributes:
        images: ``(N, size, size, 3)`` uint8.
        grey: whether no image has colours.
        sha256: SHA-256 of each file, by name.
    """

    images: NDArray[np.uint8]
    grey: bool
    sha256: dict[str, str]


def read_image_folder(
    folder: Path,
    attributes: Sequence[str] | None = None,
    *,
    size: int = 64,
    announce: Announce | None = None,
) -> ImageData:
    """Read a folder of images with a ``labels.csv``, in the layout of this module's docstring.

    Args:
        attributes: columns wanted, None for all; see
            :func:`~melodyconstraints.datasets.images.read_images.read_images`.
        size, announce: arguments of the same function.

    Raises:
        UsageError: an attribute is unknown or given twice, or the labels are classes.
        ImageDataError: the table or an image is missing or damaged.
    """
    path = folder / LABELS
    table = LabelTable.read(path, needed=(FILE,))
    names, labels, exclusive = labels_of(table, attributes)
    files = table.column(FILE)
    captions = table.column(CAPTION) if CAPTION in table.header else ()
    splits = splits_of(table)
    source = ImageFiles(folder)
    check_missing(source, files, path.name)

    fit = partial(fit_square, size=size)
    decoded = [
        decode_images([files[row] for row in rows], source, fit, size, announce) for rows in splits
    ]
    return image_data(
        splits,
        [split.images[..., : 1 if all(s.grey for s in decoded) else 3] for split in decoded],
        labels,
        files,
        captions,
        names=names,
        exclusive=exclusive,
        source=folder.resolve().name,
        checksums={
            LABELS: hashlib.sha256(path.read_bytes()).hexdigest(),
            "images": digest_of(decoded[0].sha256 | decoded[1].sha256),
        },
    )


def image_data(
    splits: Sequence[Rows],
    images: Sequence[NDArray[np.uint8]],
    labels: NDArray[np.bool_],
    files: Sequence[str],
    captions: Sequence[str] = (),
    **others: Any,
) -> ImageData:
    """Build both splits from their images and from labels, files and captions of all rows.

    Args:
        splits: rows of the training and of the test split.
        images: ``(N, H, W, C)`` of each split.
        others: further arguments of :class:`.LabelledImages`.
    """
    train, test = (
        LabelledImages(
            images=pixels,
            labels=labels[rows],
            files=tuple(files[row] for row in rows),
            captions=tuple(captions[row] for row in rows) if captions else (),
            **others,
        )
        for rows, pixels in zip(splits, images, strict=True)
    )
    return ImageData(train, test)


def read_captions(path: Path | str) -> dict[str, str]:
    """Read captions by file name from a CSV with the columns ``file`` and ``caption``.

    Other columns are ignored.

    Raises:
        ImageDataError: the CSV is missing or damaged, a caption is empty, or a file is named
            twice.
    """
    table = LabelTable.read(Path(path), needed=(FILE, CAPTION))
    return dict(zip(table.column(FILE), table.column(CAPTION), strict=True))


def with_captions(images: LabelledImages, captions: Mapping[str, str]) -> LabelledImages:
    """Give every image its caption.

    Args:
        captions: captions by file name; those of other files are ignored.

    Raises:
        ImageDataError: an image has no caption, or the images have no names.
    """
    if not images.files:
        raise ImageDataError(
            f"images of {images.source} have no file names, by which captions could be found"
        )
    missing = [file for file in images.files if file not in captions]
    if missing:
        raise ImageDataError(
            f"no caption for {len(missing):,} of {len(images):,} images, the first "
            f"{printable(missing[0])}; add a line for each"
        )
    return replace(images, captions=tuple(captions[file] for file in images.files))


def decode_images(
    names: Sequence[str], source: ImageFiles, fit: Fit, size: int, announce: Announce | None = None
) -> Decoded:
    """Decode image files in as many threads as there are cores.

    Args:
        names: names of the files.
        fit: crops and resizes an RGB image to ``size`` pixels in width and height.
        size: edge of the images in pixels.
        announce: called with lines of progress.

    Raises:
        ImageDataError: a file cannot be decoded, or ``fit`` refuses it.
    """
    images = np.empty((len(names), size, size, 3), np.uint8)
    sha256: dict[str, str] = {}
    grey = True

    def decode(row: int) -> tuple[bool, str]:
        data = source.read(names[row])
        images[row], is_grey = decode_image(data, names[row], fit)
        return is_grey, hashlib.sha256(data).hexdigest()

    with ThreadPoolExecutor(processors()) as pool:
        for start in range(0, len(names), BATCH):
            rows = range(start, min(start + BATCH, len(names)))
            for row, (is_grey, digest) in zip(rows, pool.map(decode, rows), strict=True):
                grey &= is_grey
                sha256[names[row]] = digest
            if announce and (rows.stop % ANNOUNCE_EVERY == 0 or rows.stop == len(names)):
                announce(f"read {rows.stop:,} of {len(names):,} images of {source}")
    return Decoded(images, grey, sha256)


def decode_image(data: bytes, name: str, fit: Fit) -> tuple[NDArray[np.uint8], bool]:
    """Decode an image file: pixels ``(H, W, 3)`` after ``fit``, and whether it is grey.

    Raises:
        ImageDataError: the file cannot be decoded or has more than 8 bits a channel, or ``fit``
            refuses it.
    """
    try:
        with Image.open(io.BytesIO(data)) as file:
            mode = file.mode
            if mode[0] in DEEP_MODES:
                raise ImageDataError(
                    f"image {printable(name)} has more than 8 bits a channel (mode {mode}); "
                    "save it with 8"
                )
            image = ImageOps.exif_transpose(file).convert("RGB")
    except UnidentifiedImageError as error:
        raise ImageDataError(
            f"image {printable(name)} is of no format that is known here; save it as PNG or JPEG"
        ) from error
    except (
        *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error),
        Image.DecompressionBombError,
    ) as error:
        raise ImageDataError(
            f"image {printable(name)} does not decode: {error}; replace it"
        ) from error
    try:
        return np.asarray(fit(image)), mode in GREY_MODES
    except ImageDataError as error:
        raise ImageDataError(f"image {printable(name)} {error}") from error


def fit_square(image: Image.Image, size: int, side: int | None = None) -> Image.Image:
    """Crop an image to its central square, and resize it with antialiasing if needed.

    Args:
        size: edge of the result in pixels.
        side: edge of the square in pixels; None for the largest.
    """
    side = side or min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return square if side == size else square.resize((size, size), Image.Resampling.BICUBIC)


def check_missing(source: ImageFiles, names: Sequence[str], table: str) -> None:
    """Check that a source has all images, before any is read.

    Args:
        table: name of the file that lists the images, for the error.

    Raises:
        ImageDataError: an image is missing.
    """
    missing = [name for name in names if name not in source]
    if missing:
        raise ImageDataError(
            f"{table} names {len(missing):,} of {len(names):,} images that {source} does not "
            f"hold, the first {printable(missing[0])}; add them or remove their lines"
        )


def digest_of(sha256: Mapping[str, str]) -> str:
    """Combine checksums of files: the SHA-256 of what ``sha256sum`` prints, in order of names."""
    lines = "".join(f"{sha256[name]}  {name}\n" for name in sorted(sha256))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
