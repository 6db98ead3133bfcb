"""Copies of melodies: scores against a count by hand, and copies that are made on purpose."""

from collections import Counter

import numpy as np
import pytest

from melodyconstraints.melody import jit
from melodyconstraints.melody.events import HOLD, PITCHES, REST, Melodies, Melody, canonical_events
from melodyconstraints.melody.metrics import copies
from melodyconstraints.melody.metrics.copies import (
    NEAR_COPY,
    Originals,
    cardinality_scores,
    run_hashes,
)

TUNE = [60, 62, 64, 67, 65, 64, 62, 69, 67, 71, 72, 69, 65, 67, 64, 62, 60, 59, 62, 65]
"""Its first 17 notes have 9 different pitches and 9 different intervals."""


@pytest.fixture(autouse=True)
def _compiled(monkeypatch):
    """Hundreds of melodies are compared, which takes more than compiling."""
    monkeypatch.setattr(jit, "_spent", [float("inf")])


@pytest.fixture(scope="module")
def wandering():
    """300 melodies that know nothing of each other: steps of up to a fifth, 2 to 4 sixteenths."""
    rng = np.random.default_rng(3)
    events = np.full((300, 256), HOLD, np.uint8)
    for row in events:
        pitch, step = rng.integers(55, 75), 0
        while step < 256:
            pitch = min(max(pitch + rng.integers(-7, 8), 40), 90)
            row[step] = pitch
            step += rng.integers(2, 5)
    return events


@pytest.fixture(scope="module")
def originals(wandering):
    """The same, to be copied."""
    return Originals(wandering)


def transposed(events, semitones):
    return np.where(events < PITCHES, events.astype(int) + semitones, events).astype(np.uint8)


def line(pitches, *, gap=2, start=0, tail=()):
    """Notes at even distances, then others as (onset, length, pitch)."""
    notes = [(start + gap * i, gap, pitch) for i, pitch in enumerate(pitches)]
    return Melody.from_notes([*notes, *tail]).events


def by_hand(first, second):
    """Largest share of notes that agree under one move."""
    a, b = ([(s, int(p)) for s, p in enumerate(e) if p < PITCHES] for e in (first, second))
    moves = Counter((s - t, p - q) for s, p in a for t, q in b)
    return max(moves.values(), default=0) / max(len(a), len(b), 1)


