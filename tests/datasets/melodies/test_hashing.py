"""Hashes of melodies: against mmh3, against what transposition means, and against Python's set."""

import mmh3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodyconstraints.datasets.melodies.hashing import (
    KEYS,
    HashSet,
    check_unique,
    exact_hashes,
    mixed,
    murmur3,
    transposed_hashes,
)
from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import HOLD, PITCHES, REST, Melody

STEPS = 256
TUNE = Melody.from_notes([(0, 4, 60), (4, 4, 64), (8, 8, 55), (32, 4, 72)]).events

pytestmark = pytest.mark.usefixtures("both_ways")


def hex_of(hashes):
    """Each row as the bytes that a store keeps."""
    return [row.tobytes().hex() for row in hashes.astype("<u8")]


@pytest.mark.parametrize("words", [0, 2, 4, 32, 66])
def test_murmur3_is_mmh3s(rng, words):
    rows = rng.integers(0, 2**64, (50, words), np.uint64)
    expected = [mmh3.hash_bytes(row.astype("<u8").tobytes(), 0, True).hex() for row in rows]
    assert hex_of(murmur3(rows)) == expected


@pytest.mark.parametrize("word", [0, 1, 2**63, 2**64 - 1])
def test_murmur3_of_extreme_words_is_mmh3s(word):
    rows = np.full((1, 32), word, np.uint64)
    assert hex_of(murmur3(rows)) == [mmh3.hash_bytes(rows.astype("<u8").tobytes(), 0, True).hex()]


def test_the_hash_of_a_melody_is_mmh3s_of_its_256_bytes(rng):
    events = rng.integers(0, REST + 1, (20, STEPS)).astype(np.uint8)
    hashes = exact_hashes(events)
    assert (hashes.shape, hashes.dtype) == ((20, 2), np.uint64)
    assert hex_of(hashes) == [mmh3.hash_bytes(row.tobytes(), 0, True).hex() for row in events]
    assert hex_of(exact_hashes(events[::3])) == hex_of(hashes)[::3]
    assert exact_hashes(events[:0]).shape == (0, 2)


def test_the_hash_of_a_melody_stays_what_it_was():
    """Stores are joined by this column, so it must not change from version to version."""
    assert hex_of(exact_hashes(TUNE[None])) == ["5ea70e7ff50805b3ac21d5187553138a"]


def test_mixed_is_murmur3s_finaliser():
    """Appleby's fmix64, whose values for 0 and 1 are these."""
    assert int(mixed(np.uint64(0))) == 0
    assert int(mixed(np.uint64(1))) == 0xB456BCFC34C2CB2C


def test_mixed_gives_no_number_twice(rng):
    values = np.unique(rng.integers(0, 2**64, 20_000, np.uint64))
    assert len({int(mixed(value)) for value in values}) == len(values)


def shifted(events, semitones):
    return np.where(events < PITCHES, events.astype(int) + semitones, events).astype(np.uint8)


def test_a_melody_has_one_transposed_hash_in_every_key():
    keys = np.stack([shifted(TUNE, semitones) for semitones in range(-55, 56)])
    assert (keys.min(), keys[keys < PITCHES].max()) == (0, 127)
    assert len(set(hex_of(transposed_hashes(keys)))) == 1
    assert len(set(hex_of(exact_hashes(keys)))) == 111


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("another last note", [(0, 4, 60), (4, 4, 64), (8, 8, 55), (32, 4, 71)]),
        ("another first note", [(0, 4, 61), (4, 4, 64), (8, 8, 55), (32, 4, 72)]),
        ("an octave lower in the middle", [(0, 4, 60), (4, 4, 52), (8, 8, 55), (32, 4, 72)]),
        ("a shorter note", [(0, 4, 60), (4, 4, 64), (8, 7, 55), (32, 4, 72)]),
        ("a step later", [(1, 4, 60), (5, 4, 64), (9, 8, 55), (33, 4, 72)]),
        ("a note less", [(0, 4, 60), (4, 4, 64), (8, 8, 55)]),
        ("upside down", [(0, 4, 60), (4, 4, 56), (8, 8, 65), (32, 4, 48)]),
        ("nothing", []),
    ],
)
def test_another_melody_has_another_transposed_hash(name, notes):
    other = Melody.from_notes(notes).events
    (one,), (two,) = transposed_hashes(TUNE[None]), transposed_hashes(other[None])
    assert one.tolist() != two.tolist(), name


def test_a_leap_up_is_no_leap_down_however_wide():
    """From 0 to 100, and from 100 down to 72: apart by 128, which a byte might confuse."""
    up = Melody.from_notes([(0, 4, 0), (4, 4, 100)]).events
    down = Melody.from_notes([(0, 4, 100), (4, 4, 72)]).events
    one, two = hex_of(transposed_hashes(np.stack([up, down])))
    assert one != two


def test_silence_and_one_note_have_transposed_hashes():
    silence = Melody.from_notes([]).events
    notes = [Melody.from_notes([(0, 4, pitch)]).events for pitch in (0, 60, 127)]
    hashes = hex_of(transposed_hashes(np.stack([silence, *notes])))
    assert hashes[0] != hashes[1] == hashes[2] == hashes[3]


