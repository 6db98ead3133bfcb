"""``mc train-actor``."""

import json
import re
import signal

import numpy as np
import pytest
import torch

from melodyconstraints.cli.train_actor import slug
from melodyconstraints.latent.pair import CURVES
from melodyconstraints.latent.satisfaction import reward_text
from melodyconstraints.latent.training import _Trainer
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.rules import Rule
from melodyconstraints.workflows import train_actor as train_actor_module
from melodyconstraints.workflows.bank import make_bank, save_bank
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model, save_model
from melodyconstraints.workflows.train_actor import (
    size_of_folder,
    train_actor,
    train_actor_folder,
)
from melodyconstraints.workflows.typical_reward import TYPICALITY

pytestmark = pytest.mark.usefixtures("quick_recipe", "blank_curves")


@pytest.fixture
def train(mc, tiny_model_folder):
    """Trains on the tiny model."""
    return lambda *options: mc("train-actor", "--model", tiny_model_folder, *options)


@pytest.fixture
def train_in_python(tiny_model_folder):
    """Trains on the tiny model, as a user of Python does."""
    return lambda rules, **options: train_actor(load_model(tiny_model_folder), rules, **options)


def bytes_of(network: torch.nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


def check_room(actor, folder, realism=False):
    """The room that is made sure of before a training is what its weights take, and a megabyte."""
    options = {"preset": "default", "method": actor.method, "realism": realism, "like": None}
    estimate = size_of_folder(actor.model, len(actor.rules), **options)
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert 0 <= sizes["model.safetensors"] - (estimate - 2**20) < 4096  # the tensors' names
    assert sum(sizes.values()) < estimate


@pytest.mark.usefixtures("drawn_curves")
def test_a_training_writes_the_actor_that_python_trains(train, train_in_python, tmp_path):
    result = train("--rule", "density:250", "--density", 252, "--seed", 4, "--temperature", 0.8)
    assert result.exit_code == 0
    folder = tmp_path / "actors" / "density-250-density-252"
    assert (folder / "training-curves.png").read_bytes().startswith(b"\x89PNG")
    actor = load_actor(folder)
    same = train_in_python(["density:250", "density:252"], seed=4, temperature=0.8)
    assert (actor.temperature, actor.method) == (0.5, "refined")
    assert actor.records == same.records
    assert actor.decoded == same.decoded
    assert bytes_of(actor.actor) == bytes_of(same.actor)
    assert bytes_of(actor.critic) == bytes_of(same.critic)
    assert np.array_equal(actor.generate(3).events, same.generate(3).events)
    assert "measure it with: mc evaluate --actor actors/density-250-density-252" in result.stderr
    assert result.stdout == ""


def test_json_is_what_the_actors_folder_says_of_its_training(train, tmp_path):
    result = train("--rule", "cmajor", "--density", 252, "-o", "mine", "--json")
    told, actor = json.loads(result.stdout), load_actor(tmp_path / "mine")
    last = actor.records[-1]
    assert told == {
        "folder": "mine",
        "model": actor.model.fingerprint,
        "method": "refined",
        "rules": ["cmajor", "density:252"],
        "rounds": 3,
        "interrupted": False,
        "decoded": actor.decoded,
        "all_satisfied": actor.best,
        "rewards": dict(zip(["cmajor", "density:252"], last.rewards, strict=True)),
        "satisfied": dict(zip(["cmajor", "density:252"], last.satisfied, strict=True)),
        "critic_loss": last.critic_loss,
        "actor_loss": last.actor_loss,
    }


def test_json_of_a_search_has_no_loss_of_an_actor(train):
    told = json.loads(train("--density", 252, "--method", "gradient", "--json").stdout)
    assert (told["actor_loss"], told["all_satisfied"]) == (None, None)


def test_the_command_and_python_train_alike_without_options(train, train_in_python, tmp_path):
    assert train("--density", 252, "-o", "mine").exit_code == 0
    actor, same = load_actor(tmp_path / "mine"), train_in_python(["density:252"])
    assert bytes_of(actor.actor) == bytes_of(same.actor)
    assert bytes_of(actor.critic) == bytes_of(same.critic)


def test_python_writes_the_folder_that_the_command_writes(train, tiny_model_folder, tmp_path):
    train("--rule", "cmajor", "--density", 252, "--seed", 3, "-o", "mine")
    model, rules = load_model(tiny_model_folder), ["cmajor", "density:252"]
    train_actor_folder(model, rules, tmp_path / "same", seed=3)
    mine, same = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("mine", "same")
    )
    assert {"model.safetensors", "config.json", CURVES} < mine.keys()
    assert mine == same


