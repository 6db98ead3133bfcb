"""A MIDI file as read, whichever reader it was."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.midi.channels import Setting, Voice, as_instruments
from melodyconstraints.melody.midi.drum_kits import DrumKits
from melodyconstraints.melody.midi.graces import without_graces
from melodyconstraints.melody.midi.names import decode_name
from melodyconstraints.melody.units import credible_tempo

Ints = NDArray[np.int64]

MAX_TICK = 2**31 - 1
"""Last tick that is read: a track that goes on ends there."""
INDEPENDENT_TRACKS = 2
"""The format of files whose tracks are patterns, each with a tempo map of its own."""
_MICROSECONDS_PER_MINUTE = 60_000_000


class Part(NamedTuple):
    """The notes of one instrument in a track, in the order of their starts.

    A note lasts a tick at least.

    Attributes:
        program: General MIDI instrument, from 0, with which the first note starts.
        starts_ticks, ends_ticks: ``(N,)`` int64.
        pitches: ``(N,)`` int64 in [0, 127].
        program_changes: (tick, program) of later ones, in time.
        pattern: index of its :class:`TempoMap`.
    """

    name: str
    program: int
    is_drum: bool
    starts_ticks: Ints
    ends_ticks: Ints
    pitches: Ints
    program_changes: tuple[tuple[int, int], ...] = ()
    pattern: int = 0

    def programs_from(self, ticks: Ints) -> Ints:
        """The programs with which the first notes from each of ``(W,)`` ticks on start."""
        if not self.program_changes:
            return np.full(len(ticks), self.program)
        first = np.searchsorted(self.starts_ticks, ticks).clip(max=len(self.starts_ticks) - 1)
        changes = [tick for tick, _ in self.program_changes]
        programs = np.array([self.program, *(program for _, program in self.program_changes)])
        return programs[np.searchsorted(changes, self.starts_ticks[first], "right")]


class TempoMap(NamedTuple):
    """The tempos and time signatures of a file, or of one track of a file of format 2.

    Attributes:
        tempos: (tick, quarters a minute) in time; the last of several at one tick holds.
        signatures: (tick, numerator, denominator), likewise.
    """

    tempos: tuple[tuple[int, float], ...]
    signatures: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class ParsedMidi:
    """A file, before its notes are taken for music in bars.

    Attributes:
        tempo_maps: tempo maps: one, or for a file of format 2 one for each track.
        parts: parts with notes.
    """

    ticks_per_quarter: int
    tempo_maps: tuple[TempoMap, ...]
    parts: tuple[Part, ...]


@dataclass
class Events:
    """Contents of a file, track by track and in time, before they are sorted out.

    Attributes:
        names: bytes of the last name of each track that has one.
        tempos: (track, tick, microseconds a quarter).
        signatures: (track, tick, numerator, denominator).
        exclusives: (tick, bytes from the maker's on) of system exclusive events; long ones may be
            missing.
        settings: program changes by track and channel.
        notes: ``(N,)`` start ticks, end ticks and pitches by track and channel, ``N`` at least 1.
    """

    names: dict[int, bytes] = field(default_factory=dict)
    tempos: list[tuple[int, int, int]] = field(default_factory=list)
    signatures: list[tuple[int, int, int, int]] = field(default_factory=list)
    exclusives: list[tuple[int, bytes]] = field(default_factory=list)
    settings: defaultdict[tuple[int, int], list[Setting]] = field(
        default_factory=lambda: defaultdict(list)
    )
    notes: dict[tuple[int, int], tuple[Ints, Ints, Ints]] = field(default_factory=dict)

    def parsed(self, data: bytes, ticks_per_quarter: int) -> ParsedMidi:
        """The parts and tempo maps of the file, whose bytes are ``data``."""
        is_independent = int.from_bytes(data[8:10], "big") == INDEPENDENT_TRACKS
        parts = []
        for track, is_drum, settings, notes in self._voices(ticks_per_quarter, is_independent):
            starts, ends, pitches = without_graces(*notes, ticks_per_quarter)
            begun = _number_begun(settings, starts)
            part = Part(
                name=decode_name(self.names.get(track, b"")),
                program=settings[begun - 1].program if begun else 0,
                is_drum=is_drum,
                starts_ticks=starts,
                ends_ticks=ends,
                pitches=pitches,
                program_changes=tuple((s.tick, s.program) for s in settings[begun:]),
                pattern=track if is_independent else 0,
            )
            parts.append(part)
        patterns = max((part.pattern for part in parts), default=0) + 1
        tempo_maps = tuple(
            self.tempo_map(pattern if is_independent else None) for pattern in range(patterns)
        )
        return ParsedMidi(ticks_per_quarter, tempo_maps, tuple(parts))

    def _voices(self, ticks_per_quarter: int, is_independent: bool) -> Iterator[Voice]:
        """Voices of each track, in order.

        Whether a channel plays drums may be said in another track, but for independent ones.
        """
        kits = DrumKits(self.exclusives)
        of_channels: defaultdict[int, list[Setting]] = defaultdict(list)
        for (_, channel), settings in self.settings.items():
            of_channels[channel] += [] if is_independent else settings
        tracks: dict[int, list[Voice]] = {}
        for (track, channel), notes in self.notes.items():
            settings = self.settings[track, channel]
            said = settings or sorted(of_channels[channel])
            begun = _number_begun(said, notes[0])
            bank = said[begun - 1].bank if begun else 0
            is_drum = kits.holds(channel, bank, int(notes[0][0]))
            tracks.setdefault(track, []).append(Voice(track, is_drum, settings, notes))
        for voices in tracks.values():
            yield from as_instruments(voices, ticks_per_quarter)

    def tempo_map(self, track: int | None = None) -> TempoMap:
        """The tempos and signatures of one track, or of all."""
        tempos = [
            (tick, credible_tempo(_MICROSECONDS_PER_MINUTE / max(microseconds, 1)))
            for of, tick, microseconds in self.tempos
            if track in (None, of)
        ]
        signatures = [
            (tick, above, below)
            for of, tick, above, below in self.signatures
            if track in (None, of)
        ]
        in_time = itemgetter(0)
        return TempoMap(tuple(sorted(tempos, key=in_time)), tuple(sorted(signatures, key=in_time)))


def _number_begun(settings: list[Setting], starts: Ints) -> int:
    """Number of the settings that hold or have held when the first note starts."""
    return bisect_right(settings, int(starts[0]), key=lambda setting: setting.tick)
