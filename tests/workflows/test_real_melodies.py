"""Real melodies that others are compared with: one of each tune, matched, in some key."""

import numpy as np
import pytest

from melodyconstraints.datasets.melodies.store import StoredMelodies
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics import classifier
from melodyconstraints.rules import find_rules
from melodyconstraints.workflows.real_melodies import (
    classifier_aucs,
    matched,
    one_of_each_tune,
    satisfying,
)


def stored(sources, tunes) -> StoredMelodies:
    """Melodies of one note, whose pitch is their number."""
    events = np.full((len(sources), 256), 129, np.uint8)
    events[:, 0] = np.arange(len(sources))
    files = np.array([f"{source}/x.mid" for source in sources], dtype=object)
    return StoredMelodies(events, files, np.array(tunes, np.int32))


def test_of_each_tune_one_melody_is_drawn(rng):
    whole = stored("aaabbb", [0, 0, 4, 4, 4, 7])
    drawn = [one_of_each_tune(whole, rng) for _ in range(60)]
    assert all(one.tunes.tolist() == [0, 4, 7] for one in drawn)
    assert {one.events[1, 0] for one in drawn} == {2, 3, 4}
    assert all(one.sources[2] == "b" for one in drawn)


@pytest.mark.parametrize(
    ("wanted", "found"), [("aab", "aab"), ("bbbb", "bb"), ("ac", "a"), ("cc", None)]
)
def test_collections_are_matched_as_far_as_there_are_melodies(rng, wanted, found):
    chosen = matched(stored("aaaabb", range(6)), np.array(list(wanted), object), rng)
    assert len(set(chosen.events[:, 0].tolist())) == len(chosen) == len(found or wanted)
    assert found is None or sorted(chosen.sources) == sorted(found)


def test_classifiers_see_one_melody_a_tune_and_matched_collections(monkeypatch):
    held_out = stored("a" * 30 + "b" * 10, [*range(15)] * 2 + [*range(15, 25)])
    training = stored("a" * 50 + "b" * 70 + "c" * 9, range(129)[::-1])
    samples = Melodies(np.full((80, 256), 129))
    seen = []

    def auc(real, others, seed):
        seen.append((real.events[:, 0].tolist(), others.events[:, 0].tolist(), seed))
        return len(seen) / 10

    monkeypatch.setattr(classifier, "auc", auc)
    assert classifier_aucs(held_out, training, samples) == pytest.approx((0.3, 0.4))
    for real, others, _ in seen:
        assert (len(real), len(others)) == (25, 75)
        assert len({number % 15 if number < 30 else number for number in real}) == 25
    for _, others, _ in seen[1::2]:
        assert sum(number < 50 for number in others) == 45
        assert sum(50 <= number < 120 for number in others) == 30
    assert [seed for *_, seed in seen] == [0, 0, 1, 1, 2, 2]
    assert seen[0][0] != seen[2][0]


def test_too_few_tunes_train_no_classifier():
    few = stored("a" * 40, [*range(19), *range(19), 0, 1])
    assert classifier_aucs(few, few, few.melodies) is None


def scale(*pitches) -> Melody:
    return Melody.from_notes([(4 * step, 4, pitch) for step, pitch in enumerate(pitches)])


def test_melodies_satisfy_a_rule_of_pitch_in_the_nearest_key():
    melodies = [
        scale(60, 62, 64, 65, 67, 69, 71),
        scale(62, 64, 66, 67, 69, 71, 73),  # D major
        scale(60, 61, 62, 63),  # in no scale
        scale(60, 62, 64, 66),  # in G major
        scale(127, 126, 124, 122),  # up to C major there is no room
    ]
    found = satisfying(Melodies.stack(melodies), find_rules(["cmajor"]))
    expected = [
        scale(60, 62, 64, 65, 67, 69, 71),
        scale(60, 62, 64, 65, 67, 69, 71),
        scale(65, 67, 69, 71),
        scale(125, 124, 122, 120),
    ]
    rows = {melody.events.tobytes() for melody in found}
    assert len(found) == 4
    assert rows == {melody.events.tobytes() for melody in expected}


def test_other_rules_are_satisfied_as_melodies_are_and_all_at_once(some_melodies):
    dense = find_rules(["density:100"])
    counts = some_melodies.note_counts
    found = satisfying(some_melodies, dense)
    assert np.array_equal(found.events, some_melodies.events[counts >= 100])
    assert 0 < len(found) < len(some_melodies)
    assert len(satisfying(some_melodies, find_rules(["density:100", "cmajor"]))) == 0
    assert np.array_equal(satisfying(some_melodies, []).events, some_melodies.events)
