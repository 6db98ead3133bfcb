"""Folders of MIDI files to unique 16-bar melodies (the paper, appendix 9.1).

Every non-drum track, every stretch of 4/4 or 2/2, a window each bar, one voice by skyline. The
result depends on the files and the settings alone: not on the number of workers.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from fnmatch import fnmatch
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from melodyconstraints.datasets.store import Row, StoreWriter, new_store
from melodyconstraints.datasets.windows import Drop, WindowSettings, drop_causes, windows
from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.scores import Score, read_score

MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi"})
VALIDATION_SHARE = 0.05
TEST_SHARE = 0.05
_FILES_PER_TASK = 16


class Reject(StrEnum):
    """Why a file gave no melody: the closed list of reasons in the ledger."""

    UNREADABLE = "unreadable"
    NO_NOTES = "no notes"
    ONLY_DRUMS = "only drums"
    NO_FOUR_FOUR = "no 4/4 or 2/2"
    TOO_SHORT = "shorter than 16 bars"
    FILTERED = "no window passed the filters"
    DUPLICATE = "every melody seen before"


@dataclass
class FileResult:
    """What one file gave: rows for the store, or a reason."""

    file: str
    rows: list[Row] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    reason: Reject | None = None
    detail: str = ""


@dataclass
class ExtractionSummary:
    """Counters of a whole run; accepted + rejected = files, always."""

    files: int = 0
    accepted: int = 0
    rejected: int = 0
    melodies: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    dropped_windows: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, counters sorted by size."""
        return {
            key: dict(value.most_common()) if isinstance(value, Counter) else value
            for key, value in vars(self).items()
        }


def find_midi_files(folder: Path, exclude: Iterable[str] = ()) -> list[Path]:
    """All MIDI files below a folder by their suffix, in path order.

    Args:
        exclude: shell patterns; a file whose path below ``folder`` matches one is left out.

    Raises:
        UsageError: the folder does not exist or holds no MIDI file.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give one that holds MIDI files")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in MIDI_SUFFIXES)
    patterns = list(exclude)
    files = [
        path
        for path in found
        if path.is_file()
        and not any(fnmatch(path.relative_to(folder).as_posix(), pattern) for pattern in patterns)
    ]
    if not files:
        suffixes = ", ".join(sorted(MIDI_SUFFIXES))
        raise UsageError(f"{folder} holds no MIDI file ({suffixes})")
    return files


def extract_file(path: Path, root: Path, settings: WindowSettings) -> FileResult:
    """All windows of one file that pass the filters; one that recurs is there each time."""
    result = FileResult(path.relative_to(root).as_posix())
    try:
        data = path.read_bytes()
        score = read_score(data)
    except (OSError, MidiError) as error:
        result.reason, result.detail = Reject.UNREADABLE, str(error)
        return result
    split = split_of(data)
    longest = 0
    for track, part in enumerate(score.parts):
        if part.is_drum:
            continue
        for number, segment in enumerate(score.segments):
            cut = windows(score.part_events(part, segment, settings.polyphony))
            longest = max(longest, len(cut))
            kept = _keep(Melodies(cut), settings, result.dropped)
            place = {"track": track, "segment": number, "program": part.program}
            common = {**place, "file": result.file, "split": split, "tempo": score.tempo}
            result.rows += [common | row for row in kept]
    if not result.rows:
        result.reason = _reason(score, longest)
    return result


def _keep(cut: Melodies, settings: WindowSettings, dropped: Counter[str]) -> Iterator[Row]:
    causes = drop_causes(cut, settings)
    for bar, cause in enumerate(causes):
        if cause is not None:
            dropped[cause] += 1
            continue
        events = cut.events[bar].tobytes()
        yield {
            "events": events,
            "start_bar": bar,
            "notes": int(cut.note_counts[bar]),
            "hash": hashlib.blake2b(events, digest_size=16).digest(),
        }


def _reason(score: Score, longest: int) -> Reject:
    if not score.parts:
        return Reject.NO_NOTES
    if all(part.is_drum for part in score.parts):
        return Reject.ONLY_DRUMS
    if not score.segments:
        return Reject.NO_FOUR_FOUR
    return Reject.TOO_SHORT if longest == 0 else Reject.FILTERED


def split_of(data: bytes) -> str:
    """The split a file belongs to, from a hash of its bytes: all its windows share one."""
    share = int.from_bytes(hashlib.sha256(data).digest()[:8], "big") / 2**64
    if share < TEST_SHARE:
        return "test"
    return "validation" if share < TEST_SHARE + VALIDATION_SHARE else "train"


def extract_melodies(
    folder: Path,
    output: Path,
    settings: WindowSettings | None = None,
    *,
    jobs: int = 1,
    exclude: Iterable[str] = (),
    overwrite: bool = False,
    callback: Callable[[ExtractionSummary, int], None] | None = None,
) -> ExtractionSummary:
    """Extract every unique melody of a folder of MIDI files into a melody store.

    Args:
        folder: searched to any depth.
        output: the store to make; see :mod:`melodyconstraints.datasets.store`.
        jobs: worker processes.
        exclude: shell patterns of paths below ``folder`` to leave out.
        overwrite: replace a store that stands at ``output``.
        callback: called after each file with the counters so far and the number of files in all.

    Raises:
        UsageError: no MIDI files, or ``output`` is taken.
    """
    settings, exclude = settings or WindowSettings(), list(exclude)
    files = find_midi_files(folder, exclude)
    summary = ExtractionSummary()
    with new_store(output, overwrite=overwrite) as store:
        seen: set[bytes] = set()
        for result in _results(files, partial(extract_file, root=folder, settings=settings), jobs):
            _record(result, store, seen, summary)
            if callback:
                callback(summary, len(files))
        store.finish(
            {
                "versions": {name: version(name) for name in ("melodyconstraints", "symusic")},
                "settings": asdict(settings),
                "exclude": list(exclude),
                "counts": summary.as_dict(),
            }
        )
    return summary


def _results(
    files: list[Path], extract: Callable[[Path], FileResult], jobs: int
) -> Iterable[FileResult]:
    """Results in the order of the files, however many workers there are."""
    if jobs <= 1:
        yield from map(extract, files)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(extract, files, chunksize=_FILES_PER_TASK)


def _record(
    result: FileResult, store: StoreWriter, seen: set[bytes], summary: ExtractionSummary
) -> None:
    """Keep the rows not seen before; a file without any left is rejected."""
    fresh: list[Row] = []
    for row in result.rows:
        if row["hash"] in seen:
            result.dropped[Drop.DUPLICATE] += 1
        else:
            seen.add(row["hash"])
            fresh.append(row)
    if result.rows and not fresh:
        result.reason = Reject.DUPLICATE
    summary.files += 1
    summary.melodies += len(fresh)
    summary.dropped_windows.update(result.dropped)
    if result.reason is None:
        summary.accepted += 1
        summary.splits[fresh[0]["split"]] += len(fresh)
        store.add(fresh)
    else:
        summary.rejected += 1
        summary.reasons[result.reason] += 1
        store.reject(result.file, result.reason, result.detail)
