"""Rules on repetition: of bars, rhythms and motifs; and on novelty against a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.notes import HASH_BASE, Ints, Notes, Numbers
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR
from melodyconstraints.rules.arguments import parse_whole, with_share
from melodyconstraints.rules.building_blocks import range_rule
from melodyconstraints.rules.definition import Rule
from melodyconstraints.storage.text import shown

NOVEL_INTERVALS = 4
"""Intervals of the shortest borrowed run, where none are given."""
_MOST_INTERVALS = 64


def bars_alike_rule(name: str, argument: str) -> Rule:
    """Bars K apart have the same notes, or a share of them.

    x = 2 same / all, over all pairs of bars b and b + K: Dice's (1945) coefficient of their
    notes, which are the same where they start at the same place with the same pitch, whatever
    their length. x / LOW below the range, (1 - x) / (1 - HIGH) above it; K in [1, 15].
    """
    return _alike_rule(name, argument, "notes", lambda left, right: left == right)


def rhythm_alike_rule(name: str, argument: str) -> Rule:
    """Bars K apart have the same rhythm, or a share of it.

    As bars-alike, but notes are the same where they start at the same place. Dice (1945).
    """
    return _alike_rule(name, argument, "onsets", lambda left, right: right >= 0)


def _alike_rule(
    name: str, argument: str, what: str, same: Callable[..., NDArray[np.bool_]]
) -> Rule:
    text, bounds = with_share(argument)
    apart = STEPS_PER_BAR * parse_whole(text, 1, BARS - 1, "a distance in bars")

    def dice(melodies: Melodies) -> Numbers:
        left, right = melodies.pitches[:, :-apart], melodies.pitches[:, apart:]
        hits = ((left >= 0) & same(left, right)).sum(axis=1)
        return 2 * hits / np.maximum((left >= 0).sum(axis=1) + (right >= 0).sum(axis=1), 1)

    return range_rule(name, f"share of {what} that bars {text} apart have in common", bounds, dice)


def motif_rule(name: str, argument: str) -> Rule:
    """A motif at least TIMES times, at any pitch.

    Intervals in semitones, each with a sign (_ for any) and, if its rhythm counts, /LENGTH from
    onset to onset in sixteenths: +2+2-4 or +2/2+2/2-4/4 or _/3_/3_/2, then ,TIMES. Mean over the
    TIMES best places of the share of the motif's intervals that are right there; places may
    overlap. RL Tuner (Jaques et al. 2017) rewards motifs that are repeated.
    """
    text, _, count = argument.partition(",")
    times = parse_whole(count, 1, 255, "how often a motif comes")
    motif = _parse_motif(text)
    size = len(motif)

    def reward(melodies: Melodies) -> Numbers:
        notes = melodies.notes
        whole = notes.has_next(size)
        right = sum(_is_right(notes, place, part) for place, part in enumerate(motif))
        places = notes.rows[: len(whole)] * (size + 1) + np.asarray(right)[: len(whole)]
        counts = np.bincount(places[whole], minlength=len(melodies) * (size + 1))
        best_first = counts.reshape(-1, size + 1)[:, ::-1].cumsum(axis=1).clip(max=times)
        taken = np.diff(best_first, axis=1, prepend=0)
        return (taken * np.arange(size, -1, -1)).sum(axis=1) / (times * size)

    return Rule(name, reward, batched=True, description=f"motif {text} at least {times} times")


_Part = tuple[int | None, int | None]
"""An interval in semitones and steps from onset to onset; None for any."""


def _parse_motif(text: str) -> list[_Part]:
    one = r"([+-][0-9]{1,3}|_)(?:/([0-9]{1,3}))?"
    if not re.fullmatch(f"(?:{one}){{1,{_MOST_INTERVALS}}}", text):
        raise UsageError(
            "a motif is written +2+2-4,TIMES, with lengths in sixteenths +2/2+2/2-4/4,TIMES, "
            f"got {shown(text)}"
        )
    return [
        (None if interval == "_" else int(interval), int(length) if length else None)
        for interval, length in re.findall(one, text)
    ]


def _is_right(notes: Notes, place: int, part: _Part) -> Ints:
    """``(M,)`` 1 where the interval ``place`` notes further on is right."""
    right = np.zeros(len(notes.rows), np.int64)
    wanted = np.ones(max(len(notes.rows) - 1 - place, 0), np.bool_)
    for values, value in zip((notes.intervals, notes.gaps), part, strict=True):
        if value is not None:
            wanted &= values[place:] == value
    right[: len(wanted)] = wanted
    return right


def novelty_rule(name: str, argument: str) -> Rule:
    """Nothing borrowed from a MIDI file's melodies.

    Share of the melody's runs of N intervals with their rhythm (onset to onset) that no part of
    the file has, at any pitch; N is 4 where it is not given, in [1, 64]. So 1 where no run of
    N + 1 notes is shared, and where there are too few notes for one. The file's parts are read as
    by ``mc extract-melodies``: the highest notes in 4/4 and 2/2, without drums. A limit of what
    is copied, as the maximum order of Papadopoulos et al. (2014), "Avoiding Plagiarism in Markov
    Sequence Generation".
    """
    path, comma, last = argument.rpartition(",")
    if not comma or not last.isdecimal():
        path, last = argument, str(NOVEL_INTERVALS)
    size = parse_whole(last, 1, _MOST_INTERVALS, "a number of intervals")
    known = np.unique(np.concatenate([_runs(notes, size)[0] for notes in _parts(Path(path))]))

    def reward(melodies: Melodies) -> Numbers:
        notes = melodies.notes
        codes, rows = _runs(notes, size)
        ranks = np.searchsorted(known, codes).clip(max=max(len(known) - 1, 0))
        borrowed = known[ranks] == codes if len(known) else np.zeros(len(codes))
        runs = notes.total(np.ones(len(rows)), rows)
        share = 1 - notes.total(borrowed, rows) / np.maximum(runs, 1)
        return np.where(melodies.note_counts > 0, share, 0.0)

    what = f"no run of {size} intervals comes from {path}"
    spec = f"novelty:{Path(path).resolve()},{size}"
    return Rule(name, reward, batched=True, description=what, spec=spec)


def _parts(path: Path) -> list[Notes]:
    """Notes of every part of a file but drums, in each stretch of one metre."""
    from melodyconstraints.melody.midi.scores import read_score

    try:
        score = read_score(path)
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from error
    voices = [
        score.part_events(part, segment)
        for part in score.parts
        if not part.is_drum
        for segment in score.timeline(part).segments
    ]
    parts = [_as_notes(events) for events in voices if len(events)]
    if not any(len(notes.rows) for notes in parts):
        raise MidiError(f"{path} holds no notes in bars of 4/4 or 2/2 to be compared with")
    return parts


def _as_notes(events: NDArray[np.uint8]) -> Notes:
    onsets = np.flatnonzero(events < 128)
    row = np.zeros(len(onsets), np.int64)
    return Notes(1, row, onsets, events[onsets].astype(np.int64), row)


def _runs(notes: Notes, size: int) -> tuple[NDArray[np.uint64], Ints]:
    """Codes of all runs of ``size`` intervals with their gaps, and the melody of each.

    A polynomial modulo 2^64: two runs that differ have one code in about 2^64 cases.
    """
    whole = notes.has_next(size)
    symbols = ((notes.intervals + 128) * 4096 + notes.gaps.clip(0, 4095)).view(np.uint64)
    codes = np.zeros(len(whole), np.uint64)
    for place in range(size):
        codes = codes * np.uint64(HASH_BASE) + symbols[place : place + len(whole)]
    return codes[whole], notes.rows[: len(whole)][whole]
