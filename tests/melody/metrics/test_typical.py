"""What is typical of real melodies, on melodies made by hand."""

import numpy as np
import pytest

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.typical import (
    TYPICAL,
    commonest_pitch_class,
    full_typicality,
    highest_pitch,
    longest_row,
    lowest_pitch,
    note_counts,
    repeated_pitches,
    typicality,
    wide_leaps,
)

TUNE = [60, 62, 64, 65, 67, 65, 64, 62] * 8
SILENCE = Melody.from_notes([])


def line(pitches):
    """Quarters, one after the other."""
    return Melody.from_notes([(4 * place, 4, pitch) for place, pitch in enumerate(pitches)])


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (note_counts, [4, 4, 1, 0]),
        (repeated_pitches, [0, 2 / 3, 0, 0]),
        (commonest_pitch_class, [2 / 4, 3 / 4, 1, 0]),
        (longest_row, [1, 3, 1, 0]),
        (wide_leaps, [1 / 3, 0, 0, 0]),
        (lowest_pitch, [60, 60, 127, 127]),
        (highest_pitch, [74, 62, 127, 0]),
    ],
)
def test_features_by_hand(feature, values):
    """An interval of 14 semitones and one of an octave; a row of three; one note; silence."""
    batch = [line([60, 74, 62, 61]), line([62, 60, 60, 60]), line([127]), SILENCE]
    assert feature(Melodies.stack(batch)).tolist() == pytest.approx(values)


def test_rows_end_with_their_melody():
    batch = Melodies.stack([line([60, 60]), line([60, 60, 60]), line([60, 62])])
    assert longest_row(batch).tolist() == [2, 3, 1]
    assert repeated_pitches(batch).tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    "pitches",
    [
        [60] * 64,  # a drone
        [*[60, 72] * 20, *TUNE[:20]],  # of one pitch class
        [*[60] * 11, *TUNE[:50]],  # a long row
        [*[48, 62] * 4, *TUNE[:56]],  # leaps of more than an octave
        [36, *TUNE[:60]],
        [91, *TUNE[:60]],
    ],
)
def test_what_few_real_melodies_do_is_not_typical(pitches):
    typical, other = typicality(Melodies.stack([line(TUNE), line(pitches)]))
    assert typical == 1 > other


def test_typicality_grows_towards_the_bounds():
    values = typicality(Melodies.stack([line([*TUNE[:k], *[60] * (64 - k)]) for k in range(65)]))
    assert (np.diff(values) >= 0).all()
    assert values[-1] == 1 > values[0] > 0


def test_full_typicality_is_that_of_the_worst_feature_notes_included():
    """Half of the 34 notes that 98% have at least, or two thirds of the pitches repeated."""
    few, drone = line(TUNE[:17]), line([60, 60, 60, 62] * 16)
    both = line([60, 60, 60, 62] * 4)
    values = full_typicality(Melodies.stack([few, drone, both, line(TUNE[:34]), SILENCE]))
    of_drone = 1 - (0.75 - 0.46) / (1 - 0.46)
    assert values == pytest.approx([0.5, of_drone, min(of_drone, 16 / 34), 1, 0])
    assert typicality(Melodies.stack([few])) == 1


def test_silence_and_nothing():
    assert typicality(Melodies.stack([SILENCE])).tolist() == [0]
    assert typicality(Melodies.stack([])).shape == (0,)


def test_the_excess_over_a_bound_is_a_share_of_the_way_to_the_worst():
    """56% of the intervals may repeat the pitch; a drone of two pitch classes has no more."""
    (row,) = (row for row in TYPICAL if row.feature is repeated_pitches)
    drone, half = line([60] * 64), line([60, 60, 60, 62])
    expected = [1, (2 / 3 - row.bound) / (1 - row.bound), 0]
    assert row.excess(Melodies.stack([drone, half, line(TUNE)])).tolist() == pytest.approx(
        expected
    )
