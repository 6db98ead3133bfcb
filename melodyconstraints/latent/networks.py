"""Actor and critic: feed-forward networks on latent points (paper, appendix 9.2.4, 9.2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from melodyconstraints.latent.settings import ActorCriticSettings

_CONDITION_UNITS = 2048
"""Units of the paper's linear map of a condition."""
_CLOSED = -1e3
"""Logit of a closed gate: its sigmoid is 0."""
_EXPECTED = 8.0
"""Logit of an expected reward: one at which a search stops, and that may be unlearned."""


class ConditionInput(nn.Module):
    """Joins a latent point with its condition y, where there is one.

    Args:
        units: units of a linear map of y (the paper, appendix 9.2.4); 0 for y as it is, which is
            plain concatenation.
    """

    def __init__(self, latent_dim: int, condition_dim: int, units: int) -> None:
        super().__init__()
        self.condition_dim = condition_dim
        self.linear = nn.Linear(condition_dim, units) if condition_dim and units else None
        self.size = latent_dim + (units if self.linear else condition_dim)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        """``(B, Z)`` and ``(B, Y)`` or None to ``(B, size)``."""
        if (y is None) != (self.condition_dim == 0):
            raise ValueError("give y exactly when the network was built with condition_dim > 0")
        if y is None:
            return z
        return torch.cat([z, y if self.linear is None else self.linear(y)], -1)


class Actor(nn.Module):
    """G(z, y): a gated shift, z' = (1 - gates) * z + gates * dz.

    Args:
        latent_dim: Z.
        hidden: units of each ReLU layer; the paper has four of 2048.
        condition_dim: Y, 0 for an unconditional actor.
        condition_units: see :class:`ConditionInput`; the paper has 2048.
        gate_bias: bias of the gates' logits at the start.
    """

    def __init__(
        self,
        latent_dim: int,
        hidden: Sequence[int],
        condition_dim: int = 0,
        *,
        condition_units: int = _CONDITION_UNITS,
        gate_bias: float = 0.0,
    ) -> None:
        super().__init__()
        self.hidden = tuple(hidden)
        self.inputs = ConditionInput(latent_dim, condition_dim, condition_units)
        self.layers = relu_layers(self.inputs.size, hidden, 2 * latent_dim)
        *_, bias = self.layers.parameters()
        with torch.no_grad():
            bias[latent_dim:] += gate_bias

    def stay(self) -> None:
        """Close the gates: every point is taken to itself."""
        *_, weight, bias = self.layers.parameters()
        count = len(bias) // 2
        with torch.no_grad():
            weight[count:] = 0
            bias[count:] = _CLOSED

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """``(B, Z)``, ``(B, Y)`` to ``(B, Z)``."""
        shift, gates = self.layers(self.inputs(z, y)).chunk(2, dim=-1)
        gates = torch.sigmoid(gates)
        return (1 - gates) * z + gates * shift


class ConditionedActor(nn.Module):
    """A conditional actor at one fixed condition: z to G(z, y).

    Args:
        y: ``(Y,)``.
    """

    def __init__(self, actor: Actor, y: Tensor) -> None:
        super().__init__()
        self.actor, self.y = actor, y

    def forward(self, z: Tensor) -> Tensor:
        """``(B, Z)`` to ``(B, Z)``."""
        shifted: Tensor = self.actor(z, self.y.to(z.device).expand(len(z), -1))
        return shifted


class Critic(nn.Module):
    """D(z, y) as logits, a head for each reward; the value is their sigmoid.

    Args:
        latent_dim: Z.
        heads: R, rewards that it predicts.
        hidden: units of each ReLU layer.
        condition_dim: Y, 0 for an unconditional critic.
        condition_units: see :class:`ConditionInput`; the paper has 2048.
    """

    def __init__(
        self,
        latent_dim: int,
        heads: int,
        hidden: Sequence[int],
        condition_dim: int = 0,
        *,
        condition_units: int = _CONDITION_UNITS,
    ) -> None:
        super().__init__()
        self.heads, self.hidden = heads, tuple(hidden)
        self.inputs = ConditionInput(latent_dim, condition_dim, condition_units)
        self.layers = relu_layers(self.inputs.size, hidden, heads)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """``(B, Z)``, ``(B, Y)`` to logits ``(B, R)``."""
        return self.layers(self.inputs(z, y))


class Critics(nn.Module):
    """Several critics as one: their heads side by side."""

    def __init__(self, critics: Sequence[Critic]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def expect_all(self) -> None:
        """Predict nearly 1 of every head, whatever the point."""
        with torch.no_grad():
            for critic in cast("list[Critic]", list(self.critics)):
                *_, weight, bias = critic.layers.parameters()
                weight.zero_()
                bias.fill_(_EXPECTED)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """``(B, Z)``, ``(B, Y)`` to logits ``(B, R)``; y goes to those that take one."""
        critics = cast("list[Critic]", list(self.critics))
        return torch.cat(
            [critic(z, y if critic.inputs.condition_dim else None) for critic in critics], -1
        )


def build_networks(
    latent_dim: int,
    settings: ActorCriticSettings,
    heads: Sequence[int],
    condition_dims: Sequence[int],
    condition_dim: int = 0,
) -> tuple[Actor, Critics]:
    """An actor and its critics as before a training.

    Args:
        latent_dim: Z.
        heads: R of each critic.
        condition_dims: Y of each critic; 0 for one that sees no condition.
        condition_dim: Y of the actor.
    """
    units = settings.condition_units
    actor = Actor(
        latent_dim,
        settings.actor_hidden,
        condition_dim,
        condition_units=units,
        gate_bias=settings.gate_bias,
    )
    critics = [
        Critic(latent_dim, count, settings.critic_hidden, dim, condition_units=units)
        for count, dim in zip(heads, condition_dims, strict=True)
    ]
    return actor, Critics(critics)


def relu_layers(inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """Linear layers, each but the last followed by a ReLU."""
    sizes = [inputs, *hidden]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))
