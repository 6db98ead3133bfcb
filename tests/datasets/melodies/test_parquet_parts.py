"""From the spool to the parts of a store: every kept melody once, in order, with its origin."""

import mmh3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melodyconstraints.datasets.melodies import parquet_parts
from melodyconstraints.datasets.melodies.extraction import FileMelodies
from melodyconstraints.datasets.melodies.ledger import FileSplits
from melodyconstraints.datasets.melodies.parquet_parts import (
    plan_parquet_parts,
    write_parquet_part,
)
from melodyconstraints.datasets.melodies.spool import Spool, to_bytes
from melodyconstraints.datasets.melodies.store import SCHEMA, write_summary

FILES_A_TASK = 2


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(parquet_parts, "FILES_PER_TASK", FILES_A_TASK)
    monkeypatch.setattr(parquet_parts, "ROWS_PER_PART", 3)


def splits_of_files(files: int) -> FileSplits:
    return FileSplits(np.arange(files) * 10, (np.arange(files) % 3).astype(np.int8))


def packed(*kept: str) -> list[np.ndarray]:
    """``"101"`` is a task of three windows, the second of which was seen before."""
    return [np.packbits(np.array([digit == "1" for digit in task], bool)) for task in kept]


def plan(*kept: str) -> list[list[tuple[int, int, int]]]:
    planned = list(plan_parquet_parts(packed(*kept), splits_of_files(FILES_A_TASK * len(kept))))
    assert [part.number for part in planned] == list(range(len(planned)))
    return [[(rows.task, rows.first, rows.end) for rows in part.slices] for part in planned]


@pytest.mark.parametrize(
    ("kept", "planned"),
    [
        (["11"], [[(0, 0, 2)]]),
        (["111"], [[(0, 0, 3)]]),
        (["1111"], [[(0, 0, 3)], [(0, 3, 4)]]),
        (["1" * 7], [[(0, 0, 3)], [(0, 3, 6)], [(0, 6, 7)]]),
        (["0101", "", "000", "1111", "1"], [[(0, 0, 2), (3, 0, 1)], [(3, 1, 4)], [(4, 0, 1)]]),
        (["1", "1", "1"], [[(0, 0, 1), (1, 0, 1), (2, 0, 1)]]),
        (["0" * 20 + "1"], [[(0, 0, 1)]]),
    ],
)
def test_melodies_are_shared_out_in_order_to_parts_of_equal_size(kept, planned):
    assert plan(*kept) == planned


@pytest.mark.parametrize("kept", [[], ["", ""], ["000", "0"]])
def test_no_melodies_are_one_empty_part(kept):
    assert plan(*kept) == [[]]


@given(st.lists(st.text("01", max_size=12), max_size=6))
def test_every_melody_is_in_one_place(kept):
    planned = plan(*kept)
    sizes = [sum(end - first for _, first, end in part) for part in planned]
    total = sum(task.count("1") for task in kept)
    assert sizes == [3] * (total // 3) + [total % 3] * (total % 3 > 0) if total else sizes == [0]
    places = [(task, n) for part in planned for task, a, b in part for n in range(a, b)]
    assert places == [(task, n) for task, t in enumerate(kept) for n in range(t.count("1"))]


def test_rows_carry_the_tunes_and_splits_of_their_own_files():
    [part] = plan_parquet_parts(packed("1", "0", "1"), splits_of_files(5))
    tunes = [rows.file_splits.tunes.tolist() for rows in part.slices]
    splits = [rows.file_splits.splits.tolist() for rows in part.slices]
    assert (tunes, splits) == ([[0, 10], [40]], [[0, 1], [1]])


def file_of(name: str, *firsts: int) -> FileMelodies:
    """A file of one window for each first note."""
    events = np.full((len(firsts), 256), 128, np.uint8)
    events[:, 0] = firsts
    places = np.array([[1, 2, 3, 40, first] for first in firsts], np.int32).reshape(-1, 5)
    return FileMelodies(name, events, places, np.array(firsts, np.float32) + 0.5)


@pytest.fixture
def store(tmp_path):
    """Two tasks of two files each, as parts of three melodies; one window of each file is old."""
    spool = Spool(tmp_path / "spool")
    spool.folder.mkdir()
    spool.write(0, to_bytes([file_of("a.mid", 60, 61, 62), file_of("b/c.mid", 63, 64)], "exact"))
    spool.write(1, to_bytes([file_of("empty.mid"), file_of("d.mid", 65, 66, 67)], "exact"))
    folder = tmp_path / "store"
    folder.mkdir()
    file_splits = FileSplits(np.array([0, 0, 2, 3]), np.array([2, 1, 0, 0], np.int8))
    planned = list(plan_parquet_parts(packed("10110", "011"), file_splits))
    for part in planned:
        write_parquet_part(part, spool, folder)
    write_summary(folder, len(planned), {})
    return folder


def test_rows_say_what_the_spool_said(store, rows_of):
    rows = rows_of(store)
    assert [row["events"][0] for row in rows] == [60, 62, 63, 66, 67]
    assert [row["file"] for row in rows] == ["a.mid", "a.mid", "b/c.mid", "d.mid", "d.mid"]
    assert [row["tune"] for row in rows] == [0, 0, 0, 3, 3]
    assert [row["split"] for row in rows] == ["test", "test", "validation", "train", "train"]
    assert [row["notes"] for row in rows] == [60, 62, 63, 66, 67]
    for row in rows:
        assert row["events"] == bytes([row["events"][0]] + 255 * [128])
        assert (row["track"], row["segment"], row["start_bar"]) == (1, 2, 3)
        assert (row["program"], row["tempo"]) == (40, row["notes"] + 0.5)


def test_the_hash_is_what_mmh3_gives(store, rows_of):
    for row in rows_of(store):
        assert row["hash"] == mmh3.hash_bytes(row["events"], 0, True)


def test_parts_are_parquet_of_the_schema(store):
    sizes = [pq.read_metadata(path).num_rows for path in sorted(store.glob("part-*"))]
    assert sizes == [3, 2]
    for path in store.glob("part-*"):
        assert pq.read_schema(path).equals(SCHEMA, check_metadata=True)
        assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_an_empty_part_has_the_schema_too(tmp_path):
    [part] = plan_parquet_parts([], splits_of_files(0))
    write_parquet_part(part, Spool(tmp_path), tmp_path)
    table = pq.read_table(tmp_path / "part-00000.parquet")
    assert (table.num_rows, table.schema) == (0, pa.schema(SCHEMA))
