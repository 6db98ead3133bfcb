"""``mc generate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._actors import actor_option, check_one_source, find_actor
from melodyconstraints.cli._common import (
    FOLDER,
    RULE_OPTIONS,
    model_option,
    option_group,
    rule_specs,
    sampling_options,
    talk,
)
from melodyconstraints.cli._midi_results import MidiResult, numbered, write_results
from melodyconstraints.cli._output import (
    PICTURE,
    earlier_run,
    overwrite_option,
    plot_option,
    write_manifest,
)

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.melody.vae.sampling import SamplingOptions
    from melodyconstraints.workflows.actor import MelodyActor


@dataclass(frozen=True)
class _Wishes:
    """Rules, and the density, which is a knob as well."""

    rules: tuple[str, ...]
    density: int | None

    @property
    def specs(self) -> list[str]:
        return rule_specs(self.rules, self.density)


@click.command("generate")
@actor_option
@model_option
@option_group("wishes", _Wishes, RULE_OPTIONS)
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
@sampling_options
@click.option(
    "--only-satisfying", is_flag=True, help="Draw until COUNT melodies satisfy every rule."
)
@plot_option
@overwrite_option
def command(
    actor_folder: Path | None,
    model_folder: Path | None,
    wishes: _Wishes,
    scale: str | None,
    count: int,
    output: Path,
    tempo: float,
    program: int,
    sampling: SamplingOptions,
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
    specs, density = wishes.specs, wishes.density
    check_one_source(actor_folder, specs)
    if scale is not None and (wishes.rules or actor_folder is not None):
        raise click.UsageError(
            "--scale turns a knob and goes with --density only; of an actor with other rules a "
            "scale is one more: --rule scale:D-dorian"
        )
    ruled = actor_folder is not None or scale is not None or bool(specs)
    if only_satisfying and not ruled:
        raise click.UsageError("--only-satisfying needs --actor, --scale, --rule or --density")
    earlier = earlier_run(output, overwrite)

    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.melody.vae.sampling import Sampling
    from melodyconstraints.workflows.conditional import HIGHEST_DENSITY, load_knobs
    from melodyconstraints.workflows.generate import generate

    model = None if model_folder is None else load_model(model_folder)
    actor = None
    only_dense = density is not None and density <= HIGHEST_DENSITY and not wishes.rules
    if scale is not None or (only_dense and not actor_folder and not model):
        actor = load_knobs(model=model).at(scale, density)
    elif ruled:
        actor = find_actor(actor_folder, model, specs, Sampling.of(sampling).seed)
    drawn = count
    if actor is None:
        model = model or load_model()
        melodies, how = generate(model, count, **sampling), Sampling.of(sampling)
    elif only_satisfying:
        model, how = actor.model, actor.sampling(sampling)
        melodies, drawn = actor.generate_satisfying(count, **sampling)
        talk().print(f"{count} satisfying melodies among {drawn} drawn")
    else:
        model, how = actor.model, actor.sampling(sampling)
        melodies = actor.generate(count, **sampling)
    facts = {
        "model": model.fingerprint,
        "rules": actor.names if actor else [],
        **asdict(how),
        "tempo": tempo,
        "program": program,
        "drawn": drawn,
        "key": actor.key if actor else None,
    }
    _write(melodies, output, facts, actor, plot=plot, replaced=earlier)
    talk().print(f"{count} MIDI file{'s' if count > 1 else ''} in {output}")


def _write(
    melodies: Melodies,
    output: Path,
    facts: dict[str, Any],
    actor: MelodyActor | None,
    *,
    plot: bool,
    replaced: Sequence[Path],
) -> None:
    """MIDI files, manifest and, if asked for, the picture."""
    from melodyconstraints.latent.satisfaction import SATISFIED
    from melodyconstraints.workflows.actor import rewards_of

    names = actor.names if actor else []
    rewards = rewards_of(actor.rules if actor else [], melodies)
    played = {key: facts[key] for key in ("tempo", "program", "key")}
    entries, results = [], []
    for melody, path, own in zip(
        melodies, numbered(output, "melody", len(melodies)), rewards, strict=True
    ):
        by_name = dict(zip(names, own.tolist(), strict=True))
        entry = {"file": path.name, "notes": len(melody), "rewards": by_name}
        if names:
            entry["satisfied"] = bool((own >= SATISFIED).all())
        entries.append(entry)
        title = ", ".join(f"{name} {value:.3g}" for name, value in by_name.items())
        title = f"{path.stem}: {len(melody)} notes" + (f"; {title}" if title else "")
        results.append(MidiResult(melody, path, title, **played))
    write_results(
        results,
        output / PICTURE if plot else None,
        replaced=replaced,
        pitch_classes=actor.pitch_classes if actor else None,
    )
    write_manifest(output, {**facts, "melodies": entries})
