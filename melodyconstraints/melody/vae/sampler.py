"""A melody VAE as the core sees it: a function from z to melodies."""

from __future__ import annotations

import torch
from torch import Tensor

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.model import DECODE_BATCH, MelodyVAE


class MelodySampler:
    """Binds a model to a way of drawing and a source of draws.

    Args:
        model: a trained melody VAE.
        temperature: of the decoder; 0 takes the likeliest events.
        top_k, top_p: see :class:`melodyconstraints.melody.vae.sampling.Drawing`.
        seed: of the draws; the same points in the same order give the same melodies, in one call
            or in several.
    """

    def __init__(
        self,
        model: MelodyVAE,
        *,
        temperature: float = 0.5,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> None:
        self.model, self.temperature = model, temperature
        self.top_k, self.top_p = top_k, top_p
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def latent_dim(self) -> int:
        """Z."""
        return self.model.latent_dim

    @property
    def sigma_bar(self) -> Tensor:
        """``(Z,)``."""
        return self.model.sigma_bar

    def decode(self, z: Tensor) -> Melodies:
        """``(B, Z)`` to ``B`` melodies."""
        drawn = [
            self.model.decode(
                part,
                temperature=self.temperature,
                top_k=self.top_k,
                top_p=self.top_p,
                generator=self._generator,
            )
            for part in z.split(DECODE_BATCH)
        ]
        return Melodies(torch.cat(drawn).cpu().numpy())
