"""The results of an unfinished extraction: a file for each task, complete or absent.

========= =====================================================================================
sizes     four 64-bit words: the bytes of files, keys and sequences, and the words of a key
files     an Arrow stream, one row for each file of the task
keys      64-bit words, hashes of the windows; equal melodies have equal keys
sequences 64-bit words, hashes of sequences of intervals; files that share one are one tune
windows   an Arrow stream, one row for each window; only read when the store is written
checksum  16 bytes of BLAKE2b of all of the above
========= =====================================================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.extraction import (
    PLACE,
    FileLimits,
    FileMelodies,
    extract_task,
)
from melodyconstraints.datasets.melodies.files import Folder
from melodyconstraints.datasets.melodies.hashing import KEYS, Hashes
from melodyconstraints.datasets.melodies.workers import Fault
from melodyconstraints.melody.midi.windows import DROPS, Ints, WindowSettings
from melodyconstraints.storage.files import write_atomically
from melodyconstraints.storage.text import unicode_name

LAYOUT = 2
"""Number of this layout: an extraction that was begun with another is not resumed."""
FILES = pa.schema(
    [
        ("file", pa.string()),
        ("digest", pa.uint64()),
        ("onsets", pa.int64()),
        ("off_grid", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("recovered", pa.string()),
        ("windows", pa.int32()),
        ("sequences", pa.int32()),
        ("dropped", pa.list_(pa.int32(), len(DROPS))),
    ]
)
"""Columns that describe a task's files."""
_SIZES = np.dtype("<u8")
_SIZES_BYTES = 4 * _SIZES.itemsize
_CHECKSUM_BYTES = 16
"""Bytes of the checksum: 128 bits, so that a file cut anywhere never passes for a whole one."""


def extract_to_bytes(
    names: Sequence[str],
    faults: Mapping[int, Fault],
    begin: Callable[[int | None], None],
    *,
    folder: Folder,
    settings: WindowSettings,
    limits: FileLimits,
    unique: str,
) -> bytes:
    """Extract a task's files; a :data:`~melodyconstraints.datasets.melodies.workers.Handle`."""
    files = extract_task(names, faults, begin, folder=folder, settings=settings, limits=limits)
    return to_bytes(files, unique)


def to_bytes(files: Sequence[FileMelodies], unique: str) -> bytes:
    """Serialise the results of a task, in the layout of this module's table.

    Args:
        files: results of the task's files, in order.
        unique: name of the keys, in :data:`~melodyconstraints.datasets.melodies.hashing.KEYS`.
    """
    events = np.concatenate([file.events for file in files])
    places = np.concatenate([file.places for file in files])
    tempos = np.concatenate([file.tempos for file in files])
    windows = [binary_column(events), *(column(values) for values in (*places.T, tempos))]
    keys = KEYS[unique](events)
    head = (
        _stream(_file_rows(files)),
        keys.tobytes(),
        np.concatenate([file.sequences for file in files]).tobytes(),
    )
    sizes = np.array([*map(len, head), keys.shape[1]], _SIZES).tobytes()
    tail = _stream(pa.record_batch(windows, names=["events", *PLACE, "tempo"]), compression="lz4")
    data = b"".join((sizes, *head, tail))
    return data + _checksum(data)


@dataclass(frozen=True)
class TaskResults:
    """The results of a task without its windows.

    Attributes:
        files: table of one row for each of ``F`` files, with the columns of :data:`FILES`.
        keys: ``(W, 2)`` hashes of the windows of all files, in order; ``(W, 0)`` if every window
            counts as a melody of its own.
        sequences: ``(S,)`` hashes of the sequences of all files, in order.
    """

    files: pa.Table
    keys: Hashes
    sequences: NDArray[np.uint64]

    def column(self, name: str) -> NDArray[Any]:
        """``(F,)`` numbers of one of the files' columns."""
        return numbers(self.files[name].combine_chunks())

    @property
    def dropped(self) -> Ints:
        """``(F, len(DROPS))`` number of dropped windows by file and cause."""
        lists = self.files["dropped"].combine_chunks()
        return numbers(lists.flatten()).reshape(-1, len(DROPS))

    def file_numbers(self, rows: str) -> Ints:
        """Number within the task of the file that each row of ``rows`` belongs to.

        Args:
            rows: ``windows`` or ``sequences``.
        """
        return np.repeat(np.arange(len(self.files)), self.column(rows))


