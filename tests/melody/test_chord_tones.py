"""Notes on the tones of chords, by hand."""

import numpy as np
import pytest

from melodyconstraints.melody.chord_tones import Progression, on_chords
from melodyconstraints.melody.events import Melodies, Melody

C, G = frozenset({0, 4, 7}), frozenset({7, 11, 2})


def moved(notes, *chords, **options):
    """Pitches of ``(onset, duration, pitch)`` notes after they are moved."""
    tune = Melody.from_notes(notes)
    found = on_chords(Melodies.stack([tune]), Progression(chords, **options))[0]
    assert found.onsets.tolist() == tune.onsets.tolist()
    return found.pitches.tolist()


def test_each_note_goes_to_the_nearest_tone():
    notes = [(4 * i, 4, pitch) for i, pitch in enumerate((61, 63, 66, 69))]
    assert moved(notes, C) == [60, 64, 67, 67]


def test_of_two_tones_as_near_the_one_in_the_direction_of_the_line():
    """D is between C and E."""
    assert moved([(0, 4, 60), (4, 4, 62), (8, 4, 64)], C) == [60, 64, 64]
    assert moved([(0, 4, 64), (4, 4, 62), (8, 4, 60)], C) == [64, 60, 60]


def test_a_bar_has_its_chord_and_the_first_comes_again_after_the_last():
    notes = [(16 * bar, 16, 65) for bar in range(5)]
    assert moved(notes, C, G) == [64, 67, 64, 67, 64]


def test_the_strongest_and_longest_notes_move_first_and_no_more_than_asked():
    notes = [(0, 2, 61), (2, 2, 61), (4, 2, 61), (8, 2, 61), (12, 4, 61)]
    assert moved(notes, C, share=0.2) == [60, 61, 61, 61, 61]
    assert moved(notes, C, share=0.4) == [60, 61, 61, 60, 61]
    assert moved(notes, C, share=0.6) == [60, 61, 61, 60, 60]  # the longer of two beats
    assert moved(notes, C, share=0.0) == [61] * 5


def test_where_enough_notes_are_tones_none_moves():
    assert moved([(0, 4, 60), (4, 4, 61), (8, 8, 64)], C, share=0.6) == [60, 61, 64]


def test_notes_of_bars_that_stay_count_and_others_move_for_them():
    tune = Melody.from_notes([(0, 8, 61), (8, 8, 60), (16, 8, 61), (24, 8, 61)])
    progression = Progression([C], share=0.75)
    for stay, pitches in (
        ((), [60, 60, 60, 61]),
        ([1], [61, 60, 60, 60]),
        ([2], [60, 60, 61, 61]),
        ([1, 2], [61, 60, 61, 61]),
    ):
        (found,) = on_chords(Melodies.stack([tune]), progression, stay)
        assert found.pitches.tolist() == pitches


def test_notes_between_beats_stay_where_beats_are_meant():
    notes = [(0, 2, 61), (2, 2, 61), (4, 4, 61)]
    assert moved(notes, C, on_beats=True) == [60, 61, 60]


def test_of_an_empty_chord_nothing_is_asked():
    assert moved([(0, 16, 61), (16, 16, 61)], frozenset(), C) == [61, 60]


@pytest.mark.parametrize("pitch", [0, 1, 126, 127])
def test_at_the_ends_a_note_goes_to_the_tone_that_there_is(pitch):
    (found,) = moved([(0, 4, pitch)], frozenset({5}))
    assert found == (5 if pitch < 60 else 125)


def test_silence_and_no_melody_stay():
    silence = Melodies.stack([Melody.from_notes([])])
    assert np.array_equal(on_chords(silence, Progression([C])).events, silence.events)
    assert len(on_chords(silence[:0], Progression([C]))) == 0


def test_melodies_do_not_look_at_each_other(some_melodies):
    together = on_chords(some_melodies, Progression([C, G], share=0.7))
    for row, melody in enumerate(some_melodies):
        alone = on_chords(Melodies.stack([melody]), Progression([C, G], share=0.7))
        assert np.array_equal(together.events[row], alone.events[0])
