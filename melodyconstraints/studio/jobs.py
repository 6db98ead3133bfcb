"""Jobs: work that takes longer than a request waits, with its progress as server-sent events.

A job runs in a thread, and is written down when it begins and when it ends: one that a killed
server left behind says so.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from melodyconstraints.errors import MelodyConstraintsError, UsageError
from melodyconstraints.storage.files import write_atomically
from melodyconstraints.studio.schemas import Answer

RUNNING, DONE, FAILED, CUT_OFF = "running", "done", "failed", "cut off"
MOST_AT_ONCE = {"train": 1, "transform": 2}
"""Jobs of each kind that run at once."""
MOST_KEPT = 50
"""Jobs that are listed; the oldest go."""
_POLL_SECONDS = 0.1


class TooManyJobsError(UsageError):
    """Another job of the kind is running."""


@dataclass
class Job:
    """One job.

    Args:
        events: everything that it reported, for those who listen later.
        stop: event that is set where the user cancels; what there is by then is kept.
    """

    id: str
    kind: str
    title: str
    state: str = RUNNING
    started: float = field(default_factory=time.time)
    events: list[Answer] = field(default_factory=list)
    result: Any = None
    error: str | None = None
    stop: Event = field(default_factory=Event)

    def report(self, event: Answer) -> None:
        """Add an event, such as ``{"progress": 0.5}``."""
        self.events.append(event)

    def summary(self) -> Answer:
        """The job without its events."""
        names = ("id", "kind", "title", "state", "started", "result", "error")
        return {name: getattr(self, name) for name in names}


class Jobs:
    """The jobs of a studio.

    Args:
        folder: folder of their files, a JSON object each.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock, self._closing = folder, Lock(), Event()
        self._jobs: dict[str, Job] = {}
        for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime):
            try:
                job = Job(**json.loads(path.read_bytes()))
                self._jobs[job.id] = job
            except (OSError, ValueError, TypeError):
                continue
            if job.state == RUNNING:
                job.state, job.error = CUT_OFF, "the studio ended while this was running"
                self._write(job)

    def start(self, kind: str, title: str, work: Callable[[Job], Any]) -> Job:
        """Run work in a thread.

        Raises:
            TooManyJobsError: as many of the kind are running as may run at once.
        """
        with self._lock:
            running = [one for one in self._jobs.values() if one.state == RUNNING]
            if sum(one.kind == kind for one in running) >= MOST_AT_ONCE[kind]:
                raise TooManyJobsError(f"another job is running ({kind}); cancel it, or wait")
            job = Job(secrets.token_hex(8), kind, title)
            self._write(job)  # where that fails there is no job
            self._jobs[job.id] = job
            for old in list(self._jobs)[:-MOST_KEPT]:
                if self._jobs[old].state != RUNNING:
                    del self._jobs[old]
                    self._file(old).unlink(missing_ok=True)
        Thread(target=self._run, args=(job, work), name=f"job {job.id}", daemon=True).start()
        return job

    def _run(self, job: Job, work: Callable[[Job], Any]) -> None:
        try:
            job.result = work(job)
            state = DONE
        except MelodyConstraintsError as error:
            job.error, state = str(error), FAILED
        except Exception as error:  # a fault of ours ends the job, not the studio
            job.error, state = f"{type(error).__name__}: {error}", FAILED
        job.state = state
        self._write(job)

    def get(self, name: str) -> Job:
        """The job of an id.

        Raises:
            UsageError: there is none.
        """
        if name not in self._jobs:
            raise UsageError("there is no such job")
        return self._jobs[name]

    def list(self) -> list[Answer]:
        """All jobs, the newest last, without what they returned."""
        return [job.summary() | {"result": None} for job in self._jobs.values()]

    def close(self) -> None:
        """End all streams of events: the studio ends."""
        self._closing.set()

    async def events(self, name: str) -> AsyncIterator[str]:
        """Server-sent events of a job, from its first report to its end or the studio's."""
        job, sent = self.get(name), 0
        while not self._closing.is_set():
            over = job.state != RUNNING
            for event in job.events[sent:]:
                yield f"event: progress\ndata: {json.dumps(event)}\n\n"
                sent += 1
            if over:
                yield f"event: end\ndata: {json.dumps(job.summary())}\n\n"
                return
            await asyncio.sleep(_POLL_SECONDS)

    def _write(self, job: Job) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        data = json.dumps(job.summary() | {"result": None}).encode()
        write_atomically(self._file(job.id), data, durable=False)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"
