"""What an unfinished extraction keeps of each task: all of it, or nothing that counts."""

import os

import numpy as np
import pyarrow as pa
import pytest

from melodyconstraints.datasets.melodies.extraction import PLACE, FileLimits, FileMelodies, Reject
from melodyconstraints.datasets.melodies.files import LocalFolder
from melodyconstraints.datasets.melodies.hashing import KEYS
from melodyconstraints.datasets.melodies.spool import (
    Spool,
    binary_column,
    extract_to_bytes,
    to_bytes,
)
from melodyconstraints.datasets.melodies.store import events_of
from melodyconstraints.datasets.melodies.workers import Fault
from melodyconstraints.melody.midi.windows import DROPS, Drop, WindowSettings

STEPS = 256
TUNE, RECOVERED, BROKEN, SHORT = range(4)


@pytest.fixture
def found(rng):
    """A task of four files: three windows, nothing, one window, nothing."""

    def windows(count):
        return rng.integers(0, 130, (count, STEPS)).astype(np.uint8)

    dropped = np.zeros(len(DROPS), np.int64)
    dropped[DROPS.index(Drop.FEW_NOTES)] = 70_000
    tune = FileMelodies(
        "airs/tune.mid",
        events=windows(3),
        places=np.array([[0, 0, 0, 5, 16], [0, 0, 1, 5, 17], [2, 1, 9_999, 127, 256]], np.int32),
        tempos=np.array([97.5, 60, 60], np.float32),
        onsets=70_000,
        off_grid=3,
        digest=2**64 - 1,
        sequences=np.array([5, 2**64 - 1], np.uint64),
        dropped=dropped,
    )
    recovered = FileMelodies(
        "airs/dented.mid",
        events=windows(1),
        places=np.array([[1, 2, 3, 4, 5]], np.int32),
        tempos=np.array([120], np.float32),
        digest=7,
        sequences=np.array([0, 5, 6], np.uint64),
        recovered="not a MIDI file that can be parsed",
    )
    broken = FileMelodies("caf\udce9.mid", reason=Reject.UNREADABLE, detail="the file is empty")
    short = FileMelodies("short.mid", digest=2**63, reason=Reject.TOO_SHORT)
    return [tune, recovered, broken, short]


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path)


def nothing():
    return FileMelodies("waltz.mid", reason=Reject.NO_FOUR_FOUR)


def test_files_come_back_as_they_went(spool, found):
    spool.write(0, to_bytes(found, "exact"))
    files = spool.read(0).files.to_pylist()
    assert [file["file"] for file in files] == [
        *["airs/tune.mid", "airs/dented.mid"],
        *[r"caf\xe9.mid", "short.mid"],
    ]
    assert [file["digest"] for file in files] == [2**64 - 1, 7, 0, 2**63]
    assert [(file["onsets"], file["off_grid"]) for file in files] == [(70_000, 3), *3 * [(0, 0)]]
    assert [file["reason"] for file in files] == [None, None, "unreadable", "shorter than 16 bars"]
    assert [file["detail"] for file in files] == ["", "", "the file is empty", ""]
    assert [file["recovered"] for file in files] == [
        *["", "not a MIDI file that can be parsed"],
        *["", ""],
    ]
    assert [file["windows"] for file in files] == [3, 1, 0, 0]
    assert [file["sequences"] for file in files] == [2, 3, 0, 0]


def test_results_tell_what_belongs_to_which_file(spool, found):
    spool.write(3, to_bytes(found, "exact"))
    results = spool.read(3)
    assert results.file_numbers("windows").tolist() == [TUNE, TUNE, TUNE, RECOVERED]
    assert results.file_numbers("sequences").tolist() == [
        TUNE,
        TUNE,
        RECOVERED,
        RECOVERED,
        RECOVERED,
    ]
    assert results.column("digest").dtype == np.uint64
    assert results.column("digest").tolist() == [2**64 - 1, 7, 0, 2**63]
    assert results.dropped.shape == (4, len(DROPS))
    assert results.dropped.sum(axis=1).tolist() == [70_000, 0, 0, 0]
    assert results.dropped[TUNE, DROPS.index(Drop.FEW_NOTES)] == 70_000
    assert results.sequences.dtype == np.uint64
    assert results.sequences.tolist() == [5, 2**64 - 1, 0, 5, 6]


@pytest.mark.parametrize("unique", KEYS)
def test_keys_are_those_of_all_windows(spool, found, unique):
    spool.write(0, to_bytes(found, unique))
    events = np.concatenate([file.events for file in found])
    expected = KEYS[unique](events)
    keys = spool.read(0).keys
    assert (keys.dtype, keys.shape) == (np.uint64, (4, 0 if unique == "none" else 2))
    assert keys.tolist() == expected.tolist()


