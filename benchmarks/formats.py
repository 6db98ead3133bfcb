"""Every note of generated melodies, written in each format and read back by another reader.

::

    pip install lxml partitura
    python benchmarks/formats.py [-n 200] [--seed 1]

MIDI tracks are read by mido, ``.dawproject`` by lxml, MusicXML by partitura; where MuseScore is
installed, it plays the MusicXML as MIDI, too. The chord symbols and key signature are compared as
well, but MuseScore plays none. Each line: format, reader, melodies whose notes are all the same,
notes, seconds of writing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import mido
from lxml import etree

import melodyconstraints as mc
from melodyconstraints.cli._common import print_table

Notes = list[tuple[int, int, int]]
"""(onset, duration, pitch) in sixteenths."""
MUSESCORE = next(filter(None, map(shutil.which, ("mscore", "musescore", "mscore3"))), None)
_HEADLESS = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
KEY, CHORDS = "Eb", ["Cm", "Ab", "Eb", "Bb7"]


def main() -> None:
    """Write, read and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-n", type=int, default=200, help="melodies (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the melodies (default: 1)")
    asked = parser.parse_args()
    melodies = mc.generate(mc.load_model(), asked.n, seed=asked.seed)
    expected = [notes_of(melody) for melody in melodies]
    readers: list[tuple[str, str, Callable[[Path], list[Notes]]]] = [
        ("mid", "mido", read_midi),
        ("dawproject", "lxml", read_dawproject),
        ("musicxml", "partitura", read_musicxml),
    ]
    if MUSESCORE:
        version = subprocess.check_output([MUSESCORE, "--version"], env=_HEADLESS, text=True)  # noqa: S603
        readers.append(("musicxml", version.split("\n")[0].strip(), played_by_musescore))
    rows = []
    for ending, reader, read in readers:
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"all.{ending}"
            start = time.perf_counter()
            mc.write_melody(melodies, path, key=KEY, chords=CHORDS)
            seconds = time.perf_counter() - start
            found = read(path)
        same = sum(one == other for one, other in zip(expected, found, strict=True))
        notes = sum(map(len, found))
        share = f"{same} of {len(expected)}"
        rows.append([ending, reader, share, f"{notes:,}", f"{seconds:.1f}"])
    columns = ["format", "read by", "melodies the same", "notes", "seconds of writing"]
    print_table(columns, rows, text_columns=2)


def notes_of(melody: mc.Melody) -> Notes:
    """The notes of a melody."""
    columns = (melody.onsets.tolist(), melody.durations.tolist(), melody.pitches.tolist())
    return list(zip(*columns, strict=True))


def read_midi(path: Path) -> list[Notes]:
    """Tracks, by mido."""
    time_track, *tracks = mido.MidiFile(path).tracks
    check(CHORDS, (m.text for m in time_track if m.type == "marker"))
    check([KEY], (m.key for m in time_track if m.type == "key_signature"))
    found = []
    for track in tracks:
        now, notes = 0, []
        for message in track:
            now += message.time
            if message.type == "note_on":
                notes.append([now // 120, 0, message.note])
            elif message.type == "note_off":
                notes[-1][1] = now // 120 - notes[-1][0]
        found.append([tuple(note) for note in notes])
    return found


def read_dawproject(path: Path) -> list[Notes]:
    """Clips, by lxml."""
    root = etree.fromstring(ZipFile(path).read("project.xml"))
    check(CHORDS, (marker.get("name") for marker in root.iter("Marker")))
    return [
        [
            (4 * float(note.get("time")), 4 * float(note.get("duration")), int(note.get("key")))
            for note in clip
        ]
        for clip in root.iter("Notes")
    ]


def read_musicxml(path: Path) -> list[Notes]:
    """Parts, by partitura, which joins tied notes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import partitura

        score = partitura.load_musicxml(path)
    roots = (symbol.root for symbol in score[0].iter_all(partitura.score.ChordSymbol))
    check([chord[0] for chord in CHORDS], roots)
    found = []
    for part in score:
        check([-3], (key.fifths for key in part.key_sigs))
        rows = part.note_array()[["onset_div", "duration_div", "pitch"]].tolist()
        found.append(sorted((onset, duration, pitch) for onset, duration, pitch in rows))
    return found


def played_by_musescore(path: Path) -> list[Notes]:
    """Parts as MuseScore plays them: each note ends a tick before its end."""
    played = path.with_suffix(".mid")
    command = [str(MUSESCORE), "-o", str(played), str(path)]
    subprocess.run(command, env=_HEADLESS, check=True, capture_output=True)  # noqa: S603
    found = []
    for track in mido.MidiFile(played).tracks:
        now, starts, notes = 0, dict[int, int](), Notes()
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                starts[message.note] = now
            elif message.type in ("note_on", "note_off") and message.note in starts:
                start = starts.pop(message.note)
                notes.append((start // 120, (now + 1 - start) // 120, message.note))
        if notes:
            found.append(sorted(notes))
    return found


def check(expected: list[object], found: Iterable[object]) -> None:
    """Stop where the first signs of a file are not those that were written."""
    signs = list(found)[: len(expected)]
    if signs != expected:
        raise SystemExit(f"expected {expected}, found {signs}")


if __name__ == "__main__":
    main()
