"""From a folder of MIDI files to a store: every file is accounted for, and nothing is lost."""

import gzip
import hashlib
import json
import os
import threading
import time
from importlib import import_module
from importlib.metadata import version

import mmh3
import psutil
import pytest

from melodyconstraints.datasets.melodies import extract_store as extract_store_module
from melodyconstraints.datasets.melodies import workers
from melodyconstraints.datasets.melodies.extract_store import LocalEngine, Progress, extract_store
from melodyconstraints.datasets.melodies.extraction import FileLimits, Reject
from melodyconstraints.datasets.melodies.store import read_store, read_summary, read_table
from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import HOLD
from melodyconstraints.melody.midi.windows import Drop, WindowSettings

HERE = LocalEngine(0)
REJECTED = "rejected.jsonl"


def extract(folder, output, settings=None, **options):
    """In this process."""
    return extract_store(folder, output, settings, **{"engine": HERE} | options)


def up(pitches, semitones):
    return [pitch + semitones for pitch in pitches]


# The whole


def test_every_file_is_accounted_for(music, tmp_path, ledger):
    summary = extract(music, tmp_path / "store")
    assert (summary.files, summary.accepted, summary.rejected) == (12, 9, 3)
    # Three files of one window, three of two, one of two parts, one higher, and the refrain.
    assert summary.melodies == 3 + 3 * 2 + 2 + 1 + 1
    assert summary.dropped_windows == {Drop.DUPLICATE: 2 + 4}  # of 8-again and of the refrain
    assert summary.splits.total() == summary.melodies
    assert summary.tunes == 8  # 0 and 7-higher are one
    entries = [(entry["file"], entry["reason"]) for entry in ledger(tmp_path / "store" / REJECTED)]
    assert entries == [
        ("8-again.mid", "every melody seen before"),
        ("a-broken.mid", "unreadable"),
        ("b-short.mid", "shorter than 16 bars"),
    ]
    assert summary.reasons == {reason: 1 for _, reason in entries}


def test_rows_say_where_each_melody_comes_from(tmp_path, write_tune, tune, rows_of):
    write_tune(tmp_path / "midi" / "a.mid", tune(0, bars=18), tempo=600_000)
    write_tune(tmp_path / "midi" / "deep" / "er" / "b.MIDI", tune(1), up(tune(1), 1))
    write_tune(tmp_path / "midi" / "drums.mid", tune(2), channel=9)
    write_tune(tmp_path / "midi" / "z.mid", tune(3))
    extract(tmp_path / "midi", tmp_path / "store")
    rows = rows_of(tmp_path / "store")
    places = [(r["file"], r["track"], r["segment"], r["start_bar"], r["program"]) for r in rows]
    assert places == [
        *[("a.mid", 0, 0, bar, 20) for bar in range(3)],
        *[("deep/er/b.MIDI", part, 0, 0, 20 + part) for part in range(2)],
        ("z.mid", 0, 0, 0, 20),
    ]
    assert [row["tempo"] for row in rows] == [100.0] * 3 + [120.0] * 3
    assert [row["tune"] for row in rows] == [0, 0, 0, 1, 1, 3]
    assert {row["notes"] for row in rows} == {128}
    pitches = [
        *(tune(0, bars=18)[8 * bar :] for bar in range(3)),
        tune(1),
        up(tune(1), 1),
        tune(3),
    ]
    for row, line in zip(rows, pitches, strict=True):
        assert list(row["events"]) == [event for pitch in line[:128] for event in (pitch, HOLD)]
        assert row["hash"] == mmh3.hash_bytes(row["events"], 0, True)


