"""Melodies as MusicXML 4.0, in notation that a musician can read.

A staff for each melody, in treble or bass clef by its height, four bars to a line. A note is one
symbol within a beat, or from a beat on where it lasts one beat, and from beats 1 and 3 on where it
lasts one and a half, two or more up to the bar line; longer notes and notes across beats are tied.
Rests are joined to the longest that starts at a multiple of itself. Short notes of a beat that no
rest divides are beamed. Without a key, each staff has the signature that its notes fit best. A
melody with notes below 13 is written in higher octaves, with the way down to its sound.

The package ``musicxml`` (MIT) checks every element within a bar against the schema while it is
made, which takes a few milliseconds; equal notes are made once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib import import_module
from itertools import groupby
from types import ModuleType
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement, fromstring, indent, tostring

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.arrangement import Arrangement, Track
from melodyconstraints.melody.chords import QUALITIES, Chord
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.keys import Spelling, altered_letters, sharps_for, sharps_of, spell
from melodyconstraints.melody.midi.names import readable_name
from melodyconstraints.melody.performance import FLAT, Performance
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR, STEPS_PER_QUARTER
from melodyconstraints.storage.extras import extras_explained
from melodyconstraints.storage.text import printable

_TYPES = {16: "whole", 8: "half", 4: "quarter", 2: "eighth", 1: "16th"}
_DOTTED = {12: 8, 6: 4, 3: 2}
"""Sixteenths of a dotted note, and of the same without its dot."""
_LENGTHS = sorted([*_TYPES, *_DOTTED], reverse=True)
_ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
_LOWEST, _HIGHEST = 13, 130
"""Pitches that lie in MusicXML's octaves 0 to 9 by any of their names."""
_BASS = 57
"""Mean pitch below which a melody stands in bass clef."""
_BARS_PER_LINE = 4
_LOUDNESS = 90
"""MIDI velocity that MusicXML calls 100 percent."""
_MOST_KEPT = 4096
"""Most different notes that are cached, for melodies after this one."""


class Symbol(NamedTuple):
    """A written note or rest.

    Args:
        start: step in the melody.
        length: sixteenths.
        note: place of its note in the melody; None for a rest.
        continues: whether it is tied to the symbol before it.
        goes_on: whether it is tied to the symbol after it.
    """

    start: int
    length: int
    note: int | None
    continues: bool
    goes_on: bool


def to_musicxml(arrangement: Arrangement) -> bytes:
    """The text of a ``.musicxml`` file.

    Raises:
        UsageError: a melody of more than ten octaves, or the package ``musicxml`` is missing.
    """
    root = Element("score-partwise", version="4.0")
    names = [f"P{number}" for number in range(1, len(arrangement.tracks) + 1)]
    heads = [_part_head(*one) for one in zip(names, arrangement.tracks, strict=True)]
    root.append(_checked("part-list", *heads))
    for name, track in zip(names, arrangement.tracks, strict=True):
        part = SubElement(root, "part", id=name)
        for bar, contents in enumerate(_bars(track, arrangement, is_first=name == names[0]), 1):
            SubElement(part, "measure", number=str(bar)).extend(contents)
    indent(root)
    return tostring(root, encoding="UTF-8", xml_declaration=True)


def symbols_of(melody: Melody) -> Iterator[Symbol]:
    """The written notes and rests of a melody, in order of time; they fill the 16 bars."""
    now = 0
    ends = (melody.onsets + melody.durations).tolist()
    for number, (onset, end) in enumerate(zip(melody.onsets.tolist(), ends, strict=True)):
        yield from _cut(now, onset, None)
        yield from _cut(onset, end, number)
        now = end
    yield from _cut(now, STEPS, None)


def beams_of(lengths: Sequence[int]) -> list[list[str]]:
    """MusicXML's name of each beam of short notes of one beat, the longest beam first.

    >>> beams_of([2, 1, 1]), beams_of([2])
    ([['begin'], ['continue', 'begin'], ['end', 'end']], [[]])
    >>> beams_of([3, 1])
    [['begin'], ['end', 'backward hook']]
    """
    last = len(lengths) - 1
    beams = []
    for place, length in enumerate(lengths):
        own = [_beam(place > 0, place < last)] if last else []
        if own and length == 1:
            before = place > 0 and lengths[place - 1] == 1
            after = place < last and lengths[place + 1] == 1
            hook = "backward hook" if place else "forward hook"
            own.append(_beam(before, after) if before or after else hook)
        beams.append(own)
    return beams


