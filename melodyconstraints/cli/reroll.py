"""``mc reroll``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._actors import ActorSource, search_shown, source_options
from melodyconstraints.cli._common import (
    FOLDER,
    count_option,
    json_option,
    option_group,
    print_json,
    print_table,
    sampling_options,
    stderr_console,
)
from melodyconstraints.cli._inputs import MIDI_FILE, choice_options, keep_bars_option, melodies_of
from melodyconstraints.cli._midi_results import (
    Export,
    MidiResult,
    export_options,
    numbered,
    source_facts,
    what_was_written,
    write_run,
)
from melodyconstraints.cli._output import (
    check_inputs,
    earlier_run,
    overwrite_option,
    plot_option,
)
from melodyconstraints.cli._rewarded import MelodySource, say_satisfied
from melodyconstraints.latent.satisfaction import reward_text

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies, Melody
    from melodyconstraints.melody.vae.sampling import SamplingOptions

change_options = option_group(
    "change",
    dict,
    {
        "keep_bars": keep_bars_option,
        "strength": click.option(
            "--strength",
            type=click.FloatRange(0, 1),
            default=1.0,
            show_default=True,
            help="Share of the way from your melody to new ones: 0 is your melody as the model "
            "decodes it, 1 all new.",
        ),
    },
)
"""Options of what stays of a melody, handed over as ``change``, keywords of ``reroll``."""


@click.command("reroll")
@click.argument("file", type=MIDI_FILE, metavar="SOURCE")
@source_options
@change_options
@count_option("-n", "count", default=8, show_default=True)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder to make.")
@choice_options
@export_options
@sampling_options
@click.option(
    "--allow-none",
    is_flag=True,
    help="Succeed even if none of the melodies drawn satisfies every rule.",
)
@plot_option
@overwrite_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    file: Path,
    source: ActorSource,
    change: dict[str, Any],
    count: int,
    output: Path,
    choice: dict[str, Any],
    export: Export,
    sampling: SamplingOptions,
    allow_none: bool,
    plot: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Keep bars of the melody of a MIDI file, and draw the others anew.

    \b
    mc reroll my_tune.mid --keep-bars 1-4 -o rerolled/
    mc reroll my_tune.mid --keep-bars 1-4,9 --scale D-dorian --form AABA -o new/
    mc reroll my_tune.mid --keep-bars 13-16 --strength 0.5 --rule cmajor -o near/

    Kept bars stay note for note; only a note that sounds on after one may end elsewhere. In a
    form, bars that repeat a kept one repeat it as it is kept. With --scale, --density, --rule or
    --actor the whole melodies are to satisfy rules, as in mc generate; with none of these, new
    bars come from the prior. Tempo and instrument are those of SOURCE.
    """  # noqa: D301 (click wants the character)
    source.check()
    if not change["keep_bars"] and change["strength"] == 1:
        raise click.UsageError(
            "nothing of SOURCE would stay; give --keep-bars, or a --strength below 1"
        )
    earlier = earlier_run(output, overwrite)
    paths = list(numbered(output, "reroll", count))
    check_inputs([file], [*earlier, *paths])
    read, _ = melodies_of([file], choice, report=True)
    if not read:
        context.exit(1)
    ((_, found),) = read
    melody_source = MelodySource.of(source)
    melodies, drawn = _draw(melody_source, found.melody, count, change | dict(sampling))
    entries = _entries(melody_source, found.melody, melodies, paths)
    played: dict[str, Any] = {"tempo": found.tempo, "program": found.program}
    original = MidiResult(found.melody, None, f"original: {len(found.melody)} notes", **played)
    results = [original, *melody_source.results(melodies, entries, output, **played)]
    facts = melody_source.facts(sampling, drawn) | source_facts(file, found)
    facts |= change | {"keep_bars": sorted(change["keep_bars"])}
    whole = write_run(
        *(results, entries, output, facts, export),
        earlier=earlier,
        plot=plot,
        **melody_source.colours,
    )
    if as_json:
        print_json(whole)
    else:
        _print(entries)
    stderr_console().print(what_was_written(output, count, export, plot=plot))
    satisfied = say_satisfied(entries, _remedy(**change), allow_none=allow_none)
    context.exit(0 if satisfied else 1)


def _draw(
    source: MelodySource, melody: Melody, count: int, options: dict[str, Any]
) -> tuple[Melodies, int]:
    """Melodies in place of one, and how many were drawn for them."""
    from melodyconstraints.workflows.reroll import check_kept, reroll

    if source.actor is None:
        return reroll(source.model, melody, count, **options), count
    check_kept(source.actor, melody, options["keep_bars"])  # before a bar is shown
    with search_shown(source.actor, count) as shown:
        return reroll(shown.actor, melody, count, **options), shown.drawn


def _entries(
    source: MelodySource, original: Melody, melodies: Melodies, paths: Sequence[Path]
) -> list[dict[str, Any]]:
    """Entries of the manifest for each melody, with the share of the original's notes it has."""
    from melodyconstraints.melody.metrics.agreement import onset_recall

    kept = [onset_recall(one.events[None], original.events[None]) for one in melodies]
    entries = source.entries(melodies, paths)
    return [entry | {"notes_kept": own} for entry, own in zip(entries, kept, strict=True)]


def _remedy(keep_bars: Collection[int], strength: float) -> str:
    """Advice on what to try where no melody satisfies every rule."""
    remedies = [
        *(["--strength 1"] if keep_bars and strength < 1 else []),
        *(["fewer --keep-bars"] if keep_bars else ["more --strength"]),
        "more melodies by -n",
    ]
    return f"try {', '.join(remedies)} or another --seed"


def _print(entries: Sequence[Mapping[str, Any]]) -> None:
    names = list(entries[0]["rewards"])
    counts = "satisfied" in entries[0]
    print_table(
        ["file", "notes", "kept", *names, *(["satisfied"] if counts else [])],
        [
            [
                entry["file"],
                str(entry["notes"]),
                f"{entry['notes_kept']:.0%}",
                *(reward_text(entry["rewards"][name]) for name in names),
                *(["yes" if entry["satisfied"] else "no"] if counts else []),
            ]
            for entry in entries
        ],
    )
