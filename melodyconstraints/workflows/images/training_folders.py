"""From labelled images to folders: models, classifiers, actors, each with its card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melodyconstraints.datasets.images.labelled_images import ImageData, LabelledImages
from melodyconstraints.errors import UsageError
from melodyconstraints.images import actor as actors
from melodyconstraints.images import captions, checkpoint
from melodyconstraints.images.actor import ImageActor, encode_images, train_image_actor
from melodyconstraints.images.classifier import (
    ClassifierConfig,
    Scores,
    scores,
    train_classifier,
)
from melodyconstraints.images.config import PRESETS, Shape, TrunkConfig
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.images.training import measure_elbo, train_image_vae
from melodyconstraints.latent.constraints import Encodings
from melodyconstraints.latent.curves import plot_actor_critic, plot_learning_curves
from melodyconstraints.latent.pair import RoundRecord
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.storage.artifacts import check_free, markdown_table
from melodyconstraints.vae.distributed import processes
from melodyconstraints.vae.folders import CHECKPOINTS, CURVES, check_device, claim
from melodyconstraints.vae.training import Metrics, TrainingSettings, TrainingState

PANELS = {"held-out images: squared error a pixel": ("mse",), "nats an image": ("ll", "elbo")}
"""Of the picture of a model's learning curves."""
SHIFT = 1 / 14
"""Of its height, by which an image is moved at most in the training of a classifier."""
SMALL_IMAGE = 16
"""Pixels; of images below, four convolutions of stride 2 leave nothing."""
_WATCHED: dict[str, tuple[str, ...]] = {
    "actor": ("D(G(z))",),
    "gradient": ("realism",),
    "langevin": (),
}
"""What the rounds of a method's training tell of."""
READ = 500
"""Test images whose captions are read back."""
_CLASSIFIERS: dict[str, tuple[tuple[int, ...], int]] = {
    "small": ((32, 64, 128, 128), 128),
    "faces": ((256, 128, 64, 32), 0),
    "paper": ((2048, 1024, 512, 256), 0),
}
"""Channels of the convolutions, and units of the layer behind them, of each classifier."""


def tensors(images: LabelledImages) -> tuple[Tensor, Tensor]:
    """Bytes ``(N, C, H, W)`` and labels ``(N, Y)`` of 0 and 1."""
    pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images.images, 3, 1)))
    return pixels, torch.from_numpy(images.labels).float()


def shape_of(images: LabelledImages) -> Shape:
    """Channels, height, width."""
    _, height, width, channels = images.images.shape
    return channels, height, width


def may_be_mirrored(images: LabelledImages) -> bool:
    """Whether a mirror image has the same labels: of faces, not of digits."""
    return not images.exclusive


def train_model(
    data: ImageData,
    output: Path,
    preset: str,
    settings: TrainingSettings,
    *,
    sigma_x: float = 0.1,
    device: str = "cpu",
    resume: bool = False,
    callback: Callable[[TrainingState], None] | None = None,
) -> Metrics:
    """Train a preset and write the model folder with its card.

    Returns:
        Quality on the test images; nothing in the processes that only help.

    Raises:
        UsageError: ``output`` already holds a model, or a training and ``resume`` is false; an
            unknown preset; a device that is not there; images that the preset cannot make.
    """
    if preset not in PRESETS:
        raise UsageError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    config = PRESETS[preset].config(shape_of(data.train), sigma_x)
    images, (held_out, _) = tensors(data.train)[0], tensors(data.test)

    def show(state: TrainingState) -> None:
        if state.curves and state.curves[-1]["step"] == state.step:
            plot_learning_curves(state.curves, output / CURVES, PANELS)
        if callback:
            callback(state)

    with processes(device, settings.batch_size) as (place, device):
        check_device(device)
        if place.first:
            claim(output, checkpoint.KIND, resume=resume)
            output.mkdir(parents=True, exist_ok=True)
        model, state = train_image_vae(
            config,
            images,
            held_out,
            settings,
            flip=may_be_mirrored(data.train),
            device=device,
            processes=place,
            folder=output / CHECKPOINTS,
            resume=resume,
            callback=show,
        )
    if not place.first:
        return {}
    measured = measure_elbo(model, held_out)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    facts = {"preset": preset, "sigma_x": sigma_x, "steps": state.step, **asdict(settings)}
    card = _card(
        f"Image model, preset `{preset}`",
        f"A {config.trunk.architecture} variational autoencoder with {parameters:,} parameters, "
        f"sigma_x {sigma_x:g}, trained for {state.step:,} steps in "
        f"{state.elapsed_seconds / 60:.0f} minutes.",
        data,
        facts,
        {name: f"{value:.4g}" for name, value in measured.items()},
    )
    training = {"settings": facts, "quality": measured, "data": data.train.checksums}
    checkpoint.save_model(model, output, card=card, training=training)
    return measured


