"""The fallback reader, for MIDI that symusic refuses or finds nothing in: mido, event by event.

mido reads the events. What holds them together is read here, because ``mido.MidiFile`` gives up a
whole file for one bad event, and a time of a million bytes keeps it busy for minutes:

* a data byte above 127 counts as 127 (mido's ``clip``), but of a bank, which is passed over;
* a meta event that cannot be, such as a key of nine flats, is passed over;
* a track that breaks off, turns to nonsense or runs past 31 bits of ticks ends there, and what
  came before stays;
* a track that is longer than it can be ends where the next one starts; chunks that are no tracks
  and a wrong number of tracks do not matter;
* an end of track in the middle of one is passed over;
* a system exclusive event leaves the running status as it was;
* time in frames (SMPTE) becomes ticks a quarter by the first tempo, the only one that then counts.

Notes are paired as symusic pairs them: within a track, first on, first off; a note that nothing
ends is none.
"""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mido import Message
from mido.messages import SPEC_BY_STATUS
from mido.midifiles.meta import build_meta_message

from melodyconstraints.errors import MidiError
from melodyconstraints.melody.midi.channels import Setting
from melodyconstraints.melody.midi.drum_kits import LONGEST_EXCLUSIVE
from melodyconstraints.melody.midi.files import TooLargeError
from melodyconstraints.melody.midi.parsed import MAX_TICK, Events, Ints, ParsedMidi
from melodyconstraints.melody.units import DEFAULT_TEMPO

MAX_BYTES = 8 * 1024 * 1024
"""Largest file, a million notes: mido needs some 20 seconds, and it must not stop a folder."""
_SOUNDING = -1
_MAX_DENOMINATOR = 2**30
_CLIP = bytes(min(byte, 127) for byte in range(256))
_SYSEX, _SYSEX_GOES_ON, _META = 0xF0, 0xF7, 0xFF
_FRAMES_PER_SECOND = {24: 24.0, 25: 25.0, 29: 30 / 1.001, 30: 30.0}


def unwrap(data: bytes) -> bytes:
    r"""The MIDI file in a RIFF file (``.rmi``), behind a MacBinary header or any other junk.

    The sizes that a wrapper states are not believed. Data without a MIDI file come back as they
    are.

    >>> unwrap(b"RIFF\x1a\0\0\0RMIDdata\x0e\0\0\0MThd...")
    b'MThd...'
    """
    return data[max(data.find(b"MThd"), 0) :]


def read_with_mido(data: bytes) -> ParsedMidi:
    """Read what can be read of a MIDI file.

    Args:
        data: bytes, as :func:`unwrap` gives them.

    Raises:
        MidiError: this is no MIDI file, its time division has no meaning, or it breaks off before
            any note ends.
        TooLargeError: it is longer than ``MAX_BYTES``.
    """
    if len(data) > MAX_BYTES:
        raise TooLargeError(
            f"{len(data)} bytes are too many for mido; at most {MAX_BYTES} are read"
        )
    if not data.startswith(b"MThd") or len(data) < 14:
        raise MidiError("not a MIDI file that can be parsed: no header at its start")
    file = _File()
    for number, body in enumerate(track_bodies(data)):
        file.read_track(number, body)
    if file.breaks_off and not file.events.notes:
        raise MidiError(
            "not a MIDI file that can be parsed: it breaks off before a note has ended"
        )
    return file.events.parsed(data, file.ticks_per_quarter(data[12:14]))


def track_bodies(data: bytes) -> Iterator[bytes]:
    """Bytes of each track, whatever the header says of their number."""
    start = data.find(b"MTrk")
    while start >= 0:
        body = start + 8
        end = body + int.from_bytes(data[start + 4 : body], "big")
        if end != len(data) and data[end : end + 4] != b"MTrk":
            within = data.find(b"MTrk", body, end)
            end = within if within >= 0 else end
        yield data[body:end]
        start = data.find(b"MTrk", end)


