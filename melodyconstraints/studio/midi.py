"""MIDI out: bytes of one file with a track for each melody, a zip of files, files in a folder."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import datetime
from pathlib import Path

from melodyconstraints.melody.arrangement import Arrangement, Track
from melodyconstraints.melody.midi.writing import midi_bytes as arrangement_bytes
from melodyconstraints.storage.files import write_atomically
from melodyconstraints.studio.schemas import MidiRequest, melody_of

MEDIA_TYPE = "audio/midi"


def midi_bytes(asked: MidiRequest) -> bytes:
    """One MIDI file, with a track for each melody; more than fifteen share channels."""
    tracks = [
        Track(melody_of(notes), name, asked.program)
        for notes, name in zip(asked.melodies, _names(asked), strict=True)
    ]
    return arrangement_bytes(Arrangement(tracks, asked.tempo, asked.key))


def zip_bytes(asked: MidiRequest) -> bytes:
    """A zip with a MIDI file for each melody."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _files(asked):
            archive.writestr(name, data)
    return buffer.getvalue()


def save_files(asked: MidiRequest, folder: Path) -> list[Path]:
    """Write a MIDI file for each melody into a folder; their names hold the time."""
    folder.mkdir(parents=True, exist_ok=True)
    now = f"{datetime.now():%Y-%m-%d-%H%M%S-%f}"
    paths = []
    for name, data in _files(asked):
        paths.append(folder / f"{now[:-3]}-{name}")
        write_atomically(paths[-1], data, durable=False)
    return paths


def _files(asked: MidiRequest) -> list[tuple[str, bytes]]:
    """Names and bytes of a file for each melody."""
    alone = [
        asked.model_copy(update={"melodies": [notes], "name": name})
        for notes, name in zip(asked.melodies, _names(asked), strict=True)
    ]
    return [(f"{one.name}.mid", midi_bytes(one)) for one in alone]


def _names(asked: MidiRequest) -> list[str]:
    """Harmless names: letters, digits and dashes; numbered where there are several.

    >>> _names(MidiRequest(melodies=[[], []], name="../My tune"))
    ['My-tune-1', 'My-tune-2']
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "-", asked.name).strip("-")[:60] or "melody"
    if len(asked.melodies) == 1:
        return [plain]
    return [f"{plain}-{number}" for number in range(1, len(asked.melodies) + 1)]
