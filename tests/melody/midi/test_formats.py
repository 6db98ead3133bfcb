"""Several melodies in one file, DAWproject and MusicXML; chords, velocities and swing."""

import re
import sys
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from lxml import etree

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import HOLD, REST, Melody
from melodyconstraints.melody.keys import NATURALS, spell
from melodyconstraints.melody.midi.musicxml import beams_of, symbols_of
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.melody.midi.writing import to_midi_file, write_melody
from melodyconstraints.melody.performance import Performance

SCHEMAS = Path(__file__).parent / "dawproject"
RNG = np.random.default_rng(1)
MELODIES = [
    Melody.from_notes(
        [(0, 4, 60), (4, 2, 61), (6, 4, 63), (30, 6, 59), (64, 64, 72), (203, 53, 70)]
    ),
    Melody(RNG.choice([*[HOLD] * 12, *[REST] * 2, *range(58, 64)], 256)),
    Melody.from_notes([]),
]


def events(track, kind):
    """(tick, message) of a track."""
    now, found = 0, []
    for message in track:
        now += message.time
        if message.type == kind:
            found.append((now, message))
    return found


def played(melody, **performance):
    """(tick, velocity) of the notes of a MIDI file."""
    file = to_midi_file(melody, performance=Performance(**performance))
    return [(tick, on.velocity) for tick, on in events(file.tracks[1], "note_on")]


def notes_of(melody):
    columns = (melody.onsets, melody.durations, melody.pitches)
    return [tuple(map(int, note)) for note in zip(*columns, strict=True)]


def sixteenths(*onsets):
    return Melody.from_notes([(onset, 1, 60) for onset in onsets])


def test_each_melody_has_a_track_and_a_channel_that_is_not_for_drums():
    file = to_midi_file([MELODIES[0]] * 17, name="Idea", program=5)
    assert len(file.tracks) == 18
    assert [track.name for track in file.tracks[1:3]] == ["Idea 1", "Idea 2"]
    for number, track in enumerate(file.tracks[1:]):
        channels = {message.channel for message in track if not message.is_meta}
        assert channels == {[*range(9), *range(10, 16), 0, 1][number]}
        assert [on.note for _, on in events(track, "note_on")] == MELODIES[0].pitches.tolist()


def test_chords_are_markers_on_the_bar_lines_where_they_change():
    time = to_midi_file(MELODIES[0], chords=["C", "C", "F#min7"]).tracks[0]
    markers = [(tick // 1920, marker.text) for tick, marker in events(time, "marker")]
    assert markers[:4] == [(0, "C"), (2, "F#m7"), (3, "C"), (5, "F#m7")]
    assert events(time, "end_of_track")[0][0] == 16 * 1920


def test_swing_moves_the_second_eighth_and_the_sixteenths_with_it():
    ticks = [tick for tick, _ in played(sixteenths(0, 1, 2, 3, 4), swing=60)]
    assert ticks == [0, 144, 288, 384, 480]
    ticks = [tick for tick, _ in played(sixteenths(0, 1, 2, 3, 4), swing=75)]
    assert ticks == [0, 180, 360, 420, 480]
    assert played(MELODIES[1], swing=0) == played(MELODIES[1], swing=50) == played(MELODIES[1])


def test_a_file_that_swings_reads_back_the_same_up_to_62_percent(tmp_path):
    melody = Melody.from_notes([(2 * n, 2, 60 + n) for n in range(16)])
    for swing in (62, 63):
        write_melody(melody, tmp_path / "a.mid", performance=Performance(swing=swing))
        read = read_melody(tmp_path / "a.mid").melody
        late = 1 if swing == 63 else 0
        assert read.onsets.tolist() == [2 * n + late * (n % 2) for n in range(16)]


def test_shaped_velocities_follow_metre_and_phrase():
    melody = sixteenths(0, 4, 8, 14, 32, 33, 64)
    velocities = [velocity for _, velocity in played(melody, velocity="shaped")]
    plain = np.array([92, 85, 92, 85, 104, 84, 92])  # 72 + 5 * level + 48x(1 - x)
    assert np.abs(velocities - plain).max() <= 3
    assert played(melody, velocity="shaped") == played(melody, velocity="shaped", seed=1)
    assert played(melody, velocity="shaped") != played(melody, velocity="shaped", seed=2)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Performance("loud"), "velocity must be flat or shaped, got 'loud'"),
        (lambda: Performance(swing=25), r"swing must be 0 \(straight\) or from 50 .* got 25"),
        (lambda: Performance(swing=76), "to 75 percent .* got 76"),
        (lambda: Performance(swing=float("nan")), "got nan"),
        (lambda: to_midi_file([], chords=["C"]), "there is no melody to write"),
        (lambda: to_midi_file(MELODIES, chords=["C"] * 17), "are 16 bars, .* got 17 chords"),
        (lambda: to_midi_file(MELODIES, chords=["C", "H"]), "'H' is no chord; write C, F#m7"),
    ],
)
def test_what_cannot_be_played_is_refused(make, error):
    with pytest.raises(UsageError, match=error):
        make()


