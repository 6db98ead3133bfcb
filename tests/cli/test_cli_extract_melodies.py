"""``mc extract-melodies``."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import mido
import pytest

from melodyconstraints.datasets.melodies.extraction import Reject
from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.writing import write_melody

SCALE = (60, 62, 64, 65, 67, 69, 71, 72)
TUNE = Melody.from_notes([(4 * i, 4, SCALE[i % 8]) for i in range(64)])
HIGHER = Melody.from_notes([(4 * i, 4, SCALE[i % 8] + 2) for i in range(64)])
OTHER = Melody.from_notes([(8 * i, 8, SCALE[3 * i % 7]) for i in range(32)])
MONOTONE = Melody.from_notes([(4 * i, 4, 60) for i in range(64)])


@pytest.fixture
def midi(tmp_path):
    """Two tunes, one of them twice, one that the filters refuse and one that is broken."""
    folder = tmp_path / "midi"
    (folder / "airs").mkdir(parents=True)
    for name, melody in (
        ("airs/tune.mid", TUNE),
        ("copy.mid", TUNE),
        ("other.mid", OTHER),
        ("monotone.mid", MONOTONE),
    ):
        write_melody(melody, folder / name)
    (folder / "broken.mid").write_bytes(b"not music")
    return folder


def extract(mc, *options):
    return mc("extract-melodies", "midi", "--jobs", 0, *options)


def summary_of(store):
    return json.loads((store / "extraction.json").read_text())


# What comes out


def test_unique_melodies_come_into_the_store(mc, midi, tmp_path):
    result = extract(mc, "-o", "store")
    assert result.exit_code == 0
    assert result.stderr.endswith("2 melodies of 2 tunes in store\n")
    stored = read_store(tmp_path / "store")
    assert set(stored.melodies) == {TUNE, OTHER}
    assert stored.files.tolist() == ["airs/tune.mid", "other.mid"]


def test_a_worker_does_the_same(mc, midi, tmp_path):
    assert extract(mc, "-o", "here").exit_code == 0
    assert mc("extract-melodies", "midi", "-o", "there", "--jobs", 1).exit_code == 0
    for path in (tmp_path / "here").iterdir():
        assert (tmp_path / "there" / path.name).read_bytes() == path.read_bytes()


def test_the_table_counts_every_file_and_window(mc, table, midi):
    rows = table(extract(mc).stdout)
    assert rows[:2] == [["files", "5"], ["accepted", "2"]]
    assert sorted(rows[2:5]) == [
        ["every melody seen before", "1"],
        ["no window passed the filters", "1"],
        ["unreadable", "1"],
    ]
    assert rows[5:7] == [["16-bar windows", "4"], ["melodies", "2"]]
    assert sorted(rows[7:]) == [["seen before", "1"], ["too few pitches", "1"]]


def test_json_counts_the_same(mc, midi, tmp_path):
    result = extract(mc, "--json")
    told = json.loads(result.stdout)
    assert told == summary_of(tmp_path / "melodies")["counts"]
    assert sum(told.pop("splits").values()) == 2
    assert told == {
        "files": 5,
        "accepted": 2,
        "rejected": 3,
        "recovered": 0,
        "unlisted_folders": 0,
        "linked_folders": 0,
        "melodies": 2,
        "tunes": 2,
        "onsets": 3 * 64 + 32,
        "off_grid": 0,
        "reasons": {
            "unreadable": 1,
            "every melody seen before": 1,
            "no window passed the filters": 1,
        },
        "dropped_windows": {"seen before": 1, "too few pitches": 1},
    }


@pytest.mark.parametrize(
    ("options", "melodies"),
    [
        (["--exclude", "airs/*", "--exclude", "copy*"], {OTHER}),
        (["--min-pitches", 1], {TUNE, OTHER, MONOTONE}),
        (["--min-notes", 33], {TUNE}),
        (["--max-span", 11], {OTHER}),
        (["--lowest", 61], set()),
        (["--highest", 71], {OTHER}),
        (["--max-notes", 33], {OTHER}),
        (["--polyphony", "onset"], {TUNE, OTHER}),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_options_decide_what_is_a_melody(mc, midi, tmp_path, options, melodies):
    assert extract(mc, "-o", "store", *options).exit_code == 0
    assert set(read_store(tmp_path / "store").melodies) == melodies


@pytest.mark.parametrize(("unique", "files"), [("exact", 4), ("transposed", 3), ("none", 5)])
def test_melodies_may_be_unique_in_any_key_or_not_at_all(mc, midi, tmp_path, unique, files):
    write_melody(HIGHER, midi / "third.mid")
    assert extract(mc, "--unique", unique, "--min-pitches", 1).exit_code == 0
    assert len(read_store(tmp_path / "melodies")) == files


def test_every_setting_is_kept_in_the_store(mc, midi, tmp_path):
    options = {
        "polyphony": "onset",
        "min-notes": 17,
        "min-pitches": 4,
        "max-silence-steps": 16,
        "lowest": 30,
        "highest": 100,
        "max-span": 36,
        "max-off-grid": 0.25,
        "max-windows": 9,
    }
    limits = {"max-notes": 5000, "max-size": 2, "max-memory": 100, "max-seconds": 1.5}
    flat = [part for name, value in (options | limits).items() for part in (f"--{name}", value)]
    assert extract(mc, *flat, "--unique", "none", "--exclude", "*.kar").exit_code == 0
    told = summary_of(tmp_path / "melodies")
    assert told["settings"] == {name.replace("-", "_"): v for name, v in options.items()}
    assert told["limits"] == {
        "seconds": 1.5,
        "memory_bytes": 100 * 2**20,
        "max_bytes": 2 * 2**20,
        "max_notes": 5000,
    }
    assert (told["unique"], told["exclude"]) == ("none", ["*.kar"])


def test_a_file_that_is_too_large_costs_a_line(mc, midi, tmp_path):
    (midi / "huge.mid").write_bytes(bytes(2**20 + 1))
    told = json.loads(extract(mc, "--max-size", 1, "--json").stdout)
    assert (told["files"], told["reasons"][Reject.TOO_LARGE]) == (6, 1)
    ledger = (tmp_path / "melodies" / "rejected.jsonl").read_text().splitlines()
    assert {
        "file": "huge.mid",
        "reason": "too many bytes",
        "detail": "1,048,577 bytes; at most 1,048,576 are read",
    } in map(json.loads, ledger)


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=str)
def test_hostile_names_never_reach_the_terminal(mc, midi, tmp_path, as_json):
    hostile = os.fsdecode(b"\x1b[31m\xff\n\x07")
    (midi / hostile).mkdir()
    write_melody(MONOTONE, midi / hostile / f"{hostile}.mid")
    (midi / f"{hostile}.mid").write_bytes(b"\x1b[31m")
    result = extract(mc, "--min-pitches", 1, *as_json)
    assert result.exit_code == 0
    for line in (result.stdout + result.stderr).split("\n"):
        assert line.replace("\t", "").isprintable(), line
    for path in (tmp_path / "melodies").glob("*.json*"):
        assert all(map(str.isprintable, path.read_text("ascii").split("\n")))
    files = read_store(tmp_path / "melodies").files.tolist()
    assert "\x1b[31m\\xff\n\x07/\x1b[31m\\xff\n\x07.mid" in files


def test_a_hostile_folder_that_cannot_be_listed_is_told_in_a_harmless_line(mc, midi, monkeypatch):
    hostile, scandir = "\x1b[31m\n\x07", os.scandir
    (midi / hostile).mkdir()

    def refuse(path):
        if str(path).endswith(hostile):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = extract(mc)
    assert result.exit_code == 0
    assert "\n�[31m��: cannot be listed: Permission denied\n" in result.stderr
    assert all(map(str.isprintable, result.stderr.split("\n")))
    assert "folders that cannot be listed" in result.stdout


def test_twenty_folders_are_named_and_the_rest_counted(mc, midi, tmp_path):
    (tmp_path / "far").mkdir()
    for number in range(23):
        (midi / f"link-{number:02}").symlink_to(tmp_path / "far", target_is_directory=True)
    lines = extract(mc).stderr.splitlines()
    told = [line for line in lines if "link" in line]
    assert told == [f"link-{number:02}: a link to a folder, not followed" for number in range(20)]
    assert "3 more folders in melodies/folders.jsonl" in lines


def test_the_share_of_onsets_off_the_grid_is_told(mc, tmp_path):
    """16 bars of triplets of eighths."""
    track = mido.MidiTrack()
    for number in range(64):
        for pitch in (60 + number % 7, 67, 69):
            track.append(mido.Message("note_on", note=pitch))
            track.append(mido.Message("note_off", note=pitch, time=160))
    (tmp_path / "midi").mkdir()
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(tmp_path / "midi" / "triplets.mid")
    told = "66.7% of the onsets moved by more than a 64th (--max-off-grid)"
    result = extract(mc)
    assert told in result.stderr
    assert len(read_store(tmp_path / "melodies")) == 1
    result = extract(mc, "--max-off-grid", 0.5, "--overwrite")
    assert "off the grid" in result.stdout
    assert len(read_store(tmp_path / "melodies")) == 0


# What is in the way


def test_a_store_is_replaced_only_on_demand(mc, midi, tmp_path):
    extract(mc)
    result = extract(mc)
    assert result.exit_code == 2
    assert "melodies already holds a melody store; pass --overwrite to replace it" in result.stderr
    assert extract(mc, "--overwrite", "--min-notes", 33).exit_code == 0
    assert len(read_store(tmp_path / "melodies")) == 1


def test_a_finished_store_is_not_made_again(mc, midi, tmp_path):
    first = extract(mc, "--json")
    (midi / "other.mid").write_bytes(b"not read any more")
    again = extract(mc, "--json", "--resume")
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    result = extract(mc, "--resume", "--min-notes", 33)
    assert result.exit_code == 2
    assert (
        "melodies holds a finished store of other files or settings; pass --over" in result.stderr
    )


def test_a_folder_of_other_files_is_never_replaced(mc, midi):
    result = extract(mc, "-o", "midi", "--overwrite")
    assert result.exit_code == 2
    assert "midi exists and is not a melody store; choose another folder" in result.stderr


def test_a_place_that_cannot_be_written_is_an_error_of_one_line(mc, midi, tmp_path):
    result = extract(mc, "-o", "midi/other.mid/store")
    assert (result.exit_code, result.stdout) == (1, "")
    place = tmp_path / "midi" / "other.mid" / "store.unfinished"
    assert result.stderr.splitlines()[-1] == f"Error: {place}: Not a directory"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none is not a folder; give one that holds MIDI files"),
        (["empty"], "empty holds no MIDI file"),
        (["bogus://place"], "bogus://place is no place that can be read"),
        (["midi", "--jobs", "-1"], "-1 is not in the range x>=0"),
        (["midi", "--polyphony", "lowest"], "'lowest' is not one of 'skyline', 'onset'"),
        (["midi", "--unique", "very"], "'very' is not one of 'exact', 'transposed', 'none'"),
        (["midi", "--engine", "steam"], "'steam' is not one of 'local', 'ray'"),
        (["midi", "--max-seconds", "0"], "0.0 is not in the range x>0"),
        (["midi", "--max-windows", "0"], "0 is not in the range x>=1"),
        (["midi", "--highest", "20"], "highest must be from 21 to 127, got 20"),
        (["midi", "--min-notes", "257"], "min_notes must be from 1 to 256, got 257"),
        ([], "Missing argument 'MIDI_DIR'"),
    ],
)
def test_wrong_usage_is_told(mc, midi, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    result = mc("extract-melodies", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(tmp_path.glob("melodies*"))


# Programs of their own


WITHOUT_SLOW = """
import sys
from melodyconstraints.cli.main import main

