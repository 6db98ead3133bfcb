"""Actors for melodies: where the model, the rules and the core come together.

>>> import melodyconstraints as mc
>>> model = mc.load_model()
>>> actor = mc.train_actor(model, ["cmajor", "density:96"])     # doctest: +SKIP
>>> actor.generate(16, seed=1)[0].to_pretty_midi().write("idea.mid")     # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melodyconstraints.errors import TrainingError, UsageError
from melodyconstraints.latent.constraints import AttributeConstraint, Encodings, RealismConstraint
from melodyconstraints.latent.networks import Actor, ConditionedActor, Critics
from melodyconstraints.latent.protocols import Constraint
from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.latent.search import GradientSearch, LangevinSearch
from melodyconstraints.latent.settings import PRESETS, ActorCriticSettings
from melodyconstraints.latent.training import RoundRecord, train_actor_critic
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.rules import Rule, find_rules

DEFAULT_TEMPERATURE = 0.5
"""Of the decoder, in drawing."""
TRAINING_TEMPERATURE = 1.0
"""In training: what keeps its rules there keeps them at lower temperatures too."""
POINTS, EVENTS, SEARCH = "points", "events", "search"
TRAINING_POINTS, TRAINING_EVENTS = "training points", "training events"
LIKE = "like the examples"

REFINEMENT = GradientSearch(steps=30, learning_rate=0.02, thresholds=0.975, shell_weight=1.0)
"""What a refined actor adds: some steps up the critic, for the points that need them."""
SEARCHES: dict[str, GradientSearch | LangevinSearch] = {
    "gradient": GradientSearch(thresholds=0.97, shell_weight=1.0),
    "langevin": LangevinSearch(steps=200, step_size=1.0, noise=6e-3, prior_weight=3e-3),
}
"""Searches in an actor's place: each point is moved by itself, in training too. The noise of the
Langevin steps is 2 * step_size * prior_weight: without a critic they would walk through the prior.
"""
METHODS = ("refined", "actor", *SEARCHES)
"""How points are moved: by a network that has learned it, with or without a few steps of search
after it, or by a search alone."""


@dataclass
class MelodyActor:
    """An actor-critic pair, the model it works on and the rules it was trained for.

    Args:
        rules: those of the critic's first heads.
        actor: None where a search moves the points.
        critic: a head for each rule and each learned constraint.
        heads: names of the critics' heads, critic by critic.
        temperature: the default for drawing.
        settings: the recipe.
        method: one of :data:`METHODS`.
        weights: of all heads, in the critic's order; ones if empty.
        records: one entry a round; see :class:`melodyconstraints.latent.training.RoundRecord`.
        best: share of the points, on which the actor was judged, that kept everything.
        decoded: melodies that were decoded for the training.
        interrupted: stopped by hand before its last round.
    """

    model: MelodyVAE
    rules: list[Rule]
    actor: Actor | ConditionedActor | None
    critic: Critics
    heads: list[list[str]]
    temperature: float
    settings: ActorCriticSettings
    method: str = "actor"
    weights: tuple[float, ...] = ()
    records: list[RoundRecord] = field(default_factory=list)
    best: float = float("nan")
    decoded: int = 0
    interrupted: bool = False

    def shift(self, z: Tensor) -> Tensor:
        """``(B, Z)`` points to ``(B, Z)`` where the critic is content."""
        generator = torch.Generator().manual_seed(stream(SEARCH, 0))
        search = search_of(self.method, self.weights)
        if self.method not in SEARCHES:
            if self.actor is None:
                raise UsageError("this pair has no actor; it was trained for a search")
            with torch.no_grad():
                z = self.actor(z)
        if search is None:
            return z
        return search(self.critic, z, sigma_bar=self.model.sigma_bar, generator=generator)

    def generate(
        self,
        n: int,
        *,
        seed: int = 0,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> Melodies:
        """Draw ``n`` melodies: prior points, shifted, decoded.

        Args:
            top_k, top_p: see :class:`melodyconstraints.melody.vae.sampling.Drawing`.
        """
        z = prior_points(self.model, n, seed)
        return self.sampler(seed, temperature, top_k=top_k, top_p=top_p).decode(self.shift(z))

    def generate_satisfying(
        self,
        n: int,
        *,
        seed: int = 0,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        max_draws: int = 50_000,
    ) -> tuple[Melodies, int]:
        """Draw until ``n`` melodies satisfy every rule.

        Returns:
            The melodies and how many were drawn for them.

        Raises:
            TrainingError: fewer than ``n`` among ``max_draws``, or none among the first tenth.
        """
        _check_count(n)
        generator = torch.Generator().manual_seed(stream(POINTS, seed))
        sampler = self.sampler(seed, temperature, top_k=top_k, top_p=top_p)
        kept, drawn, found = [], 0, 0
        while found < n:
            if drawn >= (max_draws if found else max_draws / 10):
                raise TrainingError(
                    f"{found} of {drawn} melodies satisfy every rule, {n} were asked for; "
                    "train the actor longer or ask for less"
                )
            z = torch.randn(max(n, 32), self.model.latent_dim, generator=generator)
            melodies = sampler.decode(self.shift(z))
            good = np.flatnonzero((rewards_of(self.rules, melodies) >= SATISFIED).all(axis=1))
            last = good[n - found - 1] + 1 if len(good) >= n - found else len(melodies)
            good = good[: n - found]
            kept.append(melodies.events[good])
            drawn, found = drawn + int(last), found + len(good)
        return Melodies(np.concatenate(kept)), drawn

    def sampler(
        self,
        seed: int,
        temperature: float | None = None,
        *,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> MelodySampler:
        """The model's decoder at a temperature, with draws of its own."""
        chosen = self.temperature if temperature is None else temperature
        seed = stream(EVENTS, seed)
        return MelodySampler(self.model, temperature=chosen, top_k=top_k, top_p=top_p, seed=seed)

    @property
    def names(self) -> list[str]:
        """Of the rules."""
        return [rule.name for rule in self.rules]

    @property
    def pitch_classes(self) -> frozenset[int] | None:
        """What all rules with a set of pitch classes agree on; None without such a rule."""
        sets = [rule.pitch_classes for rule in self.rules if rule.pitch_classes is not None]
        return frozenset.intersection(*sets) if sets else None

    @property
    def key(self) -> str | None:
        """The key signature that the rules imply, if any."""
        return next((rule.key for rule in self.rules if rule.key), None)

    def save(self, folder: Path) -> None:
        """Write an actor folder; see :func:`melodyconstraints.workflows.actor_folder.save_actor`.

        Raises:
            UsageError: the actor is one setting of knobs, or the model was never saved.
        """
        from melodyconstraints.workflows.actor_folder import save_actor

        if isinstance(self.actor, ConditionedActor):
            raise UsageError(
                "knobs at one setting are not saved; save all of them with save_knobs"
            )
        save_actor(self, folder)