def test_a_store_says_how_it_was_made(music, tmp_path):
    limits = FileLimits(seconds=7.5, max_bytes=10_000)
    summary = extract(
        music,
        tmp_path / "store",
        WindowSettings(polyphony="onset", min_notes=20),
        unique="transposed",
        exclude=iter(["[1-6].mid", "deep/*"]),
        limits=limits,
    )
    told = read_summary(tmp_path / "store")
    assert told["counts"] == json.loads(json.dumps(summary.as_dict()))
    assert told["settings"] == {
        "polyphony": "onset",
        "min_notes": 20,
        "min_pitches": 5,
        "max_silence_steps": 31,
        "lowest": 21,
        "highest": 108,
        "max_span": 24,
        "max_off_grid": 1.0,
        "max_windows": 4096,
    }
    assert told["limits"] == {
        "seconds": 7.5,
        "memory_bytes": 2 * 2**30,
        "max_bytes": 10_000,
        "max_notes": 2_000_000,
    }
    assert (told["unique"], told["exclude"]) == ("transposed", ["[1-6].mid", "deep/*"])
    assert told["versions"] == {
        name: version(name) for name in ("melodyconstraints", "symusic", "mido")
    }
    names = "0.mid\n7-higher.mid\n8-again.mid\n9-refrain.mid\na-broken.mid\nb-short.mid"
    assert told["names"] == hashlib.sha256(names.encode()).hexdigest()


def test_a_store_is_its_parts_a_summary_and_three_ledgers(plain):
    assert sorted(plain) == [
        "extraction.json",
        "folders.jsonl",
        *[f"part-{number:05d}.parquet" for number in range(3)],
        "recovered.jsonl",
        REJECTED,
    ]


def test_an_object_store_gives_the_same(music, tmp_path, contents, small_objects):
    extract(f"file://{music}", tmp_path / "remote")
    extract(music, tmp_path / "local")
    assert contents(tmp_path / "remote") == contents(tmp_path / "local")


def test_the_result_does_not_depend_on_the_number_of_workers(
    music, tmp_path, contents, plain, small_stages
):
    summaries = []
    for jobs in (0, 1, 2):
        output = tmp_path / str(jobs)
        summaries.append(extract(music, output, engine=LocalEngine(jobs)))
        assert contents(output) == plain
    assert summaries[0] == summaries[1] == summaries[2]


def test_one_worker_is_the_default():
    assert LocalEngine() == LocalEngine(1)


def test_a_collection_without_melodies_is_an_empty_store(tmp_path, write_tune, tune):
    write_tune(tmp_path / "midi" / "short.mid", tune(0, bars=3))
    summary = extract(tmp_path / "midi", tmp_path / "store")
    assert (summary.files, summary.rejected, summary.melodies, summary.tunes) == (1, 1, 0, 0)
    assert len(read_store(tmp_path / "store")) == 0
    assert read_table(tmp_path / "store").num_rows == 0


def test_the_callback_hears_of_every_stage(music, tmp_path, small_stages):
    heard = []
    extract(music, tmp_path / "store", callback=heard.append)
    assert heard == [
        *[Progress("reading", files, 12) for files in (4, 8, 12)],
        *[Progress("writing", part, 3) for part in (1, 2, 3)],
    ]


def test_one_pattern_alone_is_no_list_of_letters(music, tmp_path):
    extract(music, tmp_path / "store", exclude="deep/*")
    assert read_summary(tmp_path / "store")["exclude"] == ["deep/*"]


def test_wrong_arguments_are_refused_before_anything_is_written(music, tmp_path):
    for folder, options, text in [
        (tmp_path / "none", {}, "none is not a folder; give one that holds MIDI files"),
        (music, {"exclude": ["*"]}, r"holds no MIDI file \(\.kar, \.mid, \.midi, \.rmi\)"),
        (music, {"unique": "very"}, "unique must be one of exact, transposed, none, got 'very'"),
    ]:
        with pytest.raises(UsageError, match=text):
            extract(folder, tmp_path / "store", **options)
    assert list(tmp_path.iterdir()) == []


