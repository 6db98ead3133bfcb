"""Writing of files: completely or not at all, and known to be possible before the work."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from melodyconstraints.errors import StoreError, UsageError

LOCK = "lock"
"""The file in a folder that the process at work there holds."""
REPLACE = "pass --overwrite to replace it"
"""Advice of an error about an earlier run's results."""


def check_writable(place: Path) -> None:
    """Try, before any work, whether a file or folder can be made; leaves nothing behind.

    Raises:
        UsageError: the nearest folder above that exists cannot be written to, or is a file.
    """
    place = place.absolute()
    above = place
    try:
        above = _nearest(place)
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise UsageError(
            f"{place} cannot be written: {above}: {error.strerror}; choose another place"
        ) from error


def check_room(place: Path, size: int) -> None:
    """Check, before any work, that a file or folder of ``size`` bytes fits on its disk.

    Raises:
        UsageError: it does not.
    """
    free = shutil.disk_usage(_nearest(place.absolute())).free
    if free < size:
        raise UsageError(
            f"{place} needs {size / 1e6:,.1f} MB, and its disk has {free / 1e6:,.1f} MB free; "
            "make room or choose another place"
        )


def _nearest(place: Path) -> Path:
    """An absolute path's folder: itself, or the nearest one above that exists."""
    if place.is_dir():
        return place
    return next(folder for folder in place.parents if folder.exists())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which the system frees when the process dies; its file stays.

    Raises:
        StoreError: another process holds it.
    """
    from filelock import (  # loads asyncio, which commands without locks do not need
        FileLock,
        Timeout,
    )

    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout as error:
        raise StoreError(f"another process is at work in {folder}") from error


def write_atomically(path: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Replace a file atomically: a reader sees the old content or all of the new.

    Args:
        durable: whether this holds for a power failure too, which takes some milliseconds.

    Raises:
        OSError: it cannot be written; the error names the file, for a full disk too.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # a full disk names none, and others what is partial
        raise
