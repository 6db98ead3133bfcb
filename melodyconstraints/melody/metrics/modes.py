"""Tonic and mode of a melody, from how long each pitch class sounds and where phrases end.

Conventions: a pitch class is 0 for C to 11; a mode is one of the seven rotations of the major
scale. Krumhansl and Schmuckler find a key by the profile that fits a melody's sounding times best
(Krumhansl, *Cognitive Foundations of Musical Pitch*, 1990, chapter 4); the seven modes on the same
white keys differ too little in these times, so the ends of phrases count as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.keys import MAJOR
from melodyconstraints.melody.notes import Numbers
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR

PHRASE_BARS = 4
FINAL_WEIGHT, PHRASE_WEIGHT = 0.2, 0.1
"""Weights of the last note and of all phrase ends together; that of all sounding time is 1."""

MODES: dict[str, tuple[int, ...]] = {
    name: tuple(sorted((step - tonic) % 12 for step in MAJOR))
    for name, tonic in zip(
        ("ionian", "dorian", "phrygian", "lydian", "mixolydian", "aeolian", "locrian"),
        MAJOR,
        strict=True,
    )
}
"""Mode to its semitones above the tonic."""

DEGREES = (0.294, 0.122, 0.128, 0.115, 0.144, 0.062, 0.135)
"""Mean tonal weight of the seven degrees, the tonic first: the profile of every mode.

