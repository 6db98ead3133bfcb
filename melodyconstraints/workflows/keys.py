"""Melodies in the keys in which rules reward them most: what is transposed need not be decoded.

>>> from melodyconstraints.melody.events import Melody
>>> from melodyconstraints.rules import find_rules
>>> tune = Melody.from_notes([(0, 4, 66), (4, 4, 68), (8, 8, 66)])
>>> found = in_best_keys(Melodies.stack([tune]), find_rules(["final-note:G"]))
>>> found.shifts.tolist(), found.melodies[0].pitches.tolist()
([1], [67, 69, 67])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from melodyconstraints.latent.evolution import EvolutionSearch
from melodyconstraints.melody.events import KEY_SHIFTS, Melodies, Melody, transposed
from melodyconstraints.melody.notes import Ints
from melodyconstraints.rules import Rule

_SAME = 1e-6
"""Largest difference of two scores that counts as rounding."""


@dataclass(frozen=True)
class InKeys:
    """``B`` melodies, each some of ``(B,)`` semitones above what was drawn."""

    melodies: Melodies
    shifts: Ints

    def __getitem__(self, index: int) -> tuple[Melody, int]:
        return self.melodies[index], int(self.shifts[index])


def in_best_keys(
    melodies: Melodies,
    rules: Sequence[Rule],
    weights: Sequence[float] = (),
    finish: Callable[[Melodies], Melodies] | None = None,
    write: Callable[[Melodies], Melodies] | None = None,
) -> InKeys:
    """Take each melody in the nearest of the keys in which the library's rules reward it most.

    Users' functions, which may be slow, are not called in every key.

    Args:
        weights: weight of each rule, in :meth:`.EvolutionSearch.scores`; 1 each if not given.
        finish: function that changes melodies that were transposed, such as bars that are kept.
        write: function that changes them before that, in the best key only; see :mod:`.written`.
    """
    count, keys = len(melodies), len(KEY_SHIFTS)
    shifts = np.repeat(KEY_SHIFTS, count)
    events, inside = transposed(np.tile(melodies.events, (keys, 1)), shifts)
    moved = finish(Melodies(events)) if finish else Melodies(events)
    rewards = np.ones((keys * count, len(rules)))  # where not called: the same in every key
    for column, rule in enumerate(rules):
        if rule.is_own and (not weights or weights[column]):
            rewards[:, column] = rule(moved)
    search = EvolutionSearch(weights=tuple(weights))
    scores = search.scores(torch.from_numpy(rewards)).numpy()
    by_key = np.where(inside, scores, -np.inf).reshape(keys, count)
    best = (by_key >= by_key.max(0) - _SAME).argmax(0)
    rows = best * count + np.arange(count)
    chosen = moved[rows]
    if write:
        chosen = finish(write(chosen)) if finish else write(chosen)
    return InKeys(chosen, shifts[rows])


def transposing(
    rules: Sequence[Rule],
    weights: Sequence[float] = (),
    finish: Callable[[Melodies], Melodies] | None = None,
    write: Callable[[Melodies], Melodies] | None = None,
) -> Callable[[Melodies], Melodies]:
    """Function from melodies to them in the best key; see :func:`in_best_keys`."""
    return lambda melodies: in_best_keys(melodies, rules, weights, finish, write).melodies


def asks_for_keys(rule: Rule, melodies: Melodies) -> bool:
    """Whether a library's rule rewards some of the melodies otherwise a semitone higher."""
    if not rule.is_own:  # a user's function, which may be slow, is not called
        return False
    moved, inside = transposed(melodies.events, 1)
    return bool((rule(melodies) != rule(Melodies(moved)))[inside].any())
