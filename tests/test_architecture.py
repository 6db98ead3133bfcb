"""Which way the arrows run, what stays light, and what the front door shows."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import melodyconstraints
from melodyconstraints import errors

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "melodyconstraints"
FOLDERS = ("latent", "vae", "melody", "images", "rules", "datasets", "cli")
BASE = {"errors", "compiled", "disk"}
ABOVE = {
    *("actor_checkpoint", "actors", "bank", "curves", "evaluation", "knobs", "quality", "reading"),
    *("recipe", "transformation"),
}
EVERYTHING = {"", *BASE, "artifacts", *FOLDERS, *ABOVE}

MAY_IMPORT = {
    "errors": set(),
    "compiled": set(),
    "disk": set(),
    "artifacts": {"errors", "disk"},
    "latent": {"errors"},
    "vae": {"errors", "artifacts"},
    "melody": {"errors", "compiled", "artifacts", "vae", "latent"},
    "images": {
        *("errors", "artifacts", "disk", "vae", "latent", "curves"),
        "datasets.labelled_images",
    },
    "rules": {
        "errors",
        *("melody.events", "melody.notes", "melody.units"),
        *("melody.statistics", "melody.scores"),
    },
    "datasets": {*BASE, "melody"},
    "actor_checkpoint": EVERYTHING - {"cli"},
    "actors": EVERYTHING - {"cli"},
    "bank": {"errors", "artifacts", "melody", "datasets"},
    "evaluation": EVERYTHING - {"cli"},
    "curves": {"latent"},
    "knobs": EVERYTHING - {"cli"},
    "quality": EVERYTHING - {"cli"},
    "reading": {"errors", "melody", "datasets"},
    "recipe": EVERYTHING - {"cli"},
    "transformation": EVERYTHING - {"cli"},
    "": EVERYTHING - {"cli"},
    "cli": EVERYTHING,
}
"""Room to the rooms, or single modules, that it may import besides itself; "" is the catalogue."""


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


def imports_of(module: str) -> set[str]:
    path = MODULES[module]
    return imports(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")


def inside(name: str) -> str | None:
    """``latent.losses`` for a module of the package, "" for the catalogue, None for others."""
    if name != "melodyconstraints" and not name.startswith("melodyconstraints."):
        return None
    return name.removeprefix("melodyconstraints").removeprefix(".")


def is_allowed(room: str, target: str) -> bool:
    allowed = MAY_IMPORT[room]
    return target.split(".")[0] in {room, *allowed} or target in allowed


def imports_torch(module: str) -> bool:
    return any(name.split(".")[0] in ("torch", "safetensors") for name in imports_of(module))


def reachable(starts: set[str]) -> set[str]:
    """Modules of the package that the given ones import, directly or through others."""
    found, waiting = set(), set(starts)
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= (imports_of(module) & MODULES.keys()) - found
    return found


def test_the_import_parser_sees_functions_type_checking_and_relative_imports():
    source = """
import os.path
from melodyconstraints.latent import losses
from . import scales
from ..vae.training import train
if TYPE_CHECKING:
    from melodyconstraints.actors import MelodyActor
def f():
    import torch.nn as nn
"""
    assert imports(source, "melodyconstraints.rules.library") == {
        "os.path",
        "melodyconstraints.latent.losses",
        "melodyconstraints.rules.scales",
        "melodyconstraints.vae.training",
        "melodyconstraints.actors",
        "torch.nn",
    }


def test_the_table_of_arrows_tells_back_from_forth():
    assert is_allowed("latent", "latent.losses")
    assert is_allowed("rules", "melody.events")
    assert not is_allowed("rules", "melody.model")
    assert not is_allowed("rules", "melody")
    assert not is_allowed("latent", "vae.training")
    assert not is_allowed("melody", "rules.definition")
    assert not is_allowed("actors", "cli.main")


@pytest.mark.parametrize("module", MODULES)
def test_no_arrow_runs_back(module):
    room = inside(module).split(".")[0]
    assert room in MAY_IMPORT, f"{module} is in no room; give it a row in MAY_IMPORT"
    targets = {inside(name) for name in imports_of(module)} - {None}
    back = {target for target in targets if not is_allowed(room, target)}
    assert not back, f"{module} must not import {back}"


def test_rules_reach_no_torch_even_through_other_modules():
    rules = {name for name in MODULES if inside(name).split(".")[0] == "rules"}
    assert {name for name in reachable(rules) if imports_torch(name)} == set()


def test_of_datasets_and_errors_only_the_torch_dataset_imports_torch():
    light = {name for name in MODULES if inside(name).split(".")[0] in ("datasets", "errors")}
    alone = "melodyconstraints.datasets.torch_dataset"
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
        "import melodyconstraints.reading",
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
