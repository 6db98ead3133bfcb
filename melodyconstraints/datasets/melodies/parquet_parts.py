"""From the spool to the parts of a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.extraction import FILES_PER_TASK
from melodyconstraints.datasets.melodies.hashing import exact_hashes
from melodyconstraints.datasets.melodies.ledger import Sides
from melodyconstraints.datasets.melodies.splits import SPLITS
from melodyconstraints.datasets.melodies.spool import Spool, binary_column
from melodyconstraints.datasets.melodies.store import ROWS_PER_PART, SCHEMA, events_of, write_part


@dataclass(frozen=True)
class Rows:
    """Some of the windows of a task, on their way into a part.

    Attributes:
        chunk: the task's number.
        kept: its windows that are melodies, as packed bits.
        first, end: which of those.
        sides: the tune and the split of its files.
    """

    chunk: int
    kept: bytes
    first: int
    end: int
    sides: Sides


@dataclass(frozen=True)
class Part:
    """What goes into one part."""

    number: int
    rows: Sequence[Rows]


def plan_parts(kept: Sequence[NDArray[np.uint8]], sides: Sides) -> Iterator[Part]:
    """Share out the melodies, in order, to parts of equal size; at least one part.

    Args:
        kept: for each task its windows that are melodies, as packed bits.
    """
    part, rows, room = 0, [], ROWS_PER_PART
    for chunk, bits in enumerate(kept):
        files = slice(chunk * FILES_PER_TASK, (chunk + 1) * FILES_PER_TASK)
        of_files = Sides(sides.tunes[files], sides.splits[files])
        first, count = 0, int(np.bitwise_count(bits).sum())
        while first < count:
            end = min(count, first + room)
            rows.append(Rows(chunk, bits.tobytes(), first, end, of_files))
            room -= end - first
            first = end
            if not room:
                yield Part(part, rows)
                part, rows, room = part + 1, [], ROWS_PER_PART
    if rows or not part:
        yield Part(part, rows)


def make_part(part: Part, spool: Spool, store: Path) -> None:
    """Write one part."""
    tables = [_table(rows, spool) for rows in part.rows]
    write_part(store, part.number, pa.concat_tables(tables) if tables else SCHEMA.empty_table())


def _table(rows: Rows, spool: Spool) -> pa.Table:
    files, windows = spool.read_windows(rows.chunk)
    kept = np.unpackbits(np.frombuffer(rows.kept, np.uint8), count=len(windows))
    chosen = np.flatnonzero(kept)[rows.first : rows.end]
    of_file = np.repeat(np.arange(len(files)), files["windows"].to_numpy())[chosen]
    events = events_of(windows["events"].combine_chunks())[chosen]
    places = windows.drop_columns("events").take(chosen)
    return pa.table(
        schema=SCHEMA,
        data={
            "events": binary_column(events),
            "split": pa.DictionaryArray.from_arrays(rows.sides.splits[of_file], list(SPLITS)),
            "file": files["file"].take(of_file),
            "tune": rows.sides.tunes[of_file].astype(np.int32),
            "tempo": files["tempo"].take(of_file),
            "hash": binary_column(exact_hashes(events).view(np.uint8)),
            **{name: places[name] for name in places.column_names},
        },
    )
