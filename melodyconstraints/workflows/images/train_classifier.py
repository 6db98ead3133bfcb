"""From labelled images to a classifier folder: what ``mc images train-classifier`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from melodyconstraints.datasets.images.labelled_images import ImageData, LabelledImages
from melodyconstraints.images.checkpoint import CLASSIFIER_KIND, save_classifier
from melodyconstraints.images.classifier import (
    DROPOUT,
    ClassifierConfig,
    ClassifierMetrics,
    ImageClassifier,
    train_classifier,
)
from melodyconstraints.images.config import PAPER_PRESETS, TrunkConfig
from melodyconstraints.storage.arguments import check_choice
from melodyconstraints.storage.artifacts import artifact_size, claimed
from melodyconstraints.vae.folders import check_device
from melodyconstraints.vae.state import Metrics, TrainingState
from melodyconstraints.vae.training import TrainingSettings
from melodyconstraints.workflows.images.card import image_card
from melodyconstraints.workflows.images.image_data import may_be_mirrored, shape_of, tensors
from melodyconstraints.workflows.images.settings import CLASSIFIER, settings_of

SIZES: dict[str, tuple[tuple[int, ...], int]] = {
    "small": ((32, 64, 128, 128), 128),
    "faces": ((256, 128, 64, 32), 0),
    "paper": ((2048, 1024, 512, 256), 0),
}
"""Channels of the four convolutions, and units of the linear layer after them, of each size."""
SMALL_IMAGE = 16
"""Pixels of a side below which four convolutions of stride 2 leave nothing."""
SMALL_IMAGE_WIDTHS = (256, 128)
"""Units of the linear layers that classify images below :data:`SMALL_IMAGE`."""
LARGEST_SHIFT = 1 / 14
"""Largest shift of a training image, as a share of its height: 2 pixels of MNIST's 28."""
WATCHED = 1000
"""Held-out images that are measured during the training: enough for a curve."""


def train_classifier_folder(
    data: ImageData,
    output: Path,
    settings: TrainingSettings | None = None,
    *,
    size: str | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    callback: Callable[[TrainingState], None] | None = None,
) -> ClassifierMetrics:
    """Train a classifier and write its folder with its card.

    Args:
        settings: settings of the training; those of :func:`.settings.settings_of` if not given.
        size: a key of :data:`SIZES`; if not given, ``small`` for classes, ``faces`` for
            attributes.

    Returns:
        Metrics on the test images.

    Raises:
        UsageError: an unknown size, a device that is not there, a folder that must not be
            replaced, or one that its disk has no room for.
        StoreError: another training is at work in the folder.
    """
    size = size or ("small" if data.train.exclusive else "faces")
    check_choice("size", size, SIZES)
    settings = settings or settings_of(size, CLASSIFIER)
    check_device(device)
    config = classifier_config(data.train, size)
    held_out, labels = tensors(data.test)

    def evaluate(model: ImageClassifier) -> Metrics:
        metrics = model.measure(held_out[:WATCHED], labels[:WATCHED])
        return {"accuracy": metrics.accuracy, "f1": metrics.f1}

    room = artifact_size(lambda: ImageClassifier(config), half=True)
    with claimed(output, CLASSIFIER_KIND, overwrite=overwrite, size=room):
        classifier = train_classifier(
            config,
            *tensors(data.train),
            settings,
            flip=may_be_mirrored(data.train) and size not in PAPER_PRESETS,
            shift=round(config.trunk.shape[1] * LARGEST_SHIFT) if config.hidden else 0,
            dropout=0.0 if size in PAPER_PRESETS else DROPOUT,
            device=device,
            evaluate=evaluate,
            callback=callback,
        )
        metrics = classifier.measure(held_out, labels)
        all_settings = {"size": size, **asdict(settings)}
        shown = {name: f"{value:.4f}" for name, value in metrics.means().items()}
        summary = "Measures generated images; it plays no part in their making."
        card = image_card("Classifier of images", summary, data, all_settings, shown)
        save_classifier(classifier, output, card=card, training={"settings": all_settings})
    return metrics


def classifier_config(images: LabelledImages, size: str) -> ClassifierConfig:
    """Configuration of a classifier of a size; linear layers for small images."""
    widths, hidden = SIZES[size]
    shape = shape_of(images)
    if min(shape[1:]) < SMALL_IMAGE:
        trunk, hidden = TrunkConfig(shape, "feed-forward", SMALL_IMAGE_WIDTHS), 0
    else:
        trunk = TrunkConfig(shape, "convolutional", widths)
    return ClassifierConfig(trunk, images.names, images.exclusive, hidden)
