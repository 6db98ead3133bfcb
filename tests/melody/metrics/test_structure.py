"""Measures of how melodies are built: by hand."""

import zlib

import numpy as np
import pytest

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.classifier import auc
from melodyconstraints.melody.metrics.structure import (
    STRUCTURE,
    bar_similarities,
    common_pitch_classes,
    compression_ratio,
    four_bar_entropy,
    groove_similarity,
    leaps,
    one_bar_entropy,
    register_jump,
    repeated_rhythms,
    similarity_error,
    steps,
    steps_between_bars,
    structure,
    two_commonest_pitch_classes,
)

SILENCE = Melodies.stack([Melody.from_notes([])])
FIRST, SECOND = [(0, 4, 60), (4, 4, 62)], [(0, 4, 60), (4, 4, 64)]


def of_bars(*bars):
    """A batch of one melody, whose bars are lists of notes."""
    notes = [(16 * bar + step, *rest) for bar, own in enumerate(bars) for step, *rest in own]
    return Melodies.stack([Melody.from_notes(notes)])


def test_bars_are_similar_by_the_notes_that_they_share():
    similarities = bar_similarities(of_bars(FIRST, SECOND, FIRST))
    # one note of three, twice, among the 15 pairs of neighbours; and an equal pair among 14
    assert similarities == pytest.approx(np.array([[2 / 3 / 15, 1 / 14, *[0] * 13]]))
    # a note is the same at its place and pitch, however long
    longer = of_bars([(0, 4, 60)], [(0, 9, 60)], [(1, 4, 60)])
    assert bar_similarities(longer)[0, :2] == pytest.approx([1 / 15, 0])


def test_the_similarity_error_is_the_mean_difference_over_the_lags():
    melody = of_bars(FIRST, SECOND, FIRST)
    both = Melodies(np.concatenate([melody.events, SILENCE.events]))
    assert similarity_error(SILENCE, melody) == pytest.approx((2 / 3 / 15 + 1 / 14) / 15)
    assert similarity_error(melody, both) == pytest.approx((2 / 3 / 15 + 1 / 14) / 30)
    assert similarity_error(melody, melody) == 0
    assert structure(both, SILENCE)["similarity_error"] == similarity_error(SILENCE, both)
    assert list(structure(both)) == list(STRUCTURE)
    assert structure(both)["register_jump"] == register_jump(both).mean()


@pytest.mark.parametrize(
    ("measure", "bars", "expected"),
    [
        (repeated_rhythms, [FIRST, SECOND, [], FIRST], 2 / 3),
        (repeated_rhythms, [FIRST, [(0, 4, 60), (4, 5, 64)]], 0),
        (register_jump, [FIRST, [(0, 4, 65)], [], FIRST, [(3, 4, 68)]], (4 + 7) / 2),
        (register_jump, [FIRST, [], FIRST], 0),
        (one_bar_entropy, [[(0, 1, 60), (4, 1, 67), (8, 1, 72), (9, 1, 55)], [(0, 1, 48)]], 0.5),
        # the first window has C three times in five, the second C alone, the others nothing
        (
            four_bar_entropy,
            [[(0, 1, 60), (4, 1, 67), (8, 1, 72), (9, 1, 55)], [(0, 1, 48)]],
            -(0.6 * np.log2(0.6) + 0.4 * np.log2(0.4)) / 2,
        ),
        (groove_similarity, [[(0, 4, 60)]], 1 - 15 / 120 / 16),
        (groove_similarity, [[(0, 4, 60)], [(1, 4, 60)]], 1 - (14 + 14 + 2) / 120 / 16),
        (two_commonest_pitch_classes, [FIRST, FIRST, SECOND, [(0, 1, 69)]], (3 + 2) / 7),
        (common_pitch_classes, [[(step, 1, 60) for step in range(16)]] * 3 + [FIRST], 1 + 1),
        (common_pitch_classes, [[(step, 1, 60) for step in range(16)]] * 4 + [FIRST], 1),
        (steps, [[(0, 1, 60), (1, 1, 61), (2, 1, 59), (3, 1, 62), (4, 1, 62)]], 2 / 4),
        (leaps, [[(0, 1, 60), (1, 1, 65), (2, 1, 61), (3, 1, 41), (4, 1, 42)]], 2 / 4),
        (steps_between_bars, [FIRST, SECOND, [], [(0, 1, 69), (1, 1, 70)]], 1 / 2),
        (steps_between_bars, [[(0, 1, 60), (1, 1, 61)]], 0),
    ],
)
def test_measures_by_hand(measure, bars, expected):
    assert measure(of_bars(*bars)) == pytest.approx([expected])


def test_a_melody_that_repeats_is_compressed_the_more(some_melodies):
    assert compression_ratio(SILENCE) == 256 / len(zlib.compress(bytes([129] * 256)))
    once = some_melodies.events.copy()
    once[:, 128:] = once[:, :128]
    assert (compression_ratio(Melodies(once)) > 1.5 * compression_ratio(some_melodies)).all()


def test_nothing_in_silence_differs():
    values = structure(SILENCE)
    assert values.pop("compression_ratio") > 10
    assert values.pop("groove_similarity") == 1
    assert set(values.values()) == {0}


@pytest.mark.parametrize("name", STRUCTURE)
def test_a_batch_has_the_values_of_its_melodies(name, some_melodies):
    mixed = Melodies(np.concatenate([SILENCE.events, some_melodies.events]))
    alone = [STRUCTURE[name](mixed[row : row + 1])[0] for row in range(len(mixed))]
    assert STRUCTURE[name](mixed) == pytest.approx(np.array(alone), rel=1e-12)


def test_a_classifier_tells_sets_apart_that_differ_in_one_measure(rng):
    events = np.where(rng.random((60, 256)) < 0.3, rng.integers(50, 80, (60, 256)), 128)
    events[30:, 128:] = events[30:, :128]
    assert auc(Melodies(events[:30]), Melodies(events[30:])) > 0.9
