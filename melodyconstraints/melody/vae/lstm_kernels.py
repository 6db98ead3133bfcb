"""Element-wise part of an LSTM step, compiled: each row is read and written once.

In PyTorch's operations a step is a dozen passes over memory, half of them between bfloat16 and
float32. Here all that happens to a row stays in the nearest cache.

Arrays are of float32 or of bfloat16, whose bits NumPy holds as uint16. All arithmetic is in
float32, a row's result does not depend on the rows beside it, and not-a-numbers spread.

Loops are short, over one row, and start at zero: these are what the compiler turns into vector
instructions.

Shapes: ``N`` sequences side by side, ``H`` units. Gates stand in PyTorch's order: input, forget,
candidate, output.

References:
    S. L. Moshier, `Cephes Mathematical Library <https://www.netlib.org/cephes/>`_, ``expf.c``:
    the constants of :func:`exponential`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from melodyconstraints.melody.jit import jit

Array = NDArray[Any]

vectorised = partial(jit, fastmath={"contract", "nsz", "arcp"}, error_model="numpy")
"""Decorator: products and sums may be rounded once, not twice; what is not finite is kept."""

_ONE, _TWO = np.float32(1), np.float32(2)
_FARTHEST = np.float32(87)
"""Largest argument of an exponential: beyond it this, or one over it, is no ordinary float32."""
_PER_LOG_TWO = np.float32(1.4426950408889634)
_LOG_TWO = np.float32(0.693359375)
_LOG_TWO_REST = np.float32(-2.12194440e-4)
_SHIFT = np.float32(1.5 * 2**23)
"""Numbers around it are whole: added and taken away again it rounds, and its last bits count."""
_COEFFICIENTS = tuple(
    np.float32(coefficient)
    for coefficient in (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
)


@vectorised
def exponential(x: np.float32) -> np.float32:
    """``exp(x)`` to two parts in ten million, for ``x`` in [-87, 87]; beyond, that of the end.

    ``exp(x) = 2**n exp(r)``, where ``n`` is whole and ``|r|`` at most ``log(2) / 2``.
    """
    bounded = -_FARTHEST if x < -_FARTHEST else x
    bounded = _FARTHEST if bounded > _FARTHEST else bounded
    shifted = bounded * _PER_LOG_TWO + _SHIFT
    whole = shifted - _SHIFT
    rest = bounded - whole * _LOG_TWO - whole * _LOG_TWO_REST
    series = _COEFFICIENTS[0]
    for coefficient in _COEFFICIENTS[1:]:
        series = series * rest + coefficient
    near_one = series * rest * rest + rest + _ONE
    exponent = np.uint32(np.float32(shifted).view(np.uint32) << np.uint32(23))
    bits = np.uint32(np.float32(near_one).view(np.uint32) + exponent)
    return x if x != x else bits.view(np.float32)


@vectorised
def sigmoid(x: np.float32) -> np.float32:
    """``1 / (1 + exp(-x))``, and at least 1e-38."""
    return _ONE / (_ONE + exponential(-x))


@vectorised
def tanh(x: np.float32) -> np.float32:
    """The hyperbolic tangent as ``2 sigmoid(2x) - 1``."""
    return _TWO * sigmoid(_TWO * x) - _ONE


@vectorised
def from_bfloat16(bits: np.uint16) -> np.float32:
    """Float32 of a bfloat16, which is its upper half."""
    return np.uint32(np.uint32(bits) << np.uint32(16)).view(np.float32)


@vectorised
def to_bfloat16(x: np.float32) -> np.uint16:
    """Nearest bfloat16, of two the even one."""
    bits = np.float32(x).view(np.uint32)
    odd = np.uint32(bits >> np.uint32(16)) & np.uint32(1)
    nearest = np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    return np.uint16(0x7FC0) if x != x else np.uint16(nearest)


def value(row: Array, k: int) -> np.float32:
    """``row[k]`` as a float32; in compiled code, of a bfloat16's bits too."""
    return row[k]


def put(row: Array, k: int, x: np.float32) -> None:
    """``row[k] = x``; in compiled code, rounded where the row is of bfloat16."""
    row[k] = x


@overload(value, strict=False)
def _value(row: types.Array, k: types.Integer) -> Any:
    return (lambda row, k: from_bfloat16(row[k])) if row.dtype == types.uint16 else value


