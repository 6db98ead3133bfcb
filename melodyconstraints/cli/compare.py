"""``mc compare``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._actors import allow_code_option, rules_from_option
from melodyconstraints.cli._common import (
    FOLDER,
    count_option,
    json_option,
    model_option,
    print_json,
    print_table,
    progress_bar,
    sampling_options,
)
from melodyconstraints.cli._midi_results import (
    Export,
    MidiResult,
    export_options,
    numbered,
    playback_options,
    write_run,
)
from melodyconstraints.cli._output import (
    earlier_run,
    overwrite_option,
)
from melodyconstraints.latent.satisfaction import reward_text
from melodyconstraints.storage.text import printable

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies, Melody
    from melodyconstraints.melody.vae.sampling import SamplingOptions
    from melodyconstraints.rules import Rule
    from melodyconstraints.workflows.actor import MelodyActor


@click.command("compare")
@click.option(
    "--actor",
    "folders",
    type=FOLDER,
    multiple=True,
    required=True,
    help="Actor folder of mc train-actor; give it once for each column.",
)
@model_option
@rules_from_option
@allow_code_option
@count_option("-n", "count", default=1, show_default=True)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder to make.")
@playback_options
@export_options
@sampling_options
@overwrite_option
@json_option
def command(
    folders: tuple[Path, ...],
    model_folder: Path | None,
    rules_from: tuple[Path, ...],
    allow_code: bool,
    count: int,
    output: Path,
    playback: dict[str, Any],
    export: Export,
    sampling: SamplingOptions,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Draw melodies of the prior, and beside each what actors make of the same point z.

    \b
    mc compare --actor actors/cmajor --actor actors/both -n 4 -o figure/

    The picture OUTPUT/melodies.png is the paper's Figure 6: a row for each z, a column for the
    prior and for each actor, notes outside of a scale that the actors share in red. All melodies
    of a row are decoded with the same draws; each is written as a MIDI file, too.
    """  # noqa: D301 (click wants the character)
    earlier = earlier_run(output, overwrite)

    from melodyconstraints.workflows.compare import common_sampling, compare

    actors = _load(folders, model_folder, rules_from=rules_from, allow_code=allow_code)
    how = common_sampling(actors, sampling)
    with progress_bar("columns drawn", transient=True) as bar:
        task = bar.add_task("", total=1 + len(actors))
        columns = compare(
            actors, count, callback=lambda done: bar.update(task, completed=done), **sampling
        )
    rules = _known_rules(actors)
    drawn = list(_by_row(output, columns, actors))
    entries = [_entry(path, melody, rules) for path, melody, _ in drawn]
    facts = {
        "model": actors[0].model.fingerprint,
        "actors": [str(folder) for folder in folders],
        **asdict(how),
        **playback,
    }
    scales = {actor.pitch_classes for actor in actors} - {None}
    tonics = {actor.tonic for actor in actors} - {None}
    whole = write_run(
        [_result(*one, entry, playback) for one, entry in zip(drawn, entries, strict=True)],
        entries,
        output,
        facts,
        export,
        earlier=earlier,
        plot=True,
        pitch_classes=scales.pop() if len(scales) == 1 else None,
        tonic=tonics.pop() if len(tonics) == 1 else None,
        columns=len(columns),
        same_pitches=True,
    )
    if as_json:
        print_json(whole)
    else:
        _print(entries)


def _by_row(
    output: Path, columns: Sequence[Melodies], actors: Sequence[MelodyActor]
) -> Iterator[tuple[Path, Melody, MelodyActor | None]]:
    """Paths, melodies and actors, row by row."""
    words = ["prior", *(f"actor-{number}" for number in range(1, len(columns)))]
    rows = list(zip(*columns, strict=True))
    for path, row in zip(numbered(output, "melody", len(rows)), rows, strict=True):
        for word, melody, actor in zip(words, row, [None, *actors], strict=True):
            yield path.with_stem(f"{path.stem}-{word}"), melody, actor


def _load(folders: Sequence[Path], model_folder: Path | None, **options: Any) -> list[MelodyActor]:
    """The actors, and their model once."""
    from melodyconstraints.workflows.load_actor import load_actor
    from melodyconstraints.workflows.models import load_model

    model = None if model_folder is None else load_model(model_folder)
    actors: list[MelodyActor] = []
    for folder in folders:
        actors.append(load_actor(folder, model=model, **options))
        model = actors[0].model
    return actors


def _known_rules(actors: Sequence[MelodyActor]) -> list[Rule]:
    """Rules of all actors that have rewards, each once; a warning for those that have none."""
    from melodyconstraints.rules.registry import distinct

    rules = {rule.spec: rule for actor in actors for rule in actor.rules}
    missing = {rule.spec: rule for actor in actors for rule in actor.missing_rules}
    for rule in missing.values():
        click.echo(f"Warning: {printable(rule.why)}", err=True)
    return distinct(rule for spec, rule in rules.items() if spec not in missing)


def _entry(path: Path, melody: Melody, rules: Sequence[Rule]) -> dict[str, Any]:
    """Entry of a melody in the manifest."""
    rewards = {rule.name: float(rule(melody)) for rule in rules}
    return {"file": path.name, "notes": len(melody), "rewards": rewards}


def _result(
    path: Path,
    melody: Melody,
    actor: MelodyActor | None,
    entry: dict[str, Any],
    playback: dict[str, Any],
) -> MidiResult:
    """MIDI file and picture of a melody, to be written."""
    pairs = entry["rewards"].items()
    rewards = "".join(f"; {name} {reward_text(reward)}" for name, reward in pairs)
    title = f"{path.stem}: {entry['notes']} notes{rewards}"
    implied: dict[str, Any] = {"key": actor.key, "chords": actor.chords} if actor else {}
    return MidiResult(melody, path, title, **playback, **implied)


def _print(entries: Sequence[dict[str, Any]]) -> None:
    print_table(
        ["file", "notes", *entries[0]["rewards"]],
        [
            [entry["file"], str(entry["notes"]), *map(reward_text, entry["rewards"].values())]
            for entry in entries
        ],
    )
