"""Examples of what melodies should be like, and of what not: some are learned from, some held out.

An actor names the examples that it was trained on by digests; all others are held out for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.matching import Matched
from melodyconstraints.melody.events import Events, Melodies
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.storage.arguments import DEFAULT_SEED
from melodyconstraints.storage.text import counted
from melodyconstraints.workflows.seeds import derived_generator

Examples = Melodies | Path | str
"""Melodies, or a folder of MIDI files."""

_ONE_IN = 5
"""One example in so many is held out."""
_FEWEST_SPLIT = 10
"""Fewest examples of a kind of which some are held out."""
_DIGEST_BYTES = 8
_ENCODED = "encoded examples"
"""Purpose of a seed."""


def read_examples(
    like: Examples | None, unlike: Examples | None, announce: Callable[[str], object] | None = None
) -> tuple[Melodies, Melodies]:
    """Examples of both kinds, read where they are folders.

    Args:
        announce: called with the reason why a file of a folder has no melody, and where all of
            one kind are of the other as well.

    Raises:
        UsageError: one kind is missing or empty, or both are the same melodies.
    """
    liked, unliked = (None if one is None else _read(one, announce) for one in (like, unlike))
    if not (liked and unliked):
        raise UsageError("give melodies of both kinds, like and unlike: a critic compares them")
    ours, theirs = digests(liked), digests(unliked)
    if ours == theirs:
        raise UsageError(
            f"like and unlike are the same {counted(len(ours), 'melody', 'melodies')}: nothing "
            "tells them apart; give other melodies of one kind"
        )
    if announce and (ours < theirs or theirs < ours):
        inner, outer = ("like", "unlike") if ours < theirs else ("unlike", "like")
        announce(f"all melodies of {inner} are among those of {outer} too: they are hard to tell")
    return liked, unliked


def read_liked(like: Examples, announce: Callable[[str], object] | None = None) -> Melodies:
    """Examples of one kind, read where they are a folder or a MIDI file.

    Args:
        announce: called with the reason why a file has no melody.

    Raises:
        UsageError: there is none.
    """
    melodies = _read(like, announce)
    if not melodies:
        raise UsageError("give at least one melody that others should be like")
    return melodies


def matched(model: MelodyVAE, like: Examples) -> Matched:
    """Module that takes points of a model's prior to points of melodies like the examples.

    Raises:
        UsageError: there is none.
    """
    points = encode(model, read_liked(like))
    return Matched(points.sample(derived_generator(_ENCODED, DEFAULT_SEED)))


def _read(examples: Examples, announce: Callable[[str], object] | None) -> Melodies:
    if isinstance(examples, Melodies):
        return examples
    from melodyconstraints.workflows.read_melodies import folder_melodies  # only folders need it

    return folder_melodies(examples, announce)


def learned_from(melodies: Melodies) -> Melodies:
    """Examples, of ``B``, that a training learns from; the same ones in any order.

    One in five, by its digest, is held out if there are ten or more.
    """
    if len(melodies) < _FEWEST_SPLIT:
        return melodies
    rows = [int(_digest(row), 16) % _ONE_IN != 0 for row in melodies.events]
    return _rows(melodies, np.array(rows)) if any(rows) else melodies


def held_out(melodies: Melodies, learned: Collection[str], kind: str) -> Melodies:
    """Examples, of ``B``, whose digests are not among those learned from.

    Raises:
        UsageError: fewer than two, so that nothing can be compared.
    """
    rows = np.array([_digest(row) not in learned for row in melodies.events])
    if rows.sum() < 2:
        raise UsageError(
            f"{rows.sum()} of {len(rows)} {kind} melodies were not used in the training; "
            f"two are needed: give other files, or train on {_FEWEST_SPLIT} or more of each kind, "
            f"of which one in {_ONE_IN} is held out"
        )
    return _rows(melodies, rows)


def digests(*melodies: Melodies) -> frozenset[str]:
    """Short hashes of melodies, in hexadecimal."""
    return frozenset(_digest(row) for batch in melodies for row in batch.events)


def _digest(events: Events) -> str:
    return hashlib.blake2b(events.tobytes(), digest_size=_DIGEST_BYTES).hexdigest()


def _rows(melodies: Melodies, rows: NDArray[np.bool_]) -> Melodies:
    return Melodies(melodies.events[rows])
