"""Read CelebA: faces with forty attributes, in the layout of its official download.

================================  =========================================================
``list_attr_celeba.txt``          a count; the attributes' names; ``000001.jpg -1 1 ...``
``list_eval_partition.txt``       optional: ``000001.jpg 0``
``img_align_celeba/`` or ``.zip`` the images, of 178x218 pixels
================================  =========================================================

Partition 0 is the training split, 2 the test split, and 1, validation, in neither; without the
partition file the split is random. Images of 178x218 pixels are cropped to their central 128x128
and reduced with antialiasing; images that have the wanted size are taken as they are; any other is
refused. Images that the list does not name are ignored. CelebA is for non-commercial research
only.

References:
    Liu, Luo, Wang and Tang, *Deep Learning Face Attributes in the Wild*, ICCV 2015,
    https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from melodyconstraints.datasets.images.image_folder import (
    Decoded,
    ImageFiles,
    check_missing,
    decode_images,
    digest_of,
    fit_square,
    image_data,
)
from melodyconstraints.datasets.images.labelled_images import (
    Announce,
    ImageData,
    Rows,
    find_names,
    split_rows,
)
from melodyconstraints.errors import ImageDataError
from melodyconstraints.storage.text import printable

ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
IMAGES = "img_align_celeba"
WIDTH, HEIGHT = 178, 218
"""Size of the official images in pixels."""
CROP = 128
"""Edge of the central square that is cut out of an official image: the face."""

NO_BEARD, FACIAL_HAIR = "No_Beard", "Facial_Hair"
ALIASES = {"Beard": FACIAL_HAIR}
PAPER_ATTRIBUTES = (
    *("Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Eyeglasses", "Male", FACIAL_HAIR),
    *("Smiling", "Wearing_Hat", "Young"),
)
"""The ten attributes of *Latent Constraints*; facial hair is the opposite of ``No_Beard``."""


_LARGEST_IMAGE = 1 << 24
"""Bytes of an image in a zip file at most, decompressed."""


class ZipFiles(ImageFiles):
    """The image files in a zip file, by their names without folders.

    Raises:
        ImageDataError: the file is damaged or no zip file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise self._damaged(error) from error
        self._members = {name.rpartition("/")[2]: name for name in self._zip.namelist()}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:  # noqa: D102 (as of the base)
        try:
            member = self._zip.getinfo(self._members[name])
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise zipfile.BadZipFile(f"{printable(name)} is not packed by deflate")
            with self._zip.open(member) as file:
                data = file.read(_LARGEST_IMAGE + 1)
            if len(data) > _LARGEST_IMAGE:
                raise zipfile.BadZipFile(
                    f"{printable(name)} has more than {_LARGEST_IMAGE:,} bytes"
                )
            return data
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        """Close the zip file."""
        self._zip.close()

    def _damaged(self, error: Exception) -> ImageDataError:
        return ImageDataError(f"{self.path} is truncated or damaged: {error}; download it again")


def read_celeba(
    folder: Path,
    attributes: Sequence[str] | None = None,
    *,
    size: int = 64,
    announce: Announce | None = None,
) -> ImageData:
    """Read CelebA, or a subset of it, in the layout of this module's docstring.

    Args:
        attributes: any of the forty, or ``Facial_Hair`` (also ``Beard``); None for the paper's
            ten. See :func:`~melodyconstraints.datasets.images.read_images.read_images`.
        size, announce: arguments of the same function; at most 128 pixels.

    Raises:
        UsageError: an attribute is unknown or given twice.
        ImageDataError: a list or an image is missing or damaged, or an image has another size.
    """
    files, names, labels = _read_labels(folder / ATTRIBUTES, attributes)
    checksums = {ATTRIBUTES: _sha256(folder / ATTRIBUTES)}
    if (folder / PARTITION).is_file():
        splits = _partition_rows(folder / PARTITION, files)
        checksums[PARTITION] = _sha256(folder / PARTITION)
    else:
        splits = split_rows(len(files))

    split_files = [[files[row] for row in rows] for rows in splits]
    decoded, images_checksum = _decode(folder, split_files, size, announce)
    return image_data(
        splits,
        [split.images for split in decoded],
        labels,
        files,
        names=names,
        exclusive=False,
        source="celeba",
        checksums=checksums | images_checksum,
    )


def _read_labels(
    path: Path, attributes: Sequence[str] | None
) -> tuple[list[str], tuple[str, ...], NDArray[np.bool_]]:
    """Files, and names and labels ``(N, Y)`` of the wanted attributes, facial hair among them."""
    files, known, table = read_attributes(path)
    if NO_BEARD in known and FACIAL_HAIR not in known:
        known = (*known, FACIAL_HAIR)
        table = np.column_stack([table, ~table[:, known.index(NO_BEARD)]])
    names = find_names(PAPER_ATTRIBUTES if attributes is None else attributes, known, ALIASES)
    return files, names, table[:, [known.index(name) for name in names]]


