"""Spherical interpolation against closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.interpolation import slerp

THIRDS = torch.tensor([0.0, 1 / 3, 2 / 3, 1.0], dtype=torch.float64)
VECTORS = st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3)


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("angle", [0.3, 1.0, math.pi / 2, 3.0, math.pi - 1e-6])
def test_on_the_unit_circle_the_angle_grows_evenly(angle):
    found = slerp(vector(1, 0), vector(math.cos(angle), math.sin(angle)), THIRDS)
    angles = THIRDS * angle
    torch.testing.assert_close(found, torch.stack([angles.cos(), angles.sin()], 1))


def test_the_smallest_angle_is_divided_evenly_too():
    found = slerp(vector(1, 0), vector(math.cos(1e-6), math.sin(1e-6)), THIRDS)
    torch.testing.assert_close(found[:, 1], THIRDS * 1e-6, rtol=1e-6, atol=0)


def test_halfway_between_equal_lengths_is_their_mean_brought_to_that_length():
    p, q = vector(3, 0, 0, 4), vector(0, 5, 0, 0)
    middle = (p + q) / 2
    expected = 5 * middle / middle.norm()
    torch.testing.assert_close(slerp(p, q, vector(0.5))[0], expected)


def test_it_is_shoemakes_formula_for_equal_lengths():
    p, q = vector(2, 1, -2), vector(1, 2, 2)  # both of length 3, at a right angle
    angle = torch.acos(p @ q / 9)
    expected = torch.stack(
        [(torch.sin((1 - t) * angle) * p + torch.sin(t * angle) * q) / angle.sin() for t in THIRDS]
    )
    torch.testing.assert_close(slerp(p, q, THIRDS), expected)


@given(VECTORS, VECTORS)
def test_lengths_grow_evenly_unless_a_point_is_zero_and_ends_are_exact(p, q):
    p, q = torch.tensor(p), torch.tensor(q)
    found = slerp(p, q, THIRDS)
    assert torch.isfinite(found).all()
    assert torch.equal(found[0], p)
    assert torch.equal(found[-1], q)
    lengths = (1 - THIRDS) * p.double().norm() + THIRDS * q.double().norm()
    torch.testing.assert_close(found.double().norm(dim=1), lengths, rtol=1e-5, atol=1e-6)


@given(VECTORS, VECTORS)
def test_the_way_back_is_the_same_way_unless_points_are_opposite(p, q):
    p, q = vector(*p), vector(*q)
    if (p / p.norm() + q / q.norm()).norm() > 1e-3:
        there, back = slerp(p, q, THIRDS), slerp(q, p, THIRDS)
        torch.testing.assert_close(there, back.flip(0), atol=1e-5, rtol=1e-5)


def test_parallel_points_are_joined_by_a_straight_line():
    p = vector(1, 2, 2)
    expected = torch.stack([(1 + 2 * t) * p for t in THIRDS])
    torch.testing.assert_close(slerp(p, 3 * p, THIRDS), expected)
    torch.testing.assert_close(slerp(p, p, THIRDS), p.expand(4, 3))


@pytest.mark.parametrize("p", [(0, 3, 4), (0, 0, 5), (-5, 0, 0)])
def test_opposite_points_are_joined_by_half_a_circle(p):
    p = vector(*p)
    found = slerp(p, -p, vector(0.5))[0]
    assert found @ p == pytest.approx(0, abs=1e-9)
    assert found.norm() == pytest.approx(5)


@pytest.mark.parametrize(
    ("p", "q", "middle"),
    [((0, 0), (0, 4), (0, 2)), ((2, 0), (0, 0), (1, 0)), ((0, 0), (0, 0), (0, 0))],
)
def test_from_or_to_zero_the_way_is_straight(p, q, middle):
    assert slerp(vector(*p), vector(*q), vector(0.5))[0].tolist() == list(middle)


def test_on_a_line_opposite_points_meet_at_zero():
    found = slerp(vector(2), vector(-2), vector(0, 0.5, 1))
    assert found.flatten().tolist() == pytest.approx([2, 0, -2], abs=1e-12)


def test_the_result_has_the_type_of_the_points_whatever_that_of_the_weights():
    found = slerp(torch.ones(2), torch.ones(2), THIRDS)
    assert (found.dtype, found.shape) == (torch.float32, (4, 2))
    assert slerp(torch.ones(2), torch.ones(2), torch.zeros(0)).shape == (0, 2)


@pytest.mark.parametrize(
    ("p", "q", "weights", "message"),
    [
        (
            vector(1, 2),
            vector(1),
            vector(0),
            r"two vectors of one size, got shapes \(2,\) and \(1",
        ),
        (torch.ones(1, 2), torch.ones(1, 2), vector(0), r"vectors of one size, got shapes \(1, 2"),
        (vector(1), vector(1), vector(1.5), r"values in \[0, 1\], got \[1.5\]"),
        (vector(1), vector(1), vector(-0.1), r"values in \[0, 1\], got \[-0.1\]"),
        (vector(1), vector(1), vector(math.nan), r"values in \[0, 1\], got \[nan\]"),
        (vector(1), vector(1), torch.tensor(0.5), "weights must be a vector"),
    ],
)
def test_other_arguments_are_refused(p, q, weights, message):
    with pytest.raises(UsageError, match=message):
        slerp(p, q, weights)
