"""Edits of a melody without a model: into a scale or a key, with bars kept, repeated or restored.

>>> from melodyconstraints.melody.events import Melody
>>> tune = Melody.from_notes([(0, 4, 67), (4, 4, 66), (8, 8, 67)])
>>> key_of(tune), in_key(tune, "A-minor").pitches.tolist()
('G-major', [69, 67, 69])
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from melodyconstraints.melody.events import HOLD, PITCHES, REST, Melodies, Melody, canonical_events
from melodyconstraints.melody.keys import spell
from melodyconstraints.melody.metrics.modes import MODES
from melodyconstraints.melody.rhythm import NO_NOTE, NOTE, signs_of_rhythm
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR, STEPS_PER_QUARTER
from melodyconstraints.melody.vae.staff.notation import Staff, to_staff
from melodyconstraints.melody.vae.staff.reading import write_in_scale
from melodyconstraints.rules import Rule
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.storage.arguments import checked
from melodyconstraints.storage.text import counted
from melodyconstraints.workflows.knobs import pitch_classes_of

_NAMES = {"ionian": "major", "aeolian": "minor"}
"""Common names of two of the modes."""


def in_scale(melody: Melody, pitch_classes: Collection[int] | None) -> Melody:
    """The melody with every note at the nearest pitch of a set, the lower of two as near.

    >>> tune = Melody.from_notes([(0, 4, 61), (4, 4, 64)])
    >>> in_scale(tune, {0, 4, 7}).pitches.tolist()
    [60, 64]
    """
    if not pitch_classes:
        return melody
    every = np.arange(PITCHES)
    allowed = every[np.isin(every % 12, list(pitch_classes))]
    nearest = allowed[np.abs(allowed[:, None] - every).argmin(0)]
    events = melody.events.copy()
    notes = events < PITCHES
    events[notes] = nearest[events[notes]]
    return Melody(events)


def in_rhythm(melody: Melody, rhythm: str) -> Melody:
    """The melody with notes where a rhythm has them; as it is for an empty one.

    A note has the pitch that sounds there, or where none does the next one's. Where a note must
    not start the one before it is held on, as is one in a silence.

    Args:
        rhythm: signs; see :mod:`melodyconstraints.melody.rhythm`.

    >>> tune = Melody.from_notes([(0, 4, 60), (4, 2, 62), (6, 2, 64), (12, 4, 65)])
    >>> moved = in_rhythm(tune, "x..x..x.x_______")
    >>> list(zip(moved.onsets.tolist(), moved.pitches.tolist()))[:5]
    [(0, 60), (3, 60), (6, 64), (8, 65), (12, 65)]
    """
    if not rhythm or not len(melody):
        return melody
    events, signs, steps = melody.events, signs_of_rhythm(rhythm), np.arange(STEPS)
    starts = melody.onsets
    last = starts[np.searchsorted(starts, steps, side="right").clip(1) - 1]
    following = starts[np.searchsorted(starts, steps).clip(max=len(starts) - 1)]
    silent = canonical_events(events[None])[0] == REST
    pitches = events[np.where(silent, following, last)]
    changed = np.where((signs == NO_NOTE) & (events < PITCHES), HOLD, events)
    last_sign = np.maximum.accumulate(np.where(signs == NOTE, steps, 0))
    changed = np.where(silent & silent[last_sign] & (signs[last_sign] == NOTE), HOLD, changed)
    changed = np.where(signs == NOTE, pitches, changed)
    return Melody(changed.astype(events.dtype))


@checked
def in_key(melody: Melody, scale: str | Collection[int]) -> Melody:
    """The melody moved into a key: its tonic becomes the key's, each degree that of the scale.

    Rhythm and repeats stay. The tonic moves by six semitones at most; a note beside the melody's
    own scale goes up to the next note of the new one; a scale of other than seven notes has the
    nearest of its notes for each degree.

    Args:
        scale: name such as ``D-dorian``, or pitch classes, the tonic first.

    Raises:
        UsageError: no such scale.
    """
    staff = to_staff(melody.events[None])
    return Melody(write_in_scale(staff, pitch_classes_of(scale))[0])


@checked
def key_of(melody: Melody) -> str:
    """The key that :func:`in_key` takes a melody to be in, such as ``G-major`` or ``D-dorian``.

    Its signature is that of the major scale that the notes fit best, its tonic the degree that
    they dwell and end on.
    """
    staff = to_staff(melody.events[None])
    tonic, mode = _tonic_and_mode(staff)
    return f"{tonic}-{_NAMES.get(mode, mode)}"


def _tonic_and_mode(staff: Staff) -> tuple[str, str]:
    """Name of the first melody's tonic, and of its mode."""
    key, degree = int(staff.keys[0]), int(staff.modes[0])
    sharps = (7 * key + 5) % 12 - 5
    name = spell(60 + key + MODES["ionian"][degree], sharps)
    return name.step + {-1: "b", 0: "", 1: "#"}[name.alter], list(MODES)[degree]


