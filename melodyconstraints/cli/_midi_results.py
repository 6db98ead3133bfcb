"""Results of a command as MIDI files, and beside them other formats, piano rolls and sound."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import option_group, tempo_option
from melodyconstraints.cli._output import (
    MANIFEST,
    PICTURE,
    PICTURES,
    remove_earlier,
    write_manifest,
)
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.performance import FLAT, STRAIGHT, VELOCITIES, Performance
from melodyconstraints.melody.units import DEFAULT_TEMPO
from melodyconstraints.storage.text import counted

if TYPE_CHECKING:
    from melodyconstraints.melody.arrangement import Arrangement
    from melodyconstraints.melody.midi.selection import FoundMelody

_FEWEST_DIGITS = 3
"""Digits in the names of numbered files, so that they sort."""
TRACKS, DAWPROJECT, MUSICXML = "tracks", "dawproject", "musicxml"
FORMATS = ("mid", TRACKS, DAWPROJECT, MUSICXML)
_SCORE = ".musicxml"
_ENDINGS_OF_ALL = {TRACKS: "-tracks.mid", DAWPROJECT: ".dawproject"}
"""Formats that hold all melodies, and how the names of their files end."""


@dataclass(frozen=True)
class Export:
    """Choice of the files written beside MIDI files, and of how notes are played.

    Raises:
        UsageError: a swing that is none.
    """

    formats: tuple[str, ...] = ()
    velocity: str = FLAT
    swing: float = STRAIGHT
    wav: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "swing", self.performance(0).swing)

    def performance(self, seed: int) -> Performance:
        """Velocities and swing of the notes; the seed is that of the command."""
        return Performance(self.velocity, self.swing, seed)

    def beside(self, midi: Iterable[Path], picture: Path) -> list[Path]:
        """Files that are written beside the MIDI files of a run, or of one input.

        Args:
            midi: a file for each melody.
            picture: the picture of all melodies, whether it is drawn or not.
        """
        endings = [*([".wav"] if self.wav else []), *([_SCORE] if self.has_musicxml else [])]
        alone = [path.with_suffix(ending) for path in midi for ending in endings]
        return [*alone, *self.of_all(picture)]

    def facts(self, beside: Iterable[Path]) -> dict[str, Any]:
        """Entries of a manifest on how the melodies were written."""
        return asdict(self) | {"beside": [path.name for path in beside]}

    @property
    def has_musicxml(self) -> bool:
        """Whether each melody is written as MusicXML."""
        return MUSICXML in self.formats

    def of_all(self, picture: Path) -> list[Path]:
        """Files that hold all melodies; they are named like their picture."""
        return [
            picture.with_name(picture.stem + ending)
            for one, ending in _ENDINGS_OF_ALL.items()
            if one in self.formats
        ]


class _Percent(click.ParamType[float]):
    """A number of percent, with the sign or without it."""

    name = "percent"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: Any = str(value).removesuffix("%")
        return click.FLOAT.convert(number, param, ctx)


def _check_formats(
    context: click.Context, option: click.Parameter, formats: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse, before any work, a format whose package is missing."""
    if MUSICXML in formats:
        from melodyconstraints.melody.midi.musicxml import load_library

        load_library()
    return formats


def _check_sound(context: click.Context, option: click.Parameter, wav: bool) -> bool:
    """Refuse, before any work, a SoundFont that is none."""
    if wav:
        from melodyconstraints.melody.midi.sound import find_soundfont

        find_soundfont()
    return wav


export_options = option_group(
    "export",
    Export,
    {
        "formats": click.option(
            "--format",
            "formats",
            type=click.Choice(FORMATS),
            multiple=True,
            callback=_check_formats,
            help="Write beside the MIDI file of each melody (mid, always written): tracks, a MIDI "
            "file with all of them; dawproject, a project with all of them; musicxml, a score of "
            "each. May be given several times.",
        ),
        "velocity": click.option(
            "--velocity",
            type=click.Choice(VELOCITIES),
            default=FLAT,
            show_default=True,
            help="shaped: accents on strong beats, phrases of four bars that swell and fade.",
        ),
        "swing": click.option(
            "--swing",
            type=_Percent(),
            default=STRAIGHT,
            show_default=True,
            help="Percent of a beat for its first eighth: 50 (or 0) is straight, 66.7 triplets, "
            "75 dotted.",
        ),
        "wav": click.option(
            "--wav",
            is_flag=True,
            callback=_check_sound,
            help="Write a WAV file beside every MIDI file: by fluidsynth with the SoundFont that "
            "MELODYCONSTRAINTS_SOUNDFONT names or that is installed, else as a plucked string.",
        ),
    },
)
"""Options of what is written and how notes are played, handed over as ``export``."""
playback_options = option_group(
    "playback",
    dict,
    {
        "tempo": tempo_option(default=120.0, show_default=True, help="Quarter notes a minute."),
        "program": click.option(
            "--program",
            type=click.IntRange(0, 127),
            default=0,
            show_default=True,
            help="General MIDI instrument; 0 is a piano.",
        ),
    },
)
"""Tempo and instrument, handed over as ``playback``: ``tempo`` and ``program``."""


