"""Arguments of public functions: whether they are what the annotations say, counts and seeds.

A wrong argument would else fail wherever it is first used, in the words of another library.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache, wraps
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import (
    Any,
    ParamSpec,
    TypeVar,
    Union,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from melodyconstraints.errors import UsageError
from melodyconstraints.storage.text import shown

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
DEFAULT_SEED = 1
"""Seed of what is drawn where none is given, in Python and in the commands."""
DEFAULT_EVALUATED = 1024
"""Samples that an evaluation measures where no number is given, in Python and in the commands."""
MOST_SEED = 2**63 - 1
"""Every generator starts from seeds up to it, and from those made of it by small sums."""
_NAMES: dict[Any, tuple[str, str]] = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("True or False", "True or False"),
    NoneType: ("None", "None"),
    Path: ("a path", "paths"),
    PathLike: ("a path", "paths"),
}
"""Names of kinds, for one and for several."""


def checked(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Refuse arguments of a function that are not of the kinds that it is annotated with.

    Raises:
        UsageError: an argument of another kind, or an option that the function does not have.

    >>> @checked
    ... def draw(n: int, seed: int | None = None): ...
    >>> draw("3")
    Traceback (most recent call last):
    ...
    melodyconstraints.errors.UsageError: n of draw must be a whole number, got '3'; see: help(draw)
    """
    signature = inspect.signature(function)
    kinds = cache(lambda: _parameter_kinds(function))

    @wraps(function)
    def call(*args: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        try:
            bound = signature.bind(*args, **keywords)
        except TypeError:  # too many, or too few: the call itself says so
            return function(*args, **keywords)
        for name, value in bound.arguments.items():
            if name in kinds():
                for own, one, kind in _each(signature.parameters[name], value, kinds()[name]):
                    _require(function.__qualname__, own, one, kind)
        return function(*args, **keywords)

    return call


def check_fields(thing: object) -> None:
    """Refuse fields of a dataclass that are not of the kinds that it is annotated with.

    Raises:
        UsageError: a field of another kind.
    """
    own: Any = type(thing)
    for name, kind in _field_kinds(own).items():
        _require(own.__name__, name, getattr(thing, name), kind)


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Make sure that an argument is one of the choices that there are.

    Raises:
        UsageError: it is none of them.
    """
    choices = tuple(choices)
    if value not in choices:
        raise UsageError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_amount(n: int, most: int, what: str) -> None:
    """Make sure that there is something to make, and that it fits the memory.

    Args:
        most: largest n.
        what: name of the things, in the plural.

    Raises:
        UsageError: n below 1 or above ``most``.
    """
    if n < 1:
        raise UsageError(f"n must be at least 1, got {n}")
    if n > most:
        raise UsageError(
            f"{n:,} {what} were asked for, and at most {most:,} are made at once; ask several "
            "times, each with a seed of its own"
        )


def check_seed(seed: int) -> None:
    """Make sure that a seed starts every generator.

    Raises:
        UsageError: below 0, or more than 63 bits.
    """
    if not 0 <= seed <= MOST_SEED:
        raise UsageError(f"seed must be from 0 to {MOST_SEED}, got {seed}")


def _parameter_kinds(function: Callable[..., Any]) -> dict[str, Any]:
    kinds: dict[str, Any] = {}
    for name, annotation in function.__annotations__.items():
        alone = SimpleNamespace(__annotations__={name: annotation})
        with suppress(NameError):  # what is imported for types only cannot be checked
            kinds |= get_type_hints(alone, getattr(function, "__globals__", None))
    return kinds


@cache
def _field_kinds(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _each(
    parameter: inspect.Parameter, value: Any, kind: Any
) -> Iterator[tuple[str, object, Any]]:
    """Name, value and kind of each argument that a parameter takes."""
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        yield from ((parameter.name, one, kind) for one in value)
    elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
        yield parameter.name, value, kind
    else:
        options = get_type_hints(get_args(kind)[0]) if get_origin(kind) is Unpack else {}
        for name, one in value.items():
            if options and name not in options:
                raise UsageError(f"there is no option {name}; there are {', '.join(options)}")
            yield name, one, options.get(name, Any)


def _require(whose: str, name: str, value: object, kind: Any) -> None:
    if not _fits(value, kind):
        raise UsageError(
            f"{name} of {whose} must be {_named(kind)}, got {shown(value)}; see: help({whose})"
        )


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind; True where an annotation does not say."""
    origin: Any = get_origin(kind) or kind
    inner = get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin in (int, float):
        number = Integral if origin is int else Real
        return isinstance(value, number) and not isinstance(value, bool)
    if origin is bool:
        return isinstance(value, bool | np.bool_)
    if origin is Path:
        return isinstance(value, str | PathLike)
    if not isinstance(origin, type):
        return True
    if getattr(origin, "_is_protocol", False) and origin.__module__ != "collections.abc":
        return all(hasattr(value, name) for name in vars(origin) if not name.startswith("_"))
    if inner and issubclass(origin, Iterable) and not issubclass(origin, Mapping):
        return _are_several(value, origin, inner)
    return isinstance(value, origin)


def _are_several(value: Any, origin: type, inner: tuple[Any, ...]) -> bool:
    """Whether a value holds things of a kind; any collection will do.

    One text is several only where anything that can be iterated is: its letters are rarely meant.
    """
    if not isinstance(value, Collection):  # what is read once is read by the function
        return origin is Iterable and isinstance(value, Iterable)
    if isinstance(value, Mapping) or (isinstance(value, str | bytes) and origin is not Iterable):
        return False
    if origin is tuple and Ellipsis not in inner:
        return len(value) == len(inner) and all(map(_fits, value, inner))
    return all(_fits(one, inner[0]) for one in value)


def _named(kind: Any, *, several: bool = False) -> str:
    """Name of a type in an error."""
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        parts = [one for one in inner if not (one is str and Path in inner)]
        return " or ".join(dict.fromkeys(_named(one, several=several) for one in parts))
    if origin in _NAMES:
        return _NAMES[origin][several]
    if origin is Callable or get_origin(kind) is Callable:
        return "functions" if several else "a function"
    name = origin.__name__
    if origin is tuple and Ellipsis not in inner:
        items = f"{len(inner)} {_named(inner[0], several=True)}"
        return f"{'tuples' if several else 'a tuple'} of {items}"
    if inner and isinstance(origin, type) and issubclass(origin, Iterable):
        return f"a list of {_named(inner[0], several=True)}"
    return name if several else f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
