"""Interpolation from one latent point to another.

References: Shoemake, *Animating rotation with quaternion curves*, SIGGRAPH 1985; White, *Sampling
generative networks*, arXiv:1609.04468 (2016), section 2: a straight line leaves the shell on which
the prior's points lie, an arc stays near it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError

_TINY = 1e-12
"""Lengths below are zero in double precision: they have no direction."""


def slerp(start: Tensor, end: Tensor, weights: Tensor) -> Tensor:
    """Spherical interpolation: the direction turns evenly, the length grows evenly.

    With p = start, q = end, their unit vectors u and v at an angle W, and w the unit vector at a
    right angle to u in their plane,

        slerp(t) = ((1 - t) |p| + t |q|) (cos(tW) u + sin(tW) w).

    The second factor is Shoemake's (sin((1 - t) W) u + sin(tW) v) / sin W, written so that it
    divides by no small sine. White applies Shoemake's to p and q themselves; that is the same for
    equal lengths, and for others strays from the lengths between as W nears a half turn. Opposite
    points are joined through the axis that is nearest to a right angle with them; a zero has no
    direction and is joined by a straight line.

    Args:
        start, end: ``(Z,)``.
        weights: ``(n,)`` in [0, 1].

    Returns:
        ``(n, Z)``, of the type of ``start``; exactly ``start`` at 0 and ``end`` at 1.

    Raises:
        UsageError: points of different or other shapes, or weights outside [0, 1].

    >>> slerp(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), torch.tensor([0.0, 0.5, 1.0]))
    tensor([[2.0000, 0.0000],
            [1.4142, 1.4142],
            [0.0000, 2.0000]])
    """
    if start.ndim != 1 or start.shape != end.shape:
        shapes = f"{tuple(start.shape)} and {tuple(end.shape)}"
        raise UsageError(f"points must be two vectors of one size, got shapes {shapes}")
    if weights.ndim != 1 or not ((weights >= 0) & (weights <= 1)).all():
        raise UsageError(f"weights must be a vector with values in [0, 1], got {weights.tolist()}")
    p, q, t = start.double(), end.double(), weights.to(start.device).double()[:, None]
    lengths = p.norm(), q.norm()
    if min(lengths) < _TINY:
        path = (1 - t) * p + t * q
    else:
        u, v = p / lengths[0], q / lengths[1]
        angle = 2 * torch.atan2((u - v).norm(), (u + v).norm())
        directions = torch.cos(t * angle) * u + torch.sin(t * angle) * _right_angle(u, v)
        path = ((1 - t) * lengths[0] + t * lengths[1]) * directions
    path = torch.where(t == 0, p, torch.where(t == 1, q, path))
    return path.to(start.dtype)


def _right_angle(u: Tensor, v: Tensor) -> Tensor:
    """The unit vector at a right angle to ``u`` on the side of ``v``; any, where there is none.

    ``(Z,)`` unit vectors; in one dimension the result is zero.
    """
    side = v - (u @ v) * u
    if side.norm() < 1e-8:  # the same or the opposite direction
        axis = torch.zeros_like(u)
        axis[u.abs().argmin()] = 1
        side = axis - (u @ axis) * u
    return side / side.norm().clamp(min=_TINY)
