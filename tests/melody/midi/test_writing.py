"""MIDI files that we write, read by ourselves, by mido and by pretty_midi."""

from unicodedata import normalize

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import HOLD, REST, Melody
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.melody.midi.writing import to_midi_file, write_melody
from melodyconstraints.melody.performance import Performance
from melodyconstraints.melody.units import VELOCITY

STEPS = 256
TUNE = Melody.from_notes([(0, 4, 60), (4, 2, 64), (8, 8, 67), (250, 6, 72)])


def _from_bytes(data: bytes) -> Melody:
    values = np.frombuffer(data, np.uint8).astype(int)
    return Melody(np.where(values < 128, values, np.where(values < 214, HOLD, REST)))


def _from_runs(runs: list[tuple[int, int]]) -> Melody:
    events = [e for event, n in runs for e in [event] + [HOLD] * (n - 1)]
    return Melody(np.array([*events, *[REST] * STEPS][:STEPS]))


MELODIES = st.one_of(
    st.binary(min_size=STEPS, max_size=STEPS).map(_from_bytes),
    st.lists(st.tuples(st.integers(0, REST), st.integers(1, 60)), max_size=30).map(_from_runs),
)
NON_EMPTY = MELODIES.filter(len)


def absolute(track):
    """(tick, message) with ticks counted from the start."""
    now, timed = 0, []
    for message in track:
        now += message.time
        timed.append((now, message))
    return timed


def notes_of(track) -> list[tuple[int, int, int]]:
    """(start tick, end tick, pitch) of a track in which one note sounds at a time."""
    notes, sounding = [], None
    for tick, message in absolute(track):
        if message.type == "note_on":
            assert sounding is None
            sounding = (tick, message.note)
        elif message.type == "note_off":
            assert sounding is not None
            assert sounding[1] == message.note
            notes.append((sounding[0], tick, message.note))
            sounding = None
    assert sounding is None
    return notes


@settings(max_examples=50)
@given(NON_EMPTY)
def test_a_melody_that_is_written_and_read_is_the_same_melody(tmp_path_factory, melody):
    path = tmp_path_factory.mktemp("midi") / "melody.mid"
    write_melody(melody, path)
    found = read_melody(path)
    assert found.melody == melody
    assert (found.tempo, found.program, found.track) == (120.0, 0, "Melody")
    assert found.bars == found.last_bar == (melody.onsets[-1] + melody.durations[-1] + 15) // 16
    assert read_melody(path, polyphony="onset").melody == melody


@settings(max_examples=50)
@given(MELODIES)
def test_mido_reads_every_note_back_with_both_tracks_on_the_last_bar_line(
    tmp_path_factory, melody
):
    path = tmp_path_factory.mktemp("midi") / "melody.mid"
    write_melody(melody, path)
    file = mido.MidiFile(path)
    assert notes_of(file.tracks[1]) == [
        (onset * 120, (onset + duration) * 120, pitch)
        for onset, duration, pitch in zip(
            melody.onsets, melody.durations, melody.pitches, strict=True
        )
    ]
    for track in file.tracks:
        assert absolute(track)[-1] == (16 * 4 * 480, track[-1])
        assert track[-1].type == "end_of_track"


def test_the_file_has_the_format_that_we_promise(tmp_path):
    path = tmp_path / "tune.mid"
    write_melody(TUNE, path, tempo=96, program=73, key="Bbm", name="Idea")
    assert path.read_bytes()[:14] == bytes.fromhex(
        "4D546864 00000006"  # MThd
        "0001 0002 01E0"  # format 1, two tracks, 480 ticks a quarter
    )
    time, notes = mido.MidiFile(path).tracks
    assert [message.type for message in time] == [
        "set_tempo",
        "time_signature",
        "key_signature",
        "end_of_track",
    ]
    assert time[0].tempo == 625_000  # microseconds a quarter: 60e6 / 96
    assert (time[1].numerator, time[1].denominator) == (4, 4)
    assert time[2].key == "Bbm"
    assert notes[0].name == "Idea"
    assert (notes[1].type, notes[1].program) == ("program_change", 73)
    assert {m.velocity for m in notes if m.type == "note_on"} == {VELOCITY}
    assert sum(m.type == "note_on" for m in notes) == len(TUNE)


