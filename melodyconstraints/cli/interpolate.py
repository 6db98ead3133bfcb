"""``mc interpolate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from melodyconstraints.cli._common import (
    FOLDER,
    likeliest_option,
    model_option,
    print_table,
    seed_option,
)
from melodyconstraints.cli._inputs import MIDI_FILE, polyphony_option, tell
from melodyconstraints.cli._output import (
    PICTURE,
    check_inputs,
    earlier_run,
    overwrite_option,
    plot_option,
    write_manifest,
)

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.melody.midi.selection import FoundMelody

Value = TypeVar("Value")


@click.command("interpolate")
@click.argument("start", type=MIDI_FILE, metavar="A.mid")
@click.argument("end", type=MIDI_FILE, metavar="B.mid")
@click.option(
    "-n",
    "count",
    type=click.IntRange(2),
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
@click.option(
    "--tempo",
    type=click.FloatRange(10, 1000),
    help="Quarter notes a minute.  [default: from A's to B's]",
)
@click.option(
    "--program",
    type=click.IntRange(0, 127),
    help="General MIDI instrument.  [default: A's, in the second half B's]",
)
@likeliest_option
@seed_option
@plot_option
@overwrite_option
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
    temperature: float,
    seed: int,
    plot: bool,
    overwrite: bool,
) -> None:
    """Write melodies on the way from A to B as MIDI files, and print how like both they are.

    \b
    mc interpolate a.mid b.mid -n 8 -o between/ --plot

    Of each file the 16 bars are taken that are most a melody; --bar and --track choose others. The
    first step is what the model makes of A, the last what it makes of B.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.melody.midi.selection import read_melody
    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.workflows.interpolate import interpolate

    earlier = earlier_run(output, overwrite)
    check_inputs([start, end], earlier)
    ends = []
    for file, bar, track in zip(
        (start, end), _both("--bar", bars), _both("--track", tracks), strict=True
    ):
        ends.append(read_melody(file, polyphony=polyphony, bar=bar, track=track))
        tell(file, ends[-1])
    model = load_model(model_folder)
    first, last = ends
    melodies = interpolate(
        model, first.melody, last.melody, count, temperature=temperature, seed=seed
    )
    for path in earlier:
        path.unlink(missing_ok=True)
    steps = write(first, last, melodies, output, tempo=tempo, program=program)
    whole = {
        "model": model.fingerprint,
        "seed": seed,
        "temperature": temperature,
        "from": {"source": str(start), "track": first.track, "bars": _bars(first)},
        "to": {"source": str(end), "track": last.track, "bars": _bars(last)},
        "melodies": steps,
    }
    write_manifest(output, whole)
    if plot:
        _plot(first, last, melodies, steps, output / PICTURE)
    _print(steps)


def _both(option: str, values: tuple[Value, ...]) -> tuple[Value | None, Value | None]:
    """One value for A and B, or one for each."""
    if len(values) > 2:
        raise click.UsageError(f"give {option} once for both files, or twice, got {len(values)}")
    return (values[0], values[-1]) if values else (None, None)


def _bars(found: FoundMelody) -> list[int]:
    return [found.first_bar, found.last_bar]


def write(
    first: FoundMelody,
    last: FoundMelody,
    melodies: Melodies,
    output: Path,
    *,
    tempo: float | None,
    program: int | None,
) -> list[dict[str, Any]]:
    """The MIDI files; returns what the manifest says of them."""
    from melodyconstraints.melody.metrics.agreement import agreement
    from melodyconstraints.melody.midi.writing import write_melody

    output.mkdir(parents=True, exist_ok=True)
    steps = []
    digits = max(3, len(str(len(melodies))))
    for index, melody in enumerate(melodies):
        weight = index / (len(melodies) - 1)
        name = f"step-{index + 1:0{digits}d}"
        played = tempo or (1 - weight) * first.tempo + weight * last.tempo
        nearer = first if weight < 0.5 else last
        instrument = nearer.program if program is None else program
        write_melody(melody, output / f"{name}.mid", tempo=played, program=instrument, name=name)
        steps.append(
            {
                "file": f"{name}.mid",
                "weight": weight,
                "tempo": round(played, 3),
                "program": instrument,
                "notes": len(melody),
                "like_a": agreement(first.melody, melody).as_dict(),
                "like_b": agreement(last.melody, melody).as_dict(),
            }
        )
    return steps


def _plot(
    first: FoundMelody,
    last: FoundMelody,
    melodies: Melodies,
    steps: list[dict[str, Any]],
    path: Path,
) -> None:
    """Piano rolls: A, what is between, B."""
    from melodyconstraints.melody.plots import plot_melodies

    titles = [f"A, {len(first.melody)} notes"]
    titles += [f"{Path(step['file']).stem}, {step['notes']} notes" for step in steps]
    titles += [f"B, {len(last.melody)} notes"]
    plot_melodies([first.melody, *melodies, last.melody], path, titles=titles)


def _print(steps: list[dict[str, Any]]) -> None:
    print_table(
        ["file", "weight", "tempo", "notes", "events as in A", "as in B"],
        [
            [
                step["file"],
                f"{step['weight']:.2f}",
                f"{step['tempo']:.0f}",
                str(step["notes"]),
                f"{step['like_a']['events']:.1%}",
                f"{step['like_b']['events']:.1%}",
            ]
            for step in steps
        ],
    )
