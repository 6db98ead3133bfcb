"""Bars as a DAW counts them: from 1 at tick 0, through every change of metre.

A change begins a new bar, wherever it falls; the bar that it cuts short counts as one. A change
that falls less than half a step off a bar line, as rounding may place it, is meant for that line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from melodyconstraints.melody.units import QUARTERS_PER_BAR, STEPS_PER_QUARTER

Signature = tuple[int, int]
FOUR_FOUR: Signature = (4, 4)
FOUR_QUARTER_BARS = frozenset({FOUR_FOUR, (2, 2)})
"""Metres whose bars last four quarters."""


def signatures_by_tick(signatures: Iterable[tuple[int, int, int]]) -> dict[int, Signature]:
    """Time signatures by the tick they hold from, in order; 4/4 if a file does not begin with one.

    Args:
        signatures: (tick, numerator, denominator), any order; the last of several at one tick
            holds.

    >>> signatures_by_tick([(960, 3, 4), (960, 2, 2)])
    {0: (4, 4), 960: (2, 2)}
    """
    changes = {0: FOUR_FOUR}
    changes.update((tick, (above, below)) for tick, above, below in signatures)
    return dict(sorted(changes.items()))


def on_bar_lines(changes: Mapping[int, Signature], ticks_per_quarter: int) -> dict[int, Signature]:
    """Changes of metre, each on the bar line from which it is less than half a step off.

    Nor is it ever more than an eighth of a bar off. Of several on one line the last holds.

    Args:
        changes: signatures by tick, as :func:`signatures_by_tick` gives them.

    >>> on_bar_lines({0: (4, 4), 1918: (3, 4), 3361: (4, 4)}, ticks_per_quarter=480)
    {0: (4, 4), 1920: (3, 4), 3360: (4, 4)}
    """
    placed: dict[int, Signature] = {}
    start, bar_ticks = 0, 0.0
    for tick, signature in changes.items():
        line = start + round(round((tick - start) / bar_ticks) * bar_ticks) if placed else tick
        near = min(ticks_per_quarter / (2 * STEPS_PER_QUARTER), bar_ticks / 8)
        start = line if abs(tick - line) < near else tick
        placed[start] = signature
        above, below = sensible(signature)
        bar_ticks = 4 * ticks_per_quarter * above / below
    return placed


def sensible(signature: Signature) -> Signature:
    """The signature itself; 4/4 for one that makes no sense."""
    return signature if min(signature) > 0 else FOUR_FOUR


class Segment(NamedTuple):
    """A stretch of 4/4 from ``start_tick`` to ``end_tick`` (exclusive), whole bars."""

    start_tick: int
    end_tick: int


def four_four_segments(
    changes: Mapping[int, Signature], end_tick: int, ticks_per_quarter: int
) -> tuple[Segment, ...]:
    """The stretches of 4/4 (or 2/2) between time-signature changes.

    A change from 4/4 to 2/2 or a signature that is merely repeated does not end a stretch when it
    falls on a bar line. A bar that a change cuts short is left out; the last bar of the music
    counts whole.

    Args:
        changes: signatures by tick, as :func:`signatures_by_tick` gives them.
        end_tick: tick at which the music ends.

    >>> four_four_segments({0: (4, 4), 3840: (3, 4), 5280: (2, 2)}, 9000, 480)
    (Segment(start_tick=0, end_tick=3840), Segment(start_tick=5280, end_tick=9120))
    """
    bar_ticks = QUARTERS_PER_BAR * ticks_per_quarter
    ticks = [*changes, end_tick]
    segments: list[Segment] = []
    for start, end in pairwise(ticks):
        if end <= start or changes[start] not in FOUR_QUARTER_BARS:
            continue
        previous = segments[-1] if segments else None
        if previous and previous.end_tick == start and _on_bar_line(start, previous, bar_ticks):
            segments[-1] = Segment(previous.start_tick, end)
        else:
            segments.append(Segment(start, end))
    return tuple(_whole_bars(segment, bar_ticks, end_tick) for segment in segments)


def _on_bar_line(tick: int, segment: Segment, bar_ticks: int) -> bool:
    return (tick - segment.start_tick) % bar_ticks == 0


def _whole_bars(segment: Segment, bar_ticks: int, end_tick: int) -> Segment:
    length = segment.end_tick - segment.start_tick
    cut = length % bar_ticks
    if cut and segment.end_tick == end_tick:
        return Segment(segment.start_tick, segment.end_tick - cut + bar_ticks)
    return Segment(segment.start_tick, segment.end_tick - cut)


class _Stretch(NamedTuple):
    start_tick: int
    first_bar: int
    signature: Signature


@dataclass(frozen=True)
class Metre:
    """Numbers of bars, and the signatures that they stand under.

    Args:
        changes: signatures by tick, as :func:`signatures_by_tick` gives them.

    >>> metre = Metre({0: (1, 4), 480: (4, 4)}, ticks_per_quarter=480)
    >>> [metre.bar_at(tick) for tick in (479, 480, 2399, 2400)], metre.signature_of(1)
    ([1, 2, 2, 3], (1, 4))
    """

    changes: dict[int, Signature]
    ticks_per_quarter: int

    def bar_at(self, tick: int) -> int:
        """The bar, from 1, in which a tick from 0 on lies."""
        stretch = self._find(tick, "start_tick")
        return stretch.first_bar + self._bars(tick - stretch.start_tick, stretch.signature)

    def signature_of(self, bar: int) -> Signature:
        """The signature of a bar from 1 on."""
        return self._find(bar, "first_bar").signature

    def signatures(self, bars: int) -> list[Signature]:
        """Signatures of the first ``bars`` bars, each once, in order of appearance."""
        return list(dict.fromkeys(s.signature for s in self._stretches if s.first_bar <= bars))

    @cached_property
    def _stretches(self) -> list[_Stretch]:
        start = next(iter(self.changes))
        stretches = [_Stretch(start, 1, self.changes[start])]
        for (start, signature), (end, following) in pairwise(self.changes.items()):
            bars = -self._bars(start - end, signature)  # rounded up
            stretches.append(_Stretch(end, stretches[-1].first_bar + bars, following))
        return stretches

    def _find(self, value: int, key: str) -> _Stretch:
        place = bisect_right(self._stretches, value, key=lambda stretch: getattr(stretch, key))
        return self._stretches[place - 1]

    def _bars(self, ticks: int, signature: Signature) -> int:
        """Whole bars in so many ticks, rounded down."""
        above, below = sensible(signature)
        return ticks * below // (4 * self.ticks_per_quarter * above)
