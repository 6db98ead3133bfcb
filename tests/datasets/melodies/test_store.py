"""The melody store: what plain Arrow reads, and that what is not whole is not read at all."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from melodyconstraints.datasets.melodies.store import (
    SCHEMA,
    arrow_dataset,
    events_of,
    read_store,
    read_summary,
    read_table,
    write_part,
    write_summary,
)
from melodyconstraints.errors import StoreError, UsageError

STEPS = 256


def row(pitch: int, *, split: str = "train", file: str = "a/tune.mid") -> dict:
    events = bytes([pitch] + [128] * 255)
    return {
        "events": events,
        "split": split,
        "file": file,
        "tune": pitch - 60,
        "track": 1,
        "segment": 0,
        "start_bar": 7,
        "program": 40,
        "tempo": 96.5,
        "notes": 1,
        "hash": events[:16],
    }


ROWS = [
    row(60, file="a/one.mid"),
    row(61, file="b/two.mid", split="test"),
    row(62, file="b/deep/three.mid", split="validation"),
    row(63, file="four.mid"),
]


def write(folder, *parts, **summary):
    """A store of these parts, each a list of rows."""
    folder.mkdir()
    for number, rows in enumerate(parts):
        write_part(folder, number, pa.Table.from_pylist(rows, schema=SCHEMA))
    write_summary(folder, len(parts), summary)
    return folder


@pytest.fixture
def store(tmp_path):
    return write(tmp_path / "store", ROWS[:3], ROWS[3:])


# Columns and rows


def test_plain_pyarrow_reads_every_column(tmp_path):
    folder = write(tmp_path / "store", ROWS)
    table = pq.read_table(folder / "part-00000.parquet")
    assert table.schema.equals(SCHEMA)
    assert table.schema.metadata[b"format"] == b"melodyconstraints-melodies-1"
    assert table.schema.field("events").type == pa.binary(256)
    assert table.schema.field("hash").type == pa.binary(16)
    assert table["split"].to_pylist() == ["train", "test", "validation", "train"]
    assert table.to_pylist() == ROWS


def test_a_store_is_its_parts_and_a_summary(store):
    assert sorted(path.name for path in store.iterdir()) == [
        "extraction.json",
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    assert read_summary(store) == {"format": "melodyconstraints-melodies-1", "parts": 2}


def test_a_summary_keeps_what_it_is_told(tmp_path):
    folder = write(tmp_path / "store", [], settings={"lowest": 21}, counts={"melodies": 0})
    assert json.loads((folder / "extraction.json").read_text()) == {
        "format": "melodyconstraints-melodies-1",
        "parts": 1,
        "settings": {"lowest": 21},
        "counts": {"melodies": 0},
    }


def test_a_store_reads_back_in_order_with_its_files_and_sources(store):
    stored = read_store(store)
    assert len(stored) == 4
    assert stored.events.dtype == np.uint8
    assert stored.events.tobytes() == b"".join(entry["events"] for entry in ROWS)
    assert stored.files.tolist() == [entry["file"] for entry in ROWS]
    assert stored.sources.tolist() == ["a", "b", "b", ""]
    assert stored.melodies.pitches[:, 0].tolist() == [60, 61, 62, 63]


def test_parts_are_in_the_order_of_their_numbers(tmp_path):
    parts = [[row(pitch)] for pitch in range(12)]
    assert read_store(write(tmp_path / "store", *parts)).events[:, 0].tolist() == [*range(12)]


@pytest.mark.parametrize(
    ("split", "pitches"), [("train", [60, 63]), ("validation", [62]), ("test", [61])]
)
def test_one_split_is_read_alone(store, split, pitches):
    stored = read_store(store, split)
    assert stored.events[:, 0].tolist() == pitches
    assert stored.files.tolist() == [e["file"] for e in ROWS if e["split"] == split]


def test_a_split_without_melodies_is_empty(tmp_path):
    stored = read_store(write(tmp_path / "store", ROWS[:1]), "test")
    assert stored.events.shape == (0, STEPS)
    assert len(stored.melodies) == len(stored.files) == len(stored.sources) == 0


def test_a_store_without_melodies_is_empty(tmp_path):
    folder = write(tmp_path / "store", [])
    assert pq.read_table(folder / "part-00000.parquet").num_rows == 0
    assert read_store(folder).events.shape == (0, STEPS)
    assert read_table(folder).to_pylist() == []


def test_a_table_has_the_columns_and_the_split_that_were_asked_for(store):
    assert read_table(store).to_pylist() == ROWS
    assert read_table(store).schema.equals(SCHEMA)
    table = read_table(store, "train", columns=["tune", "file"])
    assert table.to_pydict() == {"tune": [0, 3], "file": ["a/one.mid", "four.mid"]}


def test_columns_that_no_store_has_are_refused(store):
    text = "columns must be among events, split, file, .* hash, got 'pitch'"
    with pytest.raises(UsageError, match=text):
        read_table(store, columns=["file", "pitch"])


def test_a_data_set_is_read_as_it_is_scanned(store):
    dataset = arrow_dataset(store)
    assert dataset.count_rows() == 4
    assert dataset.schema.equals(SCHEMA)
    low = dataset.to_table(columns=["file"], filter=pc.field("tune") < 2)
    assert low["file"].to_pylist() == ["a/one.mid", "b/two.mid"]
    assert [batch.num_rows for batch in dataset.to_batches(batch_size=2)] == [2, 1, 1]


def test_statistics_let_a_reader_pass_by_what_it_does_not_want(store):
    (group,) = [pq.read_metadata(store / "part-00000.parquet").row_group(0)]
    told = {
        column.path_in_schema: (column.statistics.min, column.statistics.max)
        for column in map(group.column, range(group.num_columns))
        if column.statistics is not None and column.statistics.has_min_max
    }
    assert told == {
        "split": ("test", "validation"),
        "file": ("a/one.mid", "b/two.mid"),
        "tune": (0, 2),
        "notes": (1, 1),
    }


def test_the_events_of_a_slice_are_its_own():
    column = pa.array([bytes([n]) * STEPS for n in range(5)], pa.binary(STEPS))
    assert events_of(column.slice(1, 3))[:, 0].tolist() == [1, 2, 3]
    assert events_of(column.slice(5)).shape == (0, STEPS)


# What is refused


@pytest.mark.parametrize("read", [read_store, read_table])
def test_an_unknown_split_is_refused(store, read):
    with pytest.raises(
        UsageError, match="split must be one of train, validation, test, got 'dev'"
    ):
        read(store, "dev")


def test_a_missing_folder_says_how_to_make_one(tmp_path):
    folder = tmp_path / "none"
    text = rf"none is not a finished melody store .*mc extract-melodies MIDI_DIR -o {folder}"
    for read in (read_store, read_table, arrow_dataset, read_summary):
        with pytest.raises(StoreError, match=text):
            read(folder)


def test_a_folder_without_its_summary_is_unfinished(store):
    (store / "extraction.json").unlink()
    with pytest.raises(StoreError, match=r"not a finished melody store \(extraction\.json"):
        read_store(store)


@pytest.mark.parametrize("text", [b"", b'{"format": ', b"\xff\xfe not text"])
def test_a_damaged_summary_is_named(store, text):
    (store / "extraction.json").write_bytes(text)
    with pytest.raises(StoreError, match=r"extraction\.json is damaged"):
        read_store(store)


@pytest.mark.parametrize("summary", [{"format": "somebody-elses-2"}, {}, []])
def test_a_store_of_another_format_is_refused(store, summary):
    (store / "extraction.json").write_text(json.dumps(summary))
    with pytest.raises(StoreError, match="is not a melody store of format melodyconstraints-mel"):
        read_store(store)


@pytest.mark.parametrize("lost", [["part-00000"], ["part-00001"], ["part-00000", "part-00001"]])
def test_a_store_that_lost_its_parts_is_refused(store, lost):
    for name in lost:
        (store / f"{name}.parquet").unlink()
    text = rf"holds {2 - len(lost)} part-.*, 2 were written; extract it again"
    with pytest.raises(StoreError, match=text):
        read_store(store)


def test_a_store_with_a_part_of_another_is_refused(store, tmp_path):
    (store / "part-00002.parquet").write_bytes((store / "part-00001.parquet").read_bytes())
    with pytest.raises(StoreError, match=r"holds 3 part-.*, 2 were written; extract it again"):
        read_store(store)


def test_a_store_that_tells_no_number_of_parts_needs_one(store):
    summary = read_summary(store)
    del summary["parts"]
    (store / "extraction.json").write_text(json.dumps(summary))
    assert len(read_store(store)) == 4
    for path in store.glob("part-*"):
        path.unlink()
    with pytest.raises(StoreError, match=r"holds 0 part-.*, some were written; extract it again"):
        read_store(store)


@pytest.mark.parametrize("damage", ["cut", "emptied", "other columns", "other types"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_damaged_part_is_not_read(store, damage, number):
    part = store / f"part-{number:05d}.parquet"
    if damage == "other columns":
        pq.write_table(pa.table({"notes": pa.array([1], pa.int16())}), part)
    elif damage == "other types":
        pq.write_table(pa.table({name: ["text"] for name in SCHEMA.names}), part)
    else:
        part.write_bytes(part.read_bytes()[: 100 if damage == "cut" else 0])
    with pytest.raises(StoreError, match="store is damaged, extract it again: "):
        read_store(store)


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ({"events": bytes([255]) * STEPS}, "the largest event is 255 of 129"),
        ({"events": None}, "1 melodies are missing"),
        ({"file": None}, "melodies without a file's name"),
    ],
)
def test_a_part_that_others_wrote_is_refused(tmp_path, lie, message):
    folder = write(tmp_path / "store", [ROWS[0], ROWS[1] | lie])
    with pytest.raises(StoreError, match=f"is damaged, extract it again: .*{message}"):
        read_store(folder)


def test_no_byte_turns_into_another_melody(store):
    part = store / "part-00000.parquet"
    whole, events = part.read_bytes(), read_store(store).events.tobytes()
    column = pq.read_metadata(part).row_group(0).column(0)
    refused = 0
    for place in range(column.data_page_offset + column.total_compressed_size):
        part.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert read_store(store).events.tobytes() == events
        except StoreError as error:
            refused += "store is damaged, extract it again: " in str(error)
    assert refused > 50
