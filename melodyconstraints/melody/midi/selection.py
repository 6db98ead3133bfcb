"""A musician's MIDI file, and the 16 bars of it that are most likely its melody.

The track: one that is named like a melody and has some notes. Else one that holds a melody by the
extraction's filters (:class:`~.windows.WindowSettings`), and of several the most likely; see
:mod:`.melody_part`.

The bars: in all stretches of 4/4 or 2/2, from every bar on, 16 bars that pass the filters, then
that begin with sound, then with the fewest silent bars, then the earliest. So they begin with the
stretch or after a silent bar, where music begins, unless the filters are against it. A stretch of
up to 16 bars is taken whole and filled up with silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import numpy as np

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import REST, Melody
from melodyconstraints.melody.midi.melody_part import (
    MELODY_NAMES,
    has_chords,
    name_rank,
    unlikeness,
)
from melodyconstraints.melody.midi.metre import FOUR_QUARTER_BARS, Metre, Segment
from melodyconstraints.melody.midi.scores import Score, read_score
from melodyconstraints.melody.midi.windows import KEPT, WindowSettings, drop_causes, windows
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR, steps_to_ticks
from melodyconstraints.storage.arguments import checked

FEWEST_NOTES = 8
"""Fewest notes of 16 bars whose track's name counts: a lead that comes in once is no melody."""
_NEEDED = f"{BARS} bars of melody need 4/4 or 2/2"
_MOST_LISTED = 24


@dataclass(frozen=True)
class FoundMelody:
    """A melody of a MIDI file and where it was found.

    Args:
        melody: melody of 16 bars.
        first_bar, last_bar: first and last bar, as a DAW counts; fewer than 16 bars were filled up
            with silence.
        bars: number of bars in the file.
        name: name of the track; may be empty.
        number: number of the track, from 1, among those with notes.
        tracks: number of tracks with notes.
        chords: whether the track plays several notes at a time, of which the highest were taken.
        tempo: tempo of the first bar, in quarters a minute.
        program: General MIDI program of the first of the notes, from 0.
        off_grid: share of the onsets that rounding to sixteenths has moved by more than a 64th.
    """

    melody: Melody
    first_bar: int
    last_bar: int
    bars: int
    name: str
    number: int
    tracks: int
    chords: bool
    tempo: float
    program: int
    off_grid: float = 0.0

    @property
    def track(self) -> str:
        """Name or number of the track: ``Flute``, ``track 2``."""
        return self.name or f"track {self.number}"

    @property
    def place(self) -> str:
        """``bars 9-24 of track 'Flute' (of 3 tracks, 64 bars)``, and how it became 16 bars."""
        one = self.first_bar == self.last_bar
        taken = f"bar {self.first_bar}" if one else f"bars {self.first_bar}-{self.last_bar}"
        track = f"track '{self.name}'" if self.name else self.track
        text = f"{taken} of {track} (of {_of(self.tracks, 'track')}, {_of(self.bars, 'bar')})"
        if self.chords:
            text += ", the highest of its notes"
        if self.off_grid:
            text += f", {self.off_grid:.0%} of its onsets moved by more than a 64th"
        if self.last_bar - self.first_bar + 1 < BARS:
            text += f", filled up to {BARS} bars with silence"
        return text


@checked
def read_melody(
    path: Path | str,
    *,
    polyphony: str = "skyline",
    bar: int | None = None,
    track: str | int | None = None,
) -> FoundMelody:
    """The 16 bars of a MIDI file that are most likely its melody, as one voice; see this module.

    Args:
        polyphony: ``skyline`` or ``onset``; see :mod:`melodyconstraints.melody.quantising`.
        bar: first bar to take, counted from 1 as a DAW counts.
        track: track to take: its name or a part of it, in any case, or its number from 1 among
            the tracks with notes.

    Raises:
        MidiError: the file cannot be read, holds no notes but drums, is not in 4/4 or 2/2, or has
            no such track or bar.
        UsageError: a bar below 1, or an unknown ``polyphony``.
    """
    settings = WindowSettings(polyphony=polyphony)
    if bar is not None and bar < 1:
        raise UsageError(f"bar must be at least 1, got {bar}")
    try:
        score = read_score(Path(path))
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from error
    try:
        return _choose(score, settings, bar, track)
    except MidiError as error:
        raise MidiError(f"{path} {error}") from error


