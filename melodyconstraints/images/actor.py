"""Actors for images: where the model, labelled encodings and the core meet.

Three methods, one interface. ``actor`` is the paper's G(z, y) with its critic D(z, y), which sees
encodings under their own labels, under those of others and points of the actor (section 4);
without labels, the realism constraint alone (section 3). ``gradient`` has a critic of attributes
and one of realism and moves each point by itself until both are content (section 5, G_opt).
``langevin`` samples from p(z | y) by the gradient of a classifier on encodings alone (Acuna and
Duvenaud, *Direct optimization of the latent representation*, equation 2).

Shapes: ``B`` points, ``Z`` latent dimensions, ``Y`` labels of 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.images.checkpoint import load_model
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.latent.constraints import (
    AttributeConstraint,
    Encodings,
    RealismConstraint,
)
from melodyconstraints.latent.networks import Actor, Critic
from melodyconstraints.latent.pair import ActorCritic, RoundRecord, load_pair, save_pair
from melodyconstraints.latent.protocols import Constraint
from melodyconstraints.latent.search import GradientSearch, LangevinSearch, signed
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.latent.training import train_actor_critic
from melodyconstraints.storage.artifacts import fits_this_version
from melodyconstraints.vae.precision import products

KIND = "image-actor"
_REMEDY = "train it again with: mc images train-actor"
_OLDER = {"heads": [], "best": math.nan, "decoded": 0, "interrupted": False}
"""What the folders of version 0.1 do not say."""
METHODS = ("actor", "gradient", "langevin")
_NOISE = 1 << 40
"""Added to the seed of a search's noise, which else began as the prior's points did."""
REALISM_WEIGHT = 0.1
"""Of the realism critic beside each attribute's, in a search (the paper, Figure 5)."""

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
}
"""Sizes of actor and critic as in section 4; the recipe is ours, see ``docs/images.md``.

``digits`` learns more slowly and from closer to the identity: classes need no more, and it keeps
them diverse. Ten attributes at once need the others, whose learning rate must not fall far: a
critic that learns slowly does not keep up with an actor that nothing holds, which then runs away.
"""
SEARCH_ROUNDS, SEARCH_CRITIC_STEPS = 400, 8
"""Of a search's critics: a round costs a whole search, and they have no actor to keep up with."""


@dataclass(kw_only=True)
class ImageActor(ActorCritic):
    """What moves latent points of a model to where images have wanted labels.

    The critic has a conditional head; or, of a search, one for each label and for realism.

    Args:
        model: of the images.
        names: of the labels; none where realism is all that is wanted.
        exclusive: exactly one label holds.
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
        """``(B, Z)`` points to ``(B, Z)`` where labels are ``(B, Y)``, as far as the method can.

        Args:
            search: in place of the method's own.
            seed: of its noise.

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
        search = search or default_search(self.method, len(self.names))
        critic = signed(self.critic) if self.names and self.actor is None else self.critic
        return search(critic, z, y, sigma_bar=self.model.sigma_bar, generator=generator)

    def generate(self, y: Tensor | None = None, *, n: int | None = None, seed: int = 0) -> Tensor:
        """Images ``(B, C, H, W)`` in [0, 1] with labels ``(B, Y)``; ``n`` of them where none are.

        Raises:
            UsageError: neither labels nor a number, or labels that do not fit the names.
        """
        count = n if y is None else len(y)
        if count is None or count < 1:
            raise UsageError("say what to make: labels, or n, a number of at least 1")
        z = prior_points(self.model, count, seed)
        return self.model.decode(self.shift(z, y, seed=seed))

    @property
    def displayed_heads(self) -> tuple[str, ...]:
        """What tables and curves call the critic's heads."""
        if self.method == "actor":
            return ("D(G(z))",)
        return self.names + (("realism",) if self.method == "gradient" else ())

    def _check(self, z: Tensor, y: Tensor | None) -> None:
        found = None if y is None else tuple(y.shape)
        wanted = (len(z), len(self.names)) if self.names else None
        if found != wanted:
            raise UsageError(f"labels must have shape {wanted} for this actor, got {found}")


def recipe_of(preset: str, method: str) -> ActorCriticSettings:
    """The settings of a preset for a method; critics of a search learn in fewer rounds.

    >>> recipe_of("small", "gradient").rounds
    400
    """
    settings = PRESETS[preset]
    if method == "actor":
        return settings
    return replace(
        settings,
        rounds=min(settings.rounds, SEARCH_ROUNDS),
        critic_steps=SEARCH_CRITIC_STEPS,
        final_learning_rate_fraction=0.05,
        gradient_penalty=1.0,
    )


def default_search(method: str, labels: int) -> GradientSearch | LangevinSearch:
    """A method's search for so many labels; all have to be likely, and realism more than not.

    Where realism is all that is wanted, it has to be as likely as labels are.
    """
    if method == "langevin":
        return LangevinSearch(step_size=0.1, noise=2e-3, prior_weight=1e-2, thresholds=0.95)
    return GradientSearch(
        steps=100,
        learning_rate=0.1,
        weights=(1.0,) * labels + (REALISM_WEIGHT if labels else 1.0,),
        thresholds=(0.9,) * labels + (0.5 if labels else 0.9,),
    )


