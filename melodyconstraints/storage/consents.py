"""The user's consents to run files of code that folders name.

A consent is the SHA-256 of a file's place and contents, and of those of the files beside it that
it imports, a line in a small file among the user's data: where one of them was edited or copied,
the user is asked again. ``MELODYCONSTRAINTS_DATA`` chooses another folder than the system's for
the user's data.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from melodyconstraints.storage.places import data_root

FILE = "consents.txt"


def consent(code: Path) -> None:
    """Remember the consent to run a file; where that cannot be written, it is asked for again."""
    if not is_consented(code):
        with suppress(OSError):  # of the file, which need not exist, or of its place
            _file().parent.mkdir(parents=True, exist_ok=True)
            with _file().open("a", encoding="ascii") as file:
                file.write(f"{_digest(code)}\n")


def is_consented(code: Path) -> bool:
    """Whether the user has consented to run a file as it is now."""
    try:
        return _digest(code) in _file().read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return False


def _file() -> Path:
    return data_root() / FILE


def _digest(code: Path) -> str:
    whole = hashlib.sha256()
    for number, file in enumerate(_with_neighbours(code.resolve())):
        whole.update(b"\0" * bool(number) + os.fsencode(file) + b"\0" + file.read_bytes())
    return whole.hexdigest()


def _with_neighbours(code: Path) -> list[Path]:
    """A file and those beside it that it imports, and that these import, in a fixed order."""
    files = [code]
    for file in files:  # which grows meanwhile
        for name in sorted(set(_imported(file))):
            for folder in (file.parent, code.parent):
                beside = [folder / f"{name}.py", *sorted((folder / name).rglob("*.py"))]
                files += [one for one in beside if one.is_file() and one not in files]
    return files


def _imported(code: Path) -> Iterator[str]:
    """First names of the modules that a file imports, anywhere in it; none if it is no Python."""
    try:
        tree = ast.parse(code.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.module):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]
