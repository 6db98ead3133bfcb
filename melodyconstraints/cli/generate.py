"""``mc generate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli.common import (
    FOLDER,
    model_option,
    rule_options,
    rule_specs,
    seed_option,
    talk,
    temperature_option,
)

if TYPE_CHECKING:
    from melodyconstraints.actors import MelodyActor
    from melodyconstraints.melody.events import Melodies

MANIFEST = "manifest.json"
PICTURE = "melodies.png"
_PICTURES = "melodies*.png"


@click.command("generate")
@click.option("--actor", "actor_folder", type=FOLDER, help="Actor folder of mc train-actor.")
@model_option
@rule_options
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
@click.option(
    "--only-satisfying", is_flag=True, help="Draw until COUNT melodies satisfy every rule."
)
@click.option("--plot", is_flag=True, help="Write piano rolls beside the MIDI files.")
@click.option("--overwrite", is_flag=True, help="Replace what an earlier run left in OUTPUT.")
def command(
    actor_folder: Path | None,
    model_folder: Path | None,
    rules: tuple[str, ...],
    density: int | None,
    count: int,
    output: Path,
    tempo: float,
    program: int,
    seed: int,
    temperature: float | None,
    only_satisfying: bool,
    plot: bool,
    overwrite: bool,
) -> None:
    """Write melodies as MIDI files, with a manifest of what each one earns.

    With --actor, rules are those of the actor. With --rule or --density instead, an actor is
    trained for them first.
    """
    specs = rule_specs(rules, density, required=False)
    if (actor_folder is None) == (not specs):
        raise click.UsageError("give either --actor, or rules by --rule and --density")
    earlier = earlier_run(output, overwrite)
    actor = _actor(actor_folder, model_folder, specs, temperature, seed)
    drawn = count
    if only_satisfying:
        melodies, drawn = actor.generate_satisfying(count, seed=seed, temperature=temperature)
        talk().print(f"{count} satisfying melodies among {drawn} drawn")
    else:
        melodies = actor.generate(count, seed=seed, temperature=temperature)
    facts = {
        "seed": seed,
        "temperature": actor.temperature if temperature is None else temperature,
        "tempo": tempo,
        "program": program,
        "drawn": drawn,
    }
    for path in earlier:
        path.unlink(missing_ok=True)
    write(actor, melodies, output, facts, plot=plot)
    talk().print(f"{count} MIDI files in {output}")


def _actor(
    actor_folder: Path | None,
    model_folder: Path | None,
    specs: list[str],
    temperature: float | None,
    seed: int,
) -> MelodyActor:
    from melodyconstraints.actors import DEFAULT_TEMPERATURE, load_actor
    from melodyconstraints.melody.checkpoint import load_model

    if actor_folder is not None:
        model = None if model_folder is None else load_model(model_folder)
        return load_actor(actor_folder, model=model)

    from melodyconstraints.cli.train_actor import train

    chosen = DEFAULT_TEMPERATURE if temperature is None else temperature
    return train(model_folder, specs, preset="default", temperature=chosen, seed=seed)


def earlier_run(output: Path, overwrite: bool) -> list[Path]:
    """What an earlier run left in a folder and may be replaced; refuses a folder of other files.

    Nothing is removed until there are new melodies to write.
    """
    if not output.is_dir() or not any(output.iterdir()):
        return []
    try:
        manifest = json.loads((output / MANIFEST).read_text(encoding="utf-8"))
        names = [Path(entry["file"]).name for entry in manifest["melodies"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"{output} holds other files; choose an empty or new folder"
        raise click.UsageError(message) from error
    if not overwrite:
        raise click.UsageError(f"{output} holds an earlier run; pass --overwrite to replace it")
    return [*(output / name for name in names), *output.glob(_PICTURES), output / MANIFEST]


def write(
    actor: MelodyActor, melodies: Melodies, output: Path, facts: dict[str, Any], *, plot: bool
) -> None:
    """MIDI files, manifest and, if asked for, the picture."""
    from melodyconstraints.actors import rewards_of
    from melodyconstraints.latent.training import SATISFIED
    from melodyconstraints.melody.midi import write_melody
    from melodyconstraints.melody.plots import plot_melodies

    output.mkdir(parents=True, exist_ok=True)
    rewards = rewards_of(actor.rules, melodies)
    entries, titles = [], []
    digits = max(3, len(str(len(melodies))))
    for index, melody in enumerate(melodies):
        name = f"melody-{index + 1:0{digits}d}"
        write_melody(
            melody,
            output / f"{name}.mid",
            tempo=facts["tempo"],
            program=facts["program"],
            key=actor.key,
            name=name,
        )
        earned = {rule.name: float(r) for rule, r in zip(actor.rules, rewards[index], strict=True)}
        satisfied = bool((rewards[index] >= SATISFIED).all())
        entries.append(
            {
                "file": f"{name}.mid",
                "notes": len(melody),
                "rewards": earned,
                "satisfied": satisfied,
            }
        )
        told = ", ".join(f"{rule} {value:.3g}" for rule, value in earned.items())
        titles.append(f"{name}: {len(melody)} notes; {told}")
    whole = {
        "model": actor.model.fingerprint,
        "rules": [rule.name for rule in actor.rules],
        **facts,
        "key": actor.key,
        "melodies": entries,
    }
    (output / MANIFEST).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if plot:
        plot_melodies(melodies, output / PICTURE, titles=titles, pitch_classes=actor.pitch_classes)
