"""Melodies as WAV files: by fluidsynth where it is installed, else by a plucked string of our own.

fluidsynth needs a SoundFont. ``MELODYCONSTRAINTS_SOUNDFONT`` names one; without it the usual
folders are looked through, and where it is set but empty, none is taken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.melody.performance import AS_ON_THE_GRID, Performance
from melodyconstraints.melody.sound import (
    SAMPLE_RATE,
    Samples,
    pluck_melody,
    sample_count,
    wav_bytes,
)
from melodyconstraints.melody.units import DEFAULT_TEMPO, check_program
from melodyconstraints.storage.arguments import checked
from melodyconstraints.storage.files import write_atomically

SOUNDFONT = "MELODYCONSTRAINTS_SOUNDFONT"
_PROGRAM = "fluidsynth"
_OPTIONS = ["-n", "-i", "-q", "-g", "1", "-r", str(SAMPLE_RATE), "-O", "s16", "-T", "wav"]
"""Options of fluidsynth: no MIDI input, no shell, few words, and, for one voice, five times the
usual gain."""
_DITHER = 2
"""Largest sample of fluidsynth's silence."""
_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/sounds/sf3",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
    "~/.local/share/soundfonts",
    "~/Library/Audio/Sounds/Banks",
)
_REMEDY = f"name another in {SOUNDFONT}, or leave that empty for a plucked string"


@checked
def write_wav(
    melody: Melody,
    path: Path | str,
    *,
    tempo: float = DEFAULT_TEMPO,
    program: int = 0,
    performance: Performance = AS_ON_THE_GRID,
) -> None:
    """Write a WAV file of 44.1 kHz and 16 bit: 16 bars, and a second in which they die away.

    Args:
        tempo: quarters a minute in [10, 1000].
        program: General MIDI program in [0, 127]; the plucked string is always itself.

    Raises:
        UsageError: a path that does not end in ``.wav``, a tempo or program that MIDI cannot
            carry, or a SoundFont that does not play.
    """
    if Path(path).suffix.lower() != ".wav":
        raise UsageError(f"write_wav writes WAV; {path} must end in .wav")
    check_program(program)
    soundfont = find_soundfont()
    if soundfont is None:
        samples = pluck_melody(melody, tempo=tempo, performance=performance)
    else:
        samples = _play(melody, soundfont, tempo, program, performance)
    write_atomically(Path(path), wav_bytes(samples), durable=False)


def find_soundfont() -> Path | None:
    """The SoundFont that fluidsynth plays; None where either is missing.

    Raises:
        UsageError: the one that is named is no SoundFont.
    """
    named = os.environ.get(SOUNDFONT)
    if named == "" or shutil.which(_PROGRAM) is None:
        return None
    if named:
        if not _is_soundfont(Path(named)):
            raise UsageError(f"{named} is no SoundFont; {_REMEDY}")
        return Path(named).absolute()
    files = [file for folder in _FOLDERS for file in sorted(Path(folder).expanduser().glob("*"))]
    soundfonts = [file for file in files if _is_soundfont(file)]
    return min(soundfonts, key=lambda file: not file.name.startswith("default"), default=None)


def _is_soundfont(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            start = opened.read(12)
    except OSError:
        return False
    return start[:4] == b"RIFF" and start[8:] == b"sfbk"


def _play(
    melody: Melody, soundfont: Path, tempo: float, program: int, performance: Performance
) -> Samples:
    """``(N, 2)`` samples by fluidsynth, which plays the last note to its end."""
    with TemporaryDirectory() as folder:
        midi, played = Path(folder) / "melody.mid", Path(folder) / "melody.wav"
        write_melody(melody, midi, tempo=tempo, program=program, performance=performance)
        done = subprocess.run(  # noqa: S603 (no shell; all arguments are files and our own words)
            [_PROGRAM, *_OPTIONS, "-F", str(played), str(soundfont), str(midi)],
            capture_output=True,
            text=True,
            errors="replace",
        )
        samples = _samples(played)
    if len(melody) and np.abs(samples).max(initial=0) <= _DITHER:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise UsageError(f"fluidsynth makes no sound with {soundfont}: {said}; {_REMEDY}")
    return samples[: sample_count(tempo)]


def _samples(file: Path) -> Samples:
    """``(N, channels)`` samples of a WAV file of 16 bit; none where it is missing or no such."""
    try:
        with wave.open(str(file)) as opened:
            data, channels = opened.readframes(opened.getnframes()), opened.getnchannels()
    except (OSError, EOFError, wave.Error):
        return np.zeros((0, 2))
    return np.frombuffer(data, "<i2").reshape(-1, channels).astype(np.float64)
