"""The melody store: what plain Arrow reads, and that it is whole or not there at all."""

import json
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from melodyconstraints.datasets import store as store_module
from melodyconstraints.datasets.store import SCHEMA, new_store, read_store, read_summary
from melodyconstraints.errors import StoreError, UsageError

STEPS = 256


def row(pitch: int, *, split: str = "train", file: str = "a/tune.mid") -> dict:
    events = bytes([pitch] + [128] * 255)
    return {
        "events": events,
        "split": split,
        "file": file,
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


def write(folder, rows=ROWS, *, overwrite=False, rejected=(), counts=None):
    with new_store(folder, overwrite=overwrite) as store:
        store.add(rows)
        for rejection in rejected:
            store.reject(*rejection)
        store.finish({"counts": counts or {"melodies": len(rows)}})
    return folder


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_plain_pyarrow_reads_every_column(tmp_path):
    folder = write(tmp_path / "store")
    table = pq.read_table(folder / "part-00000.parquet")
    assert table.schema.equals(SCHEMA)
    assert table.schema.metadata[b"format"] == b"melodyconstraints-melodies-1"
    assert table.schema.field("events").type == pa.binary(256)
    assert table.schema.field("hash").type == pa.binary(16)
    assert table["split"].to_pylist() == ["train", "test", "validation", "train"]
    assert table.to_pylist() == ROWS


def test_a_store_is_its_parts_a_summary_and_a_ledger(tmp_path):
    folder = write(tmp_path / "store")
    assert sorted(contents(folder)) == ["extraction.json", "part-00000.parquet", "rejected.jsonl"]
    assert json.loads((folder / "extraction.json").read_text()) == {
        "format": "melodyconstraints-melodies-1",
        "parts": 1,
        "counts": {"melodies": 4},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_the_ledger_has_a_line_for_each_rejected_file(tmp_path):
    rejected = [("a.mid", "no notes"), ("Mélodie\n.mid", "unreadable", "cut in a track")]
    folder = write(tmp_path / "store", rejected=rejected)
    lines = (folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file": "a.mid", "reason": "no notes"},
        {"file": "Mélodie\n.mid", "reason": "unreadable", "detail": "cut in a track"},
    ]


def test_a_store_reads_back_in_order_with_its_files_and_sources(tmp_path):
    stored = read_store(write(tmp_path / "store"))
    assert len(stored) == 4
    assert stored.events.dtype == np.uint8
    assert stored.events.tobytes() == b"".join(entry["events"] for entry in ROWS)
    assert stored.files.tolist() == [entry["file"] for entry in ROWS]
    assert stored.sources.tolist() == ["a", "b", "b", "four.mid"]
    assert stored.melodies.pitches[:, 0].tolist() == [60, 61, 62, 63]


@pytest.mark.parametrize(
    ("split", "pitches"), [("train", [60, 63]), ("validation", [62]), ("test", [61])]
)
def test_one_split_is_read_alone(tmp_path, split, pitches):
    stored = read_store(write(tmp_path / "store"), split)
    assert stored.events[:, 0].tolist() == pitches
    assert stored.files.tolist() == [e["file"] for e in ROWS if e["split"] == split]


def test_a_split_without_melodies_is_empty(tmp_path):
    stored = read_store(write(tmp_path / "store", ROWS[:1]), "test")
    assert stored.events.shape == (0, STEPS)
    assert len(stored.melodies) == len(stored.files) == len(stored.sources) == 0


def test_a_store_without_melodies_is_one_empty_part(tmp_path):
    folder = write(tmp_path / "store", [])
    assert pq.read_table(folder / "part-00000.parquet").num_rows == 0
    assert read_store(folder).events.shape == (0, STEPS)


@pytest.mark.parametrize(("rows", "sizes"), [(2, [2]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
@pytest.mark.parametrize("at_once", [True, False])
def test_parts_roll_over_when_they_are_full(tmp_path, monkeypatch, rows, sizes, at_once):
    monkeypatch.setattr(store_module, "ROWS_PER_PART", 3)
    entries = [row(pitch) for pitch in range(rows)]
    with new_store(tmp_path / "store") as store:
        for batch in [entries] if at_once else [[entry] for entry in entries]:
            store.add(batch)
        store.finish({})
    parts = sorted((tmp_path / "store").glob("part-*.parquet"))
    assert [path.name for path in parts] == [f"part-{n:05d}.parquet" for n in range(len(sizes))]
    assert [pq.read_metadata(path).num_rows for path in parts] == sizes
    assert read_store(tmp_path / "store").events[:, 0].tolist() == list(range(rows))


def fail_while_writing(folder, error, *, overwrite=False):
    with new_store(folder, overwrite=overwrite) as store:
        store.add(ROWS[:1])
        store.reject("a.mid", "no notes")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_run_that_fails_leaves_nothing(tmp_path, monkeypatch, error):
    monkeypatch.setattr(store_module, "ROWS_PER_PART", 1)
    with pytest.raises(error):
        fail_while_writing(tmp_path / "deep" / "store", error)
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_run_that_fails_leaves_the_store_that_was_there(tmp_path):
    folder = write(tmp_path / "store")
    before = contents(folder)
    with pytest.raises(RuntimeError):
        fail_while_writing(folder, RuntimeError, overwrite=True)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_nothing_stands_at_the_place_before_the_block_ends(tmp_path):
    folder = tmp_path / "store"
    with new_store(folder) as store:
        store.finish({})
        assert not folder.exists()
    assert read_summary(folder) == {"format": "melodyconstraints-melodies-1", "parts": 1}


def test_an_existing_store_is_refused_and_left_alone(tmp_path):
    folder = write(tmp_path / "store")
    before = contents(folder)
    with pytest.raises(UsageError, match="already holds a melody store; pass --overwrite"):
        write(folder, ROWS[:1])
    assert contents(folder) == before


def test_an_existing_store_is_replaced_whole_on_request(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "ROWS_PER_PART", 1)
    folder = write(tmp_path / "store")
    assert len(list(folder.glob("part-*"))) == 4
    write(folder, ROWS[:1], overwrite=True)
    assert len(list(folder.glob("part-*"))) == 1
    assert read_store(folder).files.tolist() == ["a/one.mid"]


def test_an_empty_folder_may_become_a_store(tmp_path):
    (tmp_path / "store").mkdir()
    assert len(read_store(write(tmp_path / "store"))) == 4


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_not_a_store_is_never_replaced(tmp_path, overwrite, kind):
    mine = tmp_path / "mine"
    if kind == "folder":
        mine.mkdir()
        (mine / "thesis.tex").write_text("years of work")
    else:
        mine.write_text("years of work")
    with pytest.raises(
        UsageError, match="mine exists and is not a melody store; choose another folder"
    ):
        write(mine, overwrite=overwrite)
    kept = mine / "thesis.tex" if kind == "folder" else mine
    assert kept.read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(
        UsageError, match="split must be one of train, validation, test, got 'dev'"
    ):
        read_store(write(tmp_path / "store"), "dev")


def test_a_missing_folder_says_how_to_make_one(tmp_path):
    folder = tmp_path / "none"
    text = rf"none is not a finished melody store .*mc extract-melodies MIDI_DIR -o {folder}"
    for read in (read_store, read_summary):
        with pytest.raises(StoreError, match=text):
            read(folder)


def test_a_folder_without_its_summary_is_unfinished(tmp_path):
    folder = write(tmp_path / "store")
    (folder / "extraction.json").unlink()
    with pytest.raises(StoreError, match=r"not a finished melody store \(extraction\.json"):
        read_store(folder)


@pytest.mark.parametrize("text", [b"", b'{"format": ', b"\xff\xfe not text"])
def test_a_damaged_summary_is_named(tmp_path, text):
    folder = write(tmp_path / "store")
    (folder / "extraction.json").write_bytes(text)
    with pytest.raises(StoreError, match=r"extraction\.json is damaged"):
        read_store(folder)


@pytest.mark.parametrize("summary", [{"format": "somebody-elses-2"}, {}, []])
def test_a_store_of_another_format_is_refused(tmp_path, summary):
    folder = write(tmp_path / "store")
    (folder / "extraction.json").write_text(json.dumps(summary))
    with pytest.raises(StoreError, match="is not a melody store of format melodyconstraints-mel"):
        read_store(folder)


def test_a_store_that_lost_its_parts_is_refused(tmp_path):
    folder = write(tmp_path / "store")
    (folder / "part-00000.parquet").unlink()
    with pytest.raises(StoreError, match=r"holds 0 part-.*, 1 were written; extract it again"):
        read_store(folder)


@pytest.mark.parametrize("damage", ["cut", "emptied", "other columns"])
def test_a_damaged_part_is_named(tmp_path, damage):
    folder = write(tmp_path / "store")
    part = folder / "part-00000.parquet"
    if damage == "other columns":
        pq.write_table(pa.table({"notes": [1]}), part)
    else:
        part.write_bytes(part.read_bytes()[: 100 if damage == "cut" else 0])
    with pytest.raises(StoreError, match=r"part-00000\.parquet is damaged, extract it again: "):
        read_store(folder)


def test_temporary_folders_are_made_beside_the_store(tmp_path, monkeypatch):
    """Elsewhere the last move could be between file systems, and not at once."""
    made = []
    original = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **k: made.append(k["dir"]) or original(**k))
    write(tmp_path / "store")
    assert made == [tmp_path]


def test_a_block_that_does_not_finish_leaves_nothing(tmp_path):
    with (
        pytest.raises(StoreError, match="is not a finished melody store"),
        new_store(tmp_path / "store") as store,
    ):
        store.add(ROWS)
    assert not list(tmp_path.iterdir())
