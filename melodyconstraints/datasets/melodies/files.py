"""Find and read MIDI files in local folders and object stores."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.midi.files import check_size, read_file, unpacked
from melodyconstraints.storage.text import printable, shortened, unicode_name

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi"})
_PACKED = ".gz"
"""Suffix behind one of the others, as in ``song.mid.gz``."""
_APPLE_DOUBLE = "._"
"""Begins the names of the files in which macOS keeps what it knows of other files."""


class SkippedFolder(NamedTuple):
    """A folder whose files are left out.

    Attributes:
        name: path below the folder that was searched.
        detail: reason why they are left out.
        is_link: whether it is a link, which is not followed; else it cannot be listed.
    """

    name: str
    detail: str
    is_link: bool

    def __str__(self) -> str:
        return f"{shortened(printable(unicode_name(self.name)))}: {self.detail}"


@dataclass(frozen=True)
class Listing:
    """The MIDI files of a folder, as paths below it, and the folders in it that were skipped.

    Folders in paths are separated by ``/``.
    """

    names: list[str] = field(default_factory=list)
    skipped: list[SkippedFolder] = field(default_factory=list)


class Folder(Protocol):
    """A folder whose files are read by name; sent to worker processes and other machines."""

    def listing(self, exclude: Sequence[str] = ()) -> Listing:
        """List all MIDI files at any depth, in an order that is undefined.

        Args:
            exclude: shell patterns; a file whose path matches one is left out.

        Raises:
            UsageError: the folder itself cannot be listed.
        """

    def read(self, name: str, max_bytes: int) -> bytes:
        """Read a whole file, unpacked if it is packed with gzip.

        Raises:
            MidiError: the file cannot be read.
            TooLargeError: the file is longer than ``max_bytes``.
        """

    def is_small(self, names: Iterable[str], most_bytes: int) -> bool:
        """Whether files are known to have at most so many bytes together."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine, or of a disk that all machines share."""

    root: str

    def __str__(self) -> str:
        return self.root

    def listing(self, exclude: Sequence[str] = ()) -> Listing:
        """See :class:`Folder`; links to folders are not followed."""
        listing, waiting = Listing(), [""]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(f"{self.root}/{folder}" if folder else self.root) as entries:
                    for entry in entries:
                        name = f"{folder}/{entry.name}" if folder else entry.name
                        if not _is_folder(entry):
                            if _is_wanted(name, exclude):
                                listing.names.append(name)
                        elif _is_excluded_folder(name, exclude):
                            continue
                        elif entry.is_symlink():
                            detail = "a link to a folder, not followed"
                            listing.skipped.append(SkippedFolder(name, detail, True))
                        else:
                            waiting.append(name)
            except OSError as error:
                detail = f"cannot be listed: {error.strerror}"
                if not folder:
                    raise UsageError(f"{self.root} {detail}") from error
                if not _matches(folder, exclude):
                    listing.skipped.append(SkippedFolder(folder, detail, False))
        return listing

    def read(self, name: str, max_bytes: int) -> bytes:
        """See :class:`Folder`; pipes and devices are refused."""
        return read_file(f"{self.root}/{name}" if self.root else name, max_bytes)

    def is_small(self, names: Iterable[str], most_bytes: int) -> bool:
        """See :class:`Folder`."""
        for name in names:
            with suppress(OSError):
                most_bytes -= Path(self.root, name).stat().st_size
            if most_bytes < 0:
                return False
        return True


@dataclass(frozen=True)
class RemoteFolder:
    """A folder of an object store, as a URI: ``s3://bucket/midi``, ``gs://…``, ``hdfs://…``."""

    uri: str

    def __str__(self) -> str:
        return self.uri

    def listing(self, exclude: Sequence[str] = ()) -> Listing:
        """See :class:`Folder`."""
        from pyarrow.fs import FileSelector, FileType

        system, root = _file_system(self.uri)
        try:
            entries = system.get_file_info(FileSelector(root, recursive=True))
            files = [info.path for info in entries if info.type == FileType.File]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{self.uri} cannot be listed: {error}") from error
        names = [path[len(root) :].lstrip("/") for path in files]
        return Listing([name for name in names if _is_wanted(name, exclude)])

    def read(self, name: str, max_bytes: int) -> bytes:
        """See :class:`Folder`."""
        system, root = _file_system(self.uri)
        try:
            with system.open_input_file(f"{root}/{name}") as file:
                check_size(file.size(), max_bytes)
                return unpacked(bytes(file.read()), max_bytes)
        except OSError as error:
            raise MidiError(f"cannot be read: {error}") from error

    def is_small(self, names: Iterable[str], most_bytes: int) -> bool:
        """See :class:`Folder`; asking would take as long as compiling."""
        return False


def open_folder(location: str | Path) -> Folder:
    """Open a local folder, or, of a URI with ``://``, a folder of an object store.

    Raises:
        UsageError: the local folder does not exist.
    """
    if "://" in str(location):
        return RemoteFolder(str(location).rstrip("/"))
    if not Path(location).is_dir():
        raise UsageError(f"{location} is not a folder; give one that holds MIDI files")
    return LocalFolder(str(location))


def find_midi_files(folder: Folder, exclude: Iterable[str] = ()) -> Listing:
    """List all MIDI files in path order.

    Args:
        exclude: shell patterns; a file whose path below the folder matches one is left out, and
            a folder all of whose paths match one is not entered.

    Raises:
        UsageError: there is no MIDI file, or the folder cannot be listed.
    """
    listing = folder.listing(list(exclude))
    if not listing.names:
        suffixes = ", ".join(sorted(MIDI_SUFFIXES))
        also = "".join(f"; {skipped}" for skipped in listing.skipped[:1])
        raise UsageError(f"{folder} holds no MIDI file ({suffixes}){also}")
    # With the lowest character for "/", a folder's files come together, by the folder's name.
    listing.names.sort(key=lambda name: name.replace("/", "\0"))
    listing.skipped.sort()
    return listing


def is_midi_name(name: str) -> bool:
    """Whether a name ends in one of :data:`MIDI_SUFFIXES`, in any case, after a stem.

    ``.gz`` may follow. The files in which macOS keeps what it knows of others have no such name.
    """
    file = name.rpartition("/")[2].lower().removesuffix(_PACKED)
    stem, dot, suffix = file.rpartition(".")
    return bool(stem) and dot + suffix in MIDI_SUFFIXES and not file.startswith(_APPLE_DOUBLE)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):  # links that go round
        return entry.is_dir()
    return False


def _is_wanted(name: str, exclude: Sequence[str]) -> bool:
    return is_midi_name(name) and not _matches(name, exclude)


def _is_excluded_folder(name: str, exclude: Sequence[str]) -> bool:
    """Whether every path below a folder matches a pattern."""
    return any(pattern.endswith("*") and fnmatch(f"{name}/", pattern) for pattern in exclude)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


@lru_cache(maxsize=8)
def _file_system(uri: str) -> tuple[FileSystem, str]:
    from pyarrow.fs import FileSystem

    try:
        return FileSystem.from_uri(uri)
    except (ValueError, OSError) as error:
        raise UsageError(f"{uri} is no place that can be read: {error}") from error
