"""``mc reconstruct``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import (
    count_option,
    json_option,
    likeliest_options,
    model_option,
    print_json,
    print_table,
    progress_bar,
)
from melodyconstraints.cli._inputs import (
    MIDI_PATH,
    choice_options,
    files_of,
    melodies_of,
    stem_of,
)
from melodyconstraints.cli._midi_results import (
    Export,
    MidiResult,
    export_options,
    source_facts,
    write_results,
)
from melodyconstraints.cli._output import (
    MIDI_SUFFIXES,
    check_inputs,
    earlier_files,
    earlier_run,
    overwrite_option,
    plot_option,
    remove_earlier,
    write_manifest,
)
from melodyconstraints.storage.text import printable

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.melody.midi.selection import FoundMelody
    from melodyconstraints.melody.vae.model import MelodyVAE
    from melodyconstraints.melody.vae.sampling import SamplingOptions

RECONSTRUCTED = "reconstructed"


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
@count_option(
    "--variations",
    help="Write so many melodies near each one instead: draws from its posterior.",
)
@likeliest_options
@plot_option
@export_options
@overwrite_option
@json_option
def command(
    paths: tuple[Path, ...],
    output: Path,
    model_folder: Path | None,
    choice: dict[str, Any],
    variations: int | None,
    sampling: SamplingOptions,
    plot: bool,
    export: Export,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Encode the melodies of MIDI files and folders, decode them, and compare.

    \b
    mc reconstruct song.mid -o again.mid
    mc reconstruct song.mid tunes/ -o out/ --plot
    mc reconstruct song.mid -o out/ --variations 4

    The 16 bars most likely to be a file's melody are used; --bar and --track choose others.
    They are written as well, as ...-original.mid, to be compared in a DAW.
    """  # noqa: D301 (click wants the character)
    files, unlisted = files_of(paths)
    files = list(dict.fromkeys(files))
    targets = _targets(files, output, variations)
    written = [path for one in targets.values() for path in one.files(plot, export)]
    is_file = _is_midi(output)
    earlier = earlier_files(written, overwrite) if is_file else earlier_run(output, overwrite)
    check_inputs(files, [*earlier, *written])
    melodies, failed = melodies_of(files, choice, report=True)
    failed += unlisted
    if melodies:
        from melodyconstraints.workflows.models import load_model

        model = load_model(model_folder)
        decoded = _decode(model, [found for _, found in melodies], variations, sampling)
        rows = [
            _rows(file, found, results, targets[file], plot=plot)
            for (file, found), results in zip(melodies, decoded, strict=True)
        ]
        beside = [path for one in targets.values() for path in one.beside(export)]
        facts = {"model": model.fingerprint, **sampling, "variations": variations}
        entries = [row for own in rows for row in own]
        whole: dict[str, Any] = {**facts, **export.facts(beside), "melodies": entries}
        if not is_file:
            write_manifest(output, whole)
        remove_earlier(earlier, written)
        shown = [
            (targets[file], _results(found, results, targets[file], own))
            for (file, found), results, own in zip(melodies, decoded, rows, strict=True)
        ]
        _write(shown, export, seed=sampling["seed"] or 0, plot=plot)
        if as_json:
            print_json(whole | {"failed": failed})
        else:
            _print(entries)
    if failed:
        click.get_current_context().exit(1)


@dataclass(frozen=True)
class _Target:
    """Files of one input: its original, the results by their kind, the picture."""

    original: Path
    results: dict[str, Path]
    picture: Path

    @property
    def midi(self) -> list[Path]:
        return [self.original, *self.results.values()]

    def beside(self, export: Export) -> list[Path]:
        return export.beside(self.midi, self.picture)

    def files(self, plot: bool, export: Export) -> list[Path]:
        return [*self.midi, *self.beside(export), *([self.picture] if plot else [])]


def _is_midi(output: Path) -> bool:
    return output.suffix.lower() in MIDI_SUFFIXES and not output.is_dir()


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
        for file, name in zip(files, _distinct(list(map(stem_of, files))), strict=True)
    }


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where one recurs, in any case: ``song``, ``song-2``."""
    taken: dict[str, str] = {}
    for name in names:
        number, candidate = 1, name
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken[candidate.casefold()] = candidate
    return list(taken.values())


def _decode(
    model: MelodyVAE,
    melodies: Sequence[FoundMelody],
    variations: int | None,
    sampling: SamplingOptions,
) -> list[Melodies]:
    """Melodies decoded for each melody, which a bar counts."""
    from melodyconstraints.workflows.reconstruct import reconstruct, vary

    decoded = []
    with progress_bar("melodies decoded", transient=True) as bar:
        task = bar.add_task("", total=len(melodies))
        for found in melodies:
            if variations is None:
                decoded.append(reconstruct(model, [found.melody], **sampling))
            else:
                decoded.append(vary(model, found.melody, variations, **sampling))
            bar.update(task, completed=len(decoded))
    return decoded


def _write(
    results: Sequence[tuple[_Target, Sequence[MidiResult]]],
    export: Export,
    *,
    seed: int,
    plot: bool,
) -> None:
    """Write the files of each melody, which a bar counts."""
    with progress_bar("melodies written", transient=True) as bar:
        task = bar.add_task("", total=len(results))
        for target, own in results:
            write_results(own, target.picture, export, seed=seed, plot=plot)
            bar.advance(task)


def _results(
    found: FoundMelody, results: Melodies, target: _Target, rows: Sequence[dict[str, Any]]
) -> list[MidiResult]:
    """The original and what was decoded for it, as they are written."""
    played: dict[str, Any] = {"tempo": found.tempo, "program": found.program}
    title = f"original, {len(found.melody)} notes"
    written = [MidiResult(found.melody, target.original, title, **played)]
    for melody, (kind, path), row in zip(results, target.results.items(), rows, strict=True):
        title = f"{kind}, {row['notes_out']} notes, onset F1 {row['onset_f1']:.2f}"
        written.append(MidiResult(melody, path, title, **played))
    return written


def _rows(
    file: Path, found: FoundMelody, results: Melodies, target: _Target, *, plot: bool
) -> list[dict[str, Any]]:
    """Entries of the manifest for each result."""
    from melodyconstraints.melody.metrics.agreement import agreement

    source = source_facts(file, found)
    source |= {"original": target.original.name, "notes_in": len(found.melody)}
    if plot:
        source["picture"] = target.picture.name
    return [
        {"file": path.name, **source, "notes_out": len(melody)}
        | agreement(found.melody, melody).as_dict()
        for path, melody in zip(target.results.values(), results, strict=True)
    ]


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
