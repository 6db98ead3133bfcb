"""Images with labels, and the functions that all their readers share.

Shapes: ``N`` images, ``H`` and ``W`` pixels, ``C`` channels (1 or 3), ``Y`` labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import ImageDataError, UsageError

Announce = Callable[[str], None]
"""A function that shows a line of progress to the user."""
Rows = NDArray[np.int64]
"""Indices of images, in the order of the data."""

DIGITS = "digits"
IMAGES_PER_TEST_IMAGE = 5
"""Images for each one in the test split, if the data name no splits."""
MAX_TEST_IMAGES = 2000
"""Most images of the test split, if the data name no splits: enough to measure a percent."""
MAX_LISTED_FILES = 10
"""Most files of a folder that an error lists."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images, their labels, and where they come from.

    Attributes:
        images: ``(N, H, W, C)`` uint8.
        labels: ``(N, Y)`` bool.
        names: ``Y`` names of attributes ("Smiling") or classes ("0").
        exclusive: whether exactly one label is true for an image (classes), or any number
            (attributes).
        files: file name of each image, or empty.
        captions: caption of each image, or empty.
        source: "mnist", "idx", "digits", "celeba" or the folder's name.
        checksums: SHA-256 of the data by file name; of a compressed idx file that of its contents,
            of a folder of images that of what ``sha256sum`` prints for them, in order of names.

    Raises:
        UsageError: the shapes or numbers of these do not match.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.bool_]
    names: tuple[str, ...]
    exclusive: bool
    files: tuple[str, ...]
    captions: tuple[str, ...]
    source: str
    checksums: dict[str, str]

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.images.ndim != 4 or self.images.shape[3] not in (1, 3):
            raise UsageError(f"images must be (N, H, W, 1 or 3), got {self.images.shape}")
        if self.labels.shape != (count, len(self.names)):
            raise UsageError(
                f"labels must be (images, names) = ({count}, {len(self.names)}), "
                f"got {self.labels.shape}"
            )
        if self.exclusive and not (self.labels.sum(axis=1) == 1).all():
            raise UsageError("labels are exclusive, but not exactly one holds for every image")
        for name in ("files", "captions"):
            given = len(getattr(self, name))
            if given not in (0, count):
                raise UsageError(f"{name} must be one per image or none, got {given} for {count}")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Sequence[int] | Rows) -> LabelledImages:
        """Select images, in the order of ``rows``."""
        chosen = np.asarray(rows, np.int64)
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            files=tuple(self.files[row] for row in chosen) if self.files else (),
            captions=tuple(self.captions[row] for row in chosen) if self.captions else (),
        )


@dataclass(frozen=True)
class ImageData:
    """Images to train on, and others to test with.

    Attributes:
        train: the training split.
        test: the test split; no training uses it.
    """

    train: LabelledImages
    test: LabelledImages


def split_rows(count: int) -> tuple[Rows, Rows]:
    """Split images at random, always in the same way: sorted rows for training and for testing.

    The test split has a fifth of the images, at least 1 and at most :data:`MAX_TEST_IMAGES`.

    Raises:
        ImageDataError: there are fewer than 2 images.

    Example:
        >>> [len(rows) for rows in split_rows(15_500)]
        [13500, 2000]
    """
    if count < 2:
        raise ImageDataError(f"{count} labelled images; at least 2 are needed, one to test with")
    test_count = max(1, min(MAX_TEST_IMAGES, count // IMAGES_PER_TEST_IMAGE))
    order = np.random.default_rng(0).permutation(count)
    return np.sort(order[test_count:]), np.sort(order[:test_count])


def find_names(
    wanted: Sequence[str], known: Sequence[str], aliases: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Find attributes by name, and return the names as the data spell them.

    Args:
        wanted: names in any case, with or without ``_``, ``-`` and spaces.
        known: names of the data's attributes.
        aliases: further names, each of an attribute that need not be known.

    Raises:
        UsageError: an attribute is unknown, or named twice.

    Example:
        >>> find_names(["wearing hat"], ["Smiling", "Wearing_Hat"])
        ('Wearing_Hat',)
    """
    spellings = {
        _normalised(alias): name for alias, name in (aliases or {}).items() if name in known
    }
    spellings |= {_normalised(name): name for name in known}
    unknown = [name for name in wanted if _normalised(name) not in spellings]
    if unknown:
        raise UsageError(f"unknown attribute {unknown[0]!r}; known are {', '.join(known)}")
    names = tuple(spellings[_normalised(name)] for name in wanted)
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UsageError(f"attribute {repeated[0]} is named twice; name each once")
    return names


def refuse_attributes(attributes: Sequence[str] | None, source: str) -> None:
    """Refuse a choice of attributes for data that have classes.

    Raises:
        UsageError: ``attributes`` is not None.
    """
    if attributes is not None:
        raise UsageError(
            f"{source} has classes, not attributes, and they come together; "
            f"leave out {', '.join(attributes)}"
        )


def _normalised(name: str) -> str:
    return "".join(character for character in name.casefold() if character not in " _-")