def test_weights_are_those_of_the_rules_in_their_order(train, train_in_python, tmp_path):
    options = ("--rule", "cmajor", "--density", 252)
    train(*options, "--weight", 0, "--weight", 2.5, "-o", "mine")
    rules = ["cmajor", "density:252"]
    same, plain = (train_in_python(rules, seed=1, weights=w) for w in ([0, 2.5], None))
    actor = load_actor(tmp_path / "mine")
    assert actor.records == same.records
    assert actor.records != plain.records
    result = train(*options, "--weight", 1)
    assert result.exit_code == 2
    assert "give 2 --weight, one a rule, got 1" in result.stderr


@pytest.mark.usefixtures("drawn_curves")
@pytest.mark.parametrize("method", ["actor", "gradient", "langevin"])
def test_the_method_is_saved(train, train_in_python, tmp_path, method):
    assert train("--density", 252, "--method", method, "-o", "mine").exit_code == 0
    actor = load_actor(tmp_path / "mine")
    same = train_in_python(["density:252"], seed=1, method=method)
    assert actor.method == method
    check_room(actor, tmp_path / "mine")
    assert np.array_equal(actor.generate(2).events, same.generate(2).events)


@pytest.fixture
def kinds(some_melodies, tmp_path):
    """Two folders of MIDI."""
    for name, melodies in (("reels", some_melodies[:4]), ("hymns", some_melodies[4:8])):
        (tmp_path / name).mkdir()
        for number, melody in enumerate(melodies):
            write_melody(melody, tmp_path / name / f"{number}.mid")


@pytest.mark.usefixtures("kinds")
def test_examples_of_two_kinds_take_the_place_of_rules(train, tmp_path, some_melodies):
    result = train("--like", "reels", "--unlike", "hymns")
    actor = load_actor(tmp_path / "actors" / "like-reels")
    assert (actor.rules, actor.heads) == ([], (("like the examples",),))
    assert "3/3 rounds" in result.stderr
    assert (tmp_path / "actors" / "like-reels" / "training-curves.png").exists()


@pytest.mark.usefixtures("kinds")
def test_an_example_without_a_melody_is_told_and_costs_no_more(train, tmp_path):
    (tmp_path / "reels" / "broken.mid").write_bytes(b"no MIDI")
    result = train("--like", "reels", "--unlike", "hymns")
    assert "passed over: reels/broken.mid: " in result.stderr
    assert load_actor(tmp_path / "actors" / "like-reels").head_names == ("like the examples",)


@pytest.mark.usefixtures("kinds")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--like", "reels"], "give both --like and --unlike: a critic compares the two"),
        (["--unlike", "reels"], "give both --like and --unlike: a critic compares the two"),
        (["--like", "reels", "--unlike", "empty"], "empty holds no MIDI file (.kar, .mid"),
        (["--like", "reels", "--unlike", "silent"], "silent holds no MIDI file with a melody"),
        (["--like", "reels", "--unlike", "none"], "Directory 'none' does not exist"),
    ],
    ids=str,
)
def test_examples_of_one_kind_are_wrong_usage(train, tmp_path, options, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "silent").mkdir()
    (tmp_path / "silent" / "a.mid").write_bytes(b"")
    result = train(*options)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.usefixtures("drawn_curves")
def test_realism_is_learned_from_the_encodings_of_the_bank(mc, tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "model")
    model = load_model(tmp_path / "model")
    bank = make_bank(model, 0.5, torch.randn(24, 8), size=24)
    save_bank(bank, tmp_path / "model" / "bank", model)
    mc("train-actor", "--model", "model", "--density", 252, "--realism", "-o", "mine")
    actor = load_actor(tmp_path / "mine")
    assert actor.heads == (("density:252",), ("realism",))
    check_room(actor, tmp_path / "mine", realism=True)
    same = train_actor(model, ["density:252"], realism=True)
    assert actor.records == same.records


