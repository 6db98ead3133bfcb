"""``mc transform``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._actors import ActorSource, source_options
from melodyconstraints.cli._common import (
    json_option,
    option_group,
    print_json,
    print_table,
    progress_bar,
    seed_option,
    stderr_console,
)
from melodyconstraints.cli._inputs import (
    MIDI_FILE,
    choice_options,
    keep_bars_option,
    melodies_of,
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
    overwrite_option,
)
from melodyconstraints.latent.satisfaction import reward_text
from melodyconstraints.storage.text import printable

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melody
    from melodyconstraints.melody.midi.selection import FoundMelody
    from melodyconstraints.workflows.actor import MelodyActor
    from melodyconstraints.workflows.shortcoming import Shortcoming
    from melodyconstraints.workflows.transform import Transformation

MOST_VARIATIONS = 15
"""Most variations that a picture holds beside the original."""


def _check_key(context: click.Context, option: click.Parameter, key: str | None) -> str | None:
    """Refuse, before any work, an unknown key."""
    if key is not None:
        from melodyconstraints.workflows.knobs import pitch_classes_of

        pitch_classes_of(key)
    return key


change_options = option_group(
    "change",
    dict,
    {
        "strength": click.option(
            "--strength",
            type=click.FloatRange(0),
            default=1.0,
            show_default=True,
            help="Share of the way: 0 only reconstructs, 1 goes as far as the rules need, 2 "
            "beyond.",
        ),
        "keep_bars": keep_bars_option,
        "variations": click.option(
            "--variations",
            type=click.IntRange(1, MOST_VARIATIONS),
            default=1,
            show_default=True,
            help="Melodies to write; from the second on the search begins beside the melody.",
        ),
        "seed": seed_option,
    },
)
"""Options of a change to a melody, handed over as ``change``, keywords of ``transform``."""


@click.command("transform")
@click.argument("file", type=MIDI_FILE, metavar="SOURCE")
@source_options
@click.option(
    "--key",
    metavar="SCALE",
    callback=_check_key,
    help="First move the melody into this key, such as A-minor: its tonic becomes the key's, "
    "each degree that of the scale. Alone it is enough.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="MIDI file to write; several are numbered. Beside it the original 16 bars and a picture.",
)
@change_options
@choice_options
@export_options
@overwrite_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    file: Path,
    source: ActorSource,
    key: str | None,
    output: Path,
    change: dict[str, Any],
    choice: dict[str, Any],
    export: Export,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Move the melody of a MIDI file to where it satisfies RULES, changing as little as it must.

    \b
    mc transform my_tune.mid --scale D-dorian -o out.mid
    mc transform my_tune.mid --key A-minor -o out.mid
    mc transform my_tune.mid --rule cmajor --rule my_rules.py:my_rule -o out.mid
    mc transform my_tune.mid --actor actors/mine --keep-bars 1-4 -o out.mid

    No training is needed: a critic learns the rules from melodies that come with the model. With
    --actor, rules and critic are those of the actor. --scale leaves every note of the scale where
    it is and moves the others to the nearest one; --key moves the whole melody, which stays the
    same tune in another key; --rule scale:D-dorian searches for the tonic too.
    The 16 bars that were taken are written as well, as ...-original.mid, and piano rolls, as a
    picture.

    In the table that is printed, "kept" is the share of the original's notes, or of those that
    --key has moved, that are still at their step with their pitch, and "latent
    distance" the mean squared shift of the latent point, in units of the posterior's standard
    deviation.
    """  # noqa: D301 (click wants the character)
    source.check()
    if key is None:
        source.require_rules("give --key,")
    target = _target(output, change["variations"])
    beside = export.beside(target.midi, target.picture)
    written = [*target.midi, target.picture, *beside]
    earlier_files(written, overwrite)
    check_inputs([file], written)
    melodies, _ = melodies_of([file], choice, report=True)
    if not melodies:
        context.exit(1)
    ((_, found),) = melodies

    from melodyconstraints.workflows.editing import key_of
    from melodyconstraints.workflows.shortcoming import shortcoming_of

    actor = source.transforming(key)
    stderr_console().print(
        f"it is in {key_of(found.melody)}" + ("" if key is None else f", moved to {key}"),
        highlight=False,
    )
    transformed = _transform(actor, found.melody, key, change)
    rows = [_row(path, one, actor) for path, one in zip(target.results, transformed, strict=True)]
    results = _results(found, transformed, actor, target, rows)
    write_results(
        *(results, target.picture, export),
        seed=change["seed"],
        plot=True,
        pitch_classes=actor.pitch_classes,
        tonic=actor.tonic,
    )
    if as_json:
        facts = _facts(actor, change) | _source(file, found, target) | export.facts(beside)
        print_json(facts | {"melodies": rows})
    else:
        _print(rows, actor)
    shortcoming = shortcoming_of(transformed, actor, change["keep_bars"])
    if shortcoming:
        name = target.results[shortcoming.number].name
        remedy = _remedy(shortcoming, change, is_trained=bool(actor.heads))
        text = f"the best found, {name}, reaches {shortcoming.text}. {remedy}"
        click.echo(f"Error: {text}", err=True)
        context.exit(1)


