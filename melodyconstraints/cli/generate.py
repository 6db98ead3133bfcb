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
    from melodyconstraints.melody.vae.model import MelodyVAE
    from melodyconstraints.melody.vae.sampling import SamplingOptions
    from melodyconstraints.workflows.actor import MelodyActor


@dataclass(frozen=True)
class _Source:
    """What melodies come from: an actor, knobs, rules to train for, or the prior."""

    actor_folder: Path | None
    model_folder: Path | None
    rules: tuple[str, ...]
    density: int | None
    scale: str | None

    @property
    def specs(self) -> list[str]:
        return rule_specs(self.rules, self.density)

    def check(self, only_satisfying: bool) -> None:
        """Refuse options that do not go together."""
        check_one_source(self.actor_folder, self.specs)
        if self.scale is not None and (self.rules or self.actor_folder is not None):
            raise click.UsageError(
                "--scale turns a knob and goes with --density only; of an actor with other rules "
                "a scale is one more: --rule scale:D-dorian"
            )
        ruled = self.actor_folder is not None or self.scale is not None or self.specs
        if only_satisfying and not ruled:
            raise click.UsageError("--only-satisfying needs --actor, --scale, --rule or --density")

    def find(self) -> tuple[MelodyVAE, MelodyActor | None]:
        """The model, and the actor unless melodies come from the prior; trains one for rules."""
        from melodyconstraints.melody.vae.checkpoint import load_model
        from melodyconstraints.workflows.conditional import HIGHEST_DENSITY, load_knobs

        model = None if self.model_folder is None else load_model(self.model_folder)
        only_dense = self.density is not None and self.density <= HIGHEST_DENSITY
        if self.scale is not None or (
            only_dense and not (self.rules or self.actor_folder or self.model_folder)
        ):
            actor = load_knobs(model=model).at(self.scale, self.density)
        elif self.actor_folder is not None or self.specs:
            actor = find_actor(self.actor_folder, model, self.specs)
        else:
            return model or load_model(), None
        return actor.model, actor


source_options = option_group(
    "source",
    _Source,
    {
        "actor_folder": actor_option,
        "model_folder": model_option,
        **RULE_OPTIONS,
        "scale": click.option(
            "--scale",
            help="D-dorian, or pitch classes such as C,D,E,G,A. With --density or alone: no "
            "training.",
        ),
    },
)
playback_options = option_group(
    "playback",
    dict,
    {
        "tempo": click.option(
            "--tempo",
            type=click.FloatRange(10, 1000),
            default=120.0,
            show_default=True,
            help="Quarter notes a minute.",
        ),
        "program": click.option(
            "--program",
            type=click.IntRange(0, 127),
            default=0,
            show_default=True,
            help="General MIDI instrument; 0 is a piano.",
        ),
    },
)


@click.command("generate")
@source_options
@click.option("-n", "count", type=click.IntRange(1), default=16, show_default=True)
@click.option("-o", "--output", type=FOLDER, default=Path("out"), show_default=True)
@playback_options
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
    source: _Source,
    count: int,
    output: Path,
    playback: dict[str, Any],
    sampling: SamplingOptions,
    only_satisfying: bool,
    allow_none: bool,
    plot: bool,
    overwrite: bool,
) -> None:
    """Write melodies as MIDI files, with a manifest of their rewards.

    \b
    mc generate --scale D-dorian --density 96
    mc generate --actor actors/mine -n 64 --only-satisfying
    mc generate --rule cmajor --rule my_rules.py:my_rule

    --scale and --density turn the knobs of an actor that comes with the bundled model: no
    training. With --actor, rules are those of the actor. With --rule, or --density and --model, an
    actor is trained first. With none of these, melodies come from the prior, under no rule.
    """  # noqa: D301 (click wants the character)
    source.check(only_satisfying)
    earlier = earlier_run(output, overwrite)

    from melodyconstraints.melody.vae.sampling import Sampling
    from melodyconstraints.workflows.generate import generate

    model, actor = source.find()
    how, drawn = actor.sampling(sampling) if actor else Sampling.of(sampling), count
    if actor is None:
        melodies = generate(model, count, **sampling)
    elif only_satisfying:
        melodies, drawn = actor.generate_satisfying(count, **sampling)
        talk().print(f"{count} satisfying melodies among {drawn} drawn")
    else:
        melodies = actor.generate(count, **sampling)
    facts = {
        "model": model.fingerprint,
        "rules": actor.names if actor else [],
        **asdict(how),
        **playback,
        "drawn": drawn,
        "key": actor.key if actor else None,
    }
    satisfied = _write(melodies, output, facts, actor, plot=plot, replaced=earlier)
    talk().print(f"{count} MIDI file{'s' if count > 1 else ''} in {output}")
    if satisfied is not None and not only_satisfying:
        context.exit(0 if _say_satisfied(satisfied, count, allow_none) else 1)


def _say_satisfied(satisfied: int, count: int, allow_none: bool) -> bool:
    """Say on stderr how many melodies satisfy every rule; false where that is an error."""
    text = f"{satisfied} of {count} satisfy every rule"
    if satisfied or allow_none:
        more = "" if satisfied == count else "; --only-satisfying draws until all do"
        talk().print(f"{text}{more}")
        return True
    remedy = "try --only-satisfying or a longer training; --allow-none makes this no error"
    click.echo(f"Error: {text}: {remedy}", err=True)
    return False


def _write(
    melodies: Melodies,
    output: Path,
    facts: dict[str, Any],
    actor: MelodyActor | None,
    *,
    plot: bool,
    replaced: Sequence[Path],
) -> int | None:
    """Write MIDI files, manifest and picture; how many satisfy every rule, None without rules."""
    from melodyconstraints.latent.satisfaction import SATISFIED
    from melodyconstraints.workflows.actor import rewards_of

    names = actor.names if actor else []
    rewards = rewards_of(actor.rules if actor else [], melodies)
    played = {key: facts[key] for key in ("tempo", "program", "key")}
    entries: list[dict[str, Any]] = []
    results = []
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
    return sum(entry["satisfied"] for entry in entries) if names else None
