"""A model, a classifier and an actor of scikit-learn's digits: what ``mc images demo`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from melodyconstraints.datasets.images.read_images import read_images
from melodyconstraints.images.actor import ImageActor, prior_points
from melodyconstraints.images.actor_training import PRESETS
from melodyconstraints.images.checkpoint import load_classifier, load_model
from melodyconstraints.images.classifier import ImageClassifier
from melodyconstraints.images.grids import draw_grid
from melodyconstraints.latent.pair import RoundRecord
from melodyconstraints.storage.arguments import DEFAULT_SEED
from melodyconstraints.vae.state import TrainingState
from melodyconstraints.vae.training import TrainingSettings
from melodyconstraints.workflows.images.image_data import tensors
from melodyconstraints.workflows.images.train_actor import train_actor_folder
from melodyconstraints.workflows.images.train_classifier import train_classifier_folder
from melodyconstraints.workflows.images.train_vae import train_vae_folder

MODEL_STEPS, CLASSIFIER_STEPS, ROUNDS = 1500, 600, 400
"""Lengths of the three trainings, a minute together."""
ACROSS = 10
"""Images in a row of a picture."""
MEASURED = 100
"""Generated images of each digit that the classifier measures."""


@dataclass(frozen=True)
class Recognised:
    """Shares of digits that a classifier recognises.

    Args:
        by_digit: share of the generated images of each digit.
        generated: share of all generated images.
        held_out: share of the test images.
    """

    by_digit: dict[str, float]
    generated: float
    held_out: float


class Demo:
    """Trainings of a model, a classifier and an actor in one folder, called in this order.

    Args:
        folder: folder of all that is written.
        seed: seed of the trainings and of the generated images.
    """

    def __init__(self, folder: Path, seed: int = DEFAULT_SEED) -> None:
        torch.set_num_threads(1)  # networks this small are slower on several
        self.folder, self.seed, self.rounds = folder, seed, ROUNDS
        self.data = read_images("digits")
        self.samples, self.digits = folder / "samples.png", folder / "digits.png"

    def train_model(self, callback: Callable[[TrainingState], None] | None = None) -> None:
        """Train the model."""
        settings = TrainingSettings(
            steps=MODEL_STEPS, batch_size=64, learning_rate=2e-3, ema_decay=0.995, seed=self.seed
        )
        folder = self.folder / "model"
        train_vae_folder(self.data, folder, settings, preset="tiny", callback=callback)

    def train_classifier(self, callback: Callable[[TrainingState], None] | None = None) -> None:
        """Train the classifier."""
        settings = TrainingSettings(
            steps=CLASSIFIER_STEPS, batch_size=64, ema_decay=0.99, seed=self.seed
        )
        folder = self.folder / "classifier"
        train_classifier_folder(self.data, folder, settings, callback=callback)

    def train_actor(self, callback: Callable[[RoundRecord], None] | None = None) -> ImageActor:
        """Train the actor on the model."""
        settings = replace(
            PRESETS["digits"],
            rounds=self.rounds,
            actor_steps=2,
            learning_rate=1e-3,
            ema_decay=0.98,
            distance_weight=0.4,  # without it, all images of a digit are one
            prior_weight=0.3,
        )
        model, folder = load_model(self.folder / "model"), self.folder / "actor"
        return train_actor_folder(
            self.data, model, folder, settings=settings, seed=self.seed, callback=callback
        )

    def draw_and_measure(self, actor: ImageActor) -> Recognised:
        """Draw the model's images and a row of each digit; measure how many are recognised."""
        classifier = load_classifier(self.folder / "classifier")
        images, labels = tensors(self.data.test)
        shown = images[labels.argmax(0)]  # the first of each class
        reconstructions = actor.model.decode(actor.model.encode(shown).mean)
        samples = actor.model.decode(prior_points(actor.model, ACROSS, self.seed))
        titles = ["held-out digits", "reconstructions", "samples of the prior"]
        draw_grid([shown, reconstructions, samples], self.samples, row_names=titles)

        y = torch.eye(len(actor.names)).repeat_interleave(MEASURED, 0)
        generated = actor.generate(y, seed=self.seed)
        rows = [part[:ACROSS] for part in generated.split(MEASURED)]
        draw_grid(rows, self.digits, row_names=[f"asked for {name}" for name in actor.names])
        right = _recognised(classifier, generated, y)
        shares = right.reshape(-1, MEASURED).mean(1).tolist()
        return Recognised(
            by_digit=dict(zip(actor.names, shares, strict=True)),
            generated=float(right.mean()),
            held_out=float(_recognised(classifier, images, labels).mean()),
        )


def _recognised(classifier: ImageClassifier, images: Tensor, labels: Tensor) -> Tensor:
    """``(B,)`` 1 where the classifier predicts the labels ``(B, Y)``."""
    return (classifier.predict(images) == labels).all(-1).float()
