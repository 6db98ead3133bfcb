"""Which files are one tune, and on which side they stand: against slow references, and by chance.

Statistical tests use a fixed seed and allow four standard deviations: with another seed, one of
16,000 would fail.
"""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodyconstraints.datasets.melodies.hashing import mixed
from melodyconstraints.datasets.melodies.splits import (
    SEQUENCE,
    SPLITS,
    SharedSequences,
    covered_pitches,
    sequence_hashes,
    splits_of,
)
from melodyconstraints.melody.events import HOLD, PITCHES, REST, canonical_events
from melodyconstraints.melody.midi.windows import KEPT, Drop, WindowSettings, drop_causes
from melodyconstraints.melody.notes import MIN_INTERVALS, MIN_PITCHES

BAR = 16
DROPPED = list(Drop).index(Drop.FEW_NOTES)
TRAIN, VALIDATION, TEST = (SPLITS.index(split) for split in ("train", "validation", "test"))

# Lines of up to 80 notes that repeat themselves in other keys, in narrow and in wide ranges.
MOTIFS = st.lists(
    st.one_of(
        st.lists(st.integers(60, 66), max_size=24),
        st.lists(st.integers(0, 127), max_size=24),
        st.lists(st.sampled_from([0, 1, 126, 127]), max_size=24),
    ),
    min_size=1,
    max_size=3,
)
LINES = st.builds(
    lambda motifs, order: [
        min(max(pitch + key, 0), 127)
        for number, key in order
        for pitch in motifs[number % len(motifs)]
    ][:80],
    MOTIFS,
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 0, 1, -5])), max_size=6),
)


def sequences_of(line):
    """Every 16 intervals in a row, with the 17 notes they lie between."""
    intervals = [two - one for one, two in pairwise(line)]
    return [
        (tuple(intervals[first : first + 16]), line[first : first + 17])
        for first in range(len(line) - 16)
    ]


def hashed(line):
    hashes, varied = sequence_hashes(np.array(line, np.int64))
    return hashes.tolist(), varied.tolist()


@settings(max_examples=200)
@given(LINES)
def test_hashes_are_equal_where_16_intervals_are(line):
    sequences = [sequence for sequence, _ in sequences_of(line)]
    hashes, varied = hashed(line)
    assert len(hashes) == len(varied) == len(sequences) == max(len(line) - 16, 0)
    pairs = set(zip(hashes, sequences, strict=True))
    assert len(pairs) == len(set(hashes)) == len(set(sequences))


@settings(max_examples=200)
@given(LINES)
def test_a_sequence_of_six_pitches_and_five_intervals_is_varied(line):
    _, varied = hashed(line)
    assert (SEQUENCE, MIN_PITCHES, MIN_INTERVALS) == (16, 6, 5)
    assert varied == [
        len(set(notes)) >= 6 and len(set(intervals)) >= 5
        for intervals, notes in sequences_of(line)
    ]


@settings(max_examples=50)
@given(LINES, st.integers(0, 40))
def test_a_sequence_has_the_same_hash_wherever_it_stands(line, before):
    hashes, varied = hashed(line)
    assert hashed(before * [64, 3] + line)[0][2 * before :] == hashes
    for first in range(len(hashes)):
        assert hashed(line[first : first + 17]) == ([hashes[first]], [varied[first]])


def test_the_key_does_not_matter_and_the_direction_does(rng):
    line = rng.integers(30, 90, 60).tolist()
    hashes, _ = hashed(line)
    assert hashed([pitch + 12 for pitch in line])[0] == hashes
    assert not set(hashed(line[::-1])[0]) & set(hashes)
    assert not set(hashed([120 - pitch for pitch in line])[0]) & set(hashes)


@pytest.mark.parametrize(
    ("name", "line", "varied"),
    [
        ("a scale: 17 pitches, one interval", list(range(60, 77)), False),
        ("five pitches", [*[60, 62, 65, 64, 69] * 3, 60, 62], False),
        ("six pitches, five intervals", [*[60] * 11, 61, 63, 66, 70, 70, 75], True),
        ("six pitches, four intervals", [*[60] * 11, 61, 63, 66, 69, 69, 70], False),
        ("up and down are two intervals", [*[60] * 11, 61, 62, 64, 65, 63, 62], True),
        ("a trill", [60, 62] * 8 + [60], False),
        ("one note", [60] * 17, False),
    ],
)
def test_what_is_varied(name, line, varied):
    assert hashed(line)[1] == [varied], name


