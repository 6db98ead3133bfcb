"""Grace notes: notes of a few ticks, or of none, that lead into another note.

On a grid of sixteenths such a note falls on the step of its main note, the highest of the next
onset. Where the grace note is higher still, it would take the step, and the main note would come a
step late. So it is left out. A note is a grace note if

* it is short: nearer a 64th than a 32nd;
* the main note starts less than half a step later: nothing follows a staccato note at once;
* the main note lasts twice as long at least: those of a run or tremolo last as long as the next;
* at most half of it sounds together with the main note: notes of a broken chord go on sounding;
* they are an octave apart at most: a bass note may follow the short note of a tune by chance.

A note of no length only has to be followed by one that has a length, at the same tick or less than
half a step later.
"""

from __future__ import annotations

import numpy as np

from melodyconstraints.melody.jit import jit
from melodyconstraints.melody.quantising import Ints
from melodyconstraints.melody.units import STEPS_PER_QUARTER

_FAR = 2**40
"""A tick after all others."""
_OCTAVE = 12


@jit
def without_graces(
    starts: Ints, ends: Ints, pitches: Ints, ticks_per_quarter: int
) -> tuple[Ints, Ints, Ints]:
    """Leave out the grace notes; of the others, those of no length last a tick.

    Args:
        starts: ``(N,)`` int64 ticks, in time.
        ends: ``(N,)`` int64 ticks; what ends before it starts is of no length.
        pitches: ``(N,)`` int64.
    """
    is_kept = np.ones(len(starts), np.bool_)
    main_start, main_length, main_pitch = _FAR, 0, 0
    first = len(starts)
    while first > 0:
        end, start = first, starts[first - 1]
        longest = 0
        while first > 0 and starts[first - 1] == start:
            first -= 1
            longest = max(longest, ends[first] - start)
        gap = main_start - start
        follows = 2 * STEPS_PER_QUARTER * gap < ticks_per_quarter
        highest = highest_length = 0
        for note in range(first, end):
            length, pitch = max(ends[note] - start, 0), pitches[note]
            if length == 0:
                is_kept[note] = longest == 0 and not follows
                continue
            is_short = 8 * STEPS_PER_QUARTER * length < 3 * ticks_per_quarter
            leads = 2 * length <= main_length and length <= 2 * gap
            if is_short and follows and leads and abs(pitch - main_pitch) <= _OCTAVE:
                is_kept[note] = False
            elif highest_length == 0 or pitch > highest:
                highest, highest_length = pitch, length
        if highest_length > 0:
            main_start, main_length, main_pitch = start, highest_length, highest
    ends = np.maximum(ends, starts + 1)
    if is_kept.all():
        return starts, ends, pitches
    return starts[is_kept], ends[is_kept], pitches[is_kept]
