"""A melody on the staff is the melody, and a key signature moves only what it alters."""

import numpy as np
import pytest

from melodyconstraints.melody.events import HOLD, PITCHES, REST
from melodyconstraints.melody.keys import find_keys
from melodyconstraints.melody.vae.staff.notation import (
    LINES,
    REACH,
    TOKEN_HOLD,
    TOKEN_REST,
    TOKENS,
    events_of_tokens,
    find_mode_degrees,
    from_staff,
    place_degrees,
    to_staff,
)

SCALE_UP = [60, 62, 64, 65, 67, 69, 71, 72]


def melody(pitches: list[int]) -> np.ndarray:
    """One melody of these notes, each a step long, then silence."""
    events = np.full((1, 256), REST, np.uint8)
    events[0, : len(pitches)] = pitches
    return events


def test_random_melodies_come_back_from_the_staff(some_melodies):
    events = some_melodies.events
    assert np.array_equal(from_staff(to_staff(events)), events)


@pytest.mark.parametrize("tonic", range(12))
def test_a_major_scale_is_found_and_has_no_raised_note(tonic):
    events = melody([pitch + tonic for pitch in SCALE_UP])
    staff = to_staff(events)
    assert staff.keys.tolist() == [tonic]
    steps = staff.tokens[0, :8]
    assert (steps < LINES).all()
    assert np.diff(steps).tolist() == [1] * 7


def test_the_relative_minor_has_the_signature_of_its_major():
    assert find_keys(melody([69, 71, 72, 74, 76, 77, 79, 81])).tolist() == [0]


def test_tokens_count_scale_steps_from_the_place():
    staff = to_staff(melody([60, 64, 66]), keys=np.array([0]), places=np.array([35]))
    # C5 is line 35 + 0 steps: line 35 is pitch 60, E two steps up, F sharp three and raised
    assert staff.tokens[0, :3].tolist() == [REACH, REACH + 2, LINES + REACH + 3]
    assert staff.tokens[0, 3] == TOKEN_REST
    assert staff.degrees.tolist() == [0]


def test_another_signature_moves_only_the_notes_that_it_alters():
    staff = to_staff(melody(SCALE_UP), keys=np.array([0]))
    in_g = from_staff(staff._replace(keys=np.array([7])))
    assert in_g[0, :8].tolist() == [60, 62, 64, 66, 67, 69, 71, 72]
    in_f = from_staff(staff._replace(keys=np.array([5])))
    assert in_f[0, :8].tolist() == [60, 62, 64, 65, 67, 69, 70, 72]


def test_another_place_moves_all_notes_by_steps_of_the_scale():
    staff = to_staff(melody(SCALE_UP), keys=np.array([0]))
    moved = from_staff(staff._replace(places=staff.places + 1))
    assert moved[0, :8].tolist() == [*SCALE_UP[1:], 74]


def test_a_transposed_melody_has_the_same_tokens():
    one, other = to_staff(melody(SCALE_UP)), to_staff(melody([p + 5 for p in SCALE_UP]))
    assert np.array_equal(one.tokens, other.tokens)


def test_notes_beyond_the_reach_move_by_octaves():
    staff = to_staff(melody([0, 127]), keys=np.array([0]), places=np.array([35]))
    assert (staff.tokens[0, :2] < TOKEN_HOLD).all()
    back = from_staff(staff)[0, :2]
    assert (back % 12).tolist() == [0, 7]


def test_every_token_stands_for_an_event():
    keys, places = np.repeat(np.arange(12), 76), np.tile(np.arange(76), 12)
    events = events_of_tokens(keys, places)
    assert events.shape == (12 * 76, TOKENS)
    assert events[:, :TOKEN_HOLD].min() >= 0
    assert events[:, :TOKEN_HOLD].max() < PITCHES
    assert (events[:, TOKEN_HOLD] == HOLD).all()
    assert (events[:, TOKEN_REST] == REST).all()


def test_silence_stands_on_the_staff_too():
    events = melody([])
    assert np.array_equal(from_staff(to_staff(events)), events)


def test_degrees_count_from_the_tonic_of_the_mode():
    keys, places = np.array([0, 7, 2, 0]), np.array([35, 35, 36, 35])
    assert place_degrees(keys, places, np.array([0, 0, 0, 1])).tolist() == [0, 3, 0, 6]


@pytest.mark.parametrize(
    ("key", "mode", "tune"),
    [
        (0, 0, [60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60]),
        (0, 1, [62, 64, 65, 67, 69, 71, 69, 65, 62, 60, 62]),
        (0, 5, [69, 71, 72, 74, 76, 72, 71, 69, 64, 69]),
        (7, 4, [62, 64, 66, 67, 69, 71, 72, 69, 66, 62]),
    ],
)
def test_the_mode_is_the_degree_that_the_melody_stands_on(key, mode, tune):
    assert find_mode_degrees(melody(tune), np.array([key])).tolist() == [mode]


def test_a_long_note_weighs_more_than_short_ones_and_silence_is_major():
    long_a = melody([HOLD if 0 < step < 8 else 69 for step in range(9)])
    long_a[0, 8:12] = [60, 67, 60, 64]
    tunes = np.concatenate([long_a, melody([])])
    assert find_mode_degrees(tunes, np.zeros(2, int)).tolist() == [5, 0]
