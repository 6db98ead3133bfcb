"""Packages that only some functions need: a plain installation has none of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from melodyconstraints.errors import UsageError

EXTRAS = {
    "fastapi": "studio",
    "huggingface_hub": "hub",
    "musicxml": "notation",
    "note_seq": "interop",
    "numba": "corpus",
    "pretty_midi": "interop",
    "pyarrow": "corpus",
    "ray": "ray",
    "sklearn": "corpus",
    "uvicorn": "studio",
}
"""Module to the extra of this package that installs it."""


@contextmanager
def extras_explained() -> Iterator[None]:
    """Say how to install a package of an extra that an import does not find.

    Raises:
        UsageError: a module of :data:`EXTRAS` is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise UsageError(
            f"{package} is not installed; "
            f"install it with: pip install 'melodyconstraints[{EXTRAS[package]}]'"
        ) from error
