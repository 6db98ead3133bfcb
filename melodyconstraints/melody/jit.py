"""Loops over notes and windows, compiled to machine code by numba where that is worth it.

numba takes a second to start, more than Python takes for the loops of a few files. So functions
are interpreted until that has taken :data:`INTERPRETED_SECONDS` in all, or one is given a large
array; from then on they are compiled. Both give the same results.

The first call of a compiled function compiles it, which takes a second or so. The result is kept
for later processes, under a fingerprint of the sources: compiled functions have those of other
files built into them, and numba by itself only looks at a function's own file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property, update_wrapper
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from threading import local
from time import perf_counter
from typing import Any, TypeVar, cast

import numpy as np

from melodyconstraints.storage.places import cache_root

Function = TypeVar("Function", bound=Callable[..., Any])

INTERPRETED_SECONDS = 1.0
"""Time in a process after which functions are compiled."""
LARGE = 50_000
"""Elements of an array for which functions are compiled at once: some 0.1 s in Python."""
_PACKAGE = Path(__file__).parents[1]


def jit(function: Function, **options: Any) -> Function:
    """Decorate a function of arrays and numbers that is written as plain loops.

    Its integers are Python's or of 64 bits, so that they overflow alike in both modes.

    ``options`` are those of ``numba.njit``; with any, the function is always compiled.
    """
    return cast(Function, _Loops(function, options))


def compile_from_now_on() -> None:
    """Interpret no more: for work that is known to be long."""
    _spent[0] = float("inf")


_spent = [0.0]
"""Seconds in interpreted functions so far."""
_thread = local()


class _Loops:
    """A function in both modes."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        self._function, self._options = function, options

    def __call__(self, *arguments: Any) -> Any:
        if getattr(_thread, "interpreting", False) and not self._options:
            return self._function(*arguments)
        large = any(getattr(argument, "size", 0) > LARGE for argument in arguments)
        long = large or _spent[0] > INTERPRETED_SECONDS
        if self._options or (long and _can_compile()):
            return self.compiled(*arguments)
        start, _thread.interpreting = perf_counter(), True
        try:
            with np.errstate(over="ignore"):  # hashes overflow on purpose
                return _plain(self._function(*arguments))
        finally:
            _thread.interpreting = False
            _spent[0] += perf_counter() - start

    @cached_property
    def compiled(self) -> Any:
        """The function as numba's dispatcher."""
        config: Any = _numba().config
        folder, config.CACHE_DIR = config.CACHE_DIR, _cache_folder()
        try:
            is_cached = config.CACHE_DIR is not None
            compiled = _numba().njit(cache=is_cached, **self._options)(self._function)
        finally:
            config.CACHE_DIR = folder
        if is_cached:  # a full disk costs the time of compiling again, and nothing else
            cache, save = compiled._cache, compiled._cache.save_overload
            cache.save_overload = lambda *arguments: _unless_full(save, *arguments)
        return compiled


def _plain(result: Any) -> Any:
    """Numbers as Python's own, as numba returns them."""
    if isinstance(result, tuple):
        return tuple(map(_plain, result))
    return result.item() if isinstance(result, np.generic) else result


@cache
def _can_compile() -> bool:
    """Whether numba is installed, which is in the extra ``corpus``; without it loops stay slow."""
    return find_spec("numba") is not None


@cache
def _numba() -> Any:
    """numba, taught that compiled functions call each other."""
    import numba
    from numba.extending import typeof_impl

    @typeof_impl.register(_Loops)
    def _(loops: _Loops, _: Any) -> Any:
        return numba.typeof(loops.compiled)

    return numba


def _unless_full(save: Callable[..., object], *arguments: Any) -> None:
    with suppress(OSError):
        save(*arguments)


@cache
def _cache_folder() -> str | None:
    """The first place that can be written, or None.

    ``NUMBA_CACHE_DIR`` alone, if it is set; else beside the package's byte code, or in the user's
    cache.
    """
    sources = sorted([*_PACKAGE.glob("melody/**/*.py"), *_PACKAGE.glob("datasets/**/*.py")])
    fingerprint = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    places = [Path(chosen)] if chosen else [_PACKAGE / "__pycache__", cache_root()]
    for place in places:
        folder = place / f"numba-{fingerprint[:16]}"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                return str(folder)
    return None
