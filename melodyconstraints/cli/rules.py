"""``mc rules``."""

from __future__ import annotations

import click

from melodyconstraints.cli.common import print_table


@click.group("rules")
def command() -> None:
    """List and explain the rules."""


@command.command("list")
def list_rules() -> None:
    """Every rule of the library and of installed packages."""
    from importlib.metadata import entry_points

    from melodyconstraints.rules import library
    from melodyconstraints.rules.registry import ENTRY_POINTS

    rows = [[f"{row.name}:{row.argument}", row.example, row.summary] for row in library()]
    rows += [[point.name, point.name, point.value] for point in entry_points(group=ENTRY_POINTS)]
    rows.append(["FILE.py:NAME", "my_rules.py:my_rule", "a function of your own"])
    print_table(["rule", "for example", "rewards"], rows, text_columns=3)


@command.command("show")
@click.argument("rule")
def show_rule(rule: str) -> None:
    """Explain RULE: a name of the library, or a whole specification such as scale:D-dorian."""
    from melodyconstraints.rules import find_rule, library

    for row in library():
        if rule == row.name:
            click.echo(f"{row.name}:{row.argument}\n{row.summary}\n\n{row.formula}")
            click.echo(f"\nfor example: mc train-actor --rule {row.example}")
            return
    found = find_rule(rule)
    click.echo(f"{found.name}\n{found.description or 'no description'}")
    if found.key:
        click.echo(f"key signature: {found.key}")
