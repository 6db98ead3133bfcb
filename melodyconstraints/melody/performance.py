"""Velocities and swing: how the notes of a melody are played.

Only files and sound differ; a melody itself stays on its grid and has no velocities.

References:
    F. Lerdahl and R. Jackendoff, "A Generative Theory of Tonal Music" (1983): levels of metre.
    N. Todd, "The dynamics of dynamics: a model of musical expression" (1992): a phrase grows
    louder towards its middle and softer towards its end, as a parabola.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.units import (
    STEPS_PER_BAR,
    STEPS_PER_QUARTER,
    VELOCITY,
)
from melodyconstraints.storage.arguments import DEFAULT_SEED, check_fields, check_seed

FLAT = "flat"
VELOCITIES = (FLAT, "shaped")
STRAIGHT, MOST_SWING = 50.0, 75.0
"""Swing in percent: both eighths of a beat are equal; the first is a dotted one."""

_SOFTEST, _ACCENT, _ARC, _SPREAD = 72, 5, 12, 3
"""Velocity on weak sixteenths; added by a level of metre; at a phrase's middle; by chance."""
_LEVELS = np.array([4, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0])
"""Level of metre of the sixteenths of a bar: bar line, half, quarters, eighths, the others."""
_STEPS_PER_PHRASE = 4 * STEPS_PER_BAR


@dataclass(frozen=True)
class Performance:
    """Velocities and swing of the notes.

    Args:
        velocity: ``flat``, 96 everywhere; or ``shaped``: 72, plus 5 for each level of metre (4 on
            the bar line, 3 on beat 3, 2 on beats 2 and 4, 1 on off-beat eighths), plus
            12 * 4x(1 - x) at the share x of a phrase of four bars, plus -3 to 3 by chance.
        swing: share of a beat that its first eighth takes, in percent: 50 is straight, 66.7 are
            triplets, 75 a dotted eighth. Sixteenths move with their eighths. 0 too is straight.
        seed: seed of the random part of velocities.

    Raises:
        UsageError: another word for velocities; a swing other than 0 and outside [50, 75].

    >>> Performance(swing=75).moved(np.array([0, 1, 2, 3, 4]))
    array([0. , 1.5, 3. , 3.5, 4. ])
    """

    velocity: str = FLAT
    swing: float = STRAIGHT
    seed: int = DEFAULT_SEED

    def __post_init__(self) -> None:
        check_fields(self)
        check_seed(self.seed)
        if self.velocity not in VELOCITIES:
            raise UsageError(f"velocity must be {' or '.join(VELOCITIES)}, got {self.velocity!r}")
        if self.swing == 0:
            object.__setattr__(self, "swing", STRAIGHT)
        if not STRAIGHT <= self.swing <= MOST_SWING:
            raise UsageError(
                f"swing must be 0 (straight) or from {STRAIGHT:g} (straight) to {MOST_SWING:g} "
                f"percent (66.7: triplets), got {self.swing:g}"
            )

    @property
    def swings(self) -> bool:
        """Whether notes move."""
        return self.swing > STRAIGHT

    def velocities(self, onsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """``(N,)`` velocity, in [1, 127], of notes that start at ``(N,)`` steps of a melody."""
        if self.velocity == FLAT:
            return np.full(len(onsets), VELOCITY)
        accents = _ACCENT * _LEVELS[onsets % STEPS_PER_BAR]
        share = onsets % _STEPS_PER_PHRASE / _STEPS_PER_PHRASE
        arcs = np.rint(_ARC * 4 * share * (1 - share)).astype(np.int64)
        chance = np.random.default_rng(self.seed).integers(-_SPREAD, _SPREAD + 1, len(onsets))
        return _SOFTEST + accents + arcs + chance

    def moved(self, steps: NDArray[np.integer]) -> NDArray[np.float64]:
        """Places in time, in steps, of places on the grid; beats stay where they are."""
        beats, within = np.divmod(steps, STEPS_PER_QUARTER)
        middle = STEPS_PER_QUARTER * self.swing / 100
        grid = [0, STEPS_PER_QUARTER / 2, STEPS_PER_QUARTER]
        return beats * STEPS_PER_QUARTER + np.interp(within, grid, [0, middle, STEPS_PER_QUARTER])


AS_ON_THE_GRID = Performance()
