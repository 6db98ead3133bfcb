"""Learnability of a rule: the distribution of its rewards over a model's melodies, its speed.

Shapes: ``B`` melodies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.latent.satisfaction import SATISFIED

DECODED_IN_TRAINING = 23_000
"""Melodies that one training of an actor decodes, about; a rule rewards each."""

_RARE, _USUAL, _SLOW_SECONDS = 0.01, 0.5, 60.0
_LEVELS = "▁▂▃▄▅▆▇█"
_BINS = 10


@dataclass(frozen=True)
class Distribution:
    """Distribution of rewards.

    Args:
        n: number of melodies.
        mean: mean reward.
        satisfied: share of melodies that satisfy the rule.
        quantiles: least, 10%, median, 90% and greatest reward.
        values: number of different rewards.
        histogram: share of the melodies in each tenth of [0, 1].
    """

    n: int
    mean: float
    satisfied: float
    quantiles: tuple[float, ...]
    values: int
    histogram: tuple[float, ...]

    @classmethod
    def of(cls, rewards: NDArray[np.float64]) -> Distribution:
        """Distribution of ``(B,)`` rewards in [0, 1], at least one."""
        counts, _ = np.histogram(rewards, _BINS, (0, 1))
        return cls(
            n=len(rewards),
            mean=float(rewards.mean()),
            satisfied=float((rewards >= SATISFIED).mean()),
            quantiles=tuple(np.quantile(rewards, (0, 0.1, 0.5, 0.9, 1)).tolist()),
            values=len(np.unique(rewards.round(6))),
            histogram=tuple((counts / len(rewards)).tolist()),
        )

    @property
    def spark(self) -> str:
        """Histogram as a line of ten characters, a dot for an empty tenth.

        >>> Distribution.of(np.array([0.0, 0.0, 0.55, 1.0])).spark
        '█····▄···▄'
        """
        highest = max(self.histogram)
        return "".join(
            _LEVELS[max(round(share / highest * len(_LEVELS)) - 1, 0)] if share else "·"
            for share in self.histogram
        )


@dataclass(frozen=True)
class Verdict:
    """Assessment of whether a rule can be learned.

    Args:
        kind: ``constant``, ``satisfied``, ``rare step``, ``never``, ``easy`` or ``good``.
        learnable: whether a training may succeed; false where it must fail.
        text: sentence for the user.
    """

    kind: str
    learnable: bool
    text: str


def assess(prior: Distribution, melodies: str = "the model's own melodies") -> Verdict:
    """Whether a rule can be learned, by its rewards of a model's melodies.

    Args:
        melodies: name of the melodies in the text.
    """
    least, most = prior.quantiles[0], prior.quantiles[-1]
    share = f"{prior.satisfied:.1%}"
    untrained = f"{share} of {melodies} satisfy it so far, before any training"
    if prior.satisfied == 1:
        return Verdict("satisfied", True, "every melody satisfies it already: nothing to learn")
    if prior.values == 1:
        return Verdict(
            "constant",
            False,
            f"cannot be learned: all {prior.n:,} melodies have the reward {most:.3g}; give more "
            "for coming closer, so that a training has a direction",
        )
    if prior.values == 2 and 0 < prior.satisfied < _RARE:
        return Verdict(
            "rare step",
            True,
            f"hard to learn: only {share} of {melodies} satisfy it, and all "
            f"others have the reward {least:.3g}; give more for coming closer",
        )
    if prior.satisfied == 0:
        return Verdict(
            "never",
            True,
            f"can be learned, though none of {melodies} satisfies it so far (best "
            f"{most:.3g}): the rewards are graded, which gives a training its direction",
        )
    if prior.satisfied >= _USUAL:
        return Verdict("easy", True, f"easily learned: {untrained}")
    return Verdict("good", True, f"can be learned: {untrained}, which is to raise that share")


def cost_of_training(speed: float) -> tuple[float, bool]:
    """Seconds that a rule adds to a training, and whether those are many.

    Args:
        speed: melodies a second.
    """
    seconds = DECODED_IN_TRAINING / speed
    return seconds, seconds > _SLOW_SECONDS
