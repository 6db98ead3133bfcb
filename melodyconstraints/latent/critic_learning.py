"""Critics that learn from examples: one step for trainings and for fine-tuning alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from melodyconstraints.latent import losses
from melodyconstraints.latent.networks import Critics
from melodyconstraints.latent.protocols import Constraint


@dataclass
class CriticLearner:
    """Adam on critics, each with examples of its own constraint.

    Args:
        critics: critics, one for each constraint.
        generator: source of the examples.
        batch_size: examples a step.
        learning_rate, betas: Adam's.
        gradient_penalty, one_sided: see :func:`melodyconstraints.latent.losses.gradient_penalty`.
        penalty_points: points of a batch, drawn at random, on which the penalty is taken.
    """

    critics: Critics
    constraints: Sequence[Constraint]
    generator: torch.Generator
    batch_size: int
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    gradient_penalty: float = 0.0
    penalty_points: int = 64
    one_sided: bool = False
    optimizer: torch.optim.Adam = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.Adam(
            self.critics.parameters(), lr=self.learning_rate, betas=self.betas
        )

    def step(self) -> float:
        """One step of every critic; the sum of their cross-entropies before it."""
        losses_of_critics = [
            self._loss(critic, constraint)
            for critic, constraint in zip(self.critics.critics, self.constraints, strict=True)
        ]
        total = torch.stack([loss + penalty for loss, penalty in losses_of_critics]).sum()
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        return float(torch.stack([loss for loss, _ in losses_of_critics]).detach().sum())

    def _loss(
        self, critic: torch.nn.Module, constraint: Constraint
    ) -> tuple[Tensor, Tensor | float]:
        """Cross-entropy on new examples, and the weighted gradient penalty."""
        points, y, targets = constraint.examples(self.batch_size, self.generator)
        loss = losses.cross_entropy(critic(points, y), targets)
        if not self.gradient_penalty:
            return loss, 0.0
        return loss, self.gradient_penalty * self._penalty(critic, points, y)

    def _penalty(self, critic: torch.nn.Module, points: Tensor, y: Tensor | None) -> Tensor:
        """Gradient penalty between the halves of examples, on some of them."""
        # At random: the examples have an order of their own, every other row may be of one kind.
        some = torch.arange(len(points))
        if len(points) > self.penalty_points:
            some = torch.randperm(len(points), generator=self.generator)[: self.penalty_points]
        y = None if y is None else y[some]
        return losses.gradient_penalty(
            lambda z: critic(z, y),
            points[some],
            points.roll(len(points) // 2, 0)[some],
            generator=None if points.is_cuda else self.generator,
            one_sided=self.one_sided,
        )