def test_names_of_any_bytes_are_text_in_the_store(tmp_path, write_tune, tune, rows_of, ledger):
    raw = b"caf\xe9\n\x1b[31m"
    hostile = os.fsdecode(raw)
    text = "caf\\xe9\n\x1b[31m"
    write_tune(tmp_path / "midi" / hostile / f"{hostile}.mid", tune(0))
    (tmp_path / "midi" / f"{hostile}.mid").write_bytes(b"not music")
    extract(tmp_path / "midi", tmp_path / "store", exclude=[f"{hostile}/none"])
    assert [row["file"] for row in rows_of(tmp_path / "store")] == [f"{text}/{text}.mid"]
    assert read_store(tmp_path / "store").files.tolist() == [f"{text}/{text}.mid"]
    assert [entry["file"] for entry in ledger(tmp_path / "store" / REJECTED)] == [f"{text}.mid"]
    names = hashlib.sha256(raw + b"/" + raw + b".mid\n" + raw + b".mid")
    assert read_summary(tmp_path / "store")["names"] == names.hexdigest()
    for name in (REJECTED, "extraction.json"):
        lines = (tmp_path / "store" / name).read_bytes().decode("ascii").split("\n")
        assert all(line.isprintable() for line in lines)


def test_a_file_that_breaks_off_is_recovered_as_far_as_it_goes(
    tmp_path, write_tune, tune, rows_of, ledger
):
    """Two notes are gone with the last 20 bytes, and some bars with the last 400."""
    for name, lost in [("a-cut.mid", 20), ("b-half.mid", 400)]:
        path = write_tune(tmp_path / "midi" / name, tune(0))
        path.write_bytes(path.read_bytes()[:-lost])
    write_tune(tmp_path / "midi" / "c-whole.mid", tune(1))
    summary = extract(tmp_path / "midi", tmp_path / "store")
    assert (summary.recovered, summary.accepted, summary.rejected) == (2, 2, 1)
    assert summary.reasons == {Reject.TOO_SHORT: 1}
    entries = ledger(tmp_path / "store" / "recovered.jsonl")
    assert [entry["file"] for entry in entries] == ["a-cut.mid", "b-half.mid"]
    for entry in entries:
        assert entry["detail"].startswith("not a MIDI file that can be parsed: ")
    assert [row["notes"] for row in rows_of(tmp_path / "store")] == [126, 128]


# Which melodies are the same


def test_a_second_file_with_the_same_melodies_is_named(tmp_path, write_tune, tune, ledger):
    """The tune, its copy and the same a third higher, of two windows each."""
    for name, shift in [("a.mid", 0), ("b.mid", 0), ("c.mid", 4)]:
        write_tune(tmp_path / "midi" / name, up(tune(0, bars=17), shift))
    seen = [("b.mid", "every melody seen before"), ("c.mid", "every melody seen before")]
    for unique, melodies, rejected in [
        ("exact", 4, seen[:1]),
        ("transposed", 2, seen),
        ("none", 6, []),
    ]:
        output = tmp_path / unique
        summary = extract(tmp_path / "midi", output, unique=unique)
        assert (summary.melodies, summary.dropped_windows[Drop.DUPLICATE]) == (
            melodies,
            6 - melodies,
        )
        assert [
            (entry["file"], entry["reason"]) for entry in ledger(output / REJECTED)
        ] == rejected
        assert summary.tunes == 1


def test_melodies_are_told_apart_over_all_tasks(tmp_path, write_tune, tune, small_stages):
    for number in range(20):
        write_tune(tmp_path / "midi" / f"{number:02d}.mid", tune(number % 9))
    summary = extract(tmp_path / "midi", tmp_path / "store")
    assert (summary.melodies, summary.reasons) == (9, {Reject.DUPLICATE: 11})
    files = read_store(tmp_path / "store").files.tolist()
    assert files == [f"{number:02d}.mid" for number in range(9)]


