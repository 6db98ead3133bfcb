"""``mc rules new`` and ``mc rules check``, as somebody meets them who writes a first rule."""

import json
import sys
from shutil import copytree

import numpy as np
import pytest
import torch

from melodyconstraints.cli import rules as commands
from melodyconstraints.cli._rule_check import show
from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.latent.satisfaction import reward_text
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import find_rule, rule
from melodyconstraints.storage.cache import CACHE
from melodyconstraints.workflows import check_rule as workflow
from melodyconstraints.workflows.bank import Bank, load_bank, write_bank
from melodyconstraints.workflows.check_rule import check_rule
from melodyconstraints.workflows.models import load_model

SATISFIED = "satisfied  gives the same again for the same melodies\n"


@pytest.fixture(autouse=True)
def _small_banks(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def small(model, **arguments):
        return load_bank(model, size=12, **arguments)

    monkeypatch.setattr(workflow, "load_bank", small)


@pytest.fixture
def check(mc, tiny_model_folder):
    """Writes a rule file and checks it on the tiny model."""

    def run(text, *options, name="mine.py"):
        with open(name, "w", encoding="utf-8") as file:  # noqa: PTH123 (the present folder)
            file.write(text)
        return mc("rules", "check", name, "--model", tiny_model_folder, *options)

    return run


def test_a_new_rule_passes_the_check_as_it_is(mc, tiny_model_folder, tmp_path):
    made = mc("rules", "new", "my_rule.py")
    assert (made.exit_code, made.stderr) == (0, "")
    told = "my_rule.py holds the rule my_rule; change it, then: mc rules check my_rule.py\n"
    assert made.stdout == told
    text = (tmp_path / "my_rule.py").read_text(encoding="utf-8")
    assert "mc train-actor --rule my_rule.py" in text
    assert not any(word in text for word in ("FILE", "noqa"))
    assert all(word in text for word in ("closer", "batched=True", "PrettyMIDI", "intervals"))
    checked = mc("rules", "check", "my_rule.py", "--model", tiny_model_folder)
    assert checked.exit_code == 0, checked.output
    assert checked.stdout.startswith(
        "my_rule.py:my_rule\nThe nearer the last note is to a C, the better.\n"
    )
    assert "BROKEN" not in checked.stdout


def test_a_new_rule_may_have_a_space_in_its_name_and_needs_a_folder(mc):
    assert "then: mc rules check 'a b.py'" in mc("rules", "new", "a b.py").stdout
    nowhere = mc("rules", "new", "nowhere/my_rule.py")
    assert (nowhere.exit_code, "there is no folder nowhere" in nowhere.stderr) == (2, True)


def test_the_forms_in_the_template_work(mc, tmp_path):
    mc("rules", "new", "my_rule.py")
    lines = (tmp_path / "my_rule.py").read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if "@melodyconstraints.rule" in line)
    quoted = [line[4:] for line in lines[start:] if line.startswith("    ")]
    end = next(n for n, line in enumerate(quoted) if "max(len(notes), 1)" in line)
    head = "import melodyconstraints\nimport numpy as np\nimport pretty_midi\n"
    (tmp_path / "forms.py").write_text(head + "\n".join(quoted[: end + 1]), encoding="utf-8")
    four = Melody.from_notes([(0, 2, 60), (2, 2, 60), (4, 4, 60), (8, 4, 60)])
    tunes = Melodies.stack([four])
    assert find_rule("forms.py:many_notes")(tunes).tolist() == [0.04]
    assert find_rule("forms.py:short_notes")(tunes).tolist() == [0.5]


def test_a_file_is_never_overwritten(mc, tmp_path):
    (tmp_path / "mine.py").write_text("precious")
    result = mc("rules", "new", "mine.py")
    assert result.exit_code == 2
    assert "mine.py exists; choose another name" in result.stderr
    assert (tmp_path / "mine.py").read_text() == "precious"


