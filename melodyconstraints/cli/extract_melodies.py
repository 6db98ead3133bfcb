"""``mc extract-melodies``."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import (
    FOLDER,
    Command,
    json_option,
    print_json,
    print_table,
    progress_bar,
    resume_hint,
    stderr_console,
)
from melodyconstraints.datasets.melodies.extract_store import (
    Callback,
    Engine,
    LocalEngine,
    Progress,
    extract_store,
)
from melodyconstraints.datasets.melodies.extraction import FileLimits
from melodyconstraints.datasets.melodies.hashing import KEYS
from melodyconstraints.datasets.melodies.ledger import ExtractionSummary
from melodyconstraints.datasets.melodies.store import FOLDERS
from melodyconstraints.melody.midi.windows import WindowSettings
from melodyconstraints.melody.quantising import POLYPHONY
from melodyconstraints.storage.machine import processors
from melodyconstraints.storage.text import counted, printable, shortened

if TYPE_CHECKING:
    from rich.progress import Progress as ProgressBar

MEGABYTE = 2**20
_MOST_LISTED = 20
"""Folders that are named on stderr; more are in the store's ledger only."""
_SETTINGS = WindowSettings()
_LIMITS = FileLimits()


def _setting(name: str, kind: Any, text: str) -> Callable[[Command], Command]:
    """An option for a field of :class:`WindowSettings`, with the field's default."""
    return click.option(
        "--" + name.replace("_", "-"),
        type=kind,
        default=getattr(_SETTINGS, name),
        show_default=True,
        help=text,
    )


