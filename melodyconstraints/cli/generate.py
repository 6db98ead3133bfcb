"""``mc generate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli.common import (
    FOLDER,
    drawing_options,
    model_option,
    rule_options,
    rule_specs,
    seed_option,
    talk,
    temperature_option,
)
from melodyconstraints.cli.output import (
    PICTURE,
    earlier_run,
    overwrite_option,
    plot_option,
    write_manifest,
)

if TYPE_CHECKING:
    from melodyconstraints.actors import MelodyActor
    from melodyconstraints.knobs import KnobActor
    from melodyconstraints.melody.events import Melodies


@click.command("generate")
@click.option("--actor", "actor_folder", type=FOLDER, help="Actor folder of mc train-actor.")
@model_option
@rule_options
@click.option(
    "--scale",
    help="D-dorian, or pitch classes such as C,D,E,G,A: with --density, no training is needed.",
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

    With --scale, and --density besides, at once by the actor with knobs of the bundled model. With
    --actor, rules are those of the actor. With --rule or --density instead, an actor is trained
    for them first. With none, melodies come from the model's prior, under no rule.
    """
    specs = rule_specs(rules, density, required=False)
    if actor_folder is not None and specs:
        raise click.UsageError("give either --actor, or rules by --rule and --density")
    if scale is not None and (rules or actor_folder is not None):
        raise click.UsageError(
            "--scale turns the bundled actor's knob; to combine a scale with other rules, "
            f"give --rule scale:{scale}"
        )
    ruled = actor_folder is not None or scale is not None or bool(specs)
    if only_satisfying and not ruled:
        raise click.UsageError("--only-satisfying needs --actor, --scale, --rule or --density")
    earlier = earlier_run(output, overwrite)

    from melodyconstraints.actors import DEFAULT_TEMPERATURE, generate
    from melodyconstraints.melody.checkpoint import load_model

    actor = None
    if scale is not None:
        actor = _knobs(model_folder).at(scale, density or 0)
    elif ruled:
        actor = _actor(actor_folder, model_folder, specs, seed)
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


def _actor(
    actor_folder: Path | None,
    model_folder: Path | None,
    specs: list[str],
    seed: int,
) -> MelodyActor:
    from melodyconstraints.actor_checkpoint import load_actor
    from melodyconstraints.melody.checkpoint import load_model

    if actor_folder is not None:
        model = None if model_folder is None else load_model(model_folder)
        return load_actor(actor_folder, model=model)

    from melodyconstraints.cli.train_actor import train

    return train(model_folder, specs, seed=seed)


def _knobs(model_folder: Path | None) -> KnobActor:
    from melodyconstraints.knobs import FOLDER_OF_KNOBS, load_knobs
    from melodyconstraints.melody.checkpoint import load_model

    if model_folder is None:
        return load_knobs()
    return load_knobs(model_folder / FOLDER_OF_KNOBS, model=load_model(model_folder))


def write(
    melodies: Melodies,
    output: Path,
    facts: dict[str, Any],
    actor: MelodyActor | None,
    *,
    plot: bool,
) -> None:
    """MIDI files, manifest and, if asked for, the picture."""
    from melodyconstraints.actors import rewards_of
    from melodyconstraints.latent.constraints import SATISFIED
    from melodyconstraints.melody.midi import write_melody

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
