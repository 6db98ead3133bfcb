"""Pages of the site that are made: notebooks, cards, records, options, the rules' gallery.

They are written to ``docs/generated``, which is no part of the repository.
"""

from __future__ import annotations

import ast
import html
import inspect
import io
import os
import re
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import jupytext
from gallery import gallery_page

DOCS = Path(__file__).parent
GENERATED = DOCS / "generated"
SOUNDS = GENERATED / "sounds"
PACKAGE = DOCS.parent / "melodyconstraints"
CARDS = {
    "staff": "melody/vae/bundled_staff",
    "bundled": "melody/vae/bundled",
    "digits": "images/bundled",
}
"""Name of each model card's page, folder of the model in the package."""


def write_pages() -> None:
    """Write all of them; a page that has not changed keeps its date, so that it is not built anew.

    A notebook that fails raises what failed in it.
    """
    SOUNDS.mkdir(parents=True, exist_ok=True)
    for notebook in sorted((DOCS / "notebooks").glob("*.py")):
        _write(f"notebook-{notebook.stem}", notebook_page(notebook))
    for name, folder in CARDS.items():
        _write(f"card-{name}", (PACKAGE / folder / "README.md").read_text(encoding="utf-8"))
    bridges = (DOCS.parent / "bridges" / "README.md").read_text(encoding="utf-8")
    _write("bridges", bridges.replace("](../docs/", "](../"))
    _write("measured", measured_page())
    _write("options", options_page())
    _write("gallery", gallery_page(GENERATED, SOUNDS))


def notebook_page(path: Path) -> str:
    """Run a jupytext notebook in an empty folder; Markdown of its cells and what they show."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    names: dict[str, Any] = {"__name__": "__main__"}
    page = []
    notebook = jupytext.read(path)
    jupytext.write(notebook, GENERATED / f"{path.stem}.ipynb")
    with TemporaryDirectory() as folder, chdir(folder):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                page += [f"```python\n{cell.source}\n```", *_run(cell.source, path.name, names)]
            else:  # links are relative to the notebook's folder, as the pages' folder lies
                page.append(cell.source)
    source = f"[`{path.name}`](../notebooks/{path.name})"
    page.append(
        f"This page as a notebook: {{download}}`{path.stem}.ipynb`; for jupytext: {source}.\n"
    )
    return "\n\n".join(page)


def _run(source: str, name: str, names: dict[str, Any]) -> list[str]:
    """Run a cell; what it prints, and its last expression as Markdown."""
    cell = ast.parse(source)
    last = cell.body.pop() if isinstance(cell.body[-1], ast.Expr) else None
    printed = io.StringIO()
    value = None
    with redirect_stdout(printed):
        exec(compile(cell, name, "exec"), names)  # noqa: S102
        if last is not None:
            value = eval(compile(ast.Expression(last.value), name, "eval"), names)  # noqa: S307
    text = printed.getvalue().strip()
    shown = [] if value is None else [_shown(value)]
    return [f"```text\n{text}\n```", *shown] if text else shown


def _shown(value: Any) -> str:
    """A value as a notebook shows it, but for players of sound, which are megabytes."""
    if hasattr(value, "savefig"):
        picture = io.BytesIO()
        value.savefig(picture, format="svg", bbox_inches="tight")
        data = b64encode(picture.getvalue()).decode()
        return f'<img alt="{html.escape(str(value))}" src="data:image/svg+xml;base64,{data}">'
    if hasattr(value, "_repr_html_"):
        unseen = r"<audio.*?</audio>|<br>|<style.*?</style>|\n\s*"
        return re.sub(unseen, "", value._repr_html_(), flags=re.DOTALL)
    return f"```text\n{value!r}\n```"


def measured_page() -> str:
    """What the benchmarks printed when they were last recorded, each beside its command."""
    page = [
        "# As measured",
        "Benchmarks as they were last recorded; `python benchmarks/record.py` records them anew. "
        "[Which measures what, and against which bar](../benchmarks.md).",
    ]
    for path in sorted((DOCS / "measured").glob("*.md")):
        page += [f"## {path.stem}", path.read_text(encoding="utf-8").strip()]
    return "\n\n".join(page) + "\n"


def options_page() -> str:
    """Usage, help text and options of every command, as its ``--help`` has them."""
    from melodyconstraints.cli.main import main

    page = [
        "# Options of all commands",
        "What `--help` prints of each command. [The commands](../commands.md) says which one does "
        "what, and what it prints. Every command has `-h` and `--help` as well.",
    ]
    for path, command in _commands("mc", main):
        context = click.Context(command, info_name=path)
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
        page += [f"## {path}", f"```text\n{usage}\n```", *map(_paragraph, paragraphs)]
        options = [param for param in command.params if isinstance(param, click.Option)]
        records = [option.get_help_record(context) for option in options]
        rows = [f"| {_code(names)} | {_prose(text)} |" for names, text in filter(None, records)]
        if rows:
            page.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
    return "\n\n".join(page) + "\n"


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Words and commands below a group, in the order in which the group lists them."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None  # noqa: S101 (a name of the group's own list)
        yield from _commands(f"{path} {name}", below)


def _paragraph(text: str) -> str:
    """A paragraph as Markdown; click leaves the lines of one with a backspace as they are."""
    mark, as_written = "\b\n", text.removeprefix("\b\n")
    return f"```text\n{as_written}\n```" if text.startswith(mark) else _prose(text)


def _prose(text: str) -> str:
    """A help text as Markdown, in which names of options are code."""
    escaped = re.sub(r"[\\`*_<>$|\[\]]", r"\\\g<0>", " ".join(text.split()))
    return re.sub(r"(?<![\w-])--?[a-z][\w-]*", r"`\g<0>`", escaped)


def _code(text: str) -> str:
    """Names of an option as code in a table's cell."""
    return "`" + text.replace("|", r"\|") + "`"


def _write(name: str, text: str) -> None:
    page = GENERATED / f"{name}.md"
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")
