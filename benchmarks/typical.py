"""What is typical of real melodies, and how typical those are that are found under rules.

::

    python benchmarks/typical.py bounds STORE
    python benchmarks/typical.py degrees STORE
    python benchmarks/typical.py found

*bounds* gives those of ``melody/metrics/typical.py``, of the training melodies of STORE, each tune
weighing the same however many melodies it has. *degrees* gives how real melodies in each mode
weigh its degrees, of at most eight melodies a tune. *found* searches as ``mc generate`` does,
without and with the preference for typical melodies, on one thread.
"""

from __future__ import annotations

import time
from dataclasses import replace

import click
import numpy as np
import torch

from melodyconstraints.cli._common import print_table
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.modes import (
    LIKE_REAL,
    MODES,
    degree_likeness,
    degree_shares,
)
from melodyconstraints.melody.metrics.typical import (
    FEWEST_NOTES,
    TYPICAL,
    commonest_pitch_class,
    highest_pitch,
    lowest_pitch,
    repeated_pitches,
    typicality,
    wide_leaps,
)
from melodyconstraints.rules import find_rules
from melodyconstraints.rules.rewards import satisfies_all
from melodyconstraints.workflows.conditional import load_knobs
from melodyconstraints.workflows.real_melodies import read_split, satisfying
from melodyconstraints.workflows.search import SearchActor

SHARE = 0.98
"""Share of real melodies within a bound."""
A_TUNE = 8
"""Melodies of a tune that are counted for the degrees, at most."""
SETTINGS = (
    ("D-dorian", 96, "cadence:D-dorian"),
    (None, None, "chords:C,Am,F,G,60%", "final-note:C"),
    ("A-blues", None),
    ("D-dorian", 96, "final-note:D"),
)
"""Scale, density and other rules."""
SEEDS = (1, 2, 3)
LOW_C, HIGH_C = 48, 84
DRONE = 0.5
"""Share of a drone's intervals, at least, that repeat the pitch."""
MEASURES = {
    "typical": lambda melodies: typicality(melodies) >= 1,
    "drones": lambda melodies: repeated_pitches(melodies) > DRONE,
    "commonest pitch class": commonest_pitch_class,
    "above an octave": wide_leaps,
    "below C3": lambda melodies: lowest_pitch(melodies) < LOW_C,
    "above C6": lambda melodies: highest_pitch(melodies) > HIGH_C,
}
"""Columns: means of what they give each melody."""


@click.group()
def main() -> None:
    """Measure what is typical."""


@main.command("bounds")
@click.argument("store")
def print_bounds(store: str) -> None:
    """Print the bound of each feature, and the share of melodies within all of them."""
    training = read_split(store, "train")
    _, tune, counts = np.unique(training.tunes, return_inverse=True, return_counts=True)
    weights = 1 / counts[tune] / len(counts)
    bounds = []
    for row in (*TYPICAL, FEWEST_NOTES):
        sign = 1 if row.worst > row.bound else -1
        values = sign * row.feature(training.melodies)
        order = values.argsort()
        place = np.searchsorted(weights[order].cumsum(), SHARE)
        name = row.feature.__name__.replace("_", " ")
        bounds.append([name, f"{sign * values[order[place]]:.3g}", f"{row.bound:g}"])
    print_table(["feature", f"bound of {SHARE:.0%}", "bound used"], bounds)
    means = [
        [name, f"{(weights * measure(training.melodies)).sum():.3f}"]
        for name, measure in MEASURES.items()
    ]
    print_table(["mean of the training melodies", ""], means, "Within all bounds, and others")


@main.command("degrees")
@click.argument("store")
def print_degrees(store: str) -> None:
    """Print each degree's share of the time for which training melodies in each mode sound."""
    training = read_split(store, "train")
    order = np.random.default_rng(0).permutation(len(training.tunes))
    _, tune = np.unique(training.tunes[order], return_inverse=True)
    sorted_by_tune = tune.argsort(kind="stable")
    first = np.searchsorted(tune[sorted_by_tune], tune[sorted_by_tune])
    is_early = np.arange(len(tune)) - first < A_TUNE
    some = training.melodies[np.sort(order[sorted_by_tune[is_early]])]
    rows = []
    for mode in MODES:
        melodies = satisfying(some, find_rules([f"scale:C-{mode}"]))
        shares = degree_shares(melodies, MODES[mode])
        is_like = degree_likeness(melodies, MODES[mode]) >= 1
        means = [f"{mean:.3f}" for mean in shares.mean(axis=0)]
        rows.append([mode, f"{len(melodies):,}", *means, f"{is_like.mean():.0%}"])
    degrees = [str(number) for number in range(1, 8)]
    print_table(["mode", "melodies", *degrees, f"correlation {LIKE_REAL} or more"], rows)


@main.command("found")
@click.option("-n", "count", default=16, show_default=True, help="Melodies for each seed.")
def print_found(count: int) -> None:
    """Print a line for each list of rules, without and with the preference."""
    torch.set_num_threads(1)
    knobs = load_knobs()
    knobs.at("C-major").generate(1)  # warm
    columns = ["rules", "prefers typical", "satisfied", *MEASURES, "drawn", "CPU seconds"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for scale, density, *others in SETTINGS:
        actor = knobs.at(scale, density, *others)
        for searching in (replace(actor, prefers=None), actor):
            print(f"| {', '.join(actor.names)} | {_measured(searching, count)} |", flush=True)


def _measured(actor: SearchActor, count: int) -> str:
    found, drawn, start = [], 0, time.process_time()
    for seed in SEEDS:
        numbers: list[int] = []
        searching = replace(actor, callback=lambda _, number, to=numbers: to.append(number))
        found.append(searching.generate(count, seed=seed).events)
        drawn += numbers[-1]
    seconds = time.process_time() - start
    melodies = Melodies(np.concatenate(found))
    satisfied = satisfies_all(actor.active_rules, melodies).sum()
    cells = ["yes" if actor.prefers else "no", f"{satisfied} of {len(melodies)}"]
    cells += [f"{measure(melodies).mean():.3f}" for measure in MEASURES.values()]
    return " | ".join([*cells, str(drawn), f"{seconds:.1f}"])


if __name__ == "__main__":
    main()
