"""Pages of the site that are made from other files: notebooks, model cards, the rules' gallery.

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

DOCS = Path(__file__).parent
GENERATED = DOCS / "generated"
PACKAGE = DOCS.parent / "melodyconstraints"
CARDS = {
    "staff": "melody/vae/bundled_staff",
    "bundled": "melody/vae/bundled",
    "digits": "images/bundled",
}
"""Name of each model card's page, folder of the model in the package."""
RATE = 16_000
"""Samples a second of the gallery's sounds: a megabyte each."""


def write_pages() -> None:
    """Write all of them; a page that has not changed keeps its date, so that it is not built anew.

    A notebook that fails raises what failed in it.
    """
    GENERATED.mkdir(exist_ok=True)
    for notebook in sorted((DOCS / "notebooks").glob("*.py")):
        _write(f"notebook-{notebook.stem}", notebook_page(notebook))
    for name, folder in CARDS.items():
        _write(f"card-{name}", (PACKAGE / folder / "README.md").read_text(encoding="utf-8"))
    bridges = (DOCS.parent / "bridges" / "README.md").read_text(encoding="utf-8")
    _write("bridges", bridges.replace("](../docs/", "](../"))
    _write("gallery", gallery_page())


def notebook_page(path: Path) -> str:
    """Run a jupytext notebook in an empty folder; Markdown of its cells and what they show."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    names: dict[str, Any] = {"__name__": "__main__"}
    page = []
    with TemporaryDirectory() as folder, chdir(folder):
        for cell in jupytext.read(path).cells:
            if cell.cell_type == "code":
                page += [f"```python\n{cell.source}\n```", *_run(cell.source, path.name, names)]
            else:  # links are relative to the notebook's folder, as the pages' folder lies
                page.append(cell.source)
    page.append(f"The notebook, for jupytext: [`{path.name}`](../notebooks/{path.name}).\n")
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


def gallery_page() -> str:
    """The rules with formula and source; picture and sound where ``make gallery`` made them."""
    from melodyconstraints.rules import library

    page = [
        "# Rule gallery",
        "Two melodies of the packaged model under no rule, and two that were searched for under "
        "each rule, with their rewards. `make gallery docs` makes the pictures and sounds. "
        "A rule that names no source is of this project. [How rules are written](../rules.md).",
    ]
    group = None
    for row in library():
        if row.group != group:
            group = row.group
            page.append(f"## {group.capitalize()}")
        page += [f"### {row.name}", f"`{row.example}`: {row.summary}.", row.formula]
        if (GENERATED / f"{row.name}.png").exists():
            page.append(f"![Melodies without and with {row.example}]({row.name}.png)")
            page.append(f"[Hear the third]({row.name}.wav)")
    return "\n\n".join(page) + "\n"


def write_gallery(seed: int = 1) -> None:
    """Draw two melodies under no rule and two under each rule of the library; the third sounds."""
    import melodyconstraints as mc
    from melodyconstraints.melody.plots import plot_melodies
    from melodyconstraints.melody.sound import pluck_melody, wav_bytes
    from melodyconstraints.rules import library

    GENERATED.mkdir(exist_ok=True)
    model = mc.load_model()
    free = mc.generate(model, 2, seed=seed)
    with TemporaryDirectory() as folder, chdir(folder):
        mc.write_melody(free[0], "tune.mid")  # of which the rule of novelty is
        for row in library():
            rule = mc.find_rule(row.example)
            melodies = [*free, *mc.generate(model, 2, [rule], seed=seed)]
            rewards = rule(mc.Melodies.stack(melodies))
            told = ["under no rule", "under no rule", row.example, row.example]
            titles = [f"{name}: {reward:.2f}" for name, reward in zip(told, rewards, strict=True)]
            plot_melodies(melodies, GENERATED / f"{row.name}.png", titles=titles)
            sound = wav_bytes(pluck_melody(melodies[2], rate=RATE), RATE)
            (GENERATED / f"{row.name}.wav").write_bytes(sound)


def _write(name: str, text: str) -> None:
    page = GENERATED / f"{name}.md"
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_gallery()
