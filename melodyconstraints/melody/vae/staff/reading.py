"""Melodies on a staff, read in another scale than they were written in, or in a set of notes.

A staff says which line a note lies on; what the lines mean is up to the key signature. Read in a
scale, a line becomes the tonic and each line above it the next degree of the scale, so that every
note lies in the scale and the melody keeps its steps, leaps and repeats.

Shapes: ``B`` melodies, ``T`` = 256 steps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.events import PITCHES, Events, Melodies
from melodyconstraints.melody.metrics.modes import tonic_lags
from melodyconstraints.melody.units import STEPS_PER_BAR
from melodyconstraints.melody.vae.staff.notation import (
    LETTERS,
    LINES,
    MODE_SHARES,
    REACH,
    SCALE,
    SEMITONES,
    TOKEN_HOLD,
    Ints,
    Staff,
    events_by,
    from_staff,
    with_silence,
)

_TURNS = (0, 1, -1, 2, -2, 3, -3)
"""Scale steps from a tonic to the line that is tried in its place, the nearest first."""

_COMMON_MODE = 0.3
"""Weight of the logarithm of a mode's share, beside the share of notes that stay."""


def read(staff: Staff, scale: Sequence[int] | frozenset[int]) -> Events:
    """``(B, T)`` events of melodies, in a scale or a set, see :class:`.Sampling`, if any."""
    if not scale:
        return from_staff(staff)
    if isinstance(scale, frozenset):
        return read_in_set(staff, scale)
    return read_in_scale(staff, scale)


def read_in_scale(staff: Staff, scale: Sequence[int]) -> Events:
    """``(B, T)`` events of melodies that are read in a scale, on its tonic.

    A line of the staff is the tonic: that of the mode, or, where another note of the scale would
    fit better as the tonic than the scale's own, the nearest line for which none does, or which
    comes closest to it. So a melody rests on the tonic, and moves as it did.

    Args:
        scale: pitch classes, the tonic first.
    """
    turned = [write_in_scale(staff, scale, turn) for turn in _TURNS]
    lags = np.stack([tonic_lags(Melodies(events), scale) for events in turned])
    return np.stack(turned)[lags.argmin(0), np.arange(len(staff.tokens))]


def read_in_set(staff: Staff, pitch_classes: Collection[int]) -> Events:
    """``(B, T)`` events of melodies that are read in a set of pitch classes without a tonic.

    The tonic of each melody's mode becomes one of the set: that for which most notes stay where
    they are, of those in the set already, weighed by how common the mode is that the set makes
    there. So in C major a melody in G major is read in G mixolydian, and only its F sharps move.
    A melody that lies in the set already stays as it is. A raised note becomes the next of the set
    above or below, whichever sounds on fewer sides of it, so that a melody still moves: G F♯ G
    becomes G F G. Of two as good, the one that it is already, else the one above.
    """
    every = sorted(pitch_classes)
    scales = [every[first:] + every[:first] for first in range(len(every))]
    own = from_staff(staff)
    notes = own < PITCHES
    inside = notes & np.isin(own % 12, every)
    candidates, fits = [own], [np.where((inside == notes).all(1), np.inf, -np.inf)]
    for scale in scales:
        steps = _scale_steps(scale)
        up, down = (
            events_by(_events_of_steps(*staff[1:], scale[0], both), staff)
            for both in (steps, steps[[0, 0]])
        )
        beside = _beside(staff.tokens, up)
        repeats, repeats_down = (up == beside).sum(0), (down == beside).sum(0)
        lower = (repeats_down < repeats) | ((repeats_down == repeats) & (down == own))
        candidates.append(np.where(lower, down, up))
        stay = ((candidates[-1] == own) & inside).sum(1) / np.maximum(inside.sum(1), 1)
        fits.append(stay + _COMMON_MODE * np.log(MODE_SHARES[mode_of(scale)]))
    return np.stack(candidates)[np.array(fits).argmax(0), np.arange(len(own))]


def write_in_scale(staff: Staff, scale: Sequence[int], turn: int = 0) -> Events:
    """``(B, T)`` events of melodies whose mode's tonic becomes that of a scale.

    A scale of more than seven notes has two for some of the lines; there the one sounds that is
    nearer to the note before it in its bar, so that steps pass through all of them and bars that
    come back stay the same.

    Args:
        scale: pitch classes, the tonic first.
        turn: lines from the mode's tonic up to the one that becomes that of the scale.
    """
    modes = (staff.modes + turn) % SCALE
    plain = events_by(events_in_scale(staff.keys, staff.places, modes, scale), staff)
    if len(scale) <= SCALE:
        return plain
    steps = _passing_steps(scale)
    passing = events_by(_events_of_steps(staff.keys, staff.places, modes, scale[0], steps), staff)
    before = _at_last(plain < PITCHES, plain)
    away, away_passing = np.abs(plain - before), np.abs(passing - before)
    return np.where((before >= 0) & (away_passing < away), passing, plain).astype(plain.dtype)