def test_scores_are_those_counted_by_hand(rng):
    events = Melodies(rng.integers(0, 130, (12, 256)) // rng.choice([1, 2], (12, 1))).events
    melody = events[0]
    assert cardinality_scores(melody, events).tolist() == [by_hand(melody, e) for e in events]


def test_a_score_by_hand():
    three, moved = line([60, 64, 67]), line([55, 59, 62, 70], start=7)
    assert cardinality_scores(three, np.stack([three, moved])).tolist() == [1.0, 3 / 4]
    assert cardinality_scores(moved, three[None]).tolist() == [3 / 4]
    edges = np.stack([line([0, 127]), line([127, 0])])
    assert cardinality_scores(edges[0], edges).tolist() == [1.0, 1 / 2]


def test_silence_is_like_nothing(originals):
    silence = np.full((1, 256), REST, np.uint8)
    assert cardinality_scores(silence[0], silence).tolist() == [0.0]
    assert originals.similarity(silence).tolist() == [0.0]
    assert originals.quoted(silence).tolist() == [False]


def test_a_copy_in_another_key_is_a_copy(originals, wandering):
    assert (originals.similarity(transposed(wandering[:50], 5)) == 1).all()
    assert originals.quoted(transposed(wandering[:50], -3)).all()


def test_a_copy_a_bar_later_is_a_near_copy(originals, wandering):
    later = canonical_events(np.roll(wandering[:50], 16, axis=1))
    later[:, :16] = REST
    assert (originals.similarity(later) > 0.9).all()


def test_a_copy_with_a_twentieth_of_the_events_changed_is_a_near_copy(originals, wandering):
    rng = np.random.default_rng(5)
    own = np.take_along_axis(wandering, rng.integers(0, 256, wandering.shape), axis=1)
    changed = np.where(rng.random(wandering.shape) < 0.05, own, wandering)
    copied = transposed(canonical_events(changed), 4)
    assert (originals.similarity(copied) >= NEAR_COPY).all()


def test_melodies_of_their_own_are_no_copies(wandering):
    others = Originals(wandering[:200])
    assert (others.similarity(wandering[200:]) < 0.5).all()
    assert not others.quoted(wandering[200:]).any()


def test_the_score_of_a_found_original_is_exact(originals, wandering):
    half = wandering[7].copy()
    half[128:] = wandering[8][128:]
    best = max(by_hand(half, wandering[7]), by_hand(half, wandering[8]))
    assert originals.similarity(half[None])[0] == best > 0.4


def test_rare_runs_find_the_original_that_common_ones_hide(monkeypatch):
    monkeypatch.setattr(copies, "_LAID_OVER", 3)
    rng = np.random.default_rng(6)
    pitches = rng.integers(50, 80, 48)
    changed = (np.arange(48) >= 6) & (np.arange(48) % 3 == 0)
    refrain = [(192 + 4 * i, 4, pitch) for i, pitch in enumerate(TUNE[:12])]
    # Two runs are the original's, eight those of a refrain that a crowd of melodies has.
    copy = line((pitches + changed).tolist(), gap=4, tail=refrain)
    crowd = [line(rng.integers(50, 80, 60).tolist(), gap=3, tail=refrain) for _ in range(40)]
    original = line(pitches.tolist(), gap=4)
    found = Originals(np.stack([*crowd, original])).similarity(copy[None])[0]
    assert found == by_hand(copy, original) > 0.5


def test_a_run_of_many_places_is_used_if_it_is_the_only_one(monkeypatch):
    monkeypatch.setattr(copies, "_OCCURRENCES", 3)
    same = np.stack([line([60, 62, 64, 65, 67])] * 9)
    assert Originals(same).similarity(same[:1]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("pitches", "options", "quoted"),
    [
        (TUNE[:17], {}, True),
        (TUNE[:16], {}, False),
        ([pitch + 6 for pitch in TUNE[:17]], {}, True),
        (TUNE[:17], {"start": 100}, True),
        (TUNE[2:19], {}, True),
        (TUNE[:17], {"gap": 3}, False),
        ([*TUNE[:9], TUNE[9] + 1, *TUNE[10:]], {}, False),
        ([60, 62] * 9, {}, False),
    ],
)
def test_a_quotation_is_17_notes_in_pitch_and_rhythm(pitches, options, quoted):
    source = np.stack([line(TUNE, tail=[(100, 4, 80)]), line([60, 62] * 10), line([70])])
    assert Originals(source).quoted(line(pitches, **options)[None]).tolist() == [quoted]


@pytest.mark.parametrize(
    ("run", "varied"),
    [
        (
            [60, 62, 64, 65, 67, 70, 60, 62, 64, 65, 67, 70, 60, 62, 64, 65, 67],
            False,
        ),  # 4 intervals
        ([60, 62, 64, 65, 69, 64, 60, 62, 64, 65, 69, 64, 60, 62, 64, 65, 69], False),  # 5 pitches
        ([60, 62, 64, 65, 69, 74, 60, 62, 64, 65, 69, 74, 60, 62, 64, 65, 69], True),  # 6, and 5
    ],
)
def test_what_makes_a_run_varied(run, varied):
    events = line(run)[None]
    assert len(run_hashes(events, 17, True)[0]) == varied
    assert len(run_hashes(events, 17, False)[0]) == 1


def test_runs_by_hand():
    events = np.stack(
        [line([60, 62, 64, 66]), line([70, 72, 74], start=5), line([1, 2]), line([60, 62, 63])]
    )
    hashes, owners = run_hashes(events, 3, False)
    assert owners.tolist() == [0, 0, 1, 3]  # none across melodies, none of two notes
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]
    wide = run_hashes(np.stack([line([60, 62, 64], gap=3)]), 3, False)[0]
    assert wide[0] != hashes[0]
