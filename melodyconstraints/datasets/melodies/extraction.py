"""Extract 16-bar melodies from MIDI files (the paper, appendix 9.1).

Every part but drums gives one voice in every stretch of 4/4 or 2/2, and a window at each bar. The
melodies of a file depend on its bytes and the settings alone; which of equal melodies is kept
depends on the order of the files, and never on the number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.files import Folder, LocalFolder
from melodyconstraints.datasets.melodies.hashing import KEYS, HashSet, check_unique
from melodyconstraints.datasets.melodies.splits import covered_pitches, sequence_hashes
from melodyconstraints.datasets.melodies.workers import Fault, Limits, run_tasks
from melodyconstraints.errors import MidiError
from melodyconstraints.melody.events import PITCHES, Events, Melodies, Melody
from melodyconstraints.melody.jit import compile_from_now_on
from melodyconstraints.melody.midi.files import MAX_BYTES, TooLargeError
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
from melodyconstraints.melody.midi.writing import to_midi_file
from melodyconstraints.melody.units import STEPS
from melodyconstraints.storage.arguments import checked
from melodyconstraints.storage.text import printable

FILES_PER_TASK = 256
"""Files that a worker gets at once: a tenth of a second's work, so that sending costs little."""
_DETAIL_CHARACTERS = 200
"""Longest detail of a file in the ledger: a corrupt file may put anything into an error."""


class Reject(StrEnum):
    """Reason why a file gave no melody: the closed list of reasons in the ledger."""

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
    """Most time, memory, bytes and notes of one file; a file that exceeds one is rejected.

    Attributes:
        max_bytes: largest size of the file.
        max_notes: most notes of all its parts together.
    """

    max_bytes: int = MAX_BYTES
    max_notes: int = 2_000_000


PLACE = ("track", "segment", "start_bar", "program", "notes")
"""Columns that say where in its file a melody is, its part's program, and its notes."""


@dataclass
class FileMelodies:
    """The result of one file: its melodies, or the reason why there are none.

    Attributes:
        file: path of the file, or its name below the folder.
        events: ``(W, 256)`` events of its melodies.
        places: ``(W, 5)`` int32, the columns of :data:`PLACE`.
        tempos: ``(W,)`` float32 quarters a minute of each melody's first bar.
        digest: first 64 bits of the SHA-256 of the file's bytes, unpacked.
        sequences: ``(S,)`` hashes of its varied sequences of intervals; see
            :mod:`melodyconstraints.datasets.melodies.splits`.
        dropped: ``(len(DROPS),)`` number of windows that are no melody, by cause.
        onsets: number of onsets in its voices in 4/4 or 2/2.
        off_grid: number of those that rounding to sixteenths has moved by more than a 64th.
        reason: reason why there are no melodies; None if there are some.
        detail: error of a file that could not be read.
        recovered: error of a file that only the fallback reader (mido) could read.
    """

    file: str
    events: Events = field(default_factory=lambda: np.zeros((0, STEPS), np.uint8))
    places: Ints = field(default_factory=lambda: np.zeros((0, len(PLACE)), np.int32))
    tempos: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    digest: int = 0
    sequences: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    dropped: Ints = field(default_factory=lambda: np.zeros(len(DROPS), np.int64))
    onsets: int = 0
    off_grid: int = 0
    reason: Reject | None = None
    detail: str = ""
    recovered: str = ""

    @property
    def melodies(self) -> Melodies:
        """The ``W`` melodies as a batch with views."""
        return Melodies(self.events)


