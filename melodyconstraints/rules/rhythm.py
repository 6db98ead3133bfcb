"""Rules on when notes start and how long they last."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import REST, Melodies
from melodyconstraints.melody.metrics.statistics import groove_consistency
from melodyconstraints.melody.notes import Mask, Notes, Numbers
from melodyconstraints.melody.rhythm import EITHER, NOTE, signs_of_rhythm
from melodyconstraints.melody.units import STEPS, STEPS_PER_BAR, STEPS_PER_QUARTER
from melodyconstraints.rules.arguments import (
    Range,
    parse_length,
    parse_number,
    parse_range,
    parse_shares,
    parse_whole,
)
from melodyconstraints.rules.building_blocks import range_rule, share_rule
from melodyconstraints.rules.definition import Rule
from melodyconstraints.storage.text import shown


def density_rule(name: str, argument: str) -> Rule:
    """Number of notes in the 16 bars: at least, at most, between.

    min(1, notes / LOW), Engel et al. (2018), equation 4; above the range
    (256 - notes) / (256 - HIGH). Bounds in [0, 256]. Silence is satisfied where LOW is 0 or none.
    """
    bounds = parse_range(argument, _notes, 0, STEPS, "density")
    what = f"{bounds} notes in 16 bars"
    return Rule(name, lambda melodies: bounds.reward(melodies.note_counts), True, what)


def _notes(text: str) -> int:
    return parse_whole(text, 0, STEPS, "density")


def on_beat_rule(name: str, argument: str) -> Rule:
    """Share of notes that start on one of the four beats.

    x / LOW below the range, (1 - x) / (1 - HIGH) above it.
    """
    return _placed_rule(name, argument, "share of notes on the beat", on_beat)


def off_beat_rule(name: str, argument: str) -> Rule:
    """Share of notes that start between the beats.

    x / LOW below the range, (1 - x) / (1 - HIGH) above it.
    """
    return _placed_rule(name, argument, "share of notes off the beat", lambda n: ~on_beat(n))


def syncopation_rule(name: str, argument: str) -> Rule:
    """Share of notes that sound on through a stronger place of the bar than they start on.

    Bar line, half, quarter, eighth and sixteenth are ever weaker places. x / LOW below the range,
    (1 - x) / (1 - HIGH) above it. The syncopations of Longuet-Higgins and Lee (1984), counted
    without weights; a rest on the stronger place makes none.
    """
    return _placed_rule(name, argument, "share of syncopated notes", syncopated)


def on_beat(notes: Notes) -> Mask:
    """``(M,)`` mask of notes that start on a beat."""
    return notes.onsets % STEPS_PER_QUARTER == 0


def syncopated(notes: Notes) -> Mask:
    """``(M,)`` mask of notes that last beyond the next place stronger than their own.

    From a place whose step in the bar is an odd multiple of 2^w, that one is 2^w steps away.
    """
    places = notes.onsets % STEPS_PER_BAR
    return (places > 0) & (notes.durations > (places & -places))


def _placed_rule(name: str, argument: str, what: str, hits: Callable[[Notes], Mask]) -> Rule:
    bounds = parse_shares(argument)
    return range_rule(
        name, what, bounds, lambda melodies: melodies.notes.share(hits(melodies.notes))
    )


def max_length_rule(name: str, argument: str) -> Rule:
    """No note longer than LENGTH, in sixteenths or as 1/4, 3/8.

    Share of notes that last at most so long.
    """
    longest = parse_length(argument)
    what = f"no note longer than {longest} sixteenths"
    return share_rule(name, what, lambda notes: notes.durations <= longest)


def min_length_rule(name: str, argument: str) -> Rule:
    """No note shorter than LENGTH, in sixteenths or as 1/8.

    Share of notes that last at least so long.
    """
    shortest = parse_length(argument)
    what = f"no note shorter than {shortest} sixteenths"
    return share_rule(name, what, lambda notes: notes.durations >= shortest)


def mean_length_rule(name: str, argument: str) -> Rule:
    """Mean length of the notes in sixteenths, in a range.

    x = sounding sixteenths / notes; x / LOW below the range, max(0, 1 - (x - HIGH) / 16) above it.
    jSymbolic's Average Note Duration (McKay and Fujinaga 2006), there in seconds.
    """
    wanted = parse_range(argument, parse_number, 1, STEPS, "a mean length in sixteenths")
    bounds = Range(wanted.low, wanted.high, 0, wanted.high + STEPS_PER_BAR)

    def mean_length(melodies: Melodies) -> Numbers:
        notes = melodies.notes
        return notes.total(notes.durations) / np.maximum(melodies.note_counts, 1)

    return range_rule(name, "mean length of the notes in sixteenths", bounds, mean_length)


def long_ending_rule(name: str, argument: str) -> Rule:
    """The last note starts on a beat and lasts at least BEATS beats, 1 where no number is given.

    Mean of two: 1 - d / 2, d sixteenths in [0, 2] from its start to the nearest beat; and
    min(1, its length / BEATS). BEATS from 0.25 to 64, whole sixteenths. The rhythm of an ending;
    its pitch: final-note, cadence.
    """
    beats = parse_number(argument or "1")
    least = beats * STEPS_PER_QUARTER
    if not (1 <= least <= STEPS and least.is_integer()):
        raise UsageError(
            f"an ending lasts from 0.25 to {STEPS // STEPS_PER_QUARTER} beats in steps of 0.25, "
            f"got {shown(argument)}"
        )

    def reward(melodies: Melodies) -> Numbers:
        notes, endings = melodies.notes, np.zeros((2, len(melodies)))
        after_beat = notes.onsets % STEPS_PER_QUARTER
        off = np.minimum(after_beat, STEPS_PER_QUARTER - after_beat)
        endings[0, notes.rows] = 1 - off / (STEPS_PER_QUARTER / 2)  # the last one written stays
        endings[1, notes.rows] = np.minimum(1, notes.durations / least)
        return endings.mean(axis=0)

    unit = "beat" if beats == 1 else "beats"
    what = f"the last note starts on a beat and lasts at least {beats:g} {unit}"
    return Rule(name, reward, batched=True, description=what)


def rests_rule(name: str, argument: str) -> Rule:
    """Share of the 16 bars that is silent.

    x = silent sixteenths / 256; x / LOW below the range, (1 - x) / (1 - HIGH) above it. A rest
    is a silence between notes: the reward of silence alone is 0. jSymbolic's Complete Rests
    Fraction (McKay, Cumming and Fujinaga 2018, "jSymbolic 2.2").
    """
    return range_rule(
        name,
        "share of silence",
        parse_shares(argument),
        lambda melodies: (melodies.events == REST).mean(axis=1),
    )


def rhythm_rule(name: str, argument: str) -> Rule:
    """A pattern of onsets, repeated through the 16 bars.

    One sign a sixteenth: x a note starts, . none does, _ either; 4, 8, 16, 32, 64, 128 or 256 of
    them, with | and spaces between as you like. 2 hits / (notes wanted + notes played), both
    without the places of _: Dice's (1945) coefficient, 1 only where all agree.
    """
    signs = signs_of_rhythm(argument)
    wanted, counts = signs == NOTE, signs != EITHER

    def agreement(melodies: Melodies) -> Numbers:
        notes = melodies.notes
        hits, played = notes.total(wanted[notes.onsets]), notes.total(counts[notes.onsets])
        return 2 * hits / (wanted.sum() + played)

    return Rule(name, agreement, batched=True, description=f"rhythm {argument} throughout")


def groove_rule(name: str, argument: str) -> Rule:
    """Likeness of each bar's rhythm to the next one's.

    x = muspy.groove_consistency, the mean share of steps at which neighbouring bars agree on
    whether a note starts; x / LOW below the range, (1 - x) / (1 - HIGH) above it. MusPy (Dong et
    al. 2020), after Wu and Yang (2020), "The Jazz Transformer on the Front Line".
    """
    return range_rule(name, "groove consistency", parse_shares(argument), groove_consistency)
