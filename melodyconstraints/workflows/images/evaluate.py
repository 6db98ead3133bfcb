"""The paper's Table 1 and Table 4, and what they leave out: likeness, diversity, identity.

Shapes: ``B`` images, ``Y`` labels of 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.images.actor import ImageActor, prior_points
from melodyconstraints.images.classifier import ImageClassifier, Scores, scores
from melodyconstraints.images.distances import frechet_distance, pairwise_distances
from melodyconstraints.latent.evaluation import Interval, z_mse
from melodyconstraints.workflows.images.transform import transform

SAME_LABELS = 24
"""Images of each set of labels whose distances say how diverse they are."""
LABEL_SETS = 40
"""Sets of labels, of those in the data, over which diversity is averaged."""


@dataclass(frozen=True)
class Diversity:
    """Mean pixel distance of pairs with the same labels, with its 95% interval over label sets.

    Args:
        each: of every set of labels.
    """

    mean: float
    interval: Interval
    each: tuple[float, ...]

    @classmethod
    def of(cls, each: Sequence[float]) -> Diversity:
        """Of the mean distances in every set."""
        return cls(float(np.mean(each)), mean_interval(each), tuple(each))

    def over(self, other: Diversity) -> tuple[float, Interval]:
        """How many times as diverse as another for the same sets of labels, with its 95% interval.

        The geometric mean over the sets, in pairs: what a set's labels have to do with how
        different its images are does not widen the interval.
        """
        logs = [math.log(a / b) for a, b in zip(self.each, other.each, strict=True)]
        low, high = mean_interval(logs)
        return math.exp(float(np.mean(logs))), (math.exp(low), math.exp(high))


@dataclass(frozen=True)
class Row:
    """One line of Table 1.

    Args:
        name: of the actor, or what the images are.
        scores: of a separate classifier's labels against those that were asked for; None where
            none were.
        z_mse: shift of the latent points in posterior scales; None of data.
        frechet: distance to the test images in the classifier's features.
        diversity: None where no labels are asked for.
    """

    name: str
    scores: Scores | None
    z_mse: float | None
    frechet: float
    diversity: Diversity | None


def evaluate_data(
    classifier: ImageClassifier, images: Tensor, labels: Tensor, others: Tensor
) -> Row:
    """The line of the test images: what the classifier makes of ``(B, C, H, W)`` real ones.

    Args:
        others: training images, whose Fréchet distance is what two sets of real images have.
    """
    found = _scores(classifier, images, labels)
    away = frechet_distance(classifier.features(others), classifier.features(images))
    return Row("test images", found, None, away, None)


def evaluate_prior(
    actor: ImageActor, classifier: ImageClassifier, images: Tensor, *, n: int, seed: int
) -> Row:
    """The line of prior samples, for which nothing is asked."""
    made = actor.model.decode(prior_points(actor.model, n, seed))
    away = frechet_distance(classifier.features(made), classifier.features(images))
    return Row("prior samples", None, None, away, None)


def evaluate_actor(
    name: str,
    actor: ImageActor,
    classifier: ImageClassifier,
    images: Tensor,
    labels: Tensor,
    *,
    n: int,
    seed: int,
) -> Row:
    """The line of an actor, asked for the test images' labels in turn.

    Args:
        images: ``(N, C, H, W)`` test images, and their labels ``(N, Y)``.
        n: images to make.

    Raises:
        UsageError: actor and classifier know other labels.
    """
    y = None
    if actor.names:
        check_labels(actor, classifier)
        y = labels[torch.arange(n) % len(labels)]
    z = prior_points(actor.model, n, seed)
    shifted = actor.shift(z, y, seed=seed)
    made = actor.model.decode(shifted)
    away = frechet_distance(classifier.features(made), classifier.features(images))
    return Row(
        name=name,
        scores=None if y is None else _scores(classifier, made, y),
        z_mse=z_mse(shifted, z, actor.model.sigma_bar),
        frechet=away,
        diversity=None if y is None else diversity(actor, labels, seed=seed),
    )


def check_labels(actor: ImageActor, classifier: ImageClassifier) -> None:
    """Make sure that a classifier can judge an actor.

    Raises:
        UsageError: they know other labels.
    """
    if classifier.config.names != actor.names:
        raise UsageError(
            f"the classifier knows {', '.join(classifier.config.names)}, the actor "
            f"{', '.join(actor.names)}; train one on the actor's data"
        )


def diversity(actor: ImageActor, labels: Tensor, *, seed: int) -> Diversity:
    """How different images are for which the same labels are asked.

    Args:
        labels: ``(N, Y)`` of data; of their distinct rows some are drawn, always the same.
    """
    kinds = torch.unique(labels, dim=0)
    order = torch.randperm(len(kinds), generator=torch.Generator().manual_seed(0))
    kinds = kinds[order[:LABEL_SETS]]
    made = actor.generate(kinds.repeat_interleave(SAME_LABELS, 0), seed=seed)
    each = [float(pairwise_distances(group).mean()) for group in made.split(SAME_LABELS)]
    return Diversity.of(each)


def mean_interval(values: Sequence[float]) -> Interval:
    """Student's 95% interval of a mean; the mean itself of one value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, mean
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return mean - half, mean + half


@dataclass(frozen=True)
class Identity:
    """What is left of images when one label of each is changed.

    Args:
        name: of the actor.
        changed: share of images whose changed label the classifier finds.
        kept: share of the other labels that are as the classifier found them before; None where
            there are no others, as with two classes.
        pixels: mean root mean squared difference of pixels from the reconstruction.
        latent: mean over images of the squared shift in posterior scales.
    """

    name: str
    changed: float
    kept: float | None
    pixels: float
    latent: float


def evaluate_identity(
    name: str,
    actor: ImageActor,
    classifier: ImageClassifier,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int,
) -> Identity:
    """Change one label of each of ``(B, C, H, W)`` images, drawn at random; of a class, the class.

    Raises:
        UsageError: actor and classifier know other labels.
    """
    check_labels(actor, classifier)
    wanted = one_changed(labels, exclusive=actor.exclusive, seed=seed)
    result = transform(actor, images, wanted)
    before = classifier.predict(result.reconstructed)
    after = classifier.predict(result.transformed)
    asked = wanted != labels  # of classes two: that which is left and that which is wanted
    right = (after == wanted) | ~asked
    others = (after == before)[~asked]
    return Identity(
        name=name,
        changed=float(right.all(-1).float().mean()),
        kept=float(others.float().mean()) if len(others) else None,
        pixels=float(result.pixel_distance().mean()),
        latent=float(result.z_distance(actor.model.sigma_bar).mean()),
    )


def one_changed(labels: Tensor, *, exclusive: bool, seed: int) -> Tensor:
    """``(B, Y)`` labels, one of each row changed at random; of classes, another class.

    >>> one_changed(torch.tensor([[1.0, 0.0]]), exclusive=True, seed=0)
    tensor([[0., 1.]])
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(len(labels))
    if exclusive:
        step = torch.randint(1, labels.shape[1], (len(labels),), generator=generator)
        classes = (labels.argmax(-1) + step) % labels.shape[1]
        return torch.nn.functional.one_hot(classes, labels.shape[1]).float()
    changed = labels.clone()
    which = torch.randint(labels.shape[1], (len(labels),), generator=generator)
    changed[rows, which] = 1 - changed[rows, which]
    return changed


def _scores(classifier: ImageClassifier, images: Tensor, wanted: Tensor) -> Scores:
    config = classifier.config
    predicted = classifier.predict(images)
    return scores(predicted, wanted, config.names, exclusive=config.exclusive)
