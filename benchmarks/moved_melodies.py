"""Real melodies that are moved into C major, and what is left of them.

For ``constraints.py transform``.
"""

from __future__ import annotations

import time

import numpy as np

from melodyconstraints.melody.events import Events, Melodies
from melodyconstraints.rules import find_rules
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.transform import transform


def nearly_in_c_major(events: Events, count: int) -> Melodies:
    """Of 5,000 melodies, in any key, those of which 75% to 85% of the notes are in C major."""
    rng = np.random.default_rng(0)
    events = events[rng.permutation(len(events))[:5000]].astype(int)
    semitones = rng.integers(-6, 6, (len(events), 1))
    events = np.where(events < 128, np.clip(events + semitones, 0, 127), events)
    melodies = Melodies(events.astype(np.uint8))
    (rule,) = find_rules(["cmajor"])
    share = rule(melodies)
    return melodies[np.flatnonzero((share > 0.75) & (share < 0.85))[:count]]


def what_is_left(actor: MelodyActor, melodies: Melodies) -> list[str]:
    """What is left of the melodies, and the seconds for each."""
    inside = np.isin(np.arange(128) % 12, [0, 2, 4, 5, 7, 9, 11])
    kept, satisfied, notes, seconds = [], [], [], []
    for original in melodies:
        started = time.perf_counter()
        (found,) = transform(actor, original)
        seconds.append(time.perf_counter() - started)
        free = original.onsets[inside[original.pitches]]
        kept.append(float((found.melody.events[free] == original.events[free]).mean()))
        satisfied.append(found.satisfied)
        notes.append(len(found.melody) / len(original))
    full = np.array(kept)[satisfied]
    return [
        f"{np.mean(satisfied):.1%}",
        f"{full.mean():.3f}",
        f"{np.median(full):.3f}",
        f"{np.quantile(full, 0.1):.3f}",
        f"{np.mean(notes):.3f}",
        f"{np.median(seconds):.1f}",
        f"{max(seconds):.1f}",
    ]
