"""Forms as musicians write them: which bars of a melody repeat which.

``AABA`` is four sections of four bars, of which the second and the fourth repeat the first;
sixteen letters are single bars. A section with a prime, ``A'``, ends differently from the one that
it repeats: its last quarter is new, which of a single bar is the last beat. A second ``A'`` is the
first one again.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR

FRESH = -1
"""Number in place of that of an earlier bar: the bar repeats none."""
AUTO, NONE = "auto", "none"


class Form(NamedTuple):
    """Repeats of bars: for each, the bar that it repeats or begins like.

    Args:
        repeats: ``(16,)`` int64 bar that each bar repeats, or :data:`FRESH`.
        begins: ``(16,)`` bar that one which repeats none begins like, or :data:`FRESH`.
        begun: steps, from 0 to 15, for which it does so.
    """

    repeats: Tensor
    begins: Tensor
    begun: int


def form_of(text: str) -> Form | None:
    """The form that a text writes; None for ``auto``: as melodies have it.

    Raises:
        UsageError: no form, sections that do not share sixteen bars evenly, or a prime on a
            section that repeats none.

    >>> form_of("ABA'C").repeats.tolist()
    [-1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, -1, -1, -1, -1, -1]
    """
    if text == AUTO:
        return None
    fresh = torch.full((BARS,), FRESH)
    if text == NONE:
        return Form(fresh, fresh, 0)
    sections = re.findall(r"[A-Za-z]'?", text)
    if "".join(sections) != text or not sections:
        raise UsageError(
            f"a form is {AUTO}, {NONE}, or letters such as AABA or ABA'C, got {text!r}"
        )
    if BARS % len(sections):
        raise UsageError(
            f"the letters of a form divide {BARS} bars evenly: 1, 2, 4, 8 or 16 letters, such as "
            f"AABA; got {len(sections)}, {text!r}"
        )
    size = BARS // len(sections)
    bars, begun = divmod(size * STEPS_PER_BAR * 3 // 4, STEPS_PER_BAR)
    repeats, begins = fresh.clone(), fresh.clone()
    first: dict[str, int] = {}
    for start, section in zip(range(0, BARS, size), sections, strict=True):
        name, letter = section.upper(), section[0].upper()
        if name in first:
            repeats[start : start + size] = torch.arange(first[name], first[name] + size)
        elif letter in first:
            same = first[letter] + bars
            repeats[start : start + bars] = torch.arange(first[letter], same)
            if begun:
                begins[start + bars] = same
        elif name != letter:
            raise UsageError(
                f"{section} repeats no {letter} before it; write {letter} first, as in ABA'C, "
                f"got {text!r}"
            )
        first.setdefault(name, start)
    return Form(repeats, begins, begun)