def test_windows_over_the_files_limit_are_counted(tmp_path, write_tune, tune):
    for number in range(3):
        write_tune(tmp_path / "midi" / f"{number}.mid", tune(number, bars=20))
    summary = extract(tmp_path / "midi", tmp_path / "store", WindowSettings(max_windows=2))
    assert (summary.melodies, summary.dropped_windows) == (6, {Drop.FILE_LIMIT: 9})
    bars = read_table(tmp_path / "store", columns=["start_bar"])
    assert bars["start_bar"].to_pylist() == [0, 4] * 3


# Tunes and sides


def own_split(path) -> str:
    """What the bytes of a file say that is a tune of its own."""
    share = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:8], "big") / 2**64
    return "test" if share < 0.05 else "validation" if share < 0.1 else "train"


def test_copies_of_a_tune_are_one_tune_on_one_side(tmp_path, write_tune, tune, rows_of):
    midi, theme, bass = tmp_path / "midi", tune(0), [pitch - 24 for pitch in tune(1)]
    for key in range(-24, 24):
        write_tune(midi / f"in-{key + 24:02d}.mid", up(theme, key))
    write_tune(midi / "slower.mid", theme, tempo=900_000)
    write_tune(midi / "with-bass.mid", theme, bass)
    write_tune(midi / "with-bass-on-top.mid", bass, up(theme, 7))
    write_tune(midi / "part-of-it.mid", tune(2, bars=14) + theme[:64])
    assert {own_split(path) for path in midi.iterdir()} == {"train", "validation", "test"}
    write_tune(midi / "z-other.mid", tune(3))
    summary = extract(midi, tmp_path / "store")
    rows = rows_of(tmp_path / "store")
    copies = [row for row in rows if row["file"] != "z-other.mid"]
    assert {row["tune"] for row in copies} == {0}
    assert len({row["split"] for row in copies}) == 1
    assert [row["tune"] for row in rows if row not in copies] == [len(list(midi.iterdir())) - 1]
    assert summary.tunes == 2


def test_figures_that_everybody_writes_make_no_tune(tmp_path, write_tune, tune):
    """Four bars of a broken chord are 32 notes in common, but of three pitches."""
    midi, chord = tmp_path / "midi", 4 * [48, 55, 52, 55, 48, 55, 52, 55]
    for number in range(3):
        write_tune(midi / f"{number}.mid", tune(number) + chord)
    assert extract(midi, tmp_path / "store", WindowSettings(max_span=36)).tunes == 3
    write_tune(midi / "theme.mid", tune(4, bars=14) + tune(1)[40:57] + tune(5))
    summary = extract(midi, tmp_path / "more", WindowSettings(max_span=36))
    assert (summary.accepted, summary.tunes) == (4, 3)  # 17 notes of one of them


def test_unrelated_tunes_fall_where_their_own_bytes_say(tmp_path, write_tune, tune, rows_of):
    midi = tmp_path / "midi"
    for number in range(60):
        write_tune(midi / f"{number:02d}.mid", tune(number, bars=18))
    summary = extract(midi, tmp_path / "store")
    rows = rows_of(tmp_path / "store")
    assert [row["tune"] for row in rows] == [number for number in range(60) for _ in range(3)]
    assert [row["split"] for row in rows] == [own_split(midi / row["file"]) for row in rows]
    assert summary.splits.keys() == {"train", "validation", "test"}
    for split, melodies in summary.splits.items():
        assert len(read_store(tmp_path / "store", split)) == melodies
    (tmp_path / "elsewhere").mkdir()
    moved = next(row for row in rows if row["split"] == "test")
    (midi / moved["file"]).rename(tmp_path / "elsewhere" / "renamed.mid")
    assert extract(tmp_path / "elsewhere", tmp_path / "moved").splits == {"test": 3}


# A zoo


