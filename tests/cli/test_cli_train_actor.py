"""``mc train-actor``."""

import numpy as np
import pytest

from melodyconstraints.actor_checkpoint import load_actor
from melodyconstraints.actors import train_actor
from melodyconstraints.cli.train_actor import slug
from melodyconstraints.melody.checkpoint import load_model

pytestmark = pytest.mark.usefixtures("quick_recipe")


@pytest.fixture
def train(mc, tiny_model_folder):
    """Trains on the tiny model."""
    return lambda *options: mc("train-actor", "--model", tiny_model_folder, *options)


def test_a_training_writes_the_actor_that_python_trains(train, tiny_model_folder, tmp_path):
    result = train("--rule", "cmajor", "--density", 252, "--seed", 4, "--temperature", 0.8)
    assert result.exit_code == 0
    folder = tmp_path / "actors" / "cmajor-density-252"
    assert (folder / "training-curves.png").read_bytes().startswith(b"\x89PNG")
    actor = load_actor(folder)
    same = train_actor(
        load_model(tiny_model_folder), ["cmajor", "density:252"], seed=4, temperature=0.8
    )
    assert actor.temperature == 0.8
    assert actor.records == same.records
    assert np.array_equal(actor.generate(3).events, same.generate(3).events)
    assert "measure it with: mc evaluate --actor actors/cmajor-density-252" in result.stderr
    assert result.stdout == ""


def test_progress_tells_rewards_of_the_last_round(train, tmp_path):
    result = train("--rule", "cmajor", "-o", "mine")
    record = load_actor(tmp_path / "mine").records[-1]
    assert f"all kept 0%: cmajor {record.rewards[0]:.3f}" in result.stderr
    assert "3/3 rounds" in result.stderr


def test_names_in_brackets_are_told_as_they_are(train, tmp_path):
    (tmp_path / "takes[red].py").write_text("def low(m):\n    return float(m.pitches[0] < 64)\n")
    result = train("--rule", "takes[red].py:low", "-o", "a[/b]")
    assert result.exit_code == 0
    assert "takes[red].py:low 0." in result.stderr
    assert "actor in a[/b]; measure it" in result.stderr
    assert load_actor(tmp_path / "a[" / "b]").rules[0].name == "takes[red].py:low"


def test_an_actor_is_replaced_only_on_demand(train, tmp_path):
    train("--rule", "cmajor", "-o", "mine")
    result = train("--rule", "density:252", "-o", "mine")
    assert result.exit_code == 2
    assert "mine already holds the actor of an earlier run; pass --overwrite" in result.stderr
    assert load_actor(tmp_path / "mine").rules[0].name == "cmajor"
    assert train("--rule", "density:252", "-o", "mine", "--overwrite").exit_code == 0
    assert load_actor(tmp_path / "mine").rules[0].name == "density:252"


def test_a_model_is_never_replaced_by_an_actor(train, tiny_model_folder):
    result = train("--rule", "cmajor", "-o", tiny_model_folder, "--overwrite")
    assert result.exit_code == 2
    assert "holds other files; choose an empty or new folder" in result.stderr
    assert load_model(tiny_model_folder).latent_dim == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Error: give at least one --rule or --density"),
        (["--rule", "cmajr"], "Error: there is no rule 'cmajr'; did you mean cmajor?"),
        (["--rule", "mine.py:f"], "Error: there is no rule file mine.py"),
        (["--rule", "scale:C-klingon"], "no scale is called 'C-klingon'"),
        (["--density", "300"], "300 is not in the range 0<=x<=256"),
        (["--rule", "cmajor", "--rule", "cmajor"], "each rule may be given once, got cmajor, cm"),
        (["--rule", "cmajor", "--preset", "fast"], "'fast' is not one of 'default', 'paper'"),
        (["--rule", "cmajor", "--temperature", "-1"], "-1.0 is not in the range x>=0"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(train, tmp_path, options, message):
    result = train(*options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "actors").exists()


def test_a_rule_that_raises_shows_where(train, tmp_path):
    (tmp_path / "mine.py").write_text(
        "def broken(melody):\n    return melody.chords  # melodies have none\n"
    )
    result = train("--rule", "mine.py:broken")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "in broken\n    return melody.chords  # melodies have none" in result.stderr
    assert "Error: rule mine.py:broken raised AttributeError" in result.stderr
    assert not (tmp_path / "actors").exists()


def test_a_rule_file_that_does_not_import_is_wrong_usage(train, tmp_path):
    (tmp_path / "mine.py").write_text("import no_such_module\n")
    result = train("--rule", "mine.py:f")
    assert result.exit_code == 2
    assert "the rule file mine.py does not import: ModuleNotFoundError" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_reward_outside_its_range_is_told_without_a_traceback(train, tmp_path):
    (tmp_path / "mine.py").write_text("def count(melody):\n    return len(melody)\n")
    result = train("--rule", "mine.py:count")
    assert result.exit_code == 1
    assert "a reward must be a number in [0, 1]" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_damaged_model_is_told(mc, tmp_path):
    (tmp_path / "model").mkdir()
    result = mc("train-actor", "--model", "model", "--rule", "cmajor")
    assert result.exit_code == 1
    assert "Error: model is not a finished melody-vae folder: manifest.json" in result.stderr


@pytest.mark.parametrize(
    ("specs", "name"),
    [
        (["cmajor", "density:192"], "cmajor-density-192"),
        (["pitch-classes:0,2,F#"], "pitch-classes-0-2-F#"),
        (["/home/me/my rules.py:ends_on_c"], "my-rules.py-ends_on_c"),
    ],
)
def test_folders_are_named_by_their_rules(specs, name):
    assert slug(specs) == name