def test_realism_without_encodings_is_refused(train):
    result = train("--density", 252, "--realism")
    assert result.exit_code == 2
    assert "realism needs encodings of the model's training data" in result.stderr
    assert "make one: mc bank --model DIR --data STORE" in result.stderr


def test_a_rule_that_is_never_satisfied_is_told_with_the_best_that_was_found(train, tmp_path):
    result = train("--rule", "cmajor", "-o", "mine")
    actor = load_actor(tmp_path / "mine")
    assert result.exit_code == 1
    reward = actor.records[-1].rewards[0]
    assert f"Error: none of {actor.decoded} melodies satisfied every rule" in result.stderr
    assert f"in the last round: cmajor {reward_text(reward)} (satisfied by 0%). " in result.stderr
    assert "mc rules check RULE" in result.stderr
    assert "0% of its melodies satisfy every rule; a search without an actor" in result.stderr
    assert "may find more: mc generate --rule cmajor\n" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_stopped_keeps_the_best_so_far(train, tmp_path, monkeypatch, ending):
    whole = _Trainer.round

    def stopped(self, number):
        if number == 2:
            signal.raise_signal(ending)
        return whole(self, number)

    monkeypatch.setattr(_Trainer, "round", stopped)
    result = train("--density", 250, "-o", "mine", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["interrupted"], told["rounds"]) == (True, 2)
    assert "Error: stopped after round 2; the best actor so far is kept" in result.stderr
    actor = load_actor(tmp_path / "mine")
    assert (actor.interrupted, len(actor.records)) == (True, 2)


def test_the_knobs_take_no_rules(train, tmp_path):
    for options in (["--rule", "cmajor"], ["--density", "3"]):
        result = train("--knobs", *options)
        assert result.exit_code == 2
        assert "--knobs takes no rules: it is for any scale and density" in result.stderr


@pytest.mark.parametrize(
    "option",
    [["--realism"], ["--rules-alone"], ["--form", "AABA"], ["--preset", "paper"]],
    ids=str,
)
def test_the_knobs_refuse_what_belongs_to_rules(train, option):
    result = train("--knobs", *option)
    assert result.exit_code == 2
    assert f"{option[0]} goes with rules only" in result.stderr


def test_rules_can_be_learned_alone(train, tmp_path):
    train("--rule", "cmajor", "--rules-alone", "-o", "alone")
    actor = load_actor(tmp_path / "alone")
    assert actor.rewards == actor.rules


def test_progress_tells_rewards_of_the_last_round(train, tmp_path):
    result = train("--rule", "cmajor", "-o", "mine")
    record = load_actor(tmp_path / "mine").records[-1]
    assert f"all satisfied 0%: cmajor {reward_text(record.rewards[0])}" in result.stderr
    assert "3/3 rounds" in result.stderr


@pytest.mark.usefixtures("drawn_curves")
def test_names_in_brackets_are_told_as_they_are(train, tmp_path):
    (tmp_path / "takes[red].py").write_text("def low(m):\n    return float(m.pitches[0] < 64)\n")
    result = train("--rule", "takes[red].py:low", "-o", "a[/b]")
    assert result.exit_code == 0, result.stderr
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


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("options", [["--density", 252], ["--knobs"]], ids=str)
def test_an_actor_without_room_on_the_disk_is_not_begun(train, tmp_path, options):
    result = train(*options, "-o", "mine/actor")
    assert result.exit_code == 2
    told = r"Error: mine/actor needs \d\.\d MB, and its disk has 0\.5 MB free; make room or choose"
    assert re.fullmatch(rf"{told} another place\n", result.stderr)
    assert not (tmp_path / "mine").exists()


