"""Places for what can be made again: the user's cache, or a temporary folder without a home."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from tempfile import gettempdir

from platformdirs import user_cache_path

CACHE = "MELODYCONSTRAINTS_CACHE"
"""Environment variable that chooses another place than the system's for caches."""


def cache_root() -> Path:
    """Folder of the cache, which need not exist; a temporary one where no home can be written."""
    if chosen := os.environ.get(CACHE):
        return Path(chosen)
    usual = user_cache_path("melodyconstraints")
    above = next(folder for folder in (usual, *usual.parents) if folder.exists())
    if usual.is_absolute() and os.access(above, os.W_OK):
        return usual
    return _private_temporary() or usual


def _private_temporary() -> Path | None:
    """This user's temporary folder, where nobody else can put code; None where that is unsure."""
    if not hasattr(os, "getuid"):
        return None
    folder = Path(gettempdir()) / f"melodyconstraints-{os.getuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022:
            return folder
    return None
