"""Rules from a Python file of the user's."""

import importlib
import random
import re
import sys

import numpy as np
import pytest
import torch

from melodyconstraints.errors import RuleError, RuleNotFoundError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import find_rule, find_rules
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
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
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


def test_a_path_is_a_specification(write, tmp_path):
    path = tmp_path / write("def only(melody):\n    return 0.5\n")
    assert find_rule(path)(TWO[0]) == find_rules([path])[0](TWO[0]) == 0.5
    with pytest.raises(UsageError, match="each rule may be given once"):
        find_rules([path, str(path)])


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
        ("exit()", "SystemExit: None"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("import helpers", "ModuleNotFoundError: No module named 'helpers'"),
    ],
)
def test_a_file_that_does_not_import_says_why_and_leaves_no_module(write, text, cause):
    path, before = write(text), set(sys.modules)
    with pytest.raises(RuleNotFoundError, match=f"rule file mine.py does not import: {cause}"):
        find_rule(f"{path}:f")
    assert not [name for name in sys.modules.keys() - before if name.endswith(".mine")]


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


# Callables of all kinds

CALLABLES = """
from functools import lru_cache, partial
from typing import Callable, Optional
import numpy as np
from helpers import Dense as Other, closure, away, decorated

def _share(melody, n):
    return min(len(melody) / n, 1.0)

class Dense:
    def __init__(self, n):
        self.n = n
    def __call__(self, melody):
        return _share(melody, self.n)
    def method(self, melody):
        return self(melody)

part = partial(_share, n=8)
dense_object = Dense(8)
cached = lru_cache(lambda melody: len(melody) / 8)
method = dense_object.method
inner = closure(8)
other = Other(8)
vector = np.vectorize(lambda melody: len(melody) / 8)

@decorated
def wrapped(melody):
    return len(melody)
"""
HELPERS = """
def away(pitch):
    return min(pitch % 12, 12 - pitch % 12)

def closure(n):
    def inner(melody):
        return len(melody) / n
    return inner

def decorated(function):
    def inner(melody):
        return function(melody) / 8
    return inner

class Dense:
    def __init__(self, n):
        self.n = n
    def __call__(self, melody):
        return len(melody) / self.n
"""
KINDS = ["part", "dense_object", "cached", "method", "inner", "other", "vector", "wrapped"]


@pytest.mark.parametrize("name", KINDS)
def test_callables_of_all_kinds_are_rules(write, name):
    write(HELPERS, "helpers.py")
    assert find_rule(f"{write(CALLABLES)}:{name}")(TWO).tolist() == [0.0, 0.25]


def test_imports_and_classes_are_no_rules(write):
    write(HELPERS, "helpers.py")
    with pytest.raises(RuleNotFoundError, match=f"; it holds {', '.join(KINDS)}; write"):
        find_rule(write(CALLABLES))
    for name in ("away", "Dense", "Other", "partial", "Callable", "Optional", "_share", "np"):
        with pytest.raises(RuleNotFoundError, match=f"there is no rule '{name}' in mine.py"):
            find_rule(f"mine.py:{name}")


def test_one_function_beside_other_callables_needs_no_name(write):
    text = "import numpy as np\nmodel = np.vectorize(float)\ndef f(melody):\n    return 0.25\n"
    assert find_rule(write(text)).name == "mine.py:f"
    alone = "from functools import partial\nonly = partial(min, 0.25)\n"
    assert find_rule(write(alone)).name == "mine.py:only"


# Neighbours


def test_a_rule_file_imports_its_neighbours(write, monkeypatch):
    write("SHARE = 0.75\n", "rules/values.py")
    write(
        "import values\nfrom package.inner import PLACE\ndef share(): return values.SHARE\n",
        "rules/helpers.py",
    )
    write("", "rules/package/__init__.py")
    write("from package import inner\nPLACE = 'inner'\n", "rules/package/inner.py")
    path = write(
        "import helpers, package.inner\nfrom helpers import *\nfrom . import values as again\n"
        "def f(melody):\n    from values import SHARE\n    import later\n"
        "    assert SHARE == again.SHARE == helpers.values.SHARE == later.SHARE\n"
        "    assert package.inner.PLACE == helpers.PLACE == 'inner'\n    return share()\n",
        "rules/mine.py",
    )
    write("from values import SHARE\n", "rules/later.py")
    before = list(sys.path)
    found = find_rule(f"{path}:f")
    monkeypatch.chdir("/")
    assert found(TWO).tolist() == [0.75, 0.75]
    assert sys.path == before
    assert not {"helpers", "values", "package", "later"} & sys.modules.keys()


