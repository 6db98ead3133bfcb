"""Commands and links of the docs and the help: they parse, lead somewhere, and none is missing.

Those of README and tutorial run in ``test_docs_run.py``, or have a reason there, the notebooks' in
``test_notebooks.py``. The others read files of the reader's, or train for minutes: that each
command does what its options say is tested in ``tests/cli``, on small models. Benchmarks take
minutes to hours; their files must be there.
"""

import re
import runpy
import shlex
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from melodyconstraints.cli.main import main

ROOT = Path(__file__).parents[1]
record = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "record.py")))
PAGES = [
    ROOT / "README.md",
    ROOT / "bridges" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "notebooks").glob("*.py")),
    *sorted((ROOT / "melodyconstraints").rglob("README.md")),
]
COMMAND = re.compile(r"^ *(mc .+?)(?=\s{2,}#|$)", flags=re.MULTILINE)
FENCED = re.compile(r"^```\w*\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
AS_WRITTEN = re.compile(r"\x08\n((?:.+\n?)+)")
"""Paragraphs of a help text that click does not wrap."""
IN_A_LINE = re.compile(r"`(mc [^`]+)`")


def leaves(group: click.Group, *words: str) -> dict[tuple[str, ...], click.Command]:
    """Every command below a group that is no group, by its words."""
    found: dict[tuple[str, ...], click.Command] = {}
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            found |= leaves(command, *words, name)
        elif command is not None:
            found[(*words, name)] = command
    return found


LEAVES = leaves(main)


def parse(line: str) -> None:
    """Parse a command line without running it; an unknown option or command raises."""
    words, group, context = shlex.split(line)[1:], main, None
    while True:
        context = group.make_context("mc", words, parent=context)
        name, command, words = group.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        if not isinstance(command, click.Group):
            command.make_context(name, words, parent=context)
            return
        if not words:
            return
        group = command


@pytest.fixture
def any_file(monkeypatch):
    """Files and folders that the docs name need not be there."""
    for kind in (click.Path, click.File):
        monkeypatch.setattr(kind, "convert", lambda self, value, *_: Path(value))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_parses(page, any_file):
    text = page.read_text(encoding="utf-8")
    for block in FENCED.findall(text):
        for line in COMMAND.findall(block.replace("\\\n", "")):
            line = re.sub(r"\$\(.*?\)", "", line)  # the shell's
            parse(line)
    for line in IN_A_LINE.findall(FENCED.sub("", text)):
        # where an argument or a value is missing, it is a name and no command to type
        with suppress(click.MissingParameter, click.BadOptionUsage):
            parse(" ".join(line.split()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_is_there(page):
    for link in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_benchmark_and_target_of_a_page_is_there(page):
    text = page.read_text(encoding="utf-8")
    for file in re.findall(r"\bpython (benchmarks/\w+\.py)", text):
        assert (ROOT / file).exists(), file
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make (\w+)", text, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile, target


def test_every_benchmark_is_named_on_the_page_of_benchmarks():
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [one.name for one in ROOT.glob("benchmarks/*.py") if f"`{one.name}" not in text] == []


def test_every_benchmark_is_recorded_or_has_a_reason():
    recorded = re.findall(r"benchmarks/(\w+\.py)", " ".join(record.RECORDS.values()))
    files = {one.name for one in ROOT.glob("benchmarks/*.py")}
    assert files == {*recorded, *record.NOT_RECORDED}
    assert not set(recorded) & set(record.NOT_RECORDED)


@pytest.mark.parametrize("path", sorted(record.MEASURED.iterdir()), ids=lambda path: path.stem)
def test_a_record_is_of_the_command_that_makes_it(path):
    first, *printed = path.read_text("utf-8").splitlines()
    command, where = first.removeprefix("`").split("`, ", 1)
    assert command == record.RECORDS[path.stem]
    assert re.match(r"\d{4}-\d\d-\d\d, commit [0-9a-f]{7,}, Python ", where)
    assert any(printed)
    assert not re.search(r"/(home|tmp|work|root)/", "\n".join(printed))  # paths of a machine


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "{include}" in page.read_text("utf-8")]
)
def test_a_page_takes_its_tables_from_records_that_are_there(page):
    files = re.findall(r"^```\{include\} (\S+)$", page.read_text("utf-8"), re.MULTILINE)
    assert {(page.parent / file).is_file() for file in files} == {True}


def test_a_record_has_tables_where_a_benchmark_prints_tabs():
    printed = "Two formats\n\nformat\tnotes\nmid\t12\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    printed += "name\tx\ty\n\tlast\t\n"
    assert record.markdown(printed) == "\n\n".join(
        [
            "Two formats",
            "| format | notes |\n|---|---|\n| mid | 12 |",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "| name | x | y |\n|---|---|---|\n|  | last |  |",
        ]
    )


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_shows_an_example_that_parses(words, any_file):
    examples = COMMAND.findall("\n\n".join(AS_WRITTEN.findall(LEAVES[words].help)))
    assert any(shlex.split(line)[1 : len(words) + 1] == list(words) for line in examples)
    for line in examples:
        parse(line)


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_the_help_of_every_command_fits_a_terminal(words):
    text = CliRunner().invoke(main, [*words, "--help"], terminal_width=80).output
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_that_reports_prints_json(words):
    reports = words not in (("play",), ("studio",), ("rules", "new"))
    names = [name for option in LEAVES[words].params for name in option.opts]
    assert ("--json" in names) == reports


@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        ("mc gen", ["generate"]),
        ("mc rer", ["reroll"]),
        ("mc reroll --ke", ["--keep-bars"]),
        ("mc rules ", ["check", "list", "new", "show"]),
        ("mc images train-c", ["train-captions", "train-classifier"]),
        ("mc generate --sc", ["--scale"]),
        ("mc generate --velocity s", ["shaped"]),
    ],
)
def test_the_shell_completes(typed, completions, monkeypatch):
    *before, incomplete = typed.split(" ")
    shown = BashComplete(main, {}, "mc", "_MC_COMPLETE")
    found = shown.get_completions(before[1:], incomplete)
    assert sorted(item.value for item in found) == completions
