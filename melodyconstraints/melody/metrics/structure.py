"""Measures of how a melody is built: what returns in it, how it moves, what it has for tones.

:data:`STRUCTURE` has one row a measure, a number for each melody; sets of melodies are compared by
its mean. Sources:

- Similarity error: Yu et al., "Museformer: Transformer with Fine- and Coarse-Grained Attention for
  Music Generation" (NeurIPS 2022); here notes are equal by place and pitch, lengths do not count.
- Entropies of one bar (H1) and of four (H4), groove similarity (GS): Wu and Yang, "The Jazz
  Transformer on the front line" (ISMIR 2020). As in the authors' program MusDr, H4 slides by a
  bar and windows without notes do not count; GS is over all pairs of bars, silent ones included.

Shapes: ``B`` melodies, ``K`` = 16 bars.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from melodyconstraints.melody.events import PITCHES, Melodies
from melodyconstraints.melody.metrics.statistics import (
    Numbers,
    interval_histogram,
    pitch_class_entropy,
    pitch_class_histogram,
    repeated_bars,
    share_of_repeats,
)
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR

COMMON = 0.02
"""Least share of a melody's notes that a common pitch class has."""
LARGEST_STEP, LEAST_LEAP = 2, 5
"""Semitones of the largest step and of the least leap."""


def bar_similarities(melodies: Melodies) -> Numbers:
    """``(B, 15)`` L_t of each melody: how similar its bars t = 1, ..., 15 apart are, in [0, 1].

    The notes that two bars share, by place and pitch, over those in either; mean over the bars.
    """
    bars = melodies.bars
    notes = bars < PITCHES
    similarities = []
    for lag in range(1, BARS):
        later, earlier = notes[:, lag:], notes[:, :-lag]
        shared = ((bars[:, lag:] == bars[:, :-lag]) & later).sum(-1)
        either = later.sum(-1) + earlier.sum(-1) - shared
        similarities.append((shared / np.maximum(either, 1)).mean(1))
    return np.stack(similarities, 1)


def similarity_error(reference: Melodies, others: Melodies) -> float:
    """SE: mean over t = 1, ..., 15 of the difference of two sets' mean L_t; 0 is best."""
    difference = bar_similarities(others).mean(0) - bar_similarities(reference).mean(0)
    return float(np.abs(difference).mean())


def repeated_rhythms(melodies: Melodies) -> Numbers:
    """``(B,)`` share of bars with the rhythm of an earlier one, of those in which a note starts.

    As :func:`.repeated_bars` with all pitches taken for one: places, holds and rests are equal.
    """
    return share_of_repeats(melodies, np.where(melodies.bars < PITCHES, 0, melodies.bars))


def register_jump(melodies: Melodies) -> Numbers:
    """``(B,)`` mean change of the mean pitch between neighbouring bars with notes, semitones."""
    counts = melodies.onsets.reshape(-1, BARS, STEPS_PER_BAR).sum(-1)
    sums = np.where(melodies.onsets, melodies.pitches, 0).reshape(-1, BARS, STEPS_PER_BAR).sum(-1)
    changes = np.abs(np.diff(sums / np.maximum(counts, 1), axis=1))
    both = (counts[:, 1:] > 0) & (counts[:, :-1] > 0)
    return np.where(both, changes, 0).sum(1) / np.maximum(both.sum(1), 1)


def compression_ratio(melodies: Melodies) -> Numbers:
    """``(B,)`` the 256 bytes of a melody's events over those that zlib makes of them."""
    return np.array([row.size / len(zlib.compress(row.tobytes())) for row in melodies.events])


def one_bar_entropy(melodies: Melodies) -> Numbers:
    """``(B,)`` H1: mean over the bars of the entropy of their pitch classes in bits, 0 to 3.58."""
    return _entropy_of_windows(melodies, 1)


def four_bar_entropy(melodies: Melodies) -> Numbers:
    """``(B,)`` H4: mean entropy of the pitch classes of four bars in a row, at all 13 places."""
    return _entropy_of_windows(melodies, 4)


