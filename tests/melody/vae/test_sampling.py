"""Sampling events: temperature, top-k, top-p, on distributions made by hand."""

import math

import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.vae.sampling import Sampling

COUNT = 4_000
NOISE = (torch.arange(COUNT) + 0.5) / COUNT


def shares(drawing: Sampling, logits: torch.Tensor) -> list[float]:
    """How much of the unit interval each category of ``logits`` ``(V,)`` has."""
    drawn = drawing(logits.expand(COUNT, -1), NOISE)
    return (drawn.bincount(minlength=len(logits)) / COUNT).tolist()


def log(*probabilities: float) -> torch.Tensor:
    return torch.tensor(probabilities).log()


def about(*expected: float) -> object:
    """The shares, give or take one of the ``COUNT`` draws."""
    return pytest.approx(expected, abs=1.01 / COUNT)


# Temperature


@pytest.mark.parametrize("temperature", [0.25, 0.5, 1.0, 2.0])
def test_each_category_has_its_share_of_the_unit_interval(temperature):
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0])
    expected = torch.softmax(logits / temperature, -1).tolist()
    assert shares(Sampling(temperature), logits) == about(*expected)


def test_the_unit_interval_is_cut_in_the_order_of_the_categories():
    logits = log(0.25, 0.5, 0.25).expand(6, -1)
    noise = torch.tensor([0.0, 0.249, 0.251, 0.749, 0.751, 0.999])
    assert Sampling(1.0)(logits, noise).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("noise", [0.0, 0.5, 1 - 2**-24])
def test_what_has_no_probability_is_never_drawn(noise):
    logits = torch.tensor([[-math.inf, 0.0, -math.inf]])
    assert Sampling(1.0)(logits, torch.tensor([noise])).tolist() == [1]


def test_the_largest_noise_draws_the_last_category_that_has_a_probability():
    torch.manual_seed(0)
    logits = torch.randn(500, 130)
    logits[:, 100:] = -math.inf
    assert set(Sampling(1.0)(logits, torch.full((500,), 1 - 2**-24)).tolist()) == {99}


@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"top_p": 0.5}])
def test_at_temperature_zero_the_maximum_is_taken(options):
    logits = torch.tensor([[0.0, 2.0, 1.0], [5.0, 4.0, 4.9]])
    assert Sampling(0.0, **options)(logits, torch.tensor([0.99, 0.99])).tolist() == [1, 0]


@pytest.mark.parametrize("temperature", [1e-300, 1e-45, 1e-38, 1e-31, 1e-30, 1e-20])
@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"top_p": 0.5}])
def test_next_to_temperature_zero_the_maximum_is_taken_too(temperature, options):
    logits = torch.tensor([[0.0, 200.0, 100.0], [-40.0, -41.0, -40.9]])
    drawn = Sampling(temperature, **options)(logits, torch.tensor([0.99, 0.99]))
    assert drawn.tolist() == [1, 0]


def test_every_row_is_drawn_from_its_own_logits():
    logits = torch.randn(20, 7)
    noise = torch.rand(20)
    drawing = Sampling(0.8, top_k=4, top_p=0.9)
    alone = [drawing(logits[i : i + 1], noise[i : i + 1]).item() for i in range(20)]
    assert drawing(logits, noise).tolist() == alone


def test_bfloat16_logits_are_drawn_from_in_full_precision():
    logits = torch.randn(300, 130).bfloat16()
    noise = torch.rand(300)
    for drawing in (Sampling(0.7), Sampling(0.7, top_p=0.8)):
        assert torch.equal(drawing(logits, noise), drawing(logits.float(), noise))


def test_the_logits_are_left_as_they_were():
    logits = torch.randn(5, 9)
    before = logits.clone()
    Sampling(0.7, top_k=3, top_p=0.5)(logits, torch.rand(5))
    assert torch.equal(logits, before)


# Top-k