@dataclass
class _File:
    """Contents of the tracks read so far."""

    events: Events = field(default_factory=Events)
    breaks_off: bool = False

    def read_track(self, number: int, body: bytes) -> None:
        """Read a track as far as it goes."""
        notes = _Notes()
        try:
            for now, message in messages(body):
                self._take(number, now, message, notes)
        except (EOFError, LookupError):  # no bytes left, or a status byte that mido does not know
            self.breaks_off = True
        self.events.notes |= {(number, channel): ended for channel, ended in notes.by_channel()}

    def _take(self, track: int, now: int, message: Any, notes: _Notes) -> None:
        """Take in a message of mido's at a tick."""
        match message.type:
            case "note_on" if message.velocity:
                notes.start(now, message.channel, message.note)
            case "note_on" | "note_off":
                notes.end(now, message.channel, message.note)
            case "set_tempo":
                self.events.tempos.append((track, now, message.tempo))
            case "time_signature" if message.denominator <= _MAX_DENOMINATOR:
                metre = message.numerator, message.denominator
                self.events.signatures.append((track, now, *metre))
            case "track_name":
                self.events.names[track] = message.name.encode("latin-1")  # as mido decodes it
            case "control_change" if message.control == 0:
                notes.banks[message.channel] = message.value
            case "program_change":
                setting = Setting(now, message.program, notes.banks[message.channel])
                self.events.settings[track, message.channel].append(setting)
            case "sysex":
                self.events.exclusives.append((now, bytes(message.data)))

    def ticks_per_quarter(self, division: bytes) -> int:
        """Ticks a quarter, from the header's two bytes; in time in frames, by the tempo."""
        frames, ticks_per_frame = struct.unpack(">bB", division)
        ticks = int.from_bytes(division, "big")
        if frames < 0:
            first = min(self.events.tempos, key=lambda tempo: tempo[1], default=None)
            self.events.tempos = [(0, 0, first[2])] if first else []
            ((_, tempo),) = self.events.tempo_map().tempos or ((0, DEFAULT_TEMPO),)
            ticks_per_second = _FRAMES_PER_SECOND.get(-frames, 0) * ticks_per_frame
            ticks = round(ticks_per_second * 60 / tempo)
        if ticks <= 0:
            raise MidiError(f"time division {division.hex()}: neither ticks a quarter nor SMPTE")
        return ticks


@dataclass
class _Notes:
    """The notes of a track so far: each [start, end or still sounding, pitch].

    Attributes:
        banks: bank of each channel, as controller 0 has set it.
    """

    banks: list[int] = field(default_factory=lambda: [0] * 16)
    _notes: dict[int, list[list[int]]] = field(default_factory=lambda: defaultdict(list))
    _sounding: dict[tuple[int, int], deque[list[int]]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    def start(self, now: int, channel: int, pitch: int) -> None:
        """A note starts."""
        note = [now, _SOUNDING, pitch]
        self._notes[channel].append(note)
        self._sounding[channel, pitch].append(note)

    def end(self, now: int, channel: int, pitch: int) -> None:
        """The first of the notes of this pitch ends that still sound, if any does."""
        if sounding := self._sounding[channel, pitch]:
            sounding.popleft()[1] = now

    def by_channel(self) -> Iterator[tuple[int, tuple[Ints, Ints, Ints]]]:
        """Starts, ends and pitches of the notes of each channel, in the order of the starts."""
        for channel in sorted(self._notes):
            notes = np.array(self._notes[channel], np.int64)
            starts, ends, pitches = np.ascontiguousarray(notes[notes[:, 1] != _SOUNDING].T)
            if len(starts):
                yield channel, (starts, ends, pitches)


def messages(body: bytes) -> Iterator[tuple[int, Any]]:
    """Tick and message of each event that mido understands."""
    at = now = running_status = 0
    while at < len(body):
        delta, at = _variable_int(body, at)
        now += delta
        if now > MAX_TICK:
            return
        status = running_status
        if body[at] >= 0x80:
            status, at = body[at], at + 1
        if status < _SYSEX:
            running_status = status
        start, end = _data(body, at, status)
        if end > len(body):
            raise EOFError
        message = _message(status, body[at:start], body[start:end])
        if message is not None:
            yield now, message
        at = end


def _data(body: bytes, at: int, status: int) -> tuple[int, int]:
    """Start and end of the data of an event whose status byte lies before ``at``."""
    if status == _META:
        at += 1
    if status in (_SYSEX, _SYSEX_GOES_ON, _META):
        size, at = _variable_int(body, at)
    else:
        size = SPEC_BY_STATUS[status]["length"] - 1
    return at, at + size


def _message(status: int, head: bytes, data: bytes) -> Any:
    """Mido's message; None for wrong meta events, long or continued exclusives, high banks."""
    if status == _META:
        try:
            return build_meta_message(head[0], data)
        except Exception:  # whatever mido's tables of keys, rates and texts happen to throw
            return None
    if status == _SYSEX and len(data) <= LONGEST_EXCLUSIVE:
        return Message("sysex", skip_checks=True, data=data)
    if status in (_SYSEX, _SYSEX_GOES_ON) or _is_no_bank(status, data):
        return None
    return Message.from_bytes(bytes([status]) + data.translate(_CLIP))


def _is_no_bank(status: int, data: bytes) -> bool:
    """Whether this selects a bank above 127; clipped, it would be one of drums."""
    return status & 0xF0 == 0xB0 and data[0] == 0 and data[1] > 127


def _variable_int(body: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where the next thing starts.

    What does not fit into 31 bits stays just too large, however many bytes it has.
    """
    value, byte = 0, 0x80
    while byte >= 0x80:
        byte, at = body[at], at + 1
        value = min(value << 7 | byte & 0x7F, MAX_TICK + 1)
    return value, at
