"""``mc score``."""

import gzip
import json
import os
import subprocess
import sys

import mido
import pytest

from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.writing import write_melody

C_MAJOR = Melody.from_notes([(4 * i, 4, 60 + step) for i, step in enumerate((0, 2, 4, 5, 7, 9))])
HALF = Melody.from_notes([(0, 4, 60), (4, 4, 61), (32, 4, 62), (36, 4, 63)])


@pytest.fixture
def songs(tmp_path):
    """A folder of two melodies, C major and half in C major."""
    folder = tmp_path / "songs"
    (folder / "deep").mkdir(parents=True)
    write_melody(C_MAJOR, folder / "a.mid")
    write_melody(HALF, folder / "deep" / "b.mid")
    return folder


def test_the_table_has_a_row_a_file_and_a_column_a_rule(mc, table, songs):
    result = mc("score", "songs", "--rule", "cmajor", "--density", 8)
    assert (result.exit_code, result.stderr) == (0, "")
    assert table(result.stdout) == [
        ["file", "track", "bars", "notes", "cmajor", "density:8"],
        ["songs/a.mid", "Melody", "1-2 of 2", "6", "1", "0.750"],
        ["songs/deep/b.mid", "Melody", "1-3 of 3", "4", "0.500", "0.500"],
    ]


def test_a_reward_just_below_one_does_not_read_as_one(mc, table, songs, tmp_path):
    (tmp_path / "mine.py").write_text("def almost(melody):\n    return 0.9996\n")
    result = mc("score", "songs/a.mid", "--rule", "mine.py:almost")
    assert table(result.stdout)[1][-1] == "0.999"


def test_json_holds_the_same_numbers(mc, songs):
    result = mc("score", "songs", "--rule", "cmajor", "--density", 8, "--json")
    assert json.loads(result.stdout) == {
        "melodies": [
            {
                "file": "songs/a.mid",
                "track": "Melody",
                "bars": 2,
                "first_bar": 1,
                "last_bar": 2,
                "notes": 6,
                "off_grid": 0.0,
                "rewards": {"cmajor": 1.0, "density:8": 0.75},
            },
            {
                "file": "songs/deep/b.mid",
                "track": "Melody",
                "bars": 3,
                "first_bar": 1,
                "last_bar": 3,
                "notes": 4,
                "off_grid": 0.0,
                "rewards": {"cmajor": 0.5, "density:8": 0.5},
            },
        ],
        "failed": 0,
    }


def test_of_a_longer_file_the_best_16_bars_are_scored_or_those_asked_for(
    mc, table, make_midi, tmp_path
):
    white = [(bar * 4, bar * 4 + 4, 60 + [0, 2, 4, 5, 7][bar % 5]) for bar in range(8, 40)]
    both = [*white, *((bar * 4, bar * 4 + 4, 61) for bar in range(40, 48))]
    bass = [(start, end, pitch - 23) for start, end, pitch in both]
    make_midi(tmp_path / "song.mid", [(0, "Bass", bass), (1, "Tune", both)])

    def row(*options):
        result = mc("score", "song.mid", "--rule", "cmajor", *options)
        assert result.exit_code == 0
        return table(result.stdout)[1][1:]

    assert row() == ["Tune", "9-24 of 48", "16", "1"]
    assert row("--bar", 33) == ["Tune", "33-48 of 48", "16", "0.500"]
    assert row("--track", "bass")[:2] == ["Bass", "9-24 of 48"]
    assert row("--track", 2, "--polyphony", "onset")[0] == "Tune"


def test_files_are_scored_in_the_order_given(mc, table, songs):
    result = mc("score", "songs/deep/b.mid", "songs/a.mid", "--rule", "density:4")
    assert [row[0] for row in table(result.stdout)[1:]] == ["songs/deep/b.mid", "songs/a.mid"]


def test_a_broken_file_is_told_in_one_line_and_the_others_are_scored(mc, table, songs):
    (songs / "aa.mid").write_bytes(b"not music")
    result = mc("score", "songs", "--rule", "cmajor")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: songs/aa.mid: ")
    assert result.stderr.count("\n") == 1
    assert [row[0] for row in table(result.stdout)[1:]] == ["songs/a.mid", "songs/deep/b.mid"]
    told = json.loads(mc("score", "songs", "--rule", "cmajor", "--json").stdout)
    assert (told["failed"], len(told["melodies"])) == (1, 2)


