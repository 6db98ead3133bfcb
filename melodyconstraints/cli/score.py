"""``mc score``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melodyconstraints.cli.common import (
    json_option,
    print_json,
    print_table,
    rule_options,
    rule_specs,
)
from melodyconstraints.disk import printable


@click.command("score")
@click.argument("paths", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@rule_options
@json_option
def command(
    paths: tuple[Path, ...], rules: tuple[str, ...], density: int | None, as_json: bool
) -> None:
    """Print what each melody of the given MIDI files and folders earns under the rules.

    Of a longer file the first 16 bars of its first part count; a file that cannot be read is
    reported and ends the command with exit code 1 after all others.
    """
    from melodyconstraints.datasets.files import LocalFolder, find_midi_files
    from melodyconstraints.errors import MidiError
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.melody.midi import read_melody
    from melodyconstraints.rules import find_rules

    specs = rule_specs(rules, density)
    found = find_rules(specs)
    files: list[Path] = []
    for path in paths:
        names = find_midi_files(LocalFolder(str(path))) if path.is_dir() else [""]
        files += [path / name for name in names]
    rows: list[dict[str, Any]] = []
    failed = 0
    for file in files:
        try:
            read = read_melody(file)
        except MidiError as error:
            click.echo(f"Error: {printable(str(error))}", err=True)
            failed += 1
            continue
        batch = Melodies.stack([read.melody])
        earned = {rule.name: float(rule(batch)[0]) for rule in found}
        rows.append(
            {"file": str(file), "notes": len(read.melody), "bars": read.bars, "rewards": earned}
        )
    if as_json:
        print_json({"melodies": rows, "failed": failed})
    elif rows:
        print_table(
            ["file", "notes", "bars", *(rule.name for rule in found)],
            [
                [
                    printable(row["file"]),
                    str(row["notes"]),
                    str(row["bars"]),
                    *(f"{value:.3f}" for value in row["rewards"].values()),
                ]
                for row in rows
            ],
        )
    if failed:
        click.get_current_context().exit(1)
