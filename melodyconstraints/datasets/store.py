"""The melody store: a folder of Parquet parts, one row a unique melody.

========================= =====================================================================
``part-00000.parquet`` …  the columns of :data:`SCHEMA`, zstd; any Arrow tool reads them
``extraction.json``       settings, versions and counters; written last: with it, it is complete
``rejected.jsonl``        one line for each file that gave nothing: ``{"file", "reason"}``
========================= =====================================================================

The folder is built beside its place and moved there whole, so a store is complete or absent.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.units import STEPS

FORMAT = "melodyconstraints-melodies-1"
SPLITS = ("train", "validation", "test")
ROWS_PER_PART = 65_536
LEDGER = "rejected.jsonl"
SUMMARY = "extraction.json"

SCHEMA = pa.schema(
    [
        ("events", pa.binary(STEPS)),
        ("split", pa.dictionary(pa.int8(), pa.string())),
        ("file", pa.string()),
        ("track", pa.int32()),
        ("segment", pa.int32()),
        ("start_bar", pa.int32()),
        ("program", pa.int16()),
        ("tempo", pa.float32()),
        ("notes", pa.int16()),
        ("hash", pa.binary(16)),
    ],
    metadata={"format": FORMAT},
)

Row = dict[str, Any]


class StoreWriter:
    """Collects rows and rejections into an unfinished store; see :func:`new_store`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[Row] = []
        self._parts = 0
        self._ledger = (folder / LEDGER).open("w", encoding="utf-8")

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows; full parts go to disk."""
        self._rows.extend(rows)
        while len(self._rows) >= ROWS_PER_PART:
            self._write_part(self._rows[:ROWS_PER_PART])
            self._rows = self._rows[ROWS_PER_PART:]

    def reject(self, file: str, reason: str, detail: str = "") -> None:
        """Note a file that gave no melody."""
        entry = {"file": file, "reason": reason} | ({"detail": detail} if detail else {})
        self._ledger.write(json.dumps(entry) + "\n")

    def finish(self, summary: dict[str, Any]) -> None:
        """Write what is left and the summary that marks the store as complete."""
        if self._rows or not self._parts:
            self._write_part(self._rows)
        self.close()
        text = json.dumps({"format": FORMAT, "parts": self._parts, **summary}, indent=2) + "\n"
        (self._folder / SUMMARY).write_text(text, encoding="utf-8")

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def _write_part(self, rows: Sequence[Row]) -> None:
        table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
        path = self._folder / f"part-{self._parts:05d}.parquet"
        pq.write_table(table, path, compression="zstd")
        self._parts += 1


@contextmanager
def new_store(folder: Path, *, overwrite: bool = False) -> Iterator[StoreWriter]:
    """Build a store that appears at ``folder`` whole when the block ends, or not at all.

    Raises:
        StoreError: the block ended without :meth:`StoreWriter.finish`.
        UsageError: ``folder`` exists and ``overwrite`` is false, or is not a melody store.
    """
    _check_target(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    writer = StoreWriter(workshop)
    try:
        yield writer
        read_summary(workshop)
        if folder.exists():
            shutil.rmtree(folder)
        workshop.chmod(0o755)
        workshop.rename(folder)
    except BaseException:
        shutil.rmtree(workshop, ignore_errors=True)
        raise
    finally:
        writer.close()


def _check_target(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        read_summary(folder)
    except StoreError as error:
        message = f"{folder} exists and is not a melody store; choose another folder"
        raise UsageError(message) from error
    if not overwrite:
        raise UsageError(f"{folder} already holds a melody store; pass --overwrite to replace it")


@dataclass(frozen=True)
class StoredMelodies:
    """What a training needs of a store: the melodies of one split and where they come from.

    Args:
        events: ``(B, 256)`` uint8.
        files: ``(B,)`` path of each melody's file, relative to the extracted folder.
    """

    events: NDArray[np.uint8]
    files: NDArray[np.object_]

    @property
    def sources(self) -> NDArray[np.object_]:
        """``(B,)`` first folder of each melody's path: the collection it belongs to."""
        return np.array([str(file).split("/")[0] for file in self.files], dtype=object)

    @property
    def melodies(self) -> Melodies:
        """The same as a batch with views."""
        return Melodies(self.events)

    def __len__(self) -> int:
        return len(self.events)


def read_store(folder: Path, split: str | None = None) -> StoredMelodies:
    """Read a store into memory.

    Args:
        split: ``train``, ``validation``, ``test``, or None for all of it.

    Raises:
        StoreError: the folder is missing, unfinished, damaged or not a melody store.
        UsageError: an unknown split.
    """
    if split is not None and split not in SPLITS:
        raise UsageError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    summary = read_summary(folder)
    filters = None if split is None else [("split", "==", split)]
    paths = sorted(folder.glob("part-*.parquet"))
    if not paths or len(paths) != summary.get("parts", len(paths)):
        wanted = summary.get("parts", "some")
        raise StoreError(
            f"{folder} holds {len(paths)} part-*.parquet, {wanted} were written; extract it again"
        )
    parts = [_read_part(path, filters) for path in paths]
    table = pa.concat_tables(parts)
    raw = b"".join(table["events"].to_pylist())
    events = np.frombuffer(raw, np.uint8).reshape(-1, STEPS)
    return StoredMelodies(events, table["file"].to_numpy(zero_copy_only=False))


def _read_part(path: Path, filters: list[tuple[str, str, str]] | None) -> pa.Table:
    try:
        return pq.read_table(path, columns=["events", "file"], filters=filters)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} is damaged, extract it again: {error}") from error


def read_summary(folder: Path) -> dict[str, Any]:
    """The settings and counters of a finished store.

    Raises:
        StoreError: as for :func:`read_store`.
    """
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(
            f"{folder} is not a finished melody store ({SUMMARY} cannot be read); "
            "make one with: mc extract-melodies MIDI_DIR -o " + str(folder)
        ) from error
    except ValueError as error:
        raise StoreError(f"{folder / SUMMARY} is damaged: {error}") from error
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        raise StoreError(f"{folder} is not a melody store of format {FORMAT}")
    return summary
