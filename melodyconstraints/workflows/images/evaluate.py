"""The paper's Tables 1 and 4, and beyond them realism, diversity and identity.

Shapes: ``B`` images, ``C`` channels, ``H`` x ``W`` pixels, ``Y`` labels of 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from melodyconstraints.datasets.images.labelled_images import Announce, ImageData, LabelledImages
from melodyconstraints.errors import UsageError
from melodyconstraints.images.actor import ImageActor, prior_points
from melodyconstraints.images.classifier import ClassifierMetrics, ImageClassifier
from melodyconstraints.images.distances import frechet_distance, pairwise_distances
from melodyconstraints.images.model import MOST_AT_ONCE, ImageVAE
from melodyconstraints.images.training import measure_elbo
from melodyconstraints.latent.evaluation import Interval, z_mse
from melodyconstraints.storage.arguments import check_amount
from melodyconstraints.vae.state import Metrics
from melodyconstraints.workflows.images.image_data import check_names, shape_of, tensors
from melodyconstraints.workflows.images.settings import EVALUATION_SEED
from melodyconstraints.workflows.images.transform import transform

SAME_LABELS = 24
"""Images of each label set that diversity is measured on: 276 pairs."""
LABEL_SETS = 40
"""Most label sets, of those in the data, that diversity is averaged over: bounds the time."""
TRANSFORMED = 500
"""Most test images of which one label is changed: enough for two digits of a share."""


@dataclass(frozen=True)
class Diversity:
    """Mean pixel distance of pairs with the same labels, with its 95% interval over label sets.

    Args:
        each: mean distance within each label set.
    """

    mean: float
    interval: Interval
    each: tuple[float, ...]

    @classmethod
    def of(cls, each: Sequence[float]) -> Diversity:
        """The diversity from the mean distance within each label set."""
        return cls(float(np.mean(each)), mean_interval(each), tuple(each))

    def over(self, other: Diversity) -> tuple[float, Interval]:
        """Ratio to the diversity of another for the same label sets, with its 95% interval.

        The geometric mean of each set's ratio: since the sets are compared in pairs, differences
        between them do not widen the interval.
        """
        logs = [math.log(a / b) for a, b in zip(self.each, other.each, strict=True)]
        low, high = mean_interval(logs)
        return math.exp(float(np.mean(logs))), (math.exp(low), math.exp(high))


@dataclass(frozen=True)
class Row:
    """One line of Table 1.

    Args:
        name: the actor's name, or a description of the images.
        scores: metrics of a separate classifier's labels against the wanted ones; None without
            wanted labels.
        z_mse: squared shift of the latent points in posterior scales; None for data.
        frechet: Fréchet distance to the test images in the classifier's features.
        diversity: diversity of images with the same labels; None without wanted labels.
    """

    name: str
    scores: ClassifierMetrics | None
    z_mse: float | None
    frechet: float
    diversity: Diversity | None


def evaluate_data(
    classifier: ImageClassifier, images: Tensor, labels: Tensor, others: Tensor
) -> Row:
    """Line of the test images ``(B, C, H, W)`` with their labels ``(B, Y)``.

    Args:
        others: training images, whose Fréchet distance is that of two sets of real images.
    """
    distance = frechet_distance(classifier.features(others), classifier.features(images))
    return Row("test images", classifier.measure(images, labels), None, distance, None)


def evaluate_prior(
    actor: ImageActor, classifier: ImageClassifier, images: Tensor, *, n: int, seed: int
) -> Row:
    """Line of prior samples, which have no wanted labels."""
    generated = actor.model.decode(prior_points(actor.model, n, seed))
    distance = frechet_distance(classifier.features(generated), classifier.features(images))
    return Row("prior samples", None, None, distance, None)


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
    """Line of an actor, whose wanted labels are those of the test images in turn.

    Args:
        images, labels: ``(N, C, H, W)`` test images and their labels ``(N, Y)``.
        n: images to generate.

    Raises:
        UsageError: actor and classifier know other labels.
    """
    y = None
    if actor.names:
        check_labels(actor, classifier)
        y = labels[torch.arange(n) % len(labels)]
    z = prior_points(actor.model, n, seed)
    shifted = actor.shift(z, y, seed=seed)
    generated = actor.model.decode(shifted)
    distance = frechet_distance(classifier.features(generated), classifier.features(images))
    return Row(
        name=name,
        scores=None if y is None else classifier.measure(generated, y),
        z_mse=z_mse(shifted, z, actor.model.sigma_bar),
        frechet=distance,
        diversity=None if y is None else diversity(actor, labels, seed=seed),
    )


def check_labels(actor: ImageActor, classifier: ImageClassifier) -> None:
    """Check that a classifier knows the labels of an actor.

    Raises:
        UsageError: it knows others.
    """
    if classifier.config.names != actor.names:
        raise UsageError(
            f"the classifier knows {', '.join(classifier.config.names)}, the actor "
            f"{', '.join(actor.names)}; train one on the actor's data"
        )


def diversity(actor: ImageActor, labels: Tensor, *, seed: int) -> Diversity:
    """Diversity of images with the same wanted labels.

    Args:
        labels: ``(N, Y)`` of data; of their distinct rows at most :data:`LABEL_SETS` are drawn,
            always the same.
    """
    label_sets = torch.unique(labels, dim=0)
    order = torch.randperm(len(label_sets), generator=torch.Generator().manual_seed(0))
    label_sets = label_sets[order[:LABEL_SETS]]
    generated = actor.generate(label_sets.repeat_interleave(SAME_LABELS, 0), seed=seed)
    each = [float(pairwise_distances(group).mean()) for group in generated.split(SAME_LABELS)]
    return Diversity.of(each)


def mean_interval(values: Sequence[float]) -> Interval:
    """Student's 95% interval of a mean; of a single value, the value itself twice."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, mean
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return mean - half, mean + half


