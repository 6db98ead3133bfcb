"""MIDI files to 16-bar melodies (the paper, appendix 9.1).

Every part but drums, every stretch of 4/4 or 2/2, a window each bar, one voice by skyline. What a
file gives depends on its bytes and the settings alone; which of equal melodies is kept depends on
the order of the files, and never on the number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.files import Folder, LocalFolder, TooLargeError
from melodyconstraints.datasets.melodies.hashing import KEYS, HashSet, check_unique
from melodyconstraints.datasets.melodies.splits import covered_pitches, sequence_hashes
from melodyconstraints.datasets.melodies.workers import Fault, Limits, run_tasks
from melodyconstraints.errors import MidiError
from melodyconstraints.melody.events import Events, Melodies
from melodyconstraints.melody.midi.scores import Score, read_score
from melodyconstraints.melody.midi.windows import (
    DROPS,
    KEPT,
    Drop,
    Ints,
    WindowSettings,
    drop_causes,
    windows,
)
from melodyconstraints.melody.units import DEFAULT_TEMPO, STEPS
from melodyconstraints.storage.text import printable

FILES_PER_TASK = 256
_DETAIL_CHARACTERS = 200


class Reject(StrEnum):
    """Why a file gave no melody: the closed list of reasons in the ledger."""

    UNREADABLE = "unreadable"
    TOO_LARGE = "too many bytes"
    TOO_MANY_NOTES = "too many notes"
    CRASHED = Fault.CRASHED.value
    TIME = Fault.TIME.value
    MEMORY = Fault.MEMORY.value
    NO_NOTES = "no notes"
    ONLY_DRUMS = "only drums"
    NO_FOUR_FOUR = "no 4/4 or 2/2"
    TOO_SHORT = "shorter than 16 bars"
    FILTERED = "no window passed the filters"
    DUPLICATE = "every melody seen before"


@dataclass(frozen=True)
class FileLimits(Limits):
    """What one file may take; one that takes more is given up and noted.

    Attributes:
        max_bytes: of the file.
        max_notes: of all its parts.
    """

    max_bytes: int = 16 * 2**20
    max_notes: int = 2_000_000


PLACE = ("track", "segment", "start_bar", "program", "notes")
"""Where in its file a melody stands, its part's program, and how many notes it has."""


@dataclass
class FileMelodies:
    """What one file gave: melodies, or the reason why there are none.

    Attributes:
        file: its path or its name below the folder.
        events: ``(W, 256)`` of its melodies.
        places: ``(W, 5)`` int32, the columns of :data:`PLACE`.
        tempo: the file's first, in quarters a minute.
        digest: the first 64 bits of the SHA-256 of its bytes.
        sequences: ``(S,)`` hashes by which it is known as a tune; see
            :mod:`melodyconstraints.datasets.melodies.splits`.
        dropped: ``(len(DROPS),)`` windows that were not taken, by cause.
        reason: why there are no melodies; None where there are some.
        detail: what was wrong with a file that was not read.
        recovered: what was wrong with a file that the second look could read.
    """

    file: str
    events: Events = field(default_factory=lambda: np.zeros((0, STEPS), np.uint8))
    places: Ints = field(default_factory=lambda: np.zeros((0, len(PLACE)), np.int32))
    tempo: float = DEFAULT_TEMPO
    digest: int = 0
    sequences: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    dropped: Ints = field(default_factory=lambda: np.zeros(len(DROPS), np.int64))
    reason: Reject | None = None
    detail: str = ""
    recovered: str = ""

    @property
    def melodies(self) -> Melodies:
        """``W`` melodies as a batch with views."""
        return Melodies(self.events)


def extract_melodies(
    paths: Iterable[str | Path],
    settings: WindowSettings | None = None,
    *,
    unique: str = "exact",
    limits: FileLimits | None = None,
    jobs: int = 0,
) -> Iterator[FileMelodies]:
    """The melodies of MIDI files, file by file, in the order of the paths.

    Args:
        unique: leave out what an earlier file, or the same one, gave already: ``exact``, or
            ``transposed`` for the same in another key; ``none`` keeps all.
        limits: what a file may take; time and memory are watched only where there are workers.
        jobs: worker processes, each of which may die at a file and costs that file only; 0 reads
            in this process. With workers, a script needs its ``if __name__ == "__main__"``.

    Yields:
        One :class:`FileMelodies` a path: melodies, or the reason why there are none.

    >>> [found] = extract_melodies(["nowhere.mid"])
    >>> found.reason.value, found.detail
    ('unreadable', 'cannot be read: No such file or directory')
    """
    keys_of, seen = KEYS[check_unique(unique)], HashSet()
    limits = limits or FileLimits()
    handle = partial(
        extract_task,
        folder=LocalFolder(""),
        settings=settings or WindowSettings(),
        limits=limits,
    )
    for batch in run_tasks(handle, in_tasks(map(str, paths)), jobs, limits):
        for found in batch:
            yield _without(found, ~seen.add(keys_of(found.events)))


