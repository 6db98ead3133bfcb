"""Escape events (status F7), which symusic 0.6 misreads.

It takes the length of one for a time, and what is in it for events. Under status F0, as a system
exclusive, the same bytes are passed over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.jit import jit_when_busy

Bytes = NDArray[Any]
_R, _K = b"rk"


def without_escapes(data: bytes) -> bytes:
    """A MIDI file with F0 for the status of every F7 event."""
    if b"\xf7" not in data:
        return data
    writable = np.frombuffer(data, np.uint8).copy()
    return writable.tobytes() if _rename_escapes(writable) else data


@jit_when_busy
def _rename_escapes(data: Bytes) -> int:
    """Rename the F7 events of all tracks, in place, and count them."""
    count = 0
    chunk = 0
    while chunk + 8 <= len(data):
        size = 0
        for byte in data[chunk + 4 : chunk + 8]:
            size = size * 256 + byte
        body = data[chunk + 8 : min(chunk + 8 + size, len(data))]
        if data[chunk + 2] == _R and data[chunk + 3] == _K:  # the end of "MTrk"
            count += _rename_in_track(body)
        chunk += 8 + size
    return count


@jit_when_busy
def _rename_in_track(body: Bytes) -> int:
    count = running = 0
    at = _number(body, 0)[1]
    while at < len(body):
        status, start = running, at
        if body[at] >= 0x80:
            status, at = body[at], at + 1
        if status == 0xF7:
            body[start] = 0xF0
            count += 1
        if status in (0xF0, 0xF7, 0xFF):
            size, at = _number(body, at + (status == 0xFF))
        elif 0x80 <= status < 0xF0:
            running = status
            size = 1 if 0xC0 <= status < 0xE0 else 2
        else:
            break  # nothing that a file may hold
        at = _number(body, at + size)[1]
    return count


@jit_when_busy
def _number(body: Bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where the next thing starts."""
    value = 0
    while at < len(body):
        value, at = min(value, 2**31) * 128 + (body[at] & 0x7F), at + 1
        if body[at - 1] < 0x80:
            break
    return value, at
