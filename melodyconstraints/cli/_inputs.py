"""Options and helpers of commands that read a user's MIDI files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import option_group
from melodyconstraints.storage.text import printable, shortened, unicode_name

if TYPE_CHECKING:
    from melodyconstraints.datasets.melodies.files import SkippedFolder
    from melodyconstraints.melody.midi.selection import FoundMelody

_LONGEST_LINE = 300
"""Characters of a line on stderr, which may name a path of thousands."""
MIDI_PATH = click.Path(path_type=Path, exists=True)
MIDI_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
polyphony_option = click.option(
    "--polyphony",
    type=click.Choice(["skyline", "onset"]),
    default="skyline",
    show_default=True,
    help="Notes taken of chords: the highest sounding at every step, or the highest that starts.",
)


choice_options = option_group(
    "choice",
    dict,
    {
        "bar": click.option(
            "--bar",
            type=click.IntRange(1),
            help="Take 16 bars from this one on, as your DAW counts.  [default: the best]",
        ),
        "track": click.option(
            "--track", help="Take this track: its name or number.  [default: the melody's]"
        ),
        "polyphony": polyphony_option,
    },
)
"""Options of which 16 bars of a file, handed over as ``choice``, keywords of ``read_melody``."""


class BarsType(click.ParamType[frozenset[int]]):
    """``1-4,9`` as a set of bars."""

    name = "bars"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[int]:
        """Parse, or fail with what is wanted."""
        from melodyconstraints.melody.units import BARS

        if isinstance(value, frozenset):
            return value
        bars: set[int] = set()
        for part in str(value).split(","):
            match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
            if not 1 <= first <= last <= BARS:
                self.fail(f"{value!r}: write bars from 1 to {BARS} such as 1-4,9", param, ctx)
            bars.update(range(first, last + 1))
        if len(bars) == BARS:
            self.fail(f"{value!r} keeps every bar: nothing is left to change", param, ctx)
        return frozenset(bars)


keep_bars_option = click.option(
    "--keep-bars",
    type=BarsType(),
    default=frozenset(),
    help="Bars of the 16, counted from 1, that stay note for note, such as 1-4,9.",
)


def files_of(paths: Iterable[Path]) -> tuple[list[Path], int]:
    """Files as they are, folders as the MIDI files in them, and how many folders are unreadable.

    Of each folder that is left out, stderr says so in a line.
    """
    from melodyconstraints.workflows.read_melodies import midi_files

    skipped: list[SkippedFolder] = []
    files = midi_files(paths, skipped.append)
    for folder in skipped:
        click.echo(f"{'Note' if folder.is_link else 'Error'}: {folder}", err=True)
    return files, sum(not folder.is_link for folder in skipped)


def stem_of(file: Path) -> str:
    """A file's name, as text, without the suffixes: ``song`` of ``song.mid.gz``."""
    return Path(unicode_name(file.name).removesuffix(".gz")).stem


def melodies_of(
    files: Iterable[Path], choice: Mapping[str, Any], *, report: bool = False
) -> tuple[list[tuple[Path, FoundMelody]], int]:
    """The melodies of files, and how many files have none; of those, stderr says why.

    Args:
        report: whether to say on stderr, in one line a file, what was taken.
    """
    from melodyconstraints.errors import MidiError
    from melodyconstraints.workflows.read_melodies import read_melodies

    melodies, failed = [], 0
    for file, found in read_melodies(files, **choice):
        if isinstance(found, MidiError):
            click.echo(f"Error: {shortened(printable(str(found)), _LONGEST_LINE)}", err=True)
            failed += 1
            continue
        melodies.append((file, found))
        if report:
            say_what_was_taken(file, found)
    return melodies, failed


def say_what_was_taken(file: Path, found: FoundMelody) -> None:
    """Say on stderr, in one line, what was taken."""
    place = shortened(printable(found.place), _LONGEST_LINE)
    click.echo(f"{printable(str(file))}: {place}", err=True)
