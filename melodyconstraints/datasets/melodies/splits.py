"""Splits by tune: files that share music stand on the same side.

A tune comes in several collections, in several keys, as a score and as its melody alone. Splitting
by file would put one copy into training and the other into validation. So files are grouped: two
files that share a sequence of 16 intervals of some variety are one tune, and so are all that hang
together in this way. Intervals do not change with the key. Variety (six different pitches, five
different intervals) leaves out repeated notes, trills and broken chords, that everybody writes.

Each sequence is hashed to 64 bits; the hashes go to disk, in partitions that are sorted one at a
time, so the memory needed does not grow with the collection but for a number a file.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.hashing import mixed
from melodyconstraints.melody.events import HOLD, PITCHES, Events
from melodyconstraints.melody.jit import jit
from melodyconstraints.melody.midi.windows import KEPT, Ints, first_events
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR

SEQUENCE = 16
"""Intervals in a sequence."""
MIN_PITCHES, MIN_INTERVALS = 6, 5
"""What makes a sequence varied."""
SPLITS = ("train", "validation", "test")
VALIDATION_SHARE = 0.05
TEST_SHARE = 0.05

_PARTITION_BITS = 6
_PAIRS_IN_MEMORY = 2**18
_PAIR = np.dtype([("hash", "<u8"), ("file", "<u4")])
_BASE = np.uint64(0x9E3779B97F4A7C15)
_LAST_POWER = np.uint64(pow(int(_BASE), SEQUENCE - 1, 2**64))
_INTERVALS = 2 * PITCHES


@jit
def covered_pitches(events: Events, causes: Ints) -> Ints:
    """The notes that the kept windows of a voice hold, one after the other.

    Args:
        events: ``(16 * bars,)``.
        causes: ``(bars - 15,)`` of its windows, :data:`KEPT` for those that are taken.

    Returns:
        ``(N,)`` pitches.
    """
    pitches = np.empty(len(events) + 1, np.int64)
    entering = first_events(events)
    count = covered_until = 0
    for bar in range(len(entering)):
        if bar < len(causes) and causes[bar] == KEPT:
            if covered_until < bar and events[bar * STEPS_PER_BAR] == HOLD:
                pitches[count] = entering[bar]
                count += entering[bar] < PITCHES
            covered_until = bar + BARS
        if bar < covered_until:
            for event in events[bar * STEPS_PER_BAR : (bar + 1) * STEPS_PER_BAR]:
                pitches[count] = event
                count += event < PITCHES
    return pitches[:count]


@jit
def sequence_hashes(pitches: Ints) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """All sequences of 16 intervals of a line.

    Args:
        pitches: ``(N,)`` in [0, 127].

    Returns:
        hashes and whether each sequence is varied, both ``(max(N - 16, 0),)``.
    """
    count = max(len(pitches) - SEQUENCE, 0)
    hashes, varied = np.empty(count, np.uint64), np.zeros(count, np.bool_)
    pitch_counts, interval_counts = np.zeros(PITCHES, np.int64), np.zeros(_INTERVALS, np.int64)
    kinds_of_pitch = kinds_of_interval = 0
    rolling = np.uint64(0)
    for note, pitch in enumerate(pitches):
        kinds_of_pitch += pitch_counts[pitch] == 0
        pitch_counts[pitch] += 1
        if note == 0:
            continue
        if note > SEQUENCE:
            oldest = pitches[note - SEQUENCE] - pitches[note - SEQUENCE - 1] + PITCHES
            rolling -= np.uint64(oldest) * _LAST_POWER
            interval_counts[oldest] -= 1
            kinds_of_interval -= interval_counts[oldest] == 0
            gone = pitches[note - SEQUENCE - 1]
            pitch_counts[gone] -= 1
            kinds_of_pitch -= pitch_counts[gone] == 0
        interval = pitch - pitches[note - 1] + PITCHES
        rolling = rolling * _BASE + np.uint64(interval)
        kinds_of_interval += interval_counts[interval] == 0
        interval_counts[interval] += 1
        if note >= SEQUENCE:
            hashes[note - SEQUENCE] = mixed(rolling)
            varied[note - SEQUENCE] = (
                kinds_of_pitch >= MIN_PITCHES and kinds_of_interval >= MIN_INTERVALS
            )
    return hashes, varied


class SharedSequences:
    """Collects the hashes of each file's varied sequences; then says which files are one tune.

    Args:
        folder: where the partitions are kept; it is emptied by :meth:`close`.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._paths = [folder / f"{number:02d}" for number in range(2**_PARTITION_BITS)]
        self._stack = ExitStack()
        self._files = [self._stack.enter_context(path.open("wb")) for path in self._paths]
        self._waiting: list[tuple[NDArray[np.uint64], NDArray[np.uint32]]] = []
        self._count = 0

    def add(self, hashes: NDArray[np.uint64], files: Ints) -> None:
        """Note sequences.

        Args:
            hashes: ``(S,)``.
            files: ``(S,)`` number of the file that each belongs to.
        """
        self._waiting.append((hashes, files.astype(np.uint32)))
        self._count += len(hashes)
        if self._count >= _PAIRS_IN_MEMORY:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            hashes, files = (np.concatenate(column) for column in zip(*self._waiting, strict=True))
            pairs = np.empty(len(hashes), _PAIR)
            bounds = _partition(hashes, files, pairs, _PARTITION_BITS)
            for file, first, end in zip(self._files, bounds[:-1], bounds[1:], strict=True):
                file.write(pairs[first:end].data)
        self._waiting, self._count = [], 0

    def tunes(self, files: int) -> Ints:
        """The tune of each file.

        Args:
            files: how many there are.

        Returns:
            ``(files,)`` int64: the least number of a file of the same tune.
        """
        self._flush()
        tunes = np.arange(files)
        for path, file in zip(self._paths, self._files, strict=True):
            file.flush()
            pairs = np.fromfile(path, _PAIR)
            order = np.argsort(pairs["hash"])
            _join(tunes, pairs["hash"][order], pairs["file"][order])
        return _roots(tunes)

    def close(self) -> None:
        """Remove what is on disk."""
        self._stack.close()
        for path in self._paths:
            path.unlink(missing_ok=True)


