"""Two dimensions, where the answer is known: a plane, wishes on it, and quick recipes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from melodyconstraints.latent.settings import ActorCriticSettings

QUICK = ActorCriticSettings(
    actor_hidden=(64, 64),
    critic_hidden=(64, 64),
    condition_units=32,
    bank=512,
    warmup_steps=100,
    rounds=60,
    actor_points=64,
    prior_points=16,
    replay_size=4000,
    critic_steps=10,
    actor_steps=10,
    actor_every=1,
    batch_size=64,
    learning_rate=3e-3,
    betas=(0.5, 0.9),
    final_learning_rate_fraction=0.1,
    distance_weight=0.02,
    prior_weight=0.0,
    gradient_penalty=1.0,
    penalty_points=64,
    one_sided=True,
    sharpness=1.0,
    ema_decay=0.9,
    validation=256,
    validate_every=10,
)
SHORT = replace(
    QUICK,
    actor_hidden=(8,),
    critic_hidden=(8,),
    condition_units=4,
    bank=64,
    warmup_steps=3,
    rounds=4,
    actor_points=6,
    prior_points=2,
    critic_steps=2,
    actor_steps=2,
    batch_size=8,
    validation=16,
    validate_every=2,
)


class Plane:
    """A model whose samples are its latent points; it counts what it decodes."""

    latent_dim = 2

    def __init__(self) -> None:
        self.sigma_bar = torch.full((2,), 0.5)
        self.decoded: list[int] = []

    def decode(self, z: Tensor) -> Tensor:
        self.decoded.append(len(z))
        return z


class Disc:
    """A reward: 1 inside a disc away from the origin, less the farther outside."""

    centre, radius = torch.tensor([2.0, -1.5]), 0.7

    def outside(self, z: Tensor) -> Tensor:
        """``(B,)`` distance from ``(B, 2)`` points to the disc, 0 inside."""
        return ((z - self.centre).norm(dim=-1) - self.radius).clamp(min=0)

    def __call__(self, z: Tensor) -> Tensor:
        return torch.exp(-self.outside(z))


class DiscAroundY:
    """A judge: 1 within 0.5 of a point y that is asked, less the farther outside."""

    names = ("near y",)
    radius = 0.5

    def measure(self, samples: Tensor) -> Tensor:
        return samples

    def compute(self, measured: Tensor, y: Tensor) -> Tensor:
        outside = ((measured - y).norm(dim=-1, keepdim=True) - self.radius).clamp(min=0)
        return torch.exp(-outside)


@pytest.fixture
def plane() -> Plane:
    """A model on which training and search have a known answer."""
    return Plane()


@pytest.fixture
def disc() -> Disc:
    """A reward with a known answer."""
    return Disc()


@pytest.fixture
def disc_around_y() -> DiscAroundY:
    """A judge with a known answer."""
    return DiscAroundY()


@pytest.fixture
def quick() -> ActorCriticSettings:
    """Learns a disc in a second or two."""
    return QUICK


@pytest.fixture
def short() -> ActorCriticSettings:
    """Goes through every motion and learns nothing."""
    return SHORT


@pytest.fixture
def seeded() -> Callable[..., torch.Generator]:
    """A generator for a seed."""
    return lambda seed=0: torch.Generator().manual_seed(seed)
