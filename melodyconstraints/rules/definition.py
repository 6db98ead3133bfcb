"""The definition of a rule: a name and a function from melodies to rewards in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, overload

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import RuleError, RuleNotFoundError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules.arguments import TOLERANCE
from melodyconstraints.rules.inputs import (
    BATCH,
    CONVERSIONS,
    MELODY,
    TAKES,
    function_behind,
    input_of,
)
from melodyconstraints.rules.isolation import OutOfTime, Run, is_own, isolated, text_of, timed
from melodyconstraints.storage.arguments import check_choice, check_fields
from melodyconstraints.storage.text import shown

RuleFunction = Callable[[Any], Any]
_REAL_NUMBERS = "biufO"
"""Kinds of NumPy's types that may hold rewards; complex numbers, text and times are others."""


class _NoNumberError(TypeError):
    """A function gave something else than numbers; no code raised it."""


_ROUNDING = 4
"""Units of the last place by which a reward may miss [0, 1] in its own precision."""


@dataclass(frozen=True)
class Rule:
    """A reward on melodies, checked at every call.

    Args:
        name: name in specifications and reports: ``cmajor``, ``density:192``, ``my_rules.py:f``.
        function: function from one melody to a number, or from :class:`Melodies` to ``(B,)``
            numbers.
        batched: whether the function takes a batch.
        description: description in one line.
        spec: specification that finds the rule again: its name, or that with the whole path of
            its file.
        pitch_classes: allowed pitch classes, by which piano rolls are coloured; None for a rule
            without such a set.
        key: key signature that the rule implies, as MIDI names it: ``C``, ``F#``, ``Bbm``.
        affected_features: keys of ``melody.metrics.statistics.FEATURES`` that the rule changes;
            likeness to real melodies is not expected there.
        takes: input of a function of one melody: a :class:`Melody`, or a key of
            :data:`melodyconstraints.rules.inputs.CONVERSIONS`.
        chords: symbols of the chords that the rule implies, one a bar: ``C``, ``F#m7``.
        tonic: pitch class in [0, 11] of the tonic that the rule implies; None for none.
        parts: rules that this one combines.
    """

    name: str
    function: Callable[[Any], Any]
    batched: bool = False
    description: str = ""
    spec: str = ""
    pitch_classes: frozenset[int] | None = None
    key: str | None = None
    affected_features: frozenset[str] = frozenset()
    takes: str = MELODY
    chords: tuple[str, ...] = ()
    tonic: int | None = None
    parts: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("takes", self.takes, CONVERSIONS)
        if not self.spec:
            object.__setattr__(self, "spec", self.name)

    @property
    def is_own(self) -> bool:
        """Whether none of its functions is a user's."""
        return is_own(self.function) and all(part.is_own for part in self.parts)

    @overload
    def __call__(self, melodies: Melody) -> float: ...
    @overload
    def __call__(self, melodies: Melodies) -> NDArray[np.float64]: ...
    def __call__(self, melodies: Melody | Melodies) -> float | NDArray[np.float64]:
        """Rewards ``(B,)`` in [0, 1] of a batch; the reward of one melody as a float.

        A reward outside [0, 1] by rounding, 1e-9 or a few units of the last place of a type of
        less precision, is clipped. Users' functions run :func:`.isolation.isolated`.

        Raises:
            RuleError: the function raised, or gave something other than numbers in [0, 1].
            UsageError: neither a melody nor a batch.
        """
        if isinstance(melodies, Melody):
            return float(self(Melodies.stack([melodies]))[0])
        if not isinstance(melodies, Melodies):
            raise _not_melodies(melodies)
        with nullcontext() if is_own(self.function) else isolated() as run:
            evaluate = self._batched if self.batched else self._one_by_one
            rewards = evaluate(melodies, run)
        wrong = ~((rewards >= 0) & (rewards <= 1))
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            raise RuleError(
                f"rule {self.name} gave {rewards[index]} for {_describe(melodies, index)}; "
                "a reward must be a number in [0, 1]"
            )
        return rewards

    def _batched(self, melodies: Melodies, run: Run | None) -> NDArray[np.float64]:
        what = f"a batch of {len(melodies)} melodies"
        rewards = self._as_numbers(self._called(melodies, run, what.__str__), run, what.__str__)
        if rewards.shape != (len(melodies),):
            raise RuleError(
                f"rule {self.name} gave shape {rewards.shape} for {what}; a batched rule must "
                f"give ({len(melodies)},)"
            )
        return rewards

    def _one_by_one(self, melodies: Melodies, run: Run | None) -> NDArray[np.float64]:
        rewards = np.empty(len(melodies))
        for index, melody in enumerate(melodies):
            describe = partial(_describe, melodies, index)
            value = self._as_numbers(self._called(melody, run, describe), run, describe)
            if value.size != 1:
                raise RuleError(
                    f"rule {self.name} gave {value.size} numbers for {describe()}; give one, or "
                    "use @rule(batched=True)"
                )
            rewards[index] = value.item()
        return rewards

    def _called(
        self, melodies: Melody | Melodies, run: Run | None, describe: Callable[[], str]
    ) -> Any:
        """The function's result; all that it raises is a RuleError, but for Ctrl-C."""
        convert = CONVERSIONS[MELODY if self.batched else self.takes]
        try:
            with timed():
                return self.function(convert(melodies))
        except (Exception, OutOfTime) as error:
            raise RuleError(f"rule {self.name} {_fault(error)} for {describe()}") from error
        except BaseException as error:
            if run is None or run.interrupted:
                raise
            raise RuleError(f"rule {self.name} {_fault(error)} for {describe()}") from error

    def _as_numbers(
        self, given: object, run: Run | None, describe: Callable[[], str]
    ) -> NDArray[np.float64]:
        """Rewards as floats, those outside [0, 1] by rounding clipped.

        An object turns itself into numbers, which is users' code as well.
        """
        try:
            with timed():
                values = np.asarray(given)
                if given is None or values.dtype.kind not in _REAL_NUMBERS:
                    raise _NoNumberError
                if np.ma.is_masked(given):  # NumPy would read what the mask hides
                    raise _NoNumberError
                numbers = values.astype(np.float64)
        except BaseException as error:
            if not isinstance(error, Exception | OutOfTime) and (run is None or run.interrupted):
                raise
            raise RuleError(
                f"rule {self.name} gave {shown(given)} for {describe()}; a reward must be a "
                "number in [0, 1]"
            ) from (None if isinstance(error, _NoNumberError) else error)
        if ((numbers >= 0) & (numbers <= 1)).all():
            return numbers
        precision = np.finfo(values.dtype).eps if values.dtype.kind == "f" else 0.0
        clipped = numbers.clip(0, 1)
        near = np.abs(numbers - clipped) <= max(TOLERANCE, _ROUNDING * float(precision))
        return np.where(near, clipped, numbers)


