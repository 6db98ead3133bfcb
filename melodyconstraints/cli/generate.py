"""``mc generate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._actors import (
    ActorSource,
    sampling_shown,
    sampling_source_options,
    search_shown,
)
from melodyconstraints.cli._common import (
    FOLDER,
    count_option,
    json_option,
    print_json,
    sampling_options,
    stderr_console,
)
from melodyconstraints.cli._midi_results import (
    Export,
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
from melodyconstraints.cli._rewarded import MelodySource, say_satisfied

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.melody.vae.sampling import DrawingOptions


@click.command("generate")
@sampling_source_options
@count_option("-n", "count", default=16, show_default=True)
@click.option("-o", "--output", type=FOLDER, default=Path("out"), show_default=True)
@playback_options
@export_options
@sampling_options
@click.option(
    "--only-satisfying", is_flag=True, help="Draw until as many as -n satisfy every rule."
)
@click.option(
    "--allow-none",
    is_flag=True,
    help="Succeed even if none of the melodies drawn satisfies every rule; "
    "not with --only-satisfying.",
)
@plot_option
@overwrite_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    source: ActorSource,
    count: int,
    output: Path,
    playback: dict[str, Any],
    export: Export,
    sampling: DrawingOptions,
    only_satisfying: bool,
    allow_none: bool,
    plot: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write melodies as MIDI files, with a manifest of their rewards.

    \b
    mc generate --scale D-dorian --density 96
    mc generate --form AABA
    mc generate --actor actors/mine -n 64 --only-satisfying
    mc generate --rule chords:C,Am,F,G,60% --rule rhythm:x..x..x.
    mc generate --rule cmajor --rule my_rules.py:my_rule
    mc generate --like reels/ --scale D-dorian

    No training is needed. The model aims directly at --scale, --form, --density and the rules
    ambitus, rise, steps, off-beat and rests (its knobs), and writes a rhythm and chords. A search
    finds melodies for all other rules, in some seconds to half a minute.
    With --like, melodies come from where the model finds those of a folder, be they few or many;
    knobs and rules go with it. With --actor, rules are those of the actor, which has learned
    them: its melodies come at once.
    With none of these, melodies come from the prior, under no rule.
    """  # noqa: D301 (click wants the character)
    source.check()
    if only_satisfying:
        source.require_rules("--only-satisfying needs")

    melody_source = MelodySource.of(source)
    earlier = earlier_run(output, overwrite)
    melodies, drawn = _draw(melody_source, count, only_satisfying, sampling)
    written = len(melodies)
    entries = melody_source.entries(melodies, numbered(output, "melody", written))
    results = melody_source.results(melodies, entries, output, **playback)
    like = {"like": None if source.like is None else str(source.like)}
    facts = (
        melody_source.facts(sampling, drawn) | like | playback | {"interrupted": written < count}
    )
    whole = write_run(
        *(results, entries, output, facts, export),
        earlier=earlier,
        plot=plot,
        **melody_source.colours,
    )
    if as_json:
        print_json(whole)
    stderr_console().print(what_was_written(output, written, export, plot=plot))
    if written < count:
        context.exit(1)
    if not only_satisfying:
        remedy = "ask for less or try --only-satisfying"
        more = "--only-satisfying goes on until all do"
        satisfied = say_satisfied(entries, remedy, allow_none=allow_none, more=more)
        context.exit(0 if satisfied else 1)


def _draw(
    source: MelodySource, count: int, only_satisfying: bool, sampling: DrawingOptions
) -> tuple[Melodies, int]:
    """Melodies, and how many were drawn for them; fewer where the drawing ended before."""
    from melodyconstraints.melody.vae.sampler import SamplingInterrupted, TooFewError
    from melodyconstraints.workflows.generate import generate
    from melodyconstraints.workflows.search import MelodySearchInterrupted

    shown = None
    try:
        if source.actor is None:
            with sampling_shown(count) as show:
                return generate(source.model, count, callback=show, **sampling), count
        with search_shown(source.actor, count) as shown:
            if not only_satisfying:
                return shown.actor.generate(count, **sampling), shown.drawn
            melodies, drawn = shown.actor.generate_satisfying(count, **sampling)
    except TooFewError as error:
        if not len(error.melodies):
            raise
        click.echo(f"Error: {error}", err=True)
        return error.melodies[:count], error.drawn
    except SamplingInterrupted as stop:
        melodies = stop.melodies[:count]  # more, where typical ones were still looked for
        found = len(melodies)
        is_searched = isinstance(stop, MelodySearchInterrupted) and bool(
            source.actor and source.actor.active_rules
        )
        satisfy = only_satisfying or is_searched
        if not found:
            state = "satisfies every rule" if satisfy else "is drawn"
            stderr_console().print(f"stopped; no melody {state} by now: nothing is written")
            raise click.exceptions.Exit(1) from stop
        state = "satisfy every rule" if satisfy else "are drawn"
        stderr_console().print(f"stopped; {found:,} of {count:,} {state} by now")
        return melodies, shown.drawn if shown else found
    stderr_console().print(f"{count} satisfying melodies among {drawn} drawn")
    return melodies, drawn
