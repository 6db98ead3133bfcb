"""What an unfinished extraction has got so far: a file for each task, whole or absent.

Each holds four Arrow streams in a row: the task's files, the keys of their windows, the sequences
that their tunes are known by, and the windows themselves, which are read last of all. A checksum
ends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from melodyconstraints.datasets.extraction import PLACE, FileLimits, FileMelodies, extract_task
from melodyconstraints.datasets.files import Folder
from melodyconstraints.datasets.hashing import KEYS, Hashes
from melodyconstraints.datasets.windows import DROPS, Ints, WindowSettings
from melodyconstraints.datasets.workers import Fault
from melodyconstraints.disk import unicode_name, write_atomically

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
        *[(str(drop), pa.int32()) for drop in DROPS],
    ]
)
_CHECKSUM_BYTES = 16
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


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
    """Do a task; a :data:`~melodyconstraints.datasets.workers.Handle`."""
    found = extract_task(names, faults, begin, folder=folder, settings=settings, limits=limits)
    return to_bytes(found, unique)


def to_bytes(found: Sequence[FileMelodies], unique: str) -> bytes:
    """The results of a task.

    Args:
        unique: of :data:`~melodyconstraints.datasets.hashing.KEYS`.
    """
    events = np.concatenate([file.events for file in found])
    places = np.concatenate([file.places for file in found])
    sink = pa.BufferOutputStream()
    for batch in (
        _files(found),
        _columns(KEYS[unique](events)),
        _columns(np.concatenate([file.sequences for file in found])[:, None]),
        pa.record_batch(
            [binary_column(events), *map(_column, places.T)], names=["events", *PLACE]
        ),
    ):
        with pa.ipc.new_stream(sink, batch.schema, options=_OPTIONS) as stream:
            stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


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
        return np.column_stack([self.column(drop) for drop in DROPS])

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
        write_atomically(self._path(number), results + _checksum(results), durable=False)

    def read(self, number: int) -> Chunk:
        """The results of a task, all but the windows."""
        if self._last is None or self._last[0] != number:
            self._last = number, self._read(number)
        return self._last[1]

    def read_windows(self, number: int) -> tuple[pa.Table, pa.Table]:
        """A task's files and windows; a window's columns are ``events`` and those of PLACE."""
        files, _, _, windows = _tables(self._path(number), 4)
        return files, windows

    def _path(self, number: int) -> Path:
        return self.folder / f"task-{number:07d}.arrows"

    def _is_whole(self, number: int) -> bool:
        try:
            data = self._path(number).read_bytes()
        except OSError:
            return False
        return data[-_CHECKSUM_BYTES:] == _checksum(data[:-_CHECKSUM_BYTES])

    def _read(self, number: int) -> Chunk:
        files, keys, sequences = _tables(self._path(number), 3)
        halves = [column.to_numpy() for column in keys.columns]
        windows = int(files["windows"].to_numpy().sum())
        return Chunk(
            files,
            np.column_stack(halves) if halves else np.zeros((windows, 0), np.uint64),
            sequences["0"].to_numpy(),
        )


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM_BYTES).digest()


def _tables(path: Path, count: int) -> list[pa.Table]:
    with pa.OSFile(str(path)) as file:
        return [pa.ipc.open_stream(file).read_all() for _ in range(count)]


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
        *map(_column, np.stack([file.dropped for file in found]).T.astype(np.int32)),
    ]
    return pa.record_batch(columns, schema=FILES)


def _columns(table: NDArray[Any]) -> pa.RecordBatch:
    names = [str(number) for number in range(table.shape[1])]
    return pa.record_batch([_column(column) for column in table.T], names=names)


def _column(values: NDArray[Any]) -> pa.Array:
    return pa.array(np.ascontiguousarray(values))


def binary_column(values: NDArray[np.uint8]) -> pa.Array:
    """``(B, N)`` bytes as a column of binary of fixed size."""
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.binary(values.shape[1]), len(values), [None, buffer])
