"""Melodies as MIDI files.

Format 1, 480 ticks a quarter, a first track with tempo, 4/4 and key signature, a second with the
notes. Both end on the last bar line, so that a DAW shows 16 whole bars. A melody that is written
and read (:func:`melodyconstraints.melody.midi.selection.read_melody`) is the same melody.
"""

from __future__ import annotations

import io
from pathlib import Path

import mido

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.names import decode_name
from melodyconstraints.melody.units import (
    DEFAULT_TEMPO,
    QUARTERS_PER_BAR,
    STEPS,
    TICKS_PER_QUARTER,
    VELOCITY,
    check_tempo,
    steps_to_ticks,
)
from melodyconstraints.storage.files import write_atomically

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
        name: of the track, written as UTF-8; it may come from a file's name in any encoding.

    Raises:
        UsageError: a tempo, program or key that MIDI cannot carry.
    """
    if not 0 <= program <= 127:
        raise UsageError(f"program must be from 0 to 127, got {program}")
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER, charset="utf-8")
    file.tracks.append(_time_track(tempo, key))
    file.tracks.append(_note_track(melody, program, name))
    return file


def write_melody(
    melody: Melody,
    path: Path | str,
    *,
    tempo: float = DEFAULT_TEMPO,
    program: int = 0,
    key: str | None = None,
    name: str = "Melody",
) -> None:
    """Write a MIDI file; the options are those of :func:`to_midi_file`."""
    contents = io.BytesIO()
    to_midi_file(melody, tempo=tempo, program=program, key=key, name=name).save(file=contents)
    write_atomically(Path(path), contents.getbuffer(), durable=False)


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
    whole = decode_name(name.encode("utf-8", "surrogateescape"))
    track = mido.MidiTrack(
        [
            mido.MetaMessage("track_name", name=whole),
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
