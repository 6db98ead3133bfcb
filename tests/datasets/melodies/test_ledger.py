"""Counters, ledgers and splits: accepted + rejected = files, always."""

import json
from collections import Counter

import numpy as np
import pytest

from melodyconstraints.datasets.melodies.extraction import FileMelodies, Reject
from melodyconstraints.datasets.melodies.ledger import ExtractionSummary, Ledger
from melodyconstraints.datasets.melodies.spool import Spool, to_bytes
from melodyconstraints.melody.midi.windows import DROPS, Drop

TRAIN, VALIDATION, TEST = 0, 1, 2
SHARED, OWN = 7 << 58, 9 << 58
"""Hashes of sequences, in two partitions."""


def digest(share: float) -> int:
    return int(share * 2**64)


def file_of(name, windows=0, *, share=0.5, sequences=(), reason=None, drops=None, **texts):
    return FileMelodies(
        name,
        events=np.zeros((windows, 256), np.uint8),
        places=np.zeros((windows, 5), np.int32),
        tempos=np.full(windows, 120, np.float32),
        digest=digest(share),
        sequences=np.array(sequences, np.uint64),
        dropped=np.array([(drops or {}).get(drop, 0) for drop in DROPS]),
        reason=reason,
        **texts,
    )


@pytest.fixture
def add_up(tmp_path):
    """Add tasks, each a list of files and which windows are new; summary and splits."""

    def run(*tasks):
        spool = Spool(tmp_path)
        files = sum(len(found) for found, _ in tasks)
        with Ledger(files, tmp_path, tmp_path / "sequences") as totals:
            for number, (found, is_new) in enumerate(tasks):
                spool.write(number, to_bytes(found, "none"))
                totals.add(spool.read(number), np.array(is_new, bool))
            file_splits = totals.assign_splits()
        return totals.summary, file_splits

    return run


def test_a_file_is_accepted_if_a_window_of_it_is_new(add_up, tmp_path, ledger):
    summary, _ = add_up(
        (
            [
                file_of("a.mid", 2),
                file_of("b.mid", reason=Reject.NO_NOTES),
                file_of("c.mid", 3),
                file_of("d.mid", 1),
            ],
            [1, 1, 0, 1, 0, 0],
        ),
        (
            [file_of("e.mid", reason=Reject.UNREADABLE, detail="empty"), file_of("f.mid", 2)],
            [0, 0],
        ),
    )
    assert (summary.files, summary.accepted, summary.rejected) == (6, 2, 4)
    assert summary.melodies == 3
    assert summary.reasons == {
        "every melody seen before": 2,
        "no notes": 1,
        "unreadable": 1,
    }
    assert ledger(tmp_path / "rejected.jsonl") == [
        {"file": "b.mid", "reason": "no notes"},
        {"file": "d.mid", "reason": "every melody seen before"},
        {"file": "e.mid", "reason": "unreadable", "detail": "empty"},
        {"file": "f.mid", "reason": "every melody seen before"},
    ]
    assert summary.dropped_windows == {Drop.DUPLICATE: 5}


def test_dropped_windows_are_counted_by_cause_over_all_files(add_up):
    summary, _ = add_up(
        (
            [
                file_of("a.mid", 2, drops={Drop.FEW_NOTES: 3, Drop.FILE_LIMIT: 10}),
                file_of("b.mid", reason=Reject.FILTERED, drops={Drop.FEW_NOTES: 4}),
            ],
            [1, 0],
        ),
        ([file_of("c.mid", reason=Reject.FILTERED, drops={Drop.WIDE_SPAN: 1})], []),
    )
    assert summary.dropped_windows == {
        "too few notes": 7,
        "over the file's limit": 10,
        "span too wide": 1,
        "seen before": 1,
    }


def test_recovered_files_are_counted_and_listed_accepted_or_not(add_up, tmp_path, ledger):
    summary, _ = add_up(
        (
            [
                file_of("a.mid", 1, recovered="a track breaks off"),
                file_of("b.mid", 1),
                file_of("c.mid", reason=Reject.NO_NOTES, recovered="no header"),
                file_of("d.mid", 1, recovered="seen before, too"),
            ],
            [1, 1, 0],
        )
    )
    assert (summary.recovered, summary.accepted, summary.rejected) == (3, 2, 2)
    assert ledger(tmp_path / "recovered.jsonl") == [
        {"file": "a.mid", "detail": "a track breaks off"},
        {"file": "c.mid", "detail": "no header"},
        {"file": "d.mid", "detail": "seen before, too"},
    ]
    assert [entry["file"] for entry in ledger(tmp_path / "rejected.jsonl")] == ["c.mid", "d.mid"]


