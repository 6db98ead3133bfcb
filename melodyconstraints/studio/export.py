"""Melodies out: bytes of one file with a track for each, a zip of files, files in a folder.

The file formats, velocities and swing are those of the command line.
"""

from __future__ import annotations

import io
import re
import zipfile
from datetime import datetime
from pathlib import Path

from melodyconstraints.melody.arrangement import Arrangement, Track
from melodyconstraints.melody.midi.writing import arrangement_bytes
from melodyconstraints.melody.performance import Performance
from melodyconstraints.storage.files import write_atomically
from melodyconstraints.studio.schemas import ExportRequest, melody_of

MIDI = "audio/midi"
MEDIA_TYPES = {
    "mid": MIDI,
    "dawproject": "application/octet-stream",  # some browsers unpack a zip that they know as one
    "musicxml": "application/vnd.recordare.musicxml+xml",
}
"""Media types of the formats."""


def file_bytes(body: ExportRequest) -> bytes:
    """One file with a track, or a staff, for each melody.

    Raises:
        UsageError: a swing or a key that is none; for MusicXML, more than ten octaves, or the
            package ``musicxml`` is missing.
    """
    tracks = [
        Track(melody_of(notes), name, body.program)
        for notes, name in zip(body.melodies, _names(body), strict=True)
    ]
    performance = Performance(body.velocity, body.swing, body.seed)
    arrangement = Arrangement(tracks, body.tempo, body.key, performance=performance)
    return arrangement_bytes(arrangement, Path(f"melody.{body.format}"))


def zip_bytes(body: ExportRequest) -> bytes:
    """A zip with a file for each melody."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _files(body):
            archive.writestr(name, data)
    return buffer.getvalue()


def save_files(body: ExportRequest, folder: Path) -> list[Path]:
    """Write a file for each melody into a folder; their names hold the time."""
    files = _files(body)
    folder.mkdir(parents=True, exist_ok=True)
    now = f"{datetime.now():%Y-%m-%d-%H%M%S-%f}"
    paths = []
    for name, data in files:
        paths.append(folder / f"{now[:-3]}-{name}")
        write_atomically(paths[-1], data, durable=False)
    return paths


def _files(body: ExportRequest) -> list[tuple[str, bytes]]:
    """Names and bytes of a file for each melody."""
    alone = [
        body.model_copy(update={"melodies": [notes], "name": name})
        for notes, name in zip(body.melodies, _names(body), strict=True)
    ]
    return [(f"{one.name}.{one.format}", file_bytes(one)) for one in alone]


def _names(body: ExportRequest) -> list[str]:
    """Harmless names: letters, digits and dashes; numbered where there are several.

    >>> _names(ExportRequest(melodies=[[], []], name="../My tune"))
    ['My-tune-1', 'My-tune-2']
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "-", body.name).strip("-")[:60] or "melody"
    if len(body.melodies) == 1:
        return [plain]
    return [f"{plain}-{number}" for number in range(1, len(body.melodies) + 1)]
