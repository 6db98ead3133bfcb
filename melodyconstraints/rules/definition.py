"""What a rule is: a name and a function from melodies to rewards in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import RuleError
from melodyconstraints.melody.events import Melodies, Melody

MelodyFunction = Callable[[Melody], float]
BatchFunction = Callable[[Melodies], Any]


@dataclass(frozen=True)
class Rule:
    """A reward on melodies, checked at every call.

    Args:
        name: how it is asked for and reported: ``cmajor``, ``density:192``, ``my_rules.py:f``.
        function: one :class:`Melody` to a number, or a :class:`Melodies` to ``(B,)`` numbers.
        batched: which of the two.
        description: one line.
        spec: what finds it again; its name, or the same with the whole path of its file.
        pitch_classes: the set that the rule asks for, where it does; piano rolls colour by it.
        key: key signature that it implies, as MIDI names it: ``C``, ``F#``, ``Bbm``.
    """

    name: str
    function: Callable[[Any], Any]
    batched: bool = False
    description: str = ""
    spec: str = ""
    pitch_classes: frozenset[int] | None = None
    key: str | None = None

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
                given = self.function(melody)
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
def rule(function: MelodyFunction) -> Rule: ...
@overload
def rule(*, batched: bool = False, name: str | None = None) -> Callable[[BatchFunction], Rule]: ...
def rule(
    function: Callable[[Any], Any] | None = None, *, batched: bool = False, name: str | None = None
) -> Rule | Callable[[Callable[[Any], Any]], Rule]:
    """Make a rule of a function: ``@rule`` for one melody, ``@rule(batched=True)`` for a batch.

    >>> @rule
    ... def ends_on_c(melody):
    ...     return float(len(melody) > 0 and melody.pitches[-1] % 12 == 0)
    >>> ends_on_c(Melodies.stack([Melody.from_notes([(0, 4, 60)])]))
    array([1.])
    """

    def decorate(function: Callable[[Any], Any]) -> Rule:
        title = name or str(getattr(function, "__name__", "rule"))
        summary = (function.__doc__ or "").strip().split("\n")[0]
        return Rule(title, function, batched=batched, description=summary)

    return decorate if function is None else decorate(function)


def _describe(melodies: Melodies, index: int) -> str:
    return f"melody {index + 1} of {len(melodies)}, {melodies[index]!r}"


def _of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
