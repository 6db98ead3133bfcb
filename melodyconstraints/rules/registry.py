"""Rules by specifications: ``cmajor``, ``density:192``, ``my_rules.py:my_rule``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from itertools import chain, count
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from melodyconstraints.errors import MelodyConstraintsError, RuleNotFoundError, UsageError
from melodyconstraints.rules.combine import greatest_rule, mean_rule, negated_rule
from melodyconstraints.rules.definition import MissingRule, Rule, rule
from melodyconstraints.rules.isolation import load_isolated
from melodyconstraints.rules.library import NOTHING, STANDALONE, LibraryRule
from melodyconstraints.rules.loading import load_rule_file, name_of, places_of
from melodyconstraints.rules.scales import english_scale, parse_scale
from melodyconstraints.storage.arguments import checked
from melodyconstraints.storage.text import nearest, printable, shortened, shown

ENTRY_POINTS = "melodyconstraints.rules"

_MOST_NOTS = 9
_LONGEST_NAME = 80
"""Characters of a wrong specification that are compared with others."""
Wanted = str | PathLike[str] | Rule | Callable[..., Any]
"""A specification, the path of a rule file, a rule, or a callable of one melody."""


def library() -> tuple[LibraryRule, ...]:
    """All rules that come with the toolkit."""
    return LIBRARY


def library_rule(name: str) -> LibraryRule | None:
    """The rule of the library with a name, in any case; None without one.

    >>> row = library_rule("DENSITY")
    >>> row and row.example
    'density:192'
    """
    return next((row for row in LIBRARY if row.name == name.lower()), None)


def installed_rules() -> dict[str, EntryPoint]:
    """Entry points of the rules of installed packages, by the names that find them."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


@checked
def find_rule(spec: str | PathLike[str]) -> Rule:
    """Find the rule of a specification.

    Args:
        spec: ``name:argument``, ``cmajor``, a scale such as ``D-dorian`` or ``Am``,
            ``path.py:function``, a path, or the name of an installed entry point of the group
            ``melodyconstraints.rules``. Names of the library in any case.

    Raises:
        RuleNotFoundError: there is no such rule.
        UsageError: the argument of the rule is wrong.

    >>> find_rule("scale:A-minor").key
    'Am'
    """
    spec = fspath(spec).strip()
    if spec.lower().startswith("not:" * _MOST_NOTS + "not:"):
        raise UsageError(f"not: may be given {_MOST_NOTS} times, got {shown(spec)}")
    name, colon, argument = spec.partition(":")
    row = library_rule(name)
    if row is not None:
        return row.build(f"{row.name}{colon}{argument}")
    path, _, function = spec.rpartition(":")
    if path.endswith(".py"):
        return load_rule_file(path, function)
    if spec.endswith(".py"):
        return load_rule_file(spec, None)
    if parse_scale(spec) is not None:
        return replace(find_rule(f"scale:{spec}"), name=spec, spec=spec)
    return _installed(spec)


@checked
def find_rules(wanted: Iterable[Wanted]) -> list[Rule]:
    """Find the rules of specifications; rules stay, callables of one melody become rules.

    One specification alone is a list of one. Callables and rules of one name that are not the
    same, such as two closures, get numbers: ``mine``, ``mine (2)``.

    Raises:
        UsageError: the same rule twice.
    """
    rules: list[Rule] = []
    specs: set[str] = set()
    for one in [wanted] if isinstance(wanted, str) else wanted:
        new = _as_rule(one)
        alike = [rule for rule in rules if rule.name == new.name]
        if isinstance(one, str | PathLike):
            specs.add(new.name)
        if alike and (new.name in specs or any(new.function is rule.function for rule in alike)):
            names = ", ".join(rule.name for rule in [*rules, new])
            raise UsageError(f"each rule may be given once, got {names}")
        rules.append(_renamed(new, {rule.name for rule in rules}))
    return rules


