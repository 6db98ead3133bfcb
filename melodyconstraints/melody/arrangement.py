"""Melodies as they are written to a file: tracks, tempo, key, chords, velocities and swing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict, Unpack

import numpy as np

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.chords import Chord, parse_chord
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.keys import sharps_of
from melodyconstraints.melody.performance import AS_ON_THE_GRID, Performance
from melodyconstraints.melody.units import (
    BARS,
    DEFAULT_TEMPO,
    check_program,
    check_tempo,
    steps_to_ticks,
)


class PlayedNote(NamedTuple):
    """A note as it is played: start and end in ticks, 480 a quarter, pitch and velocity."""

    start: int
    end: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Track:
    """A melody with a name and a General MIDI program in [0, 127].

    Raises:
        UsageError: a program that MIDI does not know.
    """

    melody: Melody
    name: str = "Melody"
    program: int = 0

    def __post_init__(self) -> None:
        check_program(self.program)

    def played(self, performance: Performance) -> list[PlayedNote]:
        """All notes, in order of time."""
        melody = self.melody
        places = np.stack([melody.onsets, melody.onsets + melody.durations])
        ticks = np.rint(performance.moved(places) * steps_to_ticks(1)).astype(np.int64)
        velocities = performance.velocities(melody.onsets)
        columns = (*ticks.tolist(), melody.pitches.tolist(), velocities.tolist())
        return [PlayedNote(*note) for note in zip(*columns, strict=True)]


class ArrangementOptions(TypedDict, total=False):
    """Options that the tracks of an :class:`Arrangement` share."""

    tempo: float
    key: str | None
    chords: Sequence[str]
    performance: Performance


@dataclass(frozen=True)
class Arrangement:
    """Melodies that sound together, or stand one below another.

    Args:
        tracks: tracks, at least one.
        tempo: quarters a minute in [10, 1000].
        key: key signature such as ``C``, ``F#``, ``Bbm``.
        chords: symbols of at most 16 chords, one a bar, from the first again after the last.

    Raises:
        UsageError: no track; an invalid tempo, key or chord.
    """

    tracks: Sequence[Track]
    tempo: float = DEFAULT_TEMPO
    key: str | None = None
    chords: Sequence[str] = ()
    performance: Performance = AS_ON_THE_GRID

    def __post_init__(self) -> None:
        if not self.tracks:
            raise UsageError("there is no melody to write")
        check_tempo(self.tempo)
        if self.key is not None:
            sharps_of(self.key)
        if len(self.chords) > BARS:
            raise UsageError(f"there are {BARS} bars, one a chord, got {len(self.chords)} chords")
        for symbol in self.chords:
            if parse_chord(symbol) is None:
                raise UsageError(f"{symbol!r} is no chord; write C, F#m7 or Bbmaj7, for example")

    @classmethod
    def of(
        cls,
        melodies: Melody | Iterable[Melody],
        name: str = "Melody",
        program: int = 0,
        **options: Unpack[ArrangementOptions],
    ) -> Arrangement:
        """A track for each melody; several have numbers behind their names."""
        every = [melodies] if isinstance(melodies, Melody) else list(melodies)
        several = len(every) > 1
        names = (f"{name} {number}" if several else name for number in range(1, len(every) + 1))
        tracks = [Track(melody, own, program) for melody, own in zip(every, names, strict=True)]
        return cls(tracks, **options)

    def chord_changes(self) -> list[tuple[int, Chord]]:
        """Bars, from 0 to 15, in which another chord begins, with that chord."""
        chords = [parse_chord(symbol) for symbol in self.chords]
        changes: list[tuple[int, Chord]] = []
        for bar in range(BARS if chords else 0):
            chord = chords[bar % len(chords)]
            if chord is not None and (not changes or changes[-1][1] != chord):
                changes.append((bar, chord))
        return changes
