"""Loops over notes and windows, compiled to machine code by numba.

The first call of a function compiles it, which takes a second or so. The result is kept for later
processes, under a fingerprint of the sources: compiled functions have those of other files built
into them, and numba by itself only looks at a function's own file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

_PACKAGE = Path(__file__).parents[1]
_CONFIG: Any = numba.config


def jit(function: Function, **options: Any) -> Function:
    """Decorate a function of arrays and numbers that is written as plain loops.

    ``options`` are those of ``numba.njit``.
    """
    folder = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = str(_cache_folder())
    try:
        return cast(Function, numba.njit(cache=True, **options)(function))
    finally:
        _CONFIG.CACHE_DIR = folder


@cache
def _cache_folder() -> Path:
    """Beside the package's byte code, or in the user's cache where that is read-only."""
    sources = sorted([*_PACKAGE.glob("melody/**/*.py"), *_PACKAGE.glob("datasets/**/*.py")])
    fingerprint = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    beside = _PACKAGE / "__pycache__"
    home = beside if os.access(_PACKAGE, os.W_OK) else Path.home() / ".cache" / "melodyconstraints"
    return home / f"numba-{fingerprint[:16]}"
