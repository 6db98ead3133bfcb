"""The melody store: a folder of Parquet parts with one row for each unique melody.

========================= =====================================================================
``part-00000.parquet`` …  the columns of :data:`SCHEMA`, zstd; any Arrow tool reads them
``extraction.json``       settings, versions and counters; written last, marks a complete store
``rejected.jsonl``        one line for each file without melodies: ``{"file", "reason"}``
``recovered.jsonl``       one line for each file that only the fallback reader could read
``folders.jsonl``         one line for each folder that could not be listed, or is a link
========================= =====================================================================
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.splits import SPLITS
from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.melody.events import VOCABULARY, Melodies
from melodyconstraints.melody.units import STEPS
from melodyconstraints.storage.arguments import check_choice, checked
from melodyconstraints.storage.files import write_atomically
from melodyconstraints.storage.text import unicode_name

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

FORMAT = "melodyconstraints-melodies-1"
ROWS_PER_PART = 65_536
"""Rows of every Parquet part but the last: about 2 MB on disk and 20 MB in memory."""
REJECTED = "rejected.jsonl"
RECOVERED = "recovered.jsonl"
FOLDERS = "folders.jsonl"
SUMMARY = "extraction.json"

SCHEMA = pa.schema(
    [
        ("events", pa.binary(STEPS)),
        ("split", pa.dictionary(pa.int8(), pa.string())),
        ("file", pa.string()),
        ("tune", pa.int32()),
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
"""Columns of a store. ``tune`` is the number of the first file that shares music with the row's
file, see :mod:`melodyconstraints.datasets.melodies.splits`; ``tempo`` is in quarters a minute;
``hash`` is that of :mod:`melodyconstraints.datasets.melodies.hashing`."""


def write_part(folder: Path, number: int, table: pa.Table) -> None:
    """Write one Parquet part of a store.

    Args:
        number: index of the part, from 0.
        table: rows with the columns of :data:`SCHEMA`.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=["split", "file"],
        write_statistics=["split", "file", "tune", "notes"],
        write_page_checksum=True,
    )
    write_atomically(folder / f"part-{number:05d}.parquet", memoryview(sink.getvalue()))


def write_summary(folder: Path, parts: int, summary: dict[str, Any]) -> None:
    """Mark a store as complete.

    Args:
        parts: number of parts written.
        summary: further JSON values to write: settings, versions, counters.
    """
    text = json.dumps({"format": FORMAT, "parts": parts, **summary}, indent=2) + "\n"
    write_atomically(folder / SUMMARY, text.encode())


@dataclass(frozen=True)
class StoredMelodies:
    """Melodies of a store and the files they come from.

    Args:
        events: ``(B, 256)`` uint8, see :mod:`melodyconstraints.melody.events`.
        files: ``(B,)`` path of each melody's file, relative to the extracted folder.
        tunes: ``(B,)`` number of each melody's tune.
    """

    events: NDArray[np.uint8]
    files: NDArray[np.object_]
    tunes: NDArray[np.int32]

    @property
    def sources(self) -> NDArray[np.object_]:
        """``(B,)`` first folder of each melody's path, its collection; "" for a flat folder's."""
        first = (str(file).partition("/") for file in self.files)
        return np.array([folder if slash else "" for folder, slash, _ in first], dtype=object)

    @property
    def melodies(self) -> Melodies:
        """The melodies as a batch with views."""
        return Melodies(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, rows: NDArray[np.intp]) -> StoredMelodies:
        return StoredMelodies(self.events[rows], self.files[rows], self.tunes[rows])


@checked
def read_store(folder: Path | str, split: str | None = None) -> StoredMelodies:
    """Read a store into memory.

    Args:
        split: ``train``, ``validation``, ``test``, or None for all melodies.

    Raises:
        StoreError: the folder is missing, unfinished, damaged or not a melody store.
        UsageError: ``split`` is unknown.
    """
    table = read_table(folder, split, columns=["events", "file", "tune"])
    if table["file"].null_count or table["tune"].null_count:
        raise StoreError(f"{folder} is damaged, extract it again: melodies without a file's name")
    events = events_of(table["events"].combine_chunks())
    return StoredMelodies(events, table["file"].to_numpy(), table["tune"].to_numpy())


@checked
def read_table(
    folder: Path | str, split: str | None = None, *, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read a store as an Arrow table, in the order of its files.

    Arguments and errors as for :func:`read_store`.

    Args:
        columns: names of columns of :data:`SCHEMA`; None for all.
    """
    if split is not None:
        check_choice("split", split, SPLITS)
    unknown = [name for name in columns or () if name not in SCHEMA.names]
    if unknown:
        raise UsageError(f"columns must be among {', '.join(SCHEMA.names)}, got {unknown[0]!r}")
    from pyarrow.compute import field  # makes hundreds of functions

    condition = None if split is None else field("split") == split
    dataset = arrow_dataset(folder)
    try:
        return dataset.to_table(columns=list(columns or SCHEMA.names), filter=condition)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{folder} is damaged, extract it again: {error}") from error


def check_name(folder: Path | str) -> None:
    """Refuse a store that Arrow, which opens no path but of UTF-8, could not read.

    Raises:
        StoreError: the name is of other bytes.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise StoreError(
            f"a store's path is of UTF-8, got {unicode_name(str(folder))}; choose another name"
        ) from error


def arrow_dataset(folder: Path | str) -> Dataset:
    """Open a store as an Arrow dataset, which is read as it is scanned: filters, batches, columns.

    Raises:
        StoreError: as for :func:`read_store`.
    """
    check_name(folder)
    from pyarrow.dataset import ParquetFileFormat, dataset  # imports pandas, half a second

    summary = read_summary(folder)
    paths = sorted(str(path) for path in Path(folder).glob("part-*.parquet"))
    if not paths or len(paths) != summary.get("parts", len(paths)):
        wanted = summary.get("parts", "some")
        raise StoreError(
            f"{folder} holds {len(paths)} part-*.parquet, {wanted} were written; extract it again"
        )
    checked = ParquetFileFormat(page_checksum_verification=True)
    store = dataset(paths, schema=SCHEMA, format=checked)
    try:
        foreign = [part.path for part in store.get_fragments() if part.physical_schema != SCHEMA]
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{folder} is damaged, extract it again: {error}") from error
    if foreign:
        raise StoreError(f"{folder} is damaged, extract it again: {foreign[0]} has other columns")
    return store


def events_of(column: pa.FixedSizeBinaryArray) -> NDArray[np.uint8]:
    """View a column of events as ``(B, 256)``, without a copy.

    Raises:
        StoreError: a row without events, or what is no event.
    """
    if not len(column):
        return np.zeros((0, STEPS), np.uint8)
    data = np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, STEPS)
    events = data[column.offset : column.offset + len(column)]
    if column.null_count or events.max() >= VOCABULARY:
        raise StoreError(
            f"a melody store is damaged, extract it again: {column.null_count} melodies are "
            f"missing, the largest event is {events.max()} of {VOCABULARY - 1}"
        )
    return events


def read_summary(folder: Path | str) -> dict[str, Any]:
    """Read the settings and counters of a finished store.

    Raises:
        StoreError: as for :func:`read_store`.
    """
    try:
        summary = json.loads((Path(folder) / SUMMARY).read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(
            f"{folder} is not a finished melody store ({SUMMARY} cannot be read); "
            "make one with: mc extract-melodies MIDI_DIR -o " + str(folder)
        ) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{Path(folder) / SUMMARY} is damaged: {error}") from error
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        raise StoreError(f"{folder} is not a melody store of format {FORMAT}")
    return summary
