"""``mc compare``: what several actors make of the same points, in files, rewards and a picture."""

import json

import matplotlib.image
import pytest

from melodyconstraints.latent.satisfaction import reward_text
from melodyconstraints.melody import plots
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.rules import find_rule
from melodyconstraints.workflows.compare import compare
from melodyconstraints.workflows.load_actor import load_actor


@pytest.fixture
def compared(mc, tiny_actor_folder):
    """Compares the tiny actor with itself."""
    return lambda *options: mc(
        "compare", *["--actor", tiny_actor_folder] * 2, "-o", "out", *options
    )


def test_a_row_of_files_and_rolls_is_written_for_each_point(
    compared, tiny_actor_folder, table, bars_ended, tmp_path
):
    result = compared("-n", 2, "--seed", 3, "--tempo", 90)
    assert (result.exit_code, result.stderr) == (0, "")
    assert bars_ended == [(2, 3, "")]  # the third column ends it
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["actors"], manifest["tempo"]) == ([str(tiny_actor_folder)] * 2, 90)
    words = ("prior", "actor-1", "actor-2")
    files = [f"melody-00{row}-{word}.mid" for row in (1, 2) for word in words]
    actor = load_actor(tiny_actor_folder)
    columns = compare([actor, actor], 2, seed=3)
    rows = [["file", "notes", "cmajor", "density:252"]]
    expected = [melody for row in zip(*columns, strict=True) for melody in row]
    for file, melody, entry in zip(files, expected, manifest["melodies"], strict=True):
        assert read_melody(tmp_path / "out" / file).melody == melody
        rewards = {name: find_rule(name)(melody) for name in rows[0][2:]}
        assert entry == {"file": file, "notes": len(melody), "rewards": rewards}
        rows.append([file, str(len(melody)), *map(reward_text, rewards.values())])
    assert table(result.stdout) == rows
    shape = matplotlib.image.imread(tmp_path / "out" / "melodies.png").shape
    assert shape[:2] == (2 * 218, 3 * 820)

    refused = compared()
    assert refused.exit_code == 2
    assert "out holds an earlier run; pass --overwrite to replace it" in refused.stderr
    assert compared("--overwrite").exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *files[:3],
        *("manifest.json", "melodies.png"),
    }


def test_a_reward_just_below_one_does_not_read_as_one(mc, almost_folder, table, monkeypatch):
    drawn = {}
    monkeypatch.setattr(plots, "plot_melodies", lambda *_, **options: drawn.update(options))
    result = mc("compare", "--actor", almost_folder, "--allow-code", "-o", "out")
    assert [row[-1] for row in table(result.stdout)] == ["mine.py:almost", "0.999", "0.999"]
    assert all(title.endswith("; mine.py:almost 0.999") for title in drawn["titles"])


def test_an_actor_is_needed(mc):
    result = mc("compare", "-o", "out")
    assert result.exit_code == 2
    assert "Missing option '--actor'" in result.stderr
