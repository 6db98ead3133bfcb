"""The user's cache: artifacts that can be made again, so that they are made once.

``MELODYCONSTRAINTS_CACHE`` chooses another place than the system's for caches.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melodyconstraints.storage.artifacts import CONFIG, FORMAT
from melodyconstraints.storage.places import CACHE, cache_root

__all__ = ["CACHE", "cache_root"]

BANKS = "banks"
_KEY_DIGITS = 32


@dataclass(frozen=True)
class CacheEntry:
    """An artifact in the cache.

    Attributes:
        config: its configuration, with its kind.
        size: bytes of its files.
    """

    folder: Path
    config: dict[str, Any]
    size: int


def cache_place(group: str, key: str) -> Path:
    """Folder of the artifact of a key, which need not exist.

    Args:
        group: folder of all artifacts of its kind, such as :data:`BANKS`.
        key: text that tells the artifact from others.
    """
    return cache_root() / group / hashlib.sha256(key.encode()).hexdigest()[:_KEY_DIGITS]


def cache_entries() -> list[CacheEntry]:
    """The artifacts in the cache, the newest last; other files in its place are passed over."""
    by_age = []
    for folder in cache_root().glob("*/*"):
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            if config["format"] != FORMAT:
                continue
            files = [path.stat() for path in folder.iterdir()]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        age = max(file.st_mtime for file in files)
        by_age.append((age, CacheEntry(folder, config, sum(file.st_size for file in files))))
    return [entry for _, entry in sorted(by_age, key=lambda one: one[0])]


def clear_cache() -> list[CacheEntry]:
    """Remove the artifacts in the cache; returns them.

    Raises:
        OSError: one cannot be removed.
    """
    entries = cache_entries()
    for entry in entries:
        shutil.rmtree(entry.folder)
    return entries
