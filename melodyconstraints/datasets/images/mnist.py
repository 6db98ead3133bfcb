"""Read digits: MNIST's idx files, others in the same format, and scikit-learn's small ones.

An idx file is a header of big-endian numbers and then plain bytes: two zeros, the type (8 is
unsigned bytes), the number of dimensions, and each dimension in four bytes.

References:
    LeCun, Cortes and Burges, *The MNIST database of handwritten digits*,
    http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.datasets.images.labelled_images import (
    DIGITS,
    Announce,
    ImageData,
    LabelledImages,
    split_rows,
)
from melodyconstraints.errors import ImageDataError
from melodyconstraints.storage.extras import extras_explained

Bytes = NDArray[np.uint8]

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
ORIGINAL_MD5 = {
    TRAIN_IMAGES: "6bbc9ace898e44ae57da46a324031adb",
    TRAIN_LABELS: "a25bea736e30d166cdddb491f175f624",
    TEST_IMAGES: "2646ac647ad5339dbf082846283269ea",
    TEST_LABELS: "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of MNIST's four files, decompressed."""
UNSIGNED_BYTES = 8
"""Code of the type unsigned byte in an idx file's header."""
SCIKIT_LEARN_MAX = 16
"""Largest value of a pixel in scikit-learn's digits."""


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder has any of MNIST's four files, in any spelling."""
    return any(_find(folder, name) for name in ORIGINAL_MD5)


_MOST_BYTES = 600_000_000
"""Bytes that are read of a file at most, decompressed; the largest of EMNIST has 547 million."""


def is_original(contents: Mapping[str, bytes]) -> bool:
    """Whether files are MNIST itself, not another data set under the same names.

    Args:
        contents: decompressed files, by the names of :data:`ORIGINAL_MD5`.
    """
    return all(
        hashlib.md5(contents[name], usedforsecurity=False).hexdigest() == md5
        for name, md5 in ORIGINAL_MD5.items()
    )


def read_idx_folder(folder: Path, *, announce: Announce | None = None) -> ImageData:
    """Read MNIST, or another data set in its four files: Fashion-MNIST, EMNIST's digits.

    Each file may be compressed (``.gz``), and its name spelled with a dot before ``idx``.

    Raises:
        ImageDataError: a file is missing or damaged, or images and labels differ in number.
    """
    if announce:
        announce(f"reading {folder}")
    contents = {name: _contents(folder, name) for name in ORIGINAL_MD5}
    arrays = {
        name: parse_idx(data, 3 if "images" in name else 1, str(folder / name))
        for name, data in contents.items()
    }
    source = "mnist" if is_original(contents) else "idx"
    classes = 1 + max(int(arrays[name].max(initial=0)) for name in (TRAIN_LABELS, TEST_LABELS))

    def images_of(images: str, labels: str) -> LabelledImages:
        if len(arrays[images]) != len(arrays[labels]):
            raise ImageDataError(
                f"{folder}: {len(arrays[images]):,} images in {images}, but "
                f"{len(arrays[labels]):,} labels in {labels}; take both from one download"
            )
        sums = {name: hashlib.sha256(contents[name]).hexdigest() for name in (images, labels)}
        return _classes(arrays[images], arrays[labels], classes, source, sums)

    data = ImageData(images_of(TRAIN_IMAGES, TRAIN_LABELS), images_of(TEST_IMAGES, TEST_LABELS))
    if data.train.images.shape[1:] != data.test.images.shape[1:]:
        (height, width), (test_height, test_width) = (
            images.images.shape[1:3] for images in (data.train, data.test)
        )
        raise ImageDataError(
            f"{folder}: images to train on are {width}x{height}, to test with "
            f"{test_width}x{test_height}; take all four files from one download"
        )
    return data


def parse_idx(data: bytes, dimensions: int, name: str) -> Bytes:
    r"""Parse an idx file into an array.

    Args:
        data: decompressed content of the file.
        dimensions: 3 for images ``(N, H, W)``, 1 for labels ``(N,)``.
        name: name of the file, for errors.

    Raises:
        ImageDataError: the file is of another format, empty, or shorter or longer than its
            header says.

    Example:
        >>> parse_idx(b"\0\0\x08\x01" + b"\0\0\0\x02" + b"\x07\x03", 1, "labels")
        array([7, 3], dtype=uint8)
    """
    start = 4 + 4 * dimensions
    magic = bytes([0, 0, UNSIGNED_BYTES, dimensions])
    if data[:4] != magic:
        raise ImageDataError(
            f"{name} is no idx file of bytes in {dimensions} dimension(s): it starts with "
            f"{data[:4].hex(' ') or 'nothing'}, not {magic.hex(' ')}; download it again"
        )
    if len(data) < start:
        raise ImageDataError(
            f"{name} ends within its header, at byte {len(data)} of {start}; download it again"
        )
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    expected = start + int(np.prod(shape, dtype=object))
    if len(data) != expected:
        fault = "truncated" if len(data) < expected else "too long"
        raise ImageDataError(
            f"{name} is {fault}: {' x '.join(map(str, shape))} values make {expected:,} bytes, "
            f"found {len(data):,}; download it again"
        )
    if 0 in shape:
        raise ImageDataError(f"{name} is empty: it has {' x '.join(map(str, shape))} values")
    # a copy, since torch warns of arrays that cannot be written to
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()


def read_digits() -> ImageData:
    """Read the 1,797 digits of 8x8 pixels that scikit-learn has; the test split is random."""
    with extras_explained():
        from sklearn.datasets import load_digits  # takes a second

    bundle = load_digits()
    values, labels = bundle.images.astype(np.uint8), bundle.target.astype(np.uint8)
    checksum = hashlib.sha256(values.tobytes() + labels.tobytes()).hexdigest()
    images = np.rint(values * (255 / SCIKIT_LEARN_MAX)).astype(np.uint8)
    digits = _classes(images, labels, 10, DIGITS, {DIGITS: checksum})
    train, test = split_rows(len(digits))
    return ImageData(digits.take(train), digits.take(test))


def _classes(
    images: Bytes, labels: Bytes, count: int, source: str, checksums: dict[str, str]
) -> LabelledImages:
    return LabelledImages(
        images=images[..., None],
        labels=labels[:, None] == np.arange(count),
        names=tuple(map(str, range(count))),
        exclusive=True,
        files=(),
        captions=(),
        source=source,
        checksums=checksums,
    )


def _find(folder: Path, name: str) -> Path | None:
    dotted = name.replace("-idx", ".idx")
    places = (folder / f"{spelling}{end}" for end in ("", ".gz") for spelling in (name, dotted))
    return next((place for place in places if place.is_file()), None)


def _contents(folder: Path, name: str) -> bytes:
    path = _find(folder, name)
    if path is None:
        raise ImageDataError(
            f"{folder} has no {name}, raw or .gz; MNIST is four files: {', '.join(ORIGINAL_MD5)}"
        )
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data: bytes = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ImageDataError(f"{path} cannot be read: {error}; download it again") from error
    if len(data) > _MOST_BYTES:
        raise ImageDataError(f"{path} has more than {_MOST_BYTES:,} bytes; take fewer images")
    return data
