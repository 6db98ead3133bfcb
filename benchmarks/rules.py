"""Melodies a second that every rule of the library scores, and that all together score.

::

    OMP_NUM_THREADS=1 python benchmarks/rules.py [--melodies 1024] [--repeats 7]

One thread, warm, the best of several runs. Each rule is given a fresh batch, so it pays for the
views that it needs; all together share one.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from melodyconstraints.cli._common import print_table
from melodyconstraints.melody.events import HOLD, REST, Melodies
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.rules import Rule, find_rule, library

SCALE = np.array([0, 2, 4, 5, 7, 9, 11])


@click.command()
@click.option("--melodies", default=1024, show_default=True, help="Of a batch.")
@click.option("--repeats", default=7, show_default=True, help="The best one counts.")
def main(melodies: int, repeats: int) -> None:
    """Measure melodies a second of every rule of the library, and of all together."""
    batch = walking_melodies(np.random.default_rng(0), melodies)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # where the example of novelty looks for its file
        write_melody(batch[0], Path("tune.mid"))
        rules = [find_rule(row.example) for row in library()]
        os.chdir("/")
    for name, some in [*((rule.name, [rule]) for rule in rules), ("all together", rules)]:
        seconds = min(scoring_seconds(some, batch) for _ in range(repeats)) / melodies
        rows.append([name, f"{seconds * 1e6:.2f}", f"{1 / seconds:,.0f}"])
    print_table(["rule", "µs a melody", "melodies a second"], rows)


def scoring_seconds(rules: Sequence[Rule], batch: Melodies) -> float:
    """Of this process, for all rules on a batch without any views yet."""
    fresh = Melodies(batch.events)
    start = time.process_time()
    for rule in rules:
        rule(fresh)
    return time.process_time() - start


def walking_melodies(rng: np.random.Generator, count: int) -> Melodies:
    """Walks through C major, mostly by step, on mostly even sixteenths, with some rests."""
    chances = np.tile([0.8, 0.05, 0.4, 0.1], 64)
    starts = rng.random((count, 256)) < chances
    walk = rng.choice([-2, -1, 0, 1, 2], size=(count, 256), p=[0.1, 0.3, 0.2, 0.3, 0.1])
    degrees = np.abs((np.cumsum(walk * starts, axis=1) + 10) % 28 - 14)
    pitches = 60 + 12 * (degrees // 7) + SCALE[degrees % 7]
    others = np.where(rng.random((count, 256)) < 0.1, REST, HOLD)
    return Melodies(np.where(starts, pitches, others))


if __name__ == "__main__":
    main()
