"""Melodies as they stand on a staff: a key signature, a place, and notes in scale steps from it.

A pitch is a line or space of the staff, raised by a semitone or not. What the lines mean is up to
the key signature, so that another signature moves only the notes that it alters, and a melody
reads the same in every key and at every height. The signature is the major scale that the notes
fit best; notes outside it are raised ones.

========= ====================================================================================
0 - 34    a note starts here, 17 scale steps below the place to 17 above
35 - 69   the same, a semitone higher
70        ``HOLD``
71        ``REST``
========= ====================================================================================

Shapes: ``B`` melodies, ``T`` = 256 steps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.events import HOLD, PITCHES, REST, Events, Melodies, canonical_events
from melodyconstraints.melody.keys import MAJOR, find_keys
from melodyconstraints.melody.metrics.modes import tonic_lags
from melodyconstraints.melody.units import STEPS_PER_BAR

Ints = NDArray[np.int64]

REACH = 17
"""Scale steps from the place to the farthest note; notes beyond move by octaves."""
LINES = 2 * REACH + 1
TOKEN_HOLD, TOKEN_REST = 2 * LINES, 2 * LINES + 1
TOKENS = 2 * LINES + 2
SILENT = LINES
"""Number in place of the line of a bar's first note, where it has none."""
TOKEN_START = TOKENS
"""Start token: a decoder's input in place of the token before a bar's first one."""
SCALE = 7
"""Steps of a scale to the octave."""

_TURNS = (0, 1, -1, 2, -2, 3, -3)
"""Scale steps from a tonic to the line that is tried in its place, the nearest first."""

_STEP_OF = np.array([0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5, 6])
_RAISED = np.array([0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0])
_SEMITONES = np.array(MAJOR)
_LETTERS = np.array([0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6])
"""Scale steps from C to the letter of each tonic: C D♭ D E♭ E F F♯ G A♭ A B♭ B."""
_MAJOR = np.array([0.335, 0.123, 0.134, 0.068, 0.136, 0.109, 0.094])
_MINOR = np.array([0.409, 0.097, 0.105, 0.112, 0.124, 0.059, 0.094])
_OTHER = (_MAJOR + _MINOR) / 2
"""Shares of the time on each degree, from the tonic, in training melodies that end on the major
(minor) tonic and dwell on it longest."""
_MODE_PROFILES = np.stack(
    [
        np.roll(profile, mode)
        for mode, profile in enumerate([_MAJOR, _OTHER, _OTHER, _OTHER, _OTHER, _MINOR, _OTHER])
    ]
)
_MODE_SHARES = np.array([0.55, 0.06, 0.01, 0.02, 0.07, 0.28, 0.01])
"""Prior probabilities of ionian, dorian, ... locrian, before a note is known."""
_COMMON_MODE = 0.3
"""Weight of the logarithm of a mode's share, beside the share of notes that stay."""
_MODE_EVIDENCE, _LAST_NOTE = 20.0, 2.0
"""Weights of all notes together and of the last one, in notes drawn from a profile."""


class Staff(NamedTuple):
    """Melodies on a staff.

    Args:
        tokens: ``(B, T)`` in [0, 71].
        keys: ``(B,)`` pitch class of the major tonic of the key signature, 0 is C.
        places: ``(B,)`` line from which the notes are counted, in scale steps above C-1.
        modes: ``(B,)`` degree of the major scale that is the tonic, 0 in major, 5 in minor.
    """

    tokens: Ints
    keys: Ints
    places: Ints
    modes: Ints

    @property
    def degrees(self) -> Ints:
        """``(B,)`` degree of the scale at the place, counted from the tonic of the mode."""
        return place_degrees(self.keys, self.places, self.modes)


def place_degrees(keys: Ints, places: Ints, modes: Ints) -> Ints:
    """``(B,)`` degree of the scale at ``places``, counted from the mode's tonic, in [0, 6]."""
    degrees: Ints = (places - _LETTERS[keys] - modes) % SCALE
    return degrees


