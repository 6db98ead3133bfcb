"""Melodies as files: MIDI, and by the name's ending DAWproject and MusicXML.

A MIDI file has format 1, 480 ticks a quarter, a first track with tempo, 4/4, key signature and
chords as markers, and a track for each melody. All end on the last bar line, so that a DAW shows
16 whole bars. A melody that is written and read
(:func:`melodyconstraints.melody.midi.selection.read_melody`) is the same melody, unless it swings
by more than 62%.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Unpack

import mido

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.arrangement import Arrangement, ArrangementOptions, Track
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.names import readable_name
from melodyconstraints.melody.performance import Performance
from melodyconstraints.melody.units import (
    QUARTERS_PER_BAR,
    STEPS,
    STEPS_PER_BAR,
    TICKS_PER_QUARTER,
    steps_to_ticks,
)
from melodyconstraints.storage.arguments import checked
from melodyconstraints.storage.files import write_atomically
from melodyconstraints.storage.text import printable

_LAST_TICK = steps_to_ticks(STEPS)
_DRUMS = 9
"""Channel, from 0, that General MIDI reserves."""
_CHANNELS = [channel for channel in range(16) if channel != _DRUMS]


def to_midi_file(
    melodies: Melody | Iterable[Melody],
    *,
    name: str = "Melody",
    program: int = 0,
    **options: Unpack[ArrangementOptions],
) -> mido.MidiFile:
    """Melodies as a ``mido.MidiFile``; the options are those of :func:`write_melody`."""
    return arrangement_to_midi(Arrangement.of(melodies, name, program, **options))


@checked
def write_melody(
    melodies: Melody | Iterable[Melody],
    path: Path | str,
    *,
    name: str = "Melody",
    program: int = 0,
    **options: Unpack[ArrangementOptions],
) -> None:
    """Write one melody, or several as tracks of one file.

    Args:
        path: file to write, in the format of its ending: ``.mid``, ``.midi``, ``.dawproject`` or
            ``.musicxml``.
        name: name of the track, numbered where there are several; written as UTF-8, it may come
            from a file's name in any encoding.
        program: General MIDI program in [0, 127].
        options: ``tempo`` in [10, 1000] quarters a minute; ``key`` signature such as ``C``,
            ``F#``, ``Bbm``; ``chords``, symbols of one chord a bar; ``performance``, a
            :class:`melodyconstraints.melody.performance.Performance`.

    Raises:
        UsageError: another ending; no melody; an invalid tempo, program, key or chord; for
            MusicXML, more than ten octaves, or the package ``musicxml`` is missing.
    """
    write_arrangement(Arrangement.of(melodies, name, program, **options), Path(path))


def write_arrangement(arrangement: Arrangement, path: Path) -> None:
    """Write a file in the format of its name's ending, as :func:`write_melody` does."""
    write_atomically(path, arrangement_bytes(arrangement, path), durable=False)


def arrangement_bytes(arrangement: Arrangement, path: Path) -> bytes:
    """The bytes of a file that is to have this name, in the format of its ending.

    Raises:
        UsageError: see :func:`write_melody`.
    """
    match path.suffix.lower():
        case ".dawproject":
            from melodyconstraints.melody.midi.dawproject import to_dawproject

            return to_dawproject(arrangement)
        case ".musicxml":
            from melodyconstraints.melody.midi.musicxml import to_musicxml

            return to_musicxml(arrangement)
        case ".mid" | ".midi":
            return midi_bytes(arrangement)
    raise UsageError(
        "melodies are written as .mid, .midi, .dawproject or .musicxml, got "
        f"{printable(path.name)}"
    )


def midi_bytes(arrangement: Arrangement) -> bytes:
    """The bytes of a MIDI file."""
    contents = io.BytesIO()
    arrangement_to_midi(arrangement).save(file=contents)
    return contents.getvalue()


def arrangement_to_midi(arrangement: Arrangement) -> mido.MidiFile:
    """A ``mido.MidiFile`` with a track for each melody; more than fifteen share channels."""
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER, charset="utf-8")
    file.tracks.append(_time_track(arrangement))
    for number, track in enumerate(arrangement.tracks):
        channel = _CHANNELS[number % len(_CHANNELS)]
        file.tracks.append(_note_track(track, channel, arrangement.performance))
    return file


def _time_track(arrangement: Arrangement) -> mido.MidiTrack:
    messages = [
        mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(arrangement.tempo)),
        mido.MetaMessage("time_signature", numerator=QUARTERS_PER_BAR, denominator=4),
    ]
    if arrangement.key is not None:
        messages.append(mido.MetaMessage("key_signature", key=arrangement.key))
    now = 0
    for bar, chord in arrangement.chord_changes():
        start = steps_to_ticks(bar * STEPS_PER_BAR)
        messages.append(mido.MetaMessage("marker", text=chord.symbol, time=start - now))
        now = start
    return mido.MidiTrack([*messages, mido.MetaMessage("end_of_track", time=_LAST_TICK - now)])


def _note_track(track: Track, channel: int, performance: Performance) -> mido.MidiTrack:
    messages = [
        mido.MetaMessage("track_name", name=readable_name(track.name)),
        mido.Message("program_change", channel=channel, program=track.program),
    ]
    now = 0
    for start, end, pitch, velocity in track.played(performance):
        own = {"channel": channel, "note": pitch}
        messages.append(mido.Message("note_on", velocity=velocity, time=start - now, **own))
        messages.append(mido.Message("note_off", velocity=0, time=end - start, **own))
        now = end
    messages.append(mido.MetaMessage("end_of_track", time=_LAST_TICK - now))
    return mido.MidiTrack(messages)
