"""Five rules as a user would write them, on which nothing was tuned; see constraints.py."""

import numpy as np

from melodyconstraints import Melody


def moves_by_step(melody: Melody) -> float:
    """At least three of four intervals are no larger than a whole tone."""
    if len(melody) < 2:
        return 0.0
    return min(1.0, float(np.mean(np.abs(melody.intervals) <= 2)) / 0.75)


def within_an_octave(melody: Melody) -> float:
    """From the lowest to the highest note it is an octave at most."""
    if len(melody) == 0:
        return 0.0
    return 1 - min(1.0, max(0, int(np.ptp(melody.pitches)) - 12) / 24)


def calm(melody: Melody) -> float:
    """At most 28 notes, none shorter than an eighth."""
    if len(melody) == 0:
        return 0.0
    few = min(1.0, 28 / len(melody))
    return (few + float(np.mean(melody.durations >= 2))) / 2


def climbs(melody: Melody) -> float:
    """The last four bars lie an octave above the first four."""
    first, last = melody.pitches[melody.onsets < 64], melody.pitches[melody.onsets >= 192]
    if len(first) == 0 or len(last) == 0:
        return 0.0
    return float(np.clip((last.mean() - first.mean() + 12) / 24, 0, 1))


def breathes(melody: Melody) -> float:
    """Every fourth bar ends in two beats of rest."""
    if len(melody) == 0:
        return 0.0
    return float(np.mean(melody.bars[3::4, 8:] == 129))
