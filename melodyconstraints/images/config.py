"""Configurations of image models, stored in a model's folder, and presets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from melodyconstraints.errors import UsageError
from melodyconstraints.storage.arguments import check_choice
from melodyconstraints.storage.schema import Size, Widths

Architecture = Literal["feed-forward", "convolutional"]
Side = Annotated[int, Interval(ge=1, le=1 << 12)]
Shape = tuple[Side, Side, Side]
"""Channels, height, width of an image."""
ARCHITECTURES = ("feed-forward", "convolutional")
CONVOLUTIONS = 4
"""Layers of a convolutional network, each of stride 2."""


@dataclass(frozen=True)
class TrunkConfig:
    """The hidden layers that encoders and classifiers have in common.

    Args:
        shape: channels, height and width of an image.
        architecture: ``feed-forward`` (the paper, appendix 9.2.1) or ``convolutional`` (9.2.2).
        widths: units of each linear layer, or output channels of the four convolutions.

    Raises:
        UsageError: an unknown architecture, no hidden layer, or not four convolutions.
    """

    shape: Shape
    architecture: Architecture
    widths: Widths

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, ARCHITECTURES)
        if not self.widths:
            raise UsageError("a network needs at least one hidden layer; give its widths")
        if self.architecture == "convolutional" and len(self.widths) != CONVOLUTIONS:
            raise UsageError(
                f"a convolutional network has {CONVOLUTIONS} widths, got {len(self.widths)}"
            )

    @property
    def pixels(self) -> int:
        """Values in an image: channels times height times width."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ImageVAEConfig:
    """A variational autoencoder of images.

    Args:
        trunk: hidden layers of the encoder; the decoder has the same widths in the same order.
        latent_dim: Z, dimensions of a latent point.
        sigma_x: standard deviation of the Gaussian likelihood N(x; g(z), sigma_x^2 I), of pixels
            in [0, 1]. 0 makes it a vanilla autoencoder: no noise, no divergence.

    Raises:
        UsageError: no dimension, a negative sigma_x, or sides that deconvolutions cannot make.
    """

    trunk: TrunkConfig
    latent_dim: Size
    sigma_x: float = 0.1

    def __post_init__(self) -> None:
        if self.latent_dim < 1:
            raise UsageError(f"latent_dim must be at least 1, got {self.latent_dim}")
        if not 0 <= self.sigma_x < math.inf:
            raise UsageError(f"sigma_x must be a number of at least 0, got {self.sigma_x}")
        _, height, width = self.trunk.shape
        step = 2**CONVOLUTIONS
        if self.trunk.architecture == "convolutional" and (height % step or width % step):
            raise UsageError(
                f"a convolutional model makes images whose sides are multiples of {step}, "
                f"got {height}x{width}; choose the feed-forward one"
            )


@dataclass(frozen=True)
class Preset:
    """An architecture for images of any shape.

    Args:
        architecture, widths, latent_dim: see :class:`ImageVAEConfig`.
        summary: summary in one line, for ``--help`` and model cards.
    """

    architecture: Architecture
    widths: tuple[int, ...]
    latent_dim: int
    summary: str

    def config(self, shape: Shape, sigma_x: float) -> ImageVAEConfig:
        """Configuration of a model for images of this shape."""
        trunk = TrunkConfig(shape, self.architecture, self.widths)
        return ImageVAEConfig(trunk, self.latent_dim, sigma_x)


PRESETS: dict[str, Preset] = {
    "paper-digits": Preset("feed-forward", (1024, 1024, 1024), 1024, "the paper's for MNIST"),
    "digits": Preset("feed-forward", (384, 384, 384), 1024, "small enough to be bundled"),
    "tiny": Preset("feed-forward", (512, 512, 512), 128, "for digits of 8x8 pixels"),
    "paper": Preset("convolutional", (2048, 1024, 512, 256), 1024, "the paper's for CelebA"),
    "small": Preset("convolutional", (256, 128, 64, 32), 1024, "an eighth of its channels"),
}
"""The paper, appendix 9.2.1 and 9.2.2, and what trains on two CPU cores."""
PAPER_PRESETS = ("paper", "paper-digits")
"""Presets, and sizes of classifiers, that are trained as in the appendix: see
:data:`melodyconstraints.vae.training.PAPER`; without mirror images, shifts or dropout."""
GREY_PRESET, COLOUR_PRESET = "digits", "small"
"""Presets for grey images and for those in colour, where none is named."""