def train_classifier_folder(
    data: ImageData,
    output: Path,
    settings: TrainingSettings,
    *,
    size: str | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    callback: Callable[[TrainingState], None] | None = None,
) -> Scores:
    """Train a classifier and write its folder.

    Args:
        size: a key of the table of classifiers; that for digits or faces if not given.

    Returns:
        Scores on the test images.

    Raises:
        UsageError: an unknown size, or a folder that must not be replaced.
    """
    size = size or ("small" if data.train.exclusive else "faces")
    if size not in _CLASSIFIERS:
        raise UsageError(f"size must be one of {', '.join(_CLASSIFIERS)}, got {size!r}")
    check_device(device)
    remedy = "pass --overwrite to replace it"
    check_free(output, checkpoint.CLASSIFIER_KIND, overwrite=overwrite, remedy=remedy)
    train = data.train
    config = _classifier(train, size)
    images, labels = tensors(train)
    held_out, wanted = tensors(data.test)

    def evaluate(model: torch.nn.Module) -> Metrics:
        measured = _score(model, held_out[:1000], wanted[:1000])
        return {"accuracy": measured.accuracy, "f1": measured.f1}

    classifier = train_classifier(
        config,
        images,
        labels,
        settings,
        flip=may_be_mirrored(train),
        shift=round(shape_of(train)[1] * SHIFT) if config.hidden else 0,
        device=device,
        evaluate=evaluate,
        callback=callback,
    )
    found = _score(classifier, held_out, wanted)
    facts = {"size": size, **asdict(settings)}
    card = _card(
        "Classifier of images",
        "The judge of generated images; it plays no part in their making.",
        data,
        facts,
        {n: f"{getattr(found, n):.4f}" for n in ("accuracy", "precision", "recall", "f1")},
    )
    checkpoint.save_classifier(classifier, output, card=card, training={"settings": facts})
    return found


def _classifier(images: LabelledImages, size: str) -> ClassifierConfig:
    """Its layers for such images."""
    widths, hidden = _CLASSIFIERS[size]
    shape = shape_of(images)
    if min(shape[1:]) < SMALL_IMAGE:
        trunk, hidden = TrunkConfig(shape, "feed-forward", (256, 128)), 0
    else:
        trunk = TrunkConfig(shape, "convolutional", widths)
    return ClassifierConfig(trunk, images.names, images.exclusive, hidden)


def _score(model: Any, images: Tensor, wanted: Tensor) -> Scores:
    predicted = model.predict(images)
    config = model.config
    return scores(predicted, wanted, config.names, exclusive=config.exclusive)