def test_every_byte_of_a_flat_melody_is_known(tmp_path):
    path = tmp_path / "two.mid"
    two = Melody.from_notes([(0, 4, 60), (4, 2, 64)])
    write_melody(two, path, tempo=120, performance=Performance(velocity="flat"))
    assert path.read_bytes() == bytes.fromhex(
        "4D546864 00000006 0001 0002 01E0"  # MThd, as above
        "4D54726B 00000015"  # MTrk
        "00 FF5103 07A120"  # 500,000 microseconds a quarter
        "00 FF5804 04021808"  # 4/4
        "81F000 FF2F00"  # ends after 16 bars, 30,720 ticks
        "4D54726B 00000025"
        "00 FF0306 4D656C6F6479"  # Melody
        "00 C000"
        "00 903C60 8360 803C00"  # C for 480 ticks, at 96
        "00 904060 8170 804000"  # E for 240
        "81EA30 FF2F00"  # the rest, 30,000
    )


def test_without_a_key_no_key_signature_is_written():
    types = [message.type for message in to_midi_file(TUNE).tracks[0]]
    assert types == ["set_tempo", "time_signature", "end_of_track"]


@settings(max_examples=50)
@given(NON_EMPTY, st.sampled_from([40.0, 96.0, 120.0, 173.0]))
def test_pretty_midi_reads_the_same_notes_in_seconds(tmp_path_factory, melody, tempo):
    import pretty_midi

    path = tmp_path_factory.mktemp("midi") / "melody.mid"
    write_melody(melody, path, tempo=tempo, program=11)
    midi = pretty_midi.PrettyMIDI(str(path))
    (part,) = midi.instruments
    assert (part.program, part.name, part.is_drum) == (11, "Melody", False)
    assert midi.resolution == 480
    assert midi.get_tempo_changes()[1] == pytest.approx([tempo], rel=1e-5)
    seconds = 15 / tempo  # a sixteenth
    assert [note.pitch for note in part.notes] == melody.pitches.tolist()
    assert [n.start for n in part.notes] == pytest.approx(melody.onsets * seconds, rel=1e-5)
    ends = (melody.onsets + melody.durations) * seconds
    assert [n.end for n in part.notes] == pytest.approx(ends, rel=1e-5)


@pytest.mark.parametrize("tempo", [10, 33.3, 120, 1000])
def test_tempo_and_program_come_back(tmp_path, tempo):
    write_melody(TUNE, tmp_path / "tune.mid", tempo=tempo, program=127)
    found = read_melody(tmp_path / "tune.mid")
    assert (found.tempo, found.program) == (pytest.approx(tempo, rel=1e-4), 127)


@pytest.mark.parametrize("tempo", [9.9, 1000.1, 0, -120, float("nan"), float("inf")])
def test_a_tempo_that_midi_cannot_carry_is_refused(tempo):
    with pytest.raises(UsageError, match=r"tempo must be from 10 to 1000, got"):
        to_midi_file(TUNE, tempo=tempo)


@pytest.mark.parametrize("program", [-1, 128])
def test_a_program_that_midi_does_not_know_is_refused(program):
    with pytest.raises(UsageError, match=f"program must be from 0 to 127, got {program}"):
        to_midi_file(TUNE, program=program)


@pytest.mark.parametrize("key", ["H", "c", "", "C major", "G#"])
def test_a_key_that_is_none_is_refused(key):
    with pytest.raises(UsageError, match=f"'{key}' is no key signature"):
        to_midi_file(TUNE, key=key)


def test_a_refused_melody_leaves_no_file(tmp_path):
    with pytest.raises(UsageError):
        write_melody(TUNE, tmp_path / "tune.mid", key="H")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Flöte", "Мелодия", "旋律", "Mélodie 旋律", "e\u0301", ""])
def test_a_name_is_written_as_utf_8(tmp_path, name):
    path = tmp_path / "tune.mid"
    write_melody(TUNE, path, name=name)
    assert mido.MidiFile(path, charset="utf-8").tracks[1].name == normalize("NFC", name)
    assert read_melody(path).name == normalize("NFC", name)


def test_a_name_of_a_file_in_another_encoding_is_made_readable(tmp_path):
    write_melody(TUNE, tmp_path / "tune.mid", name="caf\udce9")  # as Python has b"caf\xe9"
    assert read_melody(tmp_path / "tune.mid").name == "café"


def test_an_empty_melody_is_16_bars_of_silence(tmp_path):
    path = tmp_path / "silence.mid"
    write_melody(Melody.from_notes([]), path)
    assert mido.MidiFile(path).length == pytest.approx(32.0)
    with pytest.raises(MidiError, match=r"silence\.mid holds no notes"):
        read_melody(path)
