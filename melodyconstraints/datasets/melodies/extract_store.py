"""Extract a melody store from a folder of MIDI files.

Three stages, each of which can be killed at any moment and resumed:

1. read every file; the results of each task go to the spool;
2. in the order of the files, find duplicates, write the ledger and group the files into tunes;
3. write the Parquet parts.

All of it happens in ``<output>.unfinished``, beside the store's place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.extraction import (
    FILES_PER_TASK,
    FileLimits,
    compile_loops,
    in_tasks,
)
from melodyconstraints.datasets.melodies.files import (
    Folder,
    SkippedFolder,
    find_midi_files,
    open_folder,
)
from melodyconstraints.datasets.melodies.hashing import Hashes, HashSet, check_unique
from melodyconstraints.datasets.melodies.ledger import ExtractionSummary, Ledger
from melodyconstraints.datasets.melodies.parquet_parts import (
    ParquetPart,
    plan_parquet_parts,
    write_parquet_part,
)
from melodyconstraints.datasets.melodies.spool import LAYOUT, Spool, extract_to_bytes
from melodyconstraints.datasets.melodies.store import (
    SUMMARY,
    arrow_dataset,
    check_name,
    read_summary,
    write_summary,
)
from melodyconstraints.datasets.melodies.unfinished import remove_leftovers, unfinished_store
from melodyconstraints.datasets.melodies.workers import Handle, Limits, Result, Task, run_tasks
from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.melody.midi.windows import WindowSettings
from melodyconstraints.storage.arguments import checked
from melodyconstraints.storage.files import REPLACE

_INTERPRETED_BYTES = 100_000
"""Size of all files together, below which no process compiles: they are read before it has."""


@dataclass(frozen=True)
class Progress:
    """Progress of an extraction; the argument of its callback.

    Attributes:
        stage: ``reading`` files or ``writing`` parts.
        done: files read or parts written.
        total: files to read or parts to write.
        resumed: files that an earlier run had read.
    """

    stage: str
    done: int
    total: int
    resumed: int = 0


Callback = Callable[[Progress], None]


class Engine(Protocol):
    """The machines and processes that read files and find duplicates."""

    @property
    def jobs(self) -> int:
        """Number of processes that read, and of threads that write, on this machine."""

    def run(
        self,
        handle: Handle[Task, Result],
        tasks: Iterable[Task],
        limits: Limits,
        prepare: Callable[[], object] | None,
    ) -> Generator[Result, None, None]:
        """Yield the results of tasks, in the order of the tasks.

        Args:
            prepare: called by worker processes before they begin, off the clock, if given.
        """

    def first_seen(self, keys: Iterable[Hashes]) -> Iterator[NDArray[np.bool_]]:
        """Yield for each batch of keys which of them occur there for the first time.

        Args:
            keys: batches ``(B, 2)``, or ``(B, 0)`` where every melody counts as new.
        """


@dataclass(frozen=True)
class LocalEngine:
    """Extraction with the processes of this machine.

    Args:
        jobs: number of worker processes; 0 reads in this process, which a bad file may crash.

    Raises:
        UsageError: ``jobs`` is below 0.
    """

    jobs: int = 1

    def __post_init__(self) -> None:
        if self.jobs < 0:
            raise UsageError(f"jobs must be at least 0, got {self.jobs}")

    def run(
        self,
        handle: Handle[Task, Result],
        tasks: Iterable[Task],
        limits: Limits,
        prepare: Callable[[], object] | None,
    ) -> Generator[Result, None, None]:
        """See :class:`Engine`."""
        return run_tasks(handle, tasks, self.jobs, limits, prepare)

    def first_seen(self, keys: Iterable[Hashes]) -> Iterator[NDArray[np.bool_]]:
        """See :class:`Engine`."""
        seen = HashSet()
        return (seen.add(batch) for batch in keys)


@dataclass(frozen=True)
class ExtractionInputs:
    """Everything that a store depends on, besides the bytes of the files.

    Args:
        folder: folder of the files.
        names: names of the files, in order.
        settings: criteria of the windows that count as melodies.
        limits: most time, memory, bytes and notes of one file.
        unique: equality of melodies, a key of
            :data:`~melodyconstraints.datasets.melodies.hashing.KEYS`.
        exclude: shell patterns of the paths that were left out.
    """

    folder: Folder
    names: Sequence[str]
    settings: WindowSettings = field(default_factory=WindowSettings)
    limits: FileLimits = field(default_factory=FileLimits)
    unique: str = "exact"
    exclude: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """The inputs as JSON values, as written into the store's summary."""
        names = hashlib.sha256("\n".join(self.names).encode("utf-8", "surrogateescape"))
        return {
            "versions": _versions(),
            "settings": asdict(self.settings),
            "limits": asdict(self.limits),
            "unique": self.unique,
            "exclude": list(self.exclude),
            "names": names.hexdigest(),
            "files_per_task": FILES_PER_TASK,
            "layout": LAYOUT,
        }


@cache
def _versions() -> dict[str, str]:
    """Versions of the packages that decide what is read from a file."""
    return {name: version(name) for name in ("melodyconstraints", "symusic", "mido")}


