"""Folders that commands write: MIDI files, piano rolls, and a manifest by which they know them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from melodyconstraints.storage.files import REPLACE, check_writable, write_atomically
from melodyconstraints.storage.text import json_text

MIDI_SUFFIXES = {".mid", ".midi"}
"""Suffixes of MIDI files that are written."""
_NO_FOLDERS = {*MIDI_SUFFIXES, ".musicxml", ".dawproject"}
"""Endings that no new folder's name has: a file was meant."""
MANIFEST = "manifest.json"
PICTURE = "melodies.png"
PICTURES = "melodies*.png"
"""Pattern of the pictures of a run, which are several where there are many melodies."""

plot_option = click.option("--plot", is_flag=True, help="Write piano rolls beside the MIDI files.")
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace what an earlier run left in OUTPUT."
)


def earlier_run(output: Path, overwrite: bool, entries: str = "melodies") -> list[Path]:
    """Find what an earlier run left in a folder and may be replaced; refuse one of other files.

    A folder that cannot be written to is refused as well, before any work.

    Nothing is removed until there is something new to write.

    Args:
        entries: key of the manifest's list of what was made.
    """
    if output.suffix.lower() in _NO_FOLDERS and not output.is_dir():
        raise click.UsageError(f"OUTPUT is a folder, got {output}; leave out {output.suffix}")
    if output.exists() and not output.is_dir():
        raise click.UsageError(f"OUTPUT is a folder, and {output} is a file; choose another")
    check_writable(output)
    if not output.is_dir() or not any(output.iterdir()):
        return []
    try:
        manifest = json.loads((output / MANIFEST).read_text(encoding="utf-8"))
        names = [name for entry in manifest[entries] for name in _files(entry)]
        files = [output / Path(name).name for name in [*names, *manifest.get("beside", [])]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"{output} holds other files; choose an empty or new folder"
        raise click.UsageError(message) from error
    if not overwrite:
        raise click.UsageError(f"{output} holds an earlier run; {REPLACE}")
    return [*files, *output.glob(PICTURES), output / MANIFEST]


def _files(entry: dict[str, Any]) -> list[str]:
    """The files of an entry of a manifest; it may have an original and a picture of its own."""
    return [entry["file"], *(entry[key] for key in ("original", "picture") if key in entry)]


def earlier_files(written: Iterable[Path], overwrite: bool) -> list[Path]:
    """Find the files to be written that are there already and may be replaced.

    Files that cannot be written are refused, before any work.
    """
    written = list(written)
    for path in written:
        check_writable(path)
    existing = [path for path in written if path.exists()]
    if existing and not overwrite:
        raise click.UsageError(f"{existing[0]} exists; {REPLACE}")
    return existing


def check_inputs(inputs: Iterable[Path], replaced: Iterable[Path]) -> None:
    """Refuse to replace a file that is read, by whatever name."""
    gone = [path for path in replaced if path.exists()]
    for path in inputs:
        if any(path.samefile(other) for other in gone):
            raise click.UsageError(f"{path} is an input; choose another OUTPUT")


def remove_earlier(earlier: Iterable[Path], written: Iterable[Path]) -> None:
    """Remove the files of an earlier run that will not be written again, but for its manifest."""
    for path in set(earlier) - set(written):
        if path.name != MANIFEST:
            path.unlink(missing_ok=True)


def write_manifest(output: Path, facts: dict[str, Any]) -> None:
    """Say how the folder's melodies were made; ``melodies`` names their files.

    ``beside`` names what is written beside those. The manifest is written before them: a later
    run knows by it what a run that failed has left.
    """
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(output / MANIFEST, (json_text(facts) + "\n").encode(), durable=False)
