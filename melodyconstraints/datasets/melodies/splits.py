"""Splits by tune: files that share music are in the same split.

A tune occurs in several collections, in several keys, as a full score and as its melody alone.
Splitting by file would put one copy into training and another into validation. So files are
grouped into tunes: two files that share a varied sequence of 16 intervals are one tune, and so are
all files connected in this way. Intervals do not change with the key. A sequence is varied if it
has six different pitches and five different intervals: this leaves out repeated notes, trills and
broken chords, which occur in unrelated music.

Each sequence is hashed to 64 bits. The hashes go to disk, in partitions that are sorted one at a
time, so that only one number per file has to fit into memory.
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
from melodyconstraints.melody.notes import HASH_BASE, MIN_INTERVALS, MIN_PITCHES
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR

SEQUENCE = 16
"""Number of intervals in a sequence."""
SPLITS = ("train", "validation", "test")
VALIDATION_SHARE = 0.05
TEST_SHARE = 0.05

_PARTITION_BITS = 6
"""Leading bits of a hash that name its partition: each holds a 64th of the pairs."""
_PAIRS_IN_MEMORY = 2**18
"""Pairs of hash and file that are collected before they are written: 3 MB."""
_PAIR = np.dtype([("hash", "<u8"), ("file", "<u4")])
_BASE = np.uint64(HASH_BASE)
_LAST_POWER = np.uint64(pow(int(_BASE), SEQUENCE - 1, 2**64))
"""Factor of a sequence's oldest interval in the rolling hash."""
_INTERVALS = 2 * PITCHES
"""Number of intervals between two pitches, shifted to be 0 or above."""


@jit
def covered_pitches(events: Events, causes: Ints) -> Ints:
    """Pitches of a voice's notes that sound in at least one window that passed the filters.

    Args:
        events: ``(16 * bars,)`` events of the voice.
        causes: ``(bars - 15,)`` cause for which each window is dropped, :data:`KEPT` for none.

    Returns:
        ``(N,)`` pitches in the order of the notes, each note once.
    """
    pitches = np.empty(len(events) + 1, np.int64)
    entering = first_events(events)
    count = covered_until = 0
    for bar in range(len(entering)):
        if bar < len(causes) and causes[bar] == KEPT:
            # A window that begins inside a held note begins with that note.
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
    """Hash all sequences of 16 intervals of a line of pitches.

    The hash of intervals i_1 to i_16 is the polynomial sum of i_k * BASE ** (16 - k) modulo
    2**64, updated note by note, and then mixed.

    Args:
        pitches: ``(N,)`` in [0, 127].

    Returns:
        The hashes, and whether each sequence is varied, both ``(max(N - 16, 0),)``.
    """
    count = max(len(pitches) - SEQUENCE, 0)
    hashes, varied = np.empty(count, np.uint64), np.zeros(count, np.bool_)
    pitch_counts, interval_counts = np.zeros(PITCHES, np.int64), np.zeros(_INTERVALS, np.int64)
    different_pitches = different_intervals = 0
    rolling = np.uint64(0)
    for note, pitch in enumerate(pitches):
        different_pitches += pitch_counts[pitch] == 0
        pitch_counts[pitch] += 1
        if note == 0:
            continue
        # The oldest interval and pitch leave the sequence.
        if note > SEQUENCE:
            oldest = pitches[note - SEQUENCE] - pitches[note - SEQUENCE - 1] + PITCHES
            rolling -= np.uint64(oldest) * _LAST_POWER
            interval_counts[oldest] -= 1
            different_intervals -= interval_counts[oldest] == 0
            oldest_pitch = pitches[note - SEQUENCE - 1]
            pitch_counts[oldest_pitch] -= 1
            different_pitches -= pitch_counts[oldest_pitch] == 0
        # The interval to this note enters it.
        interval = pitch - pitches[note - 1] + PITCHES
        rolling = rolling * _BASE + np.uint64(interval)
        different_intervals += interval_counts[interval] == 0
        interval_counts[interval] += 1
        if note >= SEQUENCE:
            hashes[note - SEQUENCE] = mixed(rolling)
            varied[note - SEQUENCE] = (
                different_pitches >= MIN_PITCHES and different_intervals >= MIN_INTERVALS
            )
    return hashes, varied