TRAPPED = {"crash": b"crash", "eat": b"eat", "hang": b"hang"}
TRAPS = """
import ctypes, os, time
from melodyconstraints.datasets.melodies.files import LocalFolder

class TrappedFolder(LocalFolder):
    '''Some of its files break those that read them.'''

    def read(self, name, max_bytes):
        data = super().read(name, max_bytes)
        if data == b"crash":
            ctypes.string_at(0)
        if data == b"eat":
            raise MemoryError
        if data == b"hang":
            with open(f"{self.root}/new", "w") as file:
                file.write(str(os.getpid()))
            os.rename(f"{self.root}/new", f"{self.root}/hanging")
            time.sleep(60)
        return data
"""


@pytest.fixture
def trapped(tmp_path, monkeypatch):
    """The folder of traps, where spawned processes find it; time flies while one hangs."""
    (tmp_path / "traps").mkdir()
    (tmp_path / "traps" / "traps.py").write_text(TRAPS)
    monkeypatch.syspath_prepend(str(tmp_path / "traps"))
    folder = import_module("traps").TrappedFolder(str(tmp_path / "midi"))
    away, flag = 0.0, tmp_path / "midi" / "hanging"

    def clock():
        nonlocal away
        if flag.exists() and psutil.pid_exists(int(flag.read_text())):
            away += 1.0
        return time.monotonic() + away

    monkeypatch.setattr(workers, "monotonic", clock)
    monkeypatch.setattr(extract_store_module, "open_folder", lambda place: folder)
    return folder


REASONS = {
    "again.mid": Reject.DUPLICATE,
    "crash.mid": Reject.CRASHED,
    "crowd.mid": Reject.TOO_MANY_NOTES,
    "drums.mid": Reject.ONLY_DRUMS,
    "eat.mid": Reject.MEMORY,
    "garbage.mid": Reject.UNREADABLE,
    "hang.mid": Reject.TIME,
    "huge.mid": Reject.TOO_LARGE,
    "monotone.mid": Reject.FILTERED,
    "short.mid": Reject.TOO_SHORT,
    "silent.mid": Reject.NO_NOTES,
    "waltz.mid": Reject.NO_FOUR_FOUR,
}


def write_a_file_for_each_reason(midi, write_tune, tune):
    write_tune(midi / "a-tune.mid", tune(0, bars=18))
    write_tune(midi / "m-tune.mid", tune(1), tune(2))
    write_tune(midi / "z-tune.mid", tune(3))
    write_tune(midi / "again.mid", tune(0, bars=17))
    write_tune(midi / "crowd.mid", *(tune(10 + part) for part in range(3)))
    write_tune(midi / "drums.mid", tune(4), channel=9)
    write_tune(midi / "monotone.mid", [60] * 128)
    write_tune(midi / "short.mid", tune(5, bars=15))
    write_tune(midi / "silent.mid", [])
    write_tune(midi / "waltz.mid", tune(6), metre=(3, 4))
    (midi / "huge.mid").write_bytes(bytes(5_001))
    for name, content in [("garbage", b"this is not music"), *TRAPPED.items()]:
        (midi / f"{name}.mid").write_bytes(content)


def test_each_file_that_gave_nothing_has_one_of_the_closed_list_of_reasons(
    tmp_path, write_tune, tune, trapped, rows_of, ledger
):
    midi = tmp_path / "midi"
    write_a_file_for_each_reason(midi, write_tune, tune)
    limits = FileLimits(max_bytes=5_000, max_notes=300)
    summary = extract(midi, tmp_path / "store", limits=limits, engine=LocalEngine(1))
    entries = ledger(tmp_path / "store" / REJECTED)
    assert {entry["file"]: entry["reason"] for entry in entries} == REASONS
    assert set(REASONS.values()) == set(Reject)
    assert summary.reasons == dict.fromkeys(map(str, Reject), 1)
    assert (summary.files, summary.accepted, summary.rejected) == (15, 3, 12)
    details = {entry["file"]: entry["detail"] for entry in entries if "detail" in entry}
    assert details.pop("garbage.mid").startswith("not a MIDI file that can be parsed")
    assert details == {
        "crowd.mid": "384 notes; at most 300 are taken",
        "huge.mid": "5,001 bytes; at most 5,000 are read",
    }
    assert [(row["file"], row["track"]) for row in rows_of(tmp_path / "store")] == [
        *[("a-tune.mid", 0)] * 3,
        *[("m-tune.mid", part) for part in range(2)],
        ("z-tune.mid", 0),
    ]
    assert summary.dropped_windows == {Drop.DUPLICATE: 2, Drop.FEW_PITCHES: 1}


