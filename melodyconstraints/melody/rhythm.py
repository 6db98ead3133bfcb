"""Rhythms as musicians write them: one sign a sixteenth, repeated through the 16 bars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.units import STEPS
from melodyconstraints.storage.text import shown

NOTE, NO_NOTE, EITHER = "x", ".", "_"
_LENGTHS = (4, 8, 16, 32, 64, 128, 256)


def signs_of_rhythm(text: str) -> NDArray[np.str_]:
    """``(256,)`` sign of each sixteenth: ``x`` a note starts, ``.`` none does, ``_`` either.

    Args:
        text: 4, 8, 16, 32, 64, 128 or 256 signs, with ``|`` and spaces between as you like.

    Raises:
        UsageError: other signs, as many as do not divide 16 bars, or no note.

    >>> "".join(signs_of_rhythm("x..x|..x.")[:16])
    'x..x..x.x..x..x.'
    """
    signs = np.array(list(text.replace("|", "").replace(" ", "")))
    if len(signs) not in _LENGTHS or not set(signs) <= {NOTE, NO_NOTE, EITHER}:
        raise UsageError(
            "a rhythm has 4, 8, 16, 32, 64, 128 or 256 signs, a small x for a note, . for none, "
            f"_ for either, got {len(signs)} in {shown(text)}"
        )
    if NOTE not in signs:
        raise UsageError(f"a rhythm has a note somewhere, write an x, got {shown(text)}")
    return np.tile(signs, STEPS // len(signs))
