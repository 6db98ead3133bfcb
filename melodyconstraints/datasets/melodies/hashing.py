"""Hashes of melodies, by which duplicates are found among millions.

MurmurHash3 (Austin Appleby, public domain, https://github.com/aappleby/smhasher), the variant of
128 bits for 64-bit machines with seed 0: the ``hash`` column of a store equals
``mmh3.hash_bytes(events, 0, True)``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.events import PITCHES, Events
from melodyconstraints.melody.jit import jit
from melodyconstraints.storage.arguments import check_choice

Hashes = NDArray[np.uint64]
"""``(B, 2)`` 64-bit halves of 128-bit hashes; ``(B, 0)`` where every melody counts as new."""

_C1, _C2 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)
_N1, _N2 = np.uint64(0x52DCE729), np.uint64(0x38495AB5)
_F1, _F2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_FIVE, _SHIFT = np.uint64(5), np.uint64(33)
"""MurmurHash3's own constants, named as in its reference code where it has names."""
_FIRST_SLOTS = 2**12
"""Slots of an empty hash set: 64 kilobytes; doubled as it fills."""


def exact_hashes(events: Events) -> Hashes:
    """Hash ``(B, 256)`` events: ``(B, 2)``, equal for equal melodies."""
    return murmur3(np.ascontiguousarray(events).view("<u8"))


def transposed_hashes(events: Events) -> Hashes:
    """Hash ``(B, 256)`` events: ``(B, 2)``, equal also for a melody and its transpositions."""
    return exact_hashes(_relative_to_first_note(events).view(np.uint8))


@jit
def mixed(value: np.uint64) -> np.uint64:
    """MurmurHash3's finaliser of 64 bits (``fmix64``), a bijection."""
    value ^= value >> _SHIFT
    value *= _F1
    value ^= value >> _SHIFT
    value *= _F2
    return value ^ (value >> _SHIFT)


@jit
def murmur3(words: NDArray[np.uint64]) -> Hashes:
    """Hash each row of words with MurmurHash3.

    Args:
        words: ``(B, W)``, an even number of 64-bit words a row, little-endian.

    Returns:
        ``(B, 2)`` halves of the hashes.
    """
    hashes = np.empty((len(words), 2), np.uint64)
    length = np.uint64(8 * words.shape[1])
    for row in range(len(words)):
        one, two = np.uint64(0), np.uint64(0)
        # Body: blocks of two words.
        for block in range(0, words.shape[1], 2):
            one ^= _rotate_left(words[row, block] * _C1, 31) * _C2
            one = (_rotate_left(one, 27) + two) * _FIVE + _N1
            two ^= _rotate_left(words[row, block + 1] * _C2, 33) * _C1
            two = (_rotate_left(two, 31) + one) * _FIVE + _N2
        # Finaliser.
        one, two = one ^ length, two ^ length
        one += two
        two += one
        one, two = mixed(one), mixed(two)
        one += two
        two += one
        hashes[row, 0], hashes[row, 1] = one, two
    return hashes


@jit
def _rotate_left(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@jit
def _relative_to_first_note(events: Events) -> NDArray[np.int16]:
    """Events with each pitch replaced by its distance from the melody's first pitch.

    Distances are below 128, so that none equals a hold or a rest.
    """
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
"""Hash function of each choice of which melodies count as equal: equal hashes, equal melodies."""


def check_unique(unique: str) -> str:
    """Return ``unique`` if it is one of :data:`KEYS`.

    Raises:
        UsageError: it is not in :data:`KEYS`.
    """
    check_choice("unique", unique, KEYS)
    return unique


class HashSet:
    """A set of 128-bit hashes that takes 32 to 64 bytes for each, by open addressing."""

    def __init__(self) -> None:
        self._table = np.zeros((_FIRST_SLOTS, 2), np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Add hashes.

        Args:
            hashes: ``(B, 2)``, or ``(B, 0)`` where every melody counts as new.

        Returns:
            ``(B,)`` which of them are new; of equal ones among them, only the first.
        """
        if not hashes.shape[1]:
            return np.ones(len(hashes), bool)
        while 2 * (self._count + len(hashes)) > len(self._table):
            present = self._table[self._table.any(axis=1)]
            self._table = np.zeros((2 * len(self._table), 2), np.uint64)
            _insert(self._table, present)
        is_new = _insert(self._table, hashes)
        self._count += int(is_new.sum())
        return is_new


@jit
def _insert(table: Hashes, hashes: Hashes) -> NDArray[np.bool_]:
    """Insert hashes into a table, and return which of them were not in it.

    A row of zeros is a free slot, so the hash of zeros is stored as (0, 1).
    """
    is_new = np.zeros(len(hashes), np.bool_)
    last = np.uint64(len(table) - 1)
    for row in range(len(hashes)):
        one, two = hashes[row, 0], hashes[row, 1]
        if one == 0 and two == 0:
            two = np.uint64(1)
        slot = one & last
        while table[slot, 0] != one or table[slot, 1] != two:
            if table[slot, 0] == 0 and table[slot, 1] == 0:
                table[slot, 0], table[slot, 1] = one, two
                is_new[row] = True
                break
            slot = (slot + np.uint64(1)) & last
    return is_new