def test_folders_out_of_reach_cost_a_line_each_and_are_counted(
    tmp_path, monkeypatch, write_tune, tune, ledger
):
    """Root may list everything, so the refusal is played."""
    midi, far = tmp_path / "midi", tmp_path / "far"
    write_tune(midi / "a.mid", tune(0))
    write_tune(midi / "lost+found" / "b.mid", tune(1))
    write_tune(far / "c.mid", tune(2))
    (midi / "link").symlink_to(far, target_is_directory=True)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("lost+found"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    summary = extract(midi, tmp_path / "store")
    assert (summary.files, summary.accepted) == (1, 1)
    assert (summary.unlisted_folders, summary.linked_folders) == (1, 1)
    assert ledger(tmp_path / "store" / "folders.jsonl") == [
        {"folder": "link", "detail": "a link to a folder, not followed"},
        {"folder": "lost+found", "detail": "cannot be listed: Permission denied"},
    ]
    summary = extract(midi, tmp_path / "other", exclude=["lost+found*", "link/*"])
    assert (summary.unlisted_folders, summary.linked_folders) == (0, 0)
    assert ledger(tmp_path / "other" / "folders.jsonl") == []


def test_a_packed_file_gives_the_same_as_the_plain_one(tmp_path, write_tune, tune, rows_of):
    plain_file = write_tune(tmp_path / "midi" / "a.mid", tune(0))
    packed = tmp_path / "packed" / "a.mid.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(plain_file.read_bytes()))
    for folder in ("midi", "packed"):
        extract(tmp_path / folder, tmp_path / f"{folder}-store")
    [row], [other] = (rows_of(tmp_path / f"{folder}-store") for folder in ("midi", "packed"))
    assert other == row | {"file": "a.mid.gz"}


@pytest.mark.parametrize(("limit", "compiled"), [(10**6, False), (0, True)])
def test_files_that_are_not_few_are_read_by_compiled_loops(
    music, tmp_path, monkeypatch, limit, compiled
):
    """Compiled before the first file is begun, so that no file is charged for it; else nowhere."""
    calls, prepared, run = [], [], LocalEngine.run

    def watched(engine, handle, tasks, limits, prepare):
        prepared.append(prepare is not None)
        return run(engine, handle, tasks, limits, prepare)

    monkeypatch.setattr(LocalEngine, "run", watched)
    monkeypatch.setattr(extract_store_module, "_INTERPRETED_BYTES", limit)
    monkeypatch.setattr(
        extract_store_module, "compile_loops", lambda *chosen: calls.append(chosen)
    )
    extract(music, tmp_path / "store", WindowSettings(polyphony="onset"), unique="transposed")
    assert calls == [("onset", "transposed")] * compiled
    assert prepared == [compiled]  # what new processes do first


def test_workers_that_are_copies_and_new_processes_give_the_same(music, tmp_path, contents):
    """While another thread runs, no worker is a copy."""
    extract(music, tmp_path / "copies", engine=LocalEngine(2))
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        extract(music, tmp_path / "new", engine=LocalEngine(2))
    finally:
        done.set()
        thread.join()
    assert contents(tmp_path / "copies") == contents(tmp_path / "new")