@dataclass(frozen=True)
class Identity:
    """Preservation of images in a transformation of one label of each.

    Args:
        name: the actor's name.
        changed: share of images in which the classifier finds the changed label.
        kept: share of the other labels that the classifier finds as before; None if there are no
            others, as with two classes.
        pixels: root mean squared difference of pixels from the reconstruction, mean over images.
        latent: squared shift in posterior scales, mean over images.
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
    """Measure transformations of one label, drawn at random, of each of ``(B, C, H, W)`` images.

    Raises:
        UsageError: actor and classifier know other labels.
    """
    check_labels(actor, classifier)
    wanted = one_changed(labels, exclusive=actor.exclusive, seed=seed)
    result = transform(actor, images, wanted)
    before = classifier.predict(result.reconstructed)
    after = classifier.predict(result.transformed)
    differ = wanted != labels  # with classes in two places: the old class and the new one
    right = (after == wanted) | ~differ
    others = (after == before)[~differ]
    return Identity(
        name=name,
        changed=float(right.all(-1).float().mean()),
        kept=float(others.float().mean()) if len(others) else None,
        pixels=float(result.pixel_distance().mean()),
        latent=float(result.z_distance(actor.model.sigma_bar).mean()),
    )


def one_changed(labels: Tensor, *, exclusive: bool, seed: int) -> Tensor:
    """``(B, Y)`` labels with one of each row changed at random; for classes, another class.

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


@dataclass(frozen=True)
class Report:
    """Measurements of models and actors.

    Args:
        test_images: number of test images.
        table_4: measures of each model, by its name: sigma_x and
            :func:`~melodyconstraints.images.training.measure_elbo`.
        table_1: a line for test images, prior samples and each actor; empty without actors.
        identity: a line for each actor that can transform images.
        n: images generated by each actor.
        seed: seed of the actors' images.
    """

    test_images: int
    table_4: dict[str, Metrics]
    table_1: list[Row]
    identity: list[Identity]
    n: int
    seed: int

    def diversity_over_first(self) -> list[tuple[str, float, float, float]]:
        """Each actor's ratio to the first one's diversity, and its interval's ends.

        Actors that make one image only of a label set are left out.
        """
        diverse = [
            (row.name, row.diversity)
            for row in self.table_1
            if row.diversity and all(row.diversity.each)
        ]
        ratios = [(name, one.over(diverse[0][1])) for name, one in diverse]
        return [(name, ratio, *interval) for name, (ratio, interval) in ratios]

    def as_json(self) -> dict[str, Any]:
        """JSON values; tables that were not measured are left out."""
        values: dict[str, Any] = {"test_images": self.test_images}
        if self.table_4:
            values["table_4"] = self.table_4
        if self.table_1:
            values |= {"n": self.n, "seed": self.seed}
            values["table_1"] = [asdict(row) for row in self.table_1]
            values["identity"] = [asdict(one) for one in self.identity]
        if len(compared := self.diversity_over_first()) > 1:
            values["diversity_over_first"] = [list(line) for line in compared]
        return values


