"""Pieces played on a port, in time by a clock of our own or by another device's.

Every message has an absolute deadline, so that lateness never adds up. Whatever ends the playing,
Ctrl-C too, all that sounds is ended.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from melodyconstraints.errors import PortError
from melodyconstraints.melody.midi.pieces import (
    CLOCK,
    CONTINUE,
    CONTROL,
    NOTE_OFF,
    NOTE_ON,
    PULSES_PER_QUARTER,
    START,
    STOP,
    Piece,
)
from melodyconstraints.melody.midi.ports import Port

_SPIN_SECONDS = 0.001
"""Seconds of busy waiting before a deadline; a sleep may last too long by them."""
_LEAD_SECONDS = 0.05
"""Seconds before the first message of a piece that no other leads to."""
_SWITCH_SECONDS = 0.0005
"""Longest seconds another Python thread, such as one that draws melodies, runs at a time."""
_PRIORITY = 1
"""The lowest of the real-time priorities, any of which goes before all usual processes."""
_SUSTAIN, _PEDAL_DOWN = 64, 64
"""Controller of the pedal, and the lowest value at which it is down."""


@dataclass(frozen=True)
class Timer:
    """Reads the time and sleeps; both in seconds."""

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep

    def wait_until(self, deadline: float) -> None:
        """Sleep until shortly before the deadline, then read the time until it is there."""
        while (left := deadline - self.now()) > 0:
            if left > _SPIN_SECONDS:
                self.sleep(left - _SPIN_SECONDS)


class Clock(Protocol):
    """Waits until messages are due."""

    def begin(self, piece: Piece) -> None:
        """Start a piece where the last one ends."""

    def wait_for(self, quarters: float, pause: Callable[[], None]) -> None:
        """Wait for a place in the piece.

        Args:
            quarters: quarters from its start.
            pause: called where the clock stops for a while.
        """


class InternalClock:
    """Time at the pieces' own tempos."""

    def __init__(self, timer: Timer | None = None) -> None:
        self._timer = timer or Timer()
        self._start = self._end = float("-inf")
        self._seconds_at: Callable[[float], float] = float

    def begin(self, piece: Piece) -> None:
        """Start a piece where the last one ends; soon, if that was some time ago."""
        now = self._timer.now()
        self._start = self._end if now - self._end < _LEAD_SECONDS else now + _LEAD_SECONDS
        self._seconds_at = piece.seconds_at
        self._end = self._start + piece.seconds_at(piece.quarters)

    def wait_for(self, quarters: float, pause: Callable[[], None]) -> None:
        """Wait until the place's deadline."""
        self._timer.wait_until(self._start + self._seconds_at(quarters))


class RestartedError(Exception):
    """The clock that is followed starts from the beginning."""


class ExternalClock:
    """Time by another device's MIDI clock: start, stop, continue, 24 pulses a quarter.

    What falls on a pulse is due when that comes; what falls between two, by the distance of the
    last two.

    Args:
        receive: function that waits for the next message, and returns its time in seconds and its
            status byte.
    """

    def __init__(
        self, receive: Callable[[], tuple[float, int]], timer: Timer | None = None
    ) -> None:
        self._receive, self._timer = receive, timer or Timer()
        self._runs = False
        self._pulse, self._seconds, self._distance = -1, 0.0, 0.0
        self._start = self._end = 0.0

    def begin(self, piece: Piece) -> None:
        """Start a piece at the pulse where the last one ends."""
        self._start, self._end = self._end, self._end + piece.quarters * PULSES_PER_QUARTER

    def wait_for(self, quarters: float, pause: Callable[[], None]) -> None:
        """Wait for the place's pulse, and from there on for what is left.

        Raises:
            RestartedError: the device starts from the beginning.
        """
        pulse, part = divmod(round(self._start + quarters * PULSES_PER_QUARTER, 6), 1)
        while self._pulse < pulse:
            self._take(*self._receive(), pause)
        if part:
            self._timer.wait_until(self._seconds + part * self._distance)

    def _take(self, seconds: float, status: int, pause: Callable[[], None]) -> None:
        if status == CLOCK and self._runs:
            self._distance = seconds - self._seconds if self._pulse >= 0 else 0.0
            self._pulse, self._seconds = self._pulse + 1, seconds
        elif status == STOP:
            self._runs = False
            pause()
        elif status == CONTINUE:
            self._runs = True
        elif status == START:
            in_it, self._runs, self._pulse = self._pulse >= 0, True, -1
            self._start = self._end = 0.0
            if in_it:
                raise RestartedError


