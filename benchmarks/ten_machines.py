"""The measured column of ``docs/ten-machines.md``.

::

    python benchmarks/ten_machines.py MIDI_DIR --songs MIDI_DIR/pop909
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from melodyconstraints.cli._common import print_table
from melodyconstraints.datasets.melodies.extract_store import LocalEngine, Progress, extract_store
from melodyconstraints.datasets.melodies.ray_engine import RayEngine
from melodyconstraints.melody.midi.windows import Drop

Rows = Iterator[tuple[str, str]]
BATCHES, KEYS_PER_BATCH = 1_000, 6_000


@click.command()
@click.argument("midi_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--songs", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of songs."
)
def main(midi_dir: Path, songs: Path) -> None:
    """Measure what an extraction on ten machines is made of: reading, the ledger, Ray Data."""
    with tempfile.TemporaryDirectory() as name:
        rows = [*reading(songs, Path(name) / "songs"), *whole(midi_dir, Path(name) / "all")]
    print_table(["", "measured"], [*rows, *seen_before()])


def reading(songs: Path, output: Path) -> Rows:
    """Full songs in one process that is warm."""
    rates = []
    for _ in range(4):
        start = time.perf_counter()
        files = extract_store(songs, output, engine=LocalEngine(0), overwrite=True).files
        rates.append(files / (time.perf_counter() - start))
    yield "reading", f"{min(rates[1:]):,.0f} to {max(rates[1:]):,.0f} songs a second, one process"


def whole(midi_dir: Path, output: Path) -> Rows:
    """What the machine that asks spends on a file, and what lies on its disk."""
    spool: list[int] = []

    def look(progress: Progress) -> None:
        if progress.stage == "writing" and not spool:
            tasks = output.with_name(f"{output.name}.unfinished").glob("spool/task-*")
            spool.append(sum(path.stat().st_size for path in tasks))

    extract_store(midi_dir, output, engine=LocalEngine(2))
    start = time.process_time()
    summary = extract_store(midi_dir, output, engine=LocalEngine(2), overwrite=True, callback=look)
    spent = time.process_time() - start
    windows = summary.melodies + summary.dropped_windows[Drop.DUPLICATE]
    store = sum(path.stat().st_size for path in output.glob("part-*"))
    yield "ledger, tunes and parts", f"{spent / summary.files * 1e6:.0f} microseconds a file"
    yield "windows", f"{windows / summary.files:.1f} a file"
    yield "spool", f"{spool[0] / summary.files:,.0f} bytes a file"
    yield "store", f"{store / summary.melodies:.0f} bytes a melody"


def seen_before() -> Rows:
    """Ray Data on random keys."""
    generator = np.random.default_rng(0)
    engine = RayEngine()
    batches = [
        generator.integers(1, 2**40, (KEYS_PER_BATCH, 2)).astype(np.uint64) for _ in range(BATCHES)
    ]
    list(engine.first_seen(batches[:1]))
    start = time.perf_counter()
    list(engine.first_seen(batches))
    seconds = time.perf_counter() - start
    yield "duplicates, with Ray Data", f"{BATCHES * KEYS_PER_BATCH:,} keys in {seconds:.0f} s"


if __name__ == "__main__":
    main()
