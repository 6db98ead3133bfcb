"""Copies: melodies taken from others, such as those that a model was trained on.

Two questions, both blind to the key:

- How much of a melody is in one other melody? After the cardinality score of Yin, Reuben, Stepney
  and Collins ("Measuring when a music generation algorithm copies too much", SN Computer Science
  3, 2022): lay the one over the other, moved by so many steps and semitones that most notes
  agree, pitch and start, and divide the agreeing notes by those of the melody that has more. From
  0.7 a melody is a near-copy: changes to a twentieth of the events leave it one, and of 1,024
  held-out melodies of the bundled model's store none reaches 0.7 (95% stay at 0.4 or below). The
  notes' lengths do not count: they make melodies of long notes look alike.
- Does it quote another, anywhere? A quotation is a run of 17 notes, the same intervals at the
  same distances, of some variety: six different pitches, five different intervals. Without the
  rhythm this is what tells tunes apart in :mod:`melodyconstraints.datasets.melodies.splits`;
  held-out melodies therefore hold almost none.

All pairs would take hours, so a melody is only laid over those that share the most runs of five
notes with it, rare runs first. Of near-copies made by changing a tenth of the notes of a training
melody, one in two hundred goes undetected; by changing a quarter, one in fifty.

Shapes: ``B`` melodies to compare, ``N`` originals, ``R`` runs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.events import PITCHES, Events
from melodyconstraints.melody.jit import jit
from melodyconstraints.melody.notes import HASH_BASE, MIN_INTERVALS, MIN_PITCHES
from melodyconstraints.melody.units import STEPS

NEAR_COPY = 0.7
"""Least cardinality score of a near-copy."""
QUOTED_NOTES = 17

_RUN = 5
"""Notes of the runs by which originals are found."""
_LAID_OVER = 128
"""Originals that a melody is laid over."""
_OCCURRENCES = 100_000
"""Places of a melody's runs, rare runs first, that are looked at to find them."""
_SHIFTS = 2 * STEPS - 1, 2 * PITCHES - 1
"""Moves of one melody over another, in steps and in semitones."""


class Originals:
    """Melodies that others may be copies of; 134,000 take five seconds to read.

    Args:
        events: ``(N, 256)``.

    >>> line = np.full((1, STEPS), 128, np.uint8)
    >>> line[0, :24:4] = 60, 62, 64, 67, 65, 64
    >>> Originals(line).similarity(np.where(line < 128, line + 5, line))
    array([1.])
    """

    def __init__(self, events: Events) -> None:
        hashes, owners = run_hashes(events, _RUN, False)
        order = np.argsort(hashes, kind="stable")
        self._events, self._hashes, self._owners = events, hashes[order], owners[order]
        self._quotable = np.unique(run_hashes(events, QUOTED_NOTES, False)[0])

    def similarity(self, events: Events) -> NDArray[np.float64]:
        """``(B,)`` cardinality score with the most similar original, of ``(B, 256)`` melodies.

        0 for a melody that shares no run of five notes with any of them.
        """
        hashes, owners = run_hashes(events, _RUN, False)
        bounds = np.searchsorted(owners, np.arange(len(events) + 1))
        best = np.zeros(len(events))
        for row, melody in enumerate(events):
            originals = self._sharing(np.unique(hashes[bounds[row] : bounds[row + 1]]))
            if len(originals):
                best[row] = cardinality_scores(melody, self._events[originals]).max()
        return best

    def _sharing(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Originals that share the most runs with a melody; a run of n originals counts log N/n.

        Args:
            hashes: ``(R,)`` different runs of the melody.
        """
        first = np.searchsorted(self._hashes, hashes, "left")
        sizes = np.searchsorted(self._hashes, hashes, "right") - first
        rare_first = np.argsort(sizes, kind="stable")
        rare_first = rare_first[sizes[rare_first] > 0]
        total = np.cumsum(sizes[rare_first])
        used = rare_first[(total <= _OCCURRENCES) | (total == total[:1])]
        places = [self._owners[first[run] : first[run] + sizes[run]] for run in used]
        if not places:
            return np.zeros(0, np.int32)
        weights = np.log(np.maximum(len(self._events) / sizes[used], 1.0)) + 1e-3
        owners, where = np.unique(np.concatenate(places), return_inverse=True)
        shared = np.bincount(where, np.repeat(weights, sizes[used]))
        return owners[np.argsort(-shared, kind="stable")[:_LAID_OVER]]

    def quoted(self, events: Events) -> NDArray[np.bool_]:
        """``(B,)`` whether each of ``(B, 256)`` melodies quotes an original."""
        hashes, owners = run_hashes(events, QUOTED_NOTES, True)
        quoting = np.zeros(len(events), np.bool_)
        quoting[owners[np.isin(hashes, self._quotable)]] = True
        return quoting


@jit
def different(values: NDArray[np.int64]) -> int:
    """Number of different values among a few."""
    count = 0
    for place in range(len(values)):
        known = False
        for earlier in range(place):
            known |= values[earlier] == values[place]
        count += not known
    return count


@jit
def run_hashes(
    events: Events, notes: int, varied: bool
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Every run of so many notes in each melody: its intervals and distances in 64 bits.

    Args:
        events: ``(N, 256)``.
        varied: whether only runs of :data:`MIN_PITCHES` and :data:`MIN_INTERVALS` count.

    Returns:
        hashes and the melody that each is from, both ``(R,)``, melody by melody.
    """
    hashes = np.empty(events.size, np.uint64)
    owners = np.empty(events.size, np.int32)
    count = 0
    for row in range(len(events)):
        steps = np.flatnonzero(events[row] < PITCHES)
        pitches = events[row][steps].astype(np.int64)
        for first in range(len(steps) - notes + 1):
            run = pitches[first : first + notes]
            if varied and (
                different(run) < MIN_PITCHES or different(run[1:] - run[:-1]) < MIN_INTERVALS
            ):
                continue
            value = np.uint64(0)
            for note in range(first + 1, first + notes):
                interval = pitches[note] - pitches[note - 1] + PITCHES
                moved = interval * STEPS + steps[note] - steps[note - 1]
                value = value * np.uint64(HASH_BASE) + np.uint64(moved)
            hashes[count], owners[count] = value, row
            count += 1
    return hashes[:count].copy(), owners[:count].copy()


@jit
def cardinality_scores(melody: Events, others: Events) -> NDArray[np.float64]:
    """``(K,)`` largest share of notes that agree under one move in time and pitch.

    Args:
        melody: ``(256,)``.
        others: ``(K, 256)``.
    """
    agreeing = np.zeros(_SHIFTS[0] * _SHIFTS[1], np.int32)
    scores = np.zeros(len(others))
    steps = np.flatnonzero(melody < PITCHES)
    for row in range(len(others)):
        other = others[row]
        other_steps = np.flatnonzero(other < PITCHES)
        most = 0
        for change in (1, -1):  # count, and clear for the next
            for a in steps:
                for b in other_steps:
                    semitones = np.int64(melody[a]) - np.int64(other[b]) + PITCHES - 1
                    move = (a - b + STEPS - 1) * _SHIFTS[1] + semitones
                    agreeing[move] += change
                    most = max(most, agreeing[move])
        scores[row] = most / max(len(steps), len(other_steps), 1)
    return scores
