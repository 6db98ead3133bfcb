"""Inputs of rules: a melody, a whole batch, or a melody as another library's object.

A function says so by the annotation of its first parameter, or ``@rule(takes=...)`` does::

    def my_rule(midi: pretty_midi.PrettyMIDI) -> float: ...

Annotations are read by name, so those of ``from __future__ import annotations`` and names that are
imported for type checkers only will do, and neither library is imported until such a rule is
called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from melodyconstraints.melody.events import Melody

MELODY, BATCH = "melody", "batch"

CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    MELODY: lambda melody: melody,
    "pretty_midi": Melody.to_pretty_midi,
    "note_sequence": Melody.to_note_sequence,
}
"""Conversions of a melody to inputs of a function of one melody; at 120 quarters a minute."""

TAKES = (*CONVERSIONS, BATCH)

_BY_ANNOTATION = {
    "Melody": MELODY,
    "Melodies": BATCH,
    "PrettyMIDI": "pretty_midi",
    "NoteSequence": "note_sequence",
}


def input_of(function: Callable[..., Any]) -> str:
    """Input of a function by the annotation of its first parameter: one of :data:`TAKES`.

    Without an annotation it is a melody.

    >>> def my_rule(midi: "pretty_midi.PrettyMIDI"): ...
    >>> input_of(my_rule)
    'pretty_midi'
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin without signature
        return MELODY
    if not parameters:
        return MELODY
    annotation = parameters[0].annotation
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    short = name.strip("'\" ").rpartition(".")[2]
    return _BY_ANNOTATION.get(short) or _BY_ANNOTATION.get(_renamed(function, short), MELODY)


def function_behind(function: Callable[..., Any]) -> Callable[..., Any]:
    """Function of a partial or of a cached function; other functions as they are.

    >>> function_behind(partial(partial(len))) is len
    True
    """
    inner = inspect.unwrap(function)
    return function_behind(inner.func) if isinstance(inner, partial) else inner


def python_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Python function that a call runs: that of a partial, or the method of an object."""
    inner = function_behind(function)
    if hasattr(inner, "__globals__"):
        return inner
    method: Callable[..., Any] = getattr(type(inner), "__call__", inner)  # noqa: B004
    return method


def _renamed(function: Callable[..., Any], name: str) -> str:
    """Own name of the object that a function's module calls ``name``."""
    thing = getattr(python_function(function), "__globals__", {}).get(name)
    return str(getattr(thing, "__name__", ""))
