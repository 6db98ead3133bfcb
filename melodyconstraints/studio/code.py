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

Task = tuple[str, Settings]
"""Specification of a rule, and settings that say where rules are."""


def check_code(text: str, settings: Settings) -> Answer:
    """Keep the text of a rule, and check it: contract, rewards of the model's melodies.

    Raises:
        UsageError: the studio runs no code.
    """
    spec = keep_code(text, settings)
    answer: Answer = next(iter(supervise(_check, [(spec, settings)], jobs=1, limits=_LIMITS)))
    return {"spec": spec, **answer}


def _check(task: Task, faults: Mapping[int, Fault], begin: Callable[[int], None]) -> Answer:
    """Result of the check, in the worker."""
    if faults:
        return {"passed": False, "error": f"the rule {faults[0]}"}
    begin(0)
    from melodyconstraints.workflows.check_rule import check_rule
    from melodyconstraints.workflows.models import load_model

    try:
        rule = find_wish(*task)
        report = check_rule(load_model(), rule)
    except MelodyConstraintsError as error:
        return {"passed": False, "error": str(error)}
    answer = {
        "name": rule.name,
        "description": rule.description,
        "contract": [{"says": one.says, "broken": one.broken} for one in report.findings],
        "passed": report.passed,
    }
    if report.verdict is None:
        return answer
    return answer | {
        "distributions": {name: asdict(one) for name, one in report.distributions.items()},
        "verdict": report.verdict.text,
        "typicality_text": report.typicality_text,
    }