@overload(put, strict=False)
def _put(row: types.Array, k: types.Integer, x: types.Float) -> Any:
    def rounded(row: Array, k: int, x: np.float32) -> None:
        row[k] = to_bfloat16(x)

    return rounded if row.dtype == types.uint16 else put


@vectorised
def forward_step(
    recurrent: Array,
    given: Array,
    cell: Array,
    next_hidden: Array,
    next_cell: Array,
    gates: Array,
) -> None:
    """One step: what the hidden state and the input give the gates, to the next state.

    ::

        i, f, o = sigmoid(recurrent + given),  g = tanh(recurrent + given)
        next_cell = f cell + i g,  next_hidden = o tanh(next_cell)

    Args:
        recurrent, given: ``(N, 4H)`` shares of the gates, before the nonlinearity.
        cell: ``(N, H)`` float32.
        next_hidden, next_cell: ``(N, H)``, written to; ``next_cell`` is float32.
        gates: ``(N, 4H)``, written to.
    """
    units = cell.shape[1]
    activations = np.empty(4 * units, np.float32)
    i, f = activations[:units], activations[units : 2 * units]
    g, o = activations[2 * units : 3 * units], activations[3 * units :]
    for row in range(len(cell)):
        share, other, stored_gates = recurrent[row], given[row], gates[row]
        before, after, hidden = cell[row], next_cell[row], next_hidden[row]
        for k in range(4 * units):
            activations[k] = value(share, k) + value(other, k)
        for k in range(units):
            g[k] = _TWO * g[k]
        for k in range(4 * units):
            activations[k] = sigmoid(activations[k])
        for k in range(units):
            g[k] = _TWO * g[k] - _ONE
        for k in range(4 * units):
            put(stored_gates, k, activations[k])
        for k in range(units):
            after[k] = f[k] * before[k] + i[k] * g[k]
        for k in range(units):
            put(hidden, k, o[k] * tanh(after[k]))


@vectorised
def backward_step(
    grad_output: Array,
    grad_hidden: Array,
    grad_cell: Array,
    gates: Array,
    cell: Array,
    next_cell: Array,
    grad_gates: Array,
) -> None:
    """One step backwards.

    Args:
        grad_output, grad_hidden: ``(N, H)``, whose sum is the gradient of ``next_hidden``.
        grad_cell: ``(N, H)`` float32 gradient of ``next_cell``; becomes that of ``cell``.
        gates, cell, next_cell: arguments of :func:`forward_step`, as it left them.
        grad_gates: ``(N, 4H)`` gradient of the gates before the nonlinearity, written to.
    """
    units = cell.shape[1]
    grad, through = np.empty(units, np.float32), np.empty(units, np.float32)
    squashed = np.empty(units, np.float32)
    for row in range(len(cell)):
        outer, inner, carried = grad_output[row], grad_hidden[row], grad_cell[row]
        before, after = cell[row], next_cell[row]
        activations, gate_gradients = gates[row], grad_gates[row]
        i, grad_i = activations[:units], gate_gradients[:units]
        f, grad_f = activations[units : 2 * units], gate_gradients[units : 2 * units]
        g, grad_g = activations[2 * units : 3 * units], gate_gradients[2 * units : 3 * units]
        o, grad_o = activations[3 * units :], gate_gradients[3 * units :]
        for k in range(units):
            squashed[k] = tanh(after[k])
        for k in range(units):
            grad[k] = value(outer, k) + value(inner, k)
        for k in range(units):
            slope = _ONE - squashed[k] * squashed[k]
            through[k] = carried[k] + grad[k] * value(o, k) * slope
        for k in range(units):
            put(grad_i, k, through[k] * value(g, k) * value(i, k) * (_ONE - value(i, k)))
        for k in range(units):
            put(grad_f, k, through[k] * before[k] * value(f, k) * (_ONE - value(f, k)))
        for k in range(units):
            put(grad_g, k, through[k] * value(i, k) * (_ONE - value(g, k) * value(g, k)))
        for k in range(units):
            put(grad_o, k, grad[k] * squashed[k] * value(o, k) * (_ONE - value(o, k)))
        for k in range(units):
            carried[k] = through[k] * value(f, k)
