"""Searches in latent space along a critic's gradient, for points that the actor did not learn.

Each is a callable of the shape of :class:`melodyconstraints.latent.protocols.Search` and moves
every point of a batch by itself. Gradient descent draws nothing at random: what it finds for one
point does not depend on the others. The noise of Langevin steps is drawn for the batch as a whole,
so a point's walk, though no other point pulls at it, is another in another batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.losses import (
    distance_penalty,
    satisfaction_loss,
    shell_penalty,
)
from melodyconstraints.latent.protocols import CriticFunction


@dataclass(frozen=True)
class GradientSearch:
    """G_opt: gradient descent on -log D, summed over heads (the paper, sections 3 and 5).

    Appendix 9.2: 100 iterations of Adam, learning rate 0.1, betas (0.9, 0.999).

    Args:
        steps: most steps.
        learning_rate: learning rate of Adam.
        weights: weight of each head of the critic; ones if empty. A head of weight 0 neither pulls
            at a point nor keeps it going.
        thresholds: values of D in [0, 1], one a head or one for all, or ``(B, R)`` of each point.
            A point stops where all of its heads have reached theirs, so that it moves no further
            than it must; None moves every point by all steps.
        distance_weight: lambda_dist, or ``(B,)`` that of each point.
        shell_weight: weight of :func:`melodyconstraints.latent.losses.shell_penalty`.
    """

    steps: int = 100
    learning_rate: float = 0.1
    weights: tuple[float, ...] = ()
    thresholds: float | tuple[float, ...] | Tensor | None = None
    distance_weight: float | Tensor = 0.0
    shell_weight: float = 0.0

    @torch.enable_grad()
    def __call__(
        self,
        critic: CriticFunction,
        z: Tensor,
        y: Tensor | None = None,
        *,
        sigma_bar: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """``(B, Z)`` to ``(B, Z)``; draws nothing at random."""
        moved = z.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([moved], lr=self.learning_rate)
        going = torch.ones(len(z), 1, dtype=torch.bool, device=z.device)
        for _ in range(self.steps):
            logits = critic(moved, y)
            going = going & ~predicted_satisfied(logits, self.thresholds, self.weights)
            if not going.any():
                break
            loss = satisfaction_loss(logits, self.weights)
            loss = loss + self.distance_weight * distance_penalty(moved, z, sigma_bar)
            loss = loss + self.shell_weight * shell_penalty(moved)
            (gradient,) = torch.autograd.grad(loss.sum(), moved)
            before = moved.detach().clone()
            moved.grad = gradient
            optimizer.step()
            with torch.no_grad():
                moved.copy_(torch.where(going, moved, before))
        return moved.detach()


@dataclass(frozen=True)
class LangevinSearch:
    """Langevin steps: z + eps1 grad log p(c|z) + N(0, eps2 I).

    Direct latent optimisation, equation 2, with log p(c|z) the weighted sum of the heads' log D.
    There eps1 is 1e-3 and eps2, a variance, 1e-8.

    Args:
        steps: steps of the walk.
        step_size: eps1, factor on the gradient.
        noise: eps2, variance of the noise.
        prior_weight: weight of the gradient of log N(z; 0, I), which makes the walk one of the
            posterior p(z|c); 0 in the source.
        weights, thresholds: see :class:`GradientSearch`.
    """

    steps: int = 200
    step_size: float = 1e-3
    noise: float = 1e-8
    prior_weight: float = 0.0
    weights: tuple[float, ...] = ()
    thresholds: float | tuple[float, ...] | None = None

    @torch.enable_grad()
    def __call__(
        self,
        critic: CriticFunction,
        z: Tensor,
        y: Tensor | None = None,
        *,
        sigma_bar: Tensor | None = None,
        generator: torch.Generator,
    ) -> Tensor:
        """``(B, Z)`` to ``(B, Z)``."""
        moved = z.clone()
        going = torch.ones(len(z), 1, dtype=torch.bool, device=z.device)
        for _ in range(self.steps):
            moved.requires_grad_(True)
            logits = critic(moved, y)
            going = going & ~predicted_satisfied(logits, self.thresholds, self.weights)
            if not going.any():
                break
            loss = satisfaction_loss(logits, self.weights)
            loss = loss + self.prior_weight * 0.5 * moved.square().sum(-1)
            (gradient,) = torch.autograd.grad(loss.sum(), moved)
            noise = torch.randn(z.shape, generator=generator).to(z.device)
            step = -self.step_size * gradient + self.noise**0.5 * noise
            moved = moved.detach() + torch.where(going, step, torch.zeros_like(step))
        return moved.detach()


def signed(critic: CriticFunction) -> CriticFunction:
    """A critic of attributes as one of whether each is as wanted under a condition.

    Of the first ``Y`` heads, log D stands for the presence of an attribute; where ``y`` is 0 its
    absence is wanted, log(1 - D), which is the logit's negative. Other heads stay as they are.

    Args:
        critic: function from ``(B, Z)`` to logits ``(B, R)``; it gets no condition.

    Returns:
        ``(B, Z)`` and ``(B, Y)`` of 0 and 1 to logits ``(B, R)``.

    >>> critic = signed(lambda z, y: torch.tensor([[1.0, 2.0, 3.0]]))
    >>> critic(torch.zeros(1, 1), torch.tensor([[1.0, 0.0]]))
    tensor([[ 1., -2.,  3.]])
    """

    def of_wanted(z: Tensor, y: Tensor | None) -> Tensor:
        logits = critic(z, None)
        if y is None:
            return logits
        signs = torch.ones_like(logits)
        signs[:, : y.shape[1]] = 2 * y - 1
        return signs * logits

    return of_wanted


def predicted_satisfied(
    logits: Tensor,
    thresholds: float | Sequence[float] | Tensor | None,
    weights: Sequence[float] = (),
) -> Tensor:
    """``(B, 1)`` true where no head of ``(B, R)`` logits is below its threshold.

    Args:
        thresholds: threshold for all, ``R`` of them, or ``(B, R)`` or ``(B, 1)``.
        weights: weight of each head; one of weight 0 is passed over. Ones if empty.

    Raises:
        UsageError: another number of thresholds than heads.
    """
    if thresholds is None:
        return torch.zeros(len(logits), 1, dtype=torch.bool, device=logits.device)
    wanted = torch.as_tensor(thresholds, dtype=logits.dtype, device=logits.device)
    if wanted.ndim == 1 and len(wanted) != logits.shape[-1]:
        raise UsageError(
            f"give {logits.shape[-1]} thresholds, one for each head, got {len(wanted)}"
        )
    done = torch.sigmoid(logits) >= wanted
    if weights:
        done = done | (torch.tensor(weights, device=logits.device) == 0)
    return done.all(-1, keepdim=True)
