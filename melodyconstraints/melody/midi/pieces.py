"""A MIDI file as it is played: whole, all its tracks at once, with its programs and velocities."""

from __future__ import annotations

import heapq
import io
import math
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.files import read_file
from melodyconstraints.melody.midi.mido_reader import messages, track_bodies, unwrap
from melodyconstraints.melody.midi.writing import to_midi_file
from melodyconstraints.melody.units import DEFAULT_TEMPO, check_program, check_tempo

PULSES_PER_QUARTER = 24
"""Resolution of a MIDI clock, in pulses a quarter."""
NOTE_OFF, NOTE_ON, CONTROL, PROGRAM = 0x80, 0x90, 0xB0, 0xC0
"""Status bytes of channel 1."""
CLOCK, START, CONTINUE, STOP = 0xF8, 0xFA, 0xFB, 0xFC
_PULSE = bytes([CLOCK])
_SYSTEM = 0xF0
"""Lowest status byte of messages that are of no channel."""

Timed = tuple[float, bytes]
"""Quarters from the start, and a message."""


@dataclass(frozen=True)
class Piece:
    """A piece of music to be played.

    Args:
        title: title shown to the user.
        messages: messages of channels, in order of time.
        tempos: quarters from the start, and quarters a minute from there on; the first at 0.
        quarters: length, a whole number of a MIDI clock's pulses.
    """

    title: str
    messages: tuple[Timed, ...]
    tempos: tuple[tuple[float, float], ...]
    quarters: float

    def seconds_at(self, quarters: float) -> float:
        """Seconds from the start at the piece's own tempos.

        >>> Piece("", (), ((0, 120), (4, 60)), 16).seconds_at(6)
        4.0
        """
        starts, seconds, tempos = self._tempo_map
        at = bisect_right(starts, quarters) - 1
        return seconds[at] + (quarters - starts[at]) * 60 / tempos[at]

    @cached_property
    def _tempo_map(self) -> tuple[list[float], list[float], list[float]]:
        """Quarters and seconds at which each tempo starts, and the tempos."""
        starts, tempos = (list(column) for column in zip(*self.tempos, strict=True))
        seconds = [0.0]
        for start, end, tempo in zip(starts, starts[1:], tempos, strict=False):
            seconds.append(seconds[-1] + (end - start) * 60 / tempo)
        return starts, seconds, tempos

    def with_pulses(self) -> Iterator[Timed]:
        """The messages with the pulses of a MIDI clock, each before what falls on it."""
        count = round(self.quarters * PULSES_PER_QUARTER)
        pulses = ((pulse / PULSES_PER_QUARTER, _PULSE) for pulse in range(count))
        return heapq.merge(pulses, self.messages, key=lambda timed: timed[0])

    def played(
        self, *, tempo: float | None = None, program: int | None = None, channel: int | None = None
    ) -> Piece:
        """The piece with choices in place of its own.

        Args:
            tempo: quarters a minute in [10, 1000].
            program: General MIDI program in [0, 127], of all channels.
            channel: channel of all messages, in [1, 16].

        Raises:
            UsageError: outside these ranges.
        """
        timed = list(self.messages)
        if channel is not None:
            if not 1 <= channel <= 16:
                raise UsageError(f"channel must be from 1 to 16, got {channel}")
            timed = [(at, bytes([m[0] & 0xF0 | channel - 1]) + m[1:]) for at, m in timed]
        if program is not None:
            check_program(program)
            used = sorted({message[0] & 0x0F for _, message in timed})
            others = [(at, m) for at, m in timed if m[0] & 0xF0 != PROGRAM]
            timed = [(0.0, bytes([PROGRAM | one, program])) for one in used] + others
        tempos = self.tempos if tempo is None else ((0.0, check_tempo(tempo)),)
        return replace(self, messages=tuple(timed), tempos=tempos)


def melody_piece(melody: Melody, title: str = "melody") -> Piece:
    """A melody as its MIDI file is played: 16 bars, at the default tempo."""
    contents = io.BytesIO()
    to_midi_file(melody).save(file=contents)
    return _piece(contents.getvalue(), title)


def read_piece(path: Path | str) -> Piece:
    """Read a MIDI file to play.

    Raises:
        MidiError: the file cannot be read, is not MIDI, counts in frames, or holds no notes.
    """
    try:
        piece = _piece(unwrap(read_file(path)), Path(path).name)
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from error
    if not any(message[0] & 0xF0 == NOTE_ON for _, message in piece.messages):
        raise MidiError(f"{path} holds no notes")
    return piece


def _piece(data: bytes, title: str) -> Piece:
    """Piece from the bytes of a file."""
    if not data.startswith(b"MThd") or len(data) < 14:
        raise MidiError("not a MIDI file that can be parsed: no header at its start")
    ticks_per_quarter = int.from_bytes(data[12:14], "big")
    if not 0 < ticks_per_quarter < 1 << 15:
        raise MidiError("its time is in frames (SMPTE); only ticks a quarter are played")
    timed: list[Timed] = []
    tempos = {0.0: DEFAULT_TEMPO}
    last = 0.0
    for tick, message in _by_time(data):
        last = at = tick / ticks_per_quarter
        if message.type == "set_tempo" and message.tempo:
            tempos[at] = 60e6 / message.tempo
        elif not message.is_meta and message.bytes()[0] < _SYSTEM:
            timed.append((at, bytes(message.bytes())))
    pulses = math.ceil(round(last * PULSES_PER_QUARTER, 6))
    whole = max(pulses, 1) / PULSES_PER_QUARTER  # none is played over and over in no time
    return Piece(title, tuple(timed), tuple(sorted(tempos.items())), whole)


def _by_time(data: bytes) -> list[tuple[int, Any]]:
    """Tick and message of all tracks; a track that breaks off ends there."""
    events: list[tuple[int, Any]] = []
    for body in track_bodies(data):
        with suppress(EOFError, LookupError):
            events += messages(body)
    return sorted(events, key=lambda timed: timed[0])
