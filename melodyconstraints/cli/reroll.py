"""``mc reroll``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._actors import ActorSource, search_shown, source_options
from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    print_json,
    print_table,
    sampling_options,
    talk,
)
from melodyconstraints.cli._inputs import (
    MIDI_FILE,
    bars_text,
    choice_options,
    keep_bars_option,
    melodies_of,
)
from melodyconstraints.cli._midi_results import (
    Export,
    MidiResult,
    export_options,
    numbered,
    source_facts,
    write_run,
)
from melodyconstraints.cli._output import (
    check_inputs,
    earlier_run,
    overwrite_option,
    plot_option,
)
from melodyconstraints.storage.text import counted, printable

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies, Melody
    from melodyconstraints.melody.vae.model import MelodyVAE
    from melodyconstraints.melody.vae.sampling import SamplingOptions
    from melodyconstraints.workflows.actor import MelodyActor

ORIGINAL = "original.mid"


@click.command("reroll")
@click.argument("file", type=MIDI_FILE, metavar="SOURCE")
@source_options
@click.option("-n", "count", type=click.IntRange(min=1), default=8, show_default=True)
@keep_bars_option
@click.option(
    "--strength",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Share of the way to new melodies: at 0 the other bars are your own, at 1 all new.",
)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder of the new melodies.")
@sampling_options
@choice_options
@plot_option
@export_options
@overwrite_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    file: Path,
    source: ActorSource,
    count: int,
    keep_bars: frozenset[int],
    strength: float,
    output: Path,
    sampling: SamplingOptions,
    choice: dict[str, Any],
    plot: bool,
    export: Export,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write other melodies in place of that of a MIDI file, with some of its bars kept.

    \b
    mc reroll my_tune.mid --keep-bars 1-4 -o ideas/
    mc reroll my_tune.mid --keep-bars 1-4,13-16 --scale D-dorian -n 16 -o ideas/ --plot
    mc reroll my_tune.mid --strength 0.3 -o near/

    With --scale, --density, --rule or --actor the new melodies, kept bars and all, are searched
    for until they satisfy the rules. The 16 bars that were taken are written too, as original.mid.
    """  # noqa: D301 (click wants the character)
    source.check()
    earlier = earlier_run(output, overwrite)
    check_inputs([file], earlier)
    melodies, _ = melodies_of([file], choice, tell=True)
    if not melodies:
        context.exit(1)
    ((_, found),) = melodies

    from melodyconstraints.melody.vae.checkpoint import load_model

    actor = source.find()
    _check_kept(found.melody, keep_bars, actor)
    model = actor.model if actor else load_model(source.model_folder)
    others = _draw(actor or model, found.melody, count, keep_bars, strength, sampling)
    played: dict[str, Any] = {"tempo": found.tempo, "program": found.program}
    entries = _entries(others, list(numbered(output, "melody", count)), actor)
    written: dict[str, Any] = {"key": actor.key, "chords": actor.chords} if actor else {}
    shown: dict[str, Any] = (
        {"pitch_classes": actor.pitch_classes, "tonic": actor.tonic} if actor else {}
    )
    results = [MidiResult(found.melody, output / ORIGINAL, "original", **played)]
    for melody, entry in zip(others, entries, strict=True):
        title = f"{Path(entry['file']).stem}: {len(melody)} notes"
        results.append(MidiResult(melody, output / entry["file"], title, **played, **written))
    facts = {
        "model": model.fingerprint,
        "rules": actor.names if actor else [],
        **sampling,
        "keep_bars": sorted(keep_bars),
        "strength": strength,
        **source_facts(file, found),
        "original": ORIGINAL,
    }
    whole = write_run(
        *(results, entries, output, facts, export),
        earlier=[*earlier, *([output / ORIGINAL] if earlier else [])],
        plot=plot,
        **shown,
    )
    if as_json:
        print_json(whole)
    else:
        _print(entries)
    _say_satisfied(context, entries, count)


def _check_kept(melody: Melody, bars: frozenset[int], actor: MelodyActor | None) -> None:
    """Refuse bars with notes that a rule forbids: whatever the others are, it is not satisfied."""
    from melodyconstraints.errors import UsageError
    from melodyconstraints.workflows.editing import outside_notes

    for rule in actor.asked if actor else []:
        outside = outside_notes(melody, bars, rule.pitch_classes)
        if outside:
            notes = counted(outside, "note", "notes")
            raise UsageError(
                f"{bars_text(bars)}, which stay, hold {notes} outside {rule.name}'s set; keep "
                "other bars, or move the melody first with mc transform --scale or --key"
            )


def _draw(
    source: MelodyActor | MelodyVAE,
    melody: Melody,
    count: int,
    keep_bars: frozenset[int],
    strength: float,
    sampling: SamplingOptions,
) -> Melodies:
    from melodyconstraints.workflows.actor import MelodyActor
    from melodyconstraints.workflows.reroll import reroll

    how: dict[str, Any] = {"keep_bars": keep_bars, "strength": strength, **sampling}
    if not isinstance(source, MelodyActor):
        return reroll(source, melody, count, **how)
    with search_shown(source, count) as shown:
        return reroll(shown.actor, melody, count, **how)


def _entries(
    melodies: Melodies, paths: Sequence[Path], actor: MelodyActor | None
) -> list[dict[str, Any]]:
    """Of the manifest: file, notes, rewards and whether every rule is satisfied."""
    from melodyconstraints.workflows.actor import rewards_of, satisfies_all

    files = [
        {"file": path.name, "notes": len(one)} for one, path in zip(melodies, paths, strict=True)
    ]
    if actor is None:
        return files
    rewards = rewards_of(actor.rules, melodies).tolist()
    satisfied = satisfies_all(actor.asked, melodies).tolist()
    return [
        {**entry, "rewards": dict(zip(actor.names, own, strict=True)), "satisfied": bool(whole)}
        for entry, own, whole in zip(files, rewards, satisfied, strict=True)
    ]


def _print(entries: Sequence[dict[str, Any]]) -> None:
    names = list(entries[0].get("rewards", {}))
    print_table(
        ["file", "notes", *names],
        [
            [
                printable(entry["file"]),
                str(entry["notes"]),
                *(f"{entry['rewards'][name]:.3f}" for name in names),
            ]
            for entry in entries
        ],
    )


def _say_satisfied(context: click.Context, entries: Sequence[dict[str, Any]], count: int) -> None:
    """Say on stderr how many melodies satisfy every rule; none is an error."""
    if "satisfied" not in entries[0]:
        return
    satisfied = sum(entry["satisfied"] for entry in entries)
    text = f"{satisfied} of {count} satisfy every rule"
    if satisfied:
        talk().print(text)
        return
    click.echo(f"Error: {text}; keep fewer bars, ask for less or try another --seed", err=True)
    context.exit(1)
