"""``mc generate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._actors import ActorSource, search_shown, source_options
from melodyconstraints.cli._common import FOLDER, sampling_options, talk
from melodyconstraints.cli._midi_results import (
    Export,
    MidiResult,
    export_options,
    numbered,
    playback_options,
    what_was_written,
    write_run,
)
from melodyconstraints.cli._output import (
    earlier_run,
    overwrite_option,
    plot_option,
)
from melodyconstraints.storage.text import printable

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.melody.vae.sampling import SamplingOptions
    from melodyconstraints.workflows.actor import MelodyActor


@click.command("generate")
@source_options
@click.option("-n", "count", type=click.IntRange(1), default=16, show_default=True)
@click.option("-o", "--output", type=FOLDER, default=Path("out"), show_default=True)
@playback_options
@export_options
@sampling_options
@click.option(
    "--only-satisfying", is_flag=True, help="Draw until COUNT melodies satisfy every rule."
)
@click.option("--allow-none", is_flag=True, help="Succeed even if no melody satisfies every rule.")
@plot_option
@overwrite_option
@click.pass_context
def command(
    context: click.Context,
    source: ActorSource,
    count: int,
    output: Path,
    playback: dict[str, Any],
    export: Export,
    sampling: SamplingOptions,
    only_satisfying: bool,
    allow_none: bool,
    plot: bool,
    overwrite: bool,
) -> None:
    """Write melodies as MIDI files, with a manifest of their rewards.

    \b
    mc generate --scale D-dorian --density 96
    mc generate --form AABA
    mc generate --actor actors/mine -n 64 --only-satisfying
    mc generate --rule cmajor --rule my_rules.py:my_rule

    No rule needs a training: --scale, --density and rules of ambitus, rise, steps, off-beat and
    rests are the model's own knobs, and melodies are searched for others, in seconds to a minute.
    With --actor, rules are those of the actor, which has learned them: its melodies come at once.
    With none of these, melodies come from the prior, under no rule.
    """  # noqa: D301 (click wants the character)
    source.check()
    if only_satisfying:
        source.require_rules("--only-satisfying needs")
    earlier = earlier_run(output, overwrite)

    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.melody.vae.sampling import Sampling
    from melodyconstraints.workflows.generate import generate

    actor = source.find()
    model = actor.model if actor else load_model(source.model_folder)
    how, drawn = actor.sampling(sampling) if actor else Sampling.of(sampling), count
    if actor is None:
        melodies = generate(model, count, **sampling)
    else:
        melodies, drawn = _draw(actor, count, only_satisfying, sampling)
    facts = {
        "model": model.fingerprint,
        "rules": actor.names if actor else [],
        **asdict(how),
        **playback,
        "drawn": drawn,
        "key_signature": actor.key if actor else None,
        "chords": actor.chords if actor else (),
    }
    for rule in actor.missing_rules if actor else []:
        click.echo(f"Warning: {printable(rule.why)}", err=True)
    satisfied = _write(melodies, output, facts, actor, export, plot=plot, earlier=earlier)
    talk().print(what_was_written(output, count, export, plot=plot))
    if satisfied is not None and not only_satisfying:
        context.exit(0 if _say_satisfied(satisfied, count, allow_none) else 1)


def _draw(
    actor: MelodyActor, count: int, only_satisfying: bool, sampling: SamplingOptions
) -> tuple[Melodies, int]:
    """An actor's melodies, and how many were drawn for them."""
    with search_shown(actor, count) as shown:
        if not only_satisfying:
            return shown.actor.generate(count, **sampling), shown.drawn
        melodies, drawn = shown.actor.generate_satisfying(count, **sampling)
    talk().print(f"{count} satisfying melodies among {drawn} drawn")
    return melodies, drawn


def _say_satisfied(satisfied: int, count: int, allow_none: bool) -> bool:
    """Say on stderr how many melodies satisfy every rule; false where that is an error."""
    text = f"{satisfied} of {count} satisfy every rule"
    if satisfied or allow_none:
        more = "" if satisfied == count else "; --only-satisfying goes on until all do"
        talk().print(f"{text}{more}")
        return True
    remedy = "ask for less or try --only-satisfying; --allow-none makes this no error"
    click.echo(f"Error: {text}: {remedy}", err=True)
    return False


def _write(
    melodies: Melodies,
    output: Path,
    facts: dict[str, Any],
    actor: MelodyActor | None,
    export: Export,
    *,
    plot: bool,
    earlier: Sequence[Path],
) -> int | None:
    """Write MIDI files, manifest and picture; how many satisfy every rule.

    None without rules, or where one is missing.
    """
    from melodyconstraints.latent.satisfaction import SATISFIED
    from melodyconstraints.workflows.actor import rewards_of

    own_rules, missing = (actor.rules, actor.missing_rules) if actor else ([], [])
    rules = [rule for rule in own_rules if rule not in missing]
    rewards = rewards_of(rules, melodies)
    wanted = actor.asked if actor else []
    counts = bool(wanted) and all(rule in rules for rule in wanted)
    asked = [rule in wanted for rule in rules]
    played = {fact: facts[fact] for fact in ("tempo", "program", "chords")}
    played["key"] = facts["key_signature"]
    entries: list[dict[str, Any]] = []
    results = []
    for melody, path, own in zip(
        melodies, numbered(output, "melody", len(melodies)), rewards, strict=True
    ):
        by_name = dict(zip((rule.name for rule in rules), own.tolist(), strict=True))
        entry = {"file": path.name, "notes": len(melody), "rewards": by_name}
        if counts:
            entry["satisfied"] = bool((own[asked] >= SATISFIED).all())
        entries.append(entry)
        title = ", ".join(f"{name} {value:.3g}" for name, value in by_name.items())
        title = f"{path.stem}: {len(melody)} notes" + (f"; {title}" if title else "")
        results.append(MidiResult(melody, path, title, **played))
    drawn = {"pitch_classes": actor.pitch_classes, "tonic": actor.tonic} if actor else {}
    write_run(results, entries, output, facts, export, earlier=earlier, plot=plot, **drawn)
    return sum(entry["satisfied"] for entry in entries) if counts else None
