"""Forms as musicians write them: which bars of a melody repeat which.

``AABA`` is four sections of four bars, of which the second and the fourth repeat the first;
sixteen letters are single bars. A section with a prime, ``A'``, ends differently from the one that
it repeats: its last quarter, or its last bar if it is shorter, is new.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.units import BARS

FRESH = -1
"""In place of the number of an earlier bar: the bar repeats none."""
AUTO, NONE = "auto", "none"


def form_of(text: str) -> Tensor | None:
    """``(16,)`` int64 bar that each bar repeats, or -1; None for ``auto``: as melodies have it.

    Raises:
        UsageError: no form, or sections that do not share sixteen bars evenly.

    >>> form_of("ABA'C").tolist()
    [-1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, -1, -1, -1, -1, -1]
    """
    if text == AUTO:
        return None
    if text == NONE:
        return torch.full((BARS,), FRESH)
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
    form, first = [], {}
    for number, section in enumerate(sections):
        letter = section[0].upper()
        if letter not in first:
            first[letter] = number * size
            form += size * [FRESH]
            continue
        new = -(-size // 4) if len(section) > 1 else 0
        form += [first[letter] + bar for bar in range(size - new)] + new * [FRESH]
    return torch.tensor(form)
