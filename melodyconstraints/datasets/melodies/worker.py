"""One worker process: what it does, and what its parent knows of it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from ctypes import CDLL, c_int64
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

import psutil

from melodyconstraints.errors import WorkerError
from melodyconstraints.storage.machine import end_with_parent

if sys.platform != "win32":
    import resource

Task = TypeVar("Task")
Result = TypeVar("Result")

_TASKS_PER_WORKER = 2
"""Tasks sent to a worker: the one in progress, and one to begin without waiting for the parent."""
_MAX_QUEUED_REQUEST_BYTES = 64_000 if sys.platform == "linux" else 8000
"""Largest request sent to a busy worker: a larger one may fill the pipe and block the parent."""
_MAX_DEATHS = 2
"""Deaths of workers at one item, or at a limit there, after which the item is given up."""
_MAX_DEATHS_OUTSIDE_ITEMS = 3
"""Deaths of workers on one task, at no item to give up, after which the run fails."""
_MAX_KILLS = 8
"""Most deaths, of either kind, that look like kills from outside, by a user or for memory."""
_KILLED_FROM_OUTSIDE = {-signal.SIGTERM, -getattr(signal, "SIGKILL", signal.SIGTERM)}
"""Exit codes of processes that did not end themselves."""
_ITEMS_PER_TASK = 2**32
"""Base of a position: task number * _ITEMS_PER_TASK + item fits 64 bits."""
_NO_ITEM = -1
"""Position of a worker that is at no item."""
_MEMORY_ERROR_EXIT_CODE = 77
"""Exit code of a worker after a MemoryError; none that Python or a shell uses."""
_PR_SET_PDEATHSIG = 1
"""Option of Linux's prctl: the signal to send when the parent dies."""


class Fault(StrEnum):
    """Reason why an item was given up."""

    CRASHED = "crashed the reader"
    TIME = "took too long"
    MEMORY = "took too much memory"


@dataclass(frozen=True)
class Limits:
    """Most time and memory that one item may take.

    Attributes:
        seconds: processor time, and time in which the worker waits for something else than a
            processor. So neither a busy machine nor compiling costs an item.
        memory_bytes: resident memory of the worker above what it holds before its first item.
    """

    seconds: float = 30.0
    memory_bytes: int = 2 * 2**30


Handle = Callable[[Task, Mapping[int, Fault], Callable[[int | None], None]], Result]
"""``handle(task, faults, begin)`` does a whole task, in a worker, and returns its result.

It calls ``begin(i)`` before it works on item ``i``, from 0 to 2**32 - 1, and ``begin(None)`` after
the last; what it does until the next call is charged to ``i``. It skips the items in ``faults``,
which only get their entry in the result. Workers import it by its name, so it is a function of a
module, or a ``partial`` of one. What it prints is discarded.
"""


@dataclass
class Assignment:
    """A task without a result yet, and what went wrong with it so far.

    Attributes:
        number: place of the task among all.
        faults: items given up.
        deaths: workers that died, by the item, or None for no item that could be given up, and
            by whether they were killed from outside.
    """

    number: int
    task: Any
    faults: dict[int, Fault] = field(default_factory=dict)
    deaths: Counter[tuple[int | None, bool]] = field(default_factory=Counter)