def evaluate(
    data: ImageData,
    models: Mapping[str, ImageVAE],
    actors: Mapping[str, ImageActor],
    classifier: ImageClassifier | None = None,
    *,
    n: int = 2000,
    seed: int = EVALUATION_SEED,
    announce: Announce | None = None,
    callback: Callable[[str, int, int], object] | None = None,
) -> Report:
    """Measure models and actors on test images.

    Args:
        data: images as large as the models make them; see
            :func:`~melodyconstraints.workflows.images.image_data.read_images_of`.
        models, actors: models and actors, by their names.
        classifier: classifier that measures the actors' images.
        n: images to generate with each actor.
        announce: called with a line for each actor.
        callback: called before each stage with its name, how many are done, and how many there
            are.

    Raises:
        UsageError: more images than :data:`.model.MOST_AT_ONCE`, actors without a classifier, or
            one of other labels or images than they have.
    """
    check_amount(n, MOST_AT_ONCE, "images")
    for name, actor in actors.items():
        check_names(f"the actor {name}", actor.names, data.test)
    images, _ = tensors(data.test)
    rows: list[Row] = []
    identities: list[Identity] = []
    if actors:
        if classifier is None:
            raise UsageError("actors need a classifier that measures their images; give one")
        check_classifier(classifier, list(actors.values()), data.test)
    stages = _Stages(_count_stages(models, actors), callback)
    if actors and classifier:
        rows, identities = _evaluate_actors(data, actors, classifier, n, seed, announce, stages)
    table_4: dict[str, Metrics] = {}
    for name, model in models.items():
        stages.begin(f"ELBO of {name}")
        table_4[name] = {"sigma_x": model.config.sigma_x} | measure_elbo(model, images)
    return Report(len(images), table_4, rows, identities, n, seed)


@dataclass
class _Stages:
    """Stages of a measurement, which are counted as they begin."""

    count: int
    callback: Callable[[str, int, int], object] | None
    begun: int = 0

    def begin(self, name: str) -> None:
        """Tell of a stage that begins."""
        if self.callback:
            self.callback(name, self.begun, self.count)
        self.begun += 1


def _count_stages(models: Mapping[str, ImageVAE], actors: Mapping[str, ImageActor]) -> int:
    """Stages of :func:`evaluate`: test images, prior, actors, their transformations, models."""
    transforming = sum(map(_transforms, actors.values()))
    return len(models) + (2 + len(actors) + transforming if actors else 0)


def _transforms(actor: ImageActor) -> bool:
    """Whether an actor can transform images: it knows labels, and is no Langevin search."""
    return bool(actor.names) and actor.method != "langevin"


def _evaluate_actors(
    data: ImageData,
    actors: Mapping[str, ImageActor],
    classifier: ImageClassifier,
    n: int,
    seed: int,
    announce: Announce | None,
    stages: _Stages,
) -> tuple[list[Row], list[Identity]]:
    """Lines of Table 1, and of identity for actors that can transform images."""
    images, labels = tensors(data.test)
    others = tensors(data.train)[0][: len(images)]
    stages.begin("test images")
    rows = [evaluate_data(classifier, images, labels, others)]
    first = next(iter(actors.values()))
    stages.begin("prior samples")
    rows.append(evaluate_prior(first, classifier, images, n=n, seed=seed))
    identities = []
    for name, actor in actors.items():
        if announce:
            announce(f"measuring {name}")
        stages.begin(f"images of {name}")
        rows.append(evaluate_actor(name, actor, classifier, images, labels, n=n, seed=seed))
        if _transforms(actor):
            stages.begin(f"transformations by {name}")
            some = images[:TRANSFORMED], labels[:TRANSFORMED]
            identities.append(evaluate_identity(name, actor, classifier, *some, seed=seed))
    return rows, identities


def check_classifier(
    classifier: ImageClassifier, actors: Sequence[ImageActor], images: LabelledImages
) -> None:
    """Check that a classifier is for the labels of actors and images, and for these images.

    Raises:
        UsageError: it is for others.
    """
    for actor in actors:
        if actor.names:
            check_labels(actor, classifier)
    check_names("the classifier", classifier.config.names, images)
    expected, actual = classifier.config.trunk.shape, shape_of(images)
    if expected != actual:
        raise UsageError(
            f"the classifier is for images of {'x'.join(map(str, expected))} (channels, rows, "
            f"columns), the data has {'x'.join(map(str, actual))}; train one with: "
            "mc images train-classifier"
        )
