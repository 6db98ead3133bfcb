"""How most rules of the library are made: a share of notes, or a number in a range.

A melody without notes earns 0 from both: silence satisfies nothing. Each function of the library
that makes a rule takes what stands before and behind the colon; its docstring is what
``mc rules show`` prints.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.notes import Mask, Notes, Numbers
from melodyconstraints.rules.arguments import Range
from melodyconstraints.rules.definition import Rule


def share_rule(name: str, what: str, fits: Callable[[Notes], Mask]) -> Rule:
    """Share of notes that fit, and satisfied where all do.

    Args:
        what: description.
        fits: notes to ``(M,)`` of which fit.
    """

    def reward(melodies: Melodies) -> Numbers:
        return melodies.notes.share(fits(melodies.notes))

    return Rule(name, reward, batched=True, description=what)


def range_rule(
    name: str, what: str, bounds: Range, measure: Callable[[Melodies], Numbers]
) -> Rule:
    """How near a number is to a range; see :meth:`Range.reward`.

    Args:
        what: the number is, for the description.
        measure: melodies to ``(B,)`` numbers.
    """

    def reward(melodies: Melodies) -> Numbers:
        return np.where(melodies.note_counts > 0, bounds.reward(measure(melodies)), 0.0)

    return Rule(name, reward, batched=True, description=f"{what}: {bounds}")