def _beam(before: bool, after: bool) -> str:
    return "continue" if before and after else "begin" if after else "end"


def _cut(start: int, end: int, note: int | None) -> Iterator[Symbol]:
    """Symbols for one note or silence."""
    now = start
    while now < end:
        place = now % STEPS_PER_BAR
        fits = (one for one in _LENGTHS if now + one <= end and _is_legible(place, one, note))
        length = next(fits)
        is_note = note is not None
        yield Symbol(now, length, note, is_note and now > start, is_note and now + length < end)
        now += length


def _is_legible(place: int, length: int, note: int | None) -> bool:
    """Whether one symbol may stand at a step of a bar, so that beats and bar lines are seen."""
    if note is None:
        return length in _TYPES and place % length == 0
    if length < STEPS_PER_QUARTER:
        return place % STEPS_PER_QUARTER + length <= STEPS_PER_QUARTER
    start = STEPS_PER_QUARTER if length == STEPS_PER_QUARTER else STEPS_PER_BAR // 2
    return place % start == 0 and place + length <= STEPS_PER_BAR


def load_library() -> ModuleType:
    """The elements of the package ``musicxml``.

    Raises:
        UsageError: it is not installed.
    """
    with extras_explained():
        return import_module("musicxml.xmlelement.xmlelement")


def _element(tag: str, *content: Any, **attributes: Any) -> Any:
    """An element of MusicXML; content is other elements or one value."""
    make = getattr(load_library(), "XML" + "".join(word.capitalize() for word in tag.split("-")))
    is_value = len(content) == 1 and isinstance(content[0], str | int)
    element = make(*content if is_value else (), **attributes)
    for child in () if is_value else content:
        element.add_child(child)
    return element


def _checked(tag: str, *content: Any, **attributes: Any) -> Element:
    """An element that is whole, in the schema's eyes."""
    return fromstring(_element(tag, *content, **attributes).to_string())  # noqa: S314 (our own text)


def _part_head(own: str, track: Track) -> Any:
    instrument = f"{own}-I1"
    name = printable(readable_name(track.name))
    return _element(
        "score-part",
        _element("part-name", name),
        _element("score-instrument", _element("instrument-name", name), id=instrument),
        _element("midi-instrument", _element("midi-program", track.program + 1), id=instrument),
        id=own,
    )