class Worker:
    """A process, the pipe to it, and the tasks assigned to it: it works on the first.

    Args:
        handle: function that the process calls with each task.
        assignments: tasks of the process.
        prepare: called by a new process, not by a copy, before it begins.
        fork: copy this process, in a hundredth of the time that a new one takes to start; only
            where no other thread may hold a lock.
    """

    def __init__(
        self,
        handle: Handle[Any, Any],
        assignments: deque[Assignment],
        prepare: Callable[[], object] | None,
        *,
        fork: bool = False,
    ) -> None:
        context: Any = get_context("fork" if fork else "spawn")
        self.assignments = assignments
        self.ready = False
        self.fault: Fault | None = None  # the limit it was killed for
        self._sent = 0  # of the assignments, how many the process has
        self._last_position, self._item_seconds = _NO_ITEM, 0.0
        self._processor_seconds = 0.0  # of the process, at the last check
        self._position = context.RawValue(c_int64, _NO_ITEM)  # written by the process
        self.connection, worker_connection = context.Pipe()
        with worker_connection:
            self._process = context.Process(
                target=_run_worker,
                args=(handle, None if fork else prepare, worker_connection, self._position),
                daemon=True,
            )
            self._process.start()
        self._base_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether it has as many tasks as it may have."""
        return len(self.assignments) == _TASKS_PER_WORKER

    def send_assignments(self) -> None:
        """Send as many tasks as the process may hold; its death is noticed elsewhere."""
        for assignment in islice(
            self.assignments, self._sent, _TASKS_PER_WORKER if self.ready else 0
        ):
            request = ForkingPickler.dumps((assignment.number, assignment.task, assignment.faults))
            if self._sent and len(request) > _MAX_QUEUED_REQUEST_BYTES:
                return
            self._sent += 1
            with suppress(ConnectionError):
                self.connection.send_bytes(request)

    def receive(self) -> tuple[int, bytes] | None:
        """The number and pickled reply of the finished task, or None for the ready signal.

        Raises:
            EOFError, OSError: the worker is dead.
        """
        reply = self.connection.recv_bytes()
        if not reply:
            self.ready, self._base_bytes = True, self._resident_bytes()
            return None
        self._sent -= 1
        return self.assignments.popleft().number, reply

    def enforce_limits(self, seconds: float, limits: Limits) -> None:
        """Kill the process if its current item exceeds a limit.

        Args:
            seconds: time since the last call.
        """
        position = self._position.value
        spent = self._spent(seconds)
        same_item = position == self._last_position
        self._item_seconds = self._item_seconds + spent if same_item else 0.0
        self._last_position = position
        if self._item_at(position) is None:
            return
        if self._item_seconds > limits.seconds:
            self.fault = Fault.TIME
        elif self._resident_bytes() - self._base_bytes > limits.memory_bytes:
            self.fault = Fault.MEMORY
        if self.fault:
            self._process.kill()

    def _spent(self, seconds: float) -> float:
        """Processor time since the last check, or all of it where the process waits."""
        try:
            process = psutil.Process(self._process.pid)
            times, runs = process.cpu_times(), process.status() == psutil.STATUS_RUNNING
        except psutil.Error:  # it is dead
            return 0.0
        before, self._processor_seconds = self._processor_seconds, times.user + times.system
        # Linux alone tells a process that waits for a processor from one that waits otherwise.
        has_to_wait = runs and sys.platform == "linux"
        spent = self._processor_seconds - before
        return spent if spent or has_to_wait else seconds

    def stop(self, grace_seconds: float = 0.0) -> int | None:
        """Kill the process, unless it exits by itself before, and return its exit code."""
        self._process.join(grace_seconds)
        self._process.kill()
        self._process.join()
        exitcode = self._process.exitcode
        self.connection.close()
        with suppress(ValueError):  # somebody else waited for the process and has its exit code
            self._process.close()
        return exitcode

    def record_death(self, exitcode: int | None) -> None:
        """Note in the first assignment at which item the worker died, for its next worker.

        Raises:
            WorkerError: workers do not start, or die too often at no item to give up.
        """
        if not self.ready and exitcode == 1:
            raise WorkerError(
                "a worker process could not start (exit code 1; its traceback is on stderr); a "
                'script that starts workers does so under `if __name__ == "__main__":`'
            )
        assignment = self.assignments[0]
        item = self._item_at(self._last_position if self.fault else self._position.value)
        if item in assignment.faults:
            item = None
        from_outside = self.fault is None and exitcode in _KILLED_FROM_OUTSIDE
        assignment.deaths[item, from_outside] += 1
        deaths = assignment.deaths[item, from_outside]
        most = _MAX_DEATHS_OUTSIDE_ITEMS if item is None else _MAX_DEATHS
        if deaths < (_MAX_KILLS if from_outside else most):
            return
        if item is None:
            raise WorkerError(
                f"{deaths} workers died on one task while at no item, or at an item that had been "
                f"given up, the last with exit code {exitcode}; please report this"
            )
        ran_out = exitcode == _MEMORY_ERROR_EXIT_CODE
        assignment.faults[item] = self.fault or (Fault.MEMORY if ran_out else Fault.CRASHED)

    def _item_at(self, position: int) -> int | None:
        """The item of a position in the first assignment; None if it is at none of its items."""
        number, item = divmod(position, _ITEMS_PER_TASK)
        return item if self.assignments and number == self.assignments[0].number else None

    def _resident_bytes(self) -> int:
        with suppress(psutil.Error):  # it may be dead by now
            return int(psutil.Process(self._process.pid).memory_info().rss)
        return 0


def _run_worker(
    handle: Handle[Any, Any],
    prepare: Callable[[], object] | None,
    connection: Connection,
    position: c_int64,
) -> None:
    """Body of a worker process: answer requests until the parent kills it."""
    _isolate_process()
    if prepare:
        prepare()
    connection.send_bytes(b"")  # the ready signal
    while True:
        connection.send_bytes(_reply_to(handle, connection.recv_bytes(), position))


def _isolate_process() -> None:
    """Discard output, write no core dump, ignore Ctrl-C, and die with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    null_device = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_device, 1)
    os.dup2(null_device, 2)
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The thread below waits while code holds the GIL; this signal does not.
    if sys.platform == "linux":
        CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    end_with_parent()


def _reply_to(handle: Handle[Any, Any], request: bytes, position: c_int64) -> bytes | memoryview:
    """The pickled pair of a result and None, or of None and an exception."""
    try:
        number, task, faults = ForkingPickler.loads(request)

        def begin(item: int | None) -> None:
            position.value = _NO_ITEM if item is None else number * _ITEMS_PER_TASK + item

        result = handle(task, faults, begin)
        position.value = _NO_ITEM
        return ForkingPickler.dumps((result, None))
    except Exception as error:
        if isinstance(error, MemoryError) and position.value != _NO_ITEM:
            os._exit(_MEMORY_ERROR_EXIT_CODE)
        return _error_reply(error)


def _error_reply(error: Exception) -> bytes | memoryview:
    """An exception with its traceback as a note; a WorkerError if it cannot be pickled."""
    note = "in a worker process:\n\n" + "".join(traceback.format_exception(error))
    error.add_note(note)
    try:
        reply = ForkingPickler.dumps((None, error))
        ForkingPickler.loads(reply)
    except Exception:
        substitute = WorkerError(f"{type(error).__name__}: {error}")
        substitute.add_note(note)
        reply = ForkingPickler.dumps((None, substitute))
    return reply
