"""The LSTM layer for CPUs against PyTorch's own, outputs and gradients."""

import math

import pytest
import torch
from torch import Tensor, nn

from melodyconstraints.melody.vae import lstm
from melodyconstraints.melody.vae.lstm import LayerWeights, scan, tanh

STEPS, ROWS, UNITS, EVENTS = 7, 5, 6, 9
PREPARED = [(steps, table) for steps in (1, STEPS) for table in (True, False)]
"""Steps of the constant share, and whether events of a table are added to it."""


class Layer:
    """The arguments of a ``scan``, random, and what it must give."""

    def __init__(self, constant_steps: int, with_table: bool, rows: int = ROWS) -> None:
        steps = STEPS if with_table else constant_steps
        self.weight = leaf(4 * UNITS, UNITS)
        self.hidden, self.cell = leaf(rows, UNITS), leaf(rows, UNITS)
        self.constant = leaf(constant_steps, rows, 4 * UNITS)
        self.table = leaf(EVENTS, 4 * UNITS) if with_table else None
        self.events = torch.randint(EVENTS, (steps, rows)) if with_table else None
        self.weigh = torch.randn(steps, rows, UNITS)

    @property
    def leaves(self) -> list[Tensor]:
        """What a gradient is asked of."""
        found = [self.weight, self.hidden, self.cell, self.constant, self.table]
        return [one for one in found if one is not None]

    def scanned(self) -> Tensor:
        return scan(self.weight, (self.hidden, self.cell), self.constant, self.table, self.events)

    def expected(self) -> Tensor:
        """By PyTorch's LSTM in double precision, whose input is the given share of the gates."""
        given = self.constant.double()
        if self.table is not None:
            given = given + self.table.double()[self.events]
        module = nn.LSTM(4 * UNITS, UNITS).double()
        weights = {
            "weight_ih_l0": torch.eye(4 * UNITS).double(),
            "weight_hh_l0": self.weight.double(),
            "bias_ih_l0": torch.zeros(4 * UNITS).double(),
            "bias_hh_l0": torch.zeros(4 * UNITS).double(),
        }
        state = self.hidden.double()[None], self.cell.double()[None]
        return torch.func.functional_call(module, weights, (given, state))[0]

    def gradients(self, outputs: Tensor) -> list[Tensor]:
        """Of a random weighting of all outputs."""
        loss = (outputs * self.weigh.to(outputs.dtype)).sum()
        return list(torch.autograd.grad(loss, self.leaves))


def leaf(*shape: int) -> Tensor:
    return torch.randn(shape, requires_grad=True)


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).norm() / expected.norm()).item()


# Against PyTorch's