try:
    main()
finally:
    slow = {"torch", "note_seq", "pretty_midi", "matplotlib", "ray", "numba", "pandas"}
    print(slow & set(sys.modules))
"""


def test_what_is_slow_to_load_is_not_loaded_for_a_few_files(midi, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_SLOW, "extract-melodies", "midi", "--jobs", "0", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    told, loaded = run.stdout[:-1].rsplit("\n", 1)
    assert json.loads(told)["melodies"] == 2
    assert loaded == "set()"


MC = """
import os, signal, sys
from melodyconstraints.cli.main import main
from melodyconstraints.datasets.melodies.spool import Spool

def write(spool, number, results):
    original(spool, number, results)
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)

original = Spool.write
if __name__ == "__main__":
    Spool.write = write
    main()
"""


def test_a_program_that_is_killed_goes_on_with_resume(mc, tmp_path):
    """600 files are three tasks; it is killed when two are done."""
    melodies = [
        Melody.from_notes([(4 * i, 4, 40 + (i * i * step + i) % 23) for i in range(64)])
        for step in range(1, 31)
    ]
    (tmp_path / "midi").mkdir()
    for number in range(600):
        write_melody(melodies[number % 30], tmp_path / "midi" / f"{number:03d}.mid")
    (tmp_path / "mc.py").write_text(MC)
    run = subprocess.run(
        [sys.executable, "mc.py", "extract-melodies", "midi", "--jobs", "1"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
    )
    assert (run.returncode, run.stdout) == (-signal.SIGKILL, b"")
    spool = tmp_path / "melodies.unfinished" / "spool"
    assert sorted(path.name for path in spool.glob("task-*")) == [
        "task-0000000",
        "task-0000001",
    ]
    assert not (tmp_path / "melodies").exists()
    result = extract(mc)
    assert result.exit_code == 2
    assert (
        f"{tmp_path}/melodies.unfinished holds an unfinished extraction; pass --resume to go on "
        "with it, or --overwrite to begin anew"
    ) in result.stderr
    assert extract(mc, "--resume").exit_code == 0
    assert not (tmp_path / "melodies.unfinished").exists()
    assert extract(mc, "-o", "undisturbed").exit_code == 0
    undisturbed = {path.name: path.read_bytes() for path in (tmp_path / "undisturbed").iterdir()}
    assert {p.name: p.read_bytes() for p in (tmp_path / "melodies").iterdir()} == undisturbed
    assert len(read_store(tmp_path / "melodies")) == len(set(melodies))


def test_a_few_files_need_neither_numba_nor_pandas_nor_torch(midi, tmp_path):
    """Each takes longer to load than the files to read."""
    program = (
        "import sys; from melodyconstraints.cli.main import main; "
        "main(sys.argv[1:], standalone_mode=False); "
        "sys.exit(', '.join({'numba', 'pandas', 'torch', 'scipy'} & sys.modules.keys()) or 0)"
    )
    for jobs in ("0", "1"):
        command = ["extract-melodies", str(midi), "-o", str(tmp_path / jobs), "--jobs", jobs]
        done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
