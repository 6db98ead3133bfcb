"""Hashes of melodies: what tells two of them apart among millions.

MurmurHash3 (Austin Appleby, public domain), the variant of 128 bits for 64-bit machines with seed
0: the ``hash`` column of a store is what ``mmh3.hash_bytes(events, 0, True)`` gives.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import PITCHES, Events
from melodyconstraints.melody.jit import jit

Hashes = NDArray[np.uint64]
"""``(B, 2)``: the halves of 128 bits."""

_C1, _C2 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)
_N1, _N2 = np.uint64(0x52DCE729), np.uint64(0x38495AB5)
_F1, _F2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_FIVE, _SHIFT = np.uint64(5), np.uint64(33)


def exact_hashes(events: Events) -> Hashes:
    """``(B, 2)`` hashes of ``(B, 256)`` events: equal for equal melodies."""
    return murmur3(np.ascontiguousarray(events).view("<u8"))


def transposed_hashes(events: Events) -> Hashes:
    """``(B, 2)`` hashes that are equal for melodies that differ by transposition alone."""
    return exact_hashes(_from_first_note(events).view(np.uint8))


@jit
def mixed(value: np.uint64) -> np.uint64:
    """64 bits, thoroughly stirred: MurmurHash3's last step, a bijection."""
    value ^= value >> _SHIFT
    value *= _F1
    value ^= value >> _SHIFT
    value *= _F2
    return value ^ (value >> _SHIFT)


@jit
def murmur3(words: NDArray[np.uint64]) -> Hashes:
    """Hash rows of words.

    Args:
        words: ``(B, W)``, an even number of 64-bit words a row, little-endian.

    Returns:
        ``(B, 2)``.
    """
    hashes = np.empty((len(words), 2), np.uint64)
    length = np.uint64(8 * words.shape[1])
    for row in range(len(words)):
        one, two = np.uint64(0), np.uint64(0)
        for block in range(0, words.shape[1], 2):
            one ^= _turned(words[row, block] * _C1, 31) * _C2
            one = (_turned(one, 27) + two) * _FIVE + _N1
            two ^= _turned(words[row, block + 1] * _C2, 33) * _C1
            two = (_turned(two, 31) + one) * _FIVE + _N2
        one, two = one ^ length, two ^ length
        one += two
        two += one
        one, two = mixed(one), mixed(two)
        one += two
        two += one
        hashes[row, 0], hashes[row, 1] = one, two
    return hashes


@jit
def _turned(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@jit
def _from_first_note(events: Events) -> NDArray[np.int16]:
    """Notes as distances from the melody's first, which are below all other events."""
    relative = events.astype(np.int16)
    for row in range(len(events)):
        first = PITCHES
        for step in range(events.shape[1]):
            if events[row, step] < PITCHES:
                first = events[row, step] if first == PITCHES else first
                relative[row, step] = np.int16(events[row, step]) - first
    return relative


KEYS: dict[str, Callable[[Events], Hashes]] = {
    "exact": exact_hashes,
    "transposed": transposed_hashes,
    "none": lambda events: np.zeros((len(events), 0), np.uint64),
}
"""The choices of what makes two melodies one, and the hashes that tell."""


def check_unique(unique: str) -> str:
    """The choice itself.

    Raises:
        UsageError: it is not in :data:`KEYS`.
    """
    if unique not in KEYS:
        raise UsageError(f"unique must be one of {', '.join(KEYS)}, got {unique!r}")
    return unique


class HashSet:
    """A set of 128-bit hashes in 32 to 64 bytes each."""

    def __init__(self) -> None:
        self._table = np.zeros((2**16, 2), np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Take up hashes.

        Args:
            hashes: ``(B, 2)``, or ``(B, 0)`` where every melody is its own.

        Returns:
            ``(B,)`` which of them were not there before; of equal ones among them, the first.
        """
        if not hashes.shape[1]:
            return np.ones(len(hashes), bool)
        while 2 * (self._count + len(hashes)) > len(self._table):
            full = self._table[self._table.any(axis=1)]
            self._table = np.zeros((2 * len(self._table), 2), np.uint64)
            _insert(self._table, full)
        fresh = _insert(self._table, hashes)
        self._count += int(fresh.sum())
        return fresh


@jit
def _insert(table: Hashes, hashes: Hashes) -> NDArray[np.bool_]:
    """Open addressing; a row of zeros is free, so the hash of zeros is taken for one beside it."""
    fresh = np.zeros(len(hashes), np.bool_)
    last = np.uint64(len(table) - 1)
    for row in range(len(hashes)):
        one, two = hashes[row, 0], hashes[row, 1]
        if one == 0 and two == 0:
            two = np.uint64(1)
        place = one & last
        while table[place, 0] != one or table[place, 1] != two:
            if table[place, 0] == 0 and table[place, 1] == 0:
                table[place, 0], table[place, 1] = one, two
                fresh[row] = True
                break
            place = (place + np.uint64(1)) & last
    return fresh
