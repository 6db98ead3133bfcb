"""Statistics of melodies: by hand, and as MusPy has them."""

import math

import numpy as np
import pytest

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.statistics import (
    FEATURES,
    empty_bars,
    empty_beats,
    groove_consistency,
    interval_histogram,
    note_length_histogram,
    notes_per_bar,
    pitch_class_entropy,
    pitch_class_histogram,
    pitch_range,
    pitches_used,
    repeated_bars,
    scale_consistency,
)

PHRASES = {
    "A": [(0, 3, 60), (4, 2, 62), (8, 3, 64), (12, 1, 67)],
    "B": [(0, 2, 69), (3, 3, 67), (8, 5, 66), (14, 1, 62)],
    "C": [(2, 1, 71), (6, 1, 74), (10, 5, 72)],
    "D": [(0, 7, 65), (9, 2, 63)],
    "-": [],
}
SONG = Melody.from_notes(
    [
        (16 * bar + step, length, pitch)
        for bar, name in enumerate("ABAC-ABD--CABABC")
        for step, length, pitch in PHRASES[name]
    ]
)
"""No note of it ends on a beat that nothing follows on, and the last one ends before the end."""

SCALE = [57, 59, 60, 62, 64, 65, 68, 69]
MARCH = Melody.from_notes(
    [
        *(
            (16 * bar + 4 * beat, 4, SCALE[(3 * bar + beat) % 8])
            for bar in range(15)
            if bar % 5 != 3
            for beat in range(3 if bar % 2 == 0 else 4)
        ),
        (240, 16, 57),
    ]
)
"""Every note of it ends on a beat, the last one on the last bar line."""


def value(feature, *notes):
    """A feature of one melody."""
    return feature(Melodies.stack([Melody.from_notes(list(notes))]))[0]


# What MusPy 0.5.0 gives for the files that write_melody makes of the two melodies, read by
# muspy.read_midi and brought to 4 steps a beat by adjust_resolution(4).
@pytest.mark.parametrize(
    ("name", "song", "march"),
    [
        ("pitch_range", 14, 12),
        ("pitches_used", 11, 8),  # muspy.n_pitches_used
        ("pitch_classes_used", 9, 7),  # muspy.n_pitch_classes_used
        ("pitch_class_entropy", 2.8330270857577444, 2.7231255469893796),
        ("scale_consistency", 0.9574468085106383, 0.8333333333333334),
    ],
)
def test_pitches_are_counted_as_muspy_counts_them(name, song, march):
    assert FEATURES[name](Melodies.stack([SONG, MARCH])) == pytest.approx([song, march], abs=1e-12)


@pytest.mark.parametrize(
    ("feature", "muspy"),
    [
        (groove_consistency, 0.7458333333333333),
        (empty_beats, 0.203125),  # muspy.empty_beat_rate
        (empty_bars, 0.1875),  # muspy.empty_measure_rate
    ],
)
def test_time_is_muspys_where_the_last_note_ends_in_the_last_bar(feature, muspy):
    assert feature(Melodies.stack([SONG]))[0] == pytest.approx(muspy, abs=1e-12)


def test_muspy_counts_a_bar_more_where_the_last_note_ends_on_the_bar_line():
    march = Melodies.stack([MARCH])
    # MusPy's 17th bar is silent, and differs from the 16th in one step of 16.
    assert (groove_consistency(march)[0] * 15 + 15 / 16) / 16 == pytest.approx(0.87890625)
    # To MusPy, a note that ends on a line sounds in the bar and the beat behind it: of the 3
    # silent bars it calls one sounding, and the 17th too; of the 19 silent beats 8, and the 65th.
    assert (empty_bars(march)[0] * 16 - 1) / 17 == pytest.approx(0.11764705882352944)
    assert (empty_beats(march)[0] * 64 - 8) / 65 == pytest.approx(0.16923076923076918)


def test_histograms_by_hand():
    notes = [(0, 1, 60), (1, 2, 64), (8, 16, 76), (32, 20, 90), (64, 15, 77)]
    classes = value(pitch_class_histogram, *notes)
    assert np.flatnonzero(classes).tolist() == [0, 4, 5, 6]
    assert classes[[0, 4, 5, 6]] == pytest.approx([1 / 5, 2 / 5, 1 / 5, 1 / 5])
    intervals = value(interval_histogram, *notes)  # 4, 12, 14 and -13
    assert intervals.shape == (25,)
    assert np.flatnonzero(intervals).tolist() == [0, 16, 24]
    assert intervals[[0, 16, 24]] == pytest.approx([1 / 4, 1 / 4, 2 / 4])
    lengths = value(note_length_histogram, *notes)
    assert lengths.shape == (16,)
    assert np.flatnonzero(lengths).tolist() == [0, 1, 14, 15]
    assert lengths[[0, 1, 14, 15]] == pytest.approx([1 / 5, 1 / 5, 1 / 5, 2 / 5])