def lines_up(keys: Ints, others: Ints) -> Ints:
    """``(B,)`` scale steps from the letters of tonics up to those of others, from -6 to 6.

    >>> lines_up(np.array([0, 0]), np.array([2, 10])).tolist()
    [1, 6]
    """
    steps: Ints = _LETTERS[others] - _LETTERS[keys]
    return steps


def find_mode_degrees(events: Events, keys: Ints) -> Ints:
    """``(B,)`` degree of the major scale on ``keys`` that fits ``(B, T)`` events best as tonic.

    Notes weigh as long as they last, a bar at most, and the last one more. Within a key signature
    that is given, unlike :func:`melodyconstraints.melody.metrics.modes.find_modes`; the packaged
    weights know melodies by these modes.

    >>> of_d_dorian = np.array([[62, 65, 69, 67, 65, 64, 60, 62, 128, 128]], np.uint8)
    >>> find_mode_degrees(of_d_dorian, np.array([0]))
    array([1])
    """
    rows, steps = np.nonzero(events != HOLD)
    ends = np.append(steps[1:], events.shape[1])
    ends[np.flatnonzero(np.diff(rows))] = events.shape[1]
    started = events[rows, steps]
    sounding = started < PITCHES
    rows, started = rows[sounding], started[sounding].astype(np.int64)
    lengths = (ends - steps)[sounding].clip(max=STEPS_PER_BAR)
    classes = (started - keys[rows]) % 12
    plain = np.where(_RAISED[classes] == 0, lengths, 0.0)
    degrees = _STEP_OF[classes]
    weights = np.bincount(SCALE * rows + degrees, plain, SCALE * len(events))
    weights = weights.reshape(-1, SCALE).astype(float)
    weights *= _MODE_EVIDENCE / np.maximum(weights.sum(1, keepdims=True), 1)
    last = np.flatnonzero(np.diff(rows, append=len(events)))
    weights[rows[last], degrees[last]] += _LAST_NOTE * (plain[last] > 0)
    modes: Ints = (weights @ np.log(_MODE_PROFILES).T + np.log(_MODE_SHARES)).argmax(1)
    return modes


def to_staff(
    events: Events,
    keys: Ints | None = None,
    places: Ints | None = None,
    modes: Ints | None = None,
) -> Staff:
    """Write ``(B, T)`` events on a staff; exact unless a note is over 17 scale steps away.

    Args:
        keys: ``(B,)`` major tonics; the best fitting ones where None.
        places: ``(B,)`` lines to count from; those of the mean notes where None.
        modes: ``(B,)`` degrees of the tonics; the best fitting ones where None.
    """
    keys = find_keys(events) if keys is None else keys
    notes = events < PITCHES
    octaves, classes = np.divmod(events.astype(np.int64) - keys[:, None], 12)
    lines = SCALE * octaves + _STEP_OF[classes] + _LETTERS[keys][:, None]
    if places is None:
        count = np.maximum(notes.sum(1), 1)
        places = np.floor(np.where(notes, lines, 0).sum(1) / count + 0.5).astype(np.int64)
    away = _within_reach(lines - places[:, None])
    rests = np.where(events == HOLD, TOKEN_HOLD, TOKEN_REST)
    tokens = np.where(notes, away + REACH + LINES * _RAISED[classes], rests)
    return Staff(tokens, keys, places, find_mode_degrees(events, keys) if modes is None else modes)


def from_staff(staff: Staff) -> Events:
    """``(B, T)`` events; what would lie beyond the pitches 0 to 127 moves by octaves.

    >>> events = np.array([[129, 60, 128, 66, 62]], np.uint8)
    >>> from_staff(to_staff(events))
    array([[129,  60, 128,  66,  62]], dtype=uint8)
    """
    return events_by(events_of_tokens(staff.keys, staff.places), staff)