def test_broken_files_alone_leave_no_table(mc, songs):
    (songs / "a.mid").write_bytes(b"MThd")
    result = mc("score", "songs/a.mid", "--rule", "cmajor")
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_rule_that_raises_shows_where(mc, songs, tmp_path):
    (tmp_path / "mine.py").write_text("def broken(melody):\n    return melody.chords\n")
    result = mc("score", "songs", "--rule", "mine.py:broken")
    assert result.exit_code == 1
    assert "in broken\n    return melody.chords" in result.stderr
    assert "Error: rule mine.py:broken raised AttributeError" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["songs"], "give at least one --rule or --density"),
        (["--rule", "cmajor"], "Missing argument 'PATHS...'"),
        (["none.mid", "--rule", "cmajor"], "Path 'none.mid' does not exist"),
        (["songs", "--rule", "cmajr"], "there is no rule 'cmajr'; did you mean cmajor?"),
        (["songs", "--rule", "cmajor", "--bar", "0"], "0 is not in the range x>=1"),
        (["songs", "--density", "257"], "density must be a whole number from 0 to 256, got '257'"),
        (["empty", "--rule", "cmajor"], "empty holds no MIDI file"),
    ],
)
def test_wrong_usage_is_told(mc, songs, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    result = mc("score", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


CHATTY = """
import os
print("imported")

def chatty(melody):
    print("notes:", len(melody))
    os.system("echo shell")
    return len(melody) / 8

def ends(melody):
    exit(0)

def shows(melody):
    import matplotlib.pyplot as plot
    plot.plot([1, 2])
    plot.show()
    return 1
"""


def test_what_a_rule_prints_is_not_in_the_json(mc, songs, tmp_path):
    (tmp_path / "mine.py").write_text(CHATTY, encoding="utf-8")
    program = "from melodyconstraints.cli.main import main; main()"
    command = [sys.executable, "-c", program, "score", "songs/a.mid", "--json"]
    rules = ["--rule", "mine.py:chatty", "--rule", "mine.py:shows"]
    done = subprocess.run([*command, *rules], cwd=tmp_path, capture_output=True, text=True)
    assert json.loads(done.stdout)["melodies"][0]["rewards"] == {
        "mine.py:chatty": 0.75,
        "mine.py:shows": 1.0,
    }
    assert done.stderr.splitlines()[:3] == ["imported", "notes: 6", "shell"]


def test_a_rule_that_ends_the_program_is_an_error(mc, songs, tmp_path):
    (tmp_path / "mine.py").write_text(CHATTY, encoding="utf-8")
    result = mc("score", "songs/a.mid", "--rule", "mine.py:ends")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Error: rule mine.py:ends raised SystemExit: 0 for melody 1 of 1" in result.stderr


def test_pipes_devices_and_endless_files_are_refused_in_a_line_each(mc, table, songs, tmp_path):
    os.mkfifo(songs / "pipe.mid")
    (songs / "zero.mid").symlink_to("/dev/zero")
    with (songs / "vast.mid").open("wb") as file:
        file.truncate(2**40)
    os.mkfifo(tmp_path / "alone.mid")
    result = mc("score", "songs", "alone.mid", "--rule", "cmajor")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: songs/pipe.mid: cannot be read: it is not a regular file",
        "Error: songs/vast.mid: 1,099,511,627,776 bytes; at most 16,777,216 are read",
        "Error: songs/zero.mid: cannot be read: it is not a regular file",
        "Error: alone.mid: cannot be read: it is not a regular file",
    ]
    assert [row[0] for row in table(result.stdout)] == ["file", "songs/a.mid", "songs/deep/b.mid"]


def test_folders_out_of_reach_are_told_and_one_that_is_unreadable_is_a_failure(
    mc, songs, tmp_path, monkeypatch
):
    (songs / "link").symlink_to(tmp_path / "songs", target_is_directory=True)
    result = mc("score", "songs", "--rule", "cmajor", "--json")
    assert result.stderr == "Note: songs/link: a link to a folder, not followed\n"
    assert (result.exit_code, json.loads(result.stdout)["failed"]) == (0, 0)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = mc("score", "songs", "--rule", "cmajor", "--json")
    assert "Error: songs/deep: cannot be listed: Permission denied\n" in result.stderr
    assert (result.exit_code, json.loads(result.stdout)["failed"]) == (1, 1)


def test_json_holds_no_lone_surrogates(mc, tmp_path):
    write_melody(C_MAJOR, tmp_path / "caf\udce9.mid")  # b"caf\xe9.mid" on disk
    result = mc("score", ".", "--rule", "cmajor", "--json")
    (row,) = json.loads(result.stdout)["melodies"]
    assert row["file"] == r"caf\xe9.mid"


def test_a_packed_file_is_scored(mc, songs):
    packed = gzip.compress((songs / "a.mid").read_bytes())
    (songs / "deep" / "c.mid.gz").write_bytes(packed)
    result = mc("score", "songs/deep/c.mid.gz", "songs/a.mid", "--rule", "cmajor", "--json")
    first, second = json.loads(result.stdout)["melodies"]
    assert first == second | {"file": "songs/deep/c.mid.gz"}


def test_triplets_that_the_grid_does_not_fit_are_told(mc, tmp_path):
    track = mido.MidiTrack()
    for number in range(3 * 64):
        track.append(mido.Message("note_on", note=60 + number % 3, velocity=80))
        track.append(mido.Message("note_off", note=60 + number % 3, time=160))
    file = mido.MidiFile(tracks=[track])
    file.save(tmp_path / "triplets.mid")
    result = mc("score", tmp_path / "triplets.mid", "--rule", "cmajor", "--json")
    assert "67% of its onsets moved by more than a 64th" in result.stderr
    assert json.loads(result.stdout)["melodies"][0]["off_grid"] == pytest.approx(2 / 3)
