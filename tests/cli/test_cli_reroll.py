"""``mc reroll``: kept bars are the file's, the others are new, and rules are asked of all."""

import json

import numpy as np
import pytest

from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.melody.vae.checkpoint import load_model
from melodyconstraints.workflows.reroll import reroll

WHITE = (60, 62, 64, 65, 67, 69, 71)


@pytest.fixture
def song(make_midi, tmp_path):
    """16 bars of quarters on white keys but for bar 9, at 90."""
    notes = [(beat, beat + 1, WHITE[beat * 5 % 7] + (beat // 4 == 8)) for beat in range(64)]
    return make_midi(tmp_path / "song.mid", [(0, "Tune", notes)], tempo=90)


def written(folder):
    return [read_melody(path) for path in sorted(folder.glob("melody-*.mid"))]


def test_kept_bars_come_back_note_for_note_and_others_are_those_of_python(
    mc, song, tiny_model_folder, tmp_path
):
    result = mc(
        *("reroll", "song.mid", "--model", tiny_model_folder, "-o", "ideas", "-n", 3),
        *("--keep-bars", "1-4,9", "--seed", 5, "--strength", 0.5),
    )
    assert result.exit_code == 0
    tune = read_melody(song).melody
    options = {"keep_bars": {1, 2, 3, 4, 9}, "strength": 0.5, "seed": 5}
    expected = reroll(load_model(tiny_model_folder), tune, 3, **options)
    found = written(tmp_path / "ideas")
    assert [one.melody for one in found] == list(expected)
    kept = [0, 1, 2, 3, 8]
    assert all(np.array_equal(one.melody.bars[kept], tune.bars[kept]) for one in found)
    assert {round(one.tempo) for one in found} == {90}
    assert read_melody(tmp_path / "ideas" / "original.mid").melody == tune
    manifest = json.loads((tmp_path / "ideas" / "manifest.json").read_text())
    assert (manifest["keep_bars"], manifest["strength"]) == ([1, 2, 3, 4, 9], 0.5)
    assert [entry["notes"] for entry in manifest["melodies"]] == [len(one) for one in expected]


def test_rules_are_asked_of_kept_and_new_bars_together(mc, song, table, tmp_path):
    result = mc(
        *("reroll", "song.mid", "--keep-bars", "1-4", "--scale", "C,D,E,F,G,A,B", "-n", 2),
        *("-o", "ideas", "--plot"),
    )
    assert result.exit_code == 0
    assert result.stderr.endswith("2 of 2 satisfy every rule\n")
    for one in written(tmp_path / "ideas"):
        assert set((one.melody.pitch_classes).tolist()) <= {0, 2, 4, 5, 7, 9, 11}
    assert table(result.stdout)[0][:2] == ["file", "notes"]
    assert (tmp_path / "ideas" / "melodies.png").exists()


def test_bars_that_no_melody_can_keep_are_refused_before_the_work(mc, song, tmp_path):
    result = mc(
        *("reroll", "song.mid", "--keep-bars", "8-9", "--scale", "C,D,E,F,G,A,B", "-o", "ideas")
    )
    assert result.exit_code == 2
    assert "bars 8-9, which stay, hold 2 notes outside pitch-classes:C,D,E,F,G,A,B's set" in (
        result.stderr
    )
    assert not (tmp_path / "ideas").exists()


def test_an_earlier_run_is_replaced_only_on_demand(mc, song, tiny_model_folder, tmp_path):
    again = ("reroll", "song.mid", "--model", tiny_model_folder, "-o", "ideas", "-n")
    assert mc(*again, 3).exit_code == 0
    assert "pass --overwrite to replace it" in mc(*again, 2).stderr
    assert mc(*again, 2, "--overwrite", "--json").exit_code == 0
    assert {path.name for path in (tmp_path / "ideas").iterdir()} == {
        *("manifest.json", "melody-001.mid", "melody-002.mid", "original.mid"),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["song.mid"], "Missing option '-o'"),
        (["none.mid", "-o", "ideas"], "File 'none.mid' does not exist"),
        (["song.mid", "-o", "ideas", "--keep-bars", "1-17"], "write bars from 1 to 16"),
        (["song.mid", "-o", "ideas", "--strength", "2"], "is not in the range 0<=x<=1"),
        (["song.mid", "-o", "out.mid"], "OUTPUT is a folder, got out.mid"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(mc, song, arguments, message):
    result = mc("reroll", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
