"""Makers of most rules of the library: a share of notes, or a number in a range.

Both give a melody without notes the reward 0: silence satisfies nothing. Each function of the
library that makes a rule takes a specification and its argument behind the colon; its docstring is
printed by ``mc rules show``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.notes import Mask, Notes, Numbers
from melodyconstraints.rules.arguments import Range
from melodyconstraints.rules.definition import Rule


def share_rule(name: str, what: str, fits: Callable[[Notes], Mask]) -> Rule:
    """Make a rule whose reward is the share of notes that fit.

    Args:
        what: description of the rule.
        fits: function from notes to an ``(M,)`` mask of those that fit.
    """

    def reward(melodies: Melodies) -> Numbers:
        return melodies.notes.share(fits(melodies.notes))

    return Rule(name, reward, batched=True, description=what)


def range_rule(
    name: str, what: str, bounds: Range, measure: Callable[[Melodies], Numbers]
) -> Rule:
    """Make a rule whose reward is that of a number in a range; see :meth:`Range.reward`.

    Args:
        what: name of the number, for the description.
        measure: function from melodies to ``(B,)`` numbers.
    """

    def reward(melodies: Melodies) -> Numbers:
        return np.where(melodies.note_counts > 0, bounds.reward(measure(melodies)), 0.0)

    return Rule(name, reward, batched=True, description=f"{what}: {bounds}")
