"""Rules from a Python file of the user's."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from types import FunctionType, ModuleType

from melodyconstraints.errors import RuleNotFoundError
from melodyconstraints.rules.definition import Rule, rule
from melodyconstraints.rules.isolation import load_isolated
from melodyconstraints.rules.neighbours import import_file
from melodyconstraints.storage.text import shown

_OF_FILE = re.compile(r"((?:not:)*)(.+\.py)(:[^:]*|$)")
"""A specification of a rule of a file: what stands before the path, the path, the name."""

_may_run: ContextVar[Callable[[Path], bool]] = ContextVar("_may_run", default=lambda path: True)


@contextmanager
def code_only_where(may_run: Callable[[Path], bool]) -> Iterator[None]:
    """In the block, rule files run only where ``may_run`` of their resolved path is true.

    Others raise RuleNotFoundError. Elsewhere all run: the user has named them.
    """
    token = _may_run.set(may_run)
    try:
        yield
    finally:
        _may_run.reset(token)


def load_rule_file(path: str, name: str | None) -> Rule:
    """Load a rule of a file: a callable of one melody, or one made by ``@rule``.

    The file is executed once in a process, and once more after it has changed.

    Args:
        path: the file.
        name: name of the rule; None where the file has one function or one other callable only.

    Returns:
        The rule, named ``path:name``.

    Raises:
        RuleNotFoundError: no such file or rule, or the file does not import.
    """
    module = _import(Path(path))
    candidates = {
        key: value for key, value in vars(module).items() if _is_rule(key, value, module)
    }
    if not name:
        functions = [
            key for key, value in candidates.items() if isinstance(value, Rule | FunctionType)
        ]
        (name,) = next((one for one in (functions, list(candidates)) if len(one) == 1), [None])
    if name not in candidates:
        request_text = (
            f"there is no rule {shown(name)} in {path}"
            if name
            else f"{path} needs a name behind it"
        )
        names = ", ".join(candidates) or "no function"
        raise RuleNotFoundError(f"{request_text}; it holds {names}; write {path}:NAME")
    found_rule = candidates[name]
    own = found_rule if isinstance(found_rule, Rule) else rule(found_rule)
    return replace(own, name=f"{path}:{name}", spec=f"{Path(path).resolve()}:{name}")


def rule_file(spec: str) -> Path | None:
    """The Python file that a specification names, if any.

    >>> rule_file("not:/home/ann/a,b.py:f"), rule_file("cmajor")
    (PosixPath('/home/ann/a,b.py'), None)
    """
    match = _OF_FILE.fullmatch(spec)
    return Path(match[2]) if match else None


def name_of(spec: str) -> str:
    """Name of a rule by its specification alone: without the folders of its file.

    >>> name_of("not:/home/ann/mine.py:f"), name_of("scale:D-dorian")
    ('not:mine.py:f', 'scale:D-dorian')
    """
    match = _OF_FILE.fullmatch(spec)
    if match is None:
        return re.sub(r"[^:,]*[/\\]", "", spec)
    before, path, name = match.groups()
    return before + re.sub(r".*[/\\]", "", path) + name


def places_of(spec: str, files: Sequence[Path | str]) -> list[str]:
    """Specifications of a rule whose file may have moved: as it was, and with other files.

    A file of the same name goes first, files of other names last.

    >>> places_of("not:/old/mine.py:f", ["/new/other.py", "/new/mine.py", "/new/tune.mid"])
    ['not:/new/mine.py:f', 'not:/old/mine.py:f', 'not:/new/other.py:f']
    """
    match = re.fullmatch(r"((?:not:)*(?:novelty:)?)(.+\.\w+)([:,][^:,]+)", spec)
    if match is None:
        return [spec]
    old = Path(match[2])
    alike = [path for path in map(Path, files) if path.suffix == old.suffix]
    moved = {path: f"{match[1]}{path.resolve()}{match[3]}" for path in alike}
    same = [place for path, place in moved.items() if path.name == old.name]
    return [*same, spec, *(place for place in moved.values() if place not in same)]


def _is_rule(key: str, value: object, module: ModuleType) -> bool:
    """Whether a name of a module is a rule: a callable that was made there and is no class."""
    if isinstance(value, Rule):
        return True
    if key.startswith("_") or isinstance(value, type) or not callable(value):
        return False
    home = str(getattr(value, "__module__", None) or type(value).__module__)
    names = (key, getattr(value, "__name__", key))
    imported = any(getattr(sys.modules.get(home), name, None) is value for name in names)
    return home == module.__name__ or not imported


def _import(path: Path) -> ModuleType:
    try:
        if not path.is_file():
            raise RuleNotFoundError(f"there is no rule file {path}")
    except OSError as error:  # such as a name that is too long
        raise RuleNotFoundError(f"rule file {shown(str(path))}: {error.strerror}") from error
    if not _may_run.get()(path.resolve()):
        raise RuleNotFoundError(
            f"the rule file {path} is code that you have not consented to run; where you trust "
            "it, give --allow-code (in Python allow_code=True)"
        )
    return load_isolated(lambda: import_file(path.resolve()), f"the rule file {path}")