def keep(original: Melody, melodies: Melodies, bars: Collection[int]) -> Melodies:
    """``B`` melodies with bars, from 1 to 16, of the original in their places.

    A note of the original that sounds into such a bar begins with it; one that ends with it is
    not held on into the next.
    """
    events = melodies.events.copy()
    for bar in sorted(bars):
        first = (bar - 1) * STEPS_PER_BAR
        own = original.events[first : first + STEPS_PER_BAR].copy()
        if own[0] == HOLD and bar - 1 not in bars:
            earlier = original.events[:first]
            own[0] = earlier[np.flatnonzero(earlier < PITCHES)[-1]]
        after = first + STEPS_PER_BAR
        events[:, first:after] = own
        if bar < BARS and original.events[after] != HOLD:
            following = events[:, after]
            following[following == HOLD] = REST  # and with it the holds after it
    return Melodies(events)


def outside_notes(
    melody: Melody, bars: Collection[int], pitch_classes: Collection[int] | None
) -> int:
    """Notes in some bars, from 1 to 16, that are not in a set; 0 without one."""
    if pitch_classes is None:
        return 0
    inside = np.isin(melody.pitch_classes, list(pitch_classes))
    return int((np.isin(melody.onsets // STEPS_PER_BAR + 1, list(bars)) & ~inside).sum())


def outside_text(melody: Melody, bars: Collection[int], rule: Rule) -> str:
    """Text on notes in kept bars, from 1 to 16, outside a rule's set; empty without any."""
    outside = outside_notes(melody, bars, rule.pitch_classes)
    notes = f"{counted(outside, 'note', 'notes')} outside the set of {rule.name}"
    hold = "which stays, holds" if len(bars) == 1 else "which stay, hold"
    return f"{_bars_text(bars)}, {hold} {notes}" if outside else ""


def _bars_text(bars: Collection[int]) -> str:
    """Bars as text.

    >>> _bars_text({1, 2, 3, 9}), _bars_text({4})
    ('bars 1-3,9', 'bar 4')
    """
    spans: list[list[int]] = []
    for bar in sorted(bars):
        if spans and bar == spans[-1][-1] + 1:
            spans[-1][1:] = [bar]
        else:
            spans.append([bar])
    return ("bar " if len(bars) == 1 else "bars ") + ",".join(
        "-".join(map(str, span)) for span in spans
    )


def repeats_of(melody: Melody) -> list[int]:
    """Number, from 0, of the first bar that equals each bar.

    >>> repeats_of(Melody.from_notes([(0, 16, 60), (32, 16, 60)]))[:4]
    [0, 1, 0, 1]
    """
    bars = melody.bars
    return [int((bars == bar).all(1).argmax()) for bar in bars]


def with_repeats(
    melodies: Melodies, repeats: Sequence[int], bars: Collection[int] = ()
) -> Melodies:
    """``B`` melodies of which each bar is the one that it repeats, but for some, from 1 to 16."""
    sources = [bar if bar + 1 in bars else source for bar, source in enumerate(repeats)]
    chosen = melodies.bars[:, sources]
    return Melodies(canonical_events(chosen.reshape(len(chosen), BARS * STEPS_PER_BAR)))


def restore(
    original: Melody,
    changed: Melody,
    rules: Sequence[Rule],
    repeats: Sequence[int] = range(BARS),
) -> Melody:
    """A changed melody with every bar, beat and step of the original that the rules allow.

    Bars are tried first, then beats, then steps, each from the first to the last; what makes a
    reward smaller is not taken.

    Args:
        repeats: number, from 0, of the first bar that goes with each bar.
    """
    events = changed.bars.copy()
    rewards = rewards_of(rules, Melodies.stack([changed]))[0]
    together = [np.flatnonzero(np.array(repeats) == bar) for bar in range(BARS)]
    for size in (STEPS_PER_BAR, STEPS_PER_QUARTER, 1):
        for bars in filter(len, together):
            for first in range(0, STEPS_PER_BAR, size):
                place = np.ix_(bars, np.arange(first, first + size))
                if np.array_equal(events[place], original.bars[place]):
                    continue
                tried = events.copy()
                tried[place] = original.bars[place]
                rewards_tried = rewards_of(rules, Melodies(tried.reshape(1, -1)))[0]
                if (rewards_tried >= rewards).all():
                    events, rewards = tried, rewards_tried
    return Melody(events.flatten())