@pytest.mark.parametrize(("steps", "with_table"), PREPARED)
def test_outputs_are_those_of_pytorchs_lstm(steps, with_table):
    layer = Layer(steps, with_table)
    torch.testing.assert_close(layer.scanned().double(), layer.expected(), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(("steps", "with_table"), PREPARED)
def test_gradients_of_every_argument_are_those_of_pytorchs_lstm(steps, with_table):
    layer = Layer(steps, with_table)
    found = layer.gradients(layer.scanned())
    expected = layer.gradients(layer.expected())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_the_gradient_of_the_last_output_alone_goes_through_all_steps():
    layer = Layer(1, with_table=True)
    layer.weigh[:-1] = 0
    found = torch.autograd.grad((layer.scanned()[-1] * layer.weigh[-1]).sum(), layer.leaves)
    for one, other in zip(found, layer.gradients(layer.expected()), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_gradients_are_the_slopes_that_differences_show():
    layer = Layer(STEPS, with_table=True)
    directions = [torch.randn_like(one) for one in layer.leaves]
    slope = sum(
        float((gradient * direction).sum())
        for gradient, direction in zip(layer.gradients(layer.scanned()), directions, strict=True)
    )

    def value_at(distance: float) -> float:
        with torch.no_grad():
            for one, direction in zip(layer.leaves, directions, strict=True):
                one += distance * direction
            value = float((layer.scanned() * layer.weigh).double().sum())
            for one, direction in zip(layer.leaves, directions, strict=True):
                one -= distance * direction
        return value

    # The error of a central difference falls with the square of its width, 1e-3 here.
    difference = (value_at(5e-3) - value_at(-5e-3)) / 1e-2
    assert difference == pytest.approx(slope, rel=5e-3)


# Blocks, and the path without gradients


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize(("steps", "with_table"), PREPARED)
def test_more_rows_than_a_block_give_the_same(monkeypatch, steps, with_table, block):
    layer = Layer(steps, with_table)
    whole = layer.scanned()
    gradients = layer.gradients(whole)
    monkeypatch.setattr(lstm, "BLOCK", block)
    with torch.no_grad():
        torch.testing.assert_close(layer.scanned(), whole)
    torch.testing.assert_close(layer.scanned(), whole)
    for one, other in zip(layer.gradients(layer.scanned()), gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_rows_do_not_know_of_each_other():
    layer = Layer(1, with_table=True)
    before = layer.scanned()
    with torch.no_grad():
        layer.hidden[2], layer.cell[2], layer.constant[:, 2] = 3.0, -2.0, 1.0
        layer.events[:, 2] = 0
    changed = (layer.scanned() != before).any(-1)
    assert changed[:, 2].all()
    assert changed.sum() == STEPS


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(("steps", "with_table"), PREPARED)
def test_without_gradients_the_outputs_are_the_same_to_rounding(steps, with_table, bfloat16):
    layer = Layer(steps, with_table)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        learned = layer.scanned()
        with torch.no_grad():
            plain = layer.scanned()
    assert learned.requires_grad
    assert not plain.requires_grad
    assert plain.dtype == learned.dtype
    tolerance = 0.02 if bfloat16 else 2e-6
    torch.testing.assert_close(learned, plain, atol=tolerance, rtol=tolerance)


def test_the_arguments_are_left_as_they_were():
    layer = Layer(STEPS, with_table=True)
    before = [one.detach().clone() for one in layer.leaves]
    layer.gradients(layer.scanned())
    with torch.no_grad():
        layer.scanned()
    assert all(torch.equal(one, old) for one, old in zip(layer.leaves, before, strict=True))


# In bfloat16


@pytest.mark.parametrize(("steps", "with_table"), PREPARED)
def test_in_bfloat16_outputs_and_gradients_are_close_to_full_precision(steps, with_table):
    layer = Layer(steps, with_table)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer.scanned()
    expected = layer.expected()
    assert found.dtype == torch.bfloat16
    # A bfloat16 has 8 bits: up to a part in 256 is lost at every rounding.
    assert relative_error(found, expected) < 0.02
    gradients = layer.gradients(found)
    assert all(gradient.dtype == torch.float32 for gradient in gradients)
    for one, other in zip(gradients, layer.gradients(expected), strict=True):
        assert relative_error(one, other) < 0.03


@pytest.mark.parametrize("learning", [True, False])
def test_cells_are_kept_in_full_precision_under_bfloat16(learning):
    # Input gates at 1/2, forget and output gates at 1: each step adds tanh(0.004) / 2 = 0.002,
    # less than a bfloat16 of 1 can tell.
    gates = torch.tensor([0.0, 30.0, 0.004, 30.0]).reshape(1, 1, 4).expand(100, -1, -1)
    with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(learning):
        outputs = scan(torch.zeros(4, 1), (torch.zeros(1, 1), torch.ones(1, 1)), gates)
    assert outputs[-1].item() == pytest.approx(math.tanh(1.2), abs=0.003)


# Parts


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("direction", ["", "_reverse"])
def test_layer_weights_are_a_modules_with_both_biases_in_one(layer, direction):
    module = nn.LSTM(3, 4, 2, bidirectional=True)
    weights = LayerWeights.of(module, layer, direction)
    end = f"l{layer}{direction}"
    assert weights.inputs is getattr(module, f"weight_ih_{end}")
    assert weights.recurrent is getattr(module, f"weight_hh_{end}")
    biases = getattr(module, f"bias_ih_{end}"), getattr(module, f"bias_hh_{end}")
    assert torch.equal(weights.bias, biases[0] + biases[1])
    gradients = torch.autograd.grad(weights.bias.sum(), biases)
    assert all(torch.equal(gradient, torch.ones(16)) for gradient in gradients)


def test_the_hyperbolic_tangent_is_right_to_a_millionth_and_ends_at_one():
    x = torch.linspace(-12, 12, 100_001)
    assert (tanh(x).double() - x.double().tanh()).abs().max() < 3e-7
    assert tanh(torch.tensor([-math.inf, 0.0, math.inf])).tolist() == [-1.0, 0.0, 1.0]