@checked
def extract_melodies(
    paths: str | Path | Iterable[str | Path],
    settings: WindowSettings | None = None,
    *,
    unique: str = "exact",
    limits: FileLimits | None = None,
    jobs: int = 0,
) -> Iterator[FileMelodies]:
    """Extract the melodies of MIDI files, file by file, in the order of the paths.

    Args:
        paths: the MIDI files, or one.
        settings: criteria of the windows that count as melodies; None for the defaults.
        unique: equality of melodies, of which only the first is kept: ``exact``, or
            ``transposed``, in any key; ``none`` keeps all.
        limits: most time, memory, bytes and notes of one file; None for the defaults. Time and
            memory are limited only if there are workers.
        jobs: number of worker processes, each of which may die at a file and costs that file only;
            0 reads in this process. With workers, a script needs its ``if __name__ ==
            "__main__"``.

    Yields:
        One :class:`FileMelodies` for each path: melodies, or the reason why there are none.

    >>> [result] = extract_melodies(["nowhere.mid"])
    >>> result.reason.value, result.detail
    ('unreadable', 'cannot be read: No such file or directory')
    """
    keys_of, seen = KEYS[check_unique(unique)], HashSet()
    limits = limits or FileLimits()
    files = [paths] if isinstance(paths, str | Path) else paths
    handle = partial(
        extract_task,
        folder=LocalFolder(""),
        settings=settings or WindowSettings(),
        limits=limits,
    )
    prepare = partial(compile_loops, (settings or WindowSettings()).polyphony, unique)
    if jobs:
        prepare()
    for batch in run_tasks(handle, in_tasks(map(str, files)), jobs, limits, prepare):
        for result in batch:
            yield _without(result, ~seen.add(keys_of(result.events)))


def in_tasks(names: Iterable[str]) -> Iterator[Sequence[str]]:
    """Divide the files into tasks of :data:`FILES_PER_TASK`."""
    source = iter(names)
    while task := list(islice(source, FILES_PER_TASK)):
        yield task


def _without(result: FileMelodies, seen: NDArray[np.bool_]) -> FileMelodies:
    """The result without the melodies that were seen before, which count as duplicates."""
    if not seen.any():
        return result
    dropped = result.dropped.copy()
    dropped[DROPS.index(Drop.DUPLICATE)] += int(seen.sum())
    reason = Reject.DUPLICATE if seen.all() else None
    return replace(
        result,
        events=result.events[~seen],
        places=result.places[~seen],
        tempos=result.tempos[~seen],
        dropped=dropped,
        reason=reason,
    )


@cache
def compile_loops(polyphony: str = "skyline", unique: str = "exact") -> None:
    """Compile all that reading files takes, once, so that no file is charged for it."""
    compile_from_now_on()
    file = BytesIO()
    scale = Melody.from_notes([(8 * note, 8, 60 + note % 7) for note in range(32)])
    to_midi_file(scale).save(file=file)
    result = FileMelodies("")
    _extract_score(read_score(file.getvalue()), WindowSettings(polyphony=polyphony), result)
    HashSet().add(KEYS[unique](result.events))


def extract_task(
    names: Sequence[str],
    faults: Mapping[int, Fault],
    begin: Callable[[int | None], None],
    *,
    folder: Folder,
    settings: WindowSettings,
    limits: FileLimits,
) -> list[FileMelodies]:
    """Extract a task's files; a :data:`~melodyconstraints.datasets.melodies.workers.Handle`."""
    results = []
    for number, name in enumerate(names):
        if number in faults:
            results.append(FileMelodies(name, reason=Reject(faults[number].value)))
            continue
        begin(number)
        results.append(extract_file(folder, name, settings, limits))
    begin(None)
    return results


def extract_file(
    folder: Folder, name: str, settings: WindowSettings, limits: FileLimits
) -> FileMelodies:
    """Extract all windows of one file that pass the filters, duplicates included."""
    result = FileMelodies(name)
    try:
        data = folder.read(name, limits.max_bytes)
        result.digest = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
        score = read_score(data)
        result.recovered = _detail(score.recovered)
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
    except Exception as error:  # a bug of ours costs this file, and is in the ledger
        result = FileMelodies(name, reason=Reject.CRASHED)
        result.detail = _detail(f"{type(error).__name__}: {error}")
    return result


