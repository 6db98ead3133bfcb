"""Atomic writing of files: completely or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Replace a file atomically: a reader sees the old content or all of the new.

    Args:
        durable: whether this holds for a power failure too, which takes some milliseconds.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