class _Stretch(NamedTuple):
    """A segment and its first and last bar, as a DAW counts them."""

    segment: Segment
    first_bar: int
    last_bar: int


class _Window(NamedTuple):
    """16 bars of a track; the lower the rank, the likelier they are the melody."""

    rank: tuple[float, ...]
    number: int
    melody: Melody
    start_tick: int
    first_bar: int
    last_bar: int
    off_grid: float


def _choose(
    score: Score, settings: WindowSettings, bar: int | None, track: str | int | None
) -> FoundMelody:
    numbers = _tracks(score, track)
    refusals, candidates = [], []
    for pattern in sorted({score.parts[number - 1].pattern for number in numbers}):
        try:
            stretches = _stretches(score, pattern, bar)
        except MidiError as error:
            refusals.append(error)
            continue
        candidates += [
            window
            for number in numbers
            if score.parts[number - 1].pattern == pattern
            for stretch in stretches
            if (window := _best_window(score, number, stretch, settings, bar))
        ]
    if not candidates:
        if refusals:
            raise refusals[0]
        where = "its bars of 4/4 or 2/2" if bar is None else f"{BARS} bars from bar {bar} on"
        which = "" if track is None else f" of track {_label(score, numbers[0])}"
        raise MidiError(f"holds no notes in {where}{which}")
    return _found_melody(score, min(candidates, key=lambda window: window.rank))


def _found_melody(score: Score, window: _Window) -> FoundMelody:
    part, start_tick = score.parts[window.number - 1], np.array([window.start_tick])
    timeline = score.timeline(part)
    return FoundMelody(
        melody=window.melody,
        first_bar=window.first_bar,
        last_bar=window.last_bar,
        bars=timeline.metre.bar_at(_last_tick(score, part.pattern)),
        name=part.name,
        number=window.number,
        tracks=len(score.parts),
        chords=has_chords(part, score.ticks_per_quarter),
        tempo=float(timeline.tempos_of_bars(start_tick)[0]),
        program=int(part.programs_from(start_tick)[0]),
        off_grid=window.off_grid,
    )


def _tracks(score: Score, track: str | int | None) -> list[int]:
    """Numbers of the tracks to choose from."""
    names = {number: part.name.casefold() for number, part in enumerate(score.parts, 1)}
    melodic = [number for number in names if not score.parts[number - 1].is_drum]
    if not melodic:
        raise MidiError("holds only drums" if names else "holds no notes")
    if track is None:
        return melodic
    wanted = normalize("NFC", str(track).strip()).casefold()
    named = [number for number in names if wanted == names[number]]
    if not named and wanted.isdecimal():
        named = [number for number in names if int(wanted) == number]
    elif not named:
        named = [number for number in names if wanted in names[number]]
    chosen = [number for number in named if number in melodic]
    if not chosen:
        wrong = "has no track '{}'" if not named else "has drums alone on track '{}'"
        labels = ", ".join(_label(score, number) for number in melodic[:_MOST_LISTED])
        more = ", ..." if len(melodic) > _MOST_LISTED else ""
        raise MidiError(f"{wrong.format(track)}; choose from {labels}{more}")
    return chosen


