"""What ``mc rules check`` finds, and how it tells it."""

from __future__ import annotations

import textwrap
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from melodyconstraints.cli._common import print_json, print_table, progress_bar
from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.errors import StoreError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.checkpoint import load_model
from melodyconstraints.rules import Rule
from melodyconstraints.rules.contract import Finding, check_contract, melodies_per_second
from melodyconstraints.rules.learnability import (
    JUDGED_IN_TRAINING,
    Distribution,
    Verdict,
    cost_of_training,
    judge,
)
from melodyconstraints.workflows.bank import Bank, load_bank
from melodyconstraints.workflows.train_vae import choose

_STORED = 2_048
"""Melodies of a store that are judged."""
_HELD_TO_CONTRACT = 256
"""Melodies on which the contract is checked, again and again."""
_OWN = "drawn by the model"
_WIDTH = 98


@dataclass(frozen=True)
class Report:
    """All that is told about a rule.

    Args:
        findings: one a clause of the contract.
        distributions: by the name of what was judged; only of a rule that keeps the contract,
            like what follows.
        verdict: whether it can be learned.
        speed: melodies a second.
    """

    rule: Rule
    findings: list[Finding]
    distributions: dict[str, Distribution] = field(default_factory=dict)
    verdict: Verdict | None = None
    speed: float | None = None

    @property
    def passed(self) -> bool:
        """The contract is kept, and the rule can be learned."""
        return self.verdict is not None and self.verdict.learnable

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "rule": self.rule.name,
            "passed": self.passed,
            "contract": [{"says": one.says, "broken": one.broken} for one in self.findings],
            "rewards": {name: asdict(one) for name, one in self.distributions.items()},
            "verdict": self.verdict and asdict(self.verdict),
            "melodies_per_second": self.speed,
            "seconds_of_a_training": self.speed and cost_of_training(self.speed)[0],
        }


def examine(
    rule: Rule,
    model_folder: Path | None,
    data: Path | None,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Report:
    """Hold a rule to the contract and judge a model's bank by it.

    Args:
        model_folder: None for the bundled model.
        data: a store whose own melodies are judged in place of the bank's reconstructions.
        clock: gives seconds.
    """
    stored = _stored(data)
    with progress_bar("melodies decoded, once for this model") as bar:
        task = bar.add_task("", total=None, visible=False)
        bank = load_bank(
            load_model(model_folder),
            callback=lambda done, total: bar.update(
                task, completed=done, total=total, visible=True
            ),
        )
    some = bank.melodies[:_HELD_TO_CONTRACT]
    findings = check_contract(rule, some)
    if any(one.broken for one in findings):
        return Report(rule, findings)
    judged = {_OWN: bank.melodies, **_training_data(bank, stored)}
    rewards = {name: rule(melodies) for name, melodies in judged.items()}
    distributions = {name: Distribution.of(given) for name, given in rewards.items()}
    return Report(
        rule,
        findings,
        distributions,
        judge(distributions[_OWN]),
        melodies_per_second(rule, some, clock=clock),
    )


def _stored(data: Path | None) -> Melodies | None:
    if data is None:
        return None
    stored = read_store(data, "train")
    if not len(stored):
        raise StoreError(f"{data} holds no melody of the split train; extract more files")
    return Melodies(choose(stored.events, _STORED))


def _training_data(bank: Bank, stored: Melodies | None) -> dict[str, Melodies]:
    if stored is not None:
        return {"of the store": stored}
    return {"of its data": bank.reconstructions} if bank.reconstructions else {}


def show(report: Report, as_json: bool) -> None:
    """Print a report; what the rule raised goes to stderr, with its traceback, once."""
    raised = [one.error for one in report.findings if one.error and one.error.__cause__]
    for error in raised[:1]:
        click.echo("".join(traceback.format_exception(error.__cause__)), err=True)
    if as_json:
        print_json(report.as_dict())
        return
    click.echo(report.rule.name)
    if report.rule.description:
        _say(report.rule.description)
    click.echo()
    for finding in report.findings:
        click.echo(f"{'BROKEN' if finding.broken else 'kept':<6}  {finding.says}")
        if finding.broken:
            _say(finding.broken, indent=8)
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
        f"A training judges about {JUDGED_IN_TRAINING:,} melodies: {seconds:,.1f} s "
        f"({report.speed:,.0f} a second).{advice}"
    )
    _say(f"{report.verdict.text[0].upper()}{report.verdict.text[1:]}.")


def _row(name: str, spread: Distribution) -> list[str]:
    quantiles = [f"{value:.2f}" for value in spread.quantiles]
    return [
        name,
        f"{spread.n:,}",
        f"{spread.mean:.3f}",
        f"{spread.satisfied:.1%}",
        *quantiles,
        spread.spark,
    ]


def _say(text: str, indent: int = 0) -> None:
    space = " " * indent
    click.echo(textwrap.fill(text, _WIDTH, initial_indent=space, subsequent_indent=space))
