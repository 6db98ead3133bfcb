"""Actors for images: they move latent points to where images have wanted labels.

Three methods, one interface. ``actor`` is the paper's G(z, y) with its critic D(z, y), trained on
encodings under their own labels, under those of others and on points of the actor (section 4);
without labels, the realism constraint alone (section 3). ``gradient`` has a critic of attributes
and one of realism and moves each point until both predict it satisfied (section 5, G_opt).
``langevin`` samples from p(z | y) by the gradient of a classifier on encodings alone (Acuna and
Duvenaud, *Direct optimization of the latent representation*, equation 2).

Shapes: ``B`` points, ``Z`` latent dimensions, ``Y`` labels of 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.images.checkpoint import BUNDLED, load_model
from melodyconstraints.images.model import (
    MOST_AT_ONCE,
    ImageVAE,
)
from melodyconstraints.latent.pair import (
    ActorCritic,
    Measured,
    ModelReference,
    PairConfig,
    load_pair,
    save_pair,
    size_on_disk,
)
from melodyconstraints.latent.search import GradientSearch, LangevinSearch, signed
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.storage.arguments import DEFAULT_SEED, check_amount, check_seed
from melodyconstraints.storage.schema import Count

KIND = "image-actor"
_REMEDY = "train it again with: mc images train-actor"
Method = Literal["actor", "gradient", "langevin"]
METHODS = get_args(Method)
_NOISE = 1 << 40
"""Offset of the seed of a search's noise, which would equal the prior's points without it."""
REALISM_WEIGHT = 0.1
"""Weight of the realism critic in a search; an attribute's is 1 (the paper, Figure 5)."""
LABEL_THRESHOLD, REALISM_THRESHOLD = 0.9, 0.5
"""Critics' values at which a search by gradient stops: of each label, and of realism beside
labels, which must be more likely than not. Realism alone has the threshold of a label."""
LANGEVIN = LangevinSearch(step_size=0.1, noise=2e-3, prior_weight=1e-2, thresholds=0.95)
"""Search of the method ``langevin``: larger steps than the source's, and a pull to the prior."""


@dataclass(kw_only=True)
class ImageActorConfig(PairConfig):
    """The configuration of an image actor's folder; defaults stand for what version 0.1 lacks."""

    method: Method
    names: tuple[str, ...]
    exclusive: bool
    heads: tuple[tuple[str, ...], ...] = ()
    best: Measured = math.nan
    decoded: Count = 0
    interrupted: bool = False

    @property
    def has_actor(self) -> bool:  # noqa: D102 (as of the base)
        return self.method == "actor"

    @property
    def condition_dim(self) -> int:  # noqa: D102 (as of the base)
        return len(self.names) if self.has_actor else 0

    @property
    def head_sizes(self) -> list[int]:  # noqa: D102 (as of the base)
        if self.has_actor:
            return [1]
        return ([len(self.names)] if self.names else []) + [1] * (self.method == "gradient")