def train_actor_folder(
    data: ImageData,
    model: ImageVAE,
    output: Path,
    *,
    method: str = "actor",
    labelled: bool = True,
    settings: ActorCriticSettings,
    seed: int = 0,
    overwrite: bool = False,
    callback: Callable[[RoundRecord], None] | None = None,
) -> ImageActor:
    """Train an actor, or the critics of a search, and write the folder.

    Args:
        labelled: False for the realism constraint alone.

    Raises:
        UsageError: images of another shape than the model's, or a folder not to be replaced.
    """
    remedy = "pass --overwrite to replace it"
    check_free(output, actors.KIND, overwrite=overwrite, remedy=remedy)
    check_fits(model, data.train)
    encodings = _encodings(model, data.train)
    names = data.train.names if labelled else ()
    actor = train_image_actor(
        model,
        encodings,
        names,
        exclusive=data.train.exclusive,
        method=method,
        settings=settings,
        seed=seed,
        callback=callback,
    )
    facts = {"method": method, "labels": ", ".join(names) or "none: realism alone"}
    card = _card(
        "Actor for images",
        f"For the image model `{model.fingerprint[:12]}`. Measure it with `mc images evaluate`.",
        data,
        {**facts, **asdict(settings), "seed": seed},
        {},
    )
    actors.save_actor(actor, output, card=card)
    plot_actor_critic(actor.records, _WATCHED[method], output / "training-curves.png")
    return actor


def _encodings(model: ImageVAE, images: LabelledImages) -> Encodings:
    """Of training images and their labels; rare attributes are drawn more often."""
    attributes = not images.exclusive
    flip = may_be_mirrored(images)
    return encode_images(model, *tensors(images), flip=flip, balance=attributes)


def train_captions_folder(
    data: ImageData,
    model: ImageVAE,
    output: Path,
    settings: TrainingSettings,
    *,
    callback: Callable[[TrainingState], None] | None = None,
) -> list[str]:
    """Train a captioner on images with captions and write the folder.

    Returns:
        What it reads in the points of the first test images.

    Raises:
        UsageError: images of another shape than the model's, or images without captions.
    """
    check_fits(model, data.train)
    encodings = _encodings(model, data.train)
    captioner = captions.train_captions(
        encodings, data.train.captions, settings, callback=callback
    )
    held_out, _ = tensors(data.test)
    found = captioner.describe_points(model.encode(held_out[:READ]).mean)
    right = sum(a == b for a, b in zip(data.test.captions, found, strict=False))
    card = _card(
        "Captioner of images",
        f"Reads captions in points of the image model `{model.fingerprint[:12]}`.",
        data,
        asdict(settings),
        {f"captions of the first {len(found)} read to the word": f"{right / len(found):.1%}"},
    )
    captions.save_captioner(captioner, model, output, card=card)
    return found


def check_fits(model: ImageVAE, images: LabelledImages) -> None:
    """Make sure that a model is one of such images.

    Raises:
        UsageError: its images have another shape.
    """
    wanted, found = model.config.trunk.shape, shape_of(images)
    if found != wanted:
        raise UsageError(
            f"the model makes images of {_sides(wanted)}, the data has {_sides(found)}; "
            "give the data that it was trained on, or train a model with: mc images train-vae"
        )


def _sides(shape: Shape) -> str:
    channels, height, width = shape
    return f"{width}x{height} pixels in {'colour' if channels == 3 else 'grey'}"


def _card(
    title: str,
    summary: str,
    data: ImageData,
    facts: Mapping[str, Any],
    measured: Mapping[str, str],
) -> str:
    """Markdown: what it is, on which images, with which settings, how good."""
    train = data.train
    lines = [f"# {title}", "", summary, ""]
    if measured:
        lines += [f"## Measured on {len(data.test):,} images that the training did not see", ""]
        lines += [*markdown_table(["measure", "value"], measured.items()), ""]
    lines += ["## Images", "", f"`{train.source}`: {len(train):,} to train on.", ""]
    lines += [*markdown_table(["file", "SHA-256"], train.checksums.items()), ""]
    lines += ["## Settings", ""]
    lines += markdown_table(["setting", "value"], [[k, str(v)] for k, v in facts.items()])
    return "\n".join([*lines, ""])
