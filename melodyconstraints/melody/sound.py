"""Melodies as sound: a plucked string, without samples or other programs.

The string is that of Karplus and Strong, *Digital Synthesis of Plucked-String and Drum Timbres*
(Computer Music Journal 7, 1983): a burst of noise goes round a loop, and every pass takes more of
its high harmonics than of its low ones. All passes are computed at once, from the strength that
each harmonic has left, so that every pitch is in tune.
"""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.performance import AS_ON_THE_GRID, Performance
from melodyconstraints.melody.units import DEFAULT_TEMPO, STEPS, VELOCITY, seconds_per_step

Samples = NDArray[np.float64]

SAMPLE_RATE = 44_100
"""Samples a second of the WAV files that we write."""
_TAIL_SECONDS = 1.0
"""Seconds of sound after the last bar line, in which a last note dies away."""
_PEAK = 0.9
"""Largest sample of a WAV file, as a share of what it can hold."""
_ATTACK_SECONDS, _RELEASE_SECONDS = 0.002, 0.08
_HIGHEST_HARMONIC_HZ = 10_000
_PLUCKED_AT = 0.2
"""Place of the finger, as a share of the string; a harmonic that rests there is silent."""
_MIDDLE_C, _MIDDLE_C_SECONDS, _OCTAVES_TO_HALF = 60, 5.0, 2
"""Seconds in which a low harmonic falls by 60 dB; they halve every two octaves up."""
_DULL_HZ = 2500
"""A harmonic of this frequency decays twice as fast as a low one, higher ones faster still."""
_POINTS_PER_HARMONIC = 8
"""Points of a pass to the shortest wave in it; between them the string is taken as straight."""


def sample_count(tempo: float, rate: int = SAMPLE_RATE) -> int:
    """Samples of a whole melody with its tail.

    >>> sample_count(120.0) / SAMPLE_RATE
    33.0
    """
    return round((STEPS * seconds_per_step(tempo) + _TAIL_SECONDS) * rate)


def pluck_melody(
    melody: Melody,
    *,
    tempo: float = DEFAULT_TEMPO,
    rate: int = SAMPLE_RATE,
    performance: Performance = AS_ON_THE_GRID,
) -> Samples:
    """``(N,)`` samples of 16 bars and a tail of a second; 0 where nothing sounds.

    Args:
        tempo: quarters a minute in [10, 1000].
        rate: samples a second.
    """
    step = seconds_per_step(tempo)
    sound = np.zeros(sample_count(tempo, rate))
    attack = np.linspace(0, 1, round(_ATTACK_SECONDS * rate))
    release = np.cos(np.linspace(0, np.pi, round(_RELEASE_SECONDS * rate))) / 2 + 0.5
    starts, ends = performance.moved(np.stack([melody.onsets, melody.onsets + melody.durations]))
    loudness = performance.velocities(melody.onsets) / VELOCITY
    for pitch in np.unique(melody.pitches).tolist():
        own = melody.pitches == pitch
        held = np.minimum((ends - starts)[own] * step, _fading_seconds(pitch))
        string = _pluck(pitch, round(held.max() * rate) + len(release), rate)
        played = zip(starts[own].tolist(), held.tolist(), loudness[own].tolist(), strict=True)
        for onset, seconds, loud in played:
            note = string[: round(seconds * rate) + len(release)].copy()
            note[: len(attack)] *= attack
            note[-len(release) :] *= release
            start = round(onset * step * rate)
            sound[start : start + len(note)] += loud * note
    return sound


def wav_bytes(samples: Samples, rate: int = SAMPLE_RATE) -> bytes:
    """Samples as a WAV file of 16 bit, as loud as it can be without distortion.

    Args:
        samples: ``(N,)`` for one channel, or ``(N, channels)``.
    """
    peak = np.abs(samples).max(initial=0)
    scale = _PEAK * np.iinfo(np.int16).max / peak if peak else 0
    contents = io.BytesIO()
    with wave.open(contents, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * scale).round().astype("<i2").tobytes())
    return contents.getvalue()


def _fading_seconds(pitch: int) -> float:
    """Seconds in which the low harmonics of a string fall by 60 dB."""
    return _MIDDLE_C_SECONDS * 2 ** ((_MIDDLE_C - pitch) / 12 / _OCTAVES_TO_HALF)


def _pluck(pitch: int, count: int, rate: int) -> Samples:
    """``(count,)`` samples of a string that nobody stops."""
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    highest = max(int(min(_HIGHEST_HARMONIC_HZ, 0.45 * rate) / frequency), 1)
    harmonics = np.arange(1, highest + 1)
    phases = np.random.default_rng(pitch).uniform(0, 2 * np.pi, highest)
    plucked = np.sin(np.pi * _PLUCKED_AT * harmonics) / harmonics * np.exp(1j * phases)
    nepers_per_second = (
        np.log(1000) / _fading_seconds(pitch) * (1 + (harmonics * frequency / _DULL_HZ) ** 2)
    )
    passes = np.arange(int(count / rate * frequency) + 2)
    spectra = np.zeros((len(passes), _POINTS_PER_HARMONIC // 2 * highest + 1), complex)
    spectra[:, harmonics] = plucked * np.exp(-np.outer(passes / frequency, nepers_per_second))
    loop = np.fft.irfft(spectra, norm="forward")
    points = loop.shape[1]
    later = np.arange(points) / points  # each pass turns into the next one without a step
    string = (loop[:-1] * (1 - later) + loop[1:] * later).ravel()
    places = np.arange(count) * (frequency * points / rate)
    return np.interp(places, np.arange(len(string)), string)
