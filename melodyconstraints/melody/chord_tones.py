"""Notes moved to the tones of the chords that sound with them.

Shapes: ``B`` melodies with ``M`` notes together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.events import PITCHES, Melodies
from melodyconstraints.melody.notes import Ints, Notes
from melodyconstraints.melody.units import STEPS_PER_BAR, STEPS_PER_QUARTER

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Progression:
    """Chords, one a bar, from the first again after the last.

    Args:
        chords: pitch classes of each, 0 is C; of an empty one nothing is asked.
        share: least share of the notes that are tones of the chord of their bar, in [0, 1].
        on_beats: whether only notes that start on a beat are meant.
    """

    chords: Sequence[frozenset[int]]
    share: float = 1.0
    on_beats: bool = False


def on_chords(
    melodies: Melodies, progression: Progression, stay: Collection[int] = ()
) -> Melodies:
    """The melodies with as many notes on tones of the chords as are asked for.

    Of the other notes those on the strongest places move first, then the longest, so that what
    passes on weak places stays. Each goes to the nearest tone, of two as near to that which goes
    on in the direction of the line.

    Args:
        stay: bars from 1 to 16 whose notes count and do not move.

    >>> from melodyconstraints.melody.events import Melody
    >>> tune = Melody.from_notes([(4 * i, 4, pitch) for i, pitch in enumerate((62, 64, 65, 67))])
    >>> in_c = Progression([frozenset({0, 4, 7})], share=0.75)
    >>> on_chords(Melodies.stack([tune]), in_c)[0].pitches.tolist()
    [64, 64, 65, 67]
    """
    notes = melodies.notes
    bars = notes.onsets // STEPS_PER_BAR % len(progression.chords)
    tones = _nearest_tones(progression.chords, bars, notes)
    meant = np.full(len(tones), True)
    if progression.on_beats:
        meant = notes.onsets % STEPS_PER_QUARTER == 0
    wrong = np.flatnonzero(meant & (tones != notes.pitches))
    count = np.bincount(notes.rows[meant], minlength=len(melodies))
    right = count - np.bincount(notes.rows[wrong], minlength=len(melodies))
    missing = np.ceil(progression.share * count - _ROUNDING) - right
    wrong = wrong[~np.isin(notes.onsets[wrong] // STEPS_PER_BAR + 1, list(stay))]
    places = notes.onsets[wrong] % STEPS_PER_BAR
    strength = np.where(places == 0, STEPS_PER_BAR, places & -places)
    order = (notes.onsets[wrong], -notes.durations[wrong], -strength, notes.rows[wrong])
    in_turn = wrong[np.lexsort(order)]
    rows = notes.rows[in_turn]
    numbers = np.arange(len(in_turn)) - np.searchsorted(rows, rows)
    moving = in_turn[numbers < missing[rows]]
    events = melodies.events.copy()
    events[notes.rows[moving], notes.onsets[moving]] = tones[moving]
    return Melodies(events)


def _nearest_tones(chords: Sequence[frozenset[int]], bars: Ints, notes: Notes) -> Ints:
    """``(M,)`` nearest tone of the chord of each note's bar; its own pitch where there is none."""
    every = np.arange(PITCHES)
    tables: NDArray[np.int64] = np.stack([_below_and_above(chord, every) for chord in chords])
    pitches = notes.pitches.astype(np.int64)
    below, above = tables[bars, :, pitches].T
    before = np.concatenate([pitches[:1], pitches[:-1]])
    falls = (np.diff(notes.rows, prepend=-1) == 0) & (pitches < before)
    down, up = pitches - below, above - pitches
    tones: Ints = np.where((down < up) | ((down == up) & falls), below, above)
    return tones


def _below_and_above(chord: frozenset[int], pitches: Ints) -> Ints:
    """``(2, 128)`` nearest tone up to each pitch, and from it on; the other where none is."""
    tones = pitches[np.isin(pitches % 12, list(chord))]
    if not len(tones):
        return np.stack([pitches, pitches])
    below = tones[(np.searchsorted(tones, pitches, side="right") - 1).clip(0)]
    above = tones[np.searchsorted(tones, pitches).clip(max=len(tones) - 1)]
    return np.stack(
        [np.where(below > pitches, above, below), np.where(above < pitches, below, above)]
    )
