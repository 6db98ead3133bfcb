"""How late the messages of ``mc play`` are sent, as a table.

::

    python benchmarks/play.py --seconds 60
    python benchmarks/play.py --seconds 60 --virtual

The port is in this process and notes the time of each call of ``send``; the ideal is the deadline,
which is absolute. *Alone* plays melodies that are drawn before; *drawing* draws each next one, by
the knobs of the packaged generator, in a thread during the one before, as an actor does. With
``--virtual`` the port is one of the system's (ALSA, PipeWire, JACK or macOS), and what counts is
the time at which a message arrives at another port that is connected to it: the way through the
system included, and the look for input, twice a millisecond.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count, cycle
from time import perf_counter, sleep

import click
import numpy as np

from melodyconstraints.cli._common import print_table
from melodyconstraints.melody.midi.pieces import CLOCK, NOTE_ON, Piece, melody_piece
from melodyconstraints.melody.midi.playing import InternalClock, Timer, play_pieces
from melodyconstraints.melody.midi.ports import open_input, open_output
from melodyconstraints.workflows.conditional import load_knobs
from melodyconstraints.workflows.play import ahead

PERCENTILES = (50, 95, 99, 100)
_LAST_SECONDS = 0.2
"""Seconds for the last messages to arrive."""


class OverError(Exception):
    """The time to measure is over."""


class NotedTimer(Timer):
    """Keeps the newest deadline."""

    deadline = 0.0

    def wait_until(self, deadline: float) -> None:
        """Wait as a timer does."""
        type(self).deadline = deadline
        super().wait_until(deadline)


class NotingPort:
    """Notes how late each message is."""

    def __init__(self, seconds: float) -> None:
        self.end = perf_counter() + seconds
        self.late: dict[int, list[float]] = {NOTE_ON: [], CLOCK: []}

    def send(self, message: bytes) -> None:
        """Note the lateness in ms."""
        now = perf_counter()
        kind = message[0] if message[0] >= 0xF0 else message[0] & 0xF0
        if kind in self.late and NotedTimer.deadline:
            self.late[kind].append(1000 * (now - NotedTimer.deadline))
        if now > self.end:
            self.end = float("inf")
            raise OverError

    def close(self) -> None:
        """Nothing to give back."""


class VirtualPort(NotingPort):
    """Sends to a virtual port, and notes how late each message arrives at one connected to it."""

    def __init__(self, seconds: float, name: str) -> None:
        super().__init__(seconds)
        self._deadlines: dict[int, deque[float]] = {kind: deque() for kind in self.late}
        self.sent = dict.fromkeys(self.late, 0)
        self._output = open_output(name, virtual=True)
        self._input = open_input(name, self._receive)

    def send(self, message: bytes) -> None:
        """Send a message, and keep its deadline."""
        kind = message[0] if message[0] >= 0xF0 else message[0] & 0xF0
        if kind in self.late:
            self.sent[kind] += 1
            self._deadlines[kind].append(NotedTimer.deadline)
        self._output.send(message)
        if perf_counter() > self.end:
            self.end = float("inf")
            raise OverError

    def _receive(self, now: float, status: int) -> None:
        kind = status if status >= 0xF0 else status & 0xF0
        if self._deadlines.get(kind):
            self.late[kind].append(1000 * (now - self._deadlines[kind].popleft()))

    def close(self) -> None:
        """Give both ports back, and make sure that every message has arrived."""
        sleep(_LAST_SECONDS)
        self._input.close()
        self._output.close()
        arrived = {kind: len(late) for kind, late in self.late.items()}
        if arrived != self.sent:
            raise click.ClickException(f"{self.sent} messages were sent, {arrived} arrived")


@click.command()
@click.option("--seconds", type=float, default=60.0, show_default=True, help="For each row.")
@click.option("--virtual", is_flag=True, help="To a virtual port, and back from it.")
def main(seconds: float, virtual: bool) -> None:
    """Measure how late the messages of mc play are sent, or arrive, in ms."""
    knobs = load_knobs().at("D-dorian")

    def drawn() -> Iterator[Piece]:
        for seed in count(1):
            yield melody_piece(knobs.generate(1, seed=seed)[0])

    before = [piece for piece, _ in zip(drawn(), range(4), strict=False)]
    rows = []
    sources: dict[str, Iterable[Piece]] = {"alone": cycle(before), "drawing": ahead(drawn())}
    for name, pieces in sources.items():
        port = VirtualPort(seconds, f"late {name}") if virtual else NotingPort(seconds)
        with suppress(OverError):
            play_pieces(pieces, port, InternalClock(NotedTimer()), pulses=True)
        port.close()
        for what, kind in (("onsets", NOTE_ON), ("pulses", CLOCK)):
            late = np.percentile(port.late[kind], PERCENTILES)
            number = f"{len(port.late[kind]):,}"
            rows.append([f"{what}, {name}", number, *(f"{value:.2f}" for value in late)])
    print_table(["late by ms", "messages", *(f"{p}%" for p in PERCENTILES)], rows)


if __name__ == "__main__":
    main()
