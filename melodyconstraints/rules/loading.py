"""Rules from a Python file of the user's."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from melodyconstraints.errors import RuleNotFoundError
from melodyconstraints.rules.definition import Rule, rule


def load_rule_file(path: str, name: str | None) -> Rule:
    """The rule called ``name`` in a file: a function of one melody, or one made by ``@rule``.

    Args:
        path: the file.
        name: the function, or None where the file holds only one.

    Returns:
        The rule, named ``path:name``.

    Raises:
        RuleNotFoundError: no such file or function, or the file does not import.
    """
    module = _import(Path(path))
    candidates = {key: value for key, value in vars(module).items() if _is_rule(value, module)}
    if name is None and len(candidates) == 1:
        name = next(iter(candidates))
    if name is None or name not in candidates:
        asked = (
            f"there is no rule {name!r} in {path}" if name else f"{path} needs a name behind it"
        )
        found = ", ".join(candidates) or "no function"
        raise RuleNotFoundError(f"{asked}; it holds {found}; write {path}:NAME")
    found_rule = candidates[name]
    own = found_rule if isinstance(found_rule, Rule) else rule(found_rule)
    return replace(own, name=f"{path}:{name}", spec=f"{Path(path).resolve()}:{name}")


def _is_rule(value: object, module: ModuleType) -> bool:
    if isinstance(value, Rule):
        return True
    if not inspect.isfunction(value) or value.__module__ != module.__name__:
        return False
    return not value.__name__.startswith("_")


def _import(path: Path) -> ModuleType:
    if not path.is_file():
        raise RuleNotFoundError(f"there is no rule file {path}")
    name = f"melodyconstraints_user_rules_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RuleNotFoundError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise RuleNotFoundError(
            f"the rule file {path} does not import: {type(error).__name__}: {error}"
        ) from error
    return module
