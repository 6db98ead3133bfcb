"""Check of a rule for ``mc rules check``, and its report."""

from __future__ import annotations

import sys
import textwrap
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from melodyconstraints.cli._common import print_json, print_table, progress_bar, talk
from melodyconstraints.errors import RuleError, StoreError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.checkpoint import load_model
from melodyconstraints.rules import Rule
from melodyconstraints.rules.contract import (
    CONTRACT,
    Finding,
    check_contract,
    melodies_per_second,
)
from melodyconstraints.rules.isolation import OutOfTime, time_limit
from melodyconstraints.rules.learnability import (
    DECODED_IN_TRAINING,
    Distribution,
    Verdict,
    assess,
    cost_of_training,
)
from melodyconstraints.workflows.bank import Bank, load_bank
from melodyconstraints.workflows.train_vae import choose

_STORED = 2_048
"""Melodies of a store that are rewarded, at most."""
_CHECKED = 256
"""Melodies on which the contract is checked, at most."""
_TRIED = 8
"""Melodies on which a rule is timed first, to choose how many a check may take."""
_FEWEST = 64
"""Melodies of which rewards are computed, however slow a rule is."""
_SECONDS_OF_CONTRACT, _SECONDS_OF_REWARDS = 5.0, 15.0
"""Time that the two parts of a check may take, about."""
_CALLS_OF_CONTRACT = 6
"""Calls of a rule for each melody on which its contract is checked."""
PATIENCE = 10.0
"""Seconds after which a call of a rule is ended."""
IMPORT_SECONDS = 60.0
"""Seconds after which the import of a rule file is ended."""
_OWN = "drawn by the model"
_WIDTH = 98


@dataclass(frozen=True)
class Report:
    """Results of a check.

    Args:
        findings: one a clause of the contract.
        distributions: of rewards, by the name of the melodies; like what follows only of a rule
            that satisfies the contract.
        verdict: whether the rule can be learned.
        speed: melodies a second.
    """

    rule: Rule
    findings: list[Finding]
    distributions: dict[str, Distribution] = field(default_factory=dict)
    verdict: Verdict | None = None
    speed: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the rule satisfies the contract and can be learned."""
        return self.verdict is not None and self.verdict.learnable

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        contract = [
            {"says": one.says, "satisfied": one.broken is None, "broken": one.broken}
            for one in self.findings
        ]
        return {
            "rule": self.rule.name,
            "passed": self.passed,
            "contract": contract,
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
    """Check the contract of a rule, and compute its rewards of a model's bank.

    What is done, and about how long it takes, is said on stderr. Of a slow rule fewer melodies
    are taken; a rule that hangs is ended after :data:`PATIENCE`.

    Args:
        model_folder: folder of the melody model; None for the packaged staff generator.
        data: a store whose own melodies are rewarded in place of the bank's reconstructions.
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
    speed, findings = _check(rule, bank.melodies, clock)
    if any(one.broken for one in findings):
        return Report(rule, findings)
    melodies = {_OWN: bank.melodies, **_training_data(bank, stored)}
    each = max(int(_SECONDS_OF_REWARDS * speed / len(melodies)), _FEWEST)
    some = {name: Melodies(choose(one.events, each)) for name, one in melodies.items()}
    count = sum(map(len, some.values()))
    _announce("computing rewards of", count, speed)
    start = clock()
    rewards = {name: _rewards(rule, one, max(int(speed), 1)) for name, one in some.items()}
    speed = count / max(clock() - start, 1e-9)
    distributions = {name: Distribution.of(own) for name, own in rewards.items()}
    return Report(rule, findings, distributions, assess(distributions[_OWN]), speed)


def _check(
    rule: Rule, melodies: Melodies, clock: Callable[[], float]
) -> tuple[float, list[Finding]]:
    """Time a rule on some melodies, and check its contract on as many as that allows.

    Returns:
        Melodies a second, and findings.
    """
    tried = melodies[:_TRIED]
    talk().print(f"trying {rule.name} on {len(tried)} melodies, {PATIENCE:g} s a call at most")
    try:
        with time_limit(PATIENCE):
            rule(tried[:1])  # a first call may import and compile
            speed = melodies_per_second(rule, tried, clock=clock)
    except RuleError as error:
        if isinstance(error.__cause__, OutOfTime):
            return 0.0, [Finding(CONTRACT[0].says, str(error), error)]
        return 0.0, check_contract(rule, tried, seconds=PATIENCE)
    count = int(_SECONDS_OF_CONTRACT * speed / _CALLS_OF_CONTRACT)
    some = melodies[: min(max(count, _TRIED), _CHECKED)]
    _announce("checking the contract on", len(some), speed / _CALLS_OF_CONTRACT)
    return speed, check_contract(rule, some, seconds=PATIENCE)


def _rewards(rule: Rule, melodies: Melodies, size: int) -> NDArray[np.float64]:
    """``(B,)`` rewards, computed for so many melodies at a time."""
    with time_limit(PATIENCE):
        parts = [rule(melodies[first : first + size]) for first in range(0, len(melodies), size)]
    return np.concatenate(parts)


def _announce(what: str, count: int, speed: float) -> None:
    talk().print(f"{what} {count:,} melodies, about {max(count / speed, 1):,.0f} s")


def _stored(data: Path | None) -> Melodies | None:
    if data is None:
        return None
    from melodyconstraints.datasets.melodies.store import read_store  # needs pyarrow

    stored = read_store(data, "train")
    if not len(stored):
        raise StoreError(f"{data} holds no melody of the split train; extract more files")
    return Melodies(choose(stored.events, _STORED))


def _training_data(bank: Bank, stored: Melodies | None) -> dict[str, Melodies]:
    if stored is not None:
        return {"of the store": stored}
    return {"of its data": bank.reconstructions} if bank.reconstructions else {}


def show(report: Report, as_json: bool) -> None:
    """Print a report; the error that a rule raised goes to stderr, with its traceback, once."""
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
    if not sys.stdout.isatty():  # whole lines, in which names can be searched for
        click.echo(space + text)
        return
    click.echo(textwrap.fill(text, _WIDTH, initial_indent=space, subsequent_indent=space))
