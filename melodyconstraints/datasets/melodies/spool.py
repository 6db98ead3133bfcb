"""What an unfinished extraction has got so far: a file for each task, whole or absent.

========= =====================================================================================
sizes     four 64-bit words: the bytes of files, keys and sequences, and the words of a key
files     an Arrow stream, one row a file of the task
keys      64-bit words, by which windows are told from those that were seen before
sequences 64-bit words, by which files are known as a tune
windows   an Arrow stream, one row a window; only read again when the store is written
checksum  16 bytes of BLAKE2b of all this
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

FILES = pa.schema(
    [
        ("file", pa.string()),
        ("digest", pa.uint64()),
        ("tempo", pa.float32()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("recovered", pa.string()),
        ("windows", pa.int32()),
        ("sequences", pa.int32()),
        ("dropped", pa.list_(pa.int32(), len(DROPS))),
    ]
)
_SIZES = np.dtype("<u8")
_SIZES_BYTES = 4 * _SIZES.itemsize
_CHECKSUM_BYTES = 16


def extract_to_bytes(
    names: Sequence[str],
    faults: Mapping[int, Fault],
    begin: Callable[[int], None],
    *,
    folder: Folder,
    settings: WindowSettings,
    limits: FileLimits,
    unique: str,
) -> bytes:
    """Do a task; a :data:`~melodyconstraints.datasets.melodies.workers.Handle`."""
    found = extract_task(names, faults, begin, folder=folder, settings=settings, limits=limits)
    return to_bytes(found, unique)


def to_bytes(found: Sequence[FileMelodies], unique: str) -> bytes:
    """The results of a task.

    Args:
        unique: of :data:`~melodyconstraints.datasets.melodies.hashing.KEYS`.
    """
    events = np.concatenate([file.events for file in found])
    places = np.concatenate([file.places for file in found])
    windows = [binary_column(events), *(_column(column) for column in places.T)]
    keys = KEYS[unique](events)
    head = (
        _stream(_files(found)),
        keys.tobytes(),
        np.concatenate([file.sequences for file in found]).tobytes(),
    )
    sizes = np.array([*map(len, head), keys.shape[1]], _SIZES).tobytes()
    tail = _stream(pa.record_batch(windows, names=["events", *PLACE]), compression="lz4")
    data = b"".join((sizes, *head, tail))
    return data + _checksum(data)


@dataclass(frozen=True)
class Chunk:
    """The results of a task, all but the windows.

    Attributes:
        files: one row a file, see :data:`FILES`.
        keys: ``(W, 2)`` of the windows of all files, one after the other; ``(W, 0)`` if unneeded.
        sequences: ``(S,)`` of all files, one after the other.
    """

    files: pa.Table
    keys: Hashes
    sequences: NDArray[np.uint64]

    def column(self, name: str) -> NDArray[Any]:
        """``(F,)`` a column of numbers."""
        return self.files.column(name).to_numpy()

    @property
    def dropped(self) -> Ints:
        """``(F, len(DROPS))``."""
        lists = self.files["dropped"].combine_chunks()
        return lists.flatten().to_numpy().reshape(-1, len(DROPS))

    def file_of(self, rows: str) -> Ints:
        """The file's number, in this task, of each of its ``windows`` or ``sequences``."""
        return np.repeat(np.arange(len(self.files)), self.column(rows))


class Spool:
    """The results of the tasks, each in a file of its own.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._last: tuple[int, Chunk] | None = None

    def missing(self, tasks: int) -> list[int]:
        """The tasks whose results are not there, or not whole."""
        return [number for number in range(tasks) if not self._is_whole(number)]

    def write(self, number: int, results: bytes) -> None:
        """Keep the results of a task, as :func:`to_bytes` has them."""
        write_atomically(self._path(number), results, durable=False)
        self._last = number, _chunk(results)

    def read(self, number: int) -> Chunk:
        """The results of a task, all but the windows; those of the last one are at hand."""
        if self._last is None or self._last[0] != number:
            self._last = number, _chunk(self._path(number).read_bytes())
        return self._last[1]

    def read_windows(self, number: int) -> tuple[pa.Table, pa.Table]:
        """A task's files and windows; a window's columns are ``events`` and those of PLACE."""
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
    """Files, keys, sequences and windows."""
    sizes = np.frombuffer(data, _SIZES, 3).tolist()
    ends = np.cumsum([_SIZES_BYTES, *sizes]).tolist()
    view = memoryview(data)
    return [view[first:end] for first, end in pairwise([*ends, len(data) - _CHECKSUM_BYTES])]


def _chunk(data: bytes) -> Chunk:
    files, keys, sequences, _ = _split(data)
    table = _table(files)
    windows = int(table["windows"].to_numpy().sum())
    words = int(np.frombuffer(data, _SIZES, 4)[3])
    return Chunk(
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


def _files(found: Sequence[FileMelodies]) -> pa.RecordBatch:
    columns = [
        pa.array([unicode_name(file.file) for file in found]),
        pa.array([file.digest for file in found], pa.uint64()),
        pa.array([file.tempo for file in found], pa.float32()),
        pa.array([file.reason for file in found], pa.string()),
        pa.array([file.detail for file in found]),
        pa.array([file.recovered for file in found]),
        pa.array([len(file.events) for file in found], pa.int32()),
        pa.array([len(file.sequences) for file in found], pa.int32()),
        pa.FixedSizeListArray.from_arrays(
            np.concatenate([file.dropped for file in found]).astype(np.int32), len(DROPS)
        ),
    ]
    return pa.record_batch(columns, schema=FILES)


def _column(values: NDArray[Any]) -> pa.Array:
    return pa.array(np.ascontiguousarray(values))


def binary_column(values: NDArray[np.uint8]) -> pa.Array:
    """``(B, N)`` bytes as a column of binary of fixed size."""
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.binary(values.shape[1]), len(values), [None, buffer])
