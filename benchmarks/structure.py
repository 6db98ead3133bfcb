"""What ``docs/melody-model.md`` says of the structure of models' own melodies, as tables.

::

    python benchmarks/structure.py STORE --model bundled --model staff
    python benchmarks/structure.py STORE --actor actors/mine

Melodies of a model's prior, and training melodies, against held-out ones; melodies of an actor
against held-out melodies that satisfy its rules in one of the twelve keys. *Jump*: mean change of
the mean pitch from a bar to the next, in semitones. *Compression*: 256 over the bytes that zlib
makes of a melody's events. *SE*: mean over lags t = 1..15 of the difference in L_t, the notes that
two bars t apart share by place and pitch, over the notes in either. *AUC*: of a gradient-boosted
classifier, cross-validated, that tells the set from the held-out melodies: 1/2 cannot, 1 can.
What it cannot see: windows of one tune are alike, which helps the classifier with every set.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.melody.events import PITCHES, Events, Melodies
from melodyconstraints.melody.metrics.distances import compare
from melodyconstraints.melody.metrics.statistics import (
    FEATURES,
    interval_histogram,
    pitch_class_entropy,
    pitch_class_histogram,
    pitch_range,
    pitches_used,
    repeated_bars,
)
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR
from melodyconstraints.melody.vae.checkpoint import load_model
from melodyconstraints.rules import Rule
from melodyconstraints.workflows.actor import load_actor, rewards_of
from melodyconstraints.workflows.generate import generate
from melodyconstraints.workflows.train_vae import choose

SEED = 301
"""Of the melodies drawn; it played no part in a choice."""
Floats = NDArray[np.float64]


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--model", "models", multiple=True, help="Model folder, or bundled, or staff.")
@click.option("--actor", "actors", multiple=True, help="Actor folder.")
@click.option("-n", "count", default=1024, show_default=True)
def main(store: Path, models: tuple[str, ...], actors: tuple[str, ...], count: int) -> None:
    """Measure and print."""
    stored = read_store(store, "test")
    rows = choose(np.arange(len(stored)), count)
    held_out = Melodies(stored.events[rows])
    print_row("", "repeated", "range", "pitches", "jump", "compression", "SE", "OA", "AUC")
    print_structure("held-out melodies", held_out, held_out)
    training = matched_training_melodies(store, stored.sources[rows])
    print_structure("training melodies, collections matched", training, held_out)
    for name in models:
        drawn = generate(load_model(name), len(held_out), seed=SEED)
        print_structure(f"prior of {name}", drawn, held_out)
    for folder in actors:
        actor = load_actor(folder)
        drawn = actor.generate(len(held_out), seed=SEED)
        print_structure(f"actor {', '.join(actor.names)}", drawn, held_out)
        real = satisfying(stored.events, actor.rules)
        print_row("", "melodies", "entropy", "two commonest", "with 2%", "steps", "leaps")
        print_row(f"held-out, {', '.join(actor.names)} in some key", *degrees(real))
        print_row("actor", *degrees(drawn))


def print_row(name: str, *cells: object) -> None:
    """A line with tabs between its cells."""
    shown = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells)
    click.echo("\t".join([name, *shown]))


def print_structure(name: str, melodies: Melodies, held_out: Melodies) -> None:
    """The structure of melodies, against held-out ones."""
    events, reference = melodies.events, held_out.events
    difference = similarity_by_lag(events).mean(0) - similarity_by_lag(reference).mean(0)
    areas = [compare(one(held_out), one(melodies)).overlapping_area for one in FEATURES.values()]
    print_row(
        name,
        *(float(one(melodies).mean()) for one in (repeated_bars, pitch_range, pitches_used)),
        float(jumps(events).mean()),
        float(compression(events).mean()),
        float(np.abs(difference).mean()),
        float(np.mean(areas)),
        "" if melodies is held_out else auc(held_out, melodies),
    )


def matched_training_melodies(store: Path, sources: NDArray[np.object_]) -> Melodies:
    """Training melodies, as many of each collection as there are in ``sources``."""
    stored, generator = read_store(store, "train"), np.random.default_rng(1)
    rows = [
        generator.choice(np.flatnonzero(stored.sources == name), count, replace=False)
        for name, count in zip(*np.unique(sources.astype(str), return_counts=True), strict=True)
    ]
    return Melodies(stored.events[np.concatenate(rows)])


def similarity_by_lag(events: Events) -> Floats:
    """``(B, 15)`` L_t of each melody for t = 1..15."""
    bars = events.reshape(-1, BARS, STEPS_PER_BAR)
    notes = bars < PITCHES
    lags = []
    for lag in range(1, BARS):
        later, earlier = notes[:, lag:], notes[:, :-lag]
        shared = ((bars[:, lag:] == bars[:, :-lag]) & later).sum(-1)
        either = later.sum(-1) + earlier.sum(-1) - shared
        lags.append((shared / np.maximum(either, 1)).mean(1))
    return np.stack(lags, 1)


def compression(events: Events) -> Floats:
    """``(B,)`` bytes of a melody over those that zlib makes of it."""
    return np.array([len(row) / len(zlib.compress(row.tobytes())) for row in events])


def jumps(events: Events) -> Floats:
    """``(B,)`` mean change of the mean pitch between neighbouring bars with notes."""
    bars = events.reshape(-1, BARS, STEPS_PER_BAR).astype(np.float64)
    notes = np.where(bars < PITCHES, bars, np.nan)
    counts = (~np.isnan(notes)).sum(-1)
    means = np.where(counts > 0, np.nansum(notes, -1) / np.maximum(counts, 1), np.nan)
    changes = np.abs(np.diff(means, axis=1))
    known = (~np.isnan(changes)).sum(1)
    return np.nansum(changes, 1) / np.maximum(known, 1)


def auc(first: Melodies, second: Melodies) -> float:
    """Area under the curve of a classifier that tells the second set from the first."""
    columns = np.concatenate([_columns(first), _columns(second)])
    labels = np.repeat([0, 1], [len(first.events), len(second.events)])
    classifier = HistGradientBoostingClassifier(random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    shares = cross_val_predict(classifier, columns, labels, cv=folds, method="predict_proba")
    return float(roc_auc_score(labels, shares[:, 1]))


def _columns(melodies: Melodies) -> Floats:
    events = melodies.events
    own = [similarity_by_lag(events), compression(events)[:, None], jumps(events)[:, None]]
    features = [one(melodies).reshape(len(events), -1) for one in FEATURES.values()]
    return np.concatenate([*features, *own], 1)


def satisfying(events: Events, rules: Iterable[Rule]) -> Melodies:
    """Those melodies that satisfy rules in one of twelve keys, in the nearest such key."""
    left, found = events, []
    for shift in sorted(range(-6, 6), key=abs):
        shifted = np.where(left < PITCHES, left.astype(np.int64) + shift, left)
        inside = ((shifted >= 0) & ((shifted < PITCHES) | (left >= PITCHES))).all(1)
        moved = np.where(inside[:, None], shifted, left).astype(np.uint8)
        own = inside & (rewards_of(list(rules), Melodies(moved)) >= SATISFIED).all(1)
        found.append(moved[own])
        left = left[~own]
    return Melodies(np.concatenate(found))


def degrees(melodies: Melodies) -> list[int | float]:
    """Number, and by melody: entropy in bits, share of the two commonest pitch classes, ...

    Then pitch classes with 2% of the notes or more, and shares of the intervals that are steps and
    that are of five semitones or more.
    """
    classes = np.sort(pitch_class_histogram(melodies), axis=1)
    intervals = interval_histogram(melodies)
    sizes = np.abs(np.arange(intervals.shape[1]) - intervals.shape[1] // 2)
    return [
        len(melodies.events),
        float(pitch_class_entropy(melodies).mean()),
        float(classes[:, -2:].sum(1).mean()),
        float((classes >= 0.02).sum(1).mean()),
        float(intervals[:, (sizes == 1) | (sizes == 2)].sum(1).mean()),
        float(intervals[:, sizes >= 5].sum(1).mean()),
    ]


if __name__ == "__main__":
    main()