def train_actor(
    model: MelodyVAE,
    rules: Iterable[str | Rule | Callable[..., Any]] = (),
    *,
    preset: str = "default",
    settings: ActorCriticSettings | None = None,
    method: str = "refined",
    weights: Sequence[float] | None = None,
    realism: Encodings | None = None,
    like: Melodies | None = None,
    unlike: Melodies | None = None,
    bank: tuple[Tensor, Melodies] | None = None,
    temperature: float = TRAINING_TEMPERATURE,
    seed: int = 0,
    callback: Callable[[RoundRecord], None] | None = None,
) -> MelodyActor:
    """Train an actor that makes a model's melodies obey rules.

    Args:
        rules: specifications such as ``cmajor`` or ``density:192``, rules, or plain functions of
            one melody.
        preset: a key of :data:`melodyconstraints.latent.settings.PRESETS`.
        settings: a recipe of one's own in place of the preset's.
        method: one of :data:`METHODS`.
        weights: of the rules, at least 0: how hard each pulls, at the actor in training and at the
            points of a search. A rule of weight 0 is learned and reported, not asked for.
        realism: encodings that the shifted points should be indistinguishable from.
        like, unlike: examples of what the melodies should be like, and of what they should not.
        bank: points of the prior and their melodies, decoded before.
        temperature: of the decoder, in the training.
        callback: called after every round.

    Raises:
        UsageError: unknown preset or method, nothing to train for, the same rule twice, or only
            one kind of examples.
        RuleError: a rule raised or gave something other than a number in [0, 1].
        TrainingError: a rule gives every melody the same reward.
    """
    if preset not in PRESETS:
        raise UsageError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    if method not in METHODS:
        raise UsageError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    recipe = settings or PRESETS[preset]
    found = find_rules(rules)
    own = tuple(weights) if weights is not None and found else (1.0,) * len(found)
    constraints: list[Constraint] = []
    if like is not None or unlike is not None:
        constraints.append(_likeness(model, like, unlike))
    if realism is not None:
        constraints.append(RealismConstraint(realism))
    of_heads = own + tuple(weight for one in constraints for weight in one.weights)
    pair = train_actor_critic(
        MelodySampler(model, temperature=temperature, seed=stream(TRAINING_EVENTS, seed)),
        found,
        recipe,
        constraints=constraints,
        weights=own,
        bank=bank,
        search=search_of(method, of_heads) if method in SEARCHES else None,
        generator=torch.Generator().manual_seed(stream(TRAINING_POINTS, seed)),
        callback=callback,
    )
    heads = [[rule.name for rule in found]] if found else []
    return MelodyActor(
        model=model,
        rules=found,
        actor=pair.actor,
        critic=pair.critic,
        heads=heads + [list(constraint.names) for constraint in constraints],
        temperature=DEFAULT_TEMPERATURE,
        settings=recipe,
        method=method,
        weights=of_heads,
        records=pair.records,
        best=pair.best,
        decoded=pair.decoded,
        interrupted=pair.interrupted,
    )