def test_a_rule_file_is_called_py(mc, tmp_path):
    result = mc("rules", "new", "mine.txt")
    assert (result.exit_code, list(tmp_path.glob("mine*"))) == (2, [])
    assert "a rule file is called NAME.py, got mine.txt" in result.stderr


def test_any_specification_may_be_checked(mc, tiny_model_folder, table):
    result = mc("rules", "check", "cmajor", "--model", tiny_model_folder)
    assert result.exit_code == 0
    assert SATISFIED in result.stdout
    (_, row) = table(result.stdout)
    assert row[:2] == ["drawn by the model", "12"]
    rewards = find_rule("cmajor")(load_bank(load_model(tiny_model_folder), size=12).melodies)
    assert row[2:4] == [reward_text(rewards.mean()), "0.0%"]
    assert row[4] == reward_text(rewards.min())
    assert "none of the model's own melodies satisfies it so far" in result.stdout


def test_the_data_is_judged_as_the_model_gives_it_back_or_as_it_is(
    mc, tiny_model_folder, tiny_store, tmp_path, table
):
    folder = copytree(tiny_model_folder, tmp_path / "model")
    write_bank(folder, tiny_store, size=12)
    (_, _, row) = table(mc("rules", "check", "density:250", "--model", folder).stdout)
    assert row[:2] == ["of its data", "12"]
    told = mc("rules", "check", "density:250", "--model", folder, "--data", tiny_store).stdout
    (_, _, row) = table(told)
    assert row[:2] == ["of the store", "12"]
    truth = find_rule("density:250")(read_store(tiny_store, "train").melodies)
    assert row[2] == reward_text(truth.mean())


def test_json_says_the_same(check):
    result = check("def notes(melody):\n    return len(melody) / 256\n", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (told["rule"], told["passed"]) == ("mine.py:notes", True)
    assert [one["broken"] for one in told["contract"]] == [None] * 5
    assert [one["satisfied"] for one in told["contract"]] == [True] * 5
    assert told["rewards"]["drawn by the model"]["n"] == 12
    assert told["verdict"]["learnable"]
    assert told["melodies_per_second"] > 0
    assert told["learns_typical"] is False
    plain = check("def notes(melody):\n    return len(melody) / 256\n").stdout
    reason = "does not learn that melodies be typical, too: all melodies drawn are equally typical"
    assert reason in plain


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return random.random()", "the reward of melody 1 is"),
        ("melody.pitches.sort(); return 0.5", "is read-only (work on a copy: melody.pitches.c"),
        ("return 2", "gave 2.0 for melody 1 of 8"),
    ],
)
def test_a_broken_contract_ends_with_1(check, body, told):
    result = check(f"import random\ndef f(melody):\n    {body}\n")
    assert result.exit_code == 1
    assert told in " ".join(result.stdout.split())
    assert "BROKEN" in result.stdout
    assert "The rule breaks the contract; mend it and check it again." in result.stdout
    assert ("Traceback" in result.stderr) == ("sort" in body)


def test_a_rule_that_raises_is_shown_with_its_traceback_and_line(check):
    result = check("def f(melody):\n    return melody.pitches[-1] / 127\n")
    assert result.exit_code == 1
    assert "(mine.py, line 2)" in " ".join(result.stdout.split())
    assert result.stderr.count("IndexError") == 1
    assert "return melody.pitches[-1] / 127" in result.stderr


def test_a_rule_that_is_not_there_is_wrong_usage_without_traceback(mc, check):
    result = mc("rules", "check", "cmajr")
    assert result.exit_code == 2
    assert "there is no rule 'cmajr'; did you mean cmajor?" in result.stderr
    result = check("def f(melody:\n")
    assert result.exit_code == 2
    assert "does not import: SyntaxError" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_constant_cannot_be_learned(check):
    result = check("def f(melody):\n    return 0\n")
    assert result.exit_code == 1
    assert "Cannot be learned: all 12 melodies have the reward 0; give more for coming closer" in (
        result.stdout.replace("\n", " ")
    )


