"""Rules from a Python file of the user's."""

import re
import sys

import pytest

from melodyconstraints.errors import RuleError, RuleNotFoundError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import find_rule
from melodyconstraints.rules.loading import load_rule_file

TWO = Melodies.stack([Melody.from_notes([]), Melody.from_notes([(0, 4, 60), (4, 4, 66)])])

THREE_KINDS = '''
from math import sqrt
import numpy as np
from melodyconstraints import rule

LIMIT = 4

def plain(melody):
    """Notes over LIMIT."""
    return _share(len(melody))

@rule
def single(melody):
    return sqrt(_share(len(melody)))

@rule(batched=True)
def batched(melodies):
    return np.minimum(melodies.note_counts / LIMIT, 1)

def _share(count):
    return count / LIMIT
'''


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file of rules into the present folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(text, name="mine.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write


@pytest.mark.parametrize(
    ("name", "expected"), [("plain", 0.5), ("single", 0.5**0.5), ("batched", 0.5)]
)
def test_plain_single_and_batched_functions_are_rules(write, name, expected):
    found = find_rule(f"{write(THREE_KINDS)}:{name}")
    assert found(TWO).tolist() == [0.0, expected]
    assert found.name == f"mine.py:{name}"


def test_the_first_line_of_a_docstring_describes_the_rule(write):
    assert find_rule(f"{write(THREE_KINDS)}:plain").description == "Notes over LIMIT."


def test_the_specification_finds_the_rule_from_any_folder(write, tmp_path, monkeypatch):
    spec = find_rule(f"{write(THREE_KINDS)}:plain").spec
    assert spec == f"{(tmp_path / 'mine.py').resolve()}:plain"
    monkeypatch.chdir("/")
    assert find_rule(spec)(TWO).tolist() == [0.0, 0.5]


def test_a_file_of_one_function_needs_no_name(write):
    path = write("def only(melody):\n    return 0.5\ndef _helper():\n    return 1\n")
    found = find_rule(path)
    assert (found.name, found(TWO).tolist()) == ("mine.py:only", [0.5, 0.5])


def test_two_files_of_the_same_name_stay_apart(write):
    first = find_rule(write("X = 0.25\ndef f(melody):\n    return X\n", "a/same.py"))
    second = find_rule(write("X = 0.75\ndef f(melody):\n    return X\n", "b/same.py"))
    assert (first(TWO)[0], second(TWO)[0]) == (0.25, 0.75)


def test_a_file_of_several_needs_a_name(write):
    path = write(THREE_KINDS)
    expected = (
        "mine.py needs a name behind it; it holds plain, single, batched; write mine.py:NAME"
    )
    with pytest.raises(RuleNotFoundError, match=f"^{re.escape(expected)}$"):
        find_rule(path)
    with pytest.raises(RuleNotFoundError, match="needs a name behind it"):
        find_rule(f"{path}:")


def test_a_name_that_the_file_lacks_is_answered_with_those_it_has(write):
    expected = "there is no rule 'plian' in mine.py; it holds plain, single, batched"
    with pytest.raises(RuleNotFoundError, match=expected):
        find_rule(f"{write(THREE_KINDS)}:plian")


@pytest.mark.parametrize("name", ["_share", "sqrt", "LIMIT", "rule"])
def test_helpers_imports_and_constants_are_no_rules(write, name):
    with pytest.raises(RuleNotFoundError, match=f"there is no rule '{name}' in mine.py"):
        find_rule(f"{write(THREE_KINDS)}:{name}")


def test_a_file_without_functions_says_so(write):
    with pytest.raises(RuleNotFoundError, match=r"mine\.py needs a name .*; it holds no function"):
        find_rule(write("x = 1\n"))


@pytest.mark.parametrize("spec", ["gone.py:f", "gone.py"])
def test_a_missing_file_is_named(write, spec):
    with pytest.raises(RuleNotFoundError, match=r"there is no rule file gone\.py"):
        find_rule(spec)


def test_a_folder_is_no_rule_file(write, tmp_path):
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(RuleNotFoundError, match=r"there is no rule file folder\.py"):
        find_rule("folder.py:f")


def test_a_file_that_is_not_python_is_refused(write):
    with pytest.raises(RuleNotFoundError, match=r"mine\.txt is not a Python file"):
        load_rule_file(write("def f(m): return 1", "mine.txt"), "f")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_"),
        ("def f(melody:\n    return 1", r"SyntaxError: .*\(mine.py, line 1\)"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
    ],
)
def test_a_file_that_does_not_import_says_why_and_leaves_no_module(write, text, cause):
    path = write(text)
    with pytest.raises(RuleNotFoundError, match=f"rule file mine.py does not import: {cause}"):
        find_rule(f"{path}:f")
    assert "melodyconstraints_user_rules_mine" not in sys.modules


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('tonic')", "raised KeyError: 'tonic' for melody 1 of 2, Melody.empty"),
        ("return float('nan')", "gave nan for melody 1 of 2"),
        ("return 1.5", r"gave 1\.5 for melody 1 of 2"),
        ("return 'good'", "gave 'good' for melody 1 of 2"),
        ("return [0.5, 0.5]", "gave 2 numbers for melody 1 of 2"),
        ("pass", "gave None for melody 1 of 2"),
    ],
)
def test_a_rule_that_fails_is_named_by_file_and_function(write, body, message):
    path = write(f"def f(melody):\n    {body}\n")
    found = find_rule(f"{path}:f")
    with pytest.raises(RuleError, match=rf"rule mine\.py:f {message}") as caught:
        found(TWO)
    assert not isinstance(caught.value, RuleNotFoundError)
