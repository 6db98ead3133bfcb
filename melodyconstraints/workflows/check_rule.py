"""Check of a rule before a training: its contract, its rewards of a model's melodies, its speed.

>>> import melodyconstraints as mc
>>> report = mc.check_rule(mc.load_model(), "cmajor")
>>> report.passed, list(report.distributions)
(True, ['drawn by the model', 'drawn in its scale', 'of its data'])
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import RuleError, StoreError
from melodyconstraints.latent.progress import progress_bar, stderr_console
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.rules.contract import (
    CONTRACT,
    Finding,
    check_contract,
    melodies_per_second,
)
from melodyconstraints.rules.isolation import OutOfTime, time_limit
from melodyconstraints.rules.learnability import Distribution, Verdict, assess
from melodyconstraints.rules.registry import Wanted
from melodyconstraints.storage.arguments import DEFAULT_SEED, checked
from melodyconstraints.workflows.bank import Bank, load_bank
from melodyconstraints.workflows.keys import asks_for_keys
from melodyconstraints.workflows.seeds import derived_seed
from melodyconstraints.workflows.train_actor import TRAINING_EVENTS, TRAINING_TEMPERATURE
from melodyconstraints.workflows.train_vae import choose
from melodyconstraints.workflows.training_sampling import training_sampling
from melodyconstraints.workflows.typical_reward import reason_against

PATIENCE = 10.0
"""Seconds after which a call of a rule is ended."""
OWN, IN_KEYS = "drawn by the model", "in the best key"
"""Names of the melodies by which a rule is assessed: the second where a training for it takes them
so. Where one draws others, in the rule's scale or rhythm, their name says in which."""
_IN_VERDICT = {
    OWN: "the model's own melodies",
    IN_KEYS: "the model's own melodies, each in the best key,",
}
_STORED = 2_048
"""Melodies of a store that are rewarded, at most."""
_CHECKED = 256
"""Melodies on which the contract is checked, at most."""
_TRIED = 8
"""Melodies on which a rule is timed first, to choose how many a check may take."""
_FEWEST = 64
"""Melodies of each set of which rewards are computed, however slow a rule is."""
_SECONDS_OF_CONTRACT, _SECONDS_OF_REWARDS = 5.0, 15.0
"""Time that the two parts of a check may take, about."""
_CALLS_OF_CONTRACT = 6
"""Calls of a rule for each melody on which its contract is checked."""
_Announce = Callable[[str], object]