def events_in_scale(keys: Ints, places: Ints, modes: Ints, scale: Sequence[int]) -> Ints:
    """``(B, 72)`` event that each token stands for where every note lies in a scale.

    The mode's tonic becomes the scale's, at most six semitones away, and each degree that of the
    scale, or the nearest note of one that has not seven notes. A raised note goes up to the next.

    Args:
        scale: pitch classes, the tonic first.
    """
    return _events_of_steps(keys, places, modes, scale[0], _scale_steps(scale))


def mode_of(scale: Sequence[int]) -> int:
    """Degree of the major scale whose mode a scale is; else 0 or 5, by its third.

    A scale of eight notes is a mode with one more to pass through; of two modes in it, as in a
    bebop scale, it is the darker one.

    >>> mode_of([2, 4, 5, 7, 9, 11, 0]), mode_of([9, 0, 2, 4, 7])
    (1, 5)
    >>> mode_of([0, 2, 4, 5, 7, 9, 10, 11])  # bebop dominant: mixolydian, with a major seventh
    4
    """
    steps = {(pitch_class - scale[0]) % 12 for pitch_class in scale}
    inside = [mode for mode in range(SCALE) if set(_mode_steps(mode).tolist()) <= steps]
    if inside and len(steps) <= SCALE + 1:
        return min(inside, key=lambda mode: _mode_steps(mode).sum())
    return 5 if 3 in steps and 4 not in steps else 0


def _mode_steps(mode: int) -> Ints:
    """``(7,)`` semitones above the tonic of a mode of the major scale, upwards."""
    steps: Ints = np.sort((SEMITONES - SEMITONES[mode]) % 12)
    return steps


def _scale_steps(scale: Sequence[int]) -> Ints:
    """``(2, 7)`` semitones above the tonic of each degree of a scale, plain and raised.

    Of more than seven notes the nearest seven to the degrees of its mode are plain, of as near
    ones the higher.
    """
    steps, degrees = np.sort((np.array(scale) - scale[0]) % 12), _mode_steps(mode_of(scale))
    every = np.concatenate([steps, steps + 12])
    plain = every[np.abs(every[:, None] - degrees).argmin(0)]
    if len(steps) >= SCALE:
        chosen = combinations(steps.tolist(), SCALE)
        plain = np.array(min(chosen, key=lambda one: (np.abs(one - degrees).sum(), -sum(one))))
    raised = every[(every[:, None] >= plain + 1).argmax(0)]
    return np.stack([plain, raised])


def _passing_steps(scale: Sequence[int]) -> Ints:
    """``(2, 7)`` as :func:`_scale_steps`, plain notes replaced by those of the scale it has not.

    Each stands in place of the plain note above it, or below it where that one is the tonic.

    >>> _passing_steps([0, 2, 4, 5, 7, 9, 10, 11])[0].tolist()  # bebop dominant
    [0, 2, 4, 5, 7, 9, 11]
    """
    steps = _scale_steps(scale)
    plain = steps[0].tolist()
    for step in sorted((pitch_class - scale[0]) % 12 for pitch_class in scale):
        if step not in plain:
            above = sum(one < step for one in plain)
            steps[0, min(above, SCALE - 1)] = step
    return steps


def _at_last(starts: NDArray[np.bool_], values: NDArray[Any]) -> Ints:
    """``(B, T)`` value at the last start before each step within its bar, or -1."""
    where = np.where(starts, np.arange(starts.shape[1]) % STEPS_PER_BAR, -1)
    last = np.maximum.accumulate(where.reshape(len(starts), -1, STEPS_PER_BAR), -1)[..., :-1]
    bars = values.astype(np.int64).reshape(len(starts), -1, STEPS_PER_BAR)
    before = np.full(bars.shape, -1)
    before[..., 1:] = np.where(last < 0, -1, np.take_along_axis(bars, last.clip(0), -1))
    return before.reshape(values.shape)


def _beside(tokens: Ints, events: Events) -> Ints:
    """``(2, B, T)`` pitch of the note before each one, and of the one after it.

    In its bar, so that bars that come back stay the same, and but for the same token: of a raised
    note that is repeated all have the same two; -1 where there is none.
    """
    notes, sides = tokens < TOKEN_HOLD, []
    for way in (slice(None), slice(None, None, -1)):
        starts, staff, pitches = notes[:, way], tokens[:, way], events[:, way]
        first = starts & (_at_last(starts, staff) != staff)
        before = _at_last(starts, pitches)
        sides.append(np.where(first, before, _at_last(first, before))[:, way])
    return np.stack(sides)


def _events_of_steps(keys: Ints, places: Ints, modes: Ints, tonic: int, steps: Ints) -> Ints:
    """``(B, 72)`` event of each token, by ``(2, 7)`` semitones of each degree above a tonic."""
    raised, line = np.divmod(np.arange(TOKEN_HOLD)[None], LINES)
    first = (places - LETTERS[keys] - modes)[:, None]
    octaves, degrees = np.divmod(line - REACH + first, SCALE)
    tonics = keys + SEMITONES[modes]
    tonics = tonics + (tonic - tonics + 6) % 12 - 6
    return with_silence(12 * octaves + steps[raised, degrees] + tonics[:, None])
