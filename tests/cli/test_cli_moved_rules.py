"""Commands with an actor whose rule file, or whose model, has moved."""

import json
from shutil import move

import pytest

from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.workflows.models import load_model, save_model
from melodyconstraints.workflows.train_actor import train_actor

pytestmark = pytest.mark.usefixtures("quick_recipe", "quick_search")
MISSING = "rewards of mine.py:f are missing: there is no rule file"
REMEDY = "where its file has moved, give it with --rules-from FILE"


@pytest.fixture
def actor(tiny_model_folder, tmp_path, monkeypatch):
    """An actor of a rule that has moved to ``new/mine.py``, and its model at ``model``."""
    monkeypatch.chdir(tmp_path)
    for folder in ("rules", "new"):
        (tmp_path / folder).mkdir()
    path = tmp_path / "rules" / "mine.py"
    path.write_text("def f(melody):\n    return len(melody) / 512\n", encoding="utf-8")
    save_model(load_model(tiny_model_folder), tmp_path / "model")
    trained = train_actor(load_model("model"), ["density:252", "rules/mine.py:f"])
    trained.save(tmp_path / "actor")
    move(path, tmp_path / "new")
    write_melody(Melody.from_notes([(0, 16, 60), (16, 16, 62)]), tmp_path / "tune.mid")
    return tmp_path / "actor"


def test_an_actor_generates_without_its_rule_file(mc, actor, tmp_path):
    result = mc("generate", "--actor", actor, "-n", 2)
    assert result.exit_code == 0
    assert f"Warning: {MISSING}" in result.stderr
    assert REMEDY in result.stderr
    assert "satisfy every rule" not in result.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["rules"] == ["density:252", "mine.py:f"]
    for entry in manifest["melodies"]:
        assert entry["rewards"].keys() == {"density:252"}
        assert "satisfied" not in entry


def test_with_the_file_in_its_new_place_rewards_are_there(mc, actor, tmp_path):
    told = ("--actor", actor, "--rules-from", "new/mine.py")
    result = mc("generate", *told, "-n", 2, "--allow-none")
    assert result.exit_code == 0
    assert "0 of 2 satisfy every rule" in result.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    for entry in manifest["melodies"]:
        assert entry["rewards"]["mine.py:f"] == entry["notes"] / 512
    result = mc("evaluate", *told, "-n", 4, "--json")
    assert json.loads(result.stdout)["rules"].keys() == {"density:252", "mine.py:f"}
    result = mc("transform", "tune.mid", *told, "-o", "done.mid", "--json")
    assert json.loads(result.stdout)["rules"] == ["density:252", "mine.py:f"]


@pytest.mark.parametrize(
    "command",
    [
        ("generate", "--only-satisfying"),
        ("evaluate", "-n", "4"),
        ("transform", "tune.mid", "-o", "done.mid"),
    ],
)
def test_what_needs_rewards_says_how_to_give_the_file(mc, actor, command):
    result = mc(*command, "--actor", actor)
    assert result.exit_code == 2
    assert f"Error: {MISSING}" in result.stderr
    assert REMEDY in result.stderr


@pytest.mark.parametrize(
    "command",
    [("generate", "--rule", "cmajor"), ("evaluate", "--data", "rules")],
)
def test_rules_from_goes_with_an_actor(mc, actor, command):
    result = mc(*command, "--rules-from", "new/mine.py")
    assert result.exit_code == 2
    assert "--rules-from goes with --actor only" in result.stderr


def test_a_model_that_has_moved_is_given(mc, actor, tmp_path):
    move(tmp_path / "model", tmp_path / "new" / "model")
    result = mc("generate", "--actor", actor, "-n", 2)
    assert result.exit_code == 1
    assert "where it has moved, give its folder with --model" in result.stderr
    assert mc("generate", "--actor", actor, "-n", 2, "--model", "new/model").exit_code == 0