def _bars(track: Track, arrangement: Arrangement, *, is_first: bool) -> Iterator[list[Element]]:
    """Elements of each bar of a staff."""
    melody, performance = track.melody, arrangement.performance
    sharps = sharps_for(melody.events) if arrangement.key is None else sharps_of(arrangement.key)
    chords = dict(arrangement.chord_changes()) if is_first else {}
    for bar, symbols in groupby(symbols_of(melody), lambda one: one.start // STEPS_PER_BAR):
        begins_line = bar > 0 and bar % _BARS_PER_LINE == 0
        contents = [_checked("print", new_system="yes")] if begins_line else []
        if bar == 0:
            contents += [_attributes(melody, sharps)]
            contents += [_tempo(arrangement.tempo, performance)] if is_first else []
        contents += [_harmony(chords[bar])] if bar in chords else []
        contents += _bar_notes(melody, list(symbols), sharps, performance)
        if bar == BARS - 1:
            style = _element("bar-style", "light-heavy")
            contents += [_checked("barline", style, location="right")]
        yield contents


def _attributes(melody: Melody, sharps: int) -> Element:
    is_low = len(melody) > 0 and melody.pitches.mean() < _BASS
    sign, line = ("F", 4) if is_low else ("G", 2)
    octaves = [_element("chromatic", 0), _element("octave-change", -_octaves_up(melody))]
    return _checked(
        "attributes",
        _element("divisions", STEPS_PER_QUARTER),
        _element("key", _element("fifths", sharps)),
        _element("time", _element("beats", "4"), _element("beat-type", "4")),
        _element("clef", _element("sign", sign), _element("line", line)),
        *([_element("transpose", *octaves)] if _octaves_up(melody) else []),
    )


def _octaves_up(melody: Melody) -> int:
    """Octaves by which a melody is written above its sound: MusicXML has none below its 0."""
    low, high = melody.pitches.min(initial=_LOWEST), melody.pitches.max(initial=_LOWEST)
    octaves = int(-((low - _LOWEST) // 12))
    if high + 12 * octaves > _HIGHEST:
        raise UsageError(
            f"MusicXML has ten octaves, got a melody of pitches {low} to {high}; write it as MIDI"
        )
    return octaves


def _tempo(tempo: float, performance: Performance) -> Element:
    """A metronome mark, and tempo and swing for programs that play the score."""
    mark = _element(
        "metronome", _element("beat-unit", "quarter"), _element("per-minute", f"{tempo:.4g}")
    )
    swing = []
    if performance.swings:
        first = round(performance.swing)
        ratio = [_element("first", first), _element("second", 100 - first)]
        swing = [_element("swing", *ratio, _element("swing-type", "eighth"))]
    sound = _element("sound", *swing, tempo=tempo)
    return _checked("direction", _element("direction-type", mark), sound, placement="above")


@cache
def _harmony(chord: Chord) -> Element:
    quality = QUALITIES[chord.quality]
    altered = [_element("root-alter", chord.alter)] if chord.alter else []
    degree = []
    if quality.added is not None:
        value, alter = quality.added
        parts = {"degree-value": value, "degree-alter": alter, "degree-type": "add"}
        children = (_element(tag, content) for tag, content in parts.items())
        degree = [_element("degree", *children, print_object="no")]
    return _checked(
        "harmony",
        _element("root", _element("root-step", chord.step), *altered),
        _element("kind", quality.kind, text=chord.quality),
        *degree,
    )


def _bar_notes(
    melody: Melody, symbols: Sequence[Symbol], sharps: int, performance: Performance
) -> list[Element]:
    """The notes and rests of a bar."""
    velocities = performance.velocities(melody.onsets) if performance.velocity != FLAT else None
    up = 12 * _octaves_up(melody)
    letters, shown = altered_letters(sharps), dict[tuple[str, int], int]()
    notes = []
    for symbol, beams in zip(symbols, _beamed(symbols), strict=True):
        if symbol.note is None:
            notes.append(_rest(symbol.length))
            continue
        pitch = int(melody.pitches[symbol.note]) + up
        spelled = spell(pitch, sharps)
        line = (spelled.step, spelled.octave)
        in_force = shown.get(line, letters.get(spelled.step, 0))
        sign = ""
        if not symbol.continues and in_force != spelled.alter:
            shown[line], sign = spelled.alter, _ACCIDENTALS[spelled.alter]
        ties = ("stop",) * symbol.continues + ("start",) * symbol.goes_on
        velocity = None if velocities is None else int(velocities[symbol.note])
        notes.append(_note(symbol.length, spelled, tuple(beams), sign, ties, velocity))
    return notes


def _beamed(symbols: Sequence[Symbol]) -> list[list[str]]:
    """The beams of each symbol of a bar."""

    def beat_of(symbol: Symbol) -> tuple[int, bool]:
        short = symbol.note is not None and symbol.length < STEPS_PER_QUARTER
        return symbol.start // STEPS_PER_QUARTER, short

    beams: list[list[str]] = []
    for (_, short), group in groupby(symbols, beat_of):
        lengths = [symbol.length for symbol in group]
        beams += beams_of(lengths) if short else [[]] * len(lengths)
    return beams


@cache
def _rest(length: int) -> Element:
    duration, voice = _element("duration", length), _element("voice", "1")
    if length == STEPS_PER_BAR:
        return _checked("note", _element("rest", measure="yes"), duration, voice)
    return _checked("note", _element("rest"), duration, voice, *_value(length))


def _value(length: int) -> list[Any]:
    """Type and dot of a symbol of so many sixteenths."""
    dots = [_element("dot")] if length in _DOTTED else []
    return [_element("type", _TYPES[_DOTTED.get(length, length)]), *dots]


@lru_cache(_MOST_KEPT)
def _note(
    length: int,
    spelled: Spelling,
    beams: tuple[str, ...],
    accidental: str,
    ties: tuple[str, ...],
    velocity: int | None,
) -> Element:
    altered = [_element("alter", spelled.alter)] if spelled.alter else []
    pitch = [_element("step", spelled.step), *altered, _element("octave", spelled.octave)]
    sign = [_element("accidental", accidental)] if accidental else []
    tied = [_element("notations", *(_element("tied", type=end) for end in ties))] if ties else []
    loudness = {} if velocity is None else {"dynamics": round(100 * velocity / _LOUDNESS, 2)}
    return _checked(
        "note",
        _element("pitch", *pitch),
        _element("duration", length),
        *(_element("tie", type=end) for end in ties),
        _element("voice", "1"),
        *_value(length),
        *sign,
        *(_element("beam", beam, number=number) for number, beam in enumerate(beams, 1)),
        *tied,
        **loudness,
    )
