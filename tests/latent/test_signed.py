"""A critic of attributes, asked for their absence."""

import torch

from melodyconstraints.latent.search import (
    GradientSearch,
    LangevinSearch,
    predicted_satisfied,
    signed,
)

LOGITS = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, -4.0]])


def coordinates(z, y=None):
    """A head for each coordinate; takes no condition."""
    assert y is None
    return z


def test_an_absence_has_the_logit_of_one_minus_d():
    y = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    found = signed(coordinates)(LOGITS, y)
    d = torch.sigmoid(LOGITS)
    assert torch.allclose(torch.sigmoid(found), torch.where(y == 1, d, 1 - d))


def test_heads_behind_those_of_the_attributes_stay_as_they_are():
    found = signed(coordinates)(LOGITS, torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    assert found.tolist() == [[-1.0, 2.0, 3.0], [1.0, -0.5, -4.0]]


def test_without_a_condition_nothing_changes_sign():
    assert torch.equal(signed(coordinates)(LOGITS, None), LOGITS)


def test_the_critics_own_values_are_left_alone():
    kept = LOGITS.clone()
    signed(lambda z, y: kept)(LOGITS, torch.zeros(2, 3))
    assert torch.equal(kept, LOGITS)


def test_searches_go_to_the_presence_or_to_the_absence_as_asked():
    z, y = torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    searches = (
        GradientSearch(steps=200, learning_rate=0.1, thresholds=0.9),
        LangevinSearch(steps=200, step_size=0.5, noise=0.0, thresholds=0.9),
    )
    for search in searches:
        found = search(
            signed(coordinates), z, y, sigma_bar=torch.ones(2), generator=torch.Generator()
        )
        assert (found.sign() == 2 * y - 1).all()
        assert predicted_satisfied(signed(coordinates)(found, y), 0.9).all()
        assert not predicted_satisfied(found, 0.9).any()
