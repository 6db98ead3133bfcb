"""Melodies played on a MIDI port, in time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import count, cycle
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.midi.pieces import Piece, melody_piece, read_piece
from melodyconstraints.melody.midi.playing import (
    Clock,
    ExternalClock,
    InternalClock,
    play_pieces,
)
from melodyconstraints.melody.midi.ports import Port, open_input, open_output
from melodyconstraints.storage.arguments import DEFAULT_SEED, checked
from melodyconstraints.storage.machine import signals_interrupt
from melodyconstraints.storage.text import printable, shown
from melodyconstraints.workflows.read_melodies import midi_files

if TYPE_CHECKING:  # torch, which playing a file has no need to wait for
    from melodyconstraints.workflows.actor import MelodyActor

Item = TypeVar("Item")
_LOOK_SECONDS = 0.2
"""Seconds between two checks for Ctrl-C while no clock arrives; Windows reports no sooner."""


@checked
def play(
    source: Path | str | Melody | Melodies | MelodyActor,
    port: str | Port,
    *,
    virtual: bool = False,
    loop: bool = False,
    clock: bool = False,
    follow: str | None = None,
    tempo: float | None = None,
    program: int | None = None,
    channel: int | None = None,
    seed: int = DEFAULT_SEED,
    announce: Callable[[str], object] = lambda line: None,
) -> None:
    """Play until the end or Ctrl-C; SIGTERM counts as that, and no note is left hanging.

    Args:
        source: a MIDI file, a folder of them, an actor, its folder or ``hf://owner/name``, or
            melodies. MIDI files are played whole; an actor plays on without end, and draws a
            melody during the one before.
        port: name of a port, or a part that no other name has; or anything that sends.
        virtual: whether to make a port of this name, to which other programs can connect.
        loop: whether to start again at the end.
        clock: whether to send a MIDI clock.
        follow: name of a port whose MIDI clock sets the tempo: the source waits for its start.
        tempo: quarters a minute in [10, 1000], in place of the source's own.
        program: General MIDI program in [0, 127], in place of the source's own.
        channel: channel in [1, 16], in place of the source's own.
        seed: seed of an actor's first melody; later ones have the numbers after it.
        announce: called with the title of what is played, with why a file is left out, and when
            another device's clock can start.

    Raises:
        UsageError: a choice outside its range, no such port, nothing to play, or ``clock`` or
            ``tempo`` together with ``follow``.
        PortError: no MIDI port can be had, or it is gone.
    """
    if follow is not None and (clock or tempo is not None):
        raise UsageError(
            "the clock that is followed sets the tempo: give no tempo, and send no clock"
        )

    def choose(piece: Piece) -> Piece:
        return piece.played(tempo=tempo, program=program, channel=channel)

    choose(melody_piece(Melody.from_notes([])))  # refuses before anything sounds
    source_pieces = _pieces(source, seed, announce)
    chosen = map(choose, cycle(source_pieces) if loop else source_pieces)
    with ExitStack() as stack:
        stack.enter_context(signals_interrupt())
        opened = open_output(port, virtual=virtual) if isinstance(port, str) else port
        if isinstance(port, str):
            stack.callback(opened.close)
        pieces = stack.enter_context(closing(ahead(chosen)))
        time = stack.enter_context(_followed(follow)) if follow is not None else InternalClock()
        if follow is not None:
            announce(f"following {follow}: press play there")
        if not play_pieces(pieces, opened, time, pulses=clock, announce=announce):
            raise UsageError(f"{source} holds no MIDI file that can be played")


def ahead(items: Iterable[Item]) -> Generator[Item, None, None]:
    """Yield items, each computed in a thread while the one before is in use."""
    waiting = iter(items)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, waiting, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, waiting, None)
            yield item


def _pieces(
    source: Path | str | Melody | Melodies | MelodyActor,
    seed: int,
    announce: Callable[[str], object],
) -> Iterator[Piece]:
    """Pieces that a source holds, or draws without end."""
    if isinstance(source, Melody):
        return iter([melody_piece(source)])
    if isinstance(source, Melodies):
        return (melody_piece(one, f"melody {n}") for n, one in enumerate(source, 1))
    if not isinstance(source, str | Path):
        if not hasattr(source, "generate"):
            raise UsageError(f"a path, melodies or an actor are played, got {shown(source)}")
        return _drawn(source, seed)
    if Path(source).is_file():
        return iter([read_piece(source)])

    from melodyconstraints.storage.artifacts import CONFIG
    from melodyconstraints.storage.hub import on_disk
    from melodyconstraints.workflows.load_actor import load_actor

    folder = on_disk(source)
    if not folder.is_dir():
        return iter([read_piece(source)])
    if (folder / CONFIG).is_file():
        return _drawn(load_actor(source), seed)
    return _readable(midi_files([source], lambda skipped: announce(str(skipped))), announce)


def _drawn(actor: MelodyActor, seed: int) -> Iterator[Piece]:
    for number in count(seed):
        yield melody_piece(actor.generate(1, seed=number)[0], f"seed {number}")


def _readable(files: Iterable[Path], announce: Callable[[str], object]) -> Iterator[Piece]:
    for file in files:
        try:
            yield read_piece(file)
        except MidiError as error:
            announce(printable(f"passed over: {error}"))


@contextmanager
def _followed(name: str) -> Iterator[Clock]:
    """The clock that a port sends."""
    queue: SimpleQueue[tuple[float, int]] = SimpleQueue()

    def receive() -> tuple[float, int]:
        while True:
            try:
                return queue.get(timeout=_LOOK_SECONDS)
            except Empty:
                continue

    listening = open_input(name, lambda seconds, status: queue.put((seconds, status)))
    try:
        yield ExternalClock(receive)
    finally:
        listening.close()
