"""Training an image VAE: the loss is the negative ELBO (the paper, equation 1).

With D pixels, sigma = sigma_x and squared error e, log p(x | z) = -e / (2 sigma^2) - D log(2 pi
sigma^2) / 2. The loss is the negative ELBO times sigma^2 / D, e / (2 D) + sigma^2 KL / D: the
gradient of the error then has one size whatever sigma_x, and sigma_x = 0 is the vanilla
autoencoder, which has no samples of the posterior.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.images.config import ImageVAEConfig
from melodyconstraints.images.model import BATCH, ImageVAE, as_pixels
from melodyconstraints.vae.distributed import Processes
from melodyconstraints.vae.state import Metrics, TrainingState
from melodyconstraints.vae.training import SEED_STRIDE, Objective, TrainingSettings, train

_MIRRORS = 1 << 40
"""Offset of the seed of mirrored images, independent of the training loop's noise."""
WATCHED = 512
"""Held-out images that are measured during the training: enough for a curve."""
_LEAST_DEVIATION = 1e-6
"""Deviation up to which a dimension of codes counts as constant, and is not stretched."""


class ImageBatches:
    """Batches of images in a new random order each epoch, as a function of the step.

    The images of an epoch that do not fill a batch are left out.

    Args:
        images: ``(N, C, H, W)`` bytes.
        flip: whether half of the images, drawn at random, are mirrored left to right.

    Raises:
        UsageError: no images.
    """

    def __init__(self, images: Tensor, batch_size: int, seed: int, *, flip: bool = False) -> None:
        if not len(images):
            raise UsageError("there is no image to train on; give at least one")
        self._images, self._seed, self._flip = images, seed, flip
        self._size = min(batch_size, len(images))
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def rows(self, step: int) -> Tensor:
        """``(size,)`` indices of the images of a step."""
        epoch, place = divmod(step, len(self._images) // self._size)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seed * SEED_STRIDE + epoch)
            self._order = torch.randperm(len(self._images), generator=generator)
            self._epoch = epoch
        return self._order[place * self._size : (place + 1) * self._size]

    def __call__(self, step: int) -> Tensor:
        """``(size, C, H, W)`` pixels in [0, 1]."""
        pixels = as_pixels(self._images[self.rows(step)])
        if self._flip:
            generator = torch.Generator().manual_seed(_MIRRORS + self._seed * SEED_STRIDE + step)
            mirrored = torch.rand(len(pixels), 1, 1, 1, generator=generator) < 0.5
            pixels = torch.where(mirrored, pixels.flip(-1), pixels)
        return pixels


class ImageObjective(Objective):
    """The loss of a batch of images."""

    def __init__(self, model: ImageVAE) -> None:
        super().__init__()
        self.model, self.noise_size = model, model.latent_dim

    def forward(self, batch: Tensor, progress: float, noise: Tensor) -> Mapping[str, Tensor]:
        """``loss``, ``error`` (squared, an image), and for a VAE ``kl`` in nats an image."""
        sigma, posterior = self.model.config.sigma_x, self.model.posterior(batch)
        z = posterior.sample(noise=noise) if sigma else posterior.mean
        error = squared_error(self.model.pixels(z), batch).mean()
        if not sigma:
            return {"loss": error / (2 * batch[0].numel()), "error": error}
        kl = posterior.kl().mean()
        loss = (error / 2 + sigma**2 * kl) / batch[0].numel()
        return {"loss": loss, "error": error, "kl": kl}


def squared_error(first: Tensor, second: Tensor) -> Tensor:
    """``(B,)`` sums over pixels of squared differences."""
    return (first - second).square().flatten(1).sum(1)


def log_likelihood(error: Tensor, pixels: int, sigma_x: float) -> Tensor:
    """``(B,)`` log N(x; g(z), sigma_x^2 I) in nats, from squared errors.

    >>> log_likelihood(torch.tensor([2.0]), 2, 1.0)
    tensor([-2.8379])
    """
    return -error / (2 * sigma_x**2) - pixels / 2 * math.log(2 * math.pi * sigma_x**2)


@torch.no_grad()
def measure_elbo(model: ImageVAE, images: Tensor, *, seed: int = 0) -> Metrics:
    """Means over images, in nats: ``elbo``, ``ll``, ``kl`` (Table 4); ``mse`` a pixel.

    The likelihood is that of one sample of the posterior. An autoencoder has only ``mse``.

    Args:
        images: ``(N, C, H, W)`` bytes.
    """
    sigma, posterior = model.config.sigma_x, model.encode(images)
    noise = torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(seed))
    z = posterior.sample(noise=noise.to(posterior.mean.device))
    parts = zip(z.split(BATCH), images.split(BATCH), strict=True)
    errors = torch.cat(
        [squared_error(model.decode(a), as_pixels(b).to(z.device)) for a, b in parts]
    )
    pixels = model.config.trunk.pixels
    mse = float(errors.mean()) / pixels
    if not sigma:
        return {"mse": mse}
    ll = float(log_likelihood(errors, pixels, sigma).mean())
    kl = float(posterior.kl().mean())
    return {"elbo": ll - kl, "ll": ll, "kl": kl, "mse": mse}


def train_image_vae(
    config: ImageVAEConfig,
    images: Tensor,
    held_out: Tensor,
    settings: TrainingSettings,
    *,
    flip: bool = False,
    device: str = "cpu",
    processes: Processes | None = None,
    folder: Path | None = None,
    resume: bool = False,
    callback: Callable[[TrainingState], None] | None = None,
) -> tuple[ImageVAE, TrainingState]:
    """Train a model and measure ``sigma_bar``, the posterior's scale over the training data.

    Args:
        images, held_out: ``(N, C, H, W)`` bytes.
        flip: see :class:`ImageBatches`.
        processes, folder, resume, callback: see :func:`melodyconstraints.vae.training.train`.

    Returns:
        The model and the final state with its learning curves.
    """
    torch.manual_seed(settings.seed)
    model = ImageVAE(config).to(device)
    batches = ImageBatches(images, settings.batch_size, settings.seed, flip=flip)
    watched = held_out[:WATCHED]

    def evaluate(measured: torch.nn.Module) -> Metrics:
        return measure_elbo(measured, watched)  # type: ignore[arg-type]  # a copy of the model

    state = train(
        model,
        ImageObjective(model),
        lambda step: batches(step).to(device),
        settings,
        processes=processes,
        folder=folder,
        resume=resume,
        evaluate=evaluate if len(watched) else None,
        callback=callback,
    )
    set_latent_statistics(model, images)
    return model.eval(), state


@torch.no_grad()
def set_latent_statistics(model: ImageVAE, images: Tensor) -> None:
    """Set a model's statistics of the latent space from ``(N, C, H, W)`` training images.

    For a VAE these are ``sigma_bar``; for an autoencoder ``code_mean`` and ``code_scale``, which
    give its codes mean 0 and deviation 1.
    """
    posterior = model.encode(images)
    if model.config.sigma_x:
        model.sigma_bar.copy_(posterior.scale.mean(0))
        return
    deviation, mean = torch.std_mean(posterior.mean, 0)
    model.code_mean.add_(mean * model.code_scale)
    varies = deviation > _LEAST_DEVIATION
    model.code_scale.mul_(torch.where(varies, deviation, torch.ones_like(deviation)))