@dataclass(frozen=True)
class MissingRule(Rule):
    """A rule that was not found again: it has a name, and no rewards.

    Args:
        why: text of the error that a call raises.
    """

    why: str = ""

    def __call__(self, melodies: Melody | Melodies) -> NoReturn:
        """Raise RuleNotFoundError."""
        raise RuleNotFoundError(self.why)


@overload
def rule(function: RuleFunction) -> Rule: ...
@overload
def rule(
    *, batched: bool = False, name: str | None = None, takes: str | None = None
) -> Callable[[RuleFunction], Rule]: ...
def rule(
    function: RuleFunction | None = None,
    *,
    batched: bool = False,
    name: str | None = None,
    takes: str | None = None,
) -> Rule | Callable[[RuleFunction], Rule]:
    """Make a rule of a callable: ``@rule`` for one melody, ``@rule(batched=True)`` for a batch.

    Partials, objects with ``__call__`` and cached functions are callables as well.

    Args:
        batched: short for ``takes="batch"``.
        takes: input of the function: ``melody``, ``batch``, ``pretty_midi`` or
            ``note_sequence``; by the annotation of its first parameter if not given, see
            :mod:`melodyconstraints.rules.inputs`.

    Raises:
        UsageError: ``takes`` is none of these, or contradicts ``batched``.

    >>> from melodyconstraints.melody.events import Melody
    >>> @rule
    ... def ends_on_c(melody):
    ...     return float(len(melody) > 0 and melody.pitches[-1] % 12 == 0)
    >>> ends_on_c(Melodies.stack([Melody.from_notes([(0, 4, 60)])]))
    array([1.])
    """
    if takes is not None:
        check_choice("takes", takes, TAKES)
    if batched and takes not in (None, BATCH):
        raise UsageError(f"a batched rule takes a batch, got takes={takes!r}; drop one of the two")

    def decorate(function: RuleFunction) -> Rule:
        if not callable(function):
            raise UsageError(f"@rule stands above a function, got {shown(function)}")
        kind = BATCH if batched else takes or input_of(function)
        inner = function_behind(function)
        title = name or str(getattr(inner, "__name__", type(inner).__name__))
        summary = (inner.__doc__ or "").strip().split("\n")[0]
        if kind == BATCH:
            return Rule(title, function, batched=True, description=summary)
        return Rule(title, function, description=summary, takes=kind)

    return decorate if function is None else decorate(function)


def _describe(melodies: Melodies, index: int) -> str:
    return f"melody {index + 1} of {len(melodies)}, {melodies[index]!r}"


def _fault(error: BaseException) -> str:
    if isinstance(error, OutOfTime):
        return f"gave nothing within {error}"
    said = text_of(error)
    text = f"raised {type(error).__name__}: {said}"
    if isinstance(error, ValueError) and "read-only" in said:
        text += " (work on a copy: melody.pitches.copy())"
    return text


def _not_melodies(thing: object) -> UsageError:
    inside = "; take its .melody" if hasattr(thing, "melody") else ""
    return UsageError(f"a rule takes a Melody or Melodies, got {type(thing).__name__}{inside}")
