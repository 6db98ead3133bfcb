"""Features of melodies, by which generated music is compared with real music.

:data:`FEATURES` has one row a feature. Names and definitions are MusPy's where it has one (Dong et
al., "MusPy", ISMIR 2020), else those of Yang and Lerch ("On the evaluation of generative models in
music", Neural Computing and Applications 32, 2020). A melody of ours is one voice of 16 bars on a
grid of sixteenths, which makes these differences:

- MusPy counts bars and beats up to the end of the last note, and one more where a note ends on
  their line; here a melody always has 16 bars and 64 beats, and a note does not sound at its end.
- MusPy compares onsets tick by tick; here step by step (MusPy at a resolution of 4).
- MusPy has no value (NaN) for silence; here silence has zeros, and its bars are all alike.

Shapes: ``B`` melodies; a feature is ``(B,)`` numbers or ``(B, F)`` histograms that sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.events import PITCHES, REST, Melodies
from melodyconstraints.melody.keys import MAJOR
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR, STEPS_PER_QUARTER

Numbers = NDArray[np.float64]

WIDEST_INTERVAL = 12
"""Semitones of the widest interval; wider ones count as an octave."""
LONGEST_LENGTH = 16
"""Steps of the longest note; longer ones count as a whole note."""
_SCALES = np.array([[(pitch - root) % 12 in MAJOR for pitch in range(12)] for root in range(12)])
"""``(12, 12)`` major scales; the natural minor scales are the same sets of pitch classes."""


def pitch_class_histogram(melodies: Melodies) -> Numbers:
    """``(B, 12)`` share of the notes that have each pitch class, C first."""
    return _histogram(melodies.pitch_classes, melodies.onsets, 12)


def interval_histogram(melodies: Melodies) -> Numbers:
    """``(B, 25)`` share of each step from note to note, from an octave down to an octave up."""
    intervals = melodies.intervals.clip(-WIDEST_INTERVAL, WIDEST_INTERVAL) + WIDEST_INTERVAL
    return _histogram(intervals, melodies.interval_mask, 2 * WIDEST_INTERVAL + 1)


def note_length_histogram(melodies: Melodies) -> Numbers:
    """``(B, 16)`` share of the notes that last 1, 2, ..., 15 steps, and 16 or more."""
    lengths = melodies.durations.clip(1, LONGEST_LENGTH) - 1
    return _histogram(lengths, melodies.onsets, LONGEST_LENGTH)


def notes_per_bar(melodies: Melodies) -> Numbers:
    """``(B,)`` notes over 16 bars."""
    return melodies.note_counts / BARS


def pitch_range(melodies: Melodies) -> Numbers:
    """``(B,)`` semitones from the lowest to the highest note: ``muspy.pitch_range``."""
    highest = melodies.pitches.max(axis=1)
    lowest = np.where(melodies.onsets, melodies.pitches, PITCHES).min(axis=1)
    return np.where(melodies.note_counts, highest - lowest, 0).astype(np.float64)


def pitches_used(melodies: Melodies) -> Numbers:
    """``(B,)`` different pitches: ``muspy.n_pitches_used``."""
    return np.count_nonzero(_histogram(melodies.pitches, melodies.onsets, PITCHES), axis=1) * 1.0


def pitch_classes_used(melodies: Melodies) -> Numbers:
    """``(B,)`` different pitch classes: ``muspy.n_pitch_classes_used``."""
    return np.count_nonzero(pitch_class_histogram(melodies), axis=1) * 1.0


def pitch_class_entropy(melodies: Melodies) -> Numbers:
    """``(B,)`` entropy of the pitch classes in bits, 0 to 3.58: ``muspy.pitch_class_entropy``."""
    shares = pitch_class_histogram(melodies)
    return -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1) + 0.0


def scale_consistency(melodies: Melodies) -> Numbers:
    """``(B,)`` share of notes in the scale, major or minor, that fits best.

    ``muspy.scale_consistency``.
    """
    best: Numbers = (pitch_class_histogram(melodies) @ _SCALES.T).max(axis=1)
    return best


def groove_consistency(melodies: Melodies) -> Numbers:
    """``(B,)`` share of steps at which a bar and the next agree on whether a note starts.

    ``muspy.groove_consistency``; over all pairs of bars: :func:`.structure.groove_similarity`.
    """
    bars = melodies.onsets.reshape(len(melodies), BARS, STEPS_PER_BAR)
    return (bars[:, 1:] == bars[:, :-1]).mean(axis=(1, 2))


def repeated_bars(melodies: Melodies) -> Numbers:
    """``(B,)`` share of bars that equal an earlier one, of those in which a note starts.

    Equal event for event: pitches, places, holds and rests. MusPy has nothing like it.
    """
    return share_of_repeats(melodies, melodies.bars)


def share_of_repeats(melodies: Melodies, bars: NDArray[np.uint8]) -> Numbers:
    """``(B,)`` share of bars whose row equals an earlier one's, of those in which a note starts.

    Args:
        bars: ``(B, 16, 16)`` what bars are compared by, such as their events.
    """
    halves = np.ascontiguousarray(bars).view(np.uint64)  # (B, 16, 2): a bar is 16 bytes
    same = (halves[:, :, None] == halves[:, None, :]).all(axis=-1)
    repeated = (same & np.tri(BARS, k=-1, dtype=bool)).any(axis=-1)
    starts = melodies.onsets.reshape(len(melodies), BARS, STEPS_PER_BAR).any(axis=-1)
    return (repeated & starts).sum(axis=1) / np.maximum(starts.sum(axis=1), 1)


def empty_bars(melodies: Melodies) -> Numbers:
    """``(B,)`` share of the bars in which nothing sounds: ``muspy.empty_measure_rate``."""
    return _empty(melodies, STEPS_PER_BAR)


def empty_beats(melodies: Melodies) -> Numbers:
    """``(B,)`` share of the beats in which nothing sounds: ``muspy.empty_beat_rate``."""
    return _empty(melodies, STEPS_PER_QUARTER)


FEATURES: dict[str, Callable[[Melodies], Numbers]] = {
    feature.__name__: feature
    for feature in (
        pitch_class_histogram,
        interval_histogram,
        note_length_histogram,
        notes_per_bar,
        pitch_range,
        pitches_used,
        pitch_classes_used,
        pitch_class_entropy,
        scale_consistency,
        groove_consistency,
        repeated_bars,
        empty_bars,
        empty_beats,
    )
}
"""Name to function of a batch; all but the histograms are one number a melody."""

PITCH_CLASS_FEATURES = frozenset(
    feature.__name__
    for feature in (
        pitch_class_histogram,
        pitch_classes_used,
        pitch_class_entropy,
        scale_consistency,
    )
)
"""Features that follow from the pitch classes of the notes, and change with a scale."""


def _histogram(values: NDArray[Any], mask: NDArray[np.bool_], bins: int) -> Numbers:
    """``(B, bins)`` shares of the ``(B, T)`` values in [0, bins) where ``mask`` is true."""
    rows, _ = np.nonzero(mask)
    counts = np.bincount(rows * bins + values[mask], minlength=len(values) * bins)
    table = counts.reshape(len(values), bins)
    return table / np.maximum(table.sum(axis=1, keepdims=True), 1)


def _empty(melodies: Melodies, steps: int) -> Numbers:
    """``(B,)`` share of the stretches of so many steps that hold nothing but rests."""
    rests = (melodies.events == REST).reshape(len(melodies), STEPS // steps, steps)
    return rests.all(axis=-1).mean(axis=1)
