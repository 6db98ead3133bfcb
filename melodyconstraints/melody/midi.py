"""Melodies as MIDI files, out and in.

Out: format 1, 480 ticks a quarter, a first track with tempo, 4/4 and key signature, a second with
the notes. Both end on the last bar line, so that a DAW shows 16 whole bars. In: any MIDI file; see
:func:`read_melody`. A melody that is written and read is the same melody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import REST, Melody
from melodyconstraints.melody.scores import read_score
from melodyconstraints.melody.units import (
    BARS,
    DEFAULT_TEMPO,
    QUARTERS_PER_BAR,
    STEPS,
    STEPS_PER_BAR,
    TICKS_PER_QUARTER,
    check_tempo,
    steps_to_ticks,
)

VELOCITY = 96
_LAST_TICK = steps_to_ticks(STEPS)


def to_midi_file(
    melody: Melody,
    *,
    tempo: float = DEFAULT_TEMPO,
    program: int = 0,
    key: str | None = None,
    name: str = "Melody",
) -> mido.MidiFile:
    """The melody as a ``mido.MidiFile``.

    Args:
        tempo: quarters a minute in [10, 1000].
        program: General MIDI program in [0, 127].
        key: key signature such as ``C``, ``F#``, ``Bbm``.
        name: of the track.

    Raises:
        UsageError: a tempo, program or key that MIDI cannot carry.
    """
    if not 0 <= program <= 127:
        raise UsageError(f"program must be from 0 to 127, got {program}")
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER)
    file.tracks.append(_time_track(tempo, key))
    file.tracks.append(_note_track(melody, program, name))
    return file


def write_melody(
    melody: Melody,
    path: Path,
    *,
    tempo: float = DEFAULT_TEMPO,
    program: int = 0,
    key: str | None = None,
    name: str = "Melody",
) -> None:
    """Write a MIDI file; the options are those of :func:`to_midi_file`."""
    to_midi_file(melody, tempo=tempo, program=program, key=key, name=name).save(path)


def _time_track(tempo: float, key: str | None) -> mido.MidiTrack:
    messages = [
        mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(check_tempo(tempo))),
        mido.MetaMessage("time_signature", numerator=QUARTERS_PER_BAR, denominator=4),
    ]
    if key is not None:
        try:
            messages.append(mido.MetaMessage("key_signature", key=key))
        except ValueError as error:
            raise UsageError(f"{key!r} is no key signature: {error}") from error
    return mido.MidiTrack([*messages, mido.MetaMessage("end_of_track", time=_LAST_TICK)])


def _note_track(melody: Melody, program: int, name: str) -> mido.MidiTrack:
    plain = name.encode("latin-1", "replace").decode("latin-1")
    track = mido.MidiTrack(
        [
            mido.MetaMessage("track_name", name=plain),
            mido.Message("program_change", program=program),
        ]
    )
    now = 0
    for onset, duration, pitch in zip(
        melody.onsets.tolist(), melody.durations.tolist(), melody.pitches.tolist(), strict=True
    ):
        start, end = steps_to_ticks(onset), steps_to_ticks(onset + duration)
        track.append(mido.Message("note_on", note=pitch, velocity=VELOCITY, time=start - now))
        track.append(mido.Message("note_off", note=pitch, velocity=0, time=end - start))
        now = end
    track.append(mido.MetaMessage("end_of_track", time=_LAST_TICK - now))
    return track


@dataclass(frozen=True)
class FoundMelody:
    """A melody of a MIDI file and where it was found.

    Args:
        melody: 16 bars; a shorter file is filled up with rests.
        track: name or number of the part it comes from.
        bars: bars that the part has; above 16, the rest was left out.
        tempo: quarters a minute.
        program: of the part.
    """

    melody: Melody
    track: str
    bars: int
    tempo: float
    program: int


def read_melody(path: Path, *, polyphony: str = "skyline") -> FoundMelody:
    """The first 16 bars of the first part with notes, drums aside, as one voice.

    Bars are counted from the start of the first stretch of 4/4 or 2/2.

    Raises:
        MidiError: the file cannot be read, holds no notes or is not in 4/4.
    """
    try:
        score = read_score(path)
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from error
    parts = [part for part in score.parts if not part.is_drum]
    if not parts:
        raise MidiError(f"{path} holds no notes (drums aside)")
    if not score.segments:
        raise MidiError(f"{path} is not in 4/4 or 2/2")
    for segment in score.segments:
        for number, part in enumerate(parts):
            events = score.part_events(part, segment, polyphony)
            if len(events):
                padded = np.full(STEPS, REST, np.uint8)
                padded[: len(events)] = events[:STEPS]
                name = part.name or f"part {number + 1}"
                bars = len(events) // STEPS_PER_BAR
                return FoundMelody(Melody(padded), name, bars, score.tempo, part.program)
    raise MidiError(f"{path} holds no notes in its bars of 4/4 or 2/2; {BARS} bars are wanted")