Mean of the profiles of ionian, dorian and aeolian, 719, 70 and 53 tunes of a training split whose
key is known from their files, see ``benchmarks/modes.py``. One profile for all modes names more
melodies right than one for each, since what else sets the modes of the store apart is their style.
"""
PROFILES = np.zeros((len(MODES), 12))
"""``(7, 12)`` profiles by semitones above the tonic, in the order of :data:`MODES`."""
for _row, _steps in zip(PROFILES, MODES.values(), strict=True):
    _row[list(_steps)] = DEGREES

IONIAN_SHARES = (0.281, 0.14, 0.17, 0.078, 0.164, 0.088, 0.079)
"""Each degree's share of the time for which real melodies in ionian sound: of training melodies
that satisfy its rule, ``python benchmarks/typical.py degrees STORE``. In other modes few tunes
have a tonic that is sure: many that satisfy the rule sound longest on another degree."""
LIKE_REAL = 0.7
"""Correlation with these shares from which on melodies are as real ones: three quarters of those
in ionian reach it, see there."""

STABILITY = PROFILES.sum(axis=0) / (PROFILES > 0).sum(axis=0)
"""``(12,)`` profile of a scale of any form: mean over the modes that have the semitone."""

_FOREIGN = 0.003
"""Share that the profile of a mode leaves for each pitch class; notes outside the mode occur."""


def sounding_times(melodies: Melodies) -> Numbers:
    """``(B, 12)`` steps for which each pitch class sounds."""
    notes = melodies.notes
    places = notes.rows * 12 + notes.pitches % 12
    times = np.bincount(places, notes.durations, minlength=len(melodies) * 12)
    return times.astype(np.float64).reshape(-1, 12)


def degree_shares(melodies: Melodies, steps: Sequence[int]) -> Numbers:
    """``(B, N)`` share of the sounding time that notes of a scale have, zeros for silence.

    Args:
        steps: ``N`` pitch classes.
    """
    return _shares(sounding_times(melodies))[:, list(steps)]


def correlations(rows: Numbers, profile: Numbers) -> Numbers:
    """``(B,)`` Pearson correlation of ``(B, N)`` rows with ``(N,)`` numbers; 0 for even rows."""
    rows, profile = rows - rows.mean(axis=1, keepdims=True), profile - profile.mean()
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(profile)
    return np.einsum("bn,n->b", rows, profile) / np.maximum(lengths, 1e-9)


def degree_likeness(melodies: Melodies, scale: Sequence[int]) -> Numbers:
    """``(B,)`` how like real melodies in a scale melodies weigh its degrees, from 0 to 1.

    Correlation of the sounding times of its notes with :data:`IONIAN_SHARES`, of other modes with
    :data:`DEGREES`, over :data:`LIKE_REAL`. Of a scale that is none of the modes the tonic is to
    sound twice as long as each other note.

    Args:
        scale: pitch classes in [0, 11], the tonic first.

    >>> from melodyconstraints.melody.events import Melody
    >>> tonic = Melody.from_notes([(0, 8, 60), (8, 4, 64), (12, 4, 67)])
    >>> fourth = Melody.from_notes([(0, 8, 65), (8, 4, 69), (12, 4, 72)])
    >>> degree_likeness(Melodies.stack([tonic, fourth]), [0, 2, 4, 5, 7, 9, 11]).round(2)
    array([1., 0.])
    """
    steps = tuple((note - scale[0]) % 12 for note in scale)
    profile: tuple[float, ...] = (2.0, *[1.0] * (len(steps) - 1))
    if steps in MODES.values():
        profile = IONIAN_SHARES if steps == MODES["ionian"] else DEGREES
    fits = correlations(degree_shares(melodies, scale), np.array(profile))
    return np.clip(fits / LIKE_REAL, 0, 1)


def tonal_weights(melodies: Melodies) -> Numbers:
    """``(B, 12)`` weight of each pitch class, of sum 1; zeros for silence.

    In proportion to: share of the sounding time, plus 0.2 for the last note, plus 0.1 shared by
    the last notes that start in bars 1 to 4, 5 to 8, 9 to 12 and 13 to 16.
    """
    notes = melodies.notes
    phrases = notes.rows * BARS + notes.onsets // (PHRASE_BARS * STEPS_PER_BAR)
    weights = _shares(sounding_times(melodies))
    for ends_of, weight in ((notes.rows, FINAL_WEIGHT), (phrases, PHRASE_WEIGHT)):
        last = np.diff(ends_of, append=-1) != 0
        places = notes.rows[last] * 12 + notes.pitches[last] % 12
        ends = np.bincount(places, minlength=len(melodies) * 12).reshape(-1, 12)
        weights = weights + weight * _shares(ends.astype(np.float64))
    return _shares(weights)


def tonic_lags(melodies: Melodies, scale: Sequence[int]) -> Numbers:
    """``(B,)`` how far a scale's tonic fits behind its best note; 0 where no note fits better.

    The fit of a note as the tonic is the sum over the scale's notes of tonal weight, shared among
    these, times log(:data:`STABILITY` above it / that of all notes of the scale). Infinite for
    melodies without a note of the scale.

    Args:
        scale: pitch classes in [0, 11], the tonic first.

    >>> from melodyconstraints.melody.events import Melody
    >>> rests_on_g = Melody.from_notes([(0, 4, 60), (4, 4, 64), (8, 16, 67)])
    >>> tonic_lags(Melodies.stack([rests_on_g]), [0, 2, 4, 5, 7, 9, 11]).round(2)
    array([0.32])
    """
    tones = np.array(scale)
    logs = np.log([STABILITY[(tones - tonic) % 12] for tonic in scale])
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    inside = tonal_weights(melodies)[:, tones]
    total = inside.sum(axis=1)
    fits = np.einsum("bp,tp->bt", inside / np.maximum(total, 1e-9)[:, None], logs)
    return np.where(total > 0, np.round(fits.max(axis=1) - fits[:, 0], 9), np.inf)


def _shares(counts: Numbers) -> Numbers:
    """``(B, 12)`` rows divided by their sums; rows of zeros stay."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)


def find_modes(melodies: Melodies) -> list[tuple[int, str] | None]:
    """Tonic, 0 is C, and mode of ``B`` melodies, the likeliest of 84; None for silence.

    The greatest sum over pitch classes of weight times log profile, see :func:`tonal_weights` and
    :data:`PROFILES`: a melody is a sample of notes of its mode.

    >>> from melodyconstraints.melody.events import Melody
    >>> pitches = [62, 64, 65, 67, 69, 71, 72, 69, 65, 64, 62]
    >>> dorian = Melody.from_notes([(8 * n, 8, pitch) for n, pitch in enumerate(pitches)])
    >>> find_modes(Melodies.stack([dorian]))
    [(2, 'dorian')]
    """
    logs = np.log((PROFILES + _FOREIGN) / (1 + 12 * _FOREIGN))
    keys = np.stack([np.roll(row, tonic) for row in logs for tonic in range(12)])
    weights = tonal_weights(melodies)
    # einsum, as a matrix product's last bit depends on how many melodies there are
    best = np.einsum("bp,kp->bk", weights, keys).round(9).argmax(axis=1).tolist()
    names = list(MODES)
    return [
        (key % 12, names[key // 12]) if sounds else None
        for key, sounds in zip(best, melodies.note_counts > 0, strict=True)
    ]
