"""Which way the arrows run, what stays light, and what the front door shows."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import melodyconstraints
from melodyconstraints import errors
from melodyconstraints.cli import images, main

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "melodyconstraints"
LOWER_ROOMS = {"errors", "storage", "latent", "vae", "melody", "melody.midi", "melody.metrics"}
"""All that melody models, rules and melody stores may stand on."""
MAY_IMPORT = {
    "errors": set(),
    "storage": {"errors"},
    "latent": {"errors", "storage"},
    "vae": {"errors", "storage"},
    "melody": {"errors", "storage"},
    "melody.midi": {"errors", "storage", "melody"},
    "melody.metrics": {"melody"},
    "melody.vae": {"errors", "storage", "vae", "melody", "melody.metrics"},
    "melody.vae.staff": {
        *("errors", "storage", "vae", "melody", "melody.metrics.modes", "melody.vae"),
    },
    "rules": {
        "errors",
        *("latent.satisfaction", "storage.arguments", "storage.text"),
        *("melody.chords", "melody.events", "melody.keys", "melody.notes", "melody.rhythm"),
        "melody.units",
        *("melody.metrics.modes", "melody.metrics.statistics", "melody.midi.scores"),
    },
    "datasets": set(),
    "datasets.melodies": {"errors", "storage", "melody", "melody.midi"},
    "datasets.images": {"errors", "storage"},
    "images": {"errors", "storage", "latent", "vae"},
    "workflows": LOWER_ROOMS | {"melody.vae", "melody.vae.staff", "rules", "datasets.melodies"},
    "studio": {
        *("", "errors", "storage", "latent", "melody", "melody.midi"),
        *("melody.vae", "rules", "datasets.melodies", "workflows"),
    },
    "workflows.images": {"errors", "storage", "latent", "vae", "datasets.images", "images"},
    "": {
        "storage.extras",
        "storage.machine",
        "melody",
        "melody.midi",
        "rules",
        "datasets.melodies",
        "workflows",
    },
    "cli": LOWER_ROOMS | {"", "melody.vae", "rules", "datasets.melodies", "workflows", "studio"},
    "cli.images": {
        *("storage", "latent", "vae", "datasets.images", "images"),
        *("workflows.images", "cli"),
    },
}
"""Room to the rooms, or single modules, that it may import besides itself; "" is the catalogue."""

ONLY_CIRCLE = {
    *("melody.events", "melody.interop", "melody.quantising"),
    *("melody.plots", "melody.sound", "melody.notebook"),
}
"""A melody shows itself and turns into other libraries' objects: methods that import when called,
since a notebook looks for them on the melody."""

DOCUMENTED = {
    room.replace("/", "."): row
    for room, row in re.findall(
        r"^\| `([\w/]+)/` \| (.+) \|$",
        (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
}
"""Room to its row of the document's table."""
COMMANDS = {
    "cli": {module for module, _ in main.COMMANDS.values()},
    "cli.images": {module for module, _ in images.COMMANDS.values()},
}
"""Rooms to modules that their rows need not name: one for each command."""


