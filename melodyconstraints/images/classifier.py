"""Classifiers of images, which measure generated ones (the paper, section 4, appendix 9.2.2).

An encoder's layers, ending in a logit for each class or attribute. Where exactly one label holds
(digits) the loss is the softmax's cross-entropy, else that of a sigmoid for each.

Shapes: ``B`` images, ``Y`` labels, ``F`` features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, cast

import numpy as np
import torch
from annotated_types import Len
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.errors import UsageError
from melodyconstraints.images.config import TrunkConfig
from melodyconstraints.images.model import BATCH, as_pixels
from melodyconstraints.images.networks import Trunk
from melodyconstraints.images.training import ImageBatches
from melodyconstraints.storage.schema import Units
from melodyconstraints.vae.precision import products
from melodyconstraints.vae.state import Metrics, TrainingState
from melodyconstraints.vae.training import Objective, TrainingSettings, train

DROPOUT = 0.5
"""Share of the features dropped in training: without it a classifier overfits 13,500 faces."""


@dataclass(frozen=True)
class ClassifierConfig:
    """A classifier of images.

    Args:
        trunk: hidden layers.
        names: names of the ``Y`` labels.
        exclusive: whether exactly one label holds (classes), or any number (attributes).
        hidden: units of a linear layer between trunk and logits; 0 for none.
    """

    trunk: TrunkConfig
    names: Annotated[tuple[str, ...], Len(1, 1 << 16)]
    exclusive: bool
    hidden: Units = 0


class ImageClassifier(nn.Module):
    """Images to logits of their labels."""

    def __init__(self, config: ClassifierConfig, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.trunk)
        hidden = config.hidden or self.trunk.features
        self.hidden = (
            nn.Sequential(nn.Linear(self.trunk.features, hidden), nn.ReLU())
            if config.hidden
            else nn.Identity()
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, len(config.names))

    def forward(self, pixels: Tensor) -> Tensor:
        """``(B, C, H, W)`` in [0, 1] to logits ``(B, Y)``, with gradients."""
        return self.head(self.dropout(self.hidden(self.trunk(pixels)))).float()

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` bytes or pixels to ``(B, F)``, the inputs of the last layer."""
        return self._in_batches(lambda part: self.hidden(self.trunk(part)), images)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` bytes or pixels to labels ``(B, Y)`` of 0 and 1.

        Without dropout, during a training as well.
        """
        logits = self._in_batches(lambda part: self.head(self.hidden(self.trunk(part))), images)
        return decided(logits, exclusive=self.config.exclusive)

    def measure(self, images: Tensor, labels: Tensor) -> ClassifierMetrics:
        """Compare the labels predicted for ``(B, C, H, W)`` images with ``(B, Y)`` labels.

        Raises:
            UsageError: no images.
        """
        config = self.config
        predicted = self.predict(images)
        return compare_labels(predicted, labels, config.names, exclusive=config.exclusive)

    def _in_batches(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        device = self.head.weight.device
        with products("auto", device):
            parts = [function(as_pixels(p).to(device)).float() for p in images.split(BATCH)]
        return torch.cat(parts)


def decided(logits: Tensor, *, exclusive: bool) -> Tensor:
    """Logits ``(B, Y)`` to labels of 0 and 1: the likeliest class, or each likelier than not.

    >>> decided(torch.tensor([[1.0, 2.0]]), exclusive=True)
    tensor([[0., 1.]])
    >>> decided(torch.tensor([[1.0, 2.0]]), exclusive=False)
    tensor([[1., 1.]])
    """
    if exclusive:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    return (logits > 0).float()


def label_loss(logits: Tensor, labels: Tensor, *, exclusive: bool) -> Tensor:
    """Mean cross-entropy of ``(B, Y)`` logits: over images; for attributes, over labels too."""
    if exclusive:
        return F.cross_entropy(logits, labels)
    return F.binary_cross_entropy_with_logits(logits, labels)


@dataclass(frozen=True)
class ClassifierMetrics:
    """Agreement of predicted with true labels (Table 1), as means over labels.

    Args:
        accuracy: share of labels that are right; for classes, share of images.
        precision, recall, f1: precision, recall and F1 of a label's presence; 0 where it is never
            predicted, or never true.
        by_label: accuracy and F1 of each label, by its name.
    """

    accuracy: float
    precision: float
    recall: float
    f1: float
    by_label: Mapping[str, tuple[float, float]]

    def means(self) -> dict[str, float]:
        """The four means over labels, by their names."""
        return {n: getattr(self, n) for n in ("accuracy", "precision", "recall", "f1")}


def compare_labels(
    predicted: Tensor, wanted: Tensor, names: tuple[str, ...], *, exclusive: bool
) -> ClassifierMetrics:
    """Compare ``(B, Y)`` labels of 0 and 1.

    Raises:
        UsageError: no images.
    """
    if not len(predicted):
        raise UsageError("there is no image to measure; give at least one")
    present, true = predicted.bool().cpu().numpy(), wanted.bool().cpu().numpy()
    hits = (present & true).sum(axis=0)
    precision, recall = _share(hits, present.sum(axis=0)), _share(hits, true.sum(axis=0))
    f1 = _share(2 * hits, present.sum(axis=0) + true.sum(axis=0))
    right = (present == true).mean(axis=0)
    accuracy = (present == true).all(axis=1).mean() if exclusive else right.mean()
    return ClassifierMetrics(
        accuracy=float(accuracy),
        precision=float(precision.mean()),
        recall=float(recall.mean()),
        f1=float(f1.mean()),
        by_label={n: (float(a), float(f)) for n, a, f in zip(names, right, f1, strict=True)},
    )


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """``(Y,)`` shares; 0 where the whole is 0."""
    return part / np.maximum(whole, 1)


def train_classifier(
    config: ClassifierConfig,
    images: Tensor,
    labels: Tensor,
    settings: TrainingSettings,
    *,
    flip: bool = False,
    shift: int = 0,
    dropout: float = DROPOUT,
    device: str = "cpu",
    evaluate: Callable[[ImageClassifier], Metrics] | None = None,
    callback: Callable[[TrainingState], None] | None = None,
) -> ImageClassifier:
    """Train on ``(N, C, H, W)`` bytes and labels ``(N, Y)`` of 0 and 1.

    Args:
        flip: whether half of the images are mirrored.
        shift: largest shift of each image up or down, left or right, in pixels.
        dropout: share of the features dropped, in [0, 1].
        evaluate, callback: see :func:`melodyconstraints.vae.training.train`.
    """
    torch.manual_seed(settings.seed)
    model = ImageClassifier(config, dropout).to(device)
    batches = ImageBatches(images, settings.batch_size, settings.seed, flip=flip)
    objective = _Labelled(model, labels, batches)

    def batch_at(step: int) -> Tensor:
        objective.step = step
        pixels = batches(step)
        return (shifted(pixels, shift, settings.seed + step) if shift else pixels).to(device)

    measure = cast("Callable[[nn.Module], Metrics] | None", evaluate)  # of copies of the model
    train(model, objective, batch_at, settings, evaluate=measure, callback=callback)
    return model.eval()


class _Labelled(Objective):
    """The cross-entropy of a step's images and their labels."""

    noise_size = 1

    def __init__(self, model: ImageClassifier, labels: Tensor, batches: ImageBatches) -> None:
        super().__init__()
        self.model, self.labels, self.batches, self.step = model, labels, batches, 0

    def forward(self, batch: Tensor, progress: float, noise: Tensor) -> Mapping[str, Tensor]:
        """The loss alone."""
        wanted = self.labels[self.batches.rows(self.step)].to(batch.device).float()
        exclusive = self.model.config.exclusive
        return {"loss": label_loss(self.model(batch), wanted, exclusive=exclusive)}


def shifted(pixels: Tensor, most: int, seed: int) -> Tensor:
    """``(B, C, H, W)`` images, each moved by up to ``most`` pixels; the gap is black."""
    generator = torch.Generator().manual_seed(seed)
    height, width = pixels.shape[-2:]
    padded = F.pad(pixels, (most,) * 4)
    moves = torch.randint(2 * most + 1, (2, len(pixels)), generator=generator)
    rows = moves[0, :, None] + torch.arange(height)
    columns = moves[1, :, None] + torch.arange(width)
    which = torch.arange(len(pixels))[:, None, None]
    moved = padded.movedim(1, -1)[which, rows[:, :, None], columns[:, None, :]]
    return moved.movedim(-1, 1)