class Player:
    """Sends messages to a port, and knows what sounds on it."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._sounding: dict[bytes, None] = {}  # what ends each note and lifts each pedal

    def send(self, message: bytes) -> None:
        """Send a message."""
        end, begins = _ending(message)
        if begins:  # noted before it sounds, and forgotten after: Ctrl-C may come at any place
            self._sounding[end] = None
        self._port.send(message)
        if not begins:
            self._sounding.pop(end, None)

    def silence(self) -> None:
        """End every note that sounds, even if Ctrl-C is pressed again or the port is gone."""
        while self._sounding:
            with suppress(KeyboardInterrupt):
                end = next(iter(self._sounding))
                try:
                    self._port.send(end)
                except PortError:
                    self._sounding.clear()
                self._sounding.pop(end, None)

    def play(self, piece: Piece, clock: Clock, *, pulses: bool = False) -> None:
        """Play a piece to its end, and again if the clock starts again.

        Args:
            pulses: whether to send a MIDI clock.
        """
        while True:
            clock.begin(piece)
            try:
                for quarters, message in piece.with_pulses() if pulses else piece.messages:
                    clock.wait_for(quarters, self.silence)
                    self.send(message)
                clock.wait_for(piece.quarters, self.silence)
                return
            except RestartedError:
                continue
            finally:
                self.silence()


def play_pieces(
    pieces: Iterable[Piece],
    port: Port,
    clock: Clock,
    *,
    pulses: bool = False,
    announce: Callable[[str], object] = lambda title: None,
) -> int:
    """Play pieces one after another; returns how many were played.

    Args:
        pulses: whether to send a MIDI clock: start, 24 pulses a quarter, and at the end stop.
        announce: called with the title of each.

    Raises:
        PortError: the port is gone.
    """
    player, count = Player(port), 0
    with _punctual():
        try:
            for piece in pieces:
                announce(piece.title)
                if pulses and not count:
                    player.send(bytes([START]))
                count += 1
                player.play(piece, clock, pulses=pulses)
        finally:
            player.silence()
            if pulses:
                with suppress(PortError):
                    player.send(bytes([STOP]))
    return count


def _ending(message: bytes) -> tuple[bytes, bool]:
    """Message that ends a note or lifts a pedal, and whether the one given begins one."""
    status, channel = message[0] & 0xF0, message[0] & 0x0F
    if status == CONTROL and message[1] == _SUSTAIN:
        return bytes([message[0], _SUSTAIN, 0]), message[2] >= _PEDAL_DOWN
    off = bytes([NOTE_OFF | channel, message[1], 0]) if status in (NOTE_ON, NOTE_OFF) else b""
    return off, status == NOTE_ON and message[2] > 0


@contextmanager
def _punctual() -> Iterator[None]:
    """Let no Python thread keep another waiting for long, nor, where it is allowed, a process."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    in_front = _set_policy("SCHED_OTHER", "SCHED_RR", _PRIORITY)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if in_front:
            _set_policy("SCHED_RR", "SCHED_OTHER", 0)


def _set_policy(before: str, after: str, priority: int) -> bool:
    """Schedule this thread, not those that it starts, by another policy; false if it may not."""
    try:
        alone = os.SCHED_RESET_ON_FORK
        if os.sched_getscheduler(0) & ~alone != getattr(os, before):
            return False
        os.sched_setscheduler(0, getattr(os, after) | alone, os.sched_param(priority))
    except (AttributeError, OSError):  # not Linux, or no right to it
        return False
    return True