@checked
def all_of(rules: Iterable[Wanted], weights: Sequence[float] | None = None) -> Rule:
    """Combine rules: the weighted mean of rewards, 1 where and only where all are satisfied.

    Args:
        rules: rules or specifications, at least one.
        weights: a positive number for each rule; ones if not given.

    Raises:
        UsageError: no rules, or weights that do not fit.

    >>> from melodyconstraints.melody.events import Melodies, Melody
    >>> batch = Melodies.stack([Melody.from_notes([(0, 4, 60), (4, 4, 61)])])
    >>> all_of(["cmajor", "density:2"], weights=[3, 1])(batch)
    array([0.625])
    """
    return mean_rule(_at_least_one(rules), weights)


@checked
def any_of(rules: Iterable[Wanted]) -> Rule:
    """Combine rules: the greatest of their rewards, so that one satisfied rule is enough.

    Raises:
        UsageError: no rules.
    """
    return greatest_rule(_at_least_one(rules))


@checked
def negate(rule: Wanted) -> Rule:
    """Negate a rule: 1 where it is not satisfied, 0 where it is, with nothing between."""
    return negated_rule(_as_rule(rule))


def not_rule(name: str, argument: str) -> Rule:
    """Another rule is not satisfied.

    1 where the other rule is not satisfied, else 0, with nothing between; so for silence too.
    """
    if not argument:
        raise UsageError("not takes another rule behind the colon")
    return negate(argument)


LIBRARY = (*STANDALONE, LibraryRule("logic", "not", "RULE", "not:on-beat:80%", not_rule, NOTHING))


def _at_least_one(wanted: Iterable[Wanted]) -> list[Rule]:
    if isinstance(wanted, str | PathLike | Rule):
        raise UsageError(f"rules must be a list of rules, got one: {shown(wanted)}")
    parts = find_rules(wanted)
    if not parts:
        raise UsageError("give at least one rule to combine")
    return parts


def distinct(rules: Iterable[Rule]) -> list[Rule]:
    """The rules, those of one name numbered: ``mine``, ``mine (2)``."""
    numbered: list[Rule] = []
    for one in rules:
        numbered.append(_renamed(one, {rule.name for rule in numbered}))
    return numbered


def _renamed(rule: Rule, taken: Collection[str]) -> Rule:
    """The rule, under a name with a number where its own is taken."""
    names = chain([rule.name], (f"{rule.name} ({number})" for number in count(2)))
    name = next(one for one in names if one not in taken)
    return rule if name == rule.name else replace(rule, name=name)


def _as_rule(wanted: Wanted) -> Rule:
    if isinstance(wanted, str | PathLike):
        return find_rule(wanted)
    if isinstance(wanted, Rule):
        return wanted
    if not callable(wanted):
        raise UsageError(
            "a rule is a specification such as cmajor, a function of one melody or a Rule, got "
            f"{shown(wanted)}"
        )
    return rule(wanted)


def _installed(spec: str) -> Rule:
    installed = installed_rules()
    if spec not in installed:
        short = spec[:_LONGEST_NAME]
        name, names = short.partition(":")[0], [*(row.name for row in LIBRARY), *installed]
        close = english_scale(short) or nearest(name, names)
        hint = f"did you mean {close}? " if close else ""
        raise RuleNotFoundError(
            f"there is no rule {shown(spec)}; {hint}see: mc rules list; "
            "a rule of your own is named my_rules.py:my_rule"
        )
    what = f"the installed rule {spec!r} ({installed[spec].value})"
    loaded = load_isolated(installed[spec].load, what)
    own = loaded if isinstance(loaded, Rule) else rule(loaded)
    return replace(own, name=spec, spec=spec)


def find_named(spec: str, files: Sequence[Path | str]) -> Rule:
    """The rule of a specification, its file perhaps in a new place; a missing rule without any.

    It is named by its specification, not by what the folder calls it.
    """
    name = printable(name_of(spec))
    errors: dict[str, Exception] = {}
    for place in places_of(spec, files):
        try:
            return replace(find_rule(place), name=name)
        except (MelodyConstraintsError, OSError) as error:
            errors[place] = error
    own = errors.pop(spec)
    if errors:  # the files that are given lack it as well
        raise next(iter(errors.values()))
    why = (
        f"rewards of {shortened(name)} are missing: {own}; where its file has moved, give it with "
        "--rules-from FILE (in Python rules_from=[...], or rules=[...] for functions)"
    )
    return MissingRule(name, len, spec=spec, why=why)
