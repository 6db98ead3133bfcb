"""Images with labels, and what every reader of them needs.

Shapes: ``N`` images, ``H`` and ``W`` pixels, ``C`` channels (1 or 3), ``Y`` labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import ImageDataError, UsageError

Announce = Callable[[str], None]
Rows = NDArray[np.int64]

DIGITS = "digits"
MOST_HELD_OUT = 2000
"""Images of the test split, where the data name no splits."""
SHOWN = 10
"""Files of a folder that an error names."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images, what holds for each, and where they come from.

    Attributes:
        images: ``(N, H, W, C)`` uint8.
        labels: ``(N, Y)`` bool.
        names: ``Y`` names of attributes ("Smiling") or classes ("0").
        exclusive: exactly one label holds for an image (classes), not any set (attributes).
        files: a name per image, or none at all.
        captions: one per image, or none at all.
        source: "mnist", "idx", "digits", "celeba" or the folder's name.
        checksums: sha256 of what was read, by file name; of a compressed idx file its contents,
            of a folder of images what ``sha256sum`` prints about those read, in order of names.

    Raises:
        UsageError: these do not belong together.
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
        """Some of the images, in the order of ``rows``."""
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
    """Images to train on, and others that no training sees."""

    train: LabelledImages
    test: LabelledImages


def split_rows(count: int) -> tuple[Rows, Rows]:
    """Rows to train on and to test with, at random and always the same, each in order.

    The test split has a fifth of the images, at least 1 and at most :data:`MOST_HELD_OUT`.

    Raises:
        ImageDataError: there are fewer than 2.

    Example:
        >>> [len(rows) for rows in split_rows(15_500)]
        [13500, 2000]
    """
    if count < 2:
        raise ImageDataError(f"{count} labelled images; at least 2 are needed, one to test with")
    held_out = max(1, min(MOST_HELD_OUT, count // 5))
    order = np.random.default_rng(0).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def find_names(
    wanted: Sequence[str], known: Sequence[str], aliases: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Attributes as the data spell them.

    Args:
        wanted: in any case, with or without ``_``, ``-`` and spaces.
        aliases: other names of some that may be known.

    Raises:
        UsageError: one is unknown, or named twice.

    Example:
        >>> find_names(["wearing hat"], ["Smiling", "Wearing_Hat"])
        ('Wearing_Hat',)
    """
    others = {alias: name for alias, name in (aliases or {}).items() if name in known}
    spellings = {_plain(alias): name for alias, name in others.items()}
    spellings |= {_plain(name): name for name in known}
    unknown = [name for name in wanted if _plain(name) not in spellings]
    if unknown:
        raise UsageError(f"unknown attribute {unknown[0]!r}; known are {', '.join(known)}")
    found = tuple(spellings[_plain(name)] for name in wanted)
    twice = [name for name in found if found.count(name) > 1]
    if twice:
        raise UsageError(f"attribute {twice[0]} is named twice; name each once")
    return found


def refuse_attributes(attributes: Sequence[str] | None, source: str) -> None:
    """Classes cannot be chosen from.

    Raises:
        UsageError: attributes are asked for.
    """
    if attributes is not None:
        raise UsageError(
            f"{source} has classes, not attributes, and they come together; "
            f"leave out {', '.join(attributes)}"
        )


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character not in " _-")