def in_tasks(names: Iterable[str]) -> Iterator[Sequence[str]]:
    """The files that go to a worker together."""
    source = iter(names)
    while task := list(islice(source, FILES_PER_TASK)):
        yield task


def _without(found: FileMelodies, seen: NDArray[np.bool_]) -> FileMelodies:
    """The same without the melodies that were seen before."""
    if not seen.any():
        return found
    dropped = found.dropped.copy()
    dropped[DROPS.index(Drop.DUPLICATE)] += int(seen.sum())
    reason = Reject.DUPLICATE if seen.all() else None
    return replace(
        found,
        events=found.events[~seen],
        places=found.places[~seen],
        dropped=dropped,
        reason=reason,
    )


def extract_task(
    names: Sequence[str],
    faults: Mapping[int, Fault],
    begin: Callable[[int], None],
    *,
    folder: Folder,
    settings: WindowSettings,
    limits: FileLimits,
) -> list[FileMelodies]:
    """All files of a task; a :data:`~melodyconstraints.datasets.melodies.workers.Handle`."""
    found = []
    for number, name in enumerate(names):
        if number in faults:
            found.append(FileMelodies(name, reason=Reject(faults[number].value)))
            continue
        begin(number)
        found.append(extract_file(folder, name, settings, limits))
    return found


def extract_file(
    folder: Folder, name: str, settings: WindowSettings, limits: FileLimits
) -> FileMelodies:
    """All windows of one file that pass the filters; one that recurs is there each time."""
    result = FileMelodies(name)
    try:
        data = folder.read(name, limits.max_bytes)
        result.digest = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
        score = read_score(data)
        result.tempo, result.recovered = score.tempo, _detail(score.recovered)
        notes = sum(len(part.pitches) for part in score.parts)
        if notes > limits.max_notes:
            result.reason = Reject.TOO_MANY_NOTES
            result.detail = f"{notes:,} notes; at most {limits.max_notes:,} are taken"
        else:
            _extract_score(score, settings, result)
    except MidiError as error:
        too_large = isinstance(error, TooLargeError)
        result.reason = Reject.TOO_LARGE if too_large else Reject.UNREADABLE
        result.detail = _detail(str(error))
    except MemoryError:
        raise
    except Exception as error:  # a fault of ours: it costs this file, and is seen in the ledger
        result = FileMelodies(name, reason=Reject.CRASHED)
        result.detail = _detail(f"{type(error).__name__}: {error}")
    return result


def _detail(text: str) -> str:
    return printable(text)[:_DETAIL_CHARACTERS]


def _extract_score(score: Score, settings: WindowSettings, result: FileMelodies) -> None:
    long_enough = False
    found: list[tuple[Events, Ints, NDArray[np.uint64]]] = []
    for track, part in enumerate(score.parts):
        if part.is_drum:
            continue
        for number, segment in enumerate(score.segments):
            events = score.part_events(part, segment, settings.polyphony)
            causes, notes = drop_causes(events, settings)
            result.dropped += np.bincount(causes - KEPT, minlength=len(DROPS) + 1)[1:]
            long_enough = long_enough or len(causes) > 0
            bars = (causes == KEPT).nonzero()[0]
            if len(bars):
                places = np.empty((len(bars), len(PLACE)), np.int32)
                places[:] = track, number, 0, part.program, 0
                places[:, 2], places[:, 4] = bars, notes[bars]
                hashes, varied = sequence_hashes(covered_pitches(events, causes))
                found.append((windows(events, bars), places, hashes[varied]))
    if not found:
        result.reason = _reason(score, long_enough)
        return
    cut, places, sequences = (_joined(column) for column in zip(*found, strict=True))
    if len(cut) > settings.max_windows:
        rows = np.linspace(0, len(cut) - 1, settings.max_windows).astype(np.int64)
        result.dropped[DROPS.index(Drop.FILE_LIMIT)] = len(cut) - len(rows)
        cut, places = cut[rows], places[rows]
    result.events, result.places = cut, places
    result.sequences = _distinct(sequences)


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def _distinct(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """As ``np.unique``, in a tenth of its time."""
    hashes = np.sort(hashes)
    first = np.ones(len(hashes), bool)
    first[1:] = hashes[1:] != hashes[:-1]
    return hashes[first]


def _reason(score: Score, long_enough: bool) -> Reject:
    if not score.parts:
        return Reject.NO_NOTES
    if all(part.is_drum for part in score.parts):
        return Reject.ONLY_DRUMS
    if not score.segments:
        return Reject.NO_FOUR_FOUR
    return Reject.FILTERED if long_enough else Reject.TOO_SHORT
