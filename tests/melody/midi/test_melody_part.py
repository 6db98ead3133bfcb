"""Names and notes of melodies, and of what is none."""

import numpy as np
import pytest

from melodyconstraints.melody.midi.melody_part import has_chords, name_rank, unlikeness
from melodyconstraints.melody.midi.parsed import Part

QUARTER = 480


def part(notes, name=""):
    """A part from (start, end, pitch), in quarters."""
    starts, ends, pitches = np.array(sorted(notes), float).T
    times = (starts * QUARTER).astype(int), (ends * QUARTER).astype(int)
    return Part(name, 0, False, *times, pitches.astype(int))


def pairs(steps: float) -> list[tuple[float, float, int]]:
    """Ten pairs of very short notes, so many steps (sixteenths) apart."""
    return [
        (i + n * steps / 4, i + n * steps / 4 + 0.01, 60 + n) for i in range(10) for n in (0, 1)
    ]


SCALE = [(i, i + 1, 60 + i) for i in range(20)]


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("Melody", 0),
        ("MELODY 1", 0),
        ("main_melody", 0),
        ("Mélodie", 0),
        ("Lead Vocals", 1),
        ("vox", 1),
        ("Voice", 1),
        ("Violin (Solo)", 1),
        ("Square Lead", 1),
        ("Backing Vocals", 2),
        ("Vocal Pads", 2),
        ("Bass Lead", 2),
        ("Harmony melody", 2),
        ("Leader", 2),
        ("Melodyne", 2),
        ("Piano", 2),
        ("", 2),
    ],
)
def test_names_of_melodies(name, rank):
    assert name_rank(part(SCALE, name)) == rank


@pytest.mark.parametrize(
    ("what", "notes", "chords"),
    [
        ("one note", SCALE[:1], False),
        ("one after another", SCALE, False),
        ("legato, a sixteenth over the next", [(s, e + 0.25, p) for s, e, p in SCALE], False),
        ("held into the next", [(s, e + 0.5, p) for s, e, p in SCALE], True),
        ("chords", [(s, e, p + third) for s, e, p in SCALE for third in (0, 4)], True),
        ("short chords", [(s, s + 0.1, p + 4 * i) for s, _, p in SCALE for i in (0, 1)], True),
        ("less than half a step apart", pairs(0.4), True),
        ("half a step apart", pairs(0.5), False),
        ("more than half a step apart", pairs(0.6), False),
        ("a chord at the end", [*SCALE, (19, 20, 84)], False),
        ("a drone under it", [(0, 20, 48), *SCALE], True),
    ],
)
def test_a_part_with_chords_plays_several_notes_at_a_time(what, notes, chords):
    assert has_chords(part(notes), QUARTER) is chords, what


def test_a_tenth_of_the_notes_may_be_in_chords():
    tenth = [(i, i + 1, 60) for i in range(18)] + [(0, 1, 72), (1, 2, 72)]
    assert not has_chords(part(tenth), QUARTER)
    assert has_chords(part([*tenth, (2, 3, 72)]), QUARTER)


def test_the_least_unlike_is_the_highest_voice_that_is_no_bass_and_has_no_chords():
    moved = {name: [(s, e, p + by) for s, e, p in SCALE] for name, by in (("low", -30), ("up", 9))}
    chords = [(s, e, p + add) for s, e, p in SCALE for add in (12, 16)]
    parts = {
        "chords": part(chords),
        "bass": part(moved["low"]),
        "alto": part(SCALE),
        "soprano": part(moved["up"]),
        "bass chords": part([(s, e, p - 40) for s, e, p in chords]),
    }
    order = sorted(parts, key=lambda name: unlikeness(parts[name], QUARTER))
    assert order == ["soprano", "alto", "chords", "bass", "bass chords"]


@pytest.mark.parametrize(("pitch", "bass"), [(54, True), (55, False)])
def test_a_bass_lies_below_the_violin(pitch, bass):
    assert unlikeness(part([(0, 1, pitch)]), QUARTER) == (bass, False, -pitch)
