"""Loops over notes and windows, compiled to machine code by numba.

The first call of a function compiles it, which takes a second or so; the result is kept beside
the source (or in the user's cache folder where that is read-only) for every later process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Decorate a function of arrays and numbers that is written as plain loops."""
    return cast(Function, numba.njit(cache=True)(function))
