"""Worker processes that may die: a crash, a hang or too much memory costs one item and no more.

A task is a sequence of items, say 64 files, that one call of a handle turns into one result. The
handle reports the item it works on; a thread of the parent kills a worker that exceeds a limit and
gives its task to a new process, which leaves that item out::

    def lengths(files, faults, begin):
        result = []
        for number, file in enumerate(files):
            if number in faults:
                result.append(faults[number])
                continue
            begin(number)
            result.append(len(read(file)))
        begin(None)
        return result

    for result in supervise(lengths, batches, jobs=2):
        ...

The results depend neither on the number of workers nor on workers killed from outside.
"""

from __future__ import annotations

import atexit
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from itertools import count, islice
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from threading import Thread, active_count
from time import monotonic
from typing import Any

from melodyconstraints.datasets.melodies.worker import (
    Assignment,
    Fault,
    Handle,
    Limits,
    Result,
    Task,
    Worker,
)
from melodyconstraints.errors import UsageError

__all__ = ["Fault", "Handle", "Limits", "Result", "Task", "run_tasks", "supervise"]

_POLL_SECONDS = 0.05
"""Longest wait for replies between two checks of the limits: short beside any time limit."""
_MAX_COUNTED_SECONDS = 1.0
"""Most time counted between two checks: if the machine slept for an hour, no item was slow."""
_TASKS_AHEAD_PER_JOB = 4
"""Tasks drawn from the source but not yet yielded, for each worker: bounds the parent's memory."""


def supervise(
    handle: Handle[Task, Result],
    tasks: Iterable[Task],
    *,
    jobs: int,
    limits: Limits | None = None,
    prepare: Callable[[], object] | None = None,
    fork: bool = False,
) -> Iterator[Result]:
    """Run tasks in worker processes that may die.

    An item at which a worker dies or exceeds a limit gets a second attempt in a new worker, since
    something else may have been the cause, and more where a worker is killed from outside. An
    exception of the handle is raised here in the task's turn, with the worker's traceback as a
    note.

    Args:
        handle: function that does a task, see :data:`Handle`.
        tasks: tasks, drawn lazily, at most ``4 * jobs`` ahead of the results; best below 8 kB
            pickled, on Linux 64 kB.
        jobs: number of worker processes.
        limits: limits of each item; None for the defaults.
        prepare: a function that workers can import, which new ones, but not copies, call before
            they begin, such as one that compiles what they need: no item is charged for it.
        fork: start the first workers as copies of this process, at once, where that is safe: on
            Linux, if no other Python thread runs and torch, which has threads of its own, was not
            imported. Others are new processes.

    Yields:
        A result for each task, in the order of the tasks.

    Raises:
        UsageError: ``jobs`` is below 1.
        WorkerError: workers do not start, or die at no item that could be given up.
    """
    if jobs < 1:
        raise UsageError(f"`jobs` must be at least 1, got {jobs}")
    source = enumerate(tasks)
    supervisor = _Supervisor(handle, jobs, limits or Limits(), prepare)
    first = list(islice(source, _TASKS_AHEAD_PER_JOB * jobs))
    alone = active_count() == 1 and "torch" not in sys.modules
    if fork and sys.platform == "linux" and alone:
        supervisor.fork_workers(min(jobs, len(first)))
    with supervisor:
        supervisor.submit(first)
        for number in count():
            if number == supervisor.submitted:
                return
            yield supervisor.result(number)
            supervisor.submit(islice(source, 1))


def run_tasks(
    handle: Handle[Task, Result],
    tasks: Iterable[Task],
    jobs: int,
    limits: Limits,
    prepare: Callable[[], object] | None = None,
) -> Generator[Result, None, None]:
    """Yield the results of tasks, in the order of the tasks.

    Args:
        handle: a function that workers can import, see :func:`supervise`.
        jobs: number of worker processes, see :func:`supervise`; 0 runs the tasks in this process,
            without limits.
        prepare: see :func:`supervise`.
    """
    if jobs:
        yield from supervise(handle, tasks, jobs=jobs, limits=limits, prepare=prepare, fork=True)
    else:
        yield from (handle(task, {}, lambda item: None) for task in tasks)


