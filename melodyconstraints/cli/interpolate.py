"""``mc interpolate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from melodyconstraints.cli._common import (
    FOLDER,
    count_option,
    json_option,
    likeliest_options,
    model_option,
    print_json,
    print_table,
    tempo_option,
)
from melodyconstraints.cli._inputs import MIDI_FILE, polyphony_option, say_what_was_taken
from melodyconstraints.cli._midi_results import (
    Export,
    MidiResult,
    export_options,
    numbered,
    write_run,
)
from melodyconstraints.cli._output import (
    check_inputs,
    earlier_run,
    overwrite_option,
    plot_option,
)

if TYPE_CHECKING:
    from melodyconstraints.melody.midi.selection import FoundMelody
    from melodyconstraints.melody.vae.sampling import SamplingOptions
    from melodyconstraints.workflows.interpolate import Step

Value = TypeVar("Value")


@click.command("interpolate")
@click.argument("start", type=MIDI_FILE, metavar="A.mid")
@click.argument("end", type=MIDI_FILE, metavar="B.mid")
@count_option(
    "-n",
    "count",
    least=2,
    default=8,
    show_default=True,
    help="Steps, A and B included.",
)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder to make.")
@model_option
@click.option(
    "--bar",
    "bars",
    type=click.IntRange(1),
    multiple=True,
    help="Take 16 bars from this one on; given twice, of A and of B.  [default: the best]",
)
@click.option(
    "--track",
    "tracks",
    multiple=True,
    help="Take this track, name or number; given twice, of A and of B.  [default: the melody's]",
)
@polyphony_option
@tempo_option(help="Quarter notes a minute.  [default: from A's to B's]")
@click.option(
    "--program",
    type=click.IntRange(0, 127),
    help="General MIDI instrument.  [default: A's, in the second half B's]",
)
@likeliest_options
@plot_option
@export_options
@overwrite_option
@json_option
def command(
    start: Path,
    end: Path,
    count: int,
    output: Path,
    model_folder: Path | None,
    bars: tuple[int, ...],
    tracks: tuple[str, ...],
    polyphony: str,
    tempo: float | None,
    program: int | None,
    sampling: SamplingOptions,
    plot: bool,
    export: Export,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write melodies on the way from A to B as MIDI files, and print how like both they are.

    \b
    mc interpolate a.mid b.mid -n 8 -o between/ --plot

    The 16 bars most likely to be a file's melody are used; --bar and --track choose others. The
    first step is what the model makes of A, the last what it makes of B.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.melody.midi.selection import read_melody

    earlier = earlier_run(output, overwrite)
    check_inputs([start, end], earlier)
    ends = []
    for file, bar, track in zip(
        (start, end), _both("--bar", bars), _both("--track", tracks), strict=True
    ):
        ends.append(read_melody(file, polyphony=polyphony, bar=bar, track=track))
        say_what_was_taken(file, ends[-1])
    first, last = ends

    from melodyconstraints.workflows.interpolate import interpolate_files
    from melodyconstraints.workflows.models import load_model

    model = load_model(model_folder)
    steps = interpolate_files(model, first, last, count, tempo=tempo, program=program, **sampling)
    paths = [*numbered(output, "step", count)]
    results = _results(first, last, steps, paths)
    entries = [_entry(step, path) for step, path in zip(steps, paths, strict=True)]
    facts = {
        "model": model.fingerprint,
        **sampling,
        "from": {"source": str(start), "track": first.track, "bars": _bars(first)},
        "to": {"source": str(end), "track": last.track, "bars": _bars(last)},
    }
    whole = write_run(results, entries, output, facts, export, earlier=earlier, plot=plot)
    if as_json:
        print_json(whole)
    else:
        _print(entries)


def _both(option: str, values: tuple[Value, ...]) -> tuple[Value | None, Value | None]:
    """One value for A and B, or one for each."""
    if len(values) > 2:
        raise click.UsageError(f"give {option} once for both files, or twice, got {len(values)}")
    return (values[0], values[-1]) if values else (None, None)


def _bars(found: FoundMelody) -> list[int]:
    return [found.first_bar, found.last_bar]


def _results(
    first: FoundMelody, last: FoundMelody, steps: Sequence[Step], paths: Sequence[Path]
) -> list[MidiResult]:
    """A and B, which are drawn, and the steps between them, which are written too."""
    return [
        MidiResult(first.melody, None, f"A, {len(first.melody)} notes"),
        *(
            MidiResult(
                step.melody,
                path,
                f"{path.stem}, {len(step.melody)} notes",
                tempo=step.tempo,
                program=step.program,
            )
            for step, path in zip(steps, paths, strict=True)
        ),
        MidiResult(last.melody, None, f"B, {len(last.melody)} notes"),
    ]


def _entry(step: Step, path: Path) -> dict[str, Any]:
    """Entry of a step in the manifest."""
    return {
        "file": path.name,
        "weight": step.weight,
        "tempo": round(step.tempo, 3),
        "program": step.program,
        "notes": len(step.melody),
        "like_a": step.like_start.as_dict(),
        "like_b": step.like_end.as_dict(),
    }


def _print(entries: list[dict[str, Any]]) -> None:
    print_table(
        ["file", "weight", "tempo", "notes", "events as in A", "as in B"],
        [
            [
                entry["file"],
                f"{entry['weight']:.2f}",
                f"{entry['tempo']:.0f}",
                str(entry["notes"]),
                f"{entry['like_a']['events']:.1%}",
                f"{entry['like_b']['events']:.1%}",
            ]
            for entry in entries
        ],
    )
