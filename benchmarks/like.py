"""Melodies like a folder's, without training: overlapping area with examples that were held out.

::

    python benchmarks/like.py LIKE UNLIKE [-n 512] [--actor FOLDER]

LIKE and UNLIKE are folders of MIDI. One in five examples of LIKE is held out, as for an actor
(``workflows/examples.py``). The actor was trained with the same two folders.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

import melodyconstraints as mc
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.copies import NEAR_COPY, Originals
from melodyconstraints.melody.metrics.distances import compare_feature
from melodyconstraints.melody.metrics.statistics import FEATURES
from melodyconstraints.melody.metrics.structure import structure
from melodyconstraints.workflows.examples import (
    digests,
    held_out,
    learned_from,
    read_examples,
)

SEED = 301
FEW = (1, 4, 16)


@click.command()
@click.argument("like", type=click.Path(path_type=Path, exists=True))
@click.argument("unlike", type=click.Path(path_type=Path, exists=True))
@click.option("-n", default=512, show_default=True, help="Melodies of each row.")
@click.option("--actor", type=click.Path(path_type=Path, exists=True))
def main(like: Path, unlike: Path, n: int, actor: Path | None) -> None:
    """Print a table; each row is compared with the held-out examples."""
    liked, unliked = read_examples(like, unlike)
    learned = learned_from(liked)
    held = held_out(liked, digests(learned), "liked")
    model = mc.load_model()
    rows = {
        f"the other {len(learned)} examples": learned,
        "examples of UNLIKE": unliked,
        "under no rule": mc.generate(model, n, seed=SEED),
    }
    chosen = np.random.default_rng(SEED).permutation(len(learned))
    for count in [*FEW, len(learned)]:
        some = Melodies(learned.events[chosen[:count]])
        rows[f"--like, {count}"] = mc.generate(model, n, like=some, seed=SEED)
    if actor is not None:
        rows["actor"] = mc.load_actor(actor).generate(n, seed=SEED)
    originals = Originals(learned.events)
    print(f"{len(held)} held out: {of_structure(held)}")
    print("| | overlapping area | repeated bars | compression ratio | near-copies |")
    print("|---|---|---|---|---|")
    for name, melodies in rows.items():
        area = np.mean([overlap(feature, held, melodies) for feature in FEATURES])
        copies = (originals.similarity(melodies.events) >= NEAR_COPY).mean()
        print(f"| {name} | {area:.3f} | {of_structure(melodies)} | {copies:.1%} |", flush=True)


def overlap(feature: str, reference: Melodies, melodies: Melodies) -> float:
    """Overlapping area of a feature."""
    value = FEATURES[feature]
    return compare_feature(value(reference), value(melodies)).overlapping_area


def of_structure(melodies: Melodies) -> str:
    """Two cells."""
    measured = structure(melodies)
    return f"{measured['repeated_bars']:.3f} | {measured['compression_ratio']:.2f}"


if __name__ == "__main__":
    main()
