"""Notes in time to events on the grid: what a polyphonic part's melody is.

Notes are parallel arrays of start step, end step (exclusive) and pitch. Two rules reduce them to
one voice:

* :func:`skyline`: at every step the highest sounding note (the paper, appendix 9.1). A note that
  was covered by a higher one starts again when that one ends.
* :func:`highest_onsets`: of the notes that start together the highest; the next onset cuts it.
  This is the rule of Magenta's ``Melody.from_quantized_sequence``.

Both take time in proportion to notes and steps, however long the notes are held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.events import HOLD, PITCHES, REST, Events
from melodyconstraints.melody.jit import jit
from melodyconstraints.storage.arguments import check_choice

Ints = NDArray[Any]
_NONE = -1


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
    return _skyline(_int64(starts), _int64(ends), _int64(pitches), steps)


def highest_onsets(starts: Ints, ends: Ints, pitches: Ints, steps: int) -> Events:
    """The highest of the notes that start together, each cut by the next onset.

    Arguments and result as for :func:`skyline`. Of two notes with one start and one pitch, the one
    that comes first counts.

    >>> highest_onsets(np.array([0, 1]), np.array([4, 2]), np.array([72, 60]), 4)
    array([ 72,  60, 129, 129], dtype=uint8)
    """
    return _highest_onsets(_int64(starts), _int64(ends), _int64(pitches), steps)


OneVoice: TypeAlias = Callable[[Ints, Ints, Ints, int], Events]
POLYPHONY: dict[str, OneVoice] = {"skyline": skyline, "onset": highest_onsets}


def check_polyphony(polyphony: str) -> str:
    """Return the name of a rule if there is such a rule.

    Raises:
        UsageError: neither ``skyline`` nor ``onset``.
    """
    check_choice("polyphony", polyphony, POLYPHONY)
    return polyphony


def one_voice(polyphony: str) -> OneVoice:
    """The rule of a name; errors as for :func:`check_polyphony`."""
    return POLYPHONY[check_polyphony(polyphony)]


@jit
def by_rule(onset: bool, starts: Ints, ends: Ints, pitches: Ints, steps: int) -> Events:
    """Either rule, for compiled callers: :func:`highest_onsets`, or else :func:`skyline`."""
    if onset:
        return _highest_onsets(starts, ends, pitches, steps)
    return _skyline(starts, ends, pitches, steps)


def _int64(values: Ints) -> NDArray[np.int64]:
    """Array of one type: the compiled functions are made anew for every other."""
    return np.ascontiguousarray(values, np.int64)


@jit
def _skyline(starts: Ints, ends: Ints, pitches: Ints, steps: int) -> Events:
    # For every step a linked list of the notes that start, and of those that end, there.
    first_start, next_start = np.full(steps + 1, _NONE), np.full(len(starts), _NONE)
    first_end, next_end = np.full(steps + 1, _NONE), np.full(len(starts), _NONE)
    for note in range(len(starts)):
        end = min(max(ends[note], starts[note] + 1), steps)
        if starts[note] >= steps or end <= 0:
            continue
        start = max(starts[note], 0)
        next_start[note], first_start[start] = first_start[start], note
        next_end[note], first_end[end] = first_end[end], note
    events = np.empty(steps, np.uint8)
    sounding = np.zeros(PITCHES, np.int64)
    before = top = _NONE
    for step in range(steps):
        note = first_end[step]
        while note != _NONE:
            sounding[pitches[note]] -= 1
            note = next_end[note]
        highest_start = _NONE
        note = first_start[step]
        while note != _NONE:
            sounding[pitches[note]] += 1
            highest_start = max(highest_start, pitches[note])
            note = next_start[note]
        top = max(top, highest_start)
        while top != _NONE and sounding[top] == 0:
            top -= 1
        if top == _NONE:
            events[step] = REST
        else:
            events[step] = HOLD if top == before and top != highest_start else top
        before = top
    return events


@jit
def _highest_onsets(starts: Ints, ends: Ints, pitches: Ints, steps: int) -> Events:
    at_step = np.full(steps, _NONE)
    held = _NONE  # the last onset before step 0
    for note in range(len(starts)):
        start, pitch = starts[note], pitches[note]
        if start < 0:
            if held == _NONE or (start, pitch) > (starts[held], pitches[held]):
                held = note
        elif start < steps and (at_step[start] == _NONE or pitch > pitches[at_step[start]]):
            at_step[start] = note
    if steps and at_step[0] == _NONE and held != _NONE and max(ends[held], starts[held] + 1) > 0:
        at_step[0] = held
    events = np.empty(steps, np.uint8)
    end = 0
    for step in range(steps):
        note = at_step[step]
        if note != _NONE:
            events[step] = pitches[note]
            end = max(ends[note], step + 1)
        else:
            events[step] = HOLD if step < end else REST
    return events
