"""Isolation of users' code: its output goes to stderr, and global state is restored after it."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from melodyconstraints.errors import RuleNotFoundError

Loaded = TypeVar("Loaded")
_PACKAGE = __name__.partition(".")[0]
_STDOUT, _STDERR = 1, 2
_NUMPY: Any = np.random  # whose stubs lack two functions
_NUMPYS_OWN = np.random.MT19937(0)
_generators: dict[str, Any] = {"random": random.Random(0).getstate()}  # noqa: S311
"""States of the generators that users' code draws from, each a stream of its own."""
_lock = threading.Lock()
_inside = 0
"""Threads and nested calls that run users' code now; the first sets, the last restores."""
_surroundings: AbstractContextManager[None]
"""Context that the first of them enters, and the last leaves."""
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
"""Signals that may end a command as Ctrl-C does; Windows has no SIGHUP."""
_limit: float | None = None
"""Seconds of the innermost :func:`time_limit`."""


_late = 0
"""Number of times that the limit of the call that runs now has ended."""
_AGAIN, _MOST_LATE = 1.0, 3
"""Seconds until a limit that the code has caught ends once more, and how often it does."""


class OutOfTime(BaseException):
    """Raised where a time limit ends; no Exception, which a rule may catch."""


@dataclass
class Run:
    """One run of users' code.

    Args:
        interrupted: whether Ctrl-C was pressed or SIGTERM came, which KeyboardInterrupt alone
            does not say.
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
    run, gradients = Run(), _gradients()
    _enter()
    try:
        with np.errstate(), _noted_interrupts(run):
            yield run
    finally:
        _leave()
        if gradients != _gradients():
            sys.modules["torch"].set_grad_enabled(gradients)


def _enter() -> None:
    global _inside, _surroundings
    with _lock:
        _inside += 1
        if _inside == 1:
            _surroundings = _apart()
            _surroundings.__enter__()


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if not _inside:
            _surroundings.__exit__(None, None, None)


@contextmanager
def _apart() -> Iterator[None]:
    with _stdout_on_stderr(), _stdin_kept_open(), _own_generators(), _settings_kept():
        yield


def load_isolated(load: Callable[[], Loaded], what: str) -> Loaded:
    """Import users' code.

    Args:
        load: function that imports it.
        what: name of what it imports, for the error.

    Raises:
        RuleNotFoundError: it raised.
    """
    with isolated() as run:
        try:
            with timed():
                return load()
        except BaseException as error:
            if run.interrupted:
                raise
            text = f"{what} does not import: {type(error).__name__}: {text_of(error)}"
            raise RuleNotFoundError(text) from error


def text_of(error: BaseException) -> str:
    """Text of an error of users' code, in one line; its own ``__str__`` may fail."""
    try:
        return " ".join(str(error).split())
    except (Exception, SystemExit):
        return "(its text cannot be read)"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the time of each call of users' code in the block; see :func:`timed`.

    In the main thread of systems with SIGALRM only; elsewhere there is no limit.
    """
    global _limit
    if not hasattr(signal, "setitimer") or not _in_main_thread():
        yield
        return

    def stop(*_: object) -> None:
        global _late
        _late += 1
        if _late > _MOST_LATE:
            _give_up(seconds)
        raise OutOfTime(f"{seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop), _limit
    _limit = seconds
    try:
        yield
    finally:
        handler, _limit = before
        signal.signal(signal.SIGALRM, handler)


def _give_up(seconds: float) -> NoReturn:
    """End the process: the code catches whatever is raised in it."""
    text = (
        f"Error: the rule took more than {seconds:g} s and caught {_MOST_LATE} times what was to "
        "end it; let it catch Exception, not everything\n"
    )
    os.write(_STDERR, text.encode())
    os._exit(1)


@contextmanager
def timed() -> Iterator[None]:
    """One call of users' code: raise :class:`OutOfTime` after the limit, where there is one.

    Code that catches it meets it again, and at last ends the process.
    """
    if _limit is None or not _in_main_thread():
        yield
        return
    global _late
    _late = 0
    left, _ = signal.setitimer(signal.ITIMER_REAL, _limit, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, left and _AGAIN)  # of a call around this one


@contextmanager
def _stdout_on_stderr() -> Iterator[None]:
    """``sys.stdout`` and the descriptor behind it lead to stderr."""
    _flush()
    try:
        saved_fd = os.dup(_STDOUT)
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
        os.dup2(saved_fd, _STDOUT)
        os.close(saved_fd)


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
    """Note in ``run`` that Ctrl-C was pressed or what stands for it, which does as before."""
    handlers: dict[int, Any] = {
        number: handler for number in _INTERRUPTS if callable(handler := signal.getsignal(number))
    }
    if not handlers or not _in_main_thread():
        yield
        return

    def note(number: int, frame: Any) -> None:
        run.interrupted = True
        handlers[number](number, frame)

    for number in handlers:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 (twice as fast)
    except OSError:  # it was removed
        return ""


def _torch() -> Any:
    """Torch where it was imported, else None: nothing imports it here."""
    return sys.modules.get("torch")


def _gradients() -> bool:
    """Whether torch computes gradients in this thread, as it does in a fresh process."""
    torch = _torch()
    return torch is None or torch.is_grad_enabled()


@contextmanager
def _own_generators() -> Iterator[None]:
    """Global generators have states of users' code, and their own again afterwards."""
    python, numpy, torch = random.getstate(), _NUMPY.get_bit_generator(), _torch()
    state = None if torch is None else torch.get_rng_state()
    random.setstate(_generators["random"])
    _NUMPY.set_bit_generator(_NUMPYS_OWN)
    if torch is not None:
        own = _generators.get("torch")
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state() if own is None else own)
    try:
        yield
    finally:
        _generators["random"] = random.getstate()
        random.setstate(python)
        _NUMPY.set_bit_generator(numpy)
        if (torch := _torch()) is not None:
            _generators["torch"] = torch.get_rng_state()
            if state is None:  # users' code imported it
                torch.seed()  # by chance, as a fresh process does
            else:
                torch.set_rng_state(state)


@contextmanager
def _settings_kept() -> Iterator[None]:
    """The working directory and torch's defaults are what they were."""
    folder, before = _working_directory(), _torch_settings()
    try:
        yield
    finally:
        if folder != _working_directory():
            with suppress(OSError):
                os.chdir(folder)
        torch = _torch()
        if torch is not None and (after := _torch_settings()) != before:
            dtype, device, threads = before or (torch.float32, torch.device("cpu"), after[2])
            torch.set_default_dtype(dtype)
            # None is the CPU: a default device that is named makes every small operation slower
            torch.set_default_device(None if device.type == "cpu" else device)
            torch.set_num_threads(threads)


def _torch_settings() -> tuple[Any, ...]:
    torch = _torch()
    if torch is None:
        return ()
    return torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads()
