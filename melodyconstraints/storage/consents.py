"""The user's consents to run files of code that folders name.

A consent is the SHA-256 of a file's place and contents, a line in a small file among the user's
data: an edited or copied file is asked about again. ``MELODYCONSTRAINTS_DATA`` chooses another
folder than the system's for the user's data.
"""

from __future__ import annotations

import hashlib
import os
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
    place = os.fsencode(code.resolve())
    return hashlib.sha256(place + b"\0" + code.read_bytes()).hexdigest()
