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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from melodyconstraints.latent.constraints import AttributeConstraint, Encodings, RealismConstraint
from melodyconstraints.latent.pair import (
    ActorCritic,
    Measured,
    ModelReference,
    PairConfig,
    RoundRecord,
    load_pair,
    save_pair,
    size_on_disk,
)
from melodyconstraints.latent.protocols import Conditions, Constraint
from melodyconstraints.latent.search import GradientSearch, LangevinSearch, signed
from melodyconstraints.latent.settings import PRESETS as CORE_PRESETS
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.latent.training import train_actor_critic
from melodyconstraints.storage.arguments import check_amount, check_seed
from melodyconstraints.storage.schema import Count
from melodyconstraints.vae.precision import products

KIND = "image-actor"
_REMEDY = "train it again with: mc images train-actor"
Method = Literal["actor", "gradient", "langevin"]
METHODS = get_args(Method)
_NOISE = 1 << 40
"""Added to the seed of a search's noise: with the plain seed it would equal the prior's points."""
REALISM_WEIGHT = 0.1
"""Weight of the realism critic in a search; an attribute's is 1 (the paper, Figure 5)."""
LABEL_THRESHOLD, REALISM_THRESHOLD = 0.9, 0.5
"""Critics' values at which a search by gradient stops: of each label, and of realism beside
labels, which must be more likely than not. Realism alone has the threshold of a label."""
LANGEVIN = LangevinSearch(step_size=0.1, noise=2e-3, prior_weight=1e-2, thresholds=0.95)
"""Search of the method ``langevin``: larger steps than the source's, and a pull to the prior."""

_SMALL = ActorCriticSettings(
    actor_hidden=(256, 256, 256),
    critic_hidden=(256, 256, 256),
    condition_units=256,
    gate_bias=0.0,
    bank=0,
    warmup_steps=0,
    rounds=2500,
    actor_points=128,
    prior_points=0,
    critic_steps=2,
    actor_steps=2,
    batch_size=256,
    learning_rate=5e-4,
    betas=(0.5, 0.9),
    final_learning_rate_fraction=0.25,
    distance_weight=0.1,
    prior_weight=0.0,
    gradient_penalty=10.0,
    penalty_points=64,
    one_sided=False,
    sharpness=0.0,
    ema_decay=0.995,
    validation=0,
)
PRESETS: dict[str, ActorCriticSettings] = {
    "small": _SMALL,
    "digits": replace(
        _SMALL,
        gate_bias=-3.0,
        actor_steps=1,
        rounds=4000,
        final_learning_rate_fraction=0.05,
        gradient_penalty=1.0,
    ),
    "large": replace(
        _SMALL,
        actor_hidden=(2048,) * 4,
        critic_hidden=(2048,) * 4,
        condition_units=2048,
        learning_rate=2e-4,
        batch_size=128,
        rounds=800,
        final_learning_rate_fraction=1.0,
    ),
    "paper": CORE_PRESETS["paper"],
}
"""Sizes of actor and critic as in section 4. ``paper`` is the appendix; the other settings of the
others are ours, see ``docs/images.md``.

``digits`` learns more slowly and starts closer to the identity, which is enough for classes and
keeps their images diverse. Ten attributes at once need the other presets, whose learning rate must
not fall far: without a price on distance the actor leaves the data faster than a slow critic
learns.
"""
SEARCH_ROUNDS, SEARCH_CRITIC_STEPS = 400, 8
"""Most rounds of training critics for a search, and critic steps in each: a round costs a whole
search, and there is no actor that the critics would have to keep up with."""
SEARCH_FINAL_LEARNING_RATE_FRACTION, SEARCH_GRADIENT_PENALTY = 0.05, 1.0
"""Final learning-rate fraction and gradient penalty of these critics, as of the preset digits."""


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
        model: encodes and decodes the images.
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
        seed: int = 0,
    ) -> Tensor:
        """Move points ``(B, Z)`` towards labels ``(B, Y)``; returns ``(B, Z)``.

        Args:
            y: labels; None for an actor without names.
            search: used in place of the method's own.
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

    def generate(self, y: Tensor | None = None, *, n: int | None = None, seed: int = 0) -> Tensor:
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


def preset_settings(preset: str, method: str) -> ActorCriticSettings:
    """Settings of a preset for a method.

    Critics of a search are trained in fewer rounds, but for those of ``paper``.

    >>> preset_settings("small", "gradient").rounds
    400
    """
    settings = PRESETS[preset]
    if method == "actor" or settings.plain:
        return settings
    return replace(
        settings,
        rounds=min(settings.rounds, SEARCH_ROUNDS),
        critic_steps=SEARCH_CRITIC_STEPS,
        final_learning_rate_fraction=SEARCH_FINAL_LEARNING_RATE_FRACTION,
        gradient_penalty=SEARCH_GRADIENT_PENALTY,
    )


def default_search(
    method: str, labels: int, *, plain: bool = False
) -> GradientSearch | LangevinSearch:
    """Search of a method for a number of labels, 0 for realism alone.

    Args:
        plain: without thresholds; :class:`melodyconstraints.latent.settings.ActorCriticSettings`.
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