def events_by(table: Ints, staff: Staff) -> Events:
    """``(B, T)`` events of melodies whose tokens stand for those of a ``(B, 72)`` table."""
    return canonical_events(np.take_along_axis(table, staff.tokens, 1))


def events_of_tokens(keys: Ints, places: Ints) -> Ints:
    """``(B, 72)`` event that each token stands for."""
    raised, line = np.divmod(np.arange(TOKEN_HOLD)[None], LINES)
    tonics = keys[:, None]
    octaves, degrees = np.divmod(line - REACH + places[:, None] - _LETTERS[tonics], SCALE)
    return _with_silence(12 * octaves + _SEMITONES[degrees] + raised + tonics)


def events_in_scale(keys: Ints, places: Ints, modes: Ints, scale: Sequence[int]) -> Ints:
    """``(B, 72)`` event that each token stands for where every note lies in a scale.

    The mode's tonic becomes the scale's, at most six semitones away, and each degree that of the
    scale, or the nearest note of one that has not seven notes. A raised note goes up to the next.

    Args:
        scale: pitch classes, the tonic first.
    """
    return _events_of_steps(keys, places, modes, scale[0], _scale_steps(scale))


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
        fits.append(stay + _COMMON_MODE * np.log(_MODE_SHARES[mode_of(scale)]))
    return np.stack(candidates)[np.array(fits).argmax(0), np.arange(len(own))]


def kinds(tokens: Ints) -> Ints:
    """Kinds of ``(...)`` tokens that make a rhythm: 0 where a note starts, 1 ``HOLD``, 2 ``REST``.

    >>> kinds(np.array([15, 52, TOKEN_HOLD, TOKEN_REST]))
    array([0, 0, 1, 2])
    """
    kind: Ints = np.maximum(tokens - (TOKEN_HOLD - 1), 0)
    return kind


def first_lines(bars: Ints) -> Ints:
    """``(N,)`` line of the first note of ``(N, S)`` bars, in [0, 34], or :data:`SILENT`."""
    notes = bars < TOKEN_HOLD
    first = np.take_along_axis(bars, notes.argmax(1)[:, None], 1)[:, 0] % LINES
    lines: Ints = np.where(notes.any(1), first, SILENT)
    return lines


def moved(tokens: Ints, lines: Ints) -> Ints:
    """``(N, S)`` tokens ``(N,)`` lines higher; what would lie beyond the 35 moves by octaves.

    >>> moved(np.array([[15, TOKEN_HOLD, 52, TOKEN_REST]]), np.array([5]))
    array([[20, 70, 57, 71]])
    """
    raised, line = np.divmod(tokens, LINES)
    higher = _within_reach(line - REACH + lines[:, None]) + REACH
    notes: Ints = np.where(tokens < TOKEN_HOLD, higher + LINES * raised, tokens)
    return notes


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
    steps: Ints = np.sort((_SEMITONES - _SEMITONES[mode]) % 12)
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
    first = (places - _LETTERS[keys] - modes)[:, None]
    octaves, degrees = np.divmod(line - REACH + first, SCALE)
    tonics = keys + _SEMITONES[modes]
    tonics = tonics + (tonic - tonics + 6) % 12 - 6
    return _with_silence(12 * octaves + steps[raised, degrees] + tonics[:, None])


def _with_silence(pitches: Ints) -> Ints:
    """``(B, 72)`` events of ``(B, 70)`` pitches, those out of reach moved by octaves."""
    below, above = np.minimum(pitches, 0) // 12, np.maximum(pitches - PITCHES + 12, 0) // 12
    silent = np.tile([HOLD, REST], (len(pitches), 1))
    events: Ints = np.concatenate([pitches - 12 * (below + above), silent], 1)
    return events


def _within_reach(away: Ints) -> Ints:
    """Scale steps from the place, those beyond the reach moved by octaves."""
    excess = np.maximum(np.abs(away) - REACH, 0)
    folded: Ints = away - np.sign(away) * SCALE * -(-excess // SCALE)
    return folded