@jit
def _partition(
    hashes: NDArray[np.uint64], files: NDArray[np.uint32], pairs: NDArray[np.void], bits: int
) -> Ints:
    """Fill ``pairs`` partition by partition, by the hash's first bits, and tell the bounds."""
    shift = np.uint64(64 - bits)
    bounds = np.zeros(2**bits + 1, np.int64)
    for number in hashes:
        bounds[(number >> shift) + np.uint64(1)] += 1
    bounds = np.cumsum(bounds)
    place = bounds.copy()
    for row in range(len(hashes)):
        partition = hashes[row] >> shift
        pairs[place[partition]].hash = hashes[row]
        pairs[place[partition]].file = files[row]
        place[partition] += 1
    return bounds


@jit
def _join(parents: Ints, hashes: NDArray[np.uint64], files: NDArray[np.uint32]) -> None:
    """Union-find over the files that share a hash; ``hashes`` are sorted."""
    for pair in range(1, len(hashes)):
        if hashes[pair] == hashes[pair - 1]:
            one, two = _root(parents, files[pair - 1]), _root(parents, files[pair])
            parents[max(one, two)] = min(one, two)


@jit
def _root(parents: Ints, file: int) -> int:
    while parents[file] != file:
        parents[file] = parents[parents[file]]
        file = parents[file]
    return file


@jit
def _roots(parents: Ints) -> Ints:
    return np.array([_root(parents, file) for file in range(len(parents))], np.int64)


def splits_of(digests: NDArray[np.uint64], tunes: Ints) -> NDArray[np.int8]:
    """The split of each file, as a number in :data:`SPLITS`; a tune's files share one.

    One file speaks for its tune: the one whose digest is least when stirred, so that being chosen
    says nothing of the digest itself. Its digest, as a share of 2**64, falls to test (the lowest
    5%), validation (the next 5%) or train.

    Args:
        digests: ``(files,)`` the first 64 bits of the SHA-256 of each file.
        tunes: ``(files,)`` from :meth:`SharedSequences.tunes`.
    """
    order = np.lexsort((_stirred(digests), tunes))
    first = np.append(True, tunes[order][1:] != tunes[order][:-1])
    speaker = np.empty(len(tunes), np.int64)
    speaker[tunes[order][first]] = order[first]
    share = digests[speaker[tunes]].astype(np.float64) / 2.0**64
    return np.select(
        [share < TEST_SHARE, share < TEST_SHARE + VALIDATION_SHARE],
        [SPLITS.index("test"), SPLITS.index("validation")],
        SPLITS.index("train"),
    ).astype(np.int8)


@jit
def _stirred(digests: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return np.array([mixed(digest) for digest in digests], np.uint64)
