"""From labelled images to an actor folder: what ``mc images train-actor`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from melodyconstraints.datasets.images.labelled_images import ImageData
from melodyconstraints.images.actor import KIND, ImageActor, save_actor, size_of_folder
from melodyconstraints.images.actor_training import preset_settings, train_image_actor
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.latent.curves import plot_actor_critic
from melodyconstraints.latent.pair import CURVES, RoundRecord
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.storage.artifacts import claimed
from melodyconstraints.workflows.images.card import image_card
from melodyconstraints.workflows.images.image_data import check_fits, encode_labelled

_PLOTTED_HEADS: dict[str, tuple[str, ...]] = {
    "actor": ("D(G(z))",),
    "gradient": ("realism",),
    "langevin": (),
}
"""Critic heads whose values the rounds of each method's training record."""


def actor_settings(
    data: ImageData,
    method: str = "actor",
    *,
    preset: str | None = None,
    distance: float | None = None,
    rounds: int | None = None,
    condition_units: int | None = None,
) -> ActorCriticSettings:
    """The settings of a training on such data.

    Args:
        method: one of :data:`~melodyconstraints.images.actor.METHODS`.
        preset: a key of :data:`~melodyconstraints.images.actor_training.PRESETS`; if not given,
            ``digits`` for classes, ``small`` for attributes.
        distance: lambda_dist; the preset's if not given.
        rounds, condition_units: the preset's if not given; see :class:`.ActorCriticSettings`.
    """
    settings = preset_settings(preset or ("digits" if data.train.exclusive else "small"), method)
    named = {"distance_weight": distance, "rounds": rounds, "condition_units": condition_units}
    given: dict[str, Any] = {name: one for name, one in named.items() if one is not None}
    return replace(settings, **given)


def train_actor_folder(
    data: ImageData,
    model: ImageVAE,
    output: Path,
    *,
    method: str = "actor",
    labelled: bool = True,
    settings: ActorCriticSettings | None = None,
    seed: int = 0,
    overwrite: bool = False,
    callback: Callable[[RoundRecord], None] | None = None,
) -> ImageActor:
    """Train an actor, or the critics of a search, and write the folder with its card.

    Args:
        labelled: whether labels are learned; False for the realism constraint alone.
        settings: settings of the training; those of :func:`actor_settings` if not given.

    Raises:
        UsageError: images of another shape than the model's, a folder that must not be replaced,
            or one that its disk has no room for.
        StoreError: another training is at work in the folder.
    """
    check_fits(model, data.train)
    names = data.train.names if labelled else ()
    settings = settings or actor_settings(data, method)
    size = size_of_folder(model, settings, names, method)
    with claimed(output, KIND, overwrite=overwrite, size=size):
        actor = train_image_actor(
            model,
            encode_labelled(model, data.train, plain=settings.plain),
            names,
            exclusive=data.train.exclusive,
            method=method,
            settings=settings,
            seed=seed,
            callback=callback,
        )
        labels = ", ".join(names) or "none: realism alone"
        card = image_card(
            "Actor for images",
            f"For the image model `{model.fingerprint[:12]}`. Measure it with "
            "`mc images evaluate`.",
            data,
            {"method": method, "labels": labels, **asdict(settings), "seed": seed},
        )
        save_actor(actor, output, card=card)
        plot_actor_critic(actor.records, _PLOTTED_HEADS[method], output / CURVES)
    return actor
