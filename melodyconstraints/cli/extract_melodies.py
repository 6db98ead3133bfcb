"""``mc extract-melodies``."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import click

from melodyconstraints.cli.common import (
    FOLDER,
    json_option,
    print_json,
    print_table,
    progress_bar,
    talk,
)
from melodyconstraints.datasets.extraction import ExtractionSummary, extract_melodies
from melodyconstraints.datasets.windows import WindowSettings

_DEFAULTS = {field.name: field.default for field in fields(WindowSettings)}


@click.command("extract-melodies")
@click.argument("midi_dir", type=FOLDER)
@click.option("-o", "--output", type=FOLDER, default=Path("melodies"), show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out files whose path below MIDI_DIR matches. May be given several times.",
)
@click.option(
    "--polyphony",
    type=click.Choice(["skyline", "onset"]),
    default=_DEFAULTS["polyphony"],
    show_default=True,
    help="skyline: the highest sounding note; onset: the highest of those that start together.",
)
@click.option(
    "--min-notes",
    type=click.IntRange(1),
    default=_DEFAULTS["min_notes"],
    show_default=True,
    help="Fewest notes in the 16 bars.",
)
@click.option(
    "--min-pitches",
    type=click.IntRange(1),
    default=_DEFAULTS["min_pitches"],
    show_default=True,
    help="Fewest different pitches.",
)
@click.option(
    "--max-span",
    type=click.IntRange(0, 127),
    default=_DEFAULTS["max_span"],
    show_default=True,
    help="Most semitones from the lowest to the highest note.",
)
@click.option("--overwrite", is_flag=True, help="Replace a melody store at OUTPUT.")
@json_option
def command(
    midi_dir: Path,
    output: Path,
    jobs: int,
    exclude: tuple[str, ...],
    polyphony: str,
    min_notes: int,
    min_pitches: int,
    max_span: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Extract every unique 16-bar melody below MIDI_DIR into a store of Parquet files."""
    settings = WindowSettings(
        polyphony=polyphony, min_notes=min_notes, min_pitches=min_pitches, max_span=max_span
    )
    with progress_bar("files") as bar:
        task = bar.add_task("extracting", total=None)

        def show(summary: ExtractionSummary, total: int) -> None:
            bar.update(task, completed=summary.files, total=total)

        summary = extract_melodies(
            midi_dir,
            output,
            settings,
            jobs=jobs,
            exclude=exclude,
            overwrite=overwrite,
            callback=show,
        )
    if as_json:
        print_json(summary.as_dict())
    else:
        _print(summary)
    talk().print(f"{summary.melodies:,} melodies in {output}")


def _print(summary: ExtractionSummary) -> None:
    files = [("accepted", summary.accepted), *summary.reasons.most_common()]
    print_table(
        ["files", f"{summary.files:,}"], [(str(name), f"{count:,}") for name, count in files]
    )
    windows = [("melodies", summary.melodies), *summary.dropped_windows.most_common()]
    total = sum(count for _, count in windows)
    print_table(
        ["16-bar windows", f"{total:,}"], [(str(name), f"{count:,}") for name, count in windows]
    )