class Spool:
    """The results of the tasks on disk, each in a file of its own.

    Args:
        folder: existing folder of these files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._last: tuple[int, TaskResults] | None = None  # the newest, read again at once

    def missing(self, tasks: int) -> list[int]:
        """Numbers of the tasks whose results are absent or incomplete.

        Args:
            tasks: number of tasks in all.
        """
        return [number for number in range(tasks) if not self._is_whole(number)]

    def write(self, number: int, results: bytes) -> None:
        """Write the results of a task, as serialised by :func:`to_bytes`."""
        write_atomically(self._path(number), results, durable=False)
        self._last = number, _task_results(results)

    def read(self, number: int) -> TaskResults:
        """Read the results of a task without its windows; the last task's are cached."""
        if self._last is None or self._last[0] != number:
            self._last = number, _task_results(self._path(number).read_bytes())
        return self._last[1]

    def read_windows(self, number: int) -> tuple[pa.Table, pa.Table]:
        """Read a task's files and windows: ``events``, the columns of ``PLACE``, ``tempo``."""
        files, _, _, windows = _split(self._path(number).read_bytes())
        return _table(files), _table(windows)

    def _path(self, number: int) -> Path:
        return self.folder / f"task-{number:07d}"

    def _is_whole(self, number: int) -> bool:
        try:
            data = self._path(number).read_bytes()
        except OSError:
            return False
        return data[-_CHECKSUM_BYTES:] == _checksum(data[:-_CHECKSUM_BYTES])


def _split(data: bytes) -> list[memoryview]:
    """The sections files, keys, sequences and windows of a task's file."""
    sizes = np.frombuffer(data, _SIZES, 3).tolist()
    ends = np.cumsum([_SIZES_BYTES, *sizes]).tolist()
    view = memoryview(data)
    return [view[first:end] for first, end in pairwise([*ends, len(data) - _CHECKSUM_BYTES])]


def _task_results(data: bytes) -> TaskResults:
    files, keys, sequences, _ = _split(data)
    table = _table(files)
    windows = int(numbers(table["windows"].combine_chunks()).sum())
    words = int(np.frombuffer(data, _SIZES, 4)[3])
    return TaskResults(
        table,
        np.frombuffer(keys, np.uint64).reshape(windows, words),
        np.frombuffer(sequences, np.uint64),
    )


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM_BYTES).digest()


def _stream(batch: pa.RecordBatch, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, batch.schema, options=options) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def _table(stream: memoryview) -> pa.Table:
    return pa.ipc.open_stream(stream).read_all()


def _file_rows(files: Sequence[FileMelodies]) -> pa.RecordBatch:
    dropped = column(np.concatenate([file.dropped for file in files]).astype(np.int32))
    columns = [
        text_column([unicode_name(file.file) for file in files]),
        *(
            column(np.array([getattr(file, name) for file in files], dtype))
            for name, dtype in (("digest", "u8"), ("onsets", "i8"), ("off_grid", "i8"))
        ),
        text_column([file.reason for file in files]),
        text_column([file.detail for file in files]),
        text_column([file.recovered for file in files]),
        column(np.array([len(file.events) for file in files], np.int32)),
        column(np.array([len(file.sequences) for file in files], np.int32)),
        pa.FixedSizeListArray.from_arrays(dropped, len(DROPS)),
    ]
    return pa.record_batch(columns, schema=FILES)


def numbers(values: pa.Array) -> NDArray[Any]:
    """``(B,)`` numbers of an Arrow column; its own ``to_numpy`` would import pandas."""
    return np.from_dlpack(values)


def text_column(values: Sequence[str | None]) -> pa.Array:
    """An Arrow column of texts; see :func:`column`."""
    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


def column(values: NDArray[Any]) -> pa.Array:
    """An Arrow column of ``(B,)`` numbers; ``pa.array`` would import pandas, half a second."""
    return _from_buffer(pa.from_numpy_dtype(values.dtype), values)


def binary_column(values: NDArray[np.uint8]) -> pa.Array:
    """An Arrow column of fixed-size binary from ``(B, N)`` bytes."""
    return _from_buffer(pa.binary(values.shape[1]), values)


def _from_buffer(kind: pa.DataType, values: NDArray[Any]) -> pa.Array:
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [None, buffer])
