"""Parts of image encoders, decoders and classifiers (the paper, appendix 9.2.1, 9.2.2).

Shapes: ``B`` images, ``C`` channels, ``H`` x ``W`` pixels in [0, 1].
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from melodyconstraints.images.config import CONVOLUTIONS, TrunkConfig

ENCODER_KERNELS, DECODER_KERNELS = (3, 3, 5, 5), (5, 5, 3, 3)
"""Kernel sizes of the paper's convolutions."""
_STRIDE = 2


class Trunk(nn.Module):
    """An image to a vector of features: linear layers, or convolutions of stride 2, with ReLUs."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        channels, height, width = config.shape
        if config.architecture == "feed-forward":
            self.layers = nn.Sequential(nn.Flatten(), *_relu_linears(config.pixels, config.widths))
            self.features = config.widths[-1]
        else:
            layers: list[nn.Module] = []
            sizes = pairwise([channels, *config.widths])
            for (before, after), kernel in zip(sizes, ENCODER_KERNELS, strict=True):
                padding = kernel // 2
                layers += [nn.Conv2d(before, after, kernel, _STRIDE, padding), nn.ReLU()]
            self.layers = nn.Sequential(*layers, nn.Flatten())
            height, width = (math.ceil(side / 2**CONVOLUTIONS) for side in (height, width))
            self.features = config.widths[-1] * height * width

    def forward(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, features)``."""
        return self.layers(images)


class Decoder(nn.Module):
    """g(z): a latent point to an image, through layers as wide as a :class:`Trunk`'s."""

    def __init__(self, config: TrunkConfig, latent_dim: int) -> None:
        super().__init__()
        channels, height, width = config.shape
        if config.architecture == "feed-forward":
            self.layers = nn.Sequential(
                *_relu_linears(latent_dim, config.widths),
                nn.Linear(config.widths[-1], config.pixels),
                nn.Unflatten(1, config.shape),
            )
        else:
            first = config.widths[0]
            height, width = height // 2**CONVOLUTIONS, width // 2**CONVOLUTIONS
            layers: list[nn.Module] = [
                nn.Linear(latent_dim, first * height * width),
                nn.Unflatten(1, (first, height, width)),
            ]
            sizes = pairwise([*config.widths, channels])
            for (before, after), kernel in zip(sizes, DECODER_KERNELS, strict=True):
                layers += [_doubling(before, after, kernel), nn.ReLU()]
            self.layers = nn.Sequential(*layers[:-1])

    def logits(self, z: Tensor) -> Tensor:
        """``(B, Z)`` to ``(B, C, H, W)`` before the sigmoid."""
        return self.layers(z)

    def forward(self, z: Tensor) -> Tensor:
        """``(B, Z)`` to pixels ``(B, C, H, W)`` in [0, 1]."""
        return self.logits(z).float().sigmoid()


def _relu_linears(inputs: int, widths: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise([inputs, *widths]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return layers


def _doubling(before: int, after: int, kernel: int) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles height and width."""
    return nn.ConvTranspose2d(
        before, after, kernel, _STRIDE, padding=kernel // 2, output_padding=1
    )
