"""Expendable workers: one that dies, hangs or eats memory costs the item it was at, and no more.

A task is a sequence of items, say 64 files, that one call of a handle turns into one result. The
handle says where it is; a thread of the parent watches, kills what breaks a limit, and has the
task done again by a fresh process, without the culprit::

    def lengths(files, faults, begin):
        result = []
        for number, file in enumerate(files):
            if number in faults:
                result.append(faults[number])
                continue
            begin(number)
            result.append(len(read(file)))
        return result

    for result in supervise(lengths, batches, jobs=2):
        ...

The results do not depend on the number of workers, nor on a worker killed from outside.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from ctypes import CDLL, c_int64
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count, islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, TypeVar

import psutil

from melodyconstraints.errors import UsageError, WorkerError

if sys.platform != "win32":
    import resource

Task = TypeVar("Task")
Result = TypeVar("Result")

_SPAWN = get_context("spawn")
_TICK_SECONDS = 0.05
_LONGEST_STEP_SECONDS = 1.0  # a watcher that was itself stopped for an hour saw one second
_AHEAD = 4  # tasks drawn and not yet yielded, for each job
_HELD = 2  # tasks in the hands of a worker: one at work, one for when that is done
# A larger one waits outside: sent to a busy worker, it may fill the pipe and block the watcher.
_HELD_BYTES = 64_000 if sys.platform == "linux" else 8000
_STUMBLES = 3  # deaths outside of any item until the fault is ours
_ITEMS = 2**32  # a place is ticket * _ITEMS + item
_NOWHERE = -1
_NO_MEMORY = 77  # exit code after a MemoryError
_PR_SET_PDEATHSIG = 1


class Fault(StrEnum):
    """Why an item was given up."""

    CRASHED = "crashed the reader"
    TIME = "took too long"
    MEMORY = "took too much memory"


@dataclass(frozen=True)
class Limits:
    """What one item may take.

    Attributes:
        seconds: on the clock.
        memory_bytes: resident memory of the worker above what it holds before its first item.
    """

    seconds: float = 30.0
    memory_bytes: int = 2 * 2**30


Handle = Callable[[Task, Mapping[int, Fault], Callable[[int], None]], Result]
"""``handle(task, faults, begin)`` does a whole task, in a worker, and returns its result.