@checked
def extract_store(
    folder: str | Path,
    output: Path | str,
    settings: WindowSettings | None = None,
    *,
    unique: str = "exact",
    limits: FileLimits | None = None,
    exclude: str | Iterable[str] = (),
    engine: Engine | None = None,
    resume: bool = False,
    overwrite: bool = False,
    callback: Callback | None = None,
) -> ExtractionSummary:
    """Extract every unique melody of a folder of MIDI files into a melody store.

    Args:
        folder: searched to any depth; a URI with ``://`` is a folder of an object store.
        output: folder of the store; see :mod:`melodyconstraints.datasets.melodies.store`.
        settings: criteria of the windows that count as melodies; None for the defaults.
        unique: equality of melodies: ``exact``; ``transposed``, in any key; ``none``.
        limits: most time, memory, bytes and notes of one file; None for the defaults.
        exclude: shell patterns of paths below ``folder`` to leave out, or one.
        engine: engine that reads the files; None for one worker process of this machine. With
            worker processes, a script needs its ``if __name__ == "__main__"``.
        resume: go on where an earlier run was stopped.
        overwrite: replace a store at ``output``, and delete an earlier run's results.
        callback: called with a :class:`Progress` after each task read and each part written.

    Raises:
        UsageError: there are no MIDI files, or ``output`` is taken, or a setting is out of range.
        StoreError: the disk is full or cannot be written, another process is at work there, or
            Arrow cannot open the name of ``output``.
    """
    check_name(output)
    files = open_folder(folder)
    patterns = [exclude] if isinstance(exclude, str) else list(exclude)
    listing = find_midi_files(files, patterns)
    inputs = ExtractionInputs(
        files,
        listing.names,
        settings or WindowSettings(),
        limits or FileLimits(),
        check_unique(unique),
        patterns,
    )
    output = Path(output).resolve()
    if resume and not overwrite and (summary := _finished_summary(output, inputs)):
        remove_leftovers(output)
        return summary
    with unfinished_store(
        output, inputs.as_dict(), resume=resume, overwrite=overwrite
    ) as unfinished:
        spool, engine = Spool(unfinished.spool), engine or LocalEngine()
        extraction = _Extraction(inputs, engine, spool, unfinished.store, callback)
        return extraction.run(listing.skipped)


def _finished_summary(output: Path, inputs: ExtractionInputs) -> ExtractionSummary | None:
    """The summary of a finished store at ``output``; None if there is none.

    Raises:
        UsageError: the store was made of other inputs.
        StoreError: it is damaged.
    """
    try:
        summary = read_summary(output)
    except StoreError:
        return None
    wanted = inputs.as_dict()
    if {key: summary.get(key) for key in wanted} != wanted:
        raise UsageError(
            f"{output} holds a finished store of other files or settings; {REPLACE}, or choose "
            "another folder"
        )
    try:
        arrow_dataset(output)
    except StoreError as error:
        raise StoreError(f"{error}; pass --overwrite") from error
    try:
        return ExtractionSummary.from_dict(summary.get("counts"))
    except ValueError as error:
        raise StoreError(
            f"{output / SUMMARY} is damaged; pass --overwrite to extract again"
        ) from error


@dataclass(frozen=True)
class _Extraction:
    """The three stages of an extraction."""

    inputs: ExtractionInputs
    engine: Engine
    spool: Spool
    store: Path
    callback: Callback | None

    def run(self, skipped: Sequence[SkippedFolder]) -> ExtractionSummary:
        is_melody = []  # packed bits of each task's windows
        scratch = self.spool.folder / "sequences"
        with (
            Ledger(len(self.inputs.names), self.store, scratch) as ledger,
            closing(self._read_files()) as keys,
        ):
            ledger.add_skipped(skipped)
            for number, is_new in enumerate(self.engine.first_seen(keys)):
                ledger.add(self.spool.read(number), is_new)
                is_melody.append(np.packbits(is_new))
            file_splits = ledger.assign_splits()
        parts = list(plan_parquet_parts(is_melody, file_splits))
        self._write_parts(parts)
        counts = {"counts": ledger.summary.as_dict()}
        write_summary(self.store, len(parts), self.inputs.as_dict() | counts)
        return ledger.summary

    def _read_files(self) -> Generator[Hashes, None, None]:
        """Read the files of the tasks that are not in the spool; yield the keys of every task."""
        inputs = self.inputs
        tasks = list(in_tasks(inputs.names))
        missing = set(self.spool.missing(len(tasks)))
        resumed = len(inputs.names) - sum(len(tasks[number]) for number in missing)
        handle = partial(
            extract_to_bytes,
            folder=inputs.folder,
            settings=inputs.settings,
            limits=inputs.limits,
            unique=inputs.unique,
        )
        unread = [tasks[number] for number in sorted(missing)]
        prepare = None
        if not inputs.folder.is_small(chain.from_iterable(unread), _INTERPRETED_BYTES):
            prepare = partial(compile_loops, inputs.settings.polyphony, inputs.unique)
            prepare()
        with closing(self.engine.run(handle, unread, inputs.limits, prepare)) as results:
            files = 0
            for number, task in enumerate(tasks):
                if number in missing:
                    self.spool.write(number, next(results))
                files += len(task)
                self._report("reading", files, len(inputs.names), resumed)
                yield self.spool.read(number).keys

    def _write_parts(self, parts: Sequence[ParquetPart]) -> None:
        """Write the parts in threads: Arrow releases the GIL, and no MIDI file is read here."""
        write = partial(write_parquet_part, spool=self.spool, store=self.store)
        with ThreadPoolExecutor(max(self.engine.jobs, 1)) as threads:
            for number, _ in enumerate(threads.map(write, parts), 1):
                self._report("writing", number, len(parts))

    def _report(self, stage: str, done: int, total: int, resumed: int = 0) -> None:
        if self.callback:
            self.callback(Progress(stage, done, total, resumed))
