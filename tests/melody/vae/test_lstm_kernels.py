"""What an LSTM step does between its products, against the formulas in double precision."""

import math

import numpy as np
import pytest
import torch

from melodyconstraints.melody.vae import lstm_kernels
from melodyconstraints.melody.vae.lstm import as_array, forward_step, forward_step_learning

BFLOAT16, FLOAT32 = torch.bfloat16, torch.float32
TYPES = pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT32], ids=["bfloat16", "float32"])
SIZES = pytest.mark.parametrize(("rows", "units"), [(1, 5), (7, 5), (1, 384), (7, 384), (128, 5)])


class Step:
    """The arguments of one step, random, and room for its results."""

    def __init__(self, rows, units, dtype, spread=2.0):
        self.recurrent = (spread * torch.randn(rows, 4 * units)).to(dtype)
        self.given = torch.randn(rows, 4 * units).to(dtype)
        self.cell = torch.randn(rows, units)
        self.hidden = torch.empty(rows, units, dtype=dtype)
        self.next_cell = torch.empty(rows, units)
        self.gates = torch.empty(rows, 4 * units, dtype=dtype)

    @property
    def read(self):
        return self.recurrent, self.given, self.cell

    def results(self):
        """Hidden state, cell and gates."""
        found = self.hidden.clone(), self.next_cell.clone(), self.gates.clone()
        forward_step_learning(*self.read, *found)
        return found

    def plain(self):
        """Hidden state and cell by PyTorch's operations."""
        found = self.hidden.clone(), self.next_cell.clone()
        forward_step(*self.read, *found)
        return found


