"""Write the Parquet parts of a store from the spool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.extraction import FILES_PER_TASK
from melodyconstraints.datasets.melodies.hashing import exact_hashes
from melodyconstraints.datasets.melodies.ledger import FileSplits
from melodyconstraints.datasets.melodies.splits import SPLITS
from melodyconstraints.datasets.melodies.spool import (
    Spool,
    binary_column,
    column,
    numbers,
    text_column,
)
from melodyconstraints.datasets.melodies.store import ROWS_PER_PART, SCHEMA, events_of, write_part


@dataclass(frozen=True)
class TaskSlice:
    """Consecutive melodies of one task that go into the same Parquet part.

    Attributes:
        task: the task's number.
        is_melody: packed bits, one for each window of the task.
        first, end: range of these melodies among the task's melodies.
        file_splits: tunes and splits of the task's files.
    """

    task: int
    is_melody: bytes
    first: int
    end: int
    file_splits: FileSplits


@dataclass(frozen=True)
class ParquetPart:
    """The content of one Parquet part: its number in the store, and its rows in order."""

    number: int
    slices: Sequence[TaskSlice]


def plan_parquet_parts(
    is_melody: Sequence[NDArray[np.uint8]], file_splits: FileSplits
) -> Iterator[ParquetPart]:
    """Divide the melodies, in order, into parts of ``ROWS_PER_PART`` rows; at least one part.

    Args:
        is_melody: packed bits of each task, one for each of its windows.
        file_splits: tunes and splits of the files of all tasks.
    """
    part, slices, free_rows = 0, [], ROWS_PER_PART
    for task, bits in enumerate(is_melody):
        files = slice(task * FILES_PER_TASK, (task + 1) * FILES_PER_TASK)
        task_splits = FileSplits(file_splits.tunes[files], file_splits.splits[files])
        first, count = 0, int(np.bitwise_count(bits).sum())
        while first < count:
            # As many of the task's remaining melodies as the part has room for.
            end = min(count, first + free_rows)
            slices.append(TaskSlice(task, bits.tobytes(), first, end, task_splits))
            free_rows -= end - first
            first = end
            if not free_rows:  # the part is full: begin the next one
                yield ParquetPart(part, slices)
                part, slices, free_rows = part + 1, [], ROWS_PER_PART
    # The last part is shorter; a store without melodies has one empty part.
    if slices or not part:
        yield ParquetPart(part, slices)


def write_parquet_part(part: ParquetPart, spool: Spool, store: Path) -> None:
    """Write one planned part into a store's folder."""
    tables = [_rows(task_slice, spool) for task_slice in part.slices]
    write_part(store, part.number, pa.concat_tables(tables) if tables else SCHEMA.empty_table())


def _rows(task_slice: TaskSlice, spool: Spool) -> pa.Table:
    """Rows of the store, in the columns of :data:`.store.SCHEMA`."""
    files, windows = spool.read_windows(task_slice.task)
    is_melody = np.unpackbits(np.frombuffer(task_slice.is_melody, np.uint8), count=len(windows))
    chosen = np.flatnonzero(is_melody)[task_slice.first : task_slice.end]
    counts = numbers(files["windows"].combine_chunks())
    file_numbers = np.repeat(np.arange(len(files)), counts)[chosen]
    events = events_of(windows["events"].combine_chunks())[chosen]
    splits = task_slice.file_splits.splits[file_numbers]
    places = windows.drop_columns("events").take(column(chosen))
    return pa.table(
        schema=SCHEMA,
        data={
            "events": binary_column(events),
            "split": pa.DictionaryArray.from_arrays(column(splits), text_column(SPLITS)),
            "file": files["file"].take(column(file_numbers)),
            "tune": column(task_slice.file_splits.tunes[file_numbers].astype(np.int32)),
            "hash": binary_column(exact_hashes(events).view(np.uint8)),
            **{name: places[name] for name in places.column_names},
        },
    )
