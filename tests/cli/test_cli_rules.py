"""``mc rules``."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.rules import library
from melodyconstraints.rules.registry import ENTRY_POINTS


def test_list_has_a_row_for_every_rule_of_the_library(mc, table):
    result = mc("rules", "list")
    rows = table(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    for row in library():
        assert [row.example, row.argument, row.summary] in rows
        assert [row.group, "", ""] in rows
    assert rows[-1] == ["my_rules.py:my_rule", "", "A function of a file of yours"]
    assert "SHARE: 60% or 0.6." in result.stdout
    ranges = result.stdout.splitlines()[-3].partition(":")[0].split(", ")
    found = {row.argument for row in library() if re.search(r"[0-9:]%?\.\.", row.example)}
    assert found <= set(ranges)


def test_list_and_show_as_json(mc):
    listed = json.loads(mc("rules", "list", "--json").stdout)
    assert [rule["example"] for rule in listed["rules"]] == [row.example for row in library()]
    shown = json.loads(mc("rules", "show", "density", "--json").stdout)
    assert shown == {name: value for name, value in _row(listed, "density") if name != "group"}
    assert json.loads(mc("rules", "show", "scale:D-dorian", "--json").stdout)["key"] == "C"


def _row(listed, name):
    [row] = [rule for rule in listed["rules"] if rule["name"] == name]
    return row.items()


def test_list_has_installed_rules(mc, table, monkeypatch):
    point = EntryPoint("quiet", "somebodys_rules:quiet", ENTRY_POINTS)
    monkeypatch.setattr(
        "melodyconstraints.rules.registry.entry_points",
        lambda *, group: [point] if group == ENTRY_POINTS else [],
    )
    rows = table(mc("rules", "list").stdout)
    assert rows[-4:-2] == [["installed", "", ""], ["quiet", "", "somebodys_rules:quiet"]]


def test_list_fits_a_terminal_of_a_hundred_columns(mc):
    result = mc("rules", "list", env={"COLUMNS": "100", "FORCE_COLOR": "1"})
    lines = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout).splitlines()
    assert max(map(len, lines)) <= 100
    for row in library():
        assert any(row.example in line for line in lines)


def test_show_explains_a_rule_of_the_library(mc):
    result = mc("rules", "show", "density")
    assert result.exit_code == 0
    assert result.stdout == (
        "density:NOTES\n"
        "Number of notes in the 16 bars: at least, at most, between\n"
        "\n"
        "min(1, notes / LOW), Engel et al. (2018), equation 4; above the range (256 - notes) /\n"
        "(256 - HIGH). Bounds in [0, 256]. Silence is satisfied where LOW is 0 or none.\n"
        "\n"
        "for example: mc generate --rule density:192\n"
        "many, at once: mc train-actor --rule density:192 -o actors/mine\n"
    )


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            "scale:D-dorian",
            "scale:D-dorian\nnotes in {0, 2, 4, 5, 7, 9, 11}, of which {5, 11} sound and none "
            "fits better as the tonic than 2\nkey signature: C\n",
        ),
        ("density:9", "density:9\nat least 9 notes in 16 bars\n"),
    ],
)
def test_show_explains_a_whole_specification(mc, spec, told):
    result = mc("rules", "show", spec)
    assert (result.exit_code, result.stdout) == (0, told)


def test_show_explains_a_rule_of_a_file_by_its_docstring(mc, tmp_path):
    (tmp_path / "mine.py").write_text(
        'def high(melody):\n    """Ends high."""\n\ndef low(melody):\n    pass\n'
    )
    assert mc("rules", "show", "mine.py:high").stdout == "mine.py:high\nEnds high.\n"
    assert mc("rules", "show", "mine.py:low").stdout == "mine.py:low\nno description\n"


def test_show_of_an_unknown_rule_is_wrong_usage(mc):
    result = mc("rules", "show", "densty")
    assert result.exit_code == 2
    assert "Error: there is no rule 'densty'; did you mean density?" in result.stderr


def test_show_of_an_argument_that_makes_no_sense_is_wrong_usage(mc):
    result = mc("rules", "show", "density:many")
    assert result.exit_code == 2
    assert "density must be a whole number from 0 to 256, got 'many'" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["rules", "list"],
        ["rules", "show", "density"],
        ["rules", "--help"],
        ["--help"],
        ["score", "tune.mid", "--rule", "cmajor"],
        ["score", "tune.mid", "--rule", "cmajor", "--json"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_a_command_whose_reader_has_gone_ends_quietly(words, tmp_path):
    write_melody(Melody.from_notes([(0, 4, 60), (4, 4, 62)]), tmp_path / "tune.mid")
    program = "from melodyconstraints.cli.main import main; main()"
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_rule_is_explained_whatever_the_case_of_its_name(mc):
    assert mc("rules", "show", "CHORDS").stdout == mc("rules", "show", "chords").stdout
