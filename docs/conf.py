"""How Sphinx builds the site from the pages of this folder: ``make docs``."""

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

DOCS = Path(__file__).parent
INCLUDED_RECORD = re.compile(
    r"^(```\{include\} (measured/\S+)\n```)\n\n\[As measured\]\(\2\)$", flags=re.MULTILINE
)
"""A record that a page includes, and the link to it below, for readers of the file itself."""
sys.path[:0] = [str(DOCS.parent), str(DOCS)]

from generated_pages import CARDS, SOUNDS, write_pages  # noqa: E402 (a module of this folder)

project = html_title = "melodyconstraints"
html_theme = "furo"
highlight_language = "text"
html_static_path = [str(SOUNDS)]
html_copy_source = html_show_copyright = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["notebooks", "measured", "bundled-model-notes.md"]  # parts of other pages
nitpicky = True
nitpick_ignore_regex = [(r"py:(?!obj$).*", ".*")]
"""Names in docstrings may lead outside the site; those of pages, which are ``obj``, may not."""
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

autodoc_typehints = "none"
autodoc_member_order = "bysource"


def links_of_the_site(app: Sphinx, name: str, source: list[str]) -> None:
    """Links of a page to files of the package become links to the site's pages.

    Model cards, notebooks, bridges and the options of commands have pages. Tables that a page
    includes need no link; a link without its table stays, and is an error of the build.
    ``[`name`](../melodyconstraints/room/module.py)`` leads to the documentation of the name.
    """
    for card, folder in CARDS.items():
        source[0] = source[0].replace(
            f"../melodyconstraints/{folder}/README.md", f"generated/card-{card}.md"
        )
    source[0] = source[0].replace("](../bridges/README.md)", "](generated/bridges.md)")
    source[0] = source[0].replace("](../melodyconstraints/cli)", "](generated/options.md)")
    source[0] = INCLUDED_RECORD.sub(r"\1", source[0])
    source[0] = re.sub(r"\]\(notebooks/([\w-]+)\.py\)", r"](generated/notebook-\1.md)", source[0])
    source[0] = re.sub(
        r"\[`([\w.]+)`\]\(\.\./(melodyconstraints/[\w/]+)\.py\)",
        lambda link: f"{{py:obj}}`{link[1]} <{link[2].replace('/', '.')}.{link[1]}>`",
        source[0],
    )


def bars_as_written(app: Sphinx, kind: str, name: str, *rest: Any) -> None:
    """In docstrings ``|z|`` is a length, no substitution."""
    lines = rest[-1]
    lines[:] = [re.sub(r"(?<!`)\|(?!`)", r"\\|", line) for line in lines]


def mathml(node: nodes.math | nodes.math_block, *, as_block: bool) -> str:
    """A formula as MathML, which browsers draw without a script."""
    spaced = re.sub(r"\\(log|cos|sin) ", r"\\\1\\, ", node.astext())
    return tex2mathml(spaced, as_block=as_block)


def inline_math(writer: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line."""
    writer.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def block_math(writer: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on lines of its own."""
    writer.body.append(f'<div class="math">{mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    write_pages()
    app.connect("source-read", links_of_the_site)
    app.connect("autodoc-process-docstring", bars_as_written)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
