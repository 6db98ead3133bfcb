"""Bytes of MIDI files: no pipe, device or endless file stops the reader; ``.gz`` is unpacked."""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path

from melodyconstraints.errors import MidiError

MAX_BYTES = 16 * 2**20
"""Largest file that is read where no other limit is given."""
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags to open a file; O_NONBLOCK, so that opening a pipe does not wait for a writer."""
_READ_BYTES = 2**20
"""Bytes of each further read, where the first returns less than the whole file."""
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS
"""zlib's number for a stream with the header of gzip."""


class TooLargeError(MidiError):
    """A file of more bytes than the limit."""


def read_file(path: str | Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a whole MIDI file, unpacked if it is packed with gzip.

    Args:
        max_bytes: most bytes, packed and unpacked.

    Raises:
        MidiError: the file cannot be read, or is a pipe or device.
        TooLargeError: it is longer than ``max_bytes``.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise MidiError("cannot be read: it is not a regular file")
            check_size(status.st_size, max_bytes)
            data = os.read(descriptor, status.st_size)
            while len(data) < status.st_size and (more := os.read(descriptor, _READ_BYTES)):
                data += more
        finally:
            os.close(descriptor)
    except OSError as error:
        raise MidiError(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise MidiError(f"cannot be read: its name cannot be one: {error}") from error
    return unpacked(data, max_bytes)


def unpacked(data: bytes, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes themselves, or what gzip has packed into them.

    Raises:
        MidiError: the packed bytes are damaged.
        TooLargeError: there are more than ``max_bytes`` in them.
    """
    if not data.startswith(_GZIP_MAGIC):
        return data
    unpacker = zlib.decompressobj(_GZIP)
    try:
        whole = unpacker.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise MidiError(f"cannot be unpacked: {error}") from error
    check_size(len(whole), max_bytes)
    if not unpacker.eof:
        raise MidiError("cannot be unpacked: its end is missing")
    return whole


def check_size(size: int, max_bytes: int) -> None:
    """Refuse a file of more than ``max_bytes``.

    Raises:
        TooLargeError: it has more.
    """
    if size > max_bytes:
        raise TooLargeError(f"{size:,} bytes; at most {max_bytes:,} are read")
