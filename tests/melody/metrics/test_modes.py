"""The mode finder on melodies written by hand, and tonal weights computed by hand."""

import numpy as np
import pytest

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.modes import (
    MODES,
    PROFILES,
    STABILITY,
    correlations,
    degree_likeness,
    degree_shares,
    find_modes,
    sounding_times,
    tonal_weights,
)

SILENCE = Melody.from_notes([])
PHRASES = [0, 4, 2, 3, 4, 2, 1, 4], [0, 2, 4, 5, 6, 4, 3, 0], [4, 3, 2, 0, 1, 6, 4, 0]
"""Degrees of three phrases, in which all seven sound."""


def tune(mode, tonic=0):
    """The phrases and the first again, four bars each, in a mode on a tonic."""
    degrees = [*PHRASES[0], *PHRASES[1], *PHRASES[2], *PHRASES[0][:7], 0]
    steps = MODES[mode]
    return Melody.from_notes(
        [(8 * n, 8, 60 + tonic + steps[degree]) for n, degree in enumerate(degrees)]
    )


def test_the_modes_are_the_white_keys_from_each_of_them_on():
    white = {0, 2, 4, 5, 7, 9, 11}
    for tonic, steps in zip(sorted(white), MODES.values(), strict=True):
        assert {(tonic + step) % 12 for step in steps} == white


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tonic", [0, 5, 11])
def test_a_tune_in_a_mode_is_named(mode, tonic):
    assert find_modes(Melodies.stack([tune(mode, tonic)])) == [(tonic, mode)]


def test_on_the_same_white_keys_the_ends_of_phrases_tell():
    even = [*[60, 62, 64, 65, 67, 69, 71] * 4, 64]
    tunes = [
        Melody.from_notes([(8 * n, 8, p) for n, p in enumerate([*even, last])])
        for last in (60, 62, 69)
    ]
    named = [(0, "ionian"), (2, "dorian"), (9, "aeolian")]
    assert find_modes(Melodies.stack(tunes)) == named


def test_a_batch_is_named_like_its_melodies_and_silence_has_no_mode():
    tunes = [tune("dorian", 2), SILENCE, tune("lydian", 5)]
    assert find_modes(Melodies.stack(tunes)) == [(2, "dorian"), None, (5, "lydian")]
    assert find_modes(Melodies.stack([])) == []


def test_tonal_weights_by_hand():
    melody = Melody.from_notes([(0, 6, 60), (60, 2, 74), (64, 8, 67), (128, 4, 60)])
    expected = np.zeros(12)
    # 20 steps sound; bars 4, 8 and 12 end on D, G and C, the last four are silent
    expected[[0, 2, 7]] = np.array([10, 2, 8]) / 20 + np.array([0.2, 0, 0]) + 0.1 / 3
    weights = tonal_weights(Melodies.stack([melody, SILENCE]))
    np.testing.assert_allclose(weights, [expected / 1.3, np.zeros(12)])
    assert sounding_times(Melodies.stack([melody]))[0, [0, 2, 7]].tolist() == [10, 2, 8]


def test_stability_is_the_mean_over_the_modes_that_have_a_semitone():
    np.testing.assert_allclose(PROFILES.sum(axis=1), 1)
    second, fourth, fifth = PROFILES[0, [2, 5, 7]]
    assert STABILITY[[1, 2]] == pytest.approx([second, second])
    assert STABILITY[6] == pytest.approx((fourth + fifth) / 2)  # lydian's fourth, locrian's fifth


def test_shares_of_degrees_are_of_the_time_that_they_sound():
    """A D of half a bar and an E of a whole one, and silence."""
    melodies = Melodies.stack([Melody.from_notes([(0, 8, 62), (16, 16, 64)]), SILENCE])
    shares = degree_shares(melodies, [2, 4, 5])
    np.testing.assert_allclose(shares, [[1 / 3, 2 / 3, 0], [0, 0, 0]])


def test_correlations_are_those_of_numpy():
    rows, profile = np.random.default_rng(3).random((5, 7)), np.arange(7.0)
    expected = [np.corrcoef(row, profile)[0, 1] for row in rows]
    np.testing.assert_allclose(correlations(rows, profile), expected)
    assert correlations(np.ones((1, 7)), profile) == 0


@pytest.mark.parametrize("mode", MODES)
def test_degrees_are_weighed_from_the_tonic(mode):
    """Of a tune in which each degree sounds, the tonic longest, only its own tonic fits."""
    steps = MODES[mode]
    degrees = [0, 4, 0, 2, 0, 1, 4, 2, 3, 5, 6, 0]
    tune = Melody.from_notes([(8 * n, 8, 60 + steps[one]) for n, one in enumerate(degrees)])
    melodies = Melodies.stack([tune, SILENCE])
    likeness, silent = degree_likeness(melodies, steps)
    assert silent == 0
    for start in range(1, 7):
        turned = [*steps[start:], *steps[:start]]
        assert degree_likeness(melodies, turned)[0] < likeness


def test_in_a_scale_that_is_no_mode_the_tonic_is_to_sound_twice_as_long():
    even = [(8 * n, 8, 69 + up) for n, up in enumerate([0, 3, 5, 7, 10])]
    twice = Melody.from_notes([*even, (48, 8, 69)])
    other = Melody.from_notes([*even, (48, 8, 72)])
    likeness = degree_likeness(
        Melodies.stack([twice, Melody.from_notes(even), other]), [9, 0, 2, 4, 7]
    )
    np.testing.assert_allclose(likeness, [1, 0, 0], atol=1e-9)
