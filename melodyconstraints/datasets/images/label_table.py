"""The table of a folder of images: labels, caption and split of each, checked line by line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.datasets.images.labelled_images import (
    Rows,
    find_names,
    refuse_attributes,
    split_rows,
)
from melodyconstraints.errors import ImageDataError
from melodyconstraints.storage.text import printable

FILE, CAPTION, SPLIT, LABEL = "file", "caption", "split", "label"
TRUTH_VALUES = {"1": True, "true": True, "0": False, "-1": False, "false": False}
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class LabelTable:
    """A CSV with stripped fields, reserved columns in lower case, and each row's line number."""

    path: Path
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    @classmethod
    def read(cls, path: Path, needed: Sequence[str]) -> LabelTable:
        """Read a CSV; check its columns, the length of its rows, its file names and captions."""
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, strict=True)
                lines = [([field.strip() for field in row], reader.line_num) for row in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ImageDataError(f"{path} cannot be read as CSV in UTF-8: {error}") from error
        lines = [(row, line) for row, line in lines if any(row)]
        header = tuple(map(_reserved, lines[0][0])) if lines else ()
        missing = [name for name in needed if name not in header]
        if missing:
            raise ImageDataError(
                f"{path} has no column {missing[0]!r}; its first line must name it, "
                f"found {','.join(map(printable, header)) or 'nothing'}"
            )
        if len(set(header)) < len(header) or "" in header:
            raise ImageDataError(f"{path}: every column needs a name of its own, got {header}")
        table = cls(path, header, [row for row, _ in lines[1:]], [line for _, line in lines[1:]])
        table._check()
        return table

    def column(self, name: str) -> list[str]:
        """The fields of a column, one for each row."""
        index = self.header.index(name)
        return [row[index] for row in self.rows]

    def error(self, row: int, reason: str) -> ImageDataError:
        """An error that names the file and the line of a row."""
        return ImageDataError(f"{self.path}, line {self.lines[row]}: {reason}")

    def _check(self) -> None:
        for row, fields in enumerate(self.rows):
            if len(fields) != len(self.header):
                raise self.error(row, f"{len(fields)} columns, not {len(self.header)}")
        seen: set[str] = set()
        for row, file in enumerate(self.column(FILE)):
            if not file:
                raise self.error(row, "no file; name one in every line")
            if Path(file).is_absolute() or ".." in Path(file).parts:
                raise self.error(row, f"{printable(file)} is outside the folder")
            if file in seen:
                raise self.error(row, f"{printable(file)} a second time; keep one of the lines")
            seen.add(file)
        if CAPTION in self.header:
            for row, caption in enumerate(self.column(CAPTION)):
                if not caption:
                    raise self.error(row, "no caption; give one to every image")


def _reserved(name: str) -> str:
    """A column's name, in lower case if it is reserved."""
    return name.lower() if name.lower() in (FILE, CAPTION, SPLIT, LABEL) else name


def labels_of(
    table: LabelTable, attributes: Sequence[str] | None
) -> tuple[tuple[str, ...], NDArray[np.bool_], bool]:
    """Names of the labels, labels ``(N, Y)``, and whether they are classes."""
    columns = tuple(name for name in table.header if name not in (FILE, CAPTION, SPLIT, LABEL))
    if LABEL in table.header:
        if columns:
            raise ImageDataError(
                f"{table.path} has a column {LABEL!r} and {columns[0]!r} besides; "
                "keep either classes or attributes"
            )
        refuse_attributes(attributes, str(table.path))
        words = table.column(LABEL)
        if "" in words:
            raise table.error(words.index(""), "no label; give one to every image")
        names = tuple(sorted(set(words)))
        return names, np.array(words)[:, None] == np.array(names), True
    if not columns:
        raise ImageDataError(
            f"{table.path} has no labels, only {', '.join(table.header)}; add a column {LABEL!r}, "
            "or one for each attribute"
        )
    names = columns if attributes is None else find_names(attributes, columns)
    labels = np.array([_truth_values(table, name) for name in names], bool).T
    return names, labels, False


def _truth_values(table: LabelTable, name: str) -> list[bool]:
    words = table.column(name)
    for row, word in enumerate(words):
        if word.lower() not in TRUTH_VALUES:
            raise table.error(
                row,
                f"{name} is {printable(word)!r}; an attribute is 0 or 1, -1 or 1, false or true",
            )
    return [TRUTH_VALUES[word.lower()] for word in words]


def splits_of(table: LabelTable) -> tuple[Rows, Rows]:
    """Rows of the training and the test split."""
    if SPLIT not in table.header:
        return split_rows(len(table.rows))
    words = [word.lower() for word in table.column(SPLIT)]
    for row, word in enumerate(words):
        if word not in SPLITS:
            raise table.error(row, f"split is {printable(word)!r}, not {', '.join(SPLITS)}")
    train, test = (np.flatnonzero(np.array(words) == name) for name in ("train", "test"))
    if not len(train) or not len(test):
        raise ImageDataError(
            f"{table.path} has {len(train)} images to train on and {len(test)} to test with; "
            f"both are needed, or no column {SPLIT!r}"
        )
    return train, test
