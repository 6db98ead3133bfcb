"""Rules that a request asks for: those of the library, and Python rules that were checked here.

A request names no file: ``novelty:FILE`` and ``FILE.py:NAME`` are refused, and a Python rule is
named by the digest of its text, ``code:5d41402abc4b2a76``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from melodyconstraints.errors import RuleNotFoundError, UsageError
from melodyconstraints.rules import Rule, find_rule
from melodyconstraints.rules.loading import load_rule_file
from melodyconstraints.rules.registry import library
from melodyconstraints.rules.scales import SCALES, parse_scale
from melodyconstraints.storage.files import write_atomically
from melodyconstraints.storage.text import shown
from melodyconstraints.studio.places import Settings
from melodyconstraints.studio.schemas import Wish

CODE = "code:"
_NOT = "not:"
_FILES = {"novelty"}
"""Rules of the library whose argument is a file."""
_DIGITS = 16


def catalogue() -> dict[str, Any]:
    """The rules of the library that a page can offer, and the names of the scales."""
    rows = [
        {
            "group": row.group,
            "name": row.name,
            "argument": row.argument,
            "example": row.example,
            "summary": row.summary,
            "formula": row.formula,
        }
        for row in library()
        if row.name not in _FILES
    ]
    return {"rules": rows, "scales": {name: list(steps) for name, steps in SCALES.items()}}


def find_wishes(wishes: Sequence[Wish], settings: Settings) -> list[Rule]:
    """The rules of wishes, in their order.

    Raises:
        UsageError: a wrong argument, the same rule twice, or code where none is run.
        RuleNotFoundError: there is no such rule.
    """
    specs = [wish.spec for wish in wishes]
    if len(set(specs)) < len(specs):
        raise UsageError(f"each rule may be given once, got {', '.join(map(shown, specs))}")
    return [find_wish(spec, settings) for spec in specs]


def check_wishes(wishes: Sequence[Wish], settings: Settings) -> None:
    """Refuse wishes that no job can be begun for.

    Raises:
        UsageError: see :func:`find_wishes`; or every weight is 0.
        RuleNotFoundError: there is no such rule.
    """
    find_wishes(wishes, settings)
    if not any(wish.weight for wish in wishes):
        raise UsageError("every rule has weight 0, so that nothing is asked for")


def find_wish(spec: str, settings: Settings) -> Rule:
    """The rule of one specification; see this module."""
    plain = spec
    while plain.lower().startswith(_NOT):
        plain = plain[len(_NOT) :]
    if plain.startswith(CODE) and plain == spec:
        return _checked(spec, settings)
    names = {row.name for row in library()} - _FILES
    if plain.partition(":")[0].lower() in names or parse_scale(plain) is not None:
        return find_rule(spec)
    raise RuleNotFoundError(
        f"there is no rule {shown(spec)} here; GET /rules lists those that there are"
    )


def keep_code(text: str, settings: Settings) -> str:
    """Write the text of a rule; returns its specification.

    Raises:
        UsageError: the studio runs no code.
    """
    _require_code(settings)
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    settings.rules.mkdir(parents=True, exist_ok=True)
    write_atomically(settings.rules / f"{digest}.py", text.encode())
    return f"{CODE}{digest}"


def specs_of(wishes: Iterable[Wish]) -> str:
    """``scale:D-dorian, density:96``."""
    return ", ".join(wish.spec for wish in wishes)


def _require_code(settings: Settings) -> None:
    if not settings.allow_code:
        raise UsageError(
            "Python rules are off; start the studio with --allow-code, after which whoever "
            "reaches the page can run programs as you"
        )


def _checked(spec: str, settings: Settings) -> Rule:
    _require_code(settings)
    digest = spec.removeprefix(CODE)
    if not re.fullmatch(f"[0-9a-f]{{{_DIGITS}}}", digest):
        raise RuleNotFoundError(f"there is no rule {shown(spec)} here; check its text first")
    rule = load_rule_file(str(settings.rules / f"{digest}.py"), None)
    return replace(rule, name=rule.name.rpartition(":")[2], spec=spec)
