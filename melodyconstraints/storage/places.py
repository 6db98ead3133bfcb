"""The user's own places: data, and a cache of what can be made again."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from tempfile import gettempdir

from platformdirs import user_cache_path, user_data_path

CACHE, DATA = "MELODYCONSTRAINTS_CACHE", "MELODYCONSTRAINTS_DATA"
"""Environment variables that choose other places than the system's."""
_NAME = "melodyconstraints"
_NOWHERE = Path(os.devnull) / _NAME
"""A place where nothing can be made, for a user without any."""


def data_root() -> Path:
    """Folder of the user's data, which need not exist; nowhere for a user without a home."""
    if chosen := os.environ.get(DATA):
        return Path(chosen)
    with suppress(RuntimeError):  # an unknown user, and no HOME
        usual = user_data_path(_NAME)
        if usual.is_absolute():  # older platformdirs leave a ~ as it is
            return usual
    return _NOWHERE


def cache_root() -> Path:
    """Folder of the cache, which need not exist; a temporary one where no home can be written."""
    if chosen := os.environ.get(CACHE):
        return Path(chosen)
    with suppress(RuntimeError, OSError):  # an unknown user and no HOME; one that is closed
        usual = user_cache_path(_NAME)
        above = next(folder for folder in (usual, *usual.parents) if folder.exists())
        if usual.is_absolute() and os.access(above, os.W_OK):
            return usual
    return _private_temporary() or _NOWHERE


def _private_temporary() -> Path | None:
    """This user's temporary folder, where nobody else can put code; None where that is unsure."""
    if not hasattr(os, "getuid"):
        return None
    with suppress(OSError):
        folder = Path(gettempdir()) / f"{_NAME}-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022:
            return folder
    return None
