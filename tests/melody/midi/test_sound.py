"""WAV files: which synthesiser plays, and with what SoundFont."""

import wave

import numpy as np
import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi import sound
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.melody.midi.sound import SOUNDFONT, find_soundfont, write_wav
from melodyconstraints.melody.sound import pluck_melody, sample_count, wav_bytes

MELODY = Melody.from_notes([(0, 4, 69), (248, 8, 60)])


@pytest.fixture
def soundfont(tmp_path, monkeypatch):
    """A SoundFont that is named, and a fluidsynth that plays ``played.wav`` and keeps its MIDI."""
    program, file = tmp_path / "bin" / "fluidsynth", tmp_path / "font.sf2"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nwhile [ "$1" != -F ]; do shift; done\n'
        f'cp "$4" {tmp_path}/heard.mid; cp {tmp_path}/played.wav "$2"\n'
        'echo "cannot open $3" >&2\n'
    )
    program.chmod(0o755)
    file.write_bytes(b"RIFF....sfbk")
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv(SOUNDFONT, str(file))
    return file


def test_fluidsynth_is_given_the_melody_and_its_stereo_sound_is_cut_to_length(soundfont, tmp_path):
    played = np.arange(2.0 * sample_count(1000) + 200).reshape(-1, 2)
    (tmp_path / "played.wav").write_bytes(wav_bytes(played))
    write_wav(MELODY, tmp_path / "a.wav", tempo=1000, program=24)
    heard = read_melody(tmp_path / "heard.mid")
    assert (heard.melody, round(heard.tempo), heard.program) == (MELODY, 1000, 24)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (2, 2, 44_100, sample_count(1000))
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert samples.max() == round(0.9 * 32767)


@pytest.mark.parametrize(
    "played", [None, b"RIFF", wav_bytes(np.zeros((9, 2)))], ids=["none", "cut", "silent"]
)
def test_a_soundfont_that_does_not_play_is_told(soundfont, played, tmp_path):
    if played:
        (tmp_path / "played.wav").write_bytes(played)
    with pytest.raises(UsageError, match=f"fluidsynth makes no sound with {soundfont}: cannot"):
        write_wav(MELODY, tmp_path / "a.wav")


def test_a_sound_is_no_midi_file(tmp_path):
    with pytest.raises(UsageError, match=r"write_wav writes WAV; .*tune.mid must end in .wav"):
        write_wav(MELODY, tmp_path / "tune.mid")
    assert not (tmp_path / "tune.mid").exists()
    assert not (tmp_path / "a.wav").exists()


@pytest.mark.parametrize("name", ["none.sf2", "."])
def test_a_named_file_that_is_no_soundfont_is_told(soundfont, name, monkeypatch):
    monkeypatch.setenv(SOUNDFONT, name)
    with pytest.raises(UsageError, match=rf"{name} is no SoundFont; name another in {SOUNDFONT}"):
        find_soundfont()


def test_without_a_name_the_usual_folders_are_looked_through(soundfont, tmp_path, monkeypatch):
    monkeypatch.delenv(SOUNDFONT)
    monkeypatch.setattr(sound, "_FOLDERS", (str(tmp_path / "none"), str(tmp_path)))
    assert find_soundfont() == soundfont
    default = soundfont.with_name("default-GM.sf3")
    default.write_bytes(soundfont.read_bytes())
    soundfont.with_name("a.sf2").write_bytes(soundfont.read_bytes())
    assert find_soundfont() == default


def test_without_soundfont_or_program_a_string_is_plucked(soundfont, tmp_path, monkeypatch):
    monkeypatch.setenv(SOUNDFONT, "")
    write_wav(MELODY, tmp_path / "a.wav", tempo=1000)
    assert (tmp_path / "a.wav").read_bytes() == wav_bytes(pluck_melody(MELODY, tempo=1000))
    monkeypatch.setenv(SOUNDFONT, str(soundfont))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert find_soundfont() is None


def test_a_program_that_midi_does_not_know_is_refused_though_a_string_is_plucked(tmp_path):
    with pytest.raises(UsageError, match="program must be from 0 to 127, got 200"):
        write_wav(Melody.from_notes([]), tmp_path / "out.wav", program=200)
