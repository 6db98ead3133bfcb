"""``mc transform``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli.common import (
    FOLDER,
    json_option,
    model_option,
    print_json,
    print_table,
    rule_options,
    rule_specs,
    seed_option,
    talk,
)
from melodyconstraints.cli.inputs import MIDI_FILE, choice_options, read_melodies
from melodyconstraints.cli.output import check_inputs, earlier_files, overwrite_option

if TYPE_CHECKING:
    from melodyconstraints.actors import MelodyActor
    from melodyconstraints.reading import FoundMelody
    from melodyconstraints.transformation import Transformation


class BarsType(click.ParamType[frozenset[int]]):
    """``1-4,9`` as a set of bars."""

    name = "bars"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[int]:
        """Parse, or fail with what is wanted."""
        if isinstance(value, frozenset):
            return value
        bars: set[int] = set()
        for part in str(value).split(","):
            match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
            if not 1 <= first <= last <= 16:
                self.fail(f"{value!r}: write bars from 1 to 16 such as 1-4,9", param, ctx)
            bars.update(range(first, last + 1))
        return frozenset(bars)


@click.command("transform")
@click.argument("source", type=MIDI_FILE)
@click.option("--actor", "actor_folder", type=FOLDER, help="Actor folder of mc train-actor.")
@model_option
@rule_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="MIDI file to write; several are numbered. Beside it the original 16 bars and a picture.",
)
@click.option(
    "--strength",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Share of the way: 0 only reconstructs, 1 goes as far as the rules need, 2 beyond.",
)
@click.option(
    "--keep-bars",
    type=BarsType(),
    default=frozenset(),
    help="Bars of the 16 that stay note for note, such as 1-4,9.",
)
@click.option(
    "--variations", type=click.IntRange(1), default=1, show_default=True, help="Melodies to write."
)
@choice_options
@seed_option
@overwrite_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    source: Path,
    actor_folder: Path | None,
    model_folder: Path | None,
    rules: tuple[str, ...],
    density: int | None,
    output: Path,
    strength: float,
    keep_bars: frozenset[int],
    variations: int,
    bar: int | None,
    track: str | None,
    polyphony: str,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Move the melody of a MIDI file to where it obeys RULES, changing as little as it must.

    \b
    mc transform my_tune.mid --rule cmajor -o out.mid
    mc transform my_tune.mid --actor actors/mine --keep-bars 1-4 --variations 4 -o out.mid

    With --actor, rules are those of the actor. With --rule or --density instead, an actor is
    trained for them first.
    """  # noqa: D301 (click wants the character)
    specs = rule_specs(rules, density, required=actor_folder is None)
    if actor_folder is not None and specs:
        raise click.UsageError("give either --actor, or rules by --rule and --density")
    if output.suffix.lower() not in {".mid", ".midi"}:
        raise click.UsageError(f"{output} must end in .mid")
    results = [output, *(output.with_stem(f"{output.stem}-{n}") for n in range(2, variations + 1))]
    original = output.with_stem(f"{output.stem}-original")
    written = [*results, original, output.with_suffix(".png")]
    earlier_files(written, overwrite)
    check_inputs([source], written)
    melodies, _ = read_melodies([source], polyphony, bar, track, told=True)
    if not melodies:
        context.exit(1)
    ((_, found),) = melodies

    from melodyconstraints.transformation import transform

    actor = _actor(actor_folder, model_folder, specs, seed)
    with talk().status("searching around the melody"):
        transformed = transform(
            actor,
            found.melody,
            strength=strength,
            keep_bars=keep_bars,
            variations=variations,
            seed=seed,
        )
    _write(found, transformed, actor, results, original, output.with_suffix(".png"))
    rows = [_row(path, one, actor) for path, one in zip(results, transformed, strict=True)]
    if as_json:
        print_json({"source": str(source), "rules": actor.names, "melodies": rows})
    else:
        _print(rows, actor)
    unkept = [row["file"] for row in rows if not row["satisfied"]]
    if unkept and strength >= 1:
        click.echo(
            f"Error: not every rule is kept in {', '.join(unkept)}: the best found is written. "
            "Keep fewer bars, ask for more variations, or give a rule that tells nearer from "
            "farther",
            err=True,
        )
        context.exit(1)


def _actor(
    actor_folder: Path | None, model_folder: Path | None, specs: list[str], seed: int
) -> MelodyActor:
    if actor_folder is None:
        from melodyconstraints.cli.train_actor import train

        return train(model_folder, specs, seed=seed)
    from melodyconstraints.actor_checkpoint import load_actor
    from melodyconstraints.melody.checkpoint import load_model

    model = None if model_folder is None else load_model(model_folder)
    return load_actor(actor_folder, model=model)


def _write(
    found: FoundMelody,
    transformed: list[Transformation],
    actor: MelodyActor,
    results: list[Path],
    original: Path,
    picture: Path,
) -> None:
    """The MIDI files, and piano rolls of before and after."""
    from melodyconstraints.melody.midi import write_melody
    from melodyconstraints.melody.plots import plot_melodies

    original.parent.mkdir(parents=True, exist_ok=True)
    melodies = [one.melody for one in transformed]
    settings: dict[str, Any] = {"tempo": found.tempo, "program": found.program}
    write_melody(found.melody, original, name=original.stem, **settings)
    for melody, path in zip(melodies, results, strict=True):
        write_melody(melody, path, name=path.stem, key=actor.key, **settings)
    titles = [f"original, {len(found.melody)} notes"]
    titles += [
        f"{path.stem}, {one.notes_kept:.0%} of the notes kept"
        for path, one in zip(results, transformed, strict=True)
    ]
    plot_melodies(
        [found.melody, *melodies], picture, titles=titles, pitch_classes=actor.pitch_classes
    )


def _row(path: Path, one: Transformation, actor: MelodyActor) -> dict[str, Any]:
    return {
        "file": path.name,
        "notes_before": len(one.original),
        "notes_after": len(one.melody),
        "notes_kept": one.notes_kept,
        "rewards_before": dict(zip(actor.names, one.before.tolist(), strict=True)),
        "rewards_after": dict(zip(actor.names, one.after.tolist(), strict=True)),
        "satisfied": one.satisfied,
        "latent_distance": one.distance,
        "decoded": one.decoded,
    }


def _print(rows: list[dict[str, Any]], actor: MelodyActor) -> None:
    print_table(
        ["file", "notes", "kept", *actor.names, "latent distance"],
        [
            [
                row["file"],
                f"{row['notes_before']} -> {row['notes_after']}",
                f"{row['notes_kept']:.0%}",
                *(
                    f"{row['rewards_before'][name]:.3f} -> {row['rewards_after'][name]:.3f}"
                    for name in actor.names
                ),
                f"{row['latent_distance']:.2f}",
            ]
            for row in rows
        ],
    )
