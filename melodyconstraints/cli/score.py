"""``mc score``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melodyconstraints.cli._common import (
    json_option,
    print_json,
    print_table,
    require_rules,
    rule_options,
)
from melodyconstraints.cli._inputs import (
    MIDI_PATH,
    choice_options,
    files_of,
    melodies_of,
    say_what_was_taken,
)
from melodyconstraints.latent.satisfaction import reward_text
from melodyconstraints.storage.text import printable, shortened


@click.command("score")
@click.argument("paths", type=MIDI_PATH, nargs=-1, required=True)
@rule_options
@choice_options
@json_option
def command(
    paths: tuple[Path, ...],
    specs: list[str],
    choice: dict[str, Any],
    as_json: bool,
) -> None:
    """Print the rewards of the melodies of MIDI files and folders under rules.

    \b
    mc score song.mid --rule scale:D-dorian
    mc score folder/ --rule cmajor --rule my_rules.py:my_rule --json

    The 16 bars most likely to be a file's melody are used, and the table says which; --bar and
    --track choose others. Where the grid of sixteenths does not fit, as for triplets, stderr says
    for how many of the onsets. A file without a melody is reported and ends the command with exit
    code 1 after all others.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.rules import find_rules

    require_rules(specs)
    rules = find_rules(specs)
    files, unlisted = files_of(paths)
    melodies, failed = melodies_of(files, choice)
    failed += unlisted
    rows: list[dict[str, Any]] = []
    for file, read in melodies:
        row = {"file": str(file), "track": read.track, "bars": read.bars}
        if read.off_grid:
            say_what_was_taken(file, read)
        row |= {"first_bar": read.first_bar, "last_bar": read.last_bar, "notes": len(read.melody)}
        row |= {"off_grid": read.off_grid}
        rows.append(row | {"rewards": {rule.name: rule(read.melody) for rule in rules}})
    if as_json:
        print_json({"melodies": rows, "failed": failed})
    elif rows:
        print_table(
            ["file", "track", "bars", "notes", *(rule.name for rule in rules)],
            [
                [
                    printable(row["file"]),
                    shortened(printable(row["track"])),
                    f"{row['first_bar']}-{row['last_bar']} of {row['bars']}",
                    str(row["notes"]),
                    *map(reward_text, row["rewards"].values()),
                ]
                for row in rows
            ],
            text_columns=2,
        )
    if failed:
        click.get_current_context().exit(1)
