"""The image VAE; for the core (``latent/``) a model whose samples are images.

Shapes: ``B`` images, ``C`` channels, ``H`` x ``W`` pixels, ``Z`` latent dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from melodyconstraints.images.config import ImageVAEConfig
from melodyconstraints.images.networks import Decoder, Trunk
from melodyconstraints.vae.posterior import Posterior
from melodyconstraints.vae.precision import products

BATCH = 256
"""Images that are encoded or decoded at once: bounds the memory."""
MOST_AT_ONCE = 10_000
"""Images that are made by one call: of 64 x 64 pixels they take half a gigabyte."""


class ImageVAE(nn.Module):
    """An encoder q(z | x) and a decoder g(z) with likelihood N(x; g(z), sigma_x^2 I).

    A vanilla autoencoder (``sigma_x`` 0) has no prior. Its codes are shifted and scaled, dimension
    by dimension, to mean 0 and deviation 1 over the training data (``code_mean``, ``code_scale``),
    so that N(0, I) fits them; a VAE leaves its codes as they are.
    """

    sigma_bar: Tensor
    code_mean: Tensor
    code_scale: Tensor

    def __init__(self, config: ImageVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.trunk)
        self.head = nn.Linear(self.trunk.features, 2 * config.latent_dim)
        self.decoder = Decoder(config.trunk, config.latent_dim)
        self.register_buffer("sigma_bar", torch.ones(config.latent_dim))
        self.register_buffer("code_mean", torch.zeros(config.latent_dim))
        self.register_buffer("code_scale", torch.ones(config.latent_dim))
        self.fingerprint, self.folder = "", ""

    @property
    def latent_dim(self) -> int:
        """Z, dimensions of a latent point."""
        return self.config.latent_dim

    def posterior(self, pixels: Tensor) -> Posterior:
        """``(B, C, H, W)`` in [0, 1] to q(z | x), with gradients."""
        raw = Posterior.from_head(self.head(self.trunk(pixels)))
        mean = (raw.mean - self.code_mean) / self.code_scale
        return Posterior(mean, raw.scale / self.code_scale)

    def pixels(self, z: Tensor) -> Tensor:
        """``(B, Z)`` to g(z), pixels ``(B, C, H, W)`` in [0, 1], with gradients."""
        return self.decoder(z * self.code_scale + self.code_mean)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Posterior:
        """``(B, C, H, W)`` bytes, or pixels in [0, 1], to q(z | x), in batches.

        The scale of an autoencoder is 0: its posterior is a point.
        """
        with self._products():
            parts = [self.posterior(as_pixels(part)) for part in self._batches(images)]
        scale = torch.cat([part.scale for part in parts])
        if not self.config.sigma_x:
            scale = torch.zeros_like(scale)
        return Posterior(torch.cat([part.mean for part in parts]), scale)

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """``(B, Z)`` to pixels ``(B, C, H, W)`` in [0, 1], in batches."""
        with self._products():
            return torch.cat([self.pixels(part) for part in self._batches(z)])

    def _products(self) -> torch.autocast:
        return products("auto", self.sigma_bar.device)

    def _batches(self, tensor: Tensor) -> list[Tensor]:
        return list(tensor.to(self.sigma_bar.device).split(BATCH))


def as_pixels(images: Tensor) -> Tensor:
    """Bytes to numbers in [0, 1]; images of another type are returned unchanged.

    >>> as_pixels(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    return images.float() / 255 if images.dtype == torch.uint8 else images
