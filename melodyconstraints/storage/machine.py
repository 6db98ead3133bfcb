"""The processors that this process may use, how threads share them, and signals that end it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1_000_000
_VERSION_1 = "cpu.cfs_quota_us", "cpu.cfs_period_us"
"""Files of control groups of version 1."""
_SPINS = {"GOMP_SPINCOUNT": "200", "KMP_BLOCKTIME": "1"}
"""Spinning of a thread that waits for others, before it sleeps, by OpenMP's library."""


def processors() -> int:
    """Number of processors, of those that affinity and a container's quota allow; at least 1."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(min(count or 1, _quota()), 1)


def _quota() -> int:
    """Processors' worth of time that the control group may take, rounded up."""
    with suppress(OSError, ValueError):
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        return -(-int(quota) // int(period))
    with suppress(OSError, ValueError):  # version 1; -1 is no quota
        quota, period = ((_CGROUP / "cpu" / name).read_text() for name in _VERSION_1)
        return -(-int(quota) // int(period)) if int(quota) > 0 else _UNLIMITED
    return _UNLIMITED


def end_with_parent() -> None:
    """End this process, which another one started by multiprocessing, when that one ends."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    from multiprocessing import parent_process  # not needed by most who import this module

    if parent := parent_process():
        parent.join()
        os._exit(1)


def share_processors() -> None:
    """Choose how OpenMP's threads wait and how many there are, before torch loads.

    By default they spin for long, also for a thread that a busy machine has put aside, and a
    training beside other programs stands almost still. The user's own settings stay as they are.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        for name, value in _SPINS.items():
            os.environ.setdefault(name, value)
    if _quota() < _UNLIMITED:
        os.environ.setdefault("OMP_NUM_THREADS", str(processors()))


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a terminal that closes, raise ``KeyboardInterrupt`` like Ctrl-C.

    A signal that has a handler or is ignored, as by ``nohup``, stays so. Outside the main thread,
    where Python sets no handlers, nothing changes.
    """
    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    ending = [getattr(signal, name) for name in names if hasattr(signal, name)]
    ending = [one for one in ending if signal.getsignal(one) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        ending = []
    for one in ending:
        signal.signal(one, signal.default_int_handler)
    try:
        yield
    finally:
        for one in ending:
            signal.signal(one, signal.SIG_DFL)
