"""The fast reader: notes by symusic, the rest by :mod:`.scan`."""

from __future__ import annotations

import numpy as np
import symusic

from melodyconstraints.errors import MidiError
from melodyconstraints.melody.jit import jit
from melodyconstraints.melody.midi.channels import Setting
from melodyconstraints.melody.midi.parsed import Events, Ints, ParsedMidi
from melodyconstraints.melody.midi.scan import scan

_PADDING = b"\0" * 4
"""Zeros behind a file, which keep symusic in bounds: it reads past the end of malformed ones."""


def read_with_symusic(data: bytes) -> ParsedMidi:
    """Read a MIDI file that begins with its header.

    Raises:
        MidiError: symusic refuses it, gives ticks or pitches that cannot be, or other notes than
            are in the file.
    """
    scanned = scan(data)
    try:
        score = symusic.Score.from_midi(scanned.data + _PADDING)
    except Exception as error:  # symusic raises what its C++ parser throws
        raise MidiError(f"not a MIDI file that can be parsed: {_plain(str(error))}") from error
    if score.ticks_per_quarter <= 0:
        raise MidiError(f"{score.ticks_per_quarter} ticks a quarter: broken time division")
    tracks = [track for track in score.tracks if len(track.notes)]
    if [len(track.notes) for track in tracks] != [notes for _, _, notes in scanned.voices]:
        raise MidiError("symusic finds other notes than the file has")
    events = Events(
        {track: data[first : first + length] for track, first, length in scanned.names},
        [(track, tick, microseconds) for track, tick, microseconds in scanned.tempos],
        [(track, tick, above, 1 << power) for track, tick, above, power in scanned.signatures],
        [(tick, data[first : first + length]) for tick, first, length in scanned.exclusives],
    )
    for track, tick, channel, program, bank in scanned.programs:
        events.settings[track, channel].append(Setting(tick, program, bank))
    for read, (track, channel, _) in zip(tracks, scanned.voices, strict=True):
        events.notes[track, channel] = _notes_of(read)
    return events.parsed(data, score.ticks_per_quarter)


def _plain(text: str) -> str:
    """Error text of symusic's parser, without its name, its misspelling and C++'s own words."""
    text = text.removeprefix("MiniMidi: ").removesuffix(": iostream error")
    return text.replace("Invaild", "Invalid")


def _notes_of(track: symusic.core.TrackTick) -> tuple[Ints, Ints, Ints]:
    notes = track.notes.numpy()
    starts_ticks, ends_ticks, pitches, sane = _notes(
        notes["time"], notes["duration"], notes["pitch"]
    )
    if not sane:
        raise MidiError("its ticks run past 32 bits, or a pitch past 127")
    return starts_ticks, ends_ticks, pitches


@jit
def _notes(times: Ints, durations: Ints, pitches: Ints) -> tuple[Ints, Ints, Ints, bool]:
    """Starts, ends and pitches of one type, and whether all of them can be."""
    starts_ticks = times.astype(np.int64)
    ends_ticks = starts_ticks + durations.astype(np.int64)
    sane = times.min() >= 0 and pitches.min() >= 0
    return starts_ticks, ends_ticks, pitches.astype(np.int64), sane
