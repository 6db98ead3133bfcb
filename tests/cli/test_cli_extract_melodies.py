"""``mc extract-melodies``."""

import json

import pytest

from melodyconstraints.datasets.store import read_store
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi import write_melody

SCALE = (60, 62, 64, 65, 67, 69, 71, 72)
TUNE = Melody.from_notes([(4 * i, 4, SCALE[i % 8]) for i in range(64)])
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
    return mc("extract-melodies", "midi", "--jobs", 1, *options)


def test_unique_melodies_come_into_the_store(mc, midi, tmp_path):
    result = extract(mc, "-o", "store")
    assert result.exit_code == 0
    assert result.stderr.endswith("2 melodies in store\n")
    stored = read_store(tmp_path / "store")
    assert set(stored.melodies) == {TUNE, OTHER}
    assert stored.files.tolist() == ["airs/tune.mid", "other.mid"]


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
    splits = told.pop("splits")
    assert sum(splits.values()) == 2
    assert told == {
        "files": 5,
        "accepted": 2,
        "rejected": 3,
        "melodies": 2,
        "reasons": {
            "unreadable": 1,
            "every melody seen before": 1,
            "no window passed the filters": 1,
        },
        "dropped_windows": {"seen before": 1, "too few pitches": 1},
    }
    assert (
        json.loads((tmp_path / "melodies" / "extraction.json").read_text())["counts"]["melodies"]
        == 2
    )


@pytest.mark.parametrize(
    ("options", "melodies"),
    [
        (["--exclude", "airs/*", "--exclude", "copy*"], {OTHER}),
        (["--min-pitches", 1], {TUNE, OTHER, MONOTONE}),
        (["--min-notes", 33], {TUNE}),
        (["--max-span", 11], {OTHER}),
    ],
    ids=str,
)
def test_options_decide_what_is_a_melody(mc, midi, tmp_path, options, melodies):
    assert extract(mc, "-o", "store", *options).exit_code == 0
    assert set(read_store(tmp_path / "store").melodies) == melodies


def test_the_kind_of_polyphony_is_kept_in_the_store(mc, midi, tmp_path):
    extract(mc, "-o", "store", "--polyphony", "onset")
    settings = json.loads((tmp_path / "store" / "extraction.json").read_text())["settings"]
    assert settings["polyphony"] == "onset"


def test_a_store_is_replaced_only_on_demand(mc, midi, tmp_path):
    extract(mc)
    result = extract(mc)
    assert result.exit_code == 2
    assert "melodies already holds a melody store; pass --overwrite to replace it" in result.stderr
    assert extract(mc, "--overwrite", "--min-notes", 33).exit_code == 0
    assert len(read_store(tmp_path / "melodies")) == 1


def test_a_folder_of_other_files_is_never_replaced(mc, midi):
    result = extract(mc, "-o", "midi", "--overwrite")
    assert result.exit_code == 2
    assert "midi exists and is not a melody store; choose another folder" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none is not a folder; give one that holds MIDI files"),
        (["empty"], "empty holds no MIDI file"),
        (["midi", "--jobs", "0"], "0 is not in the range x>=1"),
        (["midi", "--polyphony", "lowest"], "'lowest' is not one of 'skyline', 'onset'"),
        ([], "Missing argument 'MIDI_DIR'"),
    ],
)
def test_wrong_usage_is_told(mc, midi, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    result = mc("extract-melodies", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
