"""``mc rules``."""

from __future__ import annotations

import shlex
from itertools import groupby
from pathlib import Path
from textwrap import fill

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    model_option,
    print_json,
    print_table,
)
from melodyconstraints.storage.text import printable

_LEGEND = """\
SHARE, NOTES, PITCHES, SEMITONES, SIXTEENTHS, BITS: LOW..HIGH, LOW.. or LOW (at least), ..HIGH (at
most). SHARE: 60% or 0.6. PITCHES: C4 or 60. LENGTH: one, in sixteenths or as 1/8. N, BARS, TIMES:
one number. Formula, range and source of a rule: mc rules show NAME"""
IMPORT_SECONDS = 60.0
"""Seconds after which the import of a rule file is ended."""


@click.group("rules")
def command() -> None:
    """List and explain the rules, start one of your own, and check it.

    \b
    mc rules show chords
    """  # noqa: D301 (click wants the character)


@command.command("list")
@json_option
def list_rules(as_json: bool) -> None:
    """List every rule of the library and of installed packages.

    \b
    mc rules list
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.rules import library
    from melodyconstraints.rules.registry import installed_rules

    installed = {name: point.value for name, point in installed_rules().items()}
    if as_json:
        facts = ("group", "name", "argument", "example", "summary", "formula")
        rules = [{fact: getattr(row, fact) for fact in facts} for row in library()]
        print_json({"rules": rules, "installed": installed})
        return
    rows = []
    for group, members in groupby(library(), key=lambda row: row.group):
        rows += [[group], *([row.example, row.argument, row.summary] for row in members)]
    if installed:
        rows += [["installed"], *([name, "", value] for name, value in installed.items())]
    rows += [["your own"], ["my_rules.py:my_rule", "", "A function of a file of yours"]]
    print_table(["for example", "behind the colon", "rewards"], rows, text_columns=3)
    click.echo(_LEGEND)


@command.command("show")
@click.argument("rule")
@json_option
def show_rule(rule: str, as_json: bool) -> None:
    """Explain RULE: a name of the library, or a whole specification such as scale:D-dorian.

    \b
    mc rules show chords
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.rules import find_rule
    from melodyconstraints.rules.registry import library_rule

    row = library_rule(rule)
    if row is not None:
        if as_json:
            facts = ("name", "argument", "summary", "formula", "example")
            print_json({fact: getattr(row, fact) for fact in facts})
            return
        written = f"{row.name}:{row.argument}".rstrip(":")
        click.echo(f"{written}\n{row.summary}\n")
        click.echo(fill(row.formula, 88, break_long_words=False, break_on_hyphens=False))
        click.echo(f"\nfor example: mc generate --rule {row.example}")
        click.echo(f"many, at once: mc train-actor --rule {row.example} -o actors/mine")
        return
    found_rule = find_rule(rule)
    if as_json:
        print_json({fact: getattr(found_rule, fact) for fact in ("name", "description", "key")})
        return
    click.echo(f"{found_rule.name}\n{found_rule.description or 'no description'}")
    if found_rule.key:
        click.echo(f"key signature: {found_rule.key}")


@command.command("new")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def new_rule(file: Path) -> None:
    """Write FILE, a rule to start from, with a description of rules.

    \b
    mc rules new my_rules.py
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.workflows.new_rule import write_new_rule

    write_new_rule(file)
    name, argument = printable(str(file)), printable(shlex.quote(str(file)))
    click.echo(f"{name} holds the rule my_rule; change it, then: mc rules check {argument}")


@command.command("check")
@click.argument("rule")
@model_option
@click.option(
    "--data",
    type=FOLDER,
    help="Melody store whose melodies are rewarded instead of the model's reconstructions.",
)
@json_option
def check_rule(rule: str, model_folder: Path | None, data: Path | None, as_json: bool) -> None:
    """Check RULE, such as my_rules.py:my_rule or cmajor, before a training.

    \b
    mc rules check my_rules.py:my_rule

    Of a slow rule fewer melodies are taken, and one that hangs is given up. Ends with 1 if the
    rule breaks the contract of rules or cannot be learned.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.cli import _rule_check
    from melodyconstraints.rules import find_rule
    from melodyconstraints.rules.isolation import time_limit
    from melodyconstraints.workflows.check_rule import check_rule
    from melodyconstraints.workflows.models import load_model

    with time_limit(IMPORT_SECONDS):
        found_rule = find_rule(rule)
    report = check_rule(load_model(model_folder), found_rule, data=data, progress=True)
    _rule_check.show(report, as_json)
    click.get_current_context().exit(0 if report.passed else 1)
