"""``mc rules``."""

from __future__ import annotations

from itertools import groupby
from textwrap import fill

import click

from melodyconstraints.cli.common import print_table

_LEGEND = """\
SHARE, NOTES, PITCHES, SEMITONES, BITS: LOW..HIGH, LOW.. or LOW (at least), ..HIGH (at most).
SHARE: 60% or 0.6. PITCHES: C4 or 60. LENGTH: one, in sixteenths or as 1/8. N, BARS, TIMES: one
number. Formula, range and source of a rule: mc rules show NAME"""


@click.group("rules")
def command() -> None:
    """List and explain the rules."""


@command.command("list")
def list_rules() -> None:
    """Every rule of the library and of installed packages."""
    from importlib.metadata import entry_points

    from melodyconstraints.rules import library
    from melodyconstraints.rules.registry import ENTRY_POINTS

    rows = []
    for group, members in groupby(library(), key=lambda row: row.group):
        rows += [[group], *([row.example, row.argument, row.summary] for row in members)]
    if installed := list(entry_points(group=ENTRY_POINTS)):
        rows += [["installed"], *([point.name, "", point.value] for point in installed)]
    rows += [["your own"], ["my_rules.py:my_rule", "", "A function of a file of yours"]]
    print_table(["for example", "behind the colon", "rewards"], rows, text_columns=3)
    click.echo(_LEGEND)


@command.command("show")
@click.argument("rule")
def show_rule(rule: str) -> None:
    """Explain RULE: a name of the library, or a whole specification such as scale:D-dorian."""
    from melodyconstraints.rules import find_rule, library

    for row in library():
        if rule == row.name:
            click.echo(f"{row.name}:{row.argument}\n{row.summary}\n")
            click.echo(fill(row.formula, 88, break_long_words=False, break_on_hyphens=False))
            click.echo(f"\nfor example: mc train-actor --rule {row.example}")
            return
    found = find_rule(rule)
    click.echo(f"{found.name}\n{found.description or 'no description'}")
    if found.key:
        click.echo(f"key signature: {found.key}")
