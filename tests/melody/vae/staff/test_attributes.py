"""Attributes of hand-made melodies, and scores that are normal and uncorrelated."""

import numpy as np
import pytest

from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.vae.staff.attributes import (
    NAMES,
    NormalScores,
    attributes,
    equal_bars,
)
from melodyconstraints.melody.vae.staff.notation import to_staff


def by_name(notes: list[tuple[int, int, int]]) -> dict[str, float]:
    staff = to_staff(Melody.from_notes(notes).events[None], keys=np.array([0]))
    return dict(zip(NAMES, attributes(staff)[0].tolist(), strict=True))


def test_attributes_of_two_equal_bars_and_silence():
    bar = [(0, 4, 60), (4, 4, 62), (8, 2, 64), (10, 6, 66)]
    found = by_name(bar + [(step + 16, length, pitch) for step, length, pitch in bar])
    assert found["notes"] == 8
    assert found["rests"] == pytest.approx(14 / 16)
    assert found["raised_notes"] == pytest.approx(2 / 8)
    assert found["off_beats"] == pytest.approx(0.5 * 2 / 8)
    assert found["fresh_bars"] == 2  # the bar, and silence
    assert found["rhythms"] == 2
    # lines C D E F, C D E F: seven intervals, one of them down three steps
    assert found["steps"] == pytest.approx(6 / 7)
    assert found["leaps"] == pytest.approx(1 / 7)
    assert found["range"] == 3
    assert found["bar_jumps"] == 0
    assert found["rise"] == 0
    lengths = np.array([2, 4, 1]) / 7  # distances of 2, 4 and 6 steps
    assert found["length_entropy"] == pytest.approx(-(lengths * np.log(lengths)).sum())


def test_silence_has_attributes():
    staff = to_staff(np.full((1, 256), 129, np.uint8))
    assert np.isfinite(attributes(staff)).all()


def test_equal_bars_look_back():
    tokens = np.zeros((1, 256), np.int64)
    tokens[0, 16:32] = 1
    equal = equal_bars(tokens)
    assert not equal[0, 0].any()
    assert not equal[0, 1].any()
    assert equal[0, 3].tolist() == [True, False, True] + [False] * 13


def test_scores_are_normal_and_uncorrelated(rng):
    numbers = rng.gamma(1.0, size=(4000, 3))
    numbers[:, 1] += numbers[:, 0]
    numbers[:, 2] = numbers[:, 2].round()  # ties
    scores = NormalScores(3)
    scores.learn(numbers, rng.random(numbers.shape))
    drawn = scores(numbers, rng.random(numbers.shape)).numpy()
    assert np.abs(drawn.mean(0)).max() < 0.05
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(3), atol=0.06)


def test_equal_numbers_have_the_middle_score_and_more_is_more(rng):
    numbers = np.repeat([0.0, 1.0, 2.0], [100, 200, 100])
    numbers = np.stack([numbers, rng.permutation(numbers)], 1)
    scores = NormalScores(2)
    scores.learn(numbers, rng.random(numbers.shape))
    three = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    low, middle, high = scores(three, np.full((3, 2), 0.5))[:, 0].tolist()
    assert middle == pytest.approx(0, abs=0.05)
    assert low == pytest.approx(-high, abs=0.1)
    assert low < -0.9


def test_how_many_melodies_have_a_number_in_a_range(rng):
    """To two hundredths, as the table of ranks has 201 entries."""
    numbers = np.repeat([0.0, 1.0, 2.0], [100, 200, 100])
    scores = NormalScores(2)
    scores.learn(np.stack([numbers, np.linspace(0, 40, 400)], 1), rng.random((400, 2)))
    for (low, high), share in {(1, 1): 0.5, (0, 1): 0.75, (2, 9): 0.25, (3, 9): 0}.items():
        assert scores.share_within(0, low, high) == pytest.approx(share, abs=0.02)
    assert scores.share_within(1, 10, 20) == pytest.approx(0.25, abs=0.02)
