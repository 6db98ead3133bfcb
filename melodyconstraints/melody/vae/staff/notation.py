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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.events import HOLD, PITCHES, REST, Events, canonical_events
from melodyconstraints.melody.keys import MAJOR, find_keys
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

_STEP_OF = np.array([0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5, 6])
_RAISED = np.array([0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0])
SEMITONES = np.array(MAJOR)
LETTERS = np.array([0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6])
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
MODE_SHARES = np.array([0.55, 0.06, 0.01, 0.02, 0.07, 0.28, 0.01])
"""Prior probabilities of ionian, dorian, ... locrian, before a note is known."""
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
    degrees: Ints = (places - LETTERS[keys] - modes) % SCALE
    return degrees


def lines_up(keys: Ints, others: Ints) -> Ints:
    """``(B,)`` scale steps from the letters of tonics up to those of others, from -6 to 6.

    >>> lines_up(np.array([0, 0]), np.array([2, 10])).tolist()
    [1, 6]
    """
    steps: Ints = LETTERS[others] - LETTERS[keys]
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
    modes: Ints = (weights @ np.log(_MODE_PROFILES).T + np.log(MODE_SHARES)).argmax(1)
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
    lines = SCALE * octaves + _STEP_OF[classes] + LETTERS[keys][:, None]
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
    octaves, degrees = np.divmod(line - REACH + places[:, None] - LETTERS[tonics], SCALE)
    return with_silence(12 * octaves + SEMITONES[degrees] + raised + tonics)


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


def with_silence(pitches: Ints) -> Ints:
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
