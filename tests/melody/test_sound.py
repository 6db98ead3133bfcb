"""The plucked string: pitch, length, silence and loudness, and the WAV file around it."""

import io
import wave

import numpy as np
import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.sound import SAMPLE_RATE, pluck_melody, wav_bytes


def test_a_note_has_its_frequency():
    for pitch, hertz in ((33, 55), (69, 440), (93, 1760)):
        for rate in (SAMPLE_RATE, 16_000):
            sound = pluck_melody(Melody.from_notes([(0, 8, pitch)]), rate=rate)[:rate]
            assert np.abs(np.fft.rfft(sound)).argmax() == pytest.approx(hertz, abs=3)


def test_the_tempo_gives_the_length():
    melody = Melody.from_notes([(255, 1, 60)])
    for tempo, seconds in ((240, 16 + 1), (1000, 3.84 + 1)):
        sound = pluck_melody(melody, tempo=tempo)
        assert len(sound) == seconds * SAMPLE_RATE
        assert np.flatnonzero(sound)[0] == pytest.approx((seconds - 1) * 255 / 256 * 44_100, abs=2)
    with pytest.raises(UsageError, match="tempo must be from 10 to 1000, got 5"):
        pluck_melody(melody, tempo=5)


def test_rests_are_silent_and_notes_begin_and_end_without_a_click():
    sound = pluck_melody(Melody.from_notes([(8, 4, 60), (24, 4, 72)]))  # an eighth second a step
    sounding = np.zeros(len(sound), bool)
    for start in (1.0, 3.0):
        note = slice(round(start * 44_100), round((start + 0.5 + 0.08) * 44_100))
        sounding[note] = True
        assert np.abs(sound[note][[0, -1]]).max() < 1e-9
        assert np.abs(sound[note][-40:]).max() < 0.01 * np.abs(sound).max()
    assert not sound[~sounding].any()
    assert np.mean(sound[sounding] != 0) > 0.99


def test_high_notes_die_away_sooner():
    left = []
    for pitch in (48, 60, 72, 84):
        sound = np.abs(pluck_melody(Melody.from_notes([(0, 16, pitch)])))
        left.append(sound[66_000:88_000].max() / sound[:22_000].max())
    assert left == sorted(left, reverse=True)
    assert left[0] > 10 * left[-1] > 0


def test_a_wav_file_has_sixteen_bits_and_is_as_loud_as_can_be():
    for samples, channels in ((np.array([0.0, 0.25, -0.5]), 1), (np.array([[1.0, -2.0]]), 2)):
        with wave.open(io.BytesIO(wav_bytes(samples))) as file:
            assert file.getparams()[:3] == (channels, 2, 44_100)
            read = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        expected = samples.ravel() / np.abs(samples).max() * 0.9 * 32767
        assert read.tolist() == expected.round().tolist()


def test_an_empty_melody_is_a_file_of_silence():
    with wave.open(io.BytesIO(wav_bytes(pluck_melody(Melody.from_notes([]), tempo=1000)))) as file:
        assert file.getnframes() == 4.84 * 44_100
        assert not any(file.readframes(file.getnframes()))
