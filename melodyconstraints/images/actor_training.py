"""Training of actors for images, or of the critics of a search, on labelled encodings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.images.actor import METHODS, REALISM_THRESHOLD, ImageActor
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.latent.constraints import AttributeConstraint, Encodings, RealismConstraint
from melodyconstraints.latent.pair import RoundRecord
from melodyconstraints.latent.protocols import Conditions, Constraint
from melodyconstraints.latent.search import GradientSearch
from melodyconstraints.latent.settings import PRESETS as CORE_PRESETS
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.latent.training import train_actor_critic
from melodyconstraints.storage.arguments import check_choice
from melodyconstraints.vae.precision import products

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
not fall far: without a distance penalty the actor leaves the data faster than a slow critic
learns.
"""
SEARCH_ROUNDS, SEARCH_CRITIC_STEPS = 400, 8
"""Most rounds of training critics for a search, and critic steps in each: a round costs a whole
search, and there is no actor that the critics would have to keep up with."""
SEARCH_FINAL_LEARNING_RATE_FRACTION, SEARCH_GRADIENT_PENALTY = 0.05, 1.0
"""Final learning-rate fraction and gradient penalty of these critics, as of the preset digits."""


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
        encodings: encodings with labels ``(N, Y)`` for ``Y`` names; without names, labels are
            ignored.
        exclusive: whether exactly one label holds.
        method: one of :data:`~melodyconstraints.images.actor.METHODS`.
        settings: settings of the training; those of the preset ``small`` if not given.
        seed: seed of networks, points and shuffles.
        callback: called with the record of every round.

    Raises:
        UsageError: an unknown method, langevin without names, or another number of labels than
            names.
    """
    check_choice("method", method, METHODS)
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
