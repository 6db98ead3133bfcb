"""Agreement of two melodies."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.events import PITCHES, Melodies, Melody
from melodyconstraints.melody.metrics.statistics import pitch_class_histogram


@dataclass(frozen=True)
class Agreement:
    """Agreement of two melodies, as shares in [0, 1].

    Args:
        events: share of the 256 events that are the same.
        onset_f1: F1 of notes with pitch and step the same; see :func:`onset_f1`.
        pitch_classes: common part of the shares of the twelve pitch classes among the notes, sum
            of min(p, q): in another octave or rhythm it is 1, in a far key near 0.
    """

    events: float
    onset_f1: float
    pitch_classes: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers by name."""
        return asdict(self)


def agreement(one: Melody, other: Melody) -> Agreement:
    """Compare two melodies; their order does not matter.

    >>> tune = Melody.from_notes([(0, 4, 60), (4, 4, 62)])
    >>> agreement(tune, Melody.from_notes([(0, 4, 60), (4, 4, 74)])).as_dict()
    {'events': 0.99609375, 'onset_f1': 0.5, 'pitch_classes': 1.0}
    """
    p, q = pitch_class_histogram(Melodies.stack([one, other]))
    silent = not len(one) and not len(other)
    return Agreement(
        events=float((one.events == other.events).mean()),
        onset_f1=onset_f1(one.events[None], other.events[None]),
        pitch_classes=1.0 if silent else float(np.minimum(p, q).sum()),
    )


def onset_f1(predicted: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """F1 of notes whose pitch and step both agree, over a batch; 1.0 if neither has a note.

    >>> onset_f1(np.array([[60, 128, 62, 129]]), np.array([[60, 128, 64, 65]]))
    0.4
    """
    notes = int((predicted < PITCHES).sum()) + int((true < PITCHES).sum())
    return 2 * _hits(predicted, true) / notes if notes else 1.0


def onset_recall(predicted: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Share of the true notes whose pitch and step are found; 1.0 if there is none.

    >>> onset_recall(np.array([[60, 128, 62, 129]]), np.array([[60, 128, 64, 129]]))
    0.5
    """
    notes = int((true < PITCHES).sum())
    return _hits(predicted, true) / notes if notes else 1.0


def _hits(predicted: NDArray[np.uint8], true: NDArray[np.uint8]) -> int:
    return int(((predicted == true) & (true < PITCHES)).sum())
