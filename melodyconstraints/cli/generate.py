"""``mc generate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._actors import actor_option, check_one_source, find_actor
from melodyconstraints.cli._common import (
    FOLDER,
    drawing_options,
    model_option,
    rule_options,
    rule_specs,
    seed_option,
    talk,
    temperature_option,
)
from melodyconstraints.cli._output import (
    PICTURE,
    earlier_run,
    overwrite_option,
    plot_option,
    write_manifest,
)

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.workflows.actor import MelodyActor
    from melodyconstraints.workflows.conditional import KnobActor


@click.command("generate")
@actor_option
@model_option
@rule_options
@click.option(
    "--scale",
    help="D-dorian, or pitch classes such as C,D,E,G,A. With --density or alone: no training.",
)
@click.option("-n", "count", type=click.IntRange(1), default=16, show_default=True)
@click.option("-o", "--output", type=FOLDER, default=Path("out"), show_default=True)
@click.option(
    "--tempo",
    type=click.FloatRange(10, 1000),
    default=120.0,
    show_default=True,
    help="Quarter notes a minute.",
)
@click.option(
    "--program",
    type=click.IntRange(0, 127),
    default=0,
    show_default=True,
    help="General MIDI instrument; 0 is a piano.",
)
@seed_option
@temperature_option
@drawing_options
@click.option(
    "--only-satisfying", is_flag=True, help="Draw until COUNT melodies satisfy every rule."
)
@plot_option
@overwrite_option
def command(
    actor_folder: Path | None,
    model_folder: Path | None,
    rules: tuple[str, ...],
    density: int | None,
    scale: str | None,
    count: int,
    output: Path,
    tempo: float,
    program: int,
    seed: int,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    only_satisfying: bool,
    plot: bool,
    overwrite: bool,
) -> None:
    """Write melodies as MIDI files, with a manifest of what each one earns.

    \b
    mc generate --scale D-dorian --density 96
    mc generate --actor actors/mine -n 64 --only-satisfying
    mc generate --rule cmajor --rule my_rules.py:my_rule

    --scale and --density turn the knobs of an actor that comes with the bundled model: no
    training. With --actor, rules are those of the actor. With --rule, or --density and --model, an
    actor is trained first. With none of these, melodies come from the prior, under no rule.
    """  # noqa: D301 (click wants the character)
    specs = rule_specs(rules, density, required=False)
    check_one_source(actor_folder, specs)
    if scale is not None and (rules or actor_folder is not None):
        raise click.UsageError(
            "--scale turns a knob and goes with --density only; of an actor with other rules a "
            "scale is one more: --rule scale:D-dorian"
        )
    ruled = actor_folder is not None or scale is not None or bool(specs)
    if only_satisfying and not ruled:
        raise click.UsageError("--only-satisfying needs --actor, --scale, --rule or --density")
    earlier = earlier_run(output, overwrite)

    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.workflows.actor import DEFAULT_TEMPERATURE, generate
    from melodyconstraints.workflows.conditional import HIGHEST_DENSITY

    actor = None
    only_dense = density is not None and density <= HIGHEST_DENSITY and not rules
    if scale is not None or (only_dense and not actor_folder and not model_folder):
        actor = _knobs(model_folder).at(scale, density)
    elif ruled:
        actor = find_actor(actor_folder, model_folder, specs, seed)
    if temperature is None:
        temperature = DEFAULT_TEMPERATURE if actor is None else actor.temperature
    model = actor.model if actor else load_model(model_folder)
    drawing: dict[str, Any] = {
        "seed": seed,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
    }
    drawn = count
    if actor is None:
        melodies = generate(model, count, **drawing)
    elif only_satisfying:
        melodies, drawn = actor.generate_satisfying(count, **drawing)
        talk().print(f"{count} satisfying melodies among {drawn} drawn")
    else:
        melodies = actor.generate(count, **drawing)
    facts = {
        "model": model.fingerprint,
        "rules": [rule.name for rule in actor.rules] if actor else [],
        **drawing,
        "tempo": tempo,
        "program": program,
        "drawn": drawn,
        "key": actor.key if actor else None,
    }
    for path in earlier:
        path.unlink(missing_ok=True)
    write(melodies, output, facts, actor, plot=plot)
    talk().print(f"{count} MIDI file{'s' if count > 1 else ''} in {output}")


def _knobs(model_folder: Path | None) -> KnobActor:
    """Those of a model, if they lie in its folder, else the bundled model's."""
    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.workflows.conditional import FOLDER_OF_KNOBS, load_knobs

    if model_folder is None:
        return load_knobs()
    own = model_folder / FOLDER_OF_KNOBS
    return load_knobs(own if own.is_dir() else None, model=load_model(model_folder))


def write(
    melodies: Melodies,
    output: Path,
    facts: dict[str, Any],
    actor: MelodyActor | None,
    *,
    plot: bool,
) -> None:
    """MIDI files, manifest and, if asked for, the picture."""
    from melodyconstraints.latent.satisfaction import SATISFIED
    from melodyconstraints.melody.midi.writing import write_melody
    from melodyconstraints.workflows.actor import rewards_of

    output.mkdir(parents=True, exist_ok=True)
    rules = actor.rules if actor else []
    rewards = rewards_of(rules, melodies)
    entries, titles = [], []
    digits = max(3, len(str(len(melodies))))
    for index, melody in enumerate(melodies):
        name = f"melody-{index + 1:0{digits}d}"
        write_melody(
            melody,
            output / f"{name}.mid",
            tempo=facts["tempo"],
            program=facts["program"],
            key=facts["key"],
            name=name,
        )
        earned = {rule.name: float(r) for rule, r in zip(rules, rewards[index], strict=True)}
        entry = {"file": f"{name}.mid", "notes": len(melody), "rewards": earned}
        if rules:
            entry["satisfied"] = bool((rewards[index] >= SATISFIED).all())
        entries.append(entry)
        told = ", ".join(f"{rule} {value:.3g}" for rule, value in earned.items())
        titles.append(f"{name}: {len(melody)} notes" + (f"; {told}" if told else ""))
    write_manifest(output, {**facts, "melodies": entries})
    if plot:
        from melodyconstraints.melody.plots import plot_melodies

        plot_melodies(
            melodies,
            output / PICTURE,
            titles=titles,
            pitch_classes=actor.pitch_classes if actor else None,
        )
