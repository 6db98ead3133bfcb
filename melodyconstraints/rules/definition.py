"""What a rule is: a name and a function from melodies to rewards in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import RuleError, UsageError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.rules.inputs import BATCH, CONVERSIONS, MELODY, TAKES, asked_for

RuleFunction = Callable[[Any], Any]


@dataclass(frozen=True)
class Rule:
    """A reward on melodies, checked at every call.

    Args:
        name: how it is asked for and reported: ``cmajor``, ``density:192``, ``my_rules.py:f``.
        function: one melody to a number, or a :class:`Melodies` to ``(B,)`` numbers.
        batched: which of the two.
        description: one line.
        spec: what finds it again; its name, or the same with the whole path of its file.
        pitch_classes: the set that the rule asks for, where it does; piano rolls colour by it.
        key: key signature that it implies, as MIDI names it: ``C``, ``F#``, ``Bbm``.
        affected_features: keys of ``melody.metrics.statistics.FEATURES`` of which it asks for
            other values than melodies have by themselves; likeness to real melodies is not
            expected there.
        takes: what a function of one melody is handed: a :class:`Melody`, or a key of
            :data:`melodyconstraints.rules.inputs.CONVERSIONS`.
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

    def __post_init__(self) -> None:
        if not self.spec:
            object.__setattr__(self, "spec", self.name)

    def __call__(self, melodies: Melodies) -> NDArray[np.float64]:
        """Rewards ``(B,)`` in [0, 1].

        Raises:
            RuleError: the function raised, or gave something other than numbers in [0, 1].
        """
        rewards = self._batched(melodies) if self.batched else self._one_by_one(melodies)
        wrong = ~((rewards >= 0) & (rewards <= 1))
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            raise RuleError(
                f"rule {self.name} gave {rewards[index]} for {_describe(melodies, index)}; "
                "a reward must be a number in [0, 1]"
            )
        return rewards

    def _batched(self, melodies: Melodies) -> NDArray[np.float64]:
        try:
            given = self.function(melodies)
        except Exception as error:
            raise RuleError(
                f"rule {self.name} raised {_of(error)} for a batch of {len(melodies)} melodies"
            ) from error
        rewards = self._as_numbers(given, f"a batch of {len(melodies)} melodies")
        if rewards.shape != (len(melodies),):
            raise RuleError(
                f"rule {self.name} gave shape {rewards.shape} for a batch of {len(melodies)} "
                f"melodies; a batched rule must give ({len(melodies)},)"
            )
        return rewards

    def _one_by_one(self, melodies: Melodies) -> NDArray[np.float64]:
        rewards = np.empty(len(melodies))
        for index, melody in enumerate(melodies):
            try:
                given = self.function(CONVERSIONS[self.takes](melody))
            except Exception as error:
                raise RuleError(
                    f"rule {self.name} raised {_of(error)} for {_describe(melodies, index)}"
                ) from error
            value = self._as_numbers(given, _describe(melodies, index))
            if value.size != 1:
                raise RuleError(
                    f"rule {self.name} gave {value.size} numbers for "
                    f"{_describe(melodies, index)}; give one, or use @rule(batched=True)"
                )
            rewards[index] = value.item()
        return rewards

    def _as_numbers(self, given: object, what: str) -> NDArray[np.float64]:
        try:
            values = np.asarray(given)
            if given is None or values.dtype.kind in "SU":
                raise TypeError("neither None nor text is a number")
            return values.astype(np.float64)
        except Exception as error:
            raise RuleError(
                f"rule {self.name} gave {given!r} for {what}; a reward must be a number in [0, 1]"
            ) from error


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
    """Make a rule of a function: ``@rule`` for one melody, ``@rule(batched=True)`` for a batch.

    Args:
        batched: short for ``takes="batch"``.
        takes: what the function is handed: ``melody``, ``batch``, ``pretty_midi`` or
            ``note_sequence``; None for what the annotation of its first parameter asks for, see
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
    if takes is not None and takes not in TAKES:
        raise UsageError(f"takes must be one of {', '.join(TAKES)}, got {takes!r}")
    if batched and takes not in (None, BATCH):
        raise UsageError(f"a batched rule takes a batch, got takes={takes!r}; drop one of the two")

    def decorate(function: RuleFunction) -> Rule:
        asked = BATCH if batched else takes or asked_for(function)
        title = name or str(getattr(function, "__name__", "rule"))
        summary = (function.__doc__ or "").strip().split("\n")[0]
        if asked == BATCH:
            return Rule(title, function, batched=True, description=summary)
        return Rule(title, function, description=summary, takes=asked)

    return decorate if function is None else decorate(function)


def _describe(melodies: Melodies, index: int) -> str:
    return f"melody {index + 1} of {len(melodies)}, {melodies[index]!r}"


def _of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