def test_what_is_done_is_told(check):
    result = check("def f(melody):\n    return len(melody) / 256\n")
    assert result.stderr.splitlines()[1:] == [
        "trying mine.py:f on 8 melodies, 10 s a call at most",
        "checking the contract on 12 melodies, about 1 s",
        "computing rewards of 12 melodies, about 1 s",
    ]


HANGS = """from signal import SIGALRM, raise_signal

def f(melody):
    while CONDITION:
        raise_signal(SIGALRM)  # its time is over, however fast the machine
    return len(melody) / 256
"""


@pytest.mark.parametrize(
    ("condition", "what", "clauses"),
    [
        ("True", "melody 1 of 1, Melody(2", 1),
        ("not len(melody)", "melody 1 of 1, Melody(empty)", 2),
    ],
)
def test_a_rule_that_hangs_is_given_up(check, monkeypatch, condition, what, clauses):
    monkeypatch.setattr(workflow, "PATIENCE", 60.0)
    result = check(HANGS.replace("CONDITION", condition), "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["passed"], len(told["contract"])) == (1, False, clauses)
    expected = f"rule mine.py:f gave nothing within 60 s for {what}"
    assert told["contract"][-1]["broken"].startswith(expected)


def test_a_rule_file_that_hangs_is_given_up(check, monkeypatch):
    monkeypatch.setattr(commands, "IMPORT_SECONDS", 0.2)
    result = check("while True:\n    pass\n")
    assert result.exit_code == 2
    assert "Error: the rule file mine.py does not import: OutOfTime: 0.2 s" in result.stderr


def test_a_rule_that_hangs_on_a_melody_of_the_bank_is_given_up(check, monkeypatch):
    monkeypatch.setattr(workflow, "PATIENCE", 60.0)
    monkeypatch.setattr(workflow, "check_contract", lambda *_, **__: [])
    text = "CALLS = []\n" + HANGS.replace("while", "CALLS.append(0)\n    while")
    result = check(text.replace("CONDITION", "len(CALLS) > 20"))
    assert result.exit_code == 1
    assert "Error: rule mine.py:f gave nothing within 60 s for melody 12 of 12" in result.stderr


def test_a_slow_rule_is_told_what_it_costs(tiny_model_folder, capsys):
    clock = iter([0.0, 12.0, 20.0, 32.0])
    slow = rule(lambda melody: len(melody) / 256)
    report = check_rule(load_model(tiny_model_folder), slow, clock=lambda: next(clock))
    show(report, as_json=False)
    told = capsys.readouterr().out.replace("\n", " ")
    assert (
        "A training decodes about 23,000 melodies; their rewards take 23,000.0 s (1 a second)."
        in told
    )
    assert "That is slow; @rule(batched=True) is faster." in told


def test_a_store_without_training_melodies_is_refused(mc, make_store, tmp_path):
    make_store(tmp_path / "s", np.full((1, 256), 60, np.uint8), ["test"], ["a/b.mid"])
    result = mc("rules", "check", "cmajor", "--data", "s")
    assert result.exit_code == 1
    assert "s holds no melody of the split train; extract more files" in result.stderr


def test_the_bank_of_a_model_is_written_by_a_command(mc, tiny_model_folder, tiny_store, tmp_path):
    folder = copytree(tiny_model_folder, tmp_path / "model")
    result = mc("bank", "--model", folder, "--data", tiny_store)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "2,048 melodies of the prior, 12 of encodings" in result.stderr
    bank = load_bank(load_model(folder))
    assert (len(bank.points), len(bank.encodings)) == (2_048, 12)


def test_json_of_a_bank_is_how_much_it_holds(mc, monkeypatch):
    bank = Bank(0.5, torch.zeros(600, 8), Melodies(np.zeros((600, 256), np.uint8)))
    monkeypatch.setattr("melodyconstraints.workflows.bank.write_bank", lambda *_, **__: bank)
    told = json.loads(mc("bank", "--data", "melodies", "--json").stdout)
    assert told == {"points": 600, "encodings": 0, "temperature": 0.5}
