"""A melody VAE as the core sees it: a function from z to melodies."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.model import DECODE_BATCH, MelodyVAE
from melodyconstraints.melody.vae.sampling import Sampling

LIKELIEST = Sampling(temperature=0.0)
"""The likeliest event at every step: nothing is drawn."""


class MelodySampler:
    """A model bound to a way of sampling and a source of draws.

    Args:
        model: a trained melody VAE.
        sampling: its seed starts the draws; the same points in the same order give the same
            melodies, in one call or in several.
    """

    def __init__(self, model: MelodyVAE, sampling: Sampling | None = None) -> None:
        self.model, self.sampling = model, sampling or Sampling()
        self._generator = torch.Generator().manual_seed(self.sampling.seed)

    @property
    def latent_dim(self) -> int:
        """Z."""
        return self.model.latent_dim

    @property
    def sigma_bar(self) -> Tensor:
        """``(Z,)`` posterior scale averaged over the training data."""
        return self.model.sigma_bar

    def decode(self, z: Tensor, callback: Callable[[int], object] | None = None) -> Melodies:
        """``(B, Z)`` to ``B`` melodies.

        Args:
            callback: called with how many there are, from time to time.
        """
        drawn, count = [], 0
        for part in z.split(DECODE_BATCH):
            drawn.append(self.model.decode(part, self.sampling, generator=self._generator))
            count += len(part)
            if callback:
                callback(count)
        return Melodies(torch.cat(drawn).cpu().numpy())