def test_two_trainings_do_not_share_a_folder(train, tmp_path, monkeypatch):
    whole, refused = _Trainer.round, []

    def with_another_beside_it(self, number):
        refused.append(train("--density", 252, "-o", "mine"))
        return whole(self, number)

    monkeypatch.setattr(_Trainer, "round", with_another_beside_it)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "lock").touch()  # as a killed process leaves it
    assert train("--density", 252, "-o", "mine").exit_code == 0
    assert [(one.exit_code, one.stderr) for one in refused] == 3 * [
        (1, "Error: another process is at work in mine\n")
    ]
    assert not (tmp_path / "mine" / "lock").exists()


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
        (["--density", "300"], "density must be a whole number from 0 to 256, got '300'"),
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


LATE = """
CALLS = []

def late(melody):
    CALLS.append(0)
    if len(CALLS) > LIMIT:
        FAULT
    return len(melody) / 256
"""


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("return 1.5", "rule late.py:late gave 1.5 for melody 7 of 12"),
        (
            "return 1 / 0",
            "rule late.py:late raised ZeroDivisionError: division by zero for melody 7",
        ),
        ("exit(0)", "rule late.py:late raised SystemExit: 0 for melody 7 of 12"),
    ],
)
def test_a_rule_that_fails_late_leaves_its_best_actor(train, tmp_path, fault, told):
    # 32 melodies of the bank are seen three times, 12 + 8 in the first round
    text = LATE.replace("LIMIT", "3 * 32 + 20 + 6").replace("FAULT", fault)
    (tmp_path / "late.py").write_text(text, encoding="utf-8")
    result = train("--rule", "late.py", "-o", "mine")
    assert result.exit_code == 1
    assert result.stderr.count(told) == 1
    assert "; the best actor of the rounds before is kept in mine" in result.stderr
    assert (tmp_path / "mine" / "training-curves.png").is_file()
    actor = load_actor(tmp_path / "mine", rules=["cmajor"])
    assert len(actor.records) == 1
    assert actor.interrupted


def test_few_that_satisfy_every_rule_and_are_typical_are_told_so(train, monkeypatch):
    by_notes = Rule(TYPICALITY.name, lambda melodies: melodies.note_counts / 256, batched=True)
    monkeypatch.setattr(train_actor_module, "TYPICALITY", by_notes)
    monkeypatch.setattr(train_actor_module, "reason_against", lambda *_: None)
    result = train("--rule", "density:252", "-o", "mine")
    told = result.stderr.replace("\n", " ")
    assert "0% of its melodies satisfy every rule and are typical; a search without an" in told
    assert "typical melodies" in json.loads(train("--rule", "cmajor", "--json").stdout)["rewards"]


def test_a_rule_that_fails_at_once_leaves_nothing(train, tmp_path):
    (tmp_path / "mine.py").write_text("def f(melody):\n    return 2\n", encoding="utf-8")
    result = train("--rule", "mine.py", "-o", "mine")
    assert result.exit_code == 1
    assert "rule mine.py:f gave 2.0 for melody 1 of" in result.stderr
    assert not (tmp_path / "mine").exists()


def test_a_rule_that_turns_off_gradients_is_trained_for(train, train_in_python, tmp_path):
    head = "import torch\ntorch.set_grad_enabled(False)\ntorch.set_default_dtype(torch.float64)\n"
    text = "def dense(melody):\n    return min(len(melody) / 252, 1.0)\n"
    (tmp_path / "off.py").write_text(head + text, encoding="utf-8")
    (tmp_path / "on.py").write_text(text, encoding="utf-8")
    assert train("--rule", "off.py", "-o", "mine").exit_code == 0
    same = train_in_python([str(tmp_path / "on.py")])
    assert bytes_of(load_actor(tmp_path / "mine").actor) == bytes_of(same.actor)


def test_a_rule_that_every_melody_satisfies_is_told_before_the_training(train):
    result = train("--rule", "density:250", "--density", 9, "-o", "mine")
    told = (
        "all 32 melodies drawn from the model satisfy density:9 already: training for it changes"
    )
    assert result.exit_code == 0
    assert result.stderr.replace("\n", " ").count(told) == 1
    assert "satisfy density:250" not in result.stderr


def test_an_absurd_specification_is_told_in_a_line_and_makes_no_folder(train, tmp_path):
    result = train("--rule", "density:" + "9" * 4301)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: 'density:999")
    assert (result.stderr.count("\n"), len(result.stderr) < 400) == (1, True)
    assert not (tmp_path / "actors").exists()
