"""From a folder of MIDI files to a melody store.

Three stages, each of which can be killed at any moment and taken up again: every file is read,
and the results of each task go to the spool; the whole is looked at in the order of the files
(which melodies were seen before, what the ledger says, which files are one tune); the parts are
written. All of it is done beside the store's place, in ``<output>.unfinished``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from melodyconstraints.datasets.melodies.extraction import FILES_PER_TASK, FileLimits, in_tasks
from melodyconstraints.datasets.melodies.files import Folder, find_midi_files, open_folder
from melodyconstraints.datasets.melodies.hashing import Hashes, HashSet, check_unique
from melodyconstraints.datasets.melodies.ledger import Account, ExtractionSummary, Mask
from melodyconstraints.datasets.melodies.parquet_parts import Part, make_part, plan_parts
from melodyconstraints.datasets.melodies.spool import Spool, extract_to_bytes
from melodyconstraints.datasets.melodies.store import read_summary, write_summary
from melodyconstraints.datasets.melodies.unfinished import clear_away, unfinished
from melodyconstraints.datasets.melodies.workers import Handle, Limits, Result, Task, run_tasks
from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.melody.midi.windows import WindowSettings


@dataclass(frozen=True)
class Progress:
    """How far an extraction is: what ``callback`` hears.

    Attributes:
        stage: ``reading`` files or ``writing`` parts.
        done: files or parts.
        total: of these.
        resumed: how many an earlier run had done.
    """

    stage: str
    done: int
    total: int
    resumed: int = 0


Callback = Callable[[Progress], None]


class Engine(Protocol):
    """Where files are read."""

    @property
    def jobs(self) -> int:
        """How much of this machine to use: processes to read with, threads to write with."""

    def run(
        self, handle: Handle[Task, Result], tasks: Iterable[Task], limits: Limits
    ) -> Generator[Result, None, None]:
        """Results in the order of the tasks."""

    def first_seen(self, keys: Iterable[Hashes]) -> Iterator[Mask]:
        """For each batch of keys, which of them were in none before, nor earlier in it."""


@dataclass(frozen=True)
class LocalEngine:
    """The processes of this machine.

    Args:
        jobs: worker processes; 0 works in this process, where a crash is a crash.

    Raises:
        UsageError: ``jobs`` is below 0.
    """

    jobs: int = 1

    def __post_init__(self) -> None:
        if self.jobs < 0:
            raise UsageError(f"jobs must be at least 0, got {self.jobs}")

    def run(
        self, handle: Handle[Task, Result], tasks: Iterable[Task], limits: Limits
    ) -> Generator[Result, None, None]:
        """See :class:`Engine`."""
        return run_tasks(handle, tasks, self.jobs, limits)

    def first_seen(self, keys: Iterable[Hashes]) -> Iterator[Mask]:
        """See :class:`Engine`."""
        seen = HashSet()
        return (seen.add(batch) for batch in keys)


@dataclass(frozen=True)
class Plan:
    """All that the result depends on.

    Args:
        folder: where the files are.
        names: of the files, in order.
        unique: of :data:`~melodyconstraints.datasets.melodies.hashing.KEYS`.
        exclude: the patterns that were left out.
    """

    folder: Folder
    names: Sequence[str]
    settings: WindowSettings = field(default_factory=WindowSettings)
    limits: FileLimits = field(default_factory=FileLimits)
    unique: str = "exact"
    exclude: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """What a store says of how it was made: JSON values."""
        names = hashlib.sha256("\n".join(self.names).encode("utf-8", "surrogateescape"))
        return {
            "versions": _versions(),
            "settings": asdict(self.settings),
            "limits": asdict(self.limits),
            "unique": self.unique,
            "exclude": list(self.exclude),
            "names": names.hexdigest(),
            "files_per_task": FILES_PER_TASK,
        }


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("melodyconstraints", "symusic", "mido")}


def extract_store(
    folder: str | Path,
    output: Path,
    settings: WindowSettings | None = None,
    *,
    unique: str = "exact",
    limits: FileLimits | None = None,
    exclude: Iterable[str] = (),
    engine: Engine | None = None,
    resume: bool = False,
    overwrite: bool = False,
    callback: Callback | None = None,
) -> ExtractionSummary:
    """Extract every unique melody of a folder of MIDI files into a melody store.

    Args:
        folder: searched to any depth; with ``://`` in it an object store's.
        output: the store to make; see :mod:`melodyconstraints.datasets.melodies.store`.
        unique: which melodies are the same: ``exact``; ``transposed``, in any key; ``none``.
        limits: what a file may take.
        exclude: shell patterns of paths below ``folder`` to leave out.
        engine: where the work is done; None for one worker process of this machine. With worker
            processes, a script needs its ``if __name__ == "__main__"``.
        resume: go on where an earlier run was stopped.
        overwrite: replace a store that stands at ``output``, and forget an earlier run's work.

    Raises:
        UsageError: no MIDI files, or ``output`` is taken, or a setting that cannot be meant.
        StoreError: the disk is full or cannot be written, or another process is at work there.
    """
    place, patterns = open_folder(folder), list(exclude)
    plan = Plan(
        place,
        find_midi_files(place, patterns),
        settings or WindowSettings(),
        limits or FileLimits(),
        check_unique(unique),
        patterns,
    )
    output = output.resolve()
    if resume and not overwrite and (summary := _finished(output, plan)):
        clear_away(output)
        return summary
    with unfinished(output, plan.as_dict(), resume=resume, overwrite=overwrite) as workshop:
        spool = Spool(workshop.spool)
        return _Job(plan, engine or LocalEngine(), spool, workshop.store, callback).do()


def _finished(output: Path, plan: Plan) -> ExtractionSummary | None:
    """The summary of a store that was made by this very plan."""
    try:
        found = read_summary(output)
    except StoreError:
        return None
    wanted = plan.as_dict()
    if {key: found.get(key) for key in wanted} != wanted:
        raise UsageError(
            f"{output} holds a finished store of other files or settings; pass --overwrite to "
            "replace it, or choose another folder"
        )
    return ExtractionSummary.from_dict(found["counts"])


@dataclass(frozen=True)
class _Job:
    """The three stages."""

    plan: Plan
    engine: Engine
    spool: Spool
    store: Path
    callback: Callback | None

    def do(self) -> ExtractionSummary:
        kept = []
        scratch = self.spool.folder / "sequences"
        with (
            Account(len(self.plan.names), self.store, scratch) as account,
            closing(self._keys()) as keys,
        ):
            for number, fresh in enumerate(self.engine.first_seen(keys)):
                account.enter(self.spool.read(number), fresh)
                kept.append(np.packbits(fresh))
            sides = account.close()
        self._write(list(plan_parts(kept, sides)), account.summary)
        return account.summary

    def _keys(self) -> Generator[Hashes, None, None]:
        """The keys of each task's windows; tasks that are not in the spool are done now."""
        tasks = list(in_tasks(self.plan.names))
        missing = set(self.spool.missing(len(tasks)))
        resumed = len(self.plan.names) - sum(len(tasks[number]) for number in missing)
        handle = partial(
            extract_to_bytes,
            folder=self.plan.folder,
            settings=self.plan.settings,
            limits=self.plan.limits,
            unique=self.plan.unique,
        )
        wanted = (tasks[number] for number in sorted(missing))
        with closing(self.engine.run(handle, wanted, self.plan.limits)) as results:
            files = 0
            for number, task in enumerate(tasks):
                if number in missing:
                    self.spool.write(number, next(results))
                files += len(task)
                self._say("reading", files, len(self.plan.names), resumed)
                yield self.spool.read(number).keys

    def _write(self, parts: Sequence[Part], summary: ExtractionSummary) -> None:
        """In threads: Arrow's work leaves Python, and nothing here depends on a wild file."""
        make = partial(make_part, spool=self.spool, store=self.store)
        with ThreadPoolExecutor(max(self.engine.jobs, 1)) as threads:
            for number, _ in enumerate(threads.map(make, parts), 1):
                self._say("writing", number, len(parts))
        counts = {"counts": summary.as_dict()}
        write_summary(self.store, len(parts), self.plan.as_dict() | counts)

    def _say(self, stage: str, done: int, total: int, resumed: int = 0) -> None:
        if self.callback:
            self.callback(Progress(stage, done, total, resumed))
