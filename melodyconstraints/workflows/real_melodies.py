"""Real melodies that those of models and actors are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import StoreError
from melodyconstraints.melody.events import KEY_SHIFTS, Melodies, transposed
from melodyconstraints.rules import Rule
from melodyconstraints.rules.rewards import satisfies_all

if TYPE_CHECKING:
    from melodyconstraints.datasets.melodies.store import StoredMelodies

FEWEST = 20
"""Fewest held-out tunes, and fewest other melodies, on which a classifier is trained."""
DRAWS = 3
"""Times that the classifier is trained, each time on another melody of each tune."""


def read_split(store: Path | str, split: str) -> StoredMelodies:
    """Melodies of one split of a store.

    Raises:
        StoreError: ``store`` is no finished melody store, or has fewer than 2 of the split.
    """
    from melodyconstraints.datasets.melodies.store import read_store  # needs pyarrow

    stored = read_store(store, split)
    if len(stored) < 2:
        raise StoreError(
            f"{store} holds too few melodies of the split {split}: {len(stored)}, at least 2 are "
            "needed; extract more files"
        )
    return stored


def one_of_each_tune(stored: StoredMelodies, generator: np.random.Generator) -> StoredMelodies:
    """One melody of each tune, drawn at random."""
    order = generator.permutation(len(stored))
    _, first = np.unique(stored.tunes[order], return_index=True)
    return stored[order[first]]


def matched(
    stored: StoredMelodies, sources: NDArray[np.object_], generator: np.random.Generator
) -> StoredMelodies:
    """As many melodies of each collection as there are in ``sources``, at most all there are.

    Where there is none of these collections, as many melodies as there are ``sources``.
    """
    order = generator.permutation(len(stored))
    own = stored.sources[order]
    rows = [order[own == name][:count] for name, count in sorted(Counter(sources).items())]
    chosen = np.concatenate(rows)
    return stored[chosen if len(chosen) else order[: len(sources)]]


def classifier_aucs(
    held_out: StoredMelodies, training: StoredMelodies, samples: Melodies
) -> tuple[float, float] | None:
    """AUC of classifiers that tell samples, and training melodies, from held-out ones.

    Of each tune one melody; training melodies of the held-out ones' collections, in their shares
    and as many as there are samples; mean over :data:`DRAWS`.

    Returns:
        AUC of the samples and of the training melodies; None below :data:`FEWEST`.
    """
    from melodyconstraints.melody.metrics.classifier import auc  # needs scikit-learn

    areas = []
    for seed in range(DRAWS):
        generator = np.random.default_rng(seed)
        real = one_of_each_tune(held_out, generator)
        sources = np.repeat(real.sources, max(len(samples) // len(real), 1))
        known = matched(one_of_each_tune(training, generator), sources, generator)
        drawn = samples[generator.permutation(len(samples))[: len(known)]]
        if min(len(real), len(drawn)) < FEWEST:
            return None
        areas.append([auc(real.melodies, others, seed) for others in (drawn, known.melodies)])
    of_samples, of_training = np.mean(areas, axis=0).tolist()
    return of_samples, of_training


def satisfying(melodies: Melodies, rules: Sequence[Rule]) -> Melodies:
    """Melodies that satisfy all rules as they are or transposed, in the nearest such key.

    A rule that does not depend on the key is satisfied in all keys or in none.
    """
    left, parts = melodies.events, []
    for shift in KEY_SHIFTS:
        moved, inside = transposed(left, shift)
        rows = np.flatnonzero(inside)
        rows = rows[satisfies_all(rules, Melodies(moved[rows]))]
        parts.append(moved[rows])
        left = np.delete(left, rows, axis=0)
    return Melodies(np.concatenate(parts))