def test_an_unknown_ending_makes_no_file(tmp_path):
    with pytest.raises(UsageError, match=r"as .mid, .midi, .dawproject or .musicxml, got a.mxl"):
        write_melody(MELODIES[0], tmp_path / "a.mxl")
    assert not list(tmp_path.iterdir())


def in_dawproject(path):
    """The roots of project and metadata, which their schemas allow."""
    roots = []
    for name in ("Project", "MetaData"):
        roots.append(etree.fromstring(ZipFile(path).read(f"{name.lower()}.xml")))
        etree.XMLSchema(etree.parse(SCHEMAS / f"{name}.xsd")).assertValid(roots[-1])
    return roots


def test_a_dawproject_is_valid_and_holds_every_note(tmp_path):
    path = tmp_path / "a.dawproject"
    write_melody(MELODIES, path, tempo=96.5, name="caf\udce9 \x07", chords=["Am", "F"])
    root, _ = in_dawproject(path)
    assert root.find("Transport/Tempo").get("value") == "96.500000"
    names = [track.get("name") for track in root.iterfind("Structure/Track")]
    assert names == ["café � 1", "café � 2", "café � 3", "Master"]
    markers = [(one.get("time"), one.get("name")) for one in root.iter("Marker")]
    assert markers[:3] == [("0.0", "Am"), ("4.0", "F"), ("8.0", "Am")]
    for melody, notes in zip(MELODIES, root.iter("Notes"), strict=True):
        found = [
            (float(n.get("time")), float(n.get("duration")), int(n.get("key"))) for n in notes
        ]
        assert [(4 * on, 4 * duration, key) for on, duration, key in found] == notes_of(melody)
    assert {note.get("vel") for note in root.iter("Note")} == {"0.755906"}  # 96 / 127
    before = path.read_bytes()
    write_melody(MELODIES, path, tempo=96.5, name="caf\udce9 \x07", chords=["Am", "F"])
    assert path.read_bytes() == before


def test_a_dawproject_swings(tmp_path):
    write_melody(sixteenths(1, 2), tmp_path / "a.dawproject", performance=Performance(swing=75))
    root, _ = in_dawproject(tmp_path / "a.dawproject")
    times = [(note.get("time"), note.get("duration")) for note in root.iter("Note")]
    assert times == [("0.375000", "0.375000"), ("0.750000", "0.125000")]


def musicxml_schema():
    """The schema of MusicXML 4.0, without the attributes of xlink and xml, which lie elsewhere."""
    text = files("musicxml").joinpath("generate_classes/musicxml_4_0.xsd").read_text("utf-8")
    plain = re.sub(r'<xs:(import|attribute ref="x(ml|link):)[^>]*/>', "", text)
    return etree.XMLSchema(etree.fromstring(plain.encode()))


def in_musicxml(part):
    """(onset, duration, pitch) of the notes of a part, ties joined."""
    now, notes = 0, []
    for note in part.iter("note"):
        length = int(note.findtext("duration"))
        if note.find("rest") is None:
            step, octave = note.findtext("pitch/step"), int(note.findtext("pitch/octave"))
            octave += int(part.findtext(".//octave-change", "0"))
            pitch = NATURALS[step] + int(note.findtext("pitch/alter", "0")) + 12 * octave + 12
            if note.find("tie[@type='stop']") is not None:
                notes[-1][1] += length
                assert notes[-1][2] == pitch
            else:
                notes.append([now, length, pitch])
        now += length
    assert now == 256
    return [tuple(note) for note in notes]


