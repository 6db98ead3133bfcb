"""Melodies as events: the 130-state vocabulary of the paper (appendix 9.1) and views on it.

A melody is 256 events, one a sixteenth note over 16 bars of 4/4:

======== ===================================================================
0 - 127  a note of that MIDI pitch starts here
128      ``HOLD``: the note before goes on
129      ``REST``: silence, repeated for every silent step
======== ===================================================================

A hold follows a note or a hold. Elsewhere (at the start, after a rest) it stands for silence, and
:class:`Melodies` turns it into a rest, so that equal melodies have equal events.

All views are read-only, so that nothing changes a melody for others; work on a copy.

Shapes: ``B`` melodies, ``T`` = 256 steps, ``N`` notes of one melody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.notes import Notes, read_only
from melodyconstraints.melody.units import BARS, DEFAULT_TEMPO, STEPS, STEPS_PER_BAR
from melodyconstraints.storage.arguments import checked

if TYPE_CHECKING:
    import note_seq
    import pretty_midi

HOLD = 128
REST = 129
VOCABULARY = 130
START = VOCABULARY
"""Start event: a decoder's input in place of the event before a bar's first one."""
PITCHES = 128
KEY_SHIFTS = sorted(range(-6, 6), key=abs)
"""Transpositions in semitones to all keys, the nearest first."""

Events = NDArray[np.uint8]


def canonical_events(events: ArrayLike) -> Events:
    """Check events and turn every hold that continues no note into a rest.

    Args:
        events: ``(..., T)`` integers in [0, 129].

    Returns:
        ``(..., T)`` uint8, a new array.

    Raises:
        UsageError: a value outside the vocabulary or not a whole number.

    >>> canonical_events([128, 60, 128, 129, 128])
    array([129,  60, 128, 129, 129], dtype=uint8)
    """
    values = np.asarray(events)
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise UsageError(f"events must be integers in [0, {REST}], got {values.dtype}")
    if values.size and (values.min() < 0 or values.max() > REST):
        raise UsageError(
            f"events must be in [0, {REST}], got values from {values.min()} to {values.max()}"
        )
    values = values.astype(np.uint8)
    values[_nothing_to_hold(values)] = REST
    return values


def transposed(events: Events, semitones: ArrayLike) -> tuple[Events, NDArray[np.bool_]]:
    """``(B, T)`` events with every note moved, and ``(B,)`` whether each stays in [0, 127].

    One that would not is left as it is.

    Args:
        semitones: a number, or ``(B,)``.

    >>> moved, inside = transposed(np.array([[60, 128], [127, 129]], np.uint8), 1)
    >>> moved.tolist(), inside.tolist()
    ([[61, 128], [127, 129]], [True, False])
    """
    notes = events < PITCHES
    moved = events.astype(np.int64) + np.asarray(semitones).reshape(-1, 1) * notes
    inside = ~(notes & ((moved < 0) | (moved >= PITCHES))).any(1)
    return np.where(inside[:, None], moved, events).astype(np.uint8), inside


def _nothing_to_hold(events: Events) -> NDArray[np.bool_]:
    """Mask of the holds whose last event other than a hold is a rest or nothing."""
    steps = np.arange(events.shape[-1])
    last_change = np.maximum.accumulate(np.where(events != HOLD, steps, -1), axis=-1)
    before = np.take_along_axis(events, np.maximum(last_change, 0), axis=-1)
    return (events == HOLD) & ((last_change < 0) | (before == REST))


@dataclass(frozen=True, eq=False)
class Melody:
    """One melody of 16 bars, seen as a list of its ``N`` notes.

    Args:
        events: ``(256,)`` integers in [0, 129]; holds without a note become rests.

    >>> melody = Melody.from_notes([(0, 4, 60), (8, 2, 64)])
    >>> melody.pitches, melody.onsets, melody.durations, melody.intervals
    (array([60, 64]), array([0, 8]), array([4, 2]), array([4]))
    """

    events: Events

    def __post_init__(self) -> None:
        events = canonical_events(self.events)
        if events.shape != (STEPS,):
            raise UsageError(f"a melody has {STEPS} events, got shape {events.shape}")
        object.__setattr__(self, "events", read_only(events))

    @classmethod
    @checked
    def from_notes(cls, notes: Iterable[tuple[int, int, int]]) -> Melody:
        """Build a melody from (onset step, duration in steps, pitch); a later onset cuts a note.

        Raises:
            UsageError: a note outside the 256 steps, outside pitches 0-127 or without length.
        """
        events = np.full(STEPS, REST)
        for onset, duration, pitch in sorted(notes):
            if not (0 <= onset < onset + duration <= STEPS and 0 <= pitch < PITCHES):
                raise UsageError(
                    f"a note must lie within {STEPS} steps and pitches 0-127, got onset {onset}, "
                    f"duration {duration}, pitch {pitch}"
                )
            events[onset:] = REST
            events[onset] = pitch
            events[onset + 1 : onset + duration] = HOLD
        return cls(events)

    @cached_property
    def onsets(self) -> NDArray[np.int64]:
        """``(N,)`` step at which each note starts."""
        return read_only(np.flatnonzero(self.events < PITCHES))

    @cached_property
    def pitches(self) -> NDArray[np.int64]:
        """``(N,)`` MIDI pitch of each note."""
        return read_only(self.events[self.onsets].astype(np.int64))

    @property
    def pitch_classes(self) -> NDArray[np.int64]:
        """``(N,)`` pitch modulo 12; 0 is C."""
        return read_only(self.pitches % 12)

    @cached_property
    def durations(self) -> NDArray[np.int64]:
        """``(N,)`` steps that each note lasts."""
        return read_only(_durations(self.events[None])[0, self.onsets].astype(np.int64))

    @property
    def intervals(self) -> NDArray[np.int64]:
        """``(N - 1,)`` semitones from each note to the next; empty for fewer than two notes."""
        return read_only(np.diff(self.pitches))

    @property
    def bars(self) -> Events:
        """``(16, 16)`` events, bar by step within the bar."""
        return self.events.reshape(BARS, STEPS_PER_BAR)

    def __len__(self) -> int:
        return len(self.onsets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Melody) and np.array_equal(self.events, other.events)

    def __hash__(self) -> int:
        return hash(self.events.tobytes())

    def __repr__(self) -> str:
        if not len(self):
            return "Melody(empty)"
        return f"Melody({len(self)} notes, pitches {self.pitches.min()}-{self.pitches.max()})"

    def _repr_png_(self) -> bytes:
        """A piano roll, for notebooks."""
        from melodyconstraints.melody.plots import piano_roll_png

        return piano_roll_png(self)

    def _repr_html_(self) -> str:
        """A piano roll and a player, for notebooks."""
        from melodyconstraints.melody.notebook import melodies_html

        return melodies_html([self])

    def to_pretty_midi(
        self, *, tempo: float = DEFAULT_TEMPO, program: int = 0
    ) -> pretty_midi.PrettyMIDI:
        """The melody as a ``pretty_midi.PrettyMIDI``; see :mod:`.interop`."""
        from melodyconstraints.melody.interop import to_pretty_midi

        return to_pretty_midi(self, tempo=tempo, program=program)

    def to_note_sequence(self, *, tempo: float = DEFAULT_TEMPO) -> note_seq.NoteSequence:
        """The melody as a ``note_seq.NoteSequence``."""
        from melodyconstraints.melody.interop import to_note_sequence

        return to_note_sequence(self, tempo=tempo)


@dataclass(frozen=True, eq=False)
class Melodies:
    """A batch of melodies; every view is computed once, over the whole batch.

    Where :class:`Melody` lists notes, a batch lays its views on the grid: ``(B, T)`` arrays whose
    entries count only where ``onsets`` is true.

    Args:
        events: ``(B, 256)`` integers in [0, 129]; holds without a note become rests.

    >>> batch = Melodies.stack([Melody.from_notes([(0, 4, 60), (8, 2, 64)])])
    >>> batch.note_counts, batch.pitches[batch.onsets], batch.durations[batch.onsets]
    (array([2]), array([60, 64], dtype=int16), array([4, 2], dtype=int16))
    """

    events: Events

    def __post_init__(self) -> None:
        events = canonical_events(self.events)
        if events.ndim != 2 or events.shape[1] != STEPS:
            raise UsageError(f"melodies have shape (batch, {STEPS}), got {events.shape}")
        object.__setattr__(self, "events", read_only(events))

    @classmethod
    @checked
    def stack(cls, melodies: Sequence[Melody]) -> Melodies:
        """A batch of single melodies, in their order."""
        if not melodies:
            return cls(np.zeros((0, STEPS), np.uint8))
        return cls(np.stack([melody.events for melody in melodies]))

    @cached_property
    def onsets(self) -> NDArray[np.bool_]:
        """``(B, T)`` true where a note starts."""
        return read_only(self.events < PITCHES)

    @cached_property
    def pitches(self) -> NDArray[np.int16]:
        """``(B, T)`` MIDI pitch of the note that starts here; -1 where none does."""
        return read_only(np.where(self.onsets, self.events.astype(np.int16), np.int16(-1)))

    @cached_property
    def pitch_classes(self) -> NDArray[np.int16]:
        """``(B, T)`` pitch modulo 12 of the note that starts here; -1 where none does."""
        return read_only(np.where(self.onsets, self.pitches % np.int16(12), np.int16(-1)))

    @cached_property
    def durations(self) -> NDArray[np.int16]:
        """``(B, T)`` steps that the note starting here lasts; 0 where none does."""
        return read_only(_durations(self.events))

    @cached_property
    def intervals(self) -> NDArray[np.int16]:
        """``(B, T)`` semitones from the note before to the one starting here, else 0.

        The first note has none: see ``interval_mask``.
        """
        previous = np.take_along_axis(self.pitches, np.maximum(self._previous_onset, 0), axis=1)
        intervals = np.where(self.interval_mask, self.pitches - previous, 0)
        return read_only(intervals.astype(np.int16))

    @cached_property
    def interval_mask(self) -> NDArray[np.bool_]:
        """``(B, T)`` true where a note starts that has another before it."""
        return read_only(self.onsets & (self._previous_onset >= 0))

    @cached_property
    def _previous_onset(self) -> NDArray[np.int64]:
        """``(B, T)`` step of the last onset strictly before each step; -1 if there is none."""
        steps = np.where(self.onsets, np.arange(STEPS), -1)
        latest = np.maximum.accumulate(steps, axis=1)
        return np.pad(latest[:, :-1], ((0, 0), (1, 0)), constant_values=-1)

    @cached_property
    def note_counts(self) -> NDArray[np.int64]:
        """``(B,)`` notes in each melody."""
        return read_only(self.onsets.sum(axis=1))

    @cached_property
    def notes(self) -> Notes:
        """All notes of the batch in one list."""
        row = self.events.reshape(-1)
        changes = np.flatnonzero(row != HOLD)  # no melody starts with a hold
        durations, events = np.diff(changes, append=row.size), row[changes]
        starts = events < PITCHES
        rows, onsets = np.divmod(changes[starts], STEPS)
        return Notes(len(self), rows, onsets, events[starts].astype(np.int64), durations[starts])

    @property
    def bars(self) -> Events:
        """``(B, 16, 16)`` events, bar by step within the bar."""
        return self.events.reshape(len(self), BARS, STEPS_PER_BAR)

    def __len__(self) -> int:
        return len(self.events)

    @overload
    def __getitem__(self, index: int) -> Melody: ...
    @overload
    def __getitem__(self, index: slice | NDArray[Any] | Sequence[int]) -> Melodies: ...
    def __getitem__(self, index: Any) -> Melody | Melodies:
        if isinstance(index, int | np.integer):
            return Melody(self.events[index])
        return Melodies(self.events[index])

    def __iter__(self) -> Iterator[Melody]:
        return (Melody(row) for row in self.events)

    def __repr__(self) -> str:
        return f"Melodies({len(self)})"

    def _repr_html_(self) -> str:
        """Piano rolls and players of the first eight, for notebooks."""
        from melodyconstraints.melody.notebook import melodies_html

        return melodies_html(self)


def _durations(events: Events) -> NDArray[np.int16]:
    """``(B, T)`` steps to the next event but hold, where a note starts; 0 elsewhere."""
    steps = events.shape[1]
    change = np.where(events != HOLD, np.arange(steps), steps)
    upcoming = np.minimum.accumulate(change[:, ::-1], axis=1)[:, ::-1]
    following = np.pad(upcoming[:, 1:], ((0, 0), (0, 1)), constant_values=steps)
    return np.where(events < PITCHES, following - np.arange(steps), 0).astype(np.int16)
