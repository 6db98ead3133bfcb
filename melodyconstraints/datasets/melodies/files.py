"""Where MIDI files are found, and their bytes: local folders and object storage."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import pyarrow.fs

from melodyconstraints.errors import MidiError, UsageError

_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Not to wait for the other end of a pipe."""
MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi"})


class TooLargeError(MidiError):
    """A file of more bytes than the limit."""


class Folder(Protocol):
    """Files by their names below a place; sent to worker processes and other machines."""

    def names(self) -> list[str]:
        """Of all files with a MIDI suffix, at any depth, ``/`` between folders, in no order."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """A whole file.

        Raises:
            MidiError: it cannot be read.
            TooLargeError: it is longer than ``max_bytes``.
        """


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine, or of a disk that all machines share."""

    root: str

    def __str__(self) -> str:
        return self.root

    def names(self) -> list[str]:
        """See :class:`Folder`; links to folders are not followed."""
        found: list[str] = []
        for folder, _, files in os.walk(self.root, onerror=_refuse):
            below = os.path.relpath(folder, self.root).replace(os.sep, "/")
            prefix = "" if below == "." else f"{below}/"
            found += [prefix + file for file in files if is_midi_name(file)]
        return found

    def read(self, name: str, max_bytes: int) -> bytes:
        """See :class:`Folder`; pipes and devices are refused."""
        try:
            descriptor = os.open(f"{self.root}/{name}" if self.root else name, _READ)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise MidiError("cannot be read: it is not a regular file")
                _check_size(status.st_size, max_bytes)
                data = os.read(descriptor, status.st_size)
                while len(data) < status.st_size and (more := os.read(descriptor, 2**20)):
                    data += more
                return data
            finally:
                os.close(descriptor)
        except OSError as error:
            raise MidiError(f"cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise MidiError(f"cannot be read: its name cannot be one: {error}") from error


@dataclass(frozen=True)
class RemoteFolder:
    """A folder of an object store, as a URI: ``s3://bucket/midi``, ``gs://…``, ``hdfs://…``."""

    uri: str

    def __str__(self) -> str:
        return self.uri

    def names(self) -> list[str]:
        """See :class:`Folder`."""
        system, root = _file_system(self.uri)
        try:
            found = system.get_file_info(pyarrow.fs.FileSelector(root, recursive=True))
            files = [info.path for info in found if info.type == pyarrow.fs.FileType.File]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{self.uri} cannot be listed: {error}") from error
        return [path[len(root) :].lstrip("/") for path in files if is_midi_name(path)]

    def read(self, name: str, max_bytes: int) -> bytes:
        """See :class:`Folder`."""
        system, root = _file_system(self.uri)
        try:
            with system.open_input_file(f"{root}/{name}") as file:
                _check_size(file.size(), max_bytes)
                return bytes(file.read())
        except OSError as error:
            raise MidiError(f"cannot be read: {error}") from error


def open_folder(place: str | Path) -> Folder:
    """A local folder, or with ``://`` in it an object store's.

    Raises:
        UsageError: the local folder does not exist.
    """
    if "://" in str(place):
        return RemoteFolder(str(place).rstrip("/"))
    if not Path(place).is_dir():
        raise UsageError(f"{place} is not a folder; give one that holds MIDI files")
    return LocalFolder(str(place))


def find_midi_files(folder: Folder, exclude: Iterable[str] = ()) -> list[str]:
    """The names of all MIDI files in path order.

    Args:
        exclude: shell patterns; a file whose path below the folder matches one is left out.

    Raises:
        UsageError: there is none, or the folder cannot be listed.
    """
    patterns = list(exclude)
    found = [name for name in folder.names() if not _matches(name, patterns)]
    if not found:
        suffixes = ", ".join(sorted(MIDI_SUFFIXES))
        raise UsageError(f"{folder} holds no MIDI file ({suffixes})")
    found.sort(key=lambda name: name.replace("/", "\0"))  # a folder beside its files, by name
    return found


def is_midi_name(name: str) -> bool:
    """Whether the name ends in one of :data:`MIDI_SUFFIXES`, in any case, and has more to it."""
    stem, dot, suffix = name.rpartition(".")
    return f"{dot}{suffix}".lower() in MIDI_SUFFIXES and not stem.endswith("/") and bool(stem)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLargeError(f"{size:,} bytes; at most {max_bytes:,} are read")


def _refuse(error: OSError) -> None:
    raise UsageError(f"{error.filename} cannot be listed: {error.strerror}") from error


@lru_cache(maxsize=8)
def _file_system(uri: str) -> tuple[pyarrow.fs.FileSystem, str]:
    try:
        return pyarrow.fs.FileSystem.from_uri(uri)
    except (ValueError, OSError) as error:
        raise UsageError(f"{uri} is no place that can be read: {error}") from error
