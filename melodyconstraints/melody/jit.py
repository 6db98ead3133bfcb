"""Loops over notes and windows, compiled to machine code by numba.

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
import time
from collections.abc import Callable
from functools import cache, update_wrapper
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, ClassVar, TypeVar, cast

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])

_PACKAGE = Path(__file__).parents[1]
_PATIENCE_SECONDS = 0.5
"""Time of interpreted calls, all together, after which functions are compiled."""
_MOST_INTERPRETED = 100_000
"""Elements of an array; a call with a longer one is compiled at once."""


def jit(function: Function, **options: Any) -> Function:
    """Decorate a function of arrays and numbers that is written as plain loops.

    ``options`` are those of ``numba.njit``.
    """
    import numba

    config: Any = numba.config
    folder = config.CACHE_DIR
    config.CACHE_DIR = str(_cache_folder())
    try:
        return cast(Function, numba.njit(cache=True, **options)(function))
    finally:
        config.CACHE_DIR = folder


def jit_when_busy(function: Function) -> Function:
    """Decorate such a function so that it is interpreted until compiling it would have paid.

    It may call others that are decorated alike.
    """
    return cast(Function, _Loop(cast(FunctionType, function)))


class _Loop:
    """A function that is interpreted first and compiled later, with the same results."""

    spent_seconds: ClassVar[float] = 0.0

    def __init__(self, function: FunctionType) -> None:
        self.function = function
        self._compiled: Callable[..., Any] | None = None
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is not None:
            return self._compiled(*arguments)
        if _Loop.spent_seconds > _PATIENCE_SECONDS or _is_long(arguments):
            return self.compiled(*arguments)
        before = time.perf_counter()
        with np.errstate(over="ignore"):  # hashes wrap around, here as in machine code
            result = self.function(*arguments)
        _Loop.spent_seconds += time.perf_counter() - before
        return result

    @property
    def compiled(self) -> Callable[..., Any]:
        """The function compiled, with those that it calls."""
        if self._compiled is None:
            names = {
                name: value.compiled if isinstance(value, _Loop) else value
                for name, value in self.function.__globals__.items()
                if name in _names(self.function.__code__)
            }
            copy = FunctionType(
                self.function.__code__, names, self.function.__name__, self.function.__defaults__
            )
            self._compiled = jit(update_wrapper(copy, self.function))
        return self._compiled


def compile_now() -> None:
    """Compile from now on at once: for a process that has many files before it."""
    _Loop.spent_seconds = float("inf")


def _names(code: CodeType) -> set[str]:
    """Global names in a function's code, and in that of comprehensions within it."""
    inner = [_names(one) for one in code.co_consts if isinstance(one, CodeType)]
    return set(code.co_names).union(*inner)


def _is_long(arguments: tuple[Any, ...]) -> bool:
    return any(isinstance(one, np.ndarray) and one.size > _MOST_INTERPRETED for one in arguments)


@cache
def _cache_folder() -> Path:
    """Beside the package's byte code, or in the user's cache where that is read-only."""
    sources = sorted([*_PACKAGE.glob("melody/**/*.py"), *_PACKAGE.glob("datasets/**/*.py")])
    fingerprint = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    beside = _PACKAGE / "__pycache__"
    home = beside if os.access(_PACKAGE, os.W_OK) else Path.home() / ".cache" / "melodyconstraints"
    return home / f"numba-{fingerprint[:16]}"