@pytest.mark.parametrize(
    ("top_k", "expected"),
    [
        (1, (0, 1, 0, 0)),
        (2, (0, 4 / 7, 0, 3 / 7)),
        (3, (0, 4 / 9, 2 / 9, 3 / 9)),
        (4, (0.1, 0.4, 0.2, 0.3)),
    ],
)
def test_top_k_shares_the_unit_interval_among_the_likeliest(top_k, expected):
    assert shares(Sampling(1.0, top_k=top_k), log(0.1, 0.4, 0.2, 0.3)) == about(*expected)


@pytest.mark.parametrize(
    ("top_k", "expected"), [(1, (0, 1, 0, 0)), (2, (0, 0.5, 0.5, 0)), (3, (0, *[1 / 3] * 3))]
)
def test_of_ties_top_k_keeps_the_first(top_k, expected):
    logits = torch.tensor([-1.0, 0.0, 0.0, 0.0])
    assert shares(Sampling(1.0, top_k=top_k), logits) == about(*expected)


# Top-p


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (1e-9, (0, 1, 0, 0)),
        (0.49, (0, 1, 0, 0)),
        (0.5, (0, 1, 0, 0)),
        (0.51, (0, 2 / 3, 0, 1 / 3)),
        (0.75, (0, 2 / 3, 0, 1 / 3)),
        (0.76, (1 / 7, 4 / 7, 0, 2 / 7)),
        (0.88, (0.125, 0.5, 0.125, 0.25)),
        (1.0, (0.125, 0.5, 0.125, 0.25)),
    ],
)
def test_top_p_keeps_the_likeliest_and_the_one_that_reaches_it(top_p, expected):
    # Of the two eighths the first is kept first.
    assert shares(Sampling(1.0, top_p=top_p), log(0.125, 0.5, 0.125, 0.25)) == about(*expected)


def test_top_p_is_applied_after_the_temperature():
    # At temperature 1/2 the probabilities are 2/3, 1/6, 1/6.
    logits = log(0.5, 0.25, 0.25)
    assert shares(Sampling(0.5, top_p=0.6), logits) == about(1, 0, 0)
    assert shares(Sampling(1.0, top_p=0.6), logits) == about(2 / 3, 1 / 3, 0)


def test_top_p_is_a_share_of_what_top_k_leaves():
    # 1/2 and 1/4 are 2/3 and 1/3 of what is left.
    logits = log(0.5, 0.25, 0.125, 0.125)
    assert shares(Sampling(1.0, top_k=2, top_p=0.6), logits) == about(1, 0, 0, 0)
    assert shares(Sampling(1.0, top_p=0.6), logits) == about(2 / 3, 1 / 3, 0, 0)
    assert shares(Sampling(1.0, top_k=2, top_p=0.7), logits) == about(2 / 3, 1 / 3, 0, 0)
    assert shares(Sampling(1.0, top_k=1, top_p=0.7), logits) == about(1, 0, 0, 0)


@pytest.mark.parametrize(
    "options", [{"top_k": 130}, {"top_k": 1000}, {"top_p": 1.0}, {"top_k": 130, "top_p": 1.0}]
)
def test_no_room_for_truncation_changes_nothing(options):
    logits, noise = 3 * torch.randn(2_000, 130), torch.rand(2_000)
    assert torch.equal(Sampling(0.9, **options)(logits, noise), Sampling(0.9)(logits, noise))


# Refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.5}, "temperature must be 0 or above, got -0.5"),
        ({"temperature": math.nan}, "temperature must be 0 or above, got nan"),
        ({"top_k": 0}, "top-k must be at least 1, got 0"),
        ({"top_k": -3}, "top-k must be at least 1, got -3"),
        ({"top_p": 0.0}, "top-p must be above 0 and at most 1, got 0.0"),
        ({"top_p": -0.1}, "top-p must be above 0 and at most 1, got -0.1"),
        ({"top_p": 1.01}, "top-p must be above 0 and at most 1, got 1.01"),
        ({"top_p": math.nan}, "top-p must be above 0 and at most 1, got nan"),
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Sampling(**options)


def test_a_set_has_no_tonic_and_a_list_begins_with_one():
    assert Sampling(scale={7, 0, 4}).scale == frozenset({0, 4, 7})
    assert Sampling(scale=[7, 0, 4]).scale == (7, 0, 4)
