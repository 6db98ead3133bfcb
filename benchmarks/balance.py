"""What real melodies score against held-out ones, by how often each tune is drawn, as a table.

::

    python benchmarks/balance.py STORE

A tune of n training melodies is drawn with weight n^power: 1 draws melodies as they are stored,
most of them parts of long works, 0 draws each tune equally often. No model is part of this: it is
what a generator would score that had learned the melodies perfectly that it was trained on.
"""

from __future__ import annotations

from collections import Counter

import click
import numpy as np

from melodyconstraints.cli._common import print_table
from melodyconstraints.datasets.melodies.store import StoredMelodies
from melodyconstraints.melody.metrics.classifier import auc
from melodyconstraints.melody.metrics.distances import compare_feature
from melodyconstraints.melody.metrics.statistics import FEATURES
from melodyconstraints.melody.metrics.structure import structure
from melodyconstraints.workflows.real_melodies import DRAWS, one_of_each_tune, read_split
from melodyconstraints.workflows.train_vae import choose

POWERS = (1.0, 0.75, 0.5, 0.25, 0.0)
COLUMNS = ("repeated_bars", "register_jump", "compression_ratio", "similarity_error")


@click.command()
@click.argument("store")
@click.option("-n", default=1024, show_default=True, help="Melodies of each set.")
def main(store: str, n: int) -> None:
    """Print the table."""
    training, tunes = read_split(store, "train"), read_split(store, "test")
    held_out = tunes[choose(np.arange(len(tunes)), n)].melodies
    of_held_out = {name: feature(held_out) for name, feature in FEATURES.items()}
    rows = []
    for power in POWERS:
        drawn = [_drawn(training, power, n, seed) for seed in range(DRAWS)]
        areas = [
            compare_feature(true, FEATURES[name](drawn[0].melodies)).overlapping_area
            for name, true in of_held_out.items()
        ]
        told = [
            auc(one_of_each_tune(tunes, np.random.default_rng(seed)).melodies, own.melodies, seed)
            for seed, own in enumerate(drawn)
        ]
        built = structure(drawn[0].melodies, held_out)
        common = Counter(drawn[0].sources).most_common(3)
        rows.append(
            [
                f"{power:g}",
                f"{np.mean(areas):.3f}",
                f"{np.mean(told):.3f}",
                *(f"{built[name]:.3f}" for name in COLUMNS),
                ", ".join(f"{name} {count / n:.0%}" for name, count in common),
            ]
        )
    columns = [name.replace("_", " ") for name in COLUMNS]
    print_table(["power", "overlapping area", "AUC", *columns, "commonest collections"], rows)


def _drawn(stored: StoredMelodies, power: float, n: int, seed: int) -> StoredMelodies:
    """Melodies, those of each tune together with a power of their number."""
    _, tune, counts = np.unique(stored.tunes, return_inverse=True, return_counts=True)
    weights = counts[tune] ** (power - 1.0)
    generator = np.random.default_rng(seed)
    return stored[generator.choice(len(stored), n, False, weights / weights.sum())]


if __name__ == "__main__":
    main()
