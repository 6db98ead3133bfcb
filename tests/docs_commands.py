"""Commands that README, docs, notebooks and cards show, in fences and in a line; their parse.

Tests load this file by its path. A fence of something else than commands names its language.
"""

import argparse
import re
import runpy
import shlex
import tomllib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import click
from torch.distributed.run import get_args_parser

from melodyconstraints.cli.main import main

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    ROOT / "bridges" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "notebooks").glob("*.py")),
    *sorted((ROOT / "melodyconstraints").rglob("README.md")),
]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]
_FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
_COMMENT = re.compile(r"\s{2,}#.*|^#.*", re.MULTILINE)
_CODE = re.compile(r"(`+)([^`]+)\1")
_IS_COMMAND = re.compile(r"((?!_MC_)\w+=\S+ )*([a-z][\w.-]*|_MC_\w+=\w+) \S")
_VARIABLES = re.compile(r"^((?!_MC_)\w+=(\$\(|[^\s$]\S* +))+")
_SHORT = {
    "mc images": ["train-actor", "generate", "evaluate"],
    "python benchmarks/constraints.py": ["tradeoff", "curves", "transform"],
    "python benchmarks/images.py": ["langevin"],
    "python benchmarks/search.py": ["realism"],
    "python benchmarks/typical.py": ["bounds"],
}
"""What stands before these where a page, or a row of its table, has named it."""


class Command(NamedTuple):
    """A command of a page."""

    page: str
    line: str
    """Without variables of the environment before it."""
    is_fenced: bool


def commands_of(page: Path) -> list[Command]:
    """The commands of a page, those in fences first."""
    name, text = page.relative_to(ROOT).as_posix(), page.read_text("utf-8")
    joined = re.sub(r"\\\n|(?<=\|)\n", " ", text if page.suffix == ".md" else "")
    fenced = [
        line
        for language, block in _FENCE.findall(joined)
        if not language
        for line in _COMMENT.sub("", block).splitlines()
        if line.strip()
    ]
    prose = _FENCE.sub("", text if page.suffix == ".md" else text.replace("\n# ", "\n"))
    code = [" ".join(span.split()) for _, span in _CODE.findall(prose)]
    named = [_in_full(line) for line in code if _IS_COMMAND.match(line)]
    return [
        Command(name, _VARIABLES.sub("", line.strip()), line_is_fenced)
        for lines, line_is_fenced in ((fenced, True), (named, False))
        for line in lines
    ]


def _in_full(line: str) -> str:
    first = line.split()[0]
    if (ROOT / "benchmarks" / first).is_file():
        return f"python benchmarks/{line}"
    return next((f"{start} {line}" for start, names in _SHORT.items() if first in names), line)


COMMANDS = [command for page in PAGES for command in commands_of(page)]


def parse(line: str) -> None:
    """Parse a command without running it; what is unknown to its program raises."""
    words = shlex.split(re.sub(r"\$\(.*?\)", "", line) if line.startswith("mc") else line)
    match words:
        case ["torchrun", *rest]:
            asked = get_args_parser().parse_args(rest)
            parse(shlex.join([asked.training_script, *asked.training_script_args]))
        case ["mc", *rest]:
            _parse_click(main, rest)
        case ["python", file, *rest] if re.match(r"benchmarks/\w", file):
            _parse_benchmark(file, rest)
        case ["make", target, *_]:
            assert f"\n{target}:" in MAKEFILE, target
        case ["pip" | "uv", *rest]:
            extras = re.findall(r"(?:\[|--extra )([\w,]+)", " ".join(rest))
            assert {name for names in extras for name in names.split(",")} <= EXTRAS.keys()


def parse_in_a_line(line: str) -> None:
    """Parse a command of a sentence; one without an argument or a value is a mere name."""
    with suppress(click.MissingParameter, click.BadOptionUsage, click.exceptions.Exit):
        parse(line)


def _parse_click(command: click.Command, words: list[str]) -> None:
    name, context = "mc", None
    while isinstance(command, click.Group):
        context = command.make_context(name, words, parent=context)
        words = [*context._protected_args, *context.args]
        name, command, words = command.resolve_command(context, words)
        if isinstance(command, click.Group) and not words:
            return
    command.make_context(name, words, parent=context)


@cache
def _benchmark(file: str) -> object:
    return runpy.run_path(str(ROOT / file))["main"]


def _parse_benchmark(file: str, words: list[str]) -> None:
    program = _benchmark(file)
    if isinstance(program, click.Command):
        _parse_click(program, words)
        return
    parse_args = argparse.ArgumentParser.parse_args

    class ParsedError(Exception):
        pass

    def only_parse(parser: argparse.ArgumentParser) -> None:
        with suppress(SystemExit):
            parse_args(parser, words)
            raise ParsedError
        raise click.UsageError(f"{file} does not take {words}")

    with patch.object(argparse.ArgumentParser, "parse_args", only_parse), suppress(ParsedError):
        program()  # type: ignore[operator]