@dataclass(frozen=True)
class RuleReport:
    """Results of a check.

    Args:
        findings: findings, one for each clause of the contract.
        distributions: distributions of rewards, by the name of the melodies; like what follows,
            only of a rule that satisfies the contract.
        verdict: assessment of whether the rule can be learned.
        speed: melodies a second.
        against_typical: reason why an actor for the rule alone does not learn beside it that
            melodies be typical; None if it does, or the rule cannot be learned.
    """

    rule: Rule
    findings: list[Finding]
    distributions: dict[str, Distribution] = field(default_factory=dict)
    verdict: Verdict | None = None
    speed: float | None = None
    against_typical: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the rule satisfies the contract and can be learned."""
        return self.verdict is not None and self.verdict.learnable

    @property
    def learns_typical(self) -> bool:
        """Whether an actor for the rule alone learns beside it that melodies be typical."""
        return self.passed and self.against_typical is None

    @property
    def typicality_text(self) -> str | None:
        """Sentence on :attr:`learns_typical`, with the reason; None where no actor is of use."""
        if not self.passed or (self.verdict and self.verdict.kind == "satisfied"):
            return None
        if self.learns_typical:
            return "An actor for it learns that melodies be typical, too."
        reason = self.against_typical
        return f"An actor for it does not learn that melodies be typical, too: {reason}."


@checked
def check_rule(
    model: MelodyVAE,
    rule: Wanted,
    *,
    data: Path | str | None = None,
    progress: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> RuleReport:
    """Check the contract of a rule, and compute its rewards of a model's bank.

    Of a slow rule fewer melodies are taken; a call that hangs is ended after :data:`PATIENCE`,
    in the main thread of systems with SIGALRM.

    Args:
        rule: a specification, a rule, or a plain function of one melody.
        data: a store whose own melodies are rewarded in place of the bank's reconstructions.
        progress: whether to show a bar on stderr, and there what is done and about how long it
            takes.
        clock: function that returns seconds.

    Raises:
        RuleNotFoundError: there is no such rule.
        RuleError: the rule raised beyond the melodies on which its contract was checked.
        StoreError: the store holds no melody to train on.
    """
    (found_rule,) = find_rules([rule])
    stored = _stored(data)
    bank = _bank_with_bar(model) if progress else load_bank(model)
    announce: _Announce = stderr_console().print if progress else lambda _: None
    speed, findings = _try(found_rule, bank.melodies, clock, announce)
    if any(one.broken for one in findings):
        return RuleReport(found_rule, findings)
    melodies = {OWN: bank.melodies, **_as_trained(model, found_rule, bank)}
    assessed = list(melodies)[-1]
    melodies |= _training_data(bank, stored)
    each = max(int(_SECONDS_OF_REWARDS * speed / len(melodies)), _FEWEST)
    some = {name: Melodies(choose(one.events, each)) for name, one in melodies.items()}
    count = sum(map(len, some.values()))
    announce(_announcement("computing rewards of", count, speed))
    start = clock()
    rewards = {name: _rewards(found_rule, one, max(int(speed), 1)) for name, one in some.items()}
    speed = count / max(clock() - start, 1e-9)
    distributions = {name: Distribution.of(own) for name, own in rewards.items()}
    verdict = assess(distributions[assessed], _IN_VERDICT.get(assessed, f"melodies {assessed}"))
    against = None
    if verdict.learnable:
        of_rule = rewards[assessed][:, None]
        against = reason_against(lambda few: of_rule[: len(few)], [1.0], some[assessed])
    return RuleReport(found_rule, findings, distributions, verdict, speed, against)


def _as_trained(model: MelodyVAE, rule: Rule, bank: Bank) -> dict[str, Melodies]:
    """Melodies as a training for a rule draws them, by their name, where not as the bank's."""
    seed = derived_seed(TRAINING_EVENTS, DEFAULT_SEED)
    sampling = Sampling(TRAINING_TEMPERATURE, seed=seed)
    draws = training_sampling(model, [rule], [1.0], sampling, plain=False)
    if not draws.is_banks:
        return {f"drawn in its {draws.asked}": draws.some()}
    if draws.finish and asks_for_keys(rule, bank.melodies[:_CHECKED]):
        return {IN_KEYS: draws.finish(bank.melodies)}
    return {}


def _bank_with_bar(model: MelodyVAE) -> Bank:
    """The bank of a model, with a bar on stderr where it is decoded."""
    with progress_bar("melodies decoded, once for this model") as bar:
        task = bar.add_task("", total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        return load_bank(model, callback=show)


def _try(
    rule: Rule, melodies: Melodies, clock: Callable[[], float], announce: _Announce
) -> tuple[float, list[Finding]]:
    """Time a rule on some melodies, and check its contract on as many as that allows.

    Returns:
        Melodies a second, and findings.
    """
    tried = melodies[:_TRIED]
    announce(f"trying {rule.name} on {len(tried)} melodies, {PATIENCE:g} s a call at most")
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
    announce(_announcement("checking the contract on", len(some), speed / _CALLS_OF_CONTRACT))
    return speed, check_contract(rule, some, seconds=PATIENCE)


def _rewards(rule: Rule, melodies: Melodies, size: int) -> NDArray[np.float64]:
    """``(B,)`` rewards, computed for so many melodies at a time."""
    with time_limit(PATIENCE):
        parts = [rule(melodies[first : first + size]) for first in range(0, len(melodies), size)]
    return np.concatenate(parts)


def _announcement(what: str, count: int, speed: float) -> str:
    return f"{what} {count:,} melodies, about {max(count / speed, 1):,.0f} s"


def _stored(data: Path | str | None) -> Melodies | None:
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
