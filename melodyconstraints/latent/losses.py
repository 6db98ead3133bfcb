"""The losses of latent constraints, as pure functions (the paper, sections 3 and 6).

The paper prints the loss of a negative as -(1 - log D); the cross-entropy that it stands for, and
that is used here, is -log(1 - D).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from melodyconstraints.errors import UsageError


def cross_entropy(logits: Tensor, rewards: Tensor) -> Tensor:
    """Critic loss: -[c log D + (1 - c) log(1 - D)], summed over heads, mean over the batch.

    Its minimum over D is the expected reward, whatever the rewards' distribution.

    Args:
        logits: ``(B, R)``.
        rewards: ``(B, R)`` in [0, 1].

    >>> cross_entropy(torch.zeros(1, 1), torch.ones(1, 1))
    tensor(0.6931)
    """
    return F.binary_cross_entropy_with_logits(logits, rewards, reduction="none").sum(-1).mean()


def satisfaction_loss(logits: Tensor, weights: Sequence[float] = ()) -> Tensor:
    """Actor loss: L_{c=1} = -log D(z), summed over heads, for each point: ``(B,)``.

    Args:
        logits: ``(B, R)``.
        weights: ``R`` weights of the heads; ones if empty.

    Raises:
        UsageError: another number of weights than heads.
    """
    losses = F.softplus(-logits)
    if not weights:
        return losses.sum(-1)
    if len(weights) != logits.shape[-1]:
        raise UsageError(f"give {logits.shape[-1]} weights, one for each head, got {len(weights)}")
    return losses @ torch.tensor(weights, dtype=logits.dtype, device=logits.device)


def distance_penalty(shifted: Tensor, z: Tensor, sigma_bar: Tensor) -> Tensor:
    """L_dist = log(1 + (z' - z)^2) / sigma_bar^2, mean over dimensions: ``(B,)``.

    Dimensions that the model does not use (sigma_bar near 1) weigh least.

    Args:
        shifted, z: ``(B, Z)``.
        sigma_bar: ``(Z,)``.

    >>> distance_penalty(torch.ones(1, 2), torch.zeros(1, 2), torch.tensor([1.0, 0.5]))
    tensor([1.7329])
    """
    return (torch.log1p((shifted - z).square()) / sigma_bar.square()).mean(-1)


def shell_penalty(shifted: Tensor) -> Tensor:
    """Pull towards the prior's shell: (|z'|^2 / Z - 1)^2, outside it only: ``(B,)``.

    The distance penalty grows as a logarithm and alone does not hold an actor that gains by going
    far out; this one does.

    >>> shell_penalty(torch.tensor([[1.0, -1.0], [2.0, 0.0]]))
    tensor([0., 1.])
    """
    return (shifted.square().mean(-1) - 1).clamp(min=0).square()


def prior_penalty(shifted: Tensor) -> Tensor:
    """KL of the actor's points from the prior, dimension by dimension, from a batch's moments.

    KL(N(m, v) || N(0, 1)) = (m^2 + v - 1 - log v) / 2, mean over dimensions. It holds what the
    distance penalty does not: that points do not all move the same way (m), run far out or, which
    is cheap in distance and costs diversity, shrink towards the origin (v).

    Args:
        shifted: ``(B, Z)``, at least two points.

    >>> prior_penalty(torch.tensor([[2.0], [1.0], [0.0]]))
    tensor(0.5000)
    """
    variance, mean = torch.var_mean(shifted, 0)
    return 0.5 * (mean.square() + variance - 1 - variance.log()).mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    first: Tensor,
    second: Tensor,
    *,
    generator: torch.Generator | None = None,
    one_sided: bool = False,
) -> Tensor:
    """Mean of (|grad D(z)| - 1)^2 on random points between two batches (Gulrajani et al. 2017).

    Taken on logits, head by head, and averaged over heads.

    Args:
        critic: function from ``(B, Z)`` to logits ``(B, R)``.
        first, second: ``(B, Z)``, the ends of the lines.
        one_sided: whether only slopes above 1 cost.
    """
    share = torch.rand(len(first), 1, generator=generator, device=first.device)
    between = (share * first + (1 - share) * second).detach().requires_grad_(True)
    logits = critic(between)
    penalties = []
    for head in logits.unbind(-1):
        (slope,) = torch.autograd.grad(head.sum(), between, create_graph=True)
        excess = slope.norm(dim=-1) - 1
        penalties.append((excess.clamp(min=0) if one_sided else excess).square().mean())
    return torch.stack(penalties).mean()