def prior_points(model: ImageVAE, n: int, seed: int) -> Tensor:
    """``(n, Z)`` points of N(0, I)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, model.latent_dim, generator=generator).to(model.sigma_bar.device)


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
        flip: with the mirror images too.
        balance: drawn more often the rarer their labels are; see :func:`rarities`.
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
    """``(N,)`` shares by which to draw rows of ``(N, Y)`` labels so that rare ones are learned.

    Drawn in proportion to 1 / how many rows agree with it in an attribute, the attribute would be
    there in every other row. This is the mean of that over all attributes; its own mean is 1.

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
    """Teach the core what the labelled encodings show.

    Args:
        encodings: with labels ``(N, Y)`` for ``Y`` names; without names their labels do not count.
        settings: the recipe; that of the preset ``small`` if not given.

    Raises:
        UsageError: an unknown method, langevin without names, or another number of labels than
            names.
    """
    if method not in METHODS:
        raise UsageError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "langevin" and not names:
        raise UsageError("langevin follows labels and has none; name some, or choose actor")
    recipe = settings or recipe_of("small", method)
    generator = torch.Generator().manual_seed(seed)
    plain = Encodings(encodings.means, encodings.scales)
    if names and encodings.labels.shape[1] != len(names):
        found = encodings.labels.shape[1]
        raise UsageError(f"encodings need {len(names)} labels each, found {found}")

    constraints: list[Constraint] = []
    conditions = search = None
    if method == "actor":
        constraints.append(RealismConstraint(encodings if names else plain))
        if names:
            conditions = lambda n, g: encodings.draw(n, g)[1]  # noqa: E731
    else:
        if names:
            constraints.append(AttributeConstraint(encodings, names))
        if method == "gradient":
            constraints.append(RealismConstraint(plain))
            unasked = (0.0,) * len(names)
            search = GradientSearch(weights=(*unasked, 1.0), thresholds=(*unasked, 0.5))
        else:
            search = GradientSearch(steps=0)
    unasked_heads = 0 if method == "actor" else len(names)

    def tell(record: RoundRecord) -> None:
        if callback:
            callback(_without_heads(record, unasked_heads))

    with products("auto", model.sigma_bar.device, weights_change=True):
        pair = train_actor_critic(
            model,
            settings=recipe,
            constraints=constraints,
            conditions=conditions,
            search=search,
            generator=generator,
            callback=tell,
        )
    records = [_without_heads(record, unasked_heads) for record in pair.records]
    whole = vars(pair) | {"method": method, "records": records, "weights": ()}
    return ImageActor(model=model, names=tuple(names), exclusive=exclusive, **whole)


def _without_heads(record: RoundRecord, count: int) -> RoundRecord:
    """What a round saw, without the first heads: in a search's training no attribute is wanted."""
    if not count:
        return record
    satisfied = record.satisfied[count:]
    return replace(
        record,
        rewards=record.rewards[count:],
        satisfied=satisfied,
        all_satisfied=min(satisfied, default=math.nan),
    )


def save_actor(actor: ImageActor, folder: Path, *, card: str = "") -> None:
    """Write an actor folder, in half precision; it names its model's folder and fingerprint.

    Raises:
        UsageError: the model was never saved.
    """
    config = {"names": actor.names, "exclusive": actor.exclusive}
    save_pair(actor, folder, KIND, actor.model, config=config, card=card, half=True)


def load_actor(folder: Path | str, *, model: ImageVAE | None = None) -> ImageActor:
    """Read an actor folder and the model that it names.

    Args:
        model: in place of the one that it names; must be the same weights.

    Raises:
        ArtifactError: damaged or foreign, or trained on another model.
    """
    folder = Path(folder)
    saved = load_pair(folder, KIND, {m: m == "actor" for m in METHODS}, _REMEDY, _OLDER)
    with fits_this_version(folder):
        names, exclusive = tuple(saved.config["names"]), bool(saved.config["exclusive"])
        _check_labels(ActorCritic(**saved.pair), names)
    model = model or load_model(saved.model_folder)
    saved.check_model(model)
    actor = ImageActor(model=model, names=names, exclusive=exclusive, **saved.pair)
    for network in (actor.actor, actor.critic):
        if network is not None:
            network.to(model.sigma_bar.device)
    return actor


def _check_labels(pair: ActorCritic, names: tuple[str, ...]) -> None:
    """Make sure that a pair's networks are for these labels."""
    heads = [cast(Critic, critic).heads for critic in pair.critic.critics]
    if pair.actor is None:
        wanted = ([len(names)] if names else []) + ([1] if pair.method == "gradient" else [])
        fits = heads == wanted
    else:
        fits = cast(Actor, pair.actor).inputs.condition_dim == len(names)
    if not fits:
        raise ValueError(f"the networks are not those of {len(names)} labels")