def encode_images(
    model: ImageVAE,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    flip: bool = False,
    balance: bool = False,
) -> Encodings:
    """Posteriors of ``(N, C, H, W)`` images with their labels ``(N, Y)``.

    Args:
        flip: whether to encode the mirror images too.
        balance: whether images with rare labels are sampled more often; see :func:`rarities`.
    """
    posterior = model.encode(images)
    means, scales = [posterior.mean], [posterior.scale]
    if flip:
        mirrored = model.encode(images.flip(-1))
        means.append(mirrored.mean)
        scales.append(mirrored.scale)
    if labels is not None:
        labels = labels.float().to(posterior.mean.device).repeat(len(means), 1)
    shares = rarities(labels) if balance and labels is not None else None
    return Encodings(torch.cat(means), torch.cat(scales), labels, shares)


def rarities(labels: Tensor) -> Tensor:
    """``(N,)`` sampling weights of rows of ``(N, Y)`` labels, larger for rare labels; mean 1.

    For one attribute, the weight 0.5 / (share of the rows with the same value) makes the attribute
    true in half of the samples. A row's weight is the mean of that over all attributes.

    >>> rarities(torch.tensor([[1.0], [0.0], [0.0], [0.0]]))
    tensor([2.0000, 0.6667, 0.6667, 0.6667])
    """
    present = labels.mean(0)
    chance = torch.where(labels > 0.5, present, 1 - present)
    return (0.5 / chance).mean(1)


def train_image_actor(
    model: ImageVAE,
    encodings: Encodings,
    names: Sequence[str] = (),
    *,
    exclusive: bool = False,
    method: str = "actor",
    settings: ActorCriticSettings | None = None,
    seed: int = 0,
    callback: Callable[[RoundRecord], None] | None = None,
) -> ImageActor:
    """Train an actor, or the critics of a search, on labelled encodings.

    Args:
        encodings: with labels ``(N, Y)`` for ``Y`` names; without names, labels are ignored.
        exclusive: whether exactly one label holds.
        method: one of :data:`METHODS`.
        settings: those of the preset ``small`` if not given.
        seed: seed of networks, points and shuffles.
        callback: called with the record of every round.

    Raises:
        UsageError: an unknown method, langevin without names, or another number of labels than
            names.
    """
    if method not in METHODS:
        raise UsageError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "langevin" and not names:
        raise UsageError("langevin follows labels and has none; name some, or choose actor")
    if names and encodings.labels.shape[1] != len(names):
        count = encodings.labels.shape[1]
        raise UsageError(f"encodings need {len(names)} labels each, found {count}")
    settings = settings or preset_settings("small", method)
    constraints, conditions, search = _learned(encodings, names, method, settings)
    unused_heads = 0 if method == "actor" else len(names)

    def report(record: RoundRecord) -> None:
        if callback:
            callback(_without_heads(record, unused_heads))

    with products("auto", model.sigma_bar.device, weights_change=True):
        pair = train_actor_critic(
            model,
            settings=settings,
            constraints=constraints,
            conditions=conditions,
            search=search,
            generator=torch.Generator().manual_seed(seed),
            callback=report,
        )
    records = [_without_heads(record, unused_heads) for record in pair.records]
    whole = vars(pair) | {"method": method, "records": records, "weights": ()}
    return ImageActor(model=model, names=tuple(names), exclusive=exclusive, **whole)


def _learned(
    encodings: Encodings, names: Sequence[str], method: str, settings: ActorCriticSettings
) -> tuple[list[Constraint], Conditions | None, GradientSearch | None]:
    """Constraints, conditions, and the search that takes an actor's place in the training."""
    unlabelled = Encodings(encodings.means, encodings.scales)
    realism = RealismConstraint(
        encodings if names and method == "actor" else unlabelled,
        replay_size=settings.replay_size,
        mislabelled=not settings.plain,
    )
    if method == "actor":
        conditions = (lambda n, generator: encodings.draw(n, generator)[1]) if names else None
        return [realism], conditions, None
    constraints: list[Constraint] = [AttributeConstraint(encodings, names)] if names else []
    if method == "langevin":  # its critic learns from encodings alone
        return constraints, None, GradientSearch(steps=0)
    # In the training no attribute is wanted: points move to where realism is satisfied.
    unused = (0.0,) * len(names)
    thresholds = None if settings.plain else (*unused, REALISM_THRESHOLD)
    search = GradientSearch(weights=(*unused, 1.0), thresholds=thresholds)
    return [*constraints, realism], None, search


def _without_heads(record: RoundRecord, count: int) -> RoundRecord:
    """A round's record without its first heads."""
    if not count:
        return record
    satisfied = record.satisfied[count:]
    return replace(
        record,
        rewards=record.rewards[count:],
        satisfied=satisfied,
        all_satisfied=min(satisfied, default=math.nan),
    )


def size_of_folder(
    model: ImageVAE, settings: ActorCriticSettings, names: Sequence[str], method: str
) -> int:
    """Bytes that an actor's folder takes, at most; for arguments of :func:`train_image_actor`."""
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
        folder: the bundled actor of digits if not given.
        model: used in place of the one that the folder names; must have the same weights.

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
