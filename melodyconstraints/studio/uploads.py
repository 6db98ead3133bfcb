"""MIDI files of a request, read in a worker process that may die."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import BoundedSemaphore

from melodyconstraints.datasets.melodies.workers import Fault, Limits, supervise
from melodyconstraints.errors import MelodyConstraintsError, MidiError
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.storage.text import printable, shortened
from melodyconstraints.studio.schemas import Answer, notes_of

_LIMITS = Limits(seconds=15, memory_bytes=2**30)
_LONGEST = 200
"""Characters of an error, which may hold names from the file."""
_workers = BoundedSemaphore(2)

Task = tuple[str, int | None, str | None]
"""File, bar and track."""


def read_upload(data: bytes, bar: int | None, track: str | None) -> Answer:
    """The melody of a MIDI file's bytes; see :func:`.selection.read_melody`.

    Raises:
        MidiError: the file has none, or its reader crashed, hung or took too much memory.
    """
    with _workers, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "upload.mid"
        file.write_bytes(data)
        answer = next(iter(supervise(_read, [(str(file), bar, track)], jobs=1, limits=_LIMITS)))
        if isinstance(answer, str):
            text = answer.replace(str(file), "the file")
            raise MidiError(shortened(printable(text), _LONGEST))
        return answer


def _read(task: Task, faults: Mapping[int, Fault], begin: Callable[[int], None]) -> Answer | str:
    """The melody, or the reason why there is none, in the worker."""
    if faults:
        return f"the file {faults[0]}"
    begin(0)
    path, bar, track = task
    try:
        found = read_melody(path, bar=bar, track=track)
    except MelodyConstraintsError as error:
        return str(error)
    return {
        "notes": notes_of(found.melody),
        "place": printable(found.place),
        "track": shortened(printable(found.track)),
        "number": found.number,
        "tracks": found.tracks,
        "first_bar": found.first_bar,
        "last_bar": found.last_bar,
        "bars": found.bars,
        "tempo": round(found.tempo, 3),
        "program": found.program,
    }