def in_double(before, cell):
    """The formulas: gates before the nonlinearity to hidden state, cell and gates."""
    i, f, g, o = before.double().chunk(4, -1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    following = f * cell.double() + i * g
    return o * following.tanh(), following, torch.cat([i, f, g, o], -1)


def accuracy(tensor):
    """What a result may be off: a bfloat16 has 8 bits."""
    return {"atol": 1e-6, "rtol": 2**-8 if tensor.dtype == BFLOAT16 else 1e-6}


def assert_right(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, **accuracy(one))


# One step


@SIZES
@TYPES
def test_a_step_is_that_of_the_formulas_in_double_precision(rows, units, dtype):
    step = Step(rows, units, dtype)
    before = step.recurrent.double() + step.given.double()
    assert_right(step.results(), in_double(before, step.cell))


@SIZES
@TYPES
def test_a_step_back_is_the_gradient_of_the_formulas_in_double_precision(rows, units, dtype):
    step = Step(rows, units, dtype)
    _, next_cell, activations = step.results()
    outer, inner = torch.randn(2, rows, units).to(dtype)
    carried, found = torch.randn(rows, units), torch.empty_like(activations)

    # The gates that were stored, not those before rounding, are what the way back starts from.
    i, f, g, o = activations.double().chunk(4, -1)
    grad, squashed = outer.double() + inner.double(), next_cell.double().tanh()
    through = carried.double() + grad * o * (1 - squashed**2)
    slopes = (
        through * g * i * (1 - i),
        through * step.cell.double() * f * (1 - f),
        through * i * (1 - g**2),
        grad * squashed * o * (1 - o),
    )

    arrays = (outer, inner, carried, activations, step.cell, next_cell, found)
    lstm_kernels.backward_step(*map(as_array, arrays))
    torch.testing.assert_close(
        found.double(), torch.cat(slopes, -1), atol=3e-6, rtol=accuracy(found)["rtol"]
    )
    torch.testing.assert_close(carried.double(), through * f, atol=3e-6, rtol=1e-6)


def test_a_step_back_is_the_slope_that_autograd_finds():
    step = Step(7, 5, FLOAT32)
    before = (step.recurrent + step.given).double().requires_grad_()
    cell = step.cell.double().requires_grad_()
    hidden, following, _ = in_double(before, cell)
    outer, carried = torch.randn(2, 7, 5)
    (hidden * outer.double() + following * carried.double()).sum().backward()

    _, next_cell, activations = step.results()
    found = torch.empty_like(activations)
    arrays = (outer, torch.zeros(7, 5), carried, activations, step.cell, next_cell, found)
    lstm_kernels.backward_step(*map(as_array, arrays))
    torch.testing.assert_close(found.double(), before.grad, atol=3e-6, rtol=1e-5)
    torch.testing.assert_close(carried.double(), cell.grad, atol=3e-6, rtol=1e-5)


@TYPES
def test_the_step_without_gradients_is_the_same_to_rounding(dtype):
    step = Step(7, 5, dtype)
    for one, other in zip(step.results()[:2], step.plain(), strict=True):
        torch.testing.assert_close(one, other, **accuracy(one))


@TYPES
def test_far_from_zero_gates_are_open_or_shut(dtype):
    step = Step(7, 5, dtype)
    step.recurrent = 100.0 * step.recurrent.sign()
    step.given.zero_()
    assert_right(step.results(), in_double(step.recurrent, step.cell))


@TYPES
def test_infinite_shares_are_those_far_from_zero(dtype):
    step = Step(2, 5, dtype)
    step.recurrent[0], step.recurrent[1] = math.inf, -math.inf
    assert_right(step.results(), in_double(step.recurrent, step.cell))


@pytest.mark.parametrize("at", ["recurrent", "given", "cell"])
@TYPES
def test_what_is_not_a_number_spreads_as_in_pytorch(at, dtype):
    step = Step(7, 20, dtype)
    getattr(step, at).flatten()[::9] = math.nan
    for one, other in zip(step.results()[:2], step.plain(), strict=True):
        assert torch.equal(one.isnan(), other.isnan())
    assert step.results()[0].isnan().any()


@TYPES
def test_a_row_is_the_same_to_the_bit_whatever_rows_stand_beside_it(dtype):
    step = Step(7, 37, dtype)
    together = step.results()
    for row in range(7):
        alone = Step(1, 37, dtype)
        alone.recurrent, alone.given, alone.cell = (one[row : row + 1] for one in step.read)
        for one, other in zip(alone.results(), together, strict=True):
            assert torch.equal(one[0], other[row])


# Arrays


@TYPES
def test_an_array_is_the_tensors_own_memory(dtype):
    tensor = torch.zeros(2, 3, dtype=dtype)
    as_array(tensor)[1, 2] = 1
    assert tensor[1, 2] != 0


@TYPES
def test_a_step_reads_tensors_in_any_order(dtype):
    step = Step(7, 5, dtype)
    expected = step.results()
    step.recurrent, step.given, step.cell = (one.T.contiguous().T for one in step.read)
    assert all(torch.equal(*pair) for pair in zip(step.results(), expected, strict=True))


# Parts


def every_bfloat16():
    return torch.arange(2**16).to(torch.uint16).view(BFLOAT16)


def test_every_bfloat16_is_read_as_pytorch_reads_it():
    expected = every_bfloat16().float().tolist()
    found = [lstm_kernels.from_bfloat16(bits) for bits in as_array(every_bfloat16())]
    np.testing.assert_array_equal(found, expected)


def test_a_float32_is_rounded_to_the_bfloat16_that_pytorch_takes():
    upper = torch.randint(2**15, (1000, 1)) * 2**16
    lower = torch.tensor([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
    numbers = (upper + lower).to(torch.int32).view(FLOAT32).flatten()
    numbers = torch.cat([numbers, -numbers, torch.tensor([math.inf, -math.inf, math.nan])])
    found = torch.tensor([lstm_kernels.to_bfloat16(x) for x in numbers.numpy()], dtype=torch.int32)
    found = found.to(torch.uint16).view(BFLOAT16)
    expected = numbers.to(BFLOAT16)
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found[~found.isnan()], expected[~expected.isnan()])


def test_the_exponential_is_right_to_two_parts_in_ten_million_and_keeps_to_its_ends():
    x = np.linspace(-87, 87, 20_001, dtype=np.float32)
    found = np.array([lstm_kernels.exponential(one) for one in x], dtype=np.float64)
    assert np.abs(found / np.exp(x.astype(np.float64)) - 1).max() < 2e-7
    for far, end in ((1e30, 87), (math.inf, 87), (-1e30, -87), (-math.inf, -87)):
        assert lstm_kernels.exponential(np.float32(far)) == lstm_kernels.exponential(
            np.float32(end)
        )
    assert math.isnan(lstm_kernels.exponential(np.float32(math.nan)))


def test_the_hyperbolic_tangent_is_right_to_a_millionth_and_ends_at_one():
    x = np.linspace(-12, 12, 10_001, dtype=np.float32)
    found = np.array([lstm_kernels.tanh(one) for one in x], dtype=np.float64)
    assert np.abs(found - np.tanh(x.astype(np.float64))).max() < 3e-7
    assert [lstm_kernels.tanh(np.float32(one)) for one in (-math.inf, 0, math.inf)] == [-1, 0, 1]
