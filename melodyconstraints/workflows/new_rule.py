"""A rule file to start from: ``mc rules new``."""

from __future__ import annotations

from pathlib import Path

from melodyconstraints.errors import UsageError
from melodyconstraints.storage.arguments import checked
from melodyconstraints.storage.files import write_atomically
from melodyconstraints.storage.text import printable

_TEMPLATE = Path(__file__).with_suffix(".txt")


@checked
def write_new_rule(file: Path | str) -> None:
    """Write a rule file with a description of rules and the rule ``my_rule``, which is to change.

    Args:
        file: Python file to make, in a folder that is there.

    Raises:
        UsageError: a name without ``.py``, a file that exists, or a folder that does not.
    """
    file = Path(file)
    if file.suffix != ".py":
        raise UsageError(f"a rule file is called NAME.py, got {file}")
    if file.exists():
        raise UsageError(f"{file} exists; choose another name")
    if not file.parent.is_dir():
        raise UsageError(f"there is no folder {file.parent}; make it first")
    text = _TEMPLATE.read_text(encoding="utf-8")
    write_atomically(file, text.replace("FILE", printable(file.as_posix())).encode())
