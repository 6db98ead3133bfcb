"""Report of ``mc rules check``."""

from __future__ import annotations

import sys
import textwrap
import traceback
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import print_json, print_table
from melodyconstraints.latent.satisfaction import reward_text
from melodyconstraints.rules.learnability import (
    DECODED_IN_TRAINING,
    Distribution,
    cost_of_training,
)

if TYPE_CHECKING:
    from melodyconstraints.workflows.check_rule import RuleReport

_WIDTH = 98


def show(report: RuleReport, as_json: bool) -> None:
    """Print a report; the error that a rule raised goes to stderr, with its traceback, once."""
    raised = [one.error for one in report.findings if one.error and one.error.__cause__]
    for error in raised[:1]:
        click.echo("".join(traceback.format_exception(error.__cause__)), err=True)
    if as_json:
        print_json(_as_dict(report))
        return
    click.echo(report.rule.name)
    if report.rule.description:
        _say(report.rule.description)
    click.echo()
    for finding in report.findings:
        click.echo(f"{'BROKEN' if finding.broken else 'satisfied':<9}  {finding.says}")
        if finding.broken:
            _say(finding.broken, indent=11)
    click.echo()
    if report.verdict is None or report.speed is None:
        _say("The rule breaks the contract; mend it and check it again.")
        return
    quantiles = ["least", "10%", "50%", "90%", "most"]
    columns = ["melodies", "n", "mean", "satisfied", *quantiles, "0 to 1"]
    print_table(columns, [_row(name, one) for name, one in report.distributions.items()])
    seconds, slow = cost_of_training(report.speed)
    advice = " That is slow; @rule(batched=True) is faster." if slow else ""
    _say(
        f"A training decodes about {DECODED_IN_TRAINING:,} melodies; their rewards take "
        f"{seconds:,.1f} s ({report.speed:,.0f} a second).{advice}"
    )
    _say(f"{report.verdict.text[0].upper()}{report.verdict.text[1:]}.")
    if report.typicality_text:
        _say(report.typicality_text)


def _as_dict(report: RuleReport) -> dict[str, Any]:
    """Plain JSON values."""
    contract = [
        {"says": one.says, "satisfied": one.broken is None, "broken": one.broken}
        for one in report.findings
    ]
    return {
        "rule": report.rule.name,
        "passed": report.passed,
        "contract": contract,
        "rewards": {name: asdict(one) for name, one in report.distributions.items()},
        "verdict": report.verdict and asdict(report.verdict),
        "learns_typical": report.learns_typical,
        "melodies_per_second": report.speed,
        "seconds_of_a_training": report.speed and cost_of_training(report.speed)[0],
    }


def _row(name: str, spread: Distribution) -> list[str]:
    return [
        name,
        f"{spread.n:,}",
        reward_text(spread.mean),
        f"{spread.satisfied:.1%}",
        *map(reward_text, spread.quantiles),
        spread.spark,
    ]


def _say(text: str, indent: int = 0) -> None:
    space = " " * indent
    if not sys.stdout.isatty():  # whole lines, in which names can be searched for
        click.echo(space + text)
        return
    click.echo(textwrap.fill(text, _WIDTH, initial_indent=space, subsequent_indent=space))