def module_name(path: Path) -> str:
    """``melodyconstraints/latent/losses.py`` as ``melodyconstraints.latent.losses``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(source: str, module: str, is_package: bool = False) -> set[str]:
    """Whole names of all that a module imports, anywhere in its text."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = node.level - 1 if is_package else node.level
                parents = module.split(".")[: len(module.split(".")) - up]
                base = ".".join([*parents, *([base] if base else [])])
            inner = {f"{base}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= inner or {base}
    return found


@cache
def imports_of(module: str) -> set[str]:
    path = MODULES[module]
    return imports(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")


ARROWS = {name: imports_of(name) & MODULES.keys() - {name} for name in MODULES}
"""Every module of the package to those that it imports."""


def inside(name: str) -> str | None:
    """``latent.losses`` for a module of the package, "" for the catalogue, None for others."""
    if name != "melodyconstraints" and not name.startswith("melodyconstraints."):
        return None
    return name.removeprefix("melodyconstraints").removeprefix(".")


def targets_of(module: str) -> set[str]:
    """All of the package that a module imports: ``latent.losses``."""
    return {inside(name) for name in imports_of(module)} - {None}


def room_of(name: str) -> str:
    """The room in which a module is: ``melody.midi`` for ``melody.midi.scores``."""
    rooms = [room for room in MAY_IMPORT if room and (name == room or name.startswith(f"{room}."))]
    if not rooms and name:
        pytest.fail(f"{name} is in no room; give it a row in MAY_IMPORT")
    return max(rooms, key=len, default="")


def is_allowed(room: str, target: str) -> bool:
    return room_of(target) in {room, *MAY_IMPORT[room]} or target in MAY_IMPORT[room]


def circles(arrows: Mapping[str, set[str]]) -> list[set[str]]:
    """Sets of modules that import each other, directly or through others."""
    behind = {module: reachable({module}, arrows) for module in arrows}
    alike = {
        frozenset(other for other in behind[module] if module in behind[other])
        for module in arrows
    }
    return [set(circle) for circle in alike if len(circle) > 1]


def imports_torch(module: str) -> bool:
    return any(name.split(".")[0] in ("torch", "safetensors") for name in imports_of(module))


def reachable(starts: set[str], arrows: Mapping[str, set[str]]) -> set[str]:
    """Modules that the given ones import, directly or through others; themselves included."""
    found, waiting = set(), set(starts)
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= arrows[module] - found
    return found


def test_the_import_parser_sees_functions_type_checking_and_relative_imports():
    source = """
import os.path
from melodyconstraints.latent import losses
from . import scales
from ..vae.training import train
if TYPE_CHECKING:
    from melodyconstraints.workflows.actor import (MelodyActor)
def f():
    import torch.nn as nn
"""
    assert imports(source, "melodyconstraints.rules.library") == {
        "os.path",
        "melodyconstraints.latent.losses",
        "melodyconstraints.rules.scales",
        "melodyconstraints.vae.training",
        "melodyconstraints.workflows.actor",
        "torch.nn",
    }


def test_the_table_of_arrows_tells_back_from_forth():
    assert is_allowed("latent", "latent.losses")
    assert is_allowed("rules", "melody.events")
    assert is_allowed("melody.vae", "melody.events")
    assert is_allowed("melody.vae.staff", "melody.vae.sampling")
    assert not is_allowed("melody.vae", "melody.vae.staff.model")
    assert not is_allowed("rules", "melody.vae.model")
    assert not is_allowed("rules", "melody")
    assert not is_allowed("latent", "vae.training")
    assert not is_allowed("melody", "melody.midi.scores")
    assert not is_allowed("melody.vae", "rules.definition")
    assert not is_allowed("workflows", "cli.main")


def test_the_floors_hold_no_circle_of_rooms():
    rooms = {
        room: {room_of(target) if target else "" for target in targets}
        for room, targets in MAY_IMPORT.items()
    }
    assert circles(rooms) == []


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [{"b", "c"}]


def test_no_modules_import_each_other_in_a_circle():
    found = [{inside(module) for module in circle} for circle in circles(ARROWS)]
    assert found == [ONLY_CIRCLE]


@pytest.mark.parametrize("module", MODULES)
def test_no_arrow_runs_back(module):
    room = room_of(inside(module))
    assert [target for target in targets_of(module) if not is_allowed(room, target)] == []


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_every_allowance_is_used(room):
    targets = set().union(*(targets_of(name) for name in MODULES if room_of(inside(name)) == room))
    unused = MAY_IMPORT[room] - targets - {room_of(target) for target in targets}
    assert not unused, f"nothing in {room} imports {unused}; take it out of its row"


def test_the_document_has_a_row_for_every_room():
    assert DOCUMENTED.keys() == MAY_IMPORT.keys() - {"", "errors", "datasets"}


@pytest.mark.parametrize("room", DOCUMENTED)
def test_the_document_names_the_modules_of_every_room_and_no_others(room):
    named = set(re.findall(r"`(\w+)`", DOCUMENTED[room]))
    files = {MODULES[name].stem for name in MODULES if room_of(inside(name)) == room}
    assert named - files == set()
    assert files - named - COMMANDS.get(room, set()) == {"__init__"}


def test_only_the_errors_lie_loose_at_the_root():
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "errors.py"}


def test_rules_reach_no_torch_even_through_other_modules():
    rules = {name for name in MODULES if inside(name).split(".")[0] == "rules"}
    assert {name for name in reachable(rules, ARROWS) if imports_torch(name)} == set()


def test_of_datasets_and_errors_only_the_torch_dataset_imports_torch():
    light = {name for name in MODULES if inside(name).split(".")[0] in ("datasets", "errors")}
    alone = "melodyconstraints.datasets.melodies.torch_dataset"
    assert {name for name in light if imports_torch(name)} == {alone}
    assert not {name for name in light if alone in imports_of(name)}


@pytest.mark.parametrize("module", [name for name in MODULES if ".latent" in name])
def test_the_core_knows_no_domain(module):
    words = r"(?<![a-z])(pitch|note|melody|midi|pixel|image)(e?s)?(?![a-z])"
    text = MODULES[module].read_text(encoding="utf-8").replace("melodyconstraints", "")
    assert re.search(words, text, re.IGNORECASE) is None


@pytest.mark.parametrize(
    "statement",
    [
        "import melodyconstraints",
        "import melodyconstraints.rules",
        "import melodyconstraints.melody.midi.selection",
        "from melodyconstraints.cli.main import main; main(['--help'], standalone_mode=False)",
        "from melodyconstraints.cli.main import main; "
        "main(['rules', 'list'], standalone_mode=False)",
        "from melodyconstraints.cli.main import main; "
        "main(['train-actor', '--help'], standalone_mode=False)",
        "from melodyconstraints.cli.main import main; "
        "main(['images', 'train-vae', '--help'], standalone_mode=False)",
    ],
)
def test_a_fresh_process_does_not_load_torch_for(statement):
    program = f"import sys; {statement}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["rules", "cli", "datasets"])
def test_the_links_at_the_root_lead_into_the_package(name):
    link = ROOT / name
    assert link.is_symlink()
    assert link.readlink() == Path("melodyconstraints") / name
    assert link.resolve() == (PACKAGE / name).resolve()


def test_the_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_both_programs_are_the_same_command():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    scripts = project["scripts"]
    assert scripts["mc"] == scripts["melodyconstraints"]
    module, _, name = scripts["mc"].partition(":")
    assert callable(getattr(import_module(module), name))


def test_the_catalogue_and_its_homes_agree():
    assert set(melodyconstraints.__all__) == set(melodyconstraints._HOMES)
    assert set(melodyconstraints.__all__) <= set(dir(melodyconstraints))


@pytest.mark.parametrize("name", melodyconstraints.__all__)
def test_every_name_of_the_catalogue_can_be_got(name):
    thing = getattr(melodyconstraints, name)
    assert thing.__name__ == name
    assert thing.__module__.startswith(f"melodyconstraints.{melodyconstraints._HOMES[name]}")


def test_a_name_that_is_not_in_the_catalogue_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'melodyconstraints' has no attribute 'sing'"):
        _ = melodyconstraints.sing


def test_every_error_is_drawn_in_the_tree_with_its_exit_code():
    drawn = dict(re.findall(r"(\w+Error)\b.*?\s(\d) ", errors.__doc__))
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert {name: str(value.exit_code) for name, value in classes.items()} == drawn
    assert all(issubclass(value, errors.MelodyConstraintsError) for value in classes.values())
    assert issubclass(errors.UsageError, ValueError)
    assert issubclass(errors.RuleNotFoundError, errors.RuleError)
