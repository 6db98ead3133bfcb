"""Bars as a DAW counts them: from 1 at tick 0, through every change of metre.

A change begins a new bar, wherever it falls; the bar that it cuts short counts as one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

Signature = tuple[int, int]
FOUR_FOUR: Signature = (4, 4)
FOUR_QUARTER_BARS = frozenset({FOUR_FOUR, (2, 2)})
"""Metres whose bars last four quarters."""


def signatures_by_tick(signatures: Iterable[tuple[int, int, int]]) -> dict[int, Signature]:
    """What holds from which tick on, in order; a file that does not begin with one is in 4/4.

    Args:
        signatures: (tick, numerator, denominator), any order; the last of several at one tick
            holds.

    >>> signatures_by_tick([(960, 3, 4), (960, 2, 2)])
    {0: (4, 4), 960: (2, 2)}
    """
    changes = {0: FOUR_FOUR}
    changes.update((tick, (above, below)) for tick, above, below in signatures)
    return dict(sorted(changes.items()))


class _Stretch(NamedTuple):
    start_tick: int
    first_bar: int
    signature: Signature


@dataclass(frozen=True)
class Metre:
    """Numbers of bars, and the signatures that they stand under.

    Args:
        changes: as :func:`signatures_by_tick` gives them.

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
        """Those of the first ``bars`` bars, each once, in order of appearance."""
        return list(dict.fromkeys(s.signature for s in self._stretches if s.first_bar <= bars))

    @cached_property
    def _stretches(self) -> list[_Stretch]:
        start = next(iter(self.changes))
        found = [_Stretch(start, 1, self.changes[start])]
        for (start, signature), (end, following) in pairwise(self.changes.items()):
            bars = -self._bars(start - end, signature)  # rounded up
            found.append(_Stretch(end, found[-1].first_bar + bars, following))
        return found

    def _find(self, value: int, key: str) -> _Stretch:
        place = bisect_right(self._stretches, value, key=lambda stretch: getattr(stretch, key))
        return self._stretches[place - 1]

    def _bars(self, ticks: int, signature: Signature) -> int:
        """Whole bars in so many ticks, rounded down; a signature that makes no sense is 4/4."""
        above, below = signature if min(signature) > 0 else FOUR_FOUR
        return ticks * below // (4 * self.ticks_per_quarter * above)
