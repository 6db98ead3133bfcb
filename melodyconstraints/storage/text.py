"""Sanitise text from files and names of files."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

_SHORTENED = reprlib.Repr()
_SHORTENED.maxstring = _SHORTENED.maxother = 80


def printable(text: str) -> str:
    r"""Replace the characters of a text that a terminal or a line of a log cannot show.

    >>> printable("a\x1b[31mred\n")
    'a�[31mred�'
    """
    return "".join(c if c.isprintable() else "�" for c in text)


def printable_lines(text: str) -> str:
    r"""Make each line of a text :func:`printable`.

    >>> printable_lines("a\udcff\nb")
    'a�\nb'
    """
    return "\n".join(map(printable, text.split("\n")))


def shortened(text: str, most: int = 80) -> str:
    """The text itself, or where it is longer its beginning and end.

    Args:
        most: most characters, at least 3.

    >>> shortened("a" * 9 + "z" * 9, 7)
    'aaa…zzz'
    """
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def shown(value: object) -> str:
    """Quotation of a user's text or a rule's result: one line, shortened in the middle.

    >>> shown("60%"), len(shown("9" * 5000))
    ("'60%'", 80)
    """
    try:
        return " ".join(_SHORTENED.repr(value).split())
    except (Exception, SystemExit):  # its own __repr__ fails
        return f"<{type(value).__name__}>"


def nearest(text: str, names: Iterable[str]) -> str:
    """The name that a mistyped text, in any case, is near to; empty if it is near to none.

    >>> nearest("Budled", ["staff", "bundled"]), nearest("mine", ["staff", "bundled"])
    ('bundled', '')
    """
    known = {name.lower(): name for name in names}
    return next((known[one] for one in get_close_matches(text.lower(), known, n=1)), "")


def counted(count: int, one: str, many: str) -> str:
    """A number and what it counts.

    >>> counted(1, "melody", "melodies"), counted(1200, "melody", "melodies")
    ('1 melody', '1,200 melodies')
    """
    return f"{count:,} {one if count == 1 else many}"


def unicode_name(name: str) -> str:
    r"""Convert a file's name, whatever its bytes are, to text that JSON and Parquet can hold.

    >>> unicode_name("caf\udce9.mid")
    'caf\\xe9.mid'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def json_text(value: Any) -> str:
    """JSON in ASCII, indented, with the names of files as :func:`unicode_name` has them.

    JSON knows no NaN and no infinity: they are null.

    >>> print(json_text([0.5, float("nan")]))
    [
      0.5,
      null
    ]
    """
    return json.dumps(_as_json(value), indent=2)


def _as_json(value: Any) -> Any:
    match value:
        case str():
            return unicode_name(value)
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {unicode_name(str(key)): _as_json(of) for key, of in value.items()}
        case list() | tuple():
            return [_as_json(one) for one in value]
        case set() | frozenset():
            return [_as_json(one) for one in sorted(value)]
    return value
