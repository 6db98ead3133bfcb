"""Typicality of a melody: whether it lies where nearly all real melodies do.

Rules say nothing of what they leave free, and what satisfies them may be a drone, or leap about.
:data:`TYPICAL` has one row a feature with the bounds of 98% of real melodies; a search prefers,
among melodies that satisfy every rule, those within them, and an actor learns to be beside its
rules. Shapes: ``B`` melodies.

>>> from melodyconstraints.melody.events import Melodies, Melody
>>> scale = Melody.from_notes([(4 * i, 4, 60 + pitch) for i, pitch in enumerate([0, 2, 4, 5, 7])])
>>> drone = Melody.from_notes([(4 * i, 4, 60) for i in range(64)])
>>> typicality(Melodies.stack([scale, drone])) >= 1
array([ True, False])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from melodyconstraints.melody.events import PITCHES, Melodies
from melodyconstraints.melody.metrics.statistics import pitch_class_histogram
from melodyconstraints.melody.notes import Mask, Numbers
from melodyconstraints.melody.units import STEPS, STEPS_PER_QUARTER

OCTAVE = 12
"""Semitones of an octave."""


def note_counts(melodies: Melodies) -> Numbers:
    """``(B,)`` number of notes."""
    counts: Numbers = melodies.note_counts.astype(float)
    return counts


def repeated_pitches(melodies: Melodies) -> Numbers:
    """``(B,)`` share of the intervals that repeat the pitch."""
    return _share_of_intervals(melodies, melodies.notes.intervals == 0)


def commonest_pitch_class(melodies: Melodies) -> Numbers:
    """``(B,)`` share of the notes that have the melody's commonest pitch class."""
    shares: Numbers = pitch_class_histogram(melodies).max(axis=1)
    return shares


def longest_row(melodies: Melodies) -> Numbers:
    """``(B,)`` most notes of one pitch in a row, rests between them or not."""
    notes = melodies.notes
    places = np.arange(len(notes.rows))
    starts = places.copy()
    starts[1:][notes.has_next(1) & (notes.intervals == 0)] = 0
    longest = np.zeros(len(melodies))
    np.maximum.at(longest, notes.rows, places - np.maximum.accumulate(starts) + 1)
    return longest


def wide_leaps(melodies: Melodies) -> Numbers:
    """``(B,)`` share of the intervals that are wider than an octave."""
    return _share_of_intervals(melodies, np.abs(melodies.notes.intervals) > OCTAVE)


def lowest_pitch(melodies: Melodies) -> Numbers:
    """``(B,)`` MIDI pitch of the lowest note; 127 where there is none."""
    lowest = np.full(len(melodies), PITCHES - 1.0)
    np.minimum.at(lowest, melodies.notes.rows, melodies.notes.pitches)
    return lowest


def highest_pitch(melodies: Melodies) -> Numbers:
    """``(B,)`` MIDI pitch of the highest note; 0 where there is none."""
    highest = np.zeros(len(melodies))
    np.maximum.at(highest, melodies.notes.rows, melodies.notes.pitches)
    return highest


class Bound(NamedTuple):
    """A feature, and the bound on that side of it where few real melodies lie.

    Args:
        feature: function from melodies to ``(B,)`` numbers.
        bound: number that 98% of real melodies do not pass.
        worst: furthest number beyond the bound.
    """

    feature: Callable[[Melodies], Numbers]
    bound: float
    worst: float

    def excess(self, melodies: Melodies) -> Numbers:
        """``(B,)`` share of the way from the bound to the worst that melodies go."""
        beyond = (self.feature(melodies) - self.bound) / (self.worst - self.bound)
        return np.clip(beyond, 0, 1)


TYPICAL = (
    Bound(repeated_pitches, 0.56, 1),
    Bound(commonest_pitch_class, 0.46, 1),
    Bound(longest_row, 10, STEPS),
    Bound(wide_leaps, 0.07, 1),
    Bound(lowest_pitch, 38, 0),
    Bound(highest_pitch, 89, PITCHES - 1),
)
"""Bounds of 98% of the training melodies of the packaged generator, each tune weighing the same:
``python benchmarks/typical.py bounds STORE``."""
FEWEST_NOTES = Bound(note_counts, 34, 0)
"""Bound of the number of notes of 98% of the same melodies."""


def typicality(melodies: Melodies) -> Numbers:
    """``(B,)`` nearness of melodies to typical ones, from 0 to 1, which is typical.

    1 - the mean over :data:`TYPICAL` of the way from each bound to the worst. Silence has 0.
    """
    excess = np.mean([row.excess(melodies) for row in TYPICAL], axis=0)
    return np.where(melodies.note_counts > 0, 1 - excess, 0.0)


def full_typicality(melodies: Melodies) -> Numbers:
    """``(B,)`` nearness of melodies to typical ones that have as many notes as real ones.

    1 - the longest way from a bound, of :data:`TYPICAL` and :data:`FEWEST_NOTES`, to the worst: 1
    for nearly all real melodies. It is what an actor learns beside its rules, many of which few
    notes satisfy most easily. A search may be for few notes, and prefers :func:`typicality`.
    """
    rows = (*TYPICAL, FEWEST_NOTES)
    return 1 - np.max([row.excess(melodies) for row in rows], axis=0)


def closing(melodies: Melodies, tonic: int) -> Numbers:
    """``(B,)`` how well last notes close: 2/3 for the tonic, 1/3 for a start on a beat.

    Args:
        tonic: pitch class in [0, 11].

    >>> from melodyconstraints.melody.events import Melody
    >>> notes = ([(0, 2, 67), (4, 2, 60)], [(0, 2, 67), (6, 2, 60)], [])
    >>> closing(Melodies.stack([Melody.from_notes(one) for one in notes]), 0).round(2)
    array([1.  , 0.67, 0.  ])
    """
    notes, shares = melodies.notes, np.zeros(len(melodies))
    on_tonic, on_beat = notes.pitches % OCTAVE == tonic, notes.onsets % STEPS_PER_QUARTER == 0
    shares[notes.rows] = (2 * on_tonic + on_beat) / 3  # of each melody, the last one stays
    return shares


def _share_of_intervals(melodies: Melodies, hits: Mask) -> Numbers:
    notes = melodies.notes
    moves, rows = notes.has_next(1), notes.rows[:-1]
    return notes.total(hits & moves, rows) / np.maximum(notes.total(moves, rows), 1)
