"""``docs/rules.md`` and the library agree."""

import re
from pathlib import Path

import pytest

from melodyconstraints.rules import find_rule, library

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "rules.md").read_text(encoding="utf-8")
TABLE = TEXT[TEXT.index("## The library") : TEXT.index("## Rules together")]
FIRST_CELLS = re.findall(r"^\| (`.*?) \|", TABLE, re.MULTILINE)


@pytest.mark.parametrize("row", library(), ids=lambda row: row.name)
def test_every_rule_of_the_library_is_in_the_document_with_its_example(row):
    assert any(f"`{row.example}`" in cell for cell in FIRST_CELLS)


def test_the_document_has_no_rule_that_the_library_lacks():
    named = {name for cell in FIRST_CELLS for name in re.findall(r"`([a-z-]+)", cell)}
    assert named == {row.name for row in library()}


def test_documents_say_how_many_rules_there_are():
    count = len(library())
    assert f"There are [{count}](rules.md" in (DOCS / "tutorial.md").read_text(encoding="utf-8")
    assert f" {count} rules, " in (DOCS / "compared-with.md").read_text(encoding="utf-8")


def test_the_documents_python_runs():
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    made = {}
    exec(program, made)  # noqa: S102
    assert made["either"].name == "any_of(cmajor, pitch-classes:G,A,B,C,D,E,F#)"


@pytest.mark.parametrize("spec", re.findall(r"--rule (\S+)", TEXT))
def test_the_documents_command_lines_name_rules(spec):
    assert find_rule(spec).spec == spec