class SharedSequences:
    """The varied sequences of all files, on disk; files that share one are grouped into tunes.

    Args:
        folder: temporary folder of the partitions; emptied by :meth:`close`.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._paths = [folder / f"{number:02d}" for number in range(2**_PARTITION_BITS)]
        self._stack = ExitStack()
        self._files = [self._stack.enter_context(path.open("wb")) for path in self._paths]
        self._waiting: list[tuple[NDArray[np.uint64], NDArray[np.uint32]]] = []
        self._count = 0

    def add(self, hashes: NDArray[np.uint64], files: Ints) -> None:
        """Add hashes of sequences.

        Args:
            hashes: ``(S,)`` hashes of varied sequences.
            files: ``(S,)`` number of the file that each sequence belongs to.
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

    def find_tunes(self, files: int) -> Ints:
        """Group the files into tunes.

        Args:
            files: number of all files.

        Returns:
            ``(files,)`` int64: the lowest number of a file of the same tune.
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
        """Remove the partitions from disk."""
        self._stack.close()
        for path in self._paths:
            path.unlink(missing_ok=True)


@jit
def _partition(
    hashes: NDArray[np.uint64], files: NDArray[np.uint32], pairs: NDArray[np.void], bits: int
) -> Ints:
    """Fill ``pairs`` partition by partition, by the hash's leading bits.

    Returns:
        ``(2**bits + 1,)`` bounds of the partitions in ``pairs``.
    """
    shift = np.uint64(64 - bits)
    bounds = np.zeros(2**bits + 1, np.int64)
    for number in hashes:
        bounds[(number >> shift) + np.uint64(1)] += 1
    bounds = np.cumsum(bounds)
    next_row = bounds.copy()
    for row in range(len(hashes)):
        partition = hashes[row] >> shift
        pairs["hash"][next_row[partition]] = hashes[row]
        pairs["file"][next_row[partition]] = files[row]
        next_row[partition] += 1
    return bounds


@jit
def _join(parents: Ints, hashes: NDArray[np.uint64], files: NDArray[np.uint32]) -> None:
    """Join the files that share a hash, by union-find; ``hashes`` are sorted."""
    for pair in range(1, len(hashes)):
        if hashes[pair] == hashes[pair - 1]:
            one, two = _root(parents, files[pair - 1]), _root(parents, files[pair])
            parents[max(one, two)] = min(one, two)


@jit
def _root(parents: Ints, file: int) -> int:
    """The lowest file of a file's group; halves the path to it on the way."""
    while parents[file] != file:
        parents[file] = parents[parents[file]]
        file = parents[file]
    return file


@jit
def _roots(parents: Ints) -> Ints:
    return np.array([_root(parents, file) for file in range(len(parents))], np.int64)


def splits_of(digests: NDArray[np.uint64], tunes: Ints) -> NDArray[np.int8]:
    """Assign a split to each file, the same to all files of a tune.

    One file represents its tune: the one whose mixed digest is lowest, so that the choice does not
    depend on the size of the digest itself. Its digest, as a share of 2**64, decides: test below
    5%, validation below 10%, else train.

    Args:
        digests: ``(files,)`` the first 64 bits of the SHA-256 of each file.
        tunes: ``(files,)`` result of :meth:`SharedSequences.find_tunes`.

    Returns:
        ``(files,)`` indices into :data:`SPLITS`.
    """
    order = np.lexsort((_mix_all(digests), tunes))
    first = np.append(True, tunes[order][1:] != tunes[order][:-1])
    representative = np.empty(len(tunes), np.int64)
    representative[tunes[order][first]] = order[first]
    share = digests[representative[tunes]].astype(np.float64) / 2.0**64
    return np.select(
        [share < TEST_SHARE, share < TEST_SHARE + VALIDATION_SHARE],
        [SPLITS.index("test"), SPLITS.index("validation")],
        SPLITS.index("train"),
    ).astype(np.int8)


@jit
def _mix_all(digests: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return np.array([mixed(digest) for digest in digests], np.uint64)
