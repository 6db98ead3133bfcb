"""Rules on pitches and on the intervals between them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.statistics import pitch_range
from melodyconstraints.melody.notes import Ints, Mask, Notes, Numbers
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR
from melodyconstraints.rules.arguments import (
    Range,
    german_hint,
    parse_note_name,
    parse_number,
    parse_pitch,
    parse_range,
    parse_shares,
    parse_whole,
)
from melodyconstraints.rules.building_blocks import range_rule, share_rule
from melodyconstraints.rules.definition import Rule
from melodyconstraints.storage.text import shown

STEP = 2
"""Semitones of the largest step; wider intervals, from a minor third on, are leaps."""
REACH = 24
"""Semitones from a wanted pitch to those whose reward is 0."""
CORRELATION = 0.7
"""Least correlation of a satisfied contour with its shape: half of the variance."""

_BAR_CENTRES = (np.arange(BARS) + 0.5) / BARS
SHAPES = {
    "arch": np.sin(np.pi * _BAR_CENTRES),
    "valley": -np.sin(np.pi * _BAR_CENTRES),
    "rising": _BAR_CENTRES,
    "falling": -_BAR_CENTRES,
    "wave": np.sin(2 * np.pi * _BAR_CENTRES),
}
"""``(16,)`` heights of the bars, of any unit."""


def compass_rule(name: str, argument: str) -> Rule:
    """All notes within a range of pitches.

    Share of notes from LOW to HIGH, MIDI pitches 0 to 127. The "note range" of a DAW.
    """
    bounds = parse_range(argument, parse_pitch, 0, 127, "a range of pitches")
    return share_rule(
        name,
        f"all notes from {bounds.low:g} to {bounds.high:g}",
        lambda notes: (notes.pitches >= bounds.low) & (notes.pitches <= bounds.high),
    )


def tessitura_rule(name: str, argument: str) -> Rule:
    """Mean pitch in a range, each note weighted by its length.

    1 within LOW..HIGH, else max(0, 1 - semitones outside / 24). The place of a part on
    the whole; the mean, since every note changes it. jSymbolic's Primary Register (McKay and
    Fujinaga 2006), but weighted by length.
    """
    wanted = parse_range(argument, parse_pitch, 0, 127, "a range of pitches")
    bounds = Range(wanted.low, wanted.high, wanted.low - REACH, wanted.high + REACH)

    def mean_pitch(melodies: Melodies) -> Numbers:
        notes = melodies.notes
        sounding = notes.total(notes.durations)
        return notes.total(notes.durations * notes.pitches) / np.maximum(sounding, 1)

    return range_rule(name, "mean pitch", bounds, mean_pitch)


def rise_rule(name: str, argument: str) -> Rule:
    """Semitones that the second half of the melody lies above the first, in a range.

    1 within LOW..HIGH, else max(0, 1 - semitones outside / 24). x = mean pitch of the notes that
    start in bars 9 to 16 minus that of bars 1 to 8, weighted by length: below 0 where the melody
    falls. Where only one half has notes, x is 0.
    """
    wanted = parse_range(argument, parse_number, -127, 127, "semitones")
    bounds = Range(wanted.low, wanted.high, wanted.low - REACH, wanted.high + REACH)

    def rise(melodies: Melodies) -> Numbers:
        notes = melodies.notes
        late = notes.onsets >= STEPS // 2
        halves = [notes.durations * late, notes.durations * ~late]
        sounding = [notes.total(lengths) for lengths in halves]
        after, before = (
            notes.total(lengths * notes.pitches) / np.maximum(whole, 1)
            for lengths, whole in zip(halves, sounding, strict=True)
        )
        return np.where(np.minimum(*sounding) > 0, after - before, 0.0)

    return range_rule(name, "semitones that the second half lies above the first", bounds, rise)


def ambitus_rule(name: str, argument: str) -> Rule:
    """Semitones from the lowest to the highest note, in a range.

    x = muspy.pitch_range in [0, 127]; x / LOW below the range, (127 - x) / (127 - HIGH) above it.
    MusPy is Dong et al. (2020); in jSymbolic this is Range (McKay and Fujinaga 2006).
    """
    bounds = parse_range(argument, _semitones, 0, 127, "semitones")
    return range_rule(name, "semitones from lowest to highest note", bounds, pitch_range)


def first_note_rule(name: str, argument: str) -> Rule:
    """The first note, a pitch class (C, F#) or a pitch (C4, 60).

    See final-note. Beginning on the tonic is a rule of RL Tuner too (Jaques et al. 2017).
    """
    return _note_rule(name, argument, "first", slice(None, None, -1))


def final_note_rule(name: str, argument: str) -> Rule:
    """The last note, a pitch class (C, F#) or a pitch (C4, 60).

    1 - d / 6 for a pitch class, d semitones in [0, 6] from it on the circle of twelve; for a
    pitch max(0, 1 - d / 24). Several with commas between: the nearest counts. Ending on the tonic
    is a rule of RL Tuner (Jaques et al. 2017, "Sequence Tutor", ICML).
    """
    return _note_rule(name, argument, "final", slice(None))


def _note_rule(name: str, argument: str, which: str, order: slice) -> Rule:
    try:
        nearness = np.max([_nearness(part.strip()) for part in argument.split(",")], axis=0)
    except UsageError as error:
        close = "; for the tonic of a scale there is cadence:D-dorian" if which == "final" else ""
        raise UsageError(f"{error}{close}") from error

    def reward(melodies: Melodies) -> Numbers:
        notes, rewards = melodies.notes, np.zeros(len(melodies))
        rewards[notes.rows[order]] = nearness[notes.pitches[order]]  # the last one written stays
        return rewards

    return Rule(name, reward, batched=True, description=f"{which} note {argument}")


def _nearness(note: str) -> Numbers:
    """``(128,)`` reward of every pitch."""
    pitches, pitch_class = np.arange(128), parse_note_name(note)
    if pitch_class is None:
        try:
            pitch = parse_pitch(note)
        except UsageError as error:
            raise UsageError(
                "a note is a name such as C, F# or C4, or a MIDI number 0-127, got "
                f"{shown(note)}{german_hint(note, lambda name: parse_note_name(name) is not None)}"
            ) from error
        return np.maximum(0, 1 - np.abs(pitches - pitch) / REACH)
    up = (pitches - pitch_class) % 12
    return 1 - np.minimum(up, 12 - up) / 6


def steps_rule(name: str, argument: str) -> Rule:
    """Share of melodic intervals that are steps: one or two semitones.

    x = steps / intervals; x / LOW below the range, (1 - x) / (1 - HIGH) above it. The usual
    division of melodic motion: unison, step (a second), leap (a third and more). jSymbolic's
    Stepwise Motion (McKay and Fujinaga 2006, "jSymbolic: A Feature Extractor for MIDI Files").
    """
    return _motion_rule(name, argument, "steps", lambda size: (size >= 1) & (size <= STEP))


def leaps_rule(name: str, argument: str) -> Rule:
    """Share of melodic intervals that are leaps: a minor third or more.

    x = leaps / intervals; x / LOW below the range, (1 - x) / (1 - HIGH) above it. RL Tuner
    (Jaques et al. 2017), after Gauldin, rewards a mixture of steps and leaps with more steps.
    """
    return _motion_rule(name, argument, "leaps", lambda size: size > STEP)


def _motion_rule(name: str, argument: str, what: str, is_one: Callable[[Ints], Mask]) -> Rule:
    def share(melodies: Melodies) -> Numbers:
        notes = melodies.notes
        moves = notes.has_next(1)
        rows = notes.rows[:-1]
        counted = notes.total(moves & is_one(np.abs(notes.intervals)), rows)
        return counted / np.maximum(notes.total(moves, rows), 1)

    return range_rule(name, f"share of {what}", parse_shares(argument), share)


def max_leap_rule(name: str, argument: str) -> Rule:
    """No melodic interval of more than N semitones.

    Share of intervals of at most N, in [0, 127]; a single note has none and satisfies the rule.
    RL Tuner (Jaques et al. 2017) avoids leaps of more than an octave.
    """
    widest = _semitones(argument)

    def reward(melodies: Melodies) -> Numbers:
        notes = melodies.notes
        wide = notes.total((np.abs(notes.intervals) > widest) & notes.has_next(1), notes.rows[:-1])
        narrow = 1 - wide / np.maximum(melodies.note_counts - 1, 1)
        return np.where(melodies.note_counts > 0, narrow, 0.0)

    return Rule(name, reward, batched=True, description=f"no interval above {widest} semitones")


def leaps_resolved_rule(name: str, argument: str) -> Rule:
    """Every leap of more than N semitones turns back by a step.

    Share of such leaps that are followed by a step (1 or 2 semitones) in the opposite direction;
    1 where there is no such leap. RL Tuner (Jaques et al. 2017) rewards resolved leaps, after
    Gauldin, "A Practical Approach to Eighteenth-Century Counterpoint".
    """
    widest = _semitones(argument)

    def reward(melodies: Melodies) -> Numbers:
        notes = melodies.notes
        leaps = (np.abs(notes.intervals) > widest) & notes.has_next(1)
        back = -np.sign(notes.intervals[:-1]) * notes.intervals[1:]
        resolved = leaps[:-1] & (back >= 1) & (back <= STEP) & notes.has_next(2)
        count = notes.total(leaps, notes.rows[:-1])
        share = notes.total(resolved, notes.rows[:-2]) / np.maximum(count, 1)
        return np.where(count > 0, share, melodies.note_counts > 0)

    what = f"leaps above {widest} semitones are followed by a step back"
    return Rule(name, reward, batched=True, description=what)


def max_repeats_rule(name: str, argument: str) -> Rule:
    """No pitch more than N times in a row.

    Share of notes that are not the (N + 1)th or later of a row of equal pitches, rests between
    them or not; N in [1, 256]. RL Tuner (Jaques et al. 2017) forbids excessive repetition.
    """
    most = parse_whole(argument, 1, 256, "a number of notes")

    def fits(notes: Notes) -> Mask:
        places = np.arange(len(notes.rows))
        starts = places.copy()
        starts[1:][notes.has_next(1) & (notes.intervals == 0)] = 0
        return places - np.maximum.accumulate(starts) < most

    return share_rule(name, f"no pitch more than {most} times in a row", fits)


def contour_rule(name: str, argument: str) -> Rule:
    """The shape of the melody: arch, valley, rising, falling or wave.

    min(1, (1 + r) / 1.7), so satisfied where r is at least 0.7: r in [-1, 1] is the correlation
    of the bars' mean pitches, weighted by length, with sin(pi t), -sin(pi t), t, -t or
    sin(2 pi t), t from 0 to 1 through the 16 bars. Bars in which no note starts do not count; r
    is 0 where nothing moves. The classes of Huron, "The Melodic Arch in Western Folksongs" (1996).
    """
    if argument not in SHAPES:
        raise UsageError(f"a contour is one of {', '.join(SHAPES)}, got {shown(argument)}")
    shape = SHAPES[argument]

    def correlation(melodies: Melodies) -> Numbers:
        heights, sounding = _bar_heights(melodies)
        return masked_correlation(heights, np.broadcast_to(shape, heights.shape), sounding)

    return range_rule(
        name, f"correlation with {argument}", Range(CORRELATION, 1, -1, 1), correlation
    )


def _bar_heights(melodies: Melodies) -> tuple[Numbers, Mask]:
    """``(B, 16)`` mean pitch of each bar by length, and whether a note starts in it."""
    notes = melodies.notes
    bars = notes.rows * BARS + notes.onsets // STEPS_PER_BAR
    size = len(melodies) * BARS
    lengths = np.bincount(bars, notes.durations, size).reshape(-1, BARS)
    heights = np.bincount(bars, notes.durations * notes.pitches, size).reshape(-1, BARS)
    return heights / np.maximum(lengths, 1), lengths > 0


def masked_correlation(left: Numbers, right: Numbers, mask: Mask) -> Numbers:
    """``(B,)`` Pearson correlation of rows where the mask is true; 0 where either is constant."""
    counts = np.maximum(mask.sum(axis=1, keepdims=True), 1)
    x, y = (
        np.where(mask, side - (side * mask).sum(axis=1, keepdims=True) / counts, 0)
        for side in (left, right)
    )
    scale = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return np.where(scale > 1e-9, (x * y).sum(axis=1) / np.maximum(scale, 1e-9), 0)


def _semitones(text: str) -> int:
    return parse_whole(text, 0, 127, "semitones")
