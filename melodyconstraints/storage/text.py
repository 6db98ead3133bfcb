"""Text from elsewhere made harmless."""

from __future__ import annotations

import os


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