class _Supervisor:
    """Assigns tasks to workers and enforces their limits, in a thread of its own.

    So the limits hold while the consumer of the results is busy elsewhere.
    """

    def __init__(
        self,
        handle: Handle[Any, Any],
        jobs: int,
        limits: Limits,
        prepare: Callable[[], object] | None,
    ) -> None:
        self.submitted = 0
        self._jobs, self._limits = jobs, limits
        self._new_worker = partial(Worker, handle, prepare=prepare)
        self._queue: deque[Assignment] = deque()
        self._messages: SimpleQueue[tuple[int, bytes] | BaseException] = SimpleQueue()
        self._replies: dict[int, bytes] = {}
        self._workers: list[Worker] = []
        # A message in this pipe ends the thread's wait for replies.
        self._wake_receiver, self._wake_sender = get_context("spawn").Pipe(duplex=False)
        self._stopping = False
        self._last_check = monotonic()
        self._thread = Thread(target=self._run, name="supervisor of workers", daemon=True)

    def __enter__(self) -> _Supervisor:
        atexit.register(self._stop)  # the generator may never be closed
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        atexit.unregister(self._stop)
        self._wake_receiver.close()
        self._wake_sender.close()

    def fork_workers(self, count: int) -> None:
        """Start workers as copies of this process; before the thread starts."""
        self._workers = [self._new_worker(deque(), fork=True) for _ in range(count)]

    def submit(self, tasks: Iterable[tuple[int, Any]]) -> None:
        """Queue numbered tasks."""
        for number, task in tasks:
            self._queue.append(Assignment(number, task))
            self.submitted += 1
        self._wake_sender.send_bytes(b"")

    def result(self, number: int) -> Any:
        """Wait for the result of a task; raise what the handle or the thread raised."""
        while number not in self._replies:
            message = self._messages.get()
            if isinstance(message, BaseException):
                raise message
            self._replies[message[0]] = message[1]
        result, error = ForkingPickler.loads(self._replies.pop(number))
        if error is not None:
            raise error
        return result

    def _run(self) -> None:
        """Body of the thread."""
        try:
            while not self._stopping:
                self._assign_tasks()
                self._wait_for_replies()
                self._enforce_limits()
        except BaseException as error:
            self._messages.put(error)
        finally:
            for worker in self._workers:
                worker.stop()

    def _stop(self) -> None:
        self._stopping = True
        self._wake_sender.send_bytes(b"")
        self._thread.join()

    def _assign_tasks(self) -> None:
        """Give queued tasks to the workers with the fewest; start workers as they are needed."""
        while self._queue:
            if len(self._workers) < self._jobs and all(one.assignments for one in self._workers):
                self._workers.append(self._new_worker(deque()))
            worker = min(self._workers, key=lambda worker: len(worker.assignments))
            if worker.is_full:
                return
            worker.assignments.append(self._queue.popleft())
            worker.send_assignments()

    def _wait_for_replies(self) -> None:
        workers: dict[Any, Worker] = {worker.connection: worker for worker in self._workers}
        for source in wait([self._wake_receiver, *workers], _POLL_SECONDS):
            if source is self._wake_receiver:
                self._wake_receiver.recv_bytes()
            else:
                self._receive_from(workers[source])

    def _receive_from(self, worker: Worker) -> None:
        try:
            reply = worker.receive()
        except (EOFError, OSError):
            self._replace_dead(worker)
            return
        worker.send_assignments()
        if reply:
            self._messages.put(reply)

    def _replace_dead(self, worker: Worker) -> None:
        self._workers.remove(worker)
        exitcode = worker.stop(grace_seconds=1.0)  # a closed pipe comes before the exit code
        if worker.assignments:
            worker.record_death(exitcode)
            self._workers.append(self._new_worker(worker.assignments))

    def _enforce_limits(self) -> None:
        seconds = monotonic() - self._last_check
        if seconds < _POLL_SECONDS / 2:  # many replies at once need no check each
            return
        self._last_check += seconds
        for worker in self._workers:
            worker.enforce_limits(min(seconds, _MAX_COUNTED_SECONDS), self._limits)