@pytest.mark.parametrize("notes", [0, 1, 15, 16])
def test_a_line_of_16_notes_or_fewer_has_no_sequence(notes):
    assert hashed([60] * notes) == ([], [])


def test_a_hash_uses_all_its_bits(rng):
    """Each is set in half of 20,000 hashes of a line of whole tones; six choose the partition."""
    hashes, _ = sequence_hashes(2 * rng.integers(25, 40, 20_016))
    share = np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1).mean(axis=0)
    assert np.abs(share - 0.5).max() < 4 * 0.5 / np.sqrt(20_000)


def voice(bars, runs):
    events = [e for event, n in runs for e in [event] + [HOLD] * (n - 1)]
    around = -(-bars * BAR // len(events))
    return canonical_events(np.array(around * events)[: bars * BAR])


VOICES = st.builds(
    voice,
    st.integers(16, 60),
    st.lists(
        st.tuples(
            st.integers(50, 70) | st.just(REST),
            st.sampled_from([1, 2, 3, 4, 8, 15, 16, 17, 40, 300]),
        ),
        min_size=1,
        max_size=40,
    ),
)


def covered_by_loop(events, causes):
    """Join the kept windows to stretches; a stretch begins with the note held into it."""
    bars = {bar + more for bar, cause in enumerate(causes) if cause == KEPT for more in range(16)}
    pitches, sounding = [], REST
    for step, event in enumerate(events.tolist()):
        sounding = sounding if event == HOLD else event
        bar = step // BAR
        held_into = event == HOLD and sounding != REST and step % BAR == 0 and bar - 1 not in bars
        if bar in bars and (event < PITCHES or held_into):
            pitches.append(sounding)
    return pitches


@settings(max_examples=200)
@given(VOICES, st.data())
def test_covered_pitches_are_those_of_the_kept_windows(events, data):
    windows = len(events) // BAR - 15
    causes = data.draw(
        st.lists(st.sampled_from([KEPT, DROPPED, 0]), min_size=windows, max_size=windows)
        | st.sets(st.integers(0, windows - 1), max_size=3).map(
            lambda kept: [KEPT if bar in kept else DROPPED for bar in range(windows)]
        )
    )
    found = covered_pitches(events, np.array(causes, np.int8)).tolist()
    assert found == covered_by_loop(events, causes)


def one_note_a_bar(bars):
    events = np.full(bars * BAR, HOLD, np.uint8)
    events[::BAR] = np.arange(bars)
    return events


def test_the_notes_of_bars_in_no_kept_window_are_left_out():
    events, causes = one_note_a_bar(40), np.full(25, DROPPED, np.int8)
    assert covered_pitches(events, causes).tolist() == []
    causes[[1, 3, 23]] = KEPT  # bars 1 to 18 and 23 to 38
    assert covered_pitches(events, causes).tolist() == [*range(1, 19), *range(23, 39)]
    causes[19] = KEPT  # bars 19 to 34 close the gap
    assert covered_pitches(events, causes).tolist() == list(range(1, 39))


def test_a_note_held_into_a_kept_window_is_one_of_its_notes():
    events, causes = one_note_a_bar(20), np.full(5, DROPPED, np.int8)
    events[2 * BAR] = HOLD  # the note of bar 1 is held through bar 2
    causes[2] = KEPT
    assert covered_pitches(events, causes).tolist() == [1, *range(3, 18)]
    causes[1] = KEPT  # now it begins in a kept window, and is there once
    assert covered_pitches(events, causes).tolist() == [1, *range(3, 18)]


def test_a_voice_of_less_than_16_bars_covers_nothing():
    events = one_note_a_bar(15)
    causes, _ = drop_causes(events, WindowSettings())
    assert covered_pitches(events, causes).tolist() == []
    assert covered_pitches(events[:0], causes).tolist() == []


def tunes_by_loop(pairs, files):
    """Spread the least number over files that share a hash until nothing changes."""
    tunes, groups = list(range(files)), defaultdict(set)
    for hash_, file in pairs:
        groups[hash_].add(file)
    changed = True
    while changed:
        changed = False
        for group in groups.values():
            least = min(tunes[file] for file in group)
            changed |= any(tunes[file] != least for file in group)
            for file in group:
                tunes[file] = least
    return tunes


def tunes_of(folder, batches, files):
    """Through the partitions on disk."""
    sequences = SharedSequences(folder)
    try:
        for batch in batches:
            hashes = np.array([hash_ for hash_, _ in batch], np.uint64)
            sequences.add(hashes, np.array([file for _, file in batch], np.int64))
        return sequences.find_tunes(files).tolist()
    finally:
        sequences.close()


# Twelve hashes in four of the 64 partitions, so that some share a partition and some do not.
HASHES = st.builds(
    lambda top, low: (top << 58) + low, st.sampled_from([0, 1, 31, 63]), st.sampled_from([0, 1, 9])
)
BATCHES = st.lists(st.lists(st.tuples(HASHES, st.integers(0, 19)), max_size=12), max_size=4)


@settings(max_examples=30)
@given(batches=BATCHES)
def test_tunes_hang_together_by_shared_sequences(tmp_path_factory, batches):
    pairs = [pair for batch in batches for pair in batch]
    expected = tunes_by_loop(pairs, 20)
    folder = tmp_path_factory.getbasetemp() / "sequences"
    assert tunes_of(folder, batches, 20) == expected
    assert tunes_of(folder, [pairs[::-1]], 20) == expected


@pytest.mark.parametrize(
    ("name", "pairs", "tunes"),
    [
        ("nothing shared", [(7, 0), (8, 1), (9, 2)], [0, 1, 2, 3]),
        ("nothing at all", [], [0, 1, 2, 3]),
        ("shared with itself", [(7, 0), (7, 0), (8, 1)], [0, 1, 2, 3]),
        ("two share", [(7, 1), (7, 3)], [0, 1, 2, 1]),
        ("a chain", [(7, 3), (7, 2), (8, 2), (8, 1), (2**63, 1), (2**63, 0)], [0, 0, 0, 0]),
        ("two pairs", [(7, 3), (7, 0), (8, 2), (8, 1)], [0, 1, 1, 0]),
        ("apart in the last bit", [(6, 0), (7, 1)], [0, 1, 2, 3]),
        ("apart in the first bit", [(7, 0), (7 + 2**63, 1)], [0, 1, 2, 3]),
    ],
)
def test_what_is_one_tune(tmp_path, name, pairs, tunes):
    assert tunes_of(tmp_path / "sequences", [pairs], 4) == tunes, name


def test_a_long_chain_of_files_is_one_tune(tmp_path, rng):
    """5,000 files, each of which shares a sequence with the next; in random order."""
    hashes = rng.integers(0, 2**64, 4_999, np.uint64).tolist()
    pairs = [(hash_, file + more) for file, hash_ in enumerate(hashes) for more in (0, 1)]
    rng.shuffle(pairs)
    assert tunes_of(tmp_path / "sequences", [pairs[:3000], pairs[3000:]], 5_001) == [
        *[0] * 5_000,
        5_000,
    ]


def test_tunes_can_be_asked_for_more_than_once(tmp_path):
    sequences = SharedSequences(tmp_path / "sequences")
    sequences.add(np.array([5, 5], np.uint64), np.array([0, 2]))
    assert sequences.find_tunes(3).tolist() == [0, 1, 0]
    sequences.add(np.array([6, 6], np.uint64), np.array([1, 2]))
    assert sequences.find_tunes(3).tolist() == [0, 0, 0]
    sequences.close()


def test_partitions_are_removed_in_the_end_and_old_ones_forgotten(tmp_path):
    folder = tmp_path / "sequences"
    first = SharedSequences(folder)
    first.add(np.array([5, 5], np.uint64), np.array([0, 1]))
    assert first.find_tunes(2).tolist() == [0, 0]
    assert sum(path.stat().st_size for path in folder.iterdir()) == 2 * 12
    second = SharedSequences(folder)  # after a run that was killed
    assert second.find_tunes(2).tolist() == [0, 1]
    second.close()
    assert list(folder.iterdir()) == []
    first.close()  # does not mind that they are gone


def mixed_digest(digest):
    return int(mixed(np.uint64(digest)))


def shares_of(splits):
    return [np.mean(splits == split) for split in (TRAIN, VALIDATION, TEST)]


def tolerance(trials):
    """Four standard deviations of a share of 5%."""
    return 4 * np.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize(
    ("share", "split"),
    [
        (0.0, TEST),
        (0.0499, TEST),
        (0.0501, VALIDATION),
        (0.0999, VALIDATION),
        (0.1001, TRAIN),
        (0.5, TRAIN),
    ],
)
def test_a_file_of_its_own_falls_by_its_digest(share, split):
    digests = np.array([int(share * 2**64)], np.uint64)
    assert splits_of(digests, np.array([0])).tolist() == [split]


def test_the_greatest_digest_falls_to_train():
    assert splits_of(np.array([2**64 - 1], np.uint64), np.array([0])).tolist() == [TRAIN]


def test_splits_are_numbers_of_names():
    assert SPLITS == ("train", "validation", "test")
    assert splits_of(np.array([0], np.uint64), np.array([0])).dtype == np.int8


def test_five_percent_each_of_20_000_files_are_for_validation_and_test(rng):
    """The standard deviation of each share is 0.15%."""
    splits = splits_of(rng.integers(0, 2**64, 20_000, np.uint64), np.arange(20_000))
    train, validation, test = shares_of(splits)
    assert validation == pytest.approx(0.05, abs=tolerance(20_000))
    assert test == pytest.approx(0.05, abs=tolerance(20_000))
    assert train == pytest.approx(0.9, abs=2 * tolerance(20_000))


@pytest.mark.parametrize("files", [2, 5, 40])
def test_tunes_of_many_files_fall_to_test_as_often_as_others(rng, files):
    """Chosen by its digest, a file would put 1 - 0.95 ** 5 = 23% of tunes of five into test."""
    tunes = np.arange(20_000).repeat(files) * files  # the least number of each tune's files
    digests = rng.integers(0, 2**64, len(tunes), np.uint64)
    splits = splits_of(digests, tunes).reshape(-1, files)
    assert (splits == splits[:, :1]).all()
    _, validation, test = shares_of(splits[:, 0])
    assert validation == pytest.approx(0.05, abs=tolerance(20_000))
    assert test == pytest.approx(0.05, abs=tolerance(20_000))


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 4)), min_size=1, max_size=20),
    st.randoms(),
)
def test_a_tunes_files_share_the_split_of_their_representative(files, random):
    """It is the one whose digest is lowest when mixed, whatever the order of the files."""
    of_tune = defaultdict(list)
    for digest, tune in files:
        of_tune[tune].append(digest)
    representatives = [
        min(of_tune[tune], key=mixed_digest) for tune in range(5) if tune in of_tune
    ]
    alone = splits_of(
        np.array(representatives, np.uint64), np.arange(len(representatives))
    ).tolist()
    expected = dict(zip(sorted(of_tune), alone, strict=True))
    for order in (files, random.sample(files, len(files))):
        groups = [tune for _, tune in order]
        splits = splits_of(
            np.array([digest for digest, _ in order], np.uint64),
            np.array([groups.index(tune) for tune in groups]),
        )
        assert splits.tolist() == [expected[tune] for tune in groups]


def test_a_new_copy_changes_a_tunes_split_only_if_it_speaks(rng):
    """Of 2,000 tunes of three files that get a fourth, a quarter has a new representative.

    One in ten of those is not for training, before or after: 0.25 * 2 * 0.1 * 0.9, and some that
    go between validation and test.
    """
    digests = rng.integers(0, 2**64, (2_000, 4), np.uint64)
    tunes = np.arange(2_000)
    before = splits_of(digests[:, :3].ravel(), tunes.repeat(3))[::3]
    after = splits_of(digests.ravel(), tunes.repeat(4))[::4]
    changed = np.mean(before != after)
    expected = 0.25 * (1 - 0.9**2 - 2 * 0.05**2)
    assert changed == pytest.approx(expected, abs=4 * np.sqrt(expected / 2_000))