def test_single_numbers_by_hand():
    notes = [(0, 4, 60), (4, 4, 61), (8, 4, 72), (64, 4, 61)]
    assert value(notes_per_bar, *notes) == 4 / 16
    assert value(pitch_range, *notes) == 12
    assert value(pitches_used, *notes) == 3
    assert value(pitch_class_entropy, *notes) == 1.0
    assert value(scale_consistency, *notes) == 1.0  # C and C sharp: D flat major
    assert value(pitch_class_entropy, *((4 * p, 4, 60 + p) for p in range(12))) == pytest.approx(
        math.log2(12)
    )
    chromatic = [(4 * p, 4, 60 + p) for p in range(12)]
    assert value(scale_consistency, *chromatic) == pytest.approx(7 / 12)


def test_a_minor_scale_is_a_scale():
    harmonic = [57, 59, 60, 62, 64, 65, 68]  # a minor with its leading note
    assert value(scale_consistency, *((4 * i, 4, p) for i, p in enumerate(harmonic))) == 6 / 7


@pytest.mark.parametrize(
    ("bars", "share"),
    [
        ("ABCDABCDABCDABCD", 12 / 16),
        ("AAAAAAAAAAAAAAAA", 15 / 16),
        ("ABCD------------", 0),  # bars without a note do not count
        ("AB-A--B---------", 2 / 4),
        ("A---------------", 0),
    ],
)
def test_repeated_bars_by_hand(bars, share):
    notes = [
        (16 * bar + step, length, pitch)
        for bar, name in enumerate(bars)
        for step, length, pitch in PHRASES[name]
    ]
    assert value(repeated_bars, *notes) == share


def test_a_bar_repeats_another_only_event_for_event():
    assert value(repeated_bars, (0, 4, 60), (16, 4, 60)) == 1 / 2
    assert value(repeated_bars, (0, 4, 60), (16, 5, 60)) == 0
    assert value(repeated_bars, (0, 4, 60), (16, 4, 61)) == 0
    assert value(repeated_bars, (0, 4, 60), (17, 4, 60)) == 0
    assert value(repeated_bars, (0, 4, 60), (16, 20, 60), (36, 20, 60)) == 0
    # a bar that only holds a note is none in which one starts
    assert value(repeated_bars, (0, 48, 60), (64, 48, 60)) == 1 / 2


def test_groove_and_emptiness_by_hand():
    assert value(groove_consistency, (0, 4, 60), (16, 4, 60)) == pytest.approx(1 - 1 / 240)
    assert value(groove_consistency, (0, 4, 60), (17, 4, 60)) == pytest.approx(1 - 3 / 240)
    assert value(empty_beats, (0, 5, 60), (14, 4, 60)) == 60 / 64  # beats 1, 2, 4 and 5 sound
    assert value(empty_bars, (0, 17, 60), (32, 16, 60)) == 13 / 16


def test_silence_has_zeros_and_nothing_in_it_differs():
    silence = Melodies.stack([Melody.from_notes([])])
    ones = {"groove_consistency", "empty_bars", "empty_beats"}
    for name, feature in FEATURES.items():
        assert (feature(silence) == (name in ones)).all(), name


@pytest.mark.parametrize("name", FEATURES)
def test_a_batch_has_the_values_of_its_melodies(name, some_melodies):
    mixed = [SONG, MARCH, Melody.from_notes([]), Melody.from_notes([(0, 1, 0)]), *some_melodies]
    alone = [FEATURES[name](Melodies.stack([melody]))[0] for melody in mixed]
    found = FEATURES[name](Melodies.stack(mixed))
    assert found.dtype == np.float64
    assert found == pytest.approx(np.stack(alone), rel=1e-12)
    assert FEATURES[name](Melodies.stack([])).shape == (0, *found.shape[1:])


@pytest.mark.parametrize("name", [name for name in FEATURES if name != "pitch_class_histogram"])
def test_all_but_the_pitch_classes_are_the_same_in_every_key(name):
    higher = Melodies(np.where(SONG.events < 128, SONG.events + 5, SONG.events)[None])
    assert FEATURES[name](higher)[0] == pytest.approx(FEATURES[name](Melodies.stack([SONG]))[0])


@pytest.mark.parametrize(
    "feature", [pitch_class_histogram, interval_histogram, note_length_histogram]
)
def test_histograms_sum_to_one(feature, some_melodies):
    assert feature(some_melodies).sum(1) == pytest.approx(np.ones(12))
