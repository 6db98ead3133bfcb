"""How a reward reads."""

import pytest

from melodyconstraints.latent.satisfaction import SATISFIED, reward_text


@pytest.mark.parametrize(
    ("reward", "text"),
    [
        (1.0, "1"),
        (1 - 1e-7, "1"),
        (SATISFIED, "1"),
        (SATISFIED - 1e-9, "0.999"),
        (0.9996, "0.999"),
        (0.62, "0.620"),
        (0.0, "0.000"),
    ],
)
def test_only_what_is_satisfied_reads_as_one(reward, text):
    assert reward_text(reward) == text
