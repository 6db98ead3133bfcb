"""What commands that read a user's MIDI files have in common."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import Command
from melodyconstraints.storage.text import printable

if TYPE_CHECKING:
    from melodyconstraints.melody.midi.selection import FoundMelody

MIDI_PATH = click.Path(path_type=Path, exists=True)
MIDI_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
polyphony_option = click.option(
    "--polyphony",
    type=click.Choice(["skyline", "onset"]),
    default="skyline",
    show_default=True,
    help="Of chords: the highest sounding note at every step, or the highest that starts.",
)


def choice_options(command: Command) -> Command:
    """``--bar``, ``--track`` and ``--polyphony``: which 16 bars of a file."""
    options = (
        click.option(
            "--bar",
            type=click.IntRange(1),
            help="Take 16 bars from this one on, as your DAW counts.  [default: the best]",
        ),
        click.option(
            "--track", help="Take this track: its name or number.  [default: the melody's]"
        ),
        polyphony_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def midi_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, folders as the MIDI files in them."""
    from melodyconstraints.datasets.melodies.files import LocalFolder, find_midi_files

    files: list[Path] = []
    for path in paths:
        names = find_midi_files(LocalFolder(str(path))) if path.is_dir() else [""]
        files += [path / name for name in names]
    return files


def read_melodies(
    files: Iterable[Path],
    polyphony: str,
    bar: int | None,
    track: str | None,
    *,
    told: bool = False,
) -> tuple[list[tuple[Path, FoundMelody]], int]:
    """The melodies of files, and how many files have none; of those, stderr says why.

    Args:
        told: say on stderr, in one line a file, what was taken.
    """
    from melodyconstraints.errors import MidiError
    from melodyconstraints.melody.midi.selection import read_melody

    found, failed = [], 0
    for file in files:
        try:
            melody = read_melody(file, polyphony=polyphony, bar=bar, track=track)
        except MidiError as error:
            click.echo(f"Error: {printable(str(error))}", err=True)
            failed += 1
            continue
        found.append((file, melody))
        if told:
            tell(file, melody)
    return found, failed


def tell(file: Path, found: FoundMelody) -> None:
    """Say on stderr, in one line, what was taken."""
    click.echo(f"{printable(str(file))}: {printable(found.place)}", err=True)