@pytest.mark.parametrize("unique", KEYS)
def test_windows_come_back_as_they_went(spool, found, unique):
    spool.write(0, to_bytes(found, unique))
    files, windows = spool.read_windows(0)
    assert files.equals(spool.read(0).files)
    events = events_of(windows["events"].combine_chunks())
    assert events.tolist() == [row.tolist() for file in found for row in file.events]
    assert windows.schema.names == ["events", *PLACE, "tempo"]
    assert windows["tempo"].to_pylist() == [97.5, 60, 60, 120]
    places = np.column_stack([windows[name].to_numpy() for name in PLACE])
    assert places.tolist() == [row.tolist() for file in found for row in file.places]


@pytest.mark.parametrize("unique", KEYS)
def test_a_task_without_windows_comes_back_too(spool, unique):
    spool.write(0, to_bytes([nothing(), nothing()], unique))
    results = spool.read(0)
    assert results.keys.shape == (0, 0 if unique == "none" else 2)
    assert results.keys.dtype == results.sequences.dtype == np.uint64
    assert results.sequences.tolist() == results.file_numbers("windows").tolist() == []
    files, windows = spool.read_windows(0)
    assert (len(files), len(windows)) == (2, 0)
    assert spool.missing(1) == []


def test_tasks_have_files_of_their_own(spool, found):
    spool.write(0, to_bytes(found[:1], "exact"))
    spool.write(12_345_678, to_bytes(found[1:], "exact"))
    assert sorted(path.name for path in spool.folder.iterdir()) == [
        "task-0000000",
        "task-12345678",
    ]
    # One after the other and back again: what was read last is at hand, and not for another.
    counts = [len(spool.read(number).files) for number in (0, 0, 12_345_678, 0)]
    assert counts == [1, 1, 3, 1]


def test_the_same_results_are_the_same_bytes(found):
    assert to_bytes(found, "exact") == to_bytes(found, "exact")


def test_what_was_never_written_is_missing(spool, found):
    assert spool.missing(0) == []
    assert spool.missing(3) == [0, 1, 2]
    spool.write(1, to_bytes(found, "exact"))
    assert spool.missing(3) == [0, 2]
    assert Spool(spool.folder).missing(3) == [0, 2]


def test_a_folder_in_a_tasks_place_is_no_result(spool):
    (spool.folder / "task-0000000").mkdir()
    assert spool.missing(1) == [0]


@pytest.mark.parametrize(("unique", "windows"), [("exact", 3), ("none", 3), ("exact", 0)])
def test_a_file_that_is_cut_anywhere_is_missing(spool, found, unique, windows):
    spool.write(0, to_bytes([found[TUNE] if windows else nothing()], unique))
    assert spool.missing(1) == []
    path = spool.folder / "task-0000000"
    size = path.stat().st_size
    taken_for_whole = []
    for cut in range(1, size + 1):
        os.truncate(path, size - cut)
        if not spool.missing(1):
            taken_for_whole.append(cut)
    assert path.stat().st_size == 0
    assert taken_for_whole == []


def test_a_file_that_ends_in_zeros_is_missing(spool, found):
    """What some disks make of a file that was being written when the power failed."""
    spool.write(0, to_bytes(found, "exact"))
    path = spool.folder / "task-0000000"
    size = path.stat().st_size
    taken_for_whole = []
    for zeros in range(16, size + 1, 8):
        os.truncate(path, size - zeros)
        os.truncate(path, size)
        if not spool.missing(1):
            taken_for_whole.append(zeros)
    assert set(path.read_bytes()) == {0}
    assert taken_for_whole == []


def test_a_task_is_done_to_bytes(tmp_path, spool):
    """Files that cannot be read are part of the results, and so are those given up before."""
    (tmp_path / "empty.mid").write_bytes(b"")
    begun = []
    results = extract_to_bytes(
        ["none.mid", "killer.mid", "empty.mid"],
        {1: Fault.CRASHED},
        begun.append,
        folder=LocalFolder(str(tmp_path)),
        settings=WindowSettings(),
        limits=FileLimits(),
        unique="exact",
    )
    assert begun == [0, 2, None]  # None: no item is at work any more
    spool.write(0, results)
    files = spool.read(0).files.select(["file", "reason", "detail"]).to_pylist()
    assert [tuple(file.values()) for file in files] == [
        ("none.mid", "unreadable", "cannot be read: No such file or directory"),
        ("killer.mid", "crashed the reader", ""),
        ("empty.mid", "unreadable", "the file is empty"),
    ]


def test_a_column_of_bytes_is_arrows_own(rng):
    values = rng.integers(0, 256, (5, 16)).astype(np.uint8)
    expected = pa.array([row.tobytes() for row in values], pa.binary(16))
    assert binary_column(values).equals(expected)
    assert binary_column(values[::2]).equals(expected.take(pa.array([0, 2, 4])))
    assert binary_column(values[:, ::2]).type == pa.binary(8)
    assert binary_column(values[:0]).equals(expected[:0])