def _detail(text: str) -> str:
    return printable(text)[:_DETAIL_CHARACTERS]


def _extract_score(score: Score, settings: WindowSettings, result: FileMelodies) -> None:
    """Write a score's melodies, or the reason why there are none, into ``result``."""
    voices, long_enough = _read_voices(score, settings, result)
    if not voices:
        result.reason = _reason(score, long_enough)
        return
    events, places, tempos, sequences = (_joined(column) for column in zip(*voices, strict=True))
    # Of too many windows, take as many as are allowed, at even distances.
    if len(events) > settings.max_windows:
        rows = np.linspace(0, len(events) - 1, settings.max_windows).astype(np.int64)
        result.dropped[DROPS.index(Drop.FILE_LIMIT)] = len(events) - len(rows)
        events, places, tempos = events[rows], places[rows], tempos[rows]
    result.events, result.places, result.tempos = events, places, tempos
    result.sequences = _distinct(sequences)


class _Voice(NamedTuple):
    """The melodies of one part in one stretch of 4/4 or 2/2, at least one.

    Attributes:
        events, places, tempos: arrays of its ``W`` melodies, as in :class:`FileMelodies`.
        sequences: ``(S,)`` hashes of the varied sequences of intervals in them.
    """

    events: Events
    places: Ints
    tempos: NDArray[np.float32]
    sequences: NDArray[np.uint64]


def _read_voices(
    score: Score, settings: WindowSettings, result: FileMelodies
) -> tuple[list[_Voice], bool]:
    """Cut the windows of every part in every stretch of 4/4 or 2/2.

    Args:
        result: the windows that fail a filter, and all onsets, are counted here.

    Returns:
        The voices that have melodies; and whether any voice is as long as a window.
    """
    long_enough = False
    voices = []
    for track, part in enumerate(score.parts):
        if part.is_drum:
            continue
        timeline = score.timeline(part)
        for number, segment in enumerate(timeline.segments):
            # One voice, and why each of its windows is dropped, if it is.
            events = score.part_events(part, segment, settings.polyphony)
            off_grid = score.off_grid(part, segment, events)
            filtered = off_grid if settings.max_off_grid < 1 else None
            causes, notes = drop_causes(events, settings, filtered)
            result.onsets += int(np.count_nonzero(events < PITCHES))
            result.off_grid += int(np.count_nonzero(off_grid))
            result.dropped += np.bincount(causes - KEPT, minlength=len(DROPS) + 1)[1:]
            long_enough = long_enough or len(causes) > 0
            bars = (causes == KEPT).nonzero()[0]
            if not len(bars):
                continue
            # The windows that pass, where they are, and by what their tune is recognised.
            ticks = segment.start_tick + bars * score.bar_ticks
            places = np.empty((len(bars), len(PLACE)), np.int32)
            places[:] = track, number, 0, 0, 0
            places[:, 2], places[:, 4] = bars, notes[bars]
            places[:, 3] = part.programs_from(ticks)
            hashes, varied = sequence_hashes(covered_pitches(events, causes))
            tempos = timeline.tempos_of_bars(ticks).astype(np.float32)
            voices.append(_Voice(windows(events, bars), places, tempos, hashes[varied]))
    return voices, long_enough


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def _distinct(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sorted distinct hashes, as of ``np.unique``, in a tenth of its time."""
    hashes = np.sort(hashes)
    first = np.ones(len(hashes), bool)
    first[1:] = hashes[1:] != hashes[:-1]
    return hashes[first]


def _reason(score: Score, long_enough: bool) -> Reject:
    """Reason why a score has no melodies."""
    if not score.parts:
        return Reject.NO_NOTES
    if all(part.is_drum for part in score.parts):
        return Reject.ONLY_DRUMS
    if not any(timeline.segments for timeline in score.timelines):
        return Reject.NO_FOUR_FOUR
    return Reject.FILTERED if long_enough else Reject.TOO_SHORT
