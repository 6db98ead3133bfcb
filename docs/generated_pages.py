"""Pages of the site that are made from other files: notebooks, cards, records, the rules' gallery.

They are written to ``docs/generated``, which is no part of the repository.
"""

from __future__ import annotations

import ast
import html
import io
import os
import re
import sys
from base64 import b64encode
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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


def _write(name: str, text: str) -> None:
    page = GENERATED / f"{name}.md"
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")
