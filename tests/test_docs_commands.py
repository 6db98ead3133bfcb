"""Commands and links of the docs and the help: they parse, lead somewhere, and none is missing.

``test_docs_run.py`` runs the commands, or has the reason why not; what their options do is tested
in ``tests/cli``. Every benchmark is named and recorded, or has a reason.
"""

import re
import runpy
import shlex
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from melodyconstraints.cli.main import main

ROOT = Path(__file__).parents[1]
record = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "record.py")))
docs = SimpleNamespace(**runpy.run_path(str(ROOT / "tests" / "docs_commands.py")))
COMMAND = re.compile(r"^ *(mc .+?)(?=\s{2,}#|$)", flags=re.MULTILINE)
AS_WRITTEN = re.compile(r"\x08\n((?:.+\n?)+)")
"""Paragraphs of a help text that click does not wrap."""


def name_of(page: Path) -> str:
    """A page's path in the repository."""
    return str(page.relative_to(ROOT))


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


@pytest.fixture
def any_file(monkeypatch):
    """Files and folders that the docs name need not be there."""
    for kind in (click.Path, click.File):
        monkeypatch.setattr(kind, "convert", lambda self, value, *_: Path(value))


@pytest.mark.parametrize("page", docs.PAGES, ids=name_of)
def test_every_command_of_a_page_parses(page, any_file, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    for command in docs.commands_of(page):
        (docs.parse if command.is_fenced else docs.parse_in_a_line)(command.line)


@pytest.mark.parametrize(
    "line",
    [
        "mc generate --ruel cmajor",
        "mc generrate",
        "torchrun --nproc-per-node 8 mc train-vaee",
        "torchrun --nprocs-each 8 mc train-vae",
        "python benchmarks/knobs.py STORE --onlyy values",
        "python benchmarks/formats.py --fast",
        "make everything",
        "pip install '.[studioo]'",
    ],
)
def test_a_mistake_in_a_command_is_seen(line, any_file, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    with pytest.raises((click.UsageError, SystemExit, AssertionError)):
        docs.parse(line)


@pytest.mark.parametrize("page", docs.PAGES, ids=name_of)
def test_every_file_that_a_page_links_to_is_there(page):
    for link in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


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
    "page", [page for page in docs.PAGES if "{include}" in page.read_text("utf-8")]
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
        docs.parse(line)


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


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_for_a_shell_prints_its_script(shell):
    (line,) = (one.line for one in docs.COMMANDS if f"={shell}_source mc" in one.line)
    name, value = re.search(r"(\w+)=(\w+)", line).groups()
    done = CliRunner().invoke(main, prog_name="mc", env={name: value})
    assert f"{name}={shell}_complete" in done.stdout
    assert (done.exit_code, done.exception) == (0, None)
