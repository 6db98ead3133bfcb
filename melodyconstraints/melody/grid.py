"""Notes in time to events on the grid: what a polyphonic part's melody is.

Notes are parallel arrays of start step, end step (exclusive) and pitch. Two rules reduce them to
one voice:

* :func:`skyline`: at every step the highest sounding note (the paper, appendix 9.1). A note that
  was covered by a higher one starts again when that one ends.
* :func:`highest_onsets`: of the notes that start together the highest; the next onset cuts it.
  This is the rule of Magenta's ``Melody.from_quantized_sequence``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import HOLD, REST, Events

Ints = NDArray[Any]
_SILENT = -1


def skyline(starts: Ints, ends: Ints, pitches: Ints, steps: int) -> Events:
    """The highest sounding note at every step.

    Args:
        starts: ``(N,)`` first step of each note. Notes before step 0 are cut to begin there.
        ends: ``(N,)`` step after the last one. A note lasts at least one step.
        pitches: ``(N,)`` in [0, 127].
        steps: length of the grid.

    Returns:
        ``(steps,)`` events.

    >>> skyline(np.array([0, 1]), np.array([4, 2]), np.array([60, 72]), 5)
    array([ 60,  72,  60, 128, 129], dtype=uint8)
    """
    starts, ends, pitches = _clip(starts, ends, pitches, steps)
    order = np.argsort(pitches, kind="stable")
    starts, ends, pitches = starts[order], ends[order], pitches[order]
    # Written from the lowest pitch to the highest, so that the highest stays.
    sounding = np.full(steps, _SILENT)
    starting = np.full(steps, _SILENT)
    lengths = ends - starts
    first = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    sounding[np.arange(lengths.sum()) + first] = np.repeat(pitches, lengths)
    starting[starts] = pitches
    before = np.concatenate(([_SILENT], sounding[:-1]))
    begins = (sounding == starting) | (sounding != before)
    return _to_events(sounding, begins)


def highest_onsets(starts: Ints, ends: Ints, pitches: Ints, steps: int) -> Events:
    """The highest of the notes that start together, each cut by the next onset.

    Arguments and result as for :func:`skyline`.

    >>> highest_onsets(np.array([0, 1]), np.array([4, 2]), np.array([72, 60]), 4)
    array([ 72,  60, 129, 129], dtype=uint8)
    """
    if not len(starts):
        return skyline(starts, ends, pitches, steps)
    ends = np.maximum(ends, starts + 1)
    order = np.lexsort((pitches, starts))
    starts, ends, pitches = starts[order], ends[order], pitches[order]
    highest = np.append(starts[1:] != starts[:-1], True)
    starts, ends, pitches = starts[highest], ends[highest], pitches[highest]
    # Cut before the notes ahead of step 0 are moved there, or they would seem to start together.
    ends = np.minimum(ends, np.append(starts[1:], ends[-1]))
    return skyline(starts, ends, pitches, steps)


OneVoice: TypeAlias = Callable[[Ints, Ints, Ints, int], Events]
POLYPHONY: dict[str, OneVoice] = {"skyline": skyline, "onset": highest_onsets}


def one_voice(polyphony: str) -> OneVoice:
    """The rule of a name.

    Raises:
        UsageError: neither ``skyline`` nor ``onset``.
    """
    if polyphony not in POLYPHONY:
        raise UsageError(f"polyphony must be one of {', '.join(POLYPHONY)}, got {polyphony!r}")
    return POLYPHONY[polyphony]


def _clip(starts: Ints, ends: Ints, pitches: Ints, steps: int) -> tuple[Ints, Ints, Ints]:
    """Notes within [0, steps), at least one step long."""
    ends = np.maximum(ends, starts + 1)
    inside = (starts < steps) & (ends > 0)
    return np.maximum(starts[inside], 0), np.minimum(ends[inside], steps), pitches[inside]


def _to_events(sounding: Ints, begins: NDArray[np.bool_]) -> Events:
    events = np.where(begins, sounding, HOLD)
    events[sounding == _SILENT] = REST
    return events.astype(np.uint8)