def test_ledgers_without_entries_are_empty_files(add_up, tmp_path):
    add_up(([file_of("a.mid", 1)], [1]))
    for name in ("rejected.jsonl", "recovered.jsonl"):
        assert (tmp_path / name).read_bytes() == b""


def test_a_ledger_is_a_line_of_plain_ascii_for_each_file(add_up, tmp_path, ledger):
    names = ["new\nline.mid", "\x1b[31mred.mid", 'quote".mid', "caf\u00e9.mid", "\u2028.mid"]
    add_up(([file_of(name, reason=Reject.NO_NOTES) for name in names], []))
    text = (tmp_path / "rejected.jsonl").read_bytes().decode("ascii")
    assert all(line.isprintable() for line in text.split("\n"))
    assert [json.loads(line)["file"] for line in text.splitlines()] == names


def test_files_that_share_a_sequence_are_one_tune_on_one_side(add_up):
    files = [
        file_of("a.mid", 1, share=0.5, sequences=[OWN]),
        file_of("b.mid", 2, share=0.04, sequences=[SHARED]),
        file_of("c.mid", 4, share=0.07),
        file_of("d.mid", 8, share=0.9, sequences=[SHARED, OWN + 1]),
        file_of("e.mid", 16, share=0.6),
    ]
    for tasks in ([files], [files[:2], files[2:]]):
        summary, file_splits = add_up(
            *[(t, np.ones(sum(len(f.events) for f in t))) for t in tasks]
        )
        assert file_splits.tunes.tolist() == [0, 1, 2, 1, 4]
        assert file_splits.splits[[0, 2, 4]].tolist() == [TRAIN, VALIDATION, TRAIN]
        assert file_splits.splits[1] == file_splits.splits[3]
        assert summary.tunes == 4
        assert summary.melodies == 31
        side = {TRAIN: "train", TEST: "test"}[file_splits.splits[1]]
        assert summary.splits == Counter({"train": 17, "validation": 4}) + Counter({side: 10})


def test_tunes_are_those_of_accepted_files(add_up):
    summary, file_splits = add_up(
        (
            [
                file_of("a.mid", 1, sequences=[SHARED]),
                file_of("b.mid", 1, sequences=[SHARED]),
                file_of("c.mid", 1, sequences=[OWN]),
                file_of("d.mid", reason=Reject.NO_NOTES),
            ],
            [1, 1, 0],
        )
    )
    assert file_splits.tunes.tolist() == [0, 0, 2, 3]
    assert summary.tunes == 1


def test_nothing_stays_in_the_scratch_folder(add_up, tmp_path):
    add_up(([file_of("a.mid", 1, sequences=[SHARED])], [1]))
    assert list((tmp_path / "sequences").iterdir()) == []


def test_a_ledger_that_is_not_finished_closes_its_files(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        Ledger(1, tmp_path, tmp_path / "sequences"),
    ):
        raise ZeroDivisionError
    assert list((tmp_path / "sequences").iterdir()) == []


def test_a_summary_is_plain_json_sorted_by_size_and_comes_back():
    summary = ExtractionSummary(
        files=6,
        accepted=2,
        rejected=4,
        recovered=1,
        unlisted_folders=1,
        linked_folders=2,
        melodies=3,
        tunes=2,
        onsets=90,
        off_grid=7,
        splits=Counter(train=3),
        reasons=Counter({"no notes": 1, "unreadable": 3}),
        dropped_windows=Counter({"seen before": 5}),
    )
    values = json.loads(json.dumps(summary.as_dict()))
    assert values == {
        "files": 6,
        "accepted": 2,
        "rejected": 4,
        "recovered": 1,
        "unlisted_folders": 1,
        "linked_folders": 2,
        "melodies": 3,
        "tunes": 2,
        "onsets": 90,
        "off_grid": 7,
        "splits": {"train": 3},
        "reasons": {"unreadable": 3, "no notes": 1},
        "dropped_windows": {"seen before": 5},
    }
    assert list(values["reasons"]) == ["unreadable", "no notes"]
    for key in ("unlisted_folders", "linked_folders", "onsets", "off_grid"):  # of older stores
        older = {other: value for other, value in values.items() if other != key}
        assert getattr(ExtractionSummary.from_dict(older), key) == 0
    again = ExtractionSummary.from_dict(values)
    assert again == summary
    assert again.reasons["crashed the reader"] == 0
