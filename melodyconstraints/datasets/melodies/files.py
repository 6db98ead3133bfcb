"""Find and read MIDI files in local folders and object stores."""

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

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags to open a file; O_NONBLOCK, so that opening a pipe does not wait for a writer."""
_READ_BYTES = 2**20
"""Bytes of each further read, where the first returns less than the whole file."""
MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi"})


class TooLargeError(MidiError):
    """A file of more bytes than the limit."""


class Folder(Protocol):
    """A folder whose files are read by name; sent to worker processes and other machines."""

    def names(self) -> list[str]:
        """List the paths below the folder of all files with a MIDI suffix, at any depth.

        Folders are separated by ``/``; the order is undefined.
        """

    def read(self, name: str, max_bytes: int) -> bytes:
        """Read a whole file.

        Raises:
            MidiError: the file cannot be read.
            TooLargeError: the file is longer than ``max_bytes``.
        """


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine, or of a disk that all machines share."""

    root: str

    def __str__(self) -> str:
        return self.root

    def names(self) -> list[str]:
        """See :class:`Folder`; links to folders are not followed."""
        names: list[str] = []
        for folder, _, files in os.walk(self.root, onerror=_raise_usage_error):
            below = os.path.relpath(folder, self.root).replace(os.sep, "/")
            prefix = "" if below == "." else f"{below}/"
            names += [prefix + file for file in files if is_midi_name(file)]
        return names

    def read(self, name: str, max_bytes: int) -> bytes:
        """See :class:`Folder`; pipes and devices are refused."""
        try:
            descriptor = os.open(f"{self.root}/{name}" if self.root else name, _OPEN_FLAGS)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise MidiError("cannot be read: it is not a regular file")
                _check_size(status.st_size, max_bytes)
                data = os.read(descriptor, status.st_size)
                while len(data) < status.st_size and (more := os.read(descriptor, _READ_BYTES)):
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
            entries = system.get_file_info(pyarrow.fs.FileSelector(root, recursive=True))
            files = [info.path for info in entries if info.type == pyarrow.fs.FileType.File]
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


def find_midi_files(folder: Folder, exclude: Iterable[str] = ()) -> list[str]:
    """List the names of all MIDI files in path order.

    Args:
        exclude: shell patterns; a file whose path below the folder matches one is left out.

    Raises:
        UsageError: there is no MIDI file, or the folder cannot be listed.
    """
    patterns = list(exclude)
    names = [name for name in folder.names() if not _matches(name, patterns)]
    if not names:
        suffixes = ", ".join(sorted(MIDI_SUFFIXES))
        raise UsageError(f"{folder} holds no MIDI file ({suffixes})")
    # With the lowest character for "/", a folder's files come together, by the folder's name.
    names.sort(key=lambda name: name.replace("/", "\0"))
    return names


def is_midi_name(name: str) -> bool:
    """Whether a name ends in one of :data:`MIDI_SUFFIXES`, in any case, after a stem."""
    stem, dot, suffix = name.rpartition(".")
    return f"{dot}{suffix}".lower() in MIDI_SUFFIXES and not stem.endswith("/") and bool(stem)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLargeError(f"{size:,} bytes; at most {max_bytes:,} are read")


def _raise_usage_error(error: OSError) -> None:
    raise UsageError(f"{error.filename} cannot be listed: {error.strerror}") from error


@lru_cache(maxsize=8)
def _file_system(uri: str) -> tuple[pyarrow.fs.FileSystem, str]:
    try:
        return pyarrow.fs.FileSystem.from_uri(uri)
    except (ValueError, OSError) as error:
        raise UsageError(f"{uri} is no place that can be read: {error}") from error