It calls ``begin(i)`` before it touches item ``i``, from 0 to 2**32 - 1; all it does until the next
call, or until it returns, counts for ``i``. It does not touch the items in ``faults``, which only
have a place in its result. Workers import it by its name, so it is a function of a module, or a
``partial`` of one. What it prints is lost.
"""


def supervise(
    handle: Handle[Task, Result],
    tasks: Iterable[Task],
    *,
    jobs: int,
    limits: Limits | None = None,
) -> Iterator[Result]:
    """Have tasks done by worker processes that may die.

    An item that takes too long is given up at once; one at which a worker dies or holds too much
    memory has a second chance in a fresh worker, since others may have been at fault. An exception
    of the handle is raised here in the task's turn, with the worker's traceback as a note.

    Args:
        handle: see :data:`Handle`.
        tasks: drawn lazily, at most ``4 * jobs`` ahead of the results; best below 8 kB pickled, on
            Linux 64 kB.
        jobs: worker processes.
        limits: of each item; None for the defaults.

    Yields:
        A result for each task, in the order of the tasks.

    Raises:
        UsageError: ``jobs`` is below 1.
        WorkerError: workers do not start, or die at no item that could be given up.
    """
    if jobs < 1:
        raise UsageError(f"`jobs` must be at least 1, got {jobs}")
    source = enumerate(tasks)
    with _Supervisor(handle, jobs, limits or Limits()) as supervisor:
        supervisor.submit(islice(source, _AHEAD * jobs))
        for ticket in count():
            if ticket == supervisor.submitted:
                return
            yield supervisor.result(ticket)
            supervisor.submit(islice(source, 1))


def run_tasks(
    handle: Handle[Task, Result], tasks: Iterable[Task], jobs: int, limits: Limits
) -> Generator[Result, None, None]:
    """Results in the order of the tasks.

    Args:
        jobs: worker processes, see :func:`supervise`; 0 works in this process, without limits.
    """
    if jobs:
        yield from supervise(handle, tasks, jobs=jobs, limits=limits)
    else:
        yield from (handle(task, {}, lambda item: None) for task in tasks)


@dataclass
class _Job:
    """A task on its way, and what went wrong with it so far."""

    ticket: int
    task: Any
    faults: dict[int, Fault] = field(default_factory=dict)
    suspects: set[int] = field(default_factory=set)
    stumbles: int = 0


class _Worker:
    """A process, its pipe, and the jobs in its hands: it works on the first."""

    def __init__(self, handle: Handle[Any, Any], jobs: deque[_Job]) -> None:
        self.jobs = jobs
        self.ready = False
        self.fault: Fault | None = None  # what it is killed for
        self._sent = 0
        self._seen, self._seconds = _NOWHERE, 0.0
        self._place = _SPAWN.RawValue(c_int64, _NOWHERE)
        self.connection, theirs = _SPAWN.Pipe()
        with theirs:
            self._process = _SPAWN.Process(
                target=_work, args=(handle, theirs, self._place), daemon=True
            )
            self._process.start()
        self._base_bytes = 0

    def feed(self) -> None:
        """Send the jobs that it has room for; that it died is noticed elsewhere."""
        for job in islice(self.jobs, self._sent, _HELD if self.ready else 0):
            request = ForkingPickler.dumps((job.ticket, job.task, job.faults))
            if self._sent and len(request) > _HELD_BYTES:
                return
            self._sent += 1
            with suppress(ConnectionError):
                self.connection.send_bytes(request)

    def hear(self) -> tuple[int, bytes] | None:
        """The ticket and the reply of the job that is done, or None for the first sign of life.

        Raises:
            EOFError, OSError: the worker is dead.
        """
        reply = self.connection.recv_bytes()
        if not reply:
            self.ready, self._base_bytes = True, self._resident_bytes()
            return None
        self._sent -= 1
        return self.jobs.popleft().ticket, reply

    def watch(self, seconds: float, limits: Limits) -> None:
        """Kill it if the item that it is at, ``seconds`` after the last look, breaks a limit."""
        place = self._place.value
        self._seconds = self._seconds + seconds if place == self._seen else 0.0
        self._seen = place
        if self._item(place) is None:
            return
        if self._seconds > limits.seconds:
            self.fault = Fault.TIME
        elif self._resident_bytes() - self._base_bytes > limits.memory_bytes:
            self.fault = Fault.MEMORY
        if self.fault:
            self._process.kill()

    def end(self, patience_seconds: float = 0.0) -> int | None:
        """Kill it, unless it ends by itself before, and return its exit code."""
        self._process.join(patience_seconds)
        self._process.kill()
        self._process.join()
        exitcode = self._process.exitcode
        self.connection.close()
        with suppress(ValueError):  # the exit code went to somebody else who waited for it
            self._process.close()
        return exitcode

    def accuse(self, exitcode: int | None) -> None:
        """Note in the first job what killed the worker, so that the next one fares better.

        Raises:
            WorkerError: no item can be given up for it.
        """
        job = self.jobs[0]
        item = self._item(self._seen if self.fault else self._place.value)
        fault = self.fault or (Fault.MEMORY if exitcode == _NO_MEMORY else Fault.CRASHED)
        if item is None or item in job.faults:
            self._stumble(job, exitcode)
        elif fault is Fault.TIME or item in job.suspects:
            job.faults[item] = fault
        else:
            job.suspects.add(item)

    def _stumble(self, job: _Job, exitcode: int | None) -> None:
        job.stumbles += 1
        if not self.ready and exitcode == 1:
            raise WorkerError(
                "a worker process could not start (exit code 1; its traceback is on stderr); a "
                'script that starts workers does so under `if __name__ == "__main__":`'
            )
        if job.stumbles == _STUMBLES:
            raise WorkerError(
                f"{_STUMBLES} workers died on one task while at no item, or at an item that had "
                f"been given up, the last with exit code {exitcode}; please report this"
            )

    def _item(self, place: int) -> int | None:
        ticket, item = divmod(place, _ITEMS)
        return item if self.jobs and ticket == self.jobs[0].ticket else None

    def _resident_bytes(self) -> int:
        with suppress(psutil.Error):  # it may be dead by now
            return int(psutil.Process(self._process.pid).memory_info().rss)
        return 0


class _Supervisor:
    """Hands out jobs and watches the workers, whatever the consumer of the results is doing."""

    def __init__(self, handle: Handle[Any, Any], size: int, limits: Limits) -> None:
        self.submitted = 0
        self._handle, self._size, self._limits = handle, size, limits
        self._inbox: deque[_Job] = deque()
        self._outbox: SimpleQueue[tuple[int, bytes] | BaseException] = SimpleQueue()
        self._replies: dict[int, bytes] = {}
        self._workers: list[_Worker] = []
        self._bell, self._button = _SPAWN.Pipe(duplex=False)
        self._stopping = False
        self._looked = monotonic()
        self._thread = Thread(target=self._run, name="supervisor of workers", daemon=True)

    def __enter__(self) -> _Supervisor:
        atexit.register(self._stop)  # nobody may have closed the generator
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        atexit.unregister(self._stop)
        self._bell.close()
        self._button.close()

    def submit(self, tasks: Iterable[tuple[int, Any]]) -> None:
        """Queue tasks with their tickets."""
        for ticket, task in tasks:
            self._inbox.append(_Job(ticket, task))
            self.submitted += 1
        self._button.send_bytes(b"")

    def result(self, ticket: int) -> Any:
        """The result of a task, once it is there; raises what the handle or a worker raised."""
        while ticket not in self._replies:
            news = self._outbox.get()
            if isinstance(news, BaseException):
                raise news
            self._replies[news[0]] = news[1]
        result, error = ForkingPickler.loads(self._replies.pop(ticket))
        if error is not None:
            raise error
        return result

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._hand_out()
                self._listen()
                self._watch()
        except BaseException as error:
            self._outbox.put(error)
        finally:
            for worker in self._workers:
                worker.end()

    def _stop(self) -> None:
        self._stopping = True
        self._button.send_bytes(b"")
        self._thread.join()

    def _hand_out(self) -> None:
        while self._inbox:
            if len(self._workers) < self._size:
                self._workers.append(_Worker(self._handle, deque()))
            worker = min(self._workers, key=lambda worker: len(worker.jobs))
            if len(worker.jobs) == _HELD:
                return
            worker.jobs.append(self._inbox.popleft())
            worker.feed()

    def _listen(self) -> None:
        workers: dict[Any, _Worker] = {worker.connection: worker for worker in self._workers}
        for source in wait([self._bell, *workers], _TICK_SECONDS):
            if source is self._bell:
                self._bell.recv_bytes()
            else:
                self._hear(workers[source])

    def _hear(self, worker: _Worker) -> None:
        try:
            reply = worker.hear()
        except (EOFError, OSError):
            self._replace(worker)
            return
        worker.feed()
        if reply:
            self._outbox.put(reply)

    def _replace(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        exitcode = worker.end(patience_seconds=1.0)
        if worker.jobs:
            worker.accuse(exitcode)
            self._workers.append(_Worker(self._handle, worker.jobs))

    def _watch(self) -> None:
        seconds = monotonic() - self._looked
        if seconds < _TICK_SECONDS / 2:
            return
        self._looked += seconds
        for worker in self._workers:
            worker.watch(min(seconds, _LONGEST_STEP_SECONDS), self._limits)


def _work(handle: Handle[Any, Any], connection: Connection, place: c_int64) -> None:
    """The life of a worker; the parent ends it."""
    _settle()
    connection.send_bytes(b"")
    while True:
        connection.send_bytes(_reply(handle, connection.recv_bytes(), place))


def _settle() -> None:
    """Say nothing, leave no core, do not hear Ctrl-C, and do not outlive the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if (
        sys.platform == "linux"
    ):  # the thread below waits for code that holds the GIL; this does not
        CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _reply(handle: Handle[Any, Any], request: bytes, place: c_int64) -> bytes | memoryview:
    """The pickled pair of a result and None, or of None and an exception."""
    try:
        ticket, task, faults = ForkingPickler.loads(request)

        def begin(item: int) -> None:
            place.value = ticket * _ITEMS + item

        result = handle(task, faults, begin)
        place.value = _NOWHERE
        return ForkingPickler.dumps((result, None))
    except Exception as error:
        if isinstance(error, MemoryError) and place.value != _NOWHERE:
            os._exit(_NO_MEMORY)
        return _failure(error)


def _failure(error: Exception) -> bytes | memoryview:
    """An exception with its traceback as a note; as a WorkerError if pickle does not take it."""
    note = "in a worker process:\n\n" + "".join(traceback.format_exception(error))
    error.add_note(note)
    try:
        reply = ForkingPickler.dumps((None, error))
        ForkingPickler.loads(reply)
    except Exception:
        stand_in = WorkerError(f"{type(error).__name__}: {error}")
        stand_in.add_note(note)
        reply = ForkingPickler.dumps((None, stand_in))
    return reply
