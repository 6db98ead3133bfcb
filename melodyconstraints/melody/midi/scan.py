"""One pass over the events of a MIDI file, for what symusic 0.6 does not report.

* symusic makes a part of each program of a channel, and does not say of which channel. Program
  changes (status C) are renamed channel pressure (D), which is as long and which it passes over;
  so its parts are the channels of each track, and the programs come from here.
* It takes an escape event (F7) for something else; under status F0, as a system exclusive, the
  same bytes are passed over.
* Of more than 16 tempos or signatures it may swap two at one tick, and it takes all names for
  UTF-8. They come from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.jit import jit
from melodyconstraints.melody.midi.drum_kits import LONGEST_EXCLUSIVE
from melodyconstraints.melody.midi.parsed import MAX_TICK

Bytes = NDArray[Any]
Rows = NDArray[Any]
_R, _K = b"rk"
_FIRST_ROWS = 256
"""Rows that are enough for most files; a file with more is scanned again with as many."""
_NAME, _TEMPO, _SIGNATURE, _PROGRAM, _VOICE, _EXCLUSIVE = range(6)
"""Kinds of rows; see :class:`Scan`."""
_SYSTEM_0, _SYSTEM_1, _SYSTEM_2 = (0xF6, 0xF8, 0xFA, 0xFB, 0xFC, 0xFE), (0xF1, 0xF3), (0xF2,)
"""System messages with none to two bytes of data, as symusic passes over them."""
_MAX_POWER = 30
"""Largest power of two that counts as a denominator."""


@dataclass(frozen=True)
class Scan:
    """Contents of a file besides its notes; each list track by track, and in time.

    Attributes:
        data: the file, for symusic.
        names: (track, first byte, length); the last name of a track holds.
        tempos: (track, tick, microseconds a quarter).
        signatures: (track, tick, numerator, denominator as a power of two).
        programs: (track, tick, channel, program, bank).
        exclusives: (tick, first byte, length) of short system exclusive events.
        voices: (track, channel, number of notes) of each channel with notes.
    """

    data: bytes
    names: list[list[int]]
    tempos: list[list[int]]
    signatures: list[list[int]]
    programs: list[list[int]]
    exclusives: list[list[int]]
    voices: list[list[int]]


def scan(data: bytes) -> Scan:
    """Scan a MIDI file; where it is malformed, its track ends."""
    size, count = 0, _FIRST_ROWS
    while count > size:
        size = count
        renamed, rows = np.frombuffer(data, np.uint8).copy(), np.empty((size, 6), np.int64)
        count = _scan(renamed, rows)
    kinds = rows[:count, 0]
    return Scan(
        renamed.tobytes(),
        names=rows[:count][kinds == _NAME][:, [1, 3, 4]].tolist(),
        tempos=rows[:count][kinds == _TEMPO][:, 1:4].tolist(),
        signatures=rows[:count][kinds == _SIGNATURE][:, 1:5].tolist(),
        programs=rows[:count][kinds == _PROGRAM][:, 1:].tolist(),
        exclusives=rows[:count][kinds == _EXCLUSIVE][:, 2:5].tolist(),
        voices=rows[:count][kinds == _VOICE][:, [1, 3, 4]].tolist(),
    )


@jit
def _scan(data: Bytes, rows: Rows) -> int:
    """Rename events in place, and fill rows of kind, track, tick and up to three values.

    Returns:
        The number of rows that are needed, which may be more than there are.
    """
    count = track = chunk = 0
    while chunk + 8 <= len(data):
        size = 0
        for byte in data[chunk + 4 : chunk + 8]:
            size = size * 256 + int(byte)
        end = min(chunk + 8 + size, len(data))
        if data[chunk + 2] == _R and data[chunk + 3] == _K:  # the end of "MTrk"
            count = _scan_track(data, chunk + 8, end, track, rows, count)
            track += 1
        chunk += 8 + size
    return count


@jit
def _scan_track(data: Bytes, at: int, end: int, track: int, rows: Rows, count: int) -> int:
    """Scan a track from byte ``at`` to ``end``, and count on."""
    sounding = np.zeros((16, 128), np.int64)
    notes, banks = np.zeros(16, np.int64), np.zeros(16, np.int64)
    tick, at = _number(data, at, end)
    running = 0  # the status that an event without one has
    while at < end and tick <= MAX_TICK:
        # the status: the event's own, or the running one
        status, start = running, at
        if data[at] >= 0x80:
            status, at = int(data[at]), at + 1
        if status == 0xF7:
            data[start] = 0xF0
        # where the event's data lie: from `at`, `size` bytes
        kind, size, at = _extent(data, start, at, end, status)
        if size < 0 or at + size > end or kind == 0x2F:  # foreign, cut off, or the track's end
            break
        if status not in (0xF0, 0xF7, 0xFF):
            running = status
        # what is kept of the event, and what symusic is to read in its place
        if status == 0xFF:
            count = _add_meta(data, at, size, kind, track, tick, rows, count)
        elif status == 0xF0 and 0 < size <= LONGEST_EXCLUSIVE:
            count = _add(rows, count, _EXCLUSIVE, track, tick, (at, size, 0))
        elif status < 0xF0:
            if status & 0xF0 == 0xC0:
                if start < at:  # it has a status of its own
                    data[start] = 0xD0 | status & 0x0F
                values = status & 0x0F, data[at], banks[status & 0x0F]
                count = _add(rows, count, _PROGRAM, track, tick, values)
            elif status & 0xF0 == 0xB0 and data[at] == 0:
                banks[status & 0x0F] = data[at + 1]
            elif status < 0xA0:
                _pair(status, data[at] & 0x7F, data[at + 1], sounding, notes)
        # on to the next event
        delta, at = _number(data, at + size, end)
        tick += delta
    # the channels with notes
    for channel in range(16):
        if notes[channel]:
            count = _add(rows, count, _VOICE, track, 0, (channel, notes[channel], 0))
    return count


@jit
def _extent(data: Bytes, start: int, at: int, end: int, status: int) -> tuple[int, int, int]:
    """Type of a meta event, or 0; length of an event's data, and their first byte.

    The length is negative where no file may hold the event.
    """
    if status in (0xF0, 0xF7, 0xFF):
        kind = int(data[at]) if status == 0xFF and at < end else 0
        size, at = _number(data, at + (status == 0xFF), end)
        return kind, size, at
    if 0x80 <= status < 0xF0:
        return 0, 1 if 0xC0 <= status < 0xE0 else 2, at
    if status in _SYSTEM_2:
        return 0, 2, at
    if status in _SYSTEM_1 or status in _SYSTEM_0:
        return 0, int(status in _SYSTEM_1 or start == at), at
    return 0, -1, at


@jit
def _add_meta(
    data: Bytes, at: int, size: int, kind: int, track: int, tick: int, rows: Rows, count: int
) -> int:
    if kind == 0x03:
        return _add(rows, count, _NAME, track, tick, (at, size, 0))
    if kind == 0x51 and size >= 3:
        microseconds = int(data[at]) << 16 | int(data[at + 1]) << 8 | int(data[at + 2])
        return _add(rows, count, _TEMPO, track, tick, (microseconds, 0, 0))
    if kind == 0x58 and size >= 4 and data[at + 1] <= _MAX_POWER:
        return _add(rows, count, _SIGNATURE, track, tick, (data[at], data[at + 1], 0))
    return count


@jit
def _add(
    rows: Rows, count: int, kind: int, track: int, tick: int, values: tuple[int, int, int]
) -> int:
    if count < len(rows):
        rows[count, 0], rows[count, 1], rows[count, 2] = kind, track, tick
        rows[count, 3], rows[count, 4], rows[count, 5] = values
    return count + 1


@jit
def _pair(status: int, pitch: int, velocity: int, sounding: Rows, notes: Rows) -> None:
    """Count a note that ends; each that starts may end once."""
    channel = status & 0x0F
    if status >= 0x90 and velocity:
        sounding[channel, pitch] += 1
    elif sounding[channel, pitch]:
        sounding[channel, pitch] -= 1
        notes[channel] += 1


@jit
def _number(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where the next thing starts."""
    value = 0
    while at < end:
        value, at = min(value, 2**31) * 128 + (int(data[at]) & 0x7F), at + 1
        if data[at - 1] < 0x80:
            break
    return value, at
