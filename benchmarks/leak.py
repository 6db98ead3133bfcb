"""How much of a store's validation music stands in its training music.

::

    python benchmarks/leak.py STORE MIDI_DIR

A window leaks if one of its sequences of 16 intervals, in any key, occurs in a training window.
"By file" is what the same melodies would come to if each file were put on its side by itself.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from melodyconstraints.cli._common import print_table
from melodyconstraints.datasets.melodies.splits import SPLITS, sequence_hashes, splits_of
from melodyconstraints.datasets.melodies.store import events_of, read_table
from melodyconstraints.melody.events import PITCHES, Events

TRAIN, VALIDATION = SPLITS.index("train"), SPLITS.index("validation")


class Leak(NamedTuple):
    """Shares of the validation windows, and of all sequences in them."""

    windows: int
    with_any: float
    with_any_varied: float
    with_half: float
    of_sequences: float


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("midi_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(store: Path, midi_dir: Path) -> None:
    """Measure how much of STORE's validation music stands in its training music."""
    table = read_table(store, columns=["events", "split", "file"])
    events = events_of(table["events"].combine_chunks())
    by_tune = np.array([SPLITS.index(split) for split in table["split"].to_pylist()])
    files, of_file = np.unique(table["file"].to_numpy(), return_inverse=True)
    digests = np.array([first_bits(midi_dir / file) for file in files], np.uint64)
    by_file = splits_of(digests, np.arange(len(files)))[of_file]
    rows = []
    for name, splits in (("by file", by_file), ("by tune", by_tune)):
        leak = measure(events, splits)
        rows.append([name, f"{leak.windows:,}", *(f"{share:.1%}" for share in leak[1:])])
    print_table(["split", "validation windows", "any", "any varied", "half", "sequences"], rows)


def first_bits(path: Path) -> int:
    """The digest that a file's side depends on."""
    return int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:8], "big")


def measure(events: Events, splits: NDArray[np.integer]) -> Leak:
    """Compare one side with the other.

    Args:
        events: ``(B, 256)``.
        splits: ``(B,)`` numbers in SPLITS.
    """
    training = [sequence_hashes(pitches)[0] for pitches in lines(events[splits == TRAIN])]
    known = np.unique(np.concatenate(training))
    shares, varied_ones = [], []
    for pitches in lines(events[splits == VALIDATION]):
        hashes, varied = sequence_hashes(pitches)
        places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        leaks = known[places] == hashes
        shares.append((leaks.sum(), len(leaks)))
        varied_ones.append((leaks & varied).any())
    leaking, total = np.array(shares).T
    return Leak(
        len(total),
        (leaking > 0).mean(),
        float(np.mean(varied_ones)),
        (leaking >= np.maximum(total, 1) / 2).mean(),
        leaking.sum() / total.sum(),
    )


def lines(events: Events) -> list[NDArray[np.int64]]:
    """The pitches of each melody."""
    return [row[row < PITCHES].astype(np.int64) for row in events]


if __name__ == "__main__":
    main()