@click.command("extract-melodies")
@click.argument("midi_dir")
@click.option("-o", "--output", type=FOLDER, default=Path("melodies"), show_default=True)
@click.option(
    "--jobs",
    type=click.IntRange(0),
    default=processors(),
    show_default=True,
    help="Worker processes; 0 works in this one, where a crash is a crash.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="ray: on all machines of a Ray cluster (pip install 'melodyconstraints[ray]').",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out files whose path below MIDI_DIR matches. May be given several times.",
)
@_setting(
    "polyphony",
    click.Choice(list(POLYPHONY)),
    "skyline: the highest sounding note; onset: the highest of those that start together.",
)
@click.option(
    "--unique",
    type=click.Choice(list(KEYS)),
    default="exact",
    show_default=True,
    help="Keep one of equal melodies; transposed: also of those in another key; none: keep all.",
)
@_setting("min_notes", click.IntRange(1), "Fewest notes in the 16 bars.")
@_setting("min_pitches", click.IntRange(1), "Fewest different pitches.")
@_setting("max_silence_steps", click.IntRange(0), "Longest silence, in sixteenths.")
@_setting("lowest", click.IntRange(0, 127), "Lowest MIDI pitch.")
@_setting("highest", click.IntRange(0, 127), "Highest MIDI pitch.")
@_setting("max_span", click.IntRange(0, 127), "Most semitones from lowest to highest note.")
@_setting(
    "max_off_grid",
    click.FloatRange(0, 1),
    "Largest share of onsets moved by more than a 64th, as in triplets; 1 leaves none out.",
)
@_setting("max_windows", click.IntRange(1), "Most windows of one file, spread over it.")
@click.option(
    "--max-notes",
    type=click.IntRange(1),
    default=_LIMITS.max_notes,
    show_default=True,
    help="Most notes of one file.",
)
@click.option(
    "--max-size",
    type=click.IntRange(1),
    default=_LIMITS.max_bytes // MEGABYTE,
    show_default=True,
    help="Longest file, in megabytes.",
)
@click.option(
    "--max-memory",
    type=click.IntRange(1),
    default=_LIMITS.memory_bytes // MEGABYTE,
    show_default=True,
    help="Most memory that one file may take, in megabytes.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(0, min_open=True),
    default=_LIMITS.seconds,
    show_default=True,
    help="Longest time that one file may take.",
)
@click.option("--resume", is_flag=True, help="Go on where a run was stopped.")
@click.option("--overwrite", is_flag=True, help="Replace a melody store at OUTPUT.")
@json_option
def command(
    midi_dir: str,
    output: Path,
    jobs: int,
    engine: str,
    exclude: tuple[str, ...],
    unique: str,
    max_notes: int,
    max_size: int,
    max_memory: int,
    max_seconds: float,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Extract every unique 16-bar melody below MIDI_DIR into a store of Parquet files.

    \b
    mc extract-melodies midi_dir/ -o melodies/
    mc extract-melodies midi_dir/ -o melodies/ --resume

    MIDI_DIR is a folder, or one of an object store, such as s3://bucket/midi. A file that cannot
    be read, or takes too much, costs a line in OUTPUT/rejected.jsonl. A run that was stopped goes
    on with --resume.
    """  # noqa: D301 (click wants the character)
    limits = FileLimits(
        seconds=max_seconds,
        memory_bytes=max_memory * MEGABYTE,
        max_bytes=max_size * MEGABYTE,
        max_notes=max_notes,
    )
    # The bar starts with the first report: before its thread runs, workers start at once.
    bar = progress_bar("files", per_second=True)
    with ExitStack() as stack, resume_hint():
        stack.callback(bar.stop)
        summary = extract_store(
            midi_dir,
            output,
            WindowSettings(**settings),
            unique=unique,
            limits=limits,
            exclude=exclude,
            engine=_engine(engine, jobs),
            resume=resume,
            overwrite=overwrite,
            callback=_display_on(bar),
        )
    if as_json:
        print_json(summary.as_dict())
    else:
        _print(summary)
    _say_skipped(output)
    _say_result(summary, output)


def _say_result(summary: ExtractionSummary, output: Path) -> None:
    """Say on stderr how many melodies there are, and how far rounding has moved them."""
    if summary.off_grid:
        share = summary.off_grid / summary.onsets
        stderr_console().print(
            f"{share:.1%} of the onsets moved by more than a 64th (--max-off-grid)"
        )
    melodies = counted(summary.melodies, "melody", "melodies")
    stderr_console().print(f"{melodies} of {counted(summary.tunes, 'tune', 'tunes')} in {output}")


def _display_on(bar: ProgressBar) -> Callback:
    """A callback that shows the files read, then the parts written, on a progress bar."""
    task = bar.add_task("", total=None)

    def show(progress: Progress) -> None:
        bar.start()
        if progress.stage == "reading":
            bar.update(
                task, completed=progress.done, total=progress.total, resumed=progress.resumed
            )
        else:
            bar.update(task, description=f"part {progress.done} of {progress.total}")

    return show


def _engine(name: str, jobs: int) -> Engine:
    if name == "local":
        return LocalEngine(jobs)
    from melodyconstraints.datasets.melodies.ray_engine import RayEngine

    return RayEngine(jobs)


def _say_skipped(store: Path) -> None:
    """Say on stderr, in a line each, which folders were left out."""
    ledger = store / FOLDERS
    lines = ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []
    for line in lines[:_MOST_LISTED]:
        folder = json.loads(line)
        name = shortened(printable(folder["folder"]))
        stderr_console().print(f"{name}: {folder['detail']}", soft_wrap=True)
    if len(lines) > _MOST_LISTED:
        stderr_console().print(f"{len(lines) - _MOST_LISTED} more folders in {ledger}")


def _print(summary: ExtractionSummary) -> None:
    files = [("accepted", summary.accepted), *summary.reasons.most_common()]
    if summary.recovered:
        files.append(("of all these, read by mido, the fallback reader", summary.recovered))
    if summary.unlisted_folders:
        files.append(("folders that cannot be listed", summary.unlisted_folders))
    if summary.linked_folders:
        files.append(("links to folders, not followed", summary.linked_folders))
    print_table(
        ["files", f"{summary.files:,}"], [(str(name), f"{count:,}") for name, count in files]
    )
    windows = [("melodies", summary.melodies), *summary.dropped_windows.most_common()]
    total = sum(count for _, count in windows)
    print_table(
        ["16-bar windows", f"{total:,}"], [(str(name), f"{count:,}") for name, count in windows]
    )
