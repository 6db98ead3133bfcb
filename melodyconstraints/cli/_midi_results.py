"""Results of a command as MIDI files, with a picture of their piano rolls and their sound."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.units import DEFAULT_TEMPO

if TYPE_CHECKING:
    from melodyconstraints.melody.midi.selection import FoundMelody

_FEWEST_DIGITS = 3
"""Digits in the names of numbered files, so that they sort."""


@dataclass(frozen=True)
class MidiResult:
    """A melody as a command shows it.

    Args:
        path: of its MIDI file; None where it is drawn for comparison only.
        title: above its piano roll.
        tempo: in quarters a minute.
        program: General MIDI instrument, from 0.
        key: key signature, as MIDI names it.
    """

    melody: Melody
    path: Path | None
    title: str = ""
    tempo: float = DEFAULT_TEMPO
    program: int = 0
    key: str | None = None


def write_results(
    results: Sequence[MidiResult],
    picture: Path | None = None,
    *,
    pitch_classes: Collection[int] | None = None,
    columns: int = 2,
    same_pitches: bool = False,
    wav: bool = False,
) -> None:
    """Write MIDI files and, where a path is given, the picture of all piano rolls.

    Args:
        pitch_classes: notes outside them are drawn in another colour.
        columns, same_pitches: see :func:`.plot_melodies`.
        wav: write a WAV file beside every MIDI file.
    """
    from melodyconstraints.melody.midi.writing import write_melody

    for result in results:
        if result.path is None:
            continue
        result.path.parent.mkdir(parents=True, exist_ok=True)
        write_melody(
            result.melody,
            result.path,
            tempo=result.tempo,
            program=result.program,
            key=result.key,
            name=result.path.stem,
        )
    if picture is not None:
        from melodyconstraints.melody.plots import plot_melodies

        plot_melodies(
            [result.melody for result in results],
            picture,
            titles=[result.title for result in results],
            pitch_classes=pitch_classes,
            columns=columns,
            same_pitches=same_pitches,
        )
    if wav:
        _write_sound(results)


def _write_sound(results: Sequence[MidiResult]) -> None:
    from melodyconstraints.melody.midi.sound import write_wav

    for result in results:
        if result.path is not None:
            wav = result.path.with_suffix(".wav")
            write_wav(result.melody, wav, tempo=result.tempo, program=result.program)


def source_facts(file: Path, found: FoundMelody) -> dict[str, Any]:
    """What a manifest says of the melody of a user's file."""
    return {
        "source": str(file),
        "track": found.track,
        "bars": [found.first_bar, found.last_bar],
        "tempo": round(found.tempo, 3),
        "program": found.program,
    }


def numbered(folder: Path, word: str, count: int) -> Iterator[Path]:
    """Paths of so many MIDI files: ``melody-001.mid``, ``melody-002.mid``."""
    digits = max(_FEWEST_DIGITS, len(str(count)))
    return (folder / f"{word}-{number:0{digits}d}.mid" for number in range(1, count + 1))