def search_of(method: str, weights: Sequence[float]) -> GradientSearch | LangevinSearch | None:
    """What a method searches with, or adds to an actor, by the weights of the critic's heads."""
    search = REFINEMENT if method == "refined" else SEARCHES.get(method)
    return None if search is None else replace(search, weights=tuple(weights))


def _likeness(
    model: MelodyVAE, like: Melodies | None, unlike: Melodies | None
) -> AttributeConstraint:
    """What tells one kind of melodies from another, from examples of both."""
    if not (like and unlike):
        raise UsageError("give melodies of both kinds, like and unlike: a critic compares them")
    posterior = encode(model, [*like, *unlike])
    labels = torch.zeros(len(like) + len(unlike), 1)
    labels[: len(like)] = 1
    return AttributeConstraint(Encodings(posterior.mean, posterior.scale, labels), [LIKE])


def generate(
    model: MelodyVAE,
    n: int,
    *,
    seed: int = 0,
    temperature: float = DEFAULT_TEMPERATURE,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Melodies:
    """Draw ``n`` melodies from a model's prior, under no rule.

    Args:
        temperature: of the decoder; 0 takes the likeliest events.
        top_k, top_p: see :class:`melodyconstraints.melody.vae.sampling.Drawing`.
    """
    seed_of_events = stream(EVENTS, seed)
    sampler = MelodySampler(
        model, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed_of_events
    )
    return sampler.decode(prior_points(model, n, seed))


def prior_points(model: MelodyVAE, n: int, seed: int) -> Tensor:
    """``(n, Z)`` points of the prior N(0, I).

    Raises:
        UsageError: n below 1.
    """
    _check_count(n)
    generator = torch.Generator().manual_seed(stream(POINTS, seed))
    return torch.randn(n, model.latent_dim, generator=generator)


def stream(purpose: str, seed: int) -> int:
    """A seed for one purpose, so that an actor is never judged on points it was trained on."""
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def rewards_of(rules: Sequence[Rule], melodies: Melodies) -> NDArray[np.float64]:
    """``(B, R)`` rewards of melodies under rules."""
    if not rules:
        return np.zeros((len(melodies), 0))
    return np.stack([rule(melodies) for rule in rules], axis=1)


def _check_count(n: int) -> None:
    if n < 1:
        raise UsageError(f"n must be at least 1, got {n}")