def test_two_folders_may_have_a_neighbour_of_one_name_each(write):
    paths = []
    for folder, share in (("a", 0.25), ("b", 0.5)):
        write(f"SHARE = {share}\n", f"{folder}/helpers.py")
        text = "import helpers\ndef f(melody):\n    from helpers import SHARE\n"
        paths.append(write(f"{text}    return (SHARE + helpers.SHARE) / 2\n", f"{folder}/mine.py"))
    first, second = (find_rule(path) for path in paths)
    for _ in range(2):
        assert (first(TWO[0]), second(TWO[0])) == (0.25, 0.5)


def test_a_neighbour_stands_in_nobodys_way(write, tmp_path, monkeypatch):
    installed = tmp_path / "site"
    installed.mkdir()
    (installed / "helpers.py").write_text("SHARE = 0.125\n", encoding="utf-8")
    (installed / "lazy.py").write_text(
        "def share():\n    import helpers\n    return helpers.SHARE\n"
    )
    monkeypatch.syspath_prepend(str(installed))
    for name in ("helpers", "statistics", "melodyconstraints", "numpy"):
        write(
            f"raise RuntimeError('{name} of the folder')\n"
            if name != "helpers"
            else "SHARE = 0.5",
            f"rules/{name}.py",
        )
    path = write(
        "import helpers, lazy, statistics, melodyconstraints\n"
        "def f(melody):\n    return helpers.SHARE + lazy.share()\n",
        "rules/mine.py",
    )
    try:
        assert find_rule(path)(TWO[0]) == 0.625
        assert importlib.import_module("helpers").SHARE == 0.125
        assert find_rule(path)(TWO[0]) == 0.625
    finally:
        for name in ("helpers", "lazy"):
            sys.modules.pop(name, None)


def test_a_neighbour_that_the_program_has_imported_is_the_same_module(
    write, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    write("class Thing: pass\n", "shared_helpers.py")
    thing = importlib.import_module("shared_helpers").Thing
    path = write("from shared_helpers import Thing\ndef f(m):\n    return Thing.reward\n")
    monkeypatch.setattr(thing, "reward", 0.5, raising=False)
    assert find_rule(path)(TWO[0]) == 0.5
    sys.modules.pop("shared_helpers")


# Executed once, and isolated


def test_a_file_is_executed_once_and_again_when_it_has_changed(write, tmp_path):
    text = "from pathlib import Path\nwith Path('log').open('a') as log: log.write('x')\n"
    write("V = 0.5\n", "helpers.py")
    path = write(
        text + "from helpers import V\ndef f(m):\n    return V\ndef g(m):\n    return 1\n"
    )
    first, second = find_rule(f"{path}:f"), find_rule(f"{path}:f")
    find_rule(f"{path}:g")
    assert first.function is second.function
    assert (tmp_path / "log").read_text() == "x"
    write("V = 0.2\n", "helpers.py")
    write(text + "from helpers import V\ndef f(m):\n    return V / 2\n")
    assert find_rule(path)(TWO[0]) == 0.1
    assert first(TWO[0]) == 0.5
    assert (tmp_path / "log").read_text() == "xx"


def test_a_file_that_is_mended_is_imported(write):
    write("1 / 0\n", "helpers.py")
    path = write("import helpers\ndef f(m):\n    return helpers.V\n")
    with pytest.raises(RuleNotFoundError, match="ZeroDivisionError"):
        find_rule(path)
    write("V = 0.5\n", "helpers.py")
    assert find_rule(path)(TWO[0]) == 0.5


def test_no_cache_is_left_beside_the_file(write, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    write("V = 0.5\n", "helpers.py")
    find_rule(write("import helpers\ndef f(m):\n    return 1\n"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["helpers.py", "mine.py"]


def test_what_a_file_prints_and_sets_stays_with_it(write, capfd):
    before = random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    path = write(
        "import random, torch\nimport numpy as np\nprint('noise')\n"
        "random.seed(1); np.random.seed(1); torch.manual_seed(1)\n"
        "torch.set_grad_enabled(False)\ndef f(m):\n    return 1\n"
    )
    find_rule(path)
    assert capfd.readouterr() == ("", "noise\n")
    assert torch.is_grad_enabled()
    after = random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    assert after == before


def test_a_name_that_is_too_long_is_told_in_a_line():
    with pytest.raises(RuleNotFoundError, match="File name too long") as caught:
        find_rule("x" * 4000 + ".py:f")
    assert len(str(caught.value)) < 200


def test_a_file_whose_error_has_no_text_is_told_by_its_kind(tmp_path):
    place = tmp_path / "mine.py"
    place.write_text(
        "class Mute(Exception):\n    def __str__(self):\n        raise SystemExit\nraise Mute\n"
    )
    with pytest.raises(
        RuleNotFoundError, match=r"mine\.py does not import: Mute: \(its text cannot be read\)"
    ):
        load_rule_file(str(place), "mine")