def _transform(
    actor: MelodyActor, melody: Melody, key: str | None, change: Mapping[str, Any]
) -> list[Transformation]:
    """Transform, with a bar on stderr from the first round of a search on."""
    from melodyconstraints.workflows.transform import transform

    bar = progress_bar("rounds of search at most")

    def show(done: int, most: int) -> None:
        if not bar.tasks:
            bar.add_task("", total=most)
            bar.start()
        bar.update(bar.tasks[0].id, completed=done)

    try:
        return transform(actor, melody, key=key, **change, callback=show)
    finally:
        if bar.tasks:
            bar.stop()


@dataclass(frozen=True)
class _Target:
    """The files that are written."""

    results: list[Path]
    original: Path
    picture: Path

    @property
    def midi(self) -> list[Path]:
        return [*self.results, self.original]


def _target(output: Path, variations: int) -> _Target:
    if output.suffix.lower() not in MIDI_SUFFIXES:
        raise click.UsageError(f"{output} must end in .mid")
    numbered = [output.with_stem(f"{output.stem}-{n}") for n in range(2, variations + 1)]
    original = output.with_stem(f"{output.stem}-original")
    return _Target([output, *numbered], original, output.with_suffix(".png"))


def _results(
    found: FoundMelody,
    transformed: Sequence[Transformation],
    actor: MelodyActor,
    target: _Target,
    rows: Sequence[dict[str, Any]],
) -> list[MidiResult]:
    """The original and its transformations, as they are written."""
    played: dict[str, Any] = {"tempo": found.tempo, "program": found.program}
    title = f"original, {len(found.melody)} notes{_rewards(rows[0]['rewards_before'])}"
    results = [MidiResult(found.melody, target.original, title, **played)]
    for one, path, row in zip(transformed, target.results, rows, strict=True):
        notes_text = f"{row['notes_out']} notes, {row['notes_kept']:.0%} of the original's kept"
        title = f"{path.stem}, {notes_text}{_rewards(row['rewards_after'])}"
        results.append(
            MidiResult(one.melody, path, title, key=actor.key, chords=actor.chords, **played)
        )
    return results


def _facts(actor: MelodyActor, change: Mapping[str, Any]) -> dict[str, Any]:
    facts = {key: change[key] for key in ("seed", "strength")}
    facts |= {"keep_bars": sorted(change["keep_bars"]), "key_signature": actor.key}
    return {"model": actor.model.fingerprint, "rules": actor.names, **facts}


def _source(source: Path, found: FoundMelody, target: _Target) -> dict[str, Any]:
    names = {"original": target.original.name, "picture": target.picture.name}
    return source_facts(source, found) | names


def _row(path: Path, one: Transformation, actor: MelodyActor) -> dict[str, Any]:
    return {
        "file": path.name,
        "notes_in": len(one.original),
        "notes_out": len(one.melody),
        "notes_kept": one.notes_kept,
        "rewards_before": dict(zip(actor.names, one.before.tolist(), strict=True)),
        "rewards_after": dict(zip(actor.names, one.after.tolist(), strict=True)),
        "satisfied": one.satisfied,
        "latent_distance": one.distance,
        "decoded": one.decoded,
    }


def _print(rows: Sequence[dict[str, Any]], actor: MelodyActor) -> None:
    before, after = ["file", "notes in", "notes out", "kept"], ["satisfied", "latent distance"]
    print_table(
        [*before, *actor.names, *after],
        [
            [
                printable(row["file"]),
                str(row["notes_in"]),
                str(row["notes_out"]),
                f"{row['notes_kept']:.0%}",
                *(
                    f"{reward_text(row['rewards_before'][name])} -> "
                    f"{reward_text(row['rewards_after'][name])}"
                    for name in actor.names
                ),
                "yes" if row["satisfied"] else "no",
                f"{row['latent_distance']:.2f}",
            ]
            for row in rows
        ],
    )


def _rewards(rewards: dict[str, float]) -> str:
    return "".join(f", {name} {reward_text(reward)}" for name, reward in rewards.items())


def _remedy(shortcoming: Shortcoming, change: Mapping[str, Any], *, is_trained: bool) -> str:
    """Options that may help where no melody satisfies every rule.

    Args:
        is_trained: whether the actor was trained for the rules.
    """
    if shortcoming.of_kept_bars:
        return "Keep fewer bars"
    remedies = [
        *(["--strength 1"] if change["strength"] < 1 else []),
        *([f"--key {shortcoming.key}"] if shortcoming.key else []),
        *(["fewer --keep-bars"] if change["keep_bars"] else []),
        *["more --variations", "another --seed"],
        "an actor that was trained longer" if is_trained else "an actor of mc train-actor",
    ]
    return f"Try {', '.join(remedies[:-1])} or {remedies[-1]}"