@dataclass(kw_only=True)
class ImageActor(ActorCritic):
    """An actor, or a search, that moves a model's latent points to wanted labels.

    An actor's critic has one conditional head; a search's has one for each label and for realism.

    Args:
        model: model that encodes and decodes the images.
        names: names of the labels; none for realism alone.
        exclusive: whether exactly one label holds (classes), or any number (attributes).
        method: one of :data:`METHODS`.
    """

    model: ImageVAE
    names: tuple[str, ...]
    exclusive: bool

    def shift(
        self,
        z: Tensor,
        y: Tensor | None = None,
        *,
        search: GradientSearch | LangevinSearch | None = None,
        seed: int = DEFAULT_SEED,
    ) -> Tensor:
        """Move points ``(B, Z)`` towards labels ``(B, Y)``; returns ``(B, Z)``.

        Args:
            y: labels; None for an actor without names.
            search: search in place of the method's own.
            seed: seed of the search's noise.

        Raises:
            UsageError: labels that do not fit the names.
        """
        self._check(z, y)
        y = None if y is None else y.to(z.device, z.dtype)
        if self.actor is not None and search is None:
            with torch.no_grad():
                shifted: Tensor = self.actor(z, y)
            return shifted
        generator = torch.Generator().manual_seed(_NOISE + seed)
        plain = self.settings.plain
        search = search or default_search(self.method, len(self.names), plain=plain)
        critic = signed(self.critic) if self.names and self.actor is None else self.critic
        return search(critic, z, y, sigma_bar=self.model.sigma_bar, generator=generator)

    def generate(
        self, y: Tensor | None = None, *, n: int | None = None, seed: int = DEFAULT_SEED
    ) -> Tensor:
        """Images ``(B, C, H, W)`` in [0, 1] with labels ``(B, Y)``, or ``n`` without labels.

        Raises:
            UsageError: neither labels nor a number, or labels that do not fit the names.
        """
        count = n if y is None else len(y)
        if count is None or count < 1:
            raise UsageError("say what to make: labels, or n, a number of at least 1")
        z = prior_points(self.model, count, seed)
        return self.model.decode(self.shift(z, y, seed=seed))

    def _check(self, z: Tensor, y: Tensor | None) -> None:
        actual = None if y is None else tuple(y.shape)
        wanted = (len(z), len(self.names)) if self.names else None
        if actual != wanted:
            raise UsageError(f"labels must have shape {wanted} for this actor, got {actual}")


def default_search(
    method: str, labels: int, *, plain: bool = False
) -> GradientSearch | LangevinSearch:
    """Search of a method for a number of labels, 0 for realism alone.

    Args:
        plain: whether thresholds are left out; see
            :class:`melodyconstraints.latent.settings.ActorCriticSettings`.
    """
    if method == "langevin":
        return LANGEVIN
    of_realism = REALISM_THRESHOLD if labels else LABEL_THRESHOLD
    return GradientSearch(
        steps=100,
        learning_rate=0.1,
        weights=(1.0,) * labels + (REALISM_WEIGHT if labels else 1.0,),
        thresholds=None if plain else (LABEL_THRESHOLD,) * labels + (of_realism,),
    )


def prior_points(model: ImageVAE, n: int, seed: int) -> Tensor:
    """``(n, Z)`` samples of the prior N(0, I), on the model's device and in its precision.

    Raises:
        UsageError: n below 1 or above :data:`.model.MOST_AT_ONCE`, or a seed below 0.
    """
    check_amount(n, MOST_AT_ONCE, "images")
    check_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, model.latent_dim, generator=generator).to(model.sigma_bar)


def size_of_folder(
    model: ImageVAE, settings: ActorCriticSettings, names: Sequence[str], method: str
) -> int:
    """Bytes that an actor's folder takes, at most; for arguments of :func:`.train_image_actor`."""
    config = ImageActorConfig(
        model=ModelReference("", ""),
        method=cast(Method, method),
        names=tuple(names),
        exclusive=False,
        settings=settings,
        records=[],
    )
    return size_on_disk(
        model.latent_dim,
        settings,
        config.head_sizes,
        half=True,
        condition_dim=config.condition_dim,
        has_actor=config.has_actor,
    )


def save_actor(actor: ImageActor, folder: Path, *, card: str = "") -> None:
    """Write an actor folder, in half precision; it names its model's folder and fingerprint.

    Raises:
        UsageError: the model was never saved.
    """
    config = {"names": actor.names, "exclusive": actor.exclusive}
    save_pair(actor, folder, KIND, actor.model, config=config, card=card, half=True)


def load_actor(folder: Path | str | None = None, *, model: ImageVAE | None = None) -> ImageActor:
    """Read an actor folder and the model that it names.

    Args:
        folder: the actor's folder; the bundled actor of digits if not given.
        model: model in place of the one that the folder names; must have the same weights.

    Raises:
        ArtifactError: damaged or foreign, or trained on another model.
    """
    folder = BUNDLED / "actor" if folder is None else Path(folder)
    config, pair = load_pair(folder, KIND, ImageActorConfig, _REMEDY, model, load_model)
    actor = ImageActor(names=config.names, exclusive=config.exclusive, **pair)
    for network in (actor.actor, actor.critic):
        if network is not None:
            network.to(actor.model.sigma_bar.device)
    return actor
