"""What an installation holds, and what it needs."""

import ast
import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import melodyconstraints as mc
from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.storage.extras import EXTRAS, extras_explained

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "melodyconstraints"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
NEED_EXTRAS = (
    r"\.(studio|datasets\.melodies)\.|\.cli\.(studio|extract_melodies)$|classifier$|kernels$"
)
"""Modules whose import may need an extra."""
DISTRIBUTIONS = {"pillow": "PIL", "scikit-learn": "sklearn"}


def files_of(builder):
    """Paths in the archive that a builder would write."""
    return {file.distribution_path for file in builder(str(ROOT)).recurse_included_files()}


def test_the_wheel_is_the_package_whole_and_nothing_else():
    kept = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not {"__pycache__"} & set(path.parts) and path.suffix != ".pyc"
    }
    assert files_of(WheelBuilder) == kept
    assert "melodyconstraints/cli/main.py" in kept
    assert {Path(name).suffix for name in kept} <= {
        *(".py", ".typed", ".md", ".json", ".safetensors"),
        ".txt",  # a rule file to start from
        *(".html", ".css", ".js", ".svg"),
    }


def test_the_source_distribution_has_the_tests_and_no_music():
    names = files_of(SdistBuilder)
    assert {"tests/test_package.py", "CITATION.cff", "CHANGELOG.md"} <= names
    assert not [name for name in names if re.search(r"\.(midi?|kar|parquet)$", name)]


def test_the_version_to_cite_is_that_of_the_package():
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (\S+)$", cited, re.MULTILINE) == [mc.__version__]


def eager_imports(module):
    """Names that are imported with a module, not by its functions or for types."""
    for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_a_plain_installation_imports_all_but_what_its_extras_are_for():
    arrows = {module: set(eager_imports(module)) for module in MODULES}
    needy = {m for m, names in arrows.items() if {n.split(".")[0] for n in names} & EXTRAS.keys()}
    assert needy
    while more := {m for m, names in arrows.items() if names & needy} - needy:
        needy |= more
    assert [module for module in sorted(needy) if not re.search(NEED_EXTRAS, module)] == []


def test_every_package_that_is_imported_is_declared():
    nodes = [node for path in MODULES.values() for node in ast.walk(ast.parse(path.read_bytes()))]
    whole = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    whole |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported = {name.split(".")[0] for name in whole if name} - sys.stdlib_module_names
    extras = PROJECT["optional-dependencies"].items()
    used = [lines for extra, lines in extras if extra not in ("dev", "docs")]
    names = [re.match(r"[\w-]+", line)[0] for line in chain(PROJECT["dependencies"], *used)]
    declared = {DISTRIBUTIONS.get(name, name.replace("-", "_")) for name in names}
    assert imported - declared == {"starlette", "pydantic_core"}  # of fastapi and pydantic


@pytest.mark.parametrize("module", EXTRAS)
def test_the_extra_that_is_named_for_a_module_installs_it(module):
    wanted = PROJECT["optional-dependencies"][EXTRAS[module]]
    names = [re.match(r"[\w-]+", line)[0] for line in wanted]
    assert module in [DISTRIBUTIONS.get(name, name.replace("-", "_")) for name in names]


def test_a_missing_extra_is_one_line_that_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "note_seq", None)
    with pytest.raises(UsageError, match=r"^note_seq is .*: pip install '.*\[interop\]'$"):
        Melody.from_notes([(0, 4, 60)]).to_note_sequence()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "melodyconstraints.datasets.melodies.store")
    with pytest.raises(UsageError, match=r"^pyarrow is not .*: pip install '.*\[corpus\]'$"):
        _ = mc.read_store
    with pytest.raises(ModuleNotFoundError, match="'tunes'"), extras_explained():
        import tunes  # noqa: F401
