"""Files that are there whole or not at all, and text from elsewhere made harmless."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Write a file that is either the old one or all of the new one.

    Args:
        durable: even if the power fails now; that takes the disk some milliseconds.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def printable(text: str) -> str:
    r"""Text from a file, harmless on a terminal and in a line of a ledger.

    >>> printable("a\x1b[31mred\n")
    'a�[31mred�'
    """
    return "".join(c if c.isprintable() else "�" for c in text)


def unicode_name(name: str) -> str:
    r"""A file's name as text that JSON and Parquet can hold, whatever its bytes are.

    >>> unicode_name("caf\udce9.mid")
    'caf\\xe9.mid'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")
