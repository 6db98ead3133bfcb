"""``mc reconstruct``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import (
    json_option,
    likeliest_option,
    model_option,
    print_json,
    print_table,
    seed_option,
)
from melodyconstraints.cli._inputs import MIDI_PATH, choice_options, midi_files, read_melodies
from melodyconstraints.cli._output import (
    check_inputs,
    earlier_files,
    earlier_run,
    overwrite_option,
    plot_option,
    write_manifest,
)
from melodyconstraints.storage.text import printable

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.melody.midi.selection import FoundMelody
    from melodyconstraints.melody.vae.model import MelodyVAE

RECONSTRUCTED = "reconstructed"
_MIDI_SUFFIXES = {".mid", ".midi"}


@click.command("reconstruct")
@click.argument("paths", type=MIDI_PATH, nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="A folder to make; or, for one input, a MIDI file (.mid).",
)
@model_option
@choice_options
@click.option(
    "--variations",
    type=click.IntRange(1),
    help="Write so many melodies near each one instead: draws from its posterior.",
)
@likeliest_option
@seed_option
@plot_option
@overwrite_option
@json_option
def command(
    paths: tuple[Path, ...],
    output: Path,
    model_folder: Path | None,
    bar: int | None,
    track: str | None,
    polyphony: str,
    variations: int | None,
    temperature: float,
    seed: int,
    plot: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Encode the melodies of MIDI files and folders, decode them, and compare.

    \b
    mc reconstruct song.mid -o again.mid
    mc reconstruct song.mid tunes/ -o out/ --plot
    mc reconstruct song.mid -o out/ --variations 4

    Of each file the 16 bars are taken that are most a melody; --bar and --track choose others.
    They are written as well, as ...-original.mid, to be compared in a DAW.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.melody.vae.checkpoint import load_model

    files = list(dict.fromkeys(midi_files(paths)))
    targets = _targets(files, output, variations)
    written = [path for target in targets.values() for path in target.midi]
    written += [target.picture for target in targets.values() if plot]
    earlier = (
        earlier_files(written, overwrite) if _is_midi(output) else earlier_run(output, overwrite)
    )
    check_inputs(files, [*earlier, *written])
    melodies, failed = read_melodies(files, polyphony, bar, track, told=True)
    if melodies:
        model = load_model(model_folder)
        decoded = [_decode(model, found, variations, temperature, seed) for _, found in melodies]
        for path in earlier:
            path.unlink(missing_ok=True)
        rows = [
            row
            for (file, found), results in zip(melodies, decoded, strict=True)
            for row in _write(file, found, results, targets[file], plot=plot)
        ]
        facts = {"seed": seed, "temperature": temperature, "variations": variations}
        whole = {"model": model.fingerprint, **facts, "melodies": rows}
        if not _is_midi(output):
            write_manifest(output, whole)
        if as_json:
            print_json(whole | {"failed": failed})
        else:
            _print(rows)
    if failed:
        click.get_current_context().exit(1)


@dataclass(frozen=True)
class _Target:
    """Where the melody of one input goes, and what is made of it, by its kind."""

    original: Path
    results: dict[str, Path]
    picture: Path

    @property
    def midi(self) -> list[Path]:
        return [self.original, *self.results.values()]


def _is_midi(output: Path) -> bool:
    return output.suffix.lower() in _MIDI_SUFFIXES and not output.is_dir()


def _targets(files: Sequence[Path], output: Path, variations: int | None) -> dict[Path, _Target]:
    if _is_midi(output):
        if len(files) > 1 or variations:
            raise click.UsageError(f"{output} holds one melody; give a folder for more")
        original = output.with_stem(f"{output.stem}-original")
        return {files[0]: _Target(original, {RECONSTRUCTED: output}, output.with_suffix(".png"))}
    kinds = [f"variation-{number:03d}" for number in range(1, (variations or 0) + 1)]
    return {
        file: _Target(
            output / f"{name}-original.mid",
            {kind: output / f"{name}-{kind}.mid" for kind in kinds or [RECONSTRUCTED]},
            output / f"{name}.png",
        )
        for file, name in zip(files, _distinct([file.stem for file in files]), strict=True)
    }


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where one recurs, in any case: ``song``, ``song-2``."""
    found: dict[str, str] = {}
    for name in names:
        number, candidate = 1, name
        while candidate.casefold() in found:
            number += 1
            candidate = f"{name}-{number}"
        found[candidate.casefold()] = candidate
    return list(found.values())


def _decode(
    model: MelodyVAE, found: FoundMelody, variations: int | None, temperature: float, seed: int
) -> Melodies:
    from melodyconstraints.workflows.reconstruct import reconstruct, vary

    if variations is None:
        return reconstruct(model, [found.melody], temperature=temperature, seed=seed)
    return vary(model, found.melody, variations, temperature=temperature, seed=seed)


def _write(
    file: Path, found: FoundMelody, results: Melodies, target: _Target, *, plot: bool
) -> list[dict[str, Any]]:
    """MIDI files and, if asked for, the picture; returns what the manifest says of them."""
    from melodyconstraints.melody.metrics.agreement import agreement
    from melodyconstraints.melody.midi.writing import write_melody
    from melodyconstraints.melody.plots import plot_melodies

    target.original.parent.mkdir(parents=True, exist_ok=True)
    melodies = [found.melody, *results]
    for melody, path in zip(melodies, target.midi, strict=True):
        write_melody(melody, path, tempo=found.tempo, program=found.program, name=path.stem)
    source = {
        "source": str(file),
        "track": found.track,
        "bars": [found.first_bar, found.last_bar],
        "tempo": round(found.tempo, 3),
        "program": found.program,
        "original": target.original.name,
        "notes_in": len(found.melody),
    }
    if plot:
        source["picture"] = target.picture.name
    rows = [
        {"file": path.name, **source, "notes_out": len(melody)}
        | agreement(found.melody, melody).as_dict()
        for path, melody in zip(target.results.values(), results, strict=True)
    ]
    if plot:
        titles = [f"original, {len(found.melody)} notes"]
        titles += [
            f"{kind}, {row['notes_out']} notes, onset F1 {row['onset_f1']:.2f}"
            for kind, row in zip(target.results, rows, strict=True)
        ]
        plot_melodies(melodies, target.picture, titles=titles)
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    print_table(
        ["file", "notes in", "notes out", "events", "onset F1", "pitch classes"],
        [
            [
                printable(row["file"]),
                str(row["notes_in"]),
                str(row["notes_out"]),
                f"{row['events']:.1%}",
                f"{row['onset_f1']:.3f}",
                f"{row['pitch_classes']:.1%}",
            ]
            for row in rows
        ],
    )
