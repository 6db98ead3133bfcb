"""What a spread of rewards promises of a training."""

import numpy as np
import pytest

from melodyconstraints.latent import training
from melodyconstraints.rules import learnability
from melodyconstraints.rules.learnability import Distribution, assess, cost_of_training


def spread(*parts):
    """Rewards given as (count, value)."""
    return Distribution.of(np.concatenate([np.full(count, value) for count, value in parts]))


def test_satisfied_means_what_it_means_in_a_training():
    assert learnability.SATISFIED == training.SATISFIED


def test_a_distribution_against_numbers_by_hand():
    found = spread((2, 0.0), (1, 0.55), (1, 1.0))
    assert (found.n, found.values) == (4, 3)
    assert found.mean == pytest.approx(0.3875)
    assert found.satisfied == 0.25
    assert found.quantiles == pytest.approx((0, 0, 0.275, 0.865, 1))
    assert found.histogram == (0.5, 0, 0, 0, 0, 0.25, 0, 0, 0, 0.25)
    assert found.spark == "█····▄···▄"
    assert spread((1000, 0.0), (1, 1.0)).spark == "█········▁"


@pytest.mark.parametrize(
    ("parts", "kind", "learnable", "text"),
    [
        (
            [(100, 0.0)],
            "constant",
            False,
            "cannot be learned: all 100 melodies have the reward 0; give",
        ),
        ([(100, 0.25)], "constant", False, "all 100 melodies have the reward 0.25"),
        ([(100, 1.0)], "satisfied", True, "every melody satisfies it already: nothing to learn"),
        (
            [(999, 0.0), (1, 1.0)],
            "rare step",
            True,
            "only 0.1% of the model's own melodies satisfy it, and ",
        ),
        ([(99, 0.0), (1, 1.0)], "good", True, "can be learned: 1.0% of the model's own melodies"),
        ([(500, 0.2), (499, 0.1), (1, 1.0)], "good", True, "0.1% of the model's own melodies"),
        ([(50, 0.2), (50, 0.7)], "never", True, "melodies satisfies it so far (best 0.7): the"),
        (
            [(51, 0.2), (49, 1.0)],
            "good",
            True,
            "can be learned: 49.0% of the model's own melodies satisfy it so far, before any "
            "training, which is to raise that share",
        ),
        (
            [(50, 0.2), (50, 1.0)],
            "easy",
            True,
            "easily learned: 50.0% of the model's own melodies satisfy it so far, before any tr",
        ),
    ],
)
def test_the_verdict(parts, kind, learnable, text):
    found = assess(spread(*parts))
    assert (found.kind, found.learnable) == (kind, learnable)
    assert text in found.text


def test_what_a_training_costs():
    assert cost_of_training(2_300) == (10, False)
    assert cost_of_training(200) == (115, True)