def _entropy_of_windows(melodies: Melodies, width: int) -> Numbers:
    """``(B,)`` mean entropy of the pitch classes of so many bars in a row, where there are any."""
    notes = melodies.notes
    places = (notes.rows * BARS + notes.onsets // STEPS_PER_BAR) * 12 + notes.pitches % 12
    counts = np.bincount(places, minlength=len(melodies) * BARS * 12).reshape(-1, BARS, 12)
    windows = np.lib.stride_tricks.sliding_window_view(counts, width, axis=1).sum(-1)
    totals = windows.sum(-1)
    shares = windows / np.maximum(totals, 1)[..., None]
    entropies = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(-1)
    return entropies.sum(1) / np.maximum((totals > 0).sum(1), 1) + 0.0


def groove_similarity(melodies: Melodies) -> Numbers:
    """``(B,)`` GS: share of the steps at which two bars agree on whether a note starts.

    Mean over all pairs of bars; :func:`.groove_consistency` has neighbours alone.
    """
    onsets = melodies.onsets.reshape(-1, BARS, STEPS_PER_BAR).astype(np.float64)
    agreeing = onsets @ onsets.swapaxes(1, 2) + (1 - onsets) @ (1 - onsets).swapaxes(1, 2)
    with_themselves = BARS * STEPS_PER_BAR
    pairs = BARS * (BARS - 1) * STEPS_PER_BAR
    return (agreeing.sum((1, 2)) - with_themselves) / pairs


def two_commonest_pitch_classes(melodies: Melodies) -> Numbers:
    """``(B,)`` share of the notes that have one of the melody's two commonest pitch classes."""
    return np.sort(pitch_class_histogram(melodies), axis=1)[:, -2:].sum(1)


def common_pitch_classes(melodies: Melodies) -> Numbers:
    """``(B,)`` pitch classes with 2% of the melody's notes or more."""
    return (pitch_class_histogram(melodies) >= COMMON).sum(1) * 1.0


def steps(melodies: Melodies) -> Numbers:
    """``(B,)`` share of the intervals that are of one or two semitones, up or down."""
    return _intervals_between(melodies, 1, LARGEST_STEP)


def leaps(melodies: Melodies) -> Numbers:
    """``(B,)`` share of the intervals that are of five semitones or more, up or down."""
    return _intervals_between(melodies, LEAST_LEAP, PITCHES)


def steps_between_bars(melodies: Melodies) -> Numbers:
    """``(B,)`` steps as a share of the intervals to a bar's first note from the note before.

    A generator of bars may know well how a bar moves, and not where it goes on from the last one.
    """
    notes = melodies.notes
    bars = notes.rows * BARS + notes.onsets // STEPS_PER_BAR
    crossing = (np.diff(bars) > 0) & (np.diff(notes.rows) == 0)
    owners = notes.rows[1:][crossing]
    sizes = np.abs(np.diff(notes.pitches.astype(np.int64)))[crossing]
    is_step = (sizes >= 1) & (sizes <= LARGEST_STEP)
    counts = np.bincount(owners, minlength=len(melodies))
    return np.bincount(owners, is_step, len(melodies)) / np.maximum(counts, 1)


def _intervals_between(melodies: Melodies, least: int, most: int) -> Numbers:
    shares = interval_histogram(melodies)
    sizes = np.abs(np.arange(shares.shape[1]) - shares.shape[1] // 2)
    chosen: Numbers = shares[:, (sizes >= least) & (sizes <= most)].sum(1)
    return chosen


STRUCTURE: dict[str, Callable[[Melodies], Numbers]] = {
    measure.__name__: measure
    for measure in (
        repeated_bars,
        repeated_rhythms,
        register_jump,
        compression_ratio,
        one_bar_entropy,
        four_bar_entropy,
        pitch_class_entropy,
        groove_similarity,
        two_commonest_pitch_classes,
        common_pitch_classes,
        steps,
        leaps,
        steps_between_bars,
    )
}
"""Name to function of a batch."""


def structure(melodies: Melodies, reference: Melodies | None = None) -> dict[str, float]:
    """Means of all measures by name, and with a reference ``similarity_error``."""
    error = (
        {} if reference is None else {"similarity_error": similarity_error(reference, melodies)}
    )
    return {name: float(measure(melodies).mean()) for name, measure in STRUCTURE.items()} | error