@dataclass(frozen=True)
class MidiResult:
    """A melody as a command shows it.

    Args:
        path: its MIDI file; None where it is drawn for comparison only.
        title: title of its piano roll.
        tempo: quarters a minute.
        program: General MIDI instrument, from 0.
        key: key signature, as MIDI names it.
        chords: chord symbols, one a bar.
    """

    melody: Melody
    path: Path | None
    title: str = ""
    tempo: float = DEFAULT_TEMPO
    program: int = 0
    key: str | None = None
    chords: tuple[str, ...] = ()


def write_run(
    results: Sequence[MidiResult],
    entries: Sequence[Mapping[str, Any]],
    output: Path,
    facts: Mapping[str, Any],
    export: Export,
    *,
    earlier: Iterable[Path],
    plot: bool,
    **drawn: Any,
) -> dict[str, Any]:
    """Write the folder of a run: its manifest, then what :func:`write_results` writes.

    Args:
        entries: entries of the manifest, one for each melody that is not for comparison only.
        facts: other values of the manifest; ``seed`` is that of the random part of velocities.
        earlier: files of the run before, which are removed.
        drawn: further arguments of :func:`write_results`.

    Returns:
        The manifest.
    """
    picture, files = output / PICTURE, [output / entry["file"] for entry in entries]
    beside = export.beside(files, picture)
    whole = {**facts, **export.facts(beside), "melodies": entries}
    write_manifest(output, whole)
    remove_earlier(earlier, [*files, *beside])
    write_results(results, picture, export, seed=facts["seed"] or 0, plot=plot, **drawn)
    return whole


def write_results(
    results: Sequence[MidiResult],
    picture: Path,
    export: Export,
    *,
    seed: int,
    plot: bool,
    pitch_classes: Collection[int] | None = None,
    tonic: int | None = None,
    columns: int = 2,
    same_pitches: bool = False,
) -> None:
    """Write MIDI files, what is wanted beside them and the picture of all piano rolls.

    Args:
        seed: seed of the random part of velocities.
        plot: whether the picture is drawn.
        pitch_classes: notes outside them are drawn in another colour.
        tonic: pitch class whose lines are tinted.
        columns, same_pitches: see :func:`.plot_melodies`.
    """
    from melodyconstraints.melody.midi.writing import write_arrangement

    written = {result.path: result for result in results if result.path is not None}
    performance = export.performance(seed)
    alone = {path: _arrangement({path: one}, performance) for path, one in written.items()}
    for path, arrangement in alone.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrangement(arrangement, path)
    for path in export.of_all(picture):
        write_arrangement(_arrangement(written, performance), path)
    if plot:
        from melodyconstraints.melody.plots import plot_melodies

        plot_melodies(
            [result.melody for result in results],
            picture,
            titles=[result.title for result in results],
            pitch_classes=pitch_classes,
            tonic=tonic,
            columns=columns,
            same_pitches=same_pitches,
        )
    if export.wav:
        _write_sound(written, performance)
    if export.has_musicxml:  # last: only they cannot hold every melody
        for path, arrangement in alone.items():
            write_arrangement(arrangement, path.with_suffix(_SCORE))


def what_was_written(folder: Path, count: int, export: Export, *, plot: bool) -> str:
    """Summary of what a run has just written, in one line.

    ``4 MIDI files in out; beside them 4 WAV files, melodies.png, manifest.json``

    Args:
        count: number of its melodies.
        plot: whether the picture is drawn.
    """
    pictures = sorted(path.name for path in folder.glob(PICTURES)) if plot else []
    beside = [
        *([counted(count, "WAV file", "WAV files")] if export.wav else []),
        *([counted(count, "MusicXML file", "MusicXML files")] if export.has_musicxml else []),
        *(path.name for path in export.of_all(folder / PICTURE)),
        *([f"{pictures[0]} to {pictures[-1]}"] if len(pictures) > 1 else pictures),
        MANIFEST,
    ]
    files, whom = counted(count, "MIDI file", "MIDI files"), "them" if count > 1 else "it"
    return f"{files} in {folder}; beside {whom} {', '.join(beside)}"


def _arrangement(results: Mapping[Path, MidiResult], performance: Performance) -> Arrangement:
    """Tracks with the names of their files; the first tempo, key and chords are those of all."""
    from melodyconstraints.melody.arrangement import Arrangement, Track

    tracks = [Track(one.melody, path.stem, one.program) for path, one in results.items()]
    tempo = next(one.tempo for one in results.values())
    key = next((one.key for one in results.values() if one.key), None)
    chords = next((one.chords for one in results.values() if one.chords), ())
    return Arrangement(tracks, tempo, key, chords, performance)


def _write_sound(results: Mapping[Path, MidiResult], performance: Performance) -> None:
    from melodyconstraints.melody.midi.sound import write_wav

    for path, one in results.items():
        played: dict[str, Any] = {"tempo": one.tempo, "program": one.program}
        write_wav(one.melody, path.with_suffix(".wav"), performance=performance, **played)


def source_facts(file: Path, found: FoundMelody) -> dict[str, Any]:
    """Entries of a manifest on the melody of a user's file."""
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
