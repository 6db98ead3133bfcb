"""From images to a model folder: what ``mc images train-vae`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from melodyconstraints.datasets.images.labelled_images import ImageData
from melodyconstraints.images.checkpoint import KIND, save_model
from melodyconstraints.images.config import COLOUR_PRESET, GREY_PRESET, PAPER_PRESETS, PRESETS
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.images.training import measure_elbo, train_image_vae
from melodyconstraints.latent.curves import plot_learning_curves
from melodyconstraints.storage.arguments import check_choice
from melodyconstraints.vae.distributed import processes
from melodyconstraints.vae.folders import (
    CHECKPOINTS,
    CURVES,
    check_device,
    claim,
    draw_evaluations,
)
from melodyconstraints.vae.state import Metrics, TrainingState
from melodyconstraints.vae.training import TrainingSettings
from melodyconstraints.workflows.images.card import image_card
from melodyconstraints.workflows.images.image_data import may_be_mirrored, shape_of, tensors
from melodyconstraints.workflows.images.settings import VAE, settings_of

PANELS = {"held-out images: squared error a pixel": ("mse",), "nats an image": ("ll", "elbo")}
"""Panels of the learning curves: the title of each, and the metrics that it shows."""


def train_vae_folder(
    data: ImageData,
    output: Path,
    settings: TrainingSettings | None = None,
    *,
    preset: str | None = None,
    sigma_x: float = 0.1,
    device: str = "cpu",
    resume: bool = False,
    callback: Callable[[TrainingState], None] | None = None,
) -> Metrics:
    """Train a preset and write the model folder with its card.

    Args:
        settings: settings of the training; those of :func:`.settings.settings_of` if not given.
        preset: a key of :data:`~melodyconstraints.images.config.PRESETS`; if not given, ``digits``
            for grey images, ``small`` for those in colour.
        sigma_x: standard deviation of a pixel; 0 for an autoencoder.
        resume: go on with a training that was ended or killed.

    Returns:
        Metrics on the test images; none in processes other than the first.

    Raises:
        UsageError: ``output`` already holds a model, or a training and ``resume`` is false; an
            unknown preset; a device that is not there; images that the preset cannot make.
    """
    shape = shape_of(data.train)
    preset = preset or (GREY_PRESET if shape[0] == 1 else COLOUR_PRESET)
    check_choice("preset", preset, PRESETS)
    settings = settings or settings_of(preset, VAE)
    config = PRESETS[preset].config(shape, sigma_x)
    images, held_out = tensors(data.train)[0], tensors(data.test)[0]
    draw = partial(plot_learning_curves, path=output / CURVES, panels=PANELS)
    with processes(device, settings.batch_size) as (place, device):
        check_device(device)
        if place.first:
            claim(output, KIND, partial(ImageVAE, config), resume=resume)
            output.mkdir(parents=True, exist_ok=True)
        model, state = train_image_vae(
            config,
            images,
            held_out,
            settings,
            flip=may_be_mirrored(data.train) and preset not in PAPER_PRESETS,
            device=device,
            processes=place,
            folder=output / CHECKPOINTS,
            resume=resume,
            callback=draw_evaluations(draw, callback),
        )
    if not place.first:
        return {}
    metrics = measure_elbo(model, held_out)
    all_settings = {"preset": preset, "sigma_x": sigma_x, "steps": state.step, **asdict(settings)}
    training = {"settings": all_settings, "quality": metrics, "data": data.train.checksums}
    summary = _summary(model, state)
    shown = {name: f"{value:.4g}" for name, value in metrics.items()}
    card = image_card(f"Image model, preset `{preset}`", summary, data, all_settings, shown)
    save_model(model, output, card=card, training=training)
    return metrics


def _summary(model: ImageVAE, state: TrainingState) -> str:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"A {model.config.trunk.architecture} variational autoencoder with {parameters:,} "
        f"parameters, sigma_x {model.config.sigma_x:g}, trained for {state.step:,} steps in "
        f"{state.elapsed_seconds / 60:.0f} minutes."
    )
