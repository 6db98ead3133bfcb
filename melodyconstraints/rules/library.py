"""The rules that come with the toolkit, one function a rule, each with its formula and source.

Below, m is a melody, |m| its number of notes.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.rules.definition import Rule
from melodyconstraints.rules.scales import Scale


def pitch_class_rule(name: str, allowed: Collection[int], key: str | None = None) -> Rule:
    """Share of notes whose pitch class is allowed: sum over p in m of 1(p in P) / |m|.

    The paper, equation 4. Silence satisfies nothing: a melody without notes earns 0.

    Args:
        allowed: pitch classes in [0, 11], at least one.

    Raises:
        UsageError: none, or something else.
    """
    if not allowed or not set(allowed) <= set(range(12)):
        raise UsageError(f"pitch classes must be some of 0 to 11, got {sorted(allowed)}")
    lookup = np.isin(np.arange(12), list(allowed))

    def share_allowed(melodies: Melodies) -> NDArray[np.float64]:
        hits = (lookup[melodies.pitch_classes] & melodies.onsets).sum(axis=1)
        return hits / np.maximum(melodies.note_counts, 1)

    description = "share of notes in {" + ", ".join(map(str, sorted(allowed))) + "}"
    return Rule(name, share_allowed, True, description, pitch_classes=frozenset(allowed), key=key)


def scale_rule(name: str, scale: Scale) -> Rule:
    """Share of notes in a scale; see :func:`pitch_class_rule`."""
    return pitch_class_rule(name, scale.pitch_classes, scale.key)


def density_rule(name: str, notes: int) -> Rule:
    """At least so many notes: min(1, |m| / d). The paper, equation 4.

    Args:
        notes: d in [0, 256]; 0 is always satisfied.

    Raises:
        UsageError: a number that no melody of 256 steps can have.
    """
    if not 0 <= notes <= 256:
        raise UsageError(f"density must be from 0 to 256 notes in 16 bars, got {notes}")

    def share_of_density(melodies: Melodies) -> NDArray[np.float64]:
        if notes == 0:
            return np.ones(len(melodies))
        return np.minimum(melodies.note_counts / notes, 1.0)

    return Rule(name, share_of_density, True, f"at least {notes} notes in 16 bars")