def test_musicxml_is_valid_and_holds_every_note(tmp_path):
    path = tmp_path / "a.musicxml"
    performance = Performance(swing=66.7)
    write_melody(MELODIES, path, key="D", chords=["C", "F#7sus4"], performance=performance)
    root = etree.parse(path).getroot()
    musicxml_schema().assertValid(root)
    parts = root.findall("part")
    assert [in_musicxml(part) for part in parts] == [notes_of(melody) for melody in MELODIES]
    assert {part.findtext("measure/attributes/key/fifths") for part in parts} == {"2"}
    assert root.findtext(".//swing/first") == "67"
    kinds = [
        (one.findtext("root/root-step"), one.find("kind").get("text"))
        for one in root.iter("harmony")
    ]
    assert kinds[:2] == [("C", ""), ("F", "7sus4")]
    assert len(kinds) == 16


def test_beats_and_bar_lines_are_seen_and_rests_are_joined():
    found = [(one.start, one.length, one.note is None) for one in symbols_of(MELODIES[0])]
    assert found[:13] == [
        *((0, 4, False), (4, 2, False), (6, 2, False), (8, 2, False)),
        *((10, 2, True), (12, 4, True), (16, 8, True), (24, 4, True), (28, 2, True)),
        *((30, 2, False), (32, 4, False), (36, 4, True), (40, 8, True)),
    ]
    assert found[13:18] == [(48, 16, True), *((bar, 16, False) for bar in (64, 80, 96, 112))]
    for melody in MELODIES[:2]:
        for one, after in pairwise(symbols_of(melody)):
            assert one.start + one.length == after.start
            assert (
                one.goes_on == after.continues == (one.note is not None and one.note == after.note)
            )
            assert one.start // 16 == (after.start - 1) // 16


def test_beams_of_a_beat():
    assert beams_of([1, 2, 1]) == [
        ["begin", "forward hook"],
        ["continue"],
        ["end", "backward hook"],
    ]
    assert beams_of([1, 1, 1, 1])[1:3] == [["continue", "continue"]] * 2


@pytest.mark.parametrize(
    ("notes", "key", "written"),
    [
        ([61, 61, 60, 61], None, ["sharp", None, "natural", "sharp"]),
        ([66, 65, 66], "G", [None, "natural", "sharp"]),
        ([58, 59, 70], "F", [None, "natural", None]),
    ],
)
def test_an_accidental_is_written_where_it_changes_what_is_in_force(tmp_path, notes, key, written):
    melody = Melody.from_notes([(4 * n, 4, pitch) for n, pitch in enumerate(notes)])
    write_melody(melody, tmp_path / "a.musicxml", key=key or "C")
    root = etree.parse(tmp_path / "a.musicxml")
    found = [
        note.findtext("accidental") for note in root.iter("note") if note.find("pitch") is not None
    ]
    assert found == written


def test_without_a_key_the_signature_is_the_best_fitting_one_and_low_notes_are_in_bass_clef(
    tmp_path,
):
    low = Melody.from_notes([(4 * n, 4, pitch) for n, pitch in enumerate([46, 48, 50, 51, 53])])
    write_melody(low, tmp_path / "a.musicxml", performance=Performance("shaped"))
    root = etree.parse(tmp_path / "a.musicxml")
    loudness = float(root.find(".//note").get("dynamics"))
    assert loudness == pytest.approx(100 * 92 / 90, abs=3.4)  # 92 +- 3, of 90
    attributes = root.find(".//attributes")
    assert attributes.findtext("key/fifths") == "-2"
    assert attributes.findtext("clef/sign") == "F"
    assert [spell(pitch, -2)[:2] for pitch in (46, 51, 54)] == [("B", -1), ("E", -1), ("F", 1)]


def test_musicxml_writes_the_lowest_notes_an_octave_higher(tmp_path):
    melody = Melody.from_notes([(0, 4, 0), (4, 4, 11), (8, 4, 60)])
    write_melody(melody, tmp_path / "a.musicxml", key="C#")
    root = etree.parse(tmp_path / "a.musicxml")
    musicxml_schema().assertValid(root)
    assert in_musicxml(root.find("part")) == notes_of(melody)
    with pytest.raises(UsageError, match="has ten octaves, got a melody of pitches 0 to 120"):
        write_melody(Melody.from_notes([(0, 4, 0), (4, 4, 120)]), tmp_path / "b.musicxml")


def test_musicxml_needs_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "musicxml.xmlelement.xmlelement", None)
    with pytest.raises(UsageError, match=r"pip install 'melodyconstraints\[notation\]'"):
        write_melody(MELODIES[0], tmp_path / "a.musicxml")
    assert not list(tmp_path.iterdir())