def read_attributes(path: Path) -> tuple[list[str], tuple[str, ...], NDArray[np.bool_]]:
    """Read files, names of attributes, and labels ``(N, Y)`` from a ``list_attr_celeba.txt``.

    Raises:
        ImageDataError: the count or a line's columns do not match, or a value is not -1 or 1.
    """
    lines = _lines(path)
    if len(lines) < 2 or not lines[0].strip().isdecimal():
        first = printable(lines[0][:40]) if lines else "nothing"
        raise ImageDataError(
            f"{path} must begin with a count of images and a line of names, found {first!r}"
        )
    count, names = int(lines[0]), tuple(lines[1].split())
    if len(lines) - 2 != count:
        raise ImageDataError(
            f"{path} announces {count:,} images and lists {len(lines) - 2:,}; download it again"
        )
    rows = _fields(path, lines, 2, 1 + len(names))
    values = np.array([row[1:] for row in rows], str).reshape(count, len(names))
    labels = values == "1"
    wrong = np.argwhere(~labels & (values != "-1"))
    if len(wrong):
        row, column = wrong[0]
        raise ImageDataError(
            f"{path}, line {row + 3}: {names[column]} is {printable(str(values[row, column]))!r}; "
            "an attribute is -1 or 1"
        )
    return [row[0] for row in rows], names, labels


def _partition_rows(path: Path, files: Sequence[str]) -> tuple[Rows, Rows]:
    """Rows of the training and the test split, from a ``list_eval_partition.txt``."""
    rows = _fields(path, _lines(path), 0, 2)
    partition = dict(rows)
    wrong = next((line for line, row in enumerate(rows, 1) if row[1] not in ("0", "1", "2")), None)
    if wrong:
        raise ImageDataError(
            f"{path}, line {wrong}: partition {printable(rows[wrong - 1][1])!r} is none of "
            "0 (train), 1 (validation), 2 (test)"
        )
    missing = [file for file in files if file not in partition]
    if missing:
        raise ImageDataError(
            f"{path} has no line for {len(missing):,} of {len(files):,} images, the first "
            f"{printable(missing[0])}; without the file the split is random"
        )
    numbers = np.array([partition[file] for file in files])
    train, test = np.flatnonzero(numbers == "0"), np.flatnonzero(numbers == "2")
    if not len(train) or not len(test):
        raise ImageDataError(
            f"{path} has {len(train):,} of the images in train and {len(test):,} in test; both "
            "are needed: without the file the split is random"
        )
    return train, test


def _decode(
    folder: Path, split_files: Sequence[Sequence[str]], size: int, announce: Announce | None
) -> tuple[list[Decoded], dict[str, str]]:
    """Images of each split, and the checksum of the folder or zip file that holds them."""

    def fit(image: Image.Image) -> Image.Image:
        if image.size == (size, size):
            return image
        if image.size == (WIDTH, HEIGHT) and size <= CROP:
            return fit_square(image, size, CROP)
        raise ImageDataError(_size_error(image.size, size))

    packed = folder / f"{IMAGES}.zip"
    if (folder / IMAGES).is_dir():
        source = ImageFiles(folder / IMAGES)
    elif packed.is_file():
        source = ZipFiles(packed)
    else:
        raise ImageDataError(
            f"{folder} has {ATTRIBUTES}, but neither {IMAGES}/ nor {IMAGES}.zip beside it"
        )
    try:
        check_missing(source, [file for files in split_files for file in files], ATTRIBUTES)
        decoded = [decode_images(files, source, fit, size, announce) for files in split_files]
    finally:
        if isinstance(source, ZipFiles):
            source.close()
    if isinstance(source, ZipFiles):
        return decoded, {packed.name: _sha256(packed)}
    return decoded, {IMAGES: digest_of(decoded[0].sha256 | decoded[1].sha256)}


def _size_error(image_size: tuple[int, int], size: int) -> str:
    width, height = image_size
    message = f"is {width}x{height}; CelebA's are {WIDTH}x{HEIGHT}, or {size}x{size} if reduced"
    if width == height:
        return f"{message}: ask for size {width}"
    return f"{message}: ask for at most {CROP}" if image_size == (WIDTH, HEIGHT) else message


def _lines(path: Path) -> list[str]:
    """Lines of a text file without the empty ones at its end."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ImageDataError(f"{path} cannot be read as text: {error}") from error
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _fields(path: Path, lines: Sequence[str], start: int, columns: int) -> list[list[str]]:
    """Fields of the lines from index ``start``; the first field, a file, is in one line only."""
    rows = [line.split() for line in lines[start:]]
    seen: set[str] = set()
    for number, row in enumerate(rows, start + 1):
        if len(row) != columns:
            raise ImageDataError(
                f"{path}, line {number}: {len(row)} columns, not {columns}; download it again"
            )
        if row[0] in seen:
            raise ImageDataError(f"{path}, line {number}: {printable(row[0])} a second time")
        seen.add(row[0])
    return rows


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