def test_hashing_leaves_the_melodies_as_they_are():
    events = TUNE[None].copy()
    transposed_hashes(events)
    exact_hashes(events)
    assert events.tolist() == [TUNE.tolist()]


# Few pitches, some far apart, so that some are transpositions and some only nearly so.
SHORT = st.lists(st.sampled_from([0, 1, 63, 64, 127, HOLD, REST]), max_size=3)


@settings(max_examples=100)
@given(st.lists(SHORT, min_size=2, max_size=20))
def test_transposed_hashes_are_equal_for_transpositions_and_for_nothing_else(starts):
    """Melodies are transpositions of each other if their notes lie alike above the lowest."""
    rows = np.full((len(starts), STEPS), REST, np.uint8)
    for row, start in zip(rows, starts, strict=True):
        row[: len(start)] = start
    shapes = [tuple(np.where(row < PITCHES, row - row.min(), row)) for row in rows.astype(int)]
    hashes = hex_of(transposed_hashes(rows))
    assert len(set(zip(shapes, hashes, strict=True))) == len(set(shapes)) == len(set(hashes))


def as_hashes(pairs):
    return np.array(pairs, np.uint64).reshape(-1, 2)


def canonical(one, two):
    """The hash of zeros counts as the one beside it."""
    return (0, 1) if (one, two) == (0, 0) else (one, two)


# Few values, so that they meet; their low bits place them, so that places are fought for.
SOME = st.sampled_from([0, 1, 2, 2**16 - 1, 2**16, 2**17, 2**63, 2**64 - 1])
BATCHES = st.lists(st.lists(st.tuples(SOME, SOME), max_size=20), max_size=8)


@settings(max_examples=100)
@given(BATCHES)
def test_a_set_of_hashes_is_a_set(batches):
    found, reference = HashSet(), set()
    for batch in batches:
        expected = []
        for pair in batch:
            expected.append(canonical(*pair) not in reference)
            reference.add(canonical(*pair))
        fresh = found.add(as_hashes(batch))
        assert fresh.dtype == np.bool_
        assert fresh.tolist() == expected
        assert len(found) == len(reference)


@pytest.mark.parametrize("batch", [1000, 50_000, 200_000])
def test_a_set_grows_and_forgets_nothing(rng, batch):
    """200,000 different hashes, far above the 32,768 for which it has room at first."""
    hashes = np.unique(rng.integers(0, 2**64, (200_000, 2), np.uint64), axis=0)
    rng.shuffle(hashes)
    found = HashSet()
    for first in range(0, len(hashes), batch):
        assert found.add(hashes[first : first + batch]).all()
        assert len(found) == min(first + batch, len(hashes))
    assert not found.add(hashes[::-1]).any()
    assert len(found) == len(hashes) == 200_000
    others = hashes[:, ::-1]  # none of them is there: two halves are never equal here
    assert found.add(others).all()
    assert len(found) == 400_000


def test_a_set_takes_up_hashes_that_fight_for_one_place():
    """All begin with the same 64 bits; then again with the last place, from where one goes on."""
    for one in (5, 2**64 - 1):
        hashes = as_hashes([(one, two) for two in range(200)])
        found = HashSet()
        assert found.add(hashes).all()
        assert not found.add(hashes).any()
        assert len(found) == 200


def test_the_hash_of_zeros_is_kept_too():
    found = HashSet()
    assert found.add(as_hashes([(0, 0), (0, 0), (1, 0)])).tolist() == [True, False, True]
    assert found.add(as_hashes([(0, 0), (0, 2)])).tolist() == [False, True]
    many = as_hashes([(number, 7) for number in range(2**16)])  # grows
    assert found.add(many).all()
    assert found.add(as_hashes([(0, 0)])).tolist() == [False]


def test_of_equal_hashes_in_a_batch_the_first_is_new():
    found = HashSet()
    assert found.add(as_hashes([(3, 4), (5, 6), (3, 4), (5, 6)])).tolist() == [
        *[True, True],
        *[False, False],
    ]
    assert found.add(as_hashes([])).tolist() == []
    assert len(found) == 2


def test_keys_without_a_hash_make_every_melody_its_own():
    found = HashSet()
    keys = KEYS["none"](np.stack([TUNE, TUNE, TUNE]))
    assert keys.shape == (3, 0)
    assert found.add(keys).tolist() == [True] * 3
    assert found.add(keys).tolist() == [True] * 3
    assert found.add(keys[:0]).tolist() == []


def test_the_choices_of_what_is_unique():
    up = shifted(TUNE, 1)
    rows = np.stack([TUNE, up, TUNE])
    fresh = {name: HashSet().add(keys(rows)).tolist() for name, keys in KEYS.items()}
    assert fresh == {
        "exact": [True, True, False],
        "transposed": [True, False, False],
        "none": [True, True, True],
    }
    assert [check_unique(name) for name in fresh] == list(fresh)


def test_an_unknown_choice_is_refused():
    text = "^unique must be one of exact, transposed, none, got 'nearly'$"
    with pytest.raises(UsageError, match=text):
        check_unique("nearly")
