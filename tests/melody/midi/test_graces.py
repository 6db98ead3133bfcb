"""Grace notes of a few ticks and of none: main notes stay on their steps, real notes stay."""

import mido
import numpy as np
import pytest

from melodyconstraints.melody.midi.graces import without_graces
from melodyconstraints.melody.midi.selection import read_melody


def kept(notes, ticks_per_quarter=480):
    """What is left of (start, end, pitch)."""
    columns = np.array(sorted(notes), np.int64).reshape(-1, 3).T
    columns = without_graces(*map(np.ascontiguousarray, columns), ticks_per_quarter)
    return [tuple(map(int, note)) for note in zip(*columns, strict=True)]


MAIN = (480, 960, 60)


@pytest.mark.parametrize(
    "grace",
    [
        (475, 480, 62),
        (450, 480, 62),
        (450, 465, 62),  # a gap between the two
        (460, 485, 62),  # into the main note
        (440, 480, 72),  # an octave above
        (436, 480, 59),  # one tick less than 45, half-way between a 64th and a 32nd
        (421, 450, 62),  # one tick less than half a step before
    ],
)
def test_a_short_note_into_a_longer_one_is_a_grace_note(grace):
    assert kept([grace, MAIN]) == [MAIN]
    assert kept([(0, 400, 55), grace, MAIN]) == [(0, 400, 55), MAIN]


@pytest.mark.parametrize(
    "note",
    [
        (435, 480, 62),  # nearer a 32nd than a 64th
        (420, 440, 62),  # half a step before: staccato
        (470, 491, 62),  # sounds more together with the main note than before it
        (480, 500, 62),  # starts with it
        (450, 480, 73),  # more than an octave above
    ],
)
def test_other_short_notes_stay(note):
    assert kept([note, MAIN]) == sorted([note, MAIN])


@pytest.mark.parametrize(
    ("name", "length", "distance"),
    [("32nds", 60, 60), ("32nds, staccato", 20, 60), ("64ths", 30, 30), ("a tremolo", 15, 20)],
)
def test_notes_of_a_run_stay(name, length, distance):
    run = [(480 + distance * i, 480 + distance * i + length, 60 + i % 5) for i in range(16)]
    assert kept(run) == run, name


def test_staccato_quarters_of_a_few_ticks_stay():
    quarters = [(480 * beat, 480 * beat + 10, 60 + beat) for beat in range(8)]
    assert kept(quarters) == quarters


def test_the_main_note_lasts_twice_as_long():
    assert kept([(0, 20, 62), (20, 59, 60)]) == [(0, 20, 62), (20, 59, 60)]
    assert kept([(0, 20, 62), (20, 60, 60)]) == [(20, 60, 60)]


def test_a_broken_chord_and_a_chord_played_short_stay():
    broken = [(10 * i, 480, 60 + 4 * i) for i in range(4)]
    short = [(10 * i, 10 * i + 40, 60 + 4 * i) for i in range(3)]
    assert (kept(broken), kept(short)) == (broken, short)


def test_several_grace_notes_go():
    assert kept([(432, 448, 64), (448, 464, 62), (464, 480, 64), MAIN]) == [MAIN]
    assert kept([(460, 480, 64), (460, 480, 67), MAIN]) == [MAIN]


def test_the_main_note_is_the_highest_of_its_onset():
    """The lower one is short: a grace note of the higher all the same."""
    chord = [(480, 520, 48), (480, 960, 60)]
    assert kept([(450, 480, 62), *chord]) == chord
    chord = [(480, 520, 60), (480, 960, 48)]
    assert kept([(450, 480, 62), *chord]) == [(450, 480, 62), *chord]


NONE = 10, 10, 61


@pytest.mark.parametrize(
    ("name", "notes", "left"),
    [
        ("at the same tick", [NONE, (10, 490, 60)], [(10, 490, 60)]),
        ("59 ticks before", [NONE, (69, 480, 60)], [(69, 480, 60)]),
        ("before a note as short", [NONE, (11, 12, 60)], [(11, 12, 60)]),
        ("far from its pitch", [NONE, (10, 490, 30)], [(10, 490, 30)]),
        ("60 ticks, half a step, before", [NONE, (70, 480, 60)], [(10, 11, 61), (70, 480, 60)]),
        ("two", [NONE, (10, 10, 62), (10, 490, 60)], [(10, 490, 60)]),
        ("nothing follows", [(0, 9, 60), NONE], [(0, 9, 60), (10, 11, 61)]),
        ("only others follow", [NONE, (20, 20, 60)], [(10, 11, 61), (20, 21, 60)]),
        ("nothing at all", [], []),
    ],
)
def test_a_note_of_no_length_goes_where_a_note_with_length_follows(name, notes, left):
    assert kept(notes) == left, name


@pytest.mark.parametrize("ticks_per_quarter", [24, 96, 480, 960])
@pytest.mark.parametrize("polyphony", ["skyline", "onset"])
@pytest.mark.parametrize("early", [True, False])
def test_grace_notes_leave_a_melody_as_it_is(tmp_path, ticks_per_quarter, polyphony, early):
    """64 quarters; a 24th of a quarter before each, or in its place on the beat, a tone higher."""
    length = ticks_per_quarter // 24
    pitches = [60 + 2 * (beat % 7) for beat in range(64)]
    track = mido.MidiTrack()
    now = 0
    for beat, pitch in enumerate(pitches, 1):  # the first bar begins with a rest of a quarter
        main = beat * ticks_per_quarter + (0 if early else length)
        end = (beat + 1) * ticks_per_quarter - (length if early else 0)
        notes = [(main - length, "note_on", pitch + 2), (main, "note_off", pitch + 2)]
        for tick, kind, which in [*notes, (main, "note_on", pitch), (end, "note_off", pitch)]:
            track.append(mido.Message(kind, note=which, time=tick - now))
            now = tick
    path = tmp_path / "tune.mid"
    mido.MidiFile(type=1, ticks_per_beat=ticks_per_quarter, tracks=[track]).save(path)
    melody = read_melody(path, polyphony=polyphony, bar=1).melody
    assert melody.onsets.tolist() == [4 * beat for beat in range(1, 64)]
    assert melody.pitches.tolist() == pitches[:63]
