"""Whether the tables of a model that was read make sense.

Weights may be any numbers, and draw what they draw. A table is looked up, inverted or divided by:
one that makes no sense would draw nonsense without a word, or fail when a melody is drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

_LARGEST_LOGIT = 100.0
"""Far beyond what is measured; larger ones say nothing, or overflow."""
_WORST_CONDITION = 1e6
"""Largest condition number of a matrix that is inverted in single precision."""


def wrong_table(model: nn.Module) -> str | None:
    """The first table of a model that makes no sense, and what it must be; None if all do."""
    for name, table in model.named_buffers():
        for of, must, is_right in _TABLES:
            if name.startswith(of) and not is_right(table.double()):
                return f"tensor {name} must {must}"
    return None


def _are_bounds(table: Tensor) -> bool:
    """Whether ``(n + 1,)`` bounds share [0, 1]."""
    ends = table[[0, -1]] - torch.tensor([0.0, 1.0]).to(table)
    return bool((table.diff() >= 0).all() and (ends.abs() < 1e-3).all())


def _rises(table: Tensor) -> bool:
    return bool((table.diff(dim=-1) >= 0).all())


def _is_positive(table: Tensor) -> bool:
    return bool((table > 0).all())


def _has_inverse(table: Tensor) -> bool:
    return bool((torch.linalg.cond(table) < _WORST_CONDITION).all())


def _are_logits(table: Tensor) -> bool:
    return bool((table.abs() <= _LARGEST_LOGIT).all())


_TABLES: list[tuple[str, str, Callable[[Tensor], bool]]] = [
    ("sigma_bar", "be above 0", _is_positive),
    ("key_ranks", "rise from 0 to 1", _are_bounds),
    ("place_ranks", "rise from 0 to 1", _are_bounds),
    ("mode_ranks", "rise from 0 to 1", _are_bounds),
    ("bars.code_scale", "be above 0", _is_positive),
    ("scores.quantiles", "rise along each row", _rises),
    ("scores.rotation", "have an inverse", _has_inverse),
    ("prior.flow.rotations", "have an inverse", _has_inverse),
    (
        "calibration.",
        f"be from -{_LARGEST_LOGIT:g} to {_LARGEST_LOGIT:g}",
        _are_logits,
    ),
]
"""Beginning of a tensor's name, what it must be, and whether it is."""
