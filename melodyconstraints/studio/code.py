"""Python rules of the page, checked in a process that may die; only with ``--allow-code``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

from melodyconstraints.datasets.melodies.workers import Fault, Limits, supervise
from melodyconstraints.errors import MelodyConstraintsError
from melodyconstraints.studio.places import Settings
from melodyconstraints.studio.schemas import Answer
from melodyconstraints.studio.wishes import find_wish, keep_code

_LIMITS = Limits(seconds=60, memory_bytes=4 * 2**30)
_CHECKED, _REWARDED = 64, 512
"""Melodies on which the contract is checked, and of which rewards are computed."""
_CALL_SECONDS = 5.0

Task = tuple[str, Settings]
"""Specification, and where rules are."""


def check_code(text: str, settings: Settings) -> Answer:
    """Keep the text of a rule, and check it: contract, rewards of the model's melodies.

    Raises:
        UsageError: the studio runs no code.
    """
    spec = keep_code(text, settings)
    answer: Answer = next(iter(supervise(_check, [(spec, settings)], jobs=1, limits=_LIMITS)))
    return {"spec": spec, **answer}


def _check(task: Task, faults: Mapping[int, Fault], begin: Callable[[int], None]) -> Answer:
    """In the worker: what the check found."""
    if faults:
        return {"passed": False, "error": f"the rule {faults[0]}"}
    begin(0)
    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.rules.contract import check_contract
    from melodyconstraints.rules.learnability import Distribution, assess
    from melodyconstraints.workflows.bank import load_bank

    try:
        rule = find_wish(*task)
        bank = load_bank(load_model())
        findings = check_contract(rule, bank.melodies[:_CHECKED], seconds=_CALL_SECONDS)
        answer = {
            "name": rule.name,
            "description": rule.description,
            "contract": [{"says": one.says, "broken": one.broken} for one in findings],
        }
        if any(one.broken for one in findings):
            return answer | {"passed": False}
        spreads = {
            name: Distribution.of(rule(melodies[:_REWARDED]))
            for name, melodies in {
                "drawn by the model": bank.melodies,
                "of its data": bank.reconstructions,
            }.items()
            if melodies is not None
        }
    except MelodyConstraintsError as error:
        return {"passed": False, "error": str(error)}
    verdict = assess(spreads["drawn by the model"])
    return answer | {
        "passed": verdict.learnable,
        "distributions": {name: asdict(one) for name, one in spreads.items()},
        "verdict": verdict.text,
    }
