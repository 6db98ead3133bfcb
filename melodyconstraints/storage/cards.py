"""Model cards: their header and their tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def with_header(card: str, kind: str, config: Mapping[str, Any]) -> str:
    """A model card with the YAML header that the Hugging Face Hub reads, unless it has one.

    >>> print(with_header("# Mine", "melody-vae", {}))
    ---
    library_name: melodyconstraints
    tags:
    - melody-vae
    ---
    # Mine
    """
    if card.startswith("---\n"):
        return card
    reference = config.get("model")
    folder = reference.get("folder") if isinstance(reference, Mapping) else None
    model = re.match(r"hf://([\w.-]+/[\w.-]+)", str(folder))
    base = [f"base_model: {model[1]}"] if model else []
    head = ["library_name: melodyconstraints", *base, "tags:", f"- {kind}"]
    return "\n".join(["---", *head, "---", card])


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Format a Markdown table, line by line.

    >>> print(*markdown_table(["a", "b"], [["1", "2"]]), sep=chr(10))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
