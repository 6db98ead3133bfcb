"""Isolation of users' code: its output goes to stderr, and global state is restored after it."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from melodyconstraints.errors import RuleNotFoundError

Loaded = TypeVar("Loaded")
_PACKAGE = __name__.partition(".")[0]
_STDOUT, _STDERR = 1, 2
_NUMPY: Any = np.random  # whose stubs lack two functions
_USERS_BITS = np.random.MT19937(0)
"""NumPy's global generator while users' code runs: quicker than to save and restore its state."""


class OutOfTime(BaseException):
    """Raised where a time limit ends; no Exception, which a rule may catch."""


@dataclass
class Run:
    """One run of users' code.

    Args:
        interrupted: whether Ctrl-C was pressed, which KeyboardInterrupt alone does not tell.
    """

    interrupted: bool = False


def is_own(function: object) -> bool:
    """Whether a function is this package's, which needs no isolation."""
    return str(getattr(function, "__module__", "")).startswith(f"{_PACKAGE}.")


@contextmanager
def isolated() -> Iterator[Run]:
    """Run users' code: stdout is stderr meanwhile, and global state is as before afterwards.

    That is the state of the generators of ``random``, NumPy and torch, NumPy's handling of
    floating-point errors, torch's gradients, default type, default device and threads, and the
    working directory. What the code writes to the descriptor of stdout goes to stderr as well.
    """
    run = Run()
    python, numpy, torch = random.getstate(), _NUMPY.get_bit_generator(), _torch_state()
    folder = _working_directory()
    _NUMPY.set_bit_generator(_USERS_BITS)
    try:
        with np.errstate(), _stdout_on_stderr(), _stdin_kept_open(), _noted_interrupts(run):
            yield run
    finally:
        random.setstate(python)
        _NUMPY.set_bit_generator(numpy)
        _restore_torch(torch)
        if folder != _working_directory():
            with suppress(OSError):
                os.chdir(folder)


def load_isolated(load: Callable[[], Loaded], what: str) -> Loaded:
    """Import users' code.

    Args:
        load: imports it.
        what: name of what it imports, for the error.

    Raises:
        RuleNotFoundError: it raised.
    """
    with isolated() as run:
        try:
            return load()
        except BaseException as error:
            if run.interrupted:
                raise
            text = f"{what} does not import: {type(error).__name__}: {error}"
            raise RuleNotFoundError(text) from error


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`OutOfTime` in the block after some seconds.

    In the main thread of systems with SIGALRM only; elsewhere there is no limit.
    """
    if not hasattr(signal, "setitimer") or not _in_main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise OutOfTime(f"{seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _stdout_on_stderr() -> Iterator[None]:
    """``sys.stdout`` and the descriptor behind it lead to stderr."""
    _flush()
    try:
        kept = os.dup(_STDOUT)
    except OSError:  # closed
        with redirect_stdout(sys.stderr):
            yield
        return
    try:
        with suppress(OSError):  # stderr is closed
            os.dup2(_STDERR, _STDOUT)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)


def _flush() -> None:
    with suppress(AttributeError, OSError, ValueError):  # none, a broken pipe, or closed
        sys.__stdout__.flush()  # type: ignore[union-attr]


class _KeptOpen:
    """A stream that ``exit()`` does not close."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Leave it open."""


@contextmanager
def _stdin_kept_open() -> Iterator[None]:
    before: Any = sys.stdin
    sys.stdin = before and _KeptOpen(before)
    try:
        yield
    finally:
        sys.stdin = before


@contextmanager
def _noted_interrupts(run: Run) -> Iterator[None]:
    """Note in ``run`` that Ctrl-C was pressed, and let it do what it did before."""
    before: Any = signal.getsignal(signal.SIGINT)
    if not callable(before) or not _in_main_thread():
        yield
        return

    def note(*arguments: Any) -> None:
        run.interrupted = True
        before(*arguments)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 (twice as fast)
    except OSError:  # it was removed
        return ""


def _torch_state() -> tuple[Any, ...] | None:
    """Torch's global state; None where it was not imported, so that nothing imports it here."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return None
    return (
        torch.get_rng_state(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_num_threads(),
    )


def _restore_torch(state: tuple[Any, ...] | None) -> None:
    """Set what has changed; the state of a fresh process where users' code imported torch."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return
    if state is None:
        torch.seed()  # by chance, as a fresh process is seeded
        state = (torch.get_rng_state(), True, torch.float32, torch.device("cpu"), None)
    generator, gradients, dtype, device, threads = state
    torch.set_rng_state(generator)
    torch.set_grad_enabled(gradients)
    if torch.get_default_dtype() != dtype:
        torch.set_default_dtype(dtype)
    if torch.get_default_device() != device:
        torch.set_default_device(device)
    if threads and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