def _last_tick(score: Score, pattern: int) -> int:
    """A tick in the bar in which a pattern's last note ends, to the nearest step."""
    half_step = max(steps_to_ticks(1, score.ticks_per_quarter) // 2, 1)
    return max(
        int(max(part.ends_ticks.max() - half_step, part.starts_ticks.max() + half_step))
        for part in score.parts
        if part.pattern == pattern
    )


def _stretches(score: Score, pattern: int, bar: int | None) -> list[_Stretch]:
    """A pattern's stretches of 4/4 and 2/2, or the one in which a bar lies.

    Raises:
        MidiError: there is none, or they are short and most of the file is in another metre.
    """
    timeline, last_tick = score.timelines[pattern], _last_tick(score, pattern)
    metre, bars = timeline.metre, timeline.metre.bar_at(last_tick)
    stretches = []
    for segment in timeline.segments:
        if segment.end_tick == segment.start_tick:
            continue
        first = metre.bar_at(segment.start_tick)
        last = min(metre.bar_at(segment.end_tick - 1), bars)
        if first <= last and (bar is None or first <= bar <= last):
            stretches.append(_Stretch(segment, first, last))
    if bar is not None and not stretches:
        raise MidiError(_no_bar(metre, bars, bar))
    ticks = sum(one.segment.end_tick - one.segment.start_tick for one in stretches)
    if bar is None and 2 * ticks < last_tick and not any(map(_is_long, stretches)):
        others = [one for one in metre.signatures(bars) if one not in FOUR_QUARTER_BARS]
        names = ", ".join(f"{above}/{below}" for above, below in others)
        metres = f"in {names or 'bars cut short by changes of metre'}"
        raise MidiError(f"is {'mostly ' if stretches else ''}{metres}; {_NEEDED}")
    return stretches


def _is_long(stretch: _Stretch) -> bool:
    return stretch.last_bar - stretch.first_bar + 1 >= BARS


def _no_bar(metre: Metre, bars: int, bar: int) -> str:
    if bar > bars:
        return f"has no bar {bar}; its last is bar {bars}"
    above, below = signature = metre.signature_of(bar)
    if signature in FOUR_QUARTER_BARS:
        return f"has at bar {bar} one cut short by a change of metre; {_NEEDED}"
    return f"is in {above}/{below} at bar {bar}; {_NEEDED}"


def _best_window(
    score: Score, number: int, stretch: _Stretch, settings: WindowSettings, bar: int | None
) -> _Window | None:
    """The likeliest 16 bars of a track in a stretch; None where it has no note."""
    part = score.parts[number - 1]
    events = score.part_events(part, stretch.segment, settings.polyphony)
    filled = np.concatenate([events, np.full((BARS - 1) * STEPS_PER_BAR, REST, np.uint8)])
    fails = drop_causes(filled, settings)[0] != KEPT
    starts = np.arange(len(fails))
    if bar is not None:
        starts = starts[starts == bar - stretch.first_bar]
    elif stretch.last_bar - stretch.first_bar + 1 <= BARS:
        starts = starts[:1]
    if not len(starts):
        return None
    silent = (filled.reshape(-1, STEPS_PER_BAR) == REST).all(axis=1)
    counts = np.convolve(silent, np.ones(BARS, int), "valid")
    place = starts[np.lexsort((counts[starts], silent[starts], fails[starts]))[0]]
    melody = Melody(windows(filled, np.array([place]))[0])
    if not len(melody):
        return None
    first_bar = stretch.first_bar + int(place)
    moved = score.off_grid(part, stretch.segment, events)[int(place) * STEPS_PER_BAR :][:STEPS]
    name = name_rank(part) if len(melody) >= FEWEST_NOTES else len(MELODY_NAMES)
    of_track = name, fails[place], *unlikeness(part, score.ticks_per_quarter), number
    return _Window(
        rank=(*of_track, silent[place], counts[place], first_bar),
        number=number,
        melody=melody,
        start_tick=stretch.segment.start_tick + int(place) * score.bar_ticks,
        first_bar=first_bar,
        last_bar=min(first_bar + BARS - 1, stretch.last_bar),
        off_grid=float(moved.sum() / len(melody)),
    )


def _label(score: Score, number: int) -> str:
    """``2 'Flute'``; only the number where there is no name."""
    name = score.parts[number - 1].name
    return f"{number} '{name}'" if name else str(number)


def _of(number: int, what: str) -> str:
    """``1 bar``, ``2 bars``."""
    return f"{number} {what}{'' if number == 1 else 's'}"
