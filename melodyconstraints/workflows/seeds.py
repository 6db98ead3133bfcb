"""Seeds for separate purposes, so that no actor is measured on points that it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.storage.arguments import check_amount, check_seed

POINTS, EVENTS = "points", "events"
"""Purposes of seeds: the latent points and the events of melodies that are generated."""
MOST_AT_ONCE = 100_000
"""Melodies that are drawn or decoded at once: they take about a gigabyte."""


def derived_seed(purpose: str, seed: int) -> int:
    """A seed for one purpose, independent of those for others.

    Raises:
        UsageError: a seed below 0, or of more than 63 bits.
    """
    check_seed(seed)
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def derived_generator(purpose: str, seed: int) -> torch.Generator:
    """A generator for one purpose; see :func:`derived_seed`."""
    return torch.Generator().manual_seed(derived_seed(purpose, seed))


def prior_points(model: MelodyVAE, n: int, seed: int) -> Tensor:
    """``(n, Z)`` points of the prior N(0, I), on the model's device and in its precision.

    Raises:
        UsageError: n below 1 or above :data:`MOST_AT_ONCE`.
    """
    check_count(n)
    return next_points(model, n, derived_generator(POINTS, seed))


def next_points(model: MelodyVAE, n: int, generator: torch.Generator) -> Tensor:
    """The next ``(n, Z)`` points of a generator on the CPU; see :func:`prior_points`."""
    return torch.randn(n, model.latent_dim, generator=generator).to(model.sigma_bar)


def prior_sampler(
    model: MelodyVAE,
    sampling: Sampling,
    finish: Callable[[Melodies], Melodies] | None = None,
) -> MelodySampler:
    """The model's decoder, with draws of its own for generated melodies; see its class."""
    own = sampling.with_seed(derived_seed(EVENTS, sampling.seed))
    return MelodySampler(model, own, finish)


def check_count(n: int) -> None:
    """Make sure that there is something to draw, and that it fits the memory.

    Raises:
        UsageError: n below 1 or above :data:`MOST_AT_ONCE`.
    """
    check_amount(n, MOST_AT_ONCE, "melodies")
