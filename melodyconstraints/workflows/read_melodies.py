"""The melodies of a user's MIDI files and folders: of each file the 16 bars that are most one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from melodyconstraints.datasets.melodies.files import LocalFolder, SkippedFolder, find_midi_files
from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.midi.selection import FoundMelody, read_melody
from melodyconstraints.storage.text import printable


def midi_files(
    paths: Iterable[Path | str], skip: Callable[[SkippedFolder], object] = lambda folder: None
) -> list[Path]:
    """Files as they are, folders as the MIDI files in them.

    Args:
        skip: called with each folder in them whose files are left out.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            files.append(path)
            continue
        listing = find_midi_files(LocalFolder(str(path)))
        files += [path / name for name in listing.names]
        for folder in listing.skipped:
            skip(folder._replace(name=str(path / folder.name)))
    return files


def read_melodies(
    files: Iterable[Path | str],
    *,
    polyphony: str = "skyline",
    bar: int | None = None,
    track: str | int | None = None,
) -> Iterator[tuple[Path, FoundMelody | MidiError]]:
    """The melody of each file, or the error that says why it has none.

    Args:
        polyphony, bar, track: see :func:`melodyconstraints.melody.midi.selection.read_melody`.
    """
    for file in map(Path, files):
        try:
            yield file, read_melody(file, polyphony=polyphony, bar=bar, track=track)
        except MidiError as error:
            yield file, error


def folder_melodies(
    folder: Path | str, announce: Callable[[str], object] | None = None
) -> Melodies:
    """The melodies of a folder's MIDI files.

    Args:
        announce: called with the reason why a file has none, or a folder is skipped.

    Raises:
        UsageError: no file holds a melody.
    """
    announce = announce or (lambda line: None)
    files = midi_files([Path(folder)], lambda skipped: announce(f"passed over: {skipped}"))
    melodies = []
    for _, found in read_melodies(files):
        if isinstance(found, FoundMelody):
            melodies.append(found.melody)
        else:
            announce(printable(f"passed over: {found}"))
    if not melodies:
        raise UsageError(f"{folder} holds no MIDI file with a melody")
    return Melodies.stack(melodies)
