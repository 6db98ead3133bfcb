"""Actors for melodies: where the model, the rules and the core come together.

>>> import melodyconstraints as mc
>>> model = mc.load_model()
>>> actor = mc.train_actor(model, ["cmajor", "density:96"])     # doctest: +SKIP
>>> actor.generate(16, seed=1)[0].to_pretty_midi().write("idea.mid")     # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melodyconstraints.artifacts import load_artifact, save_artifact
from melodyconstraints.errors import ArtifactError, TrainingError, UsageError
from melodyconstraints.latent.networks import Actor, Critic
from melodyconstraints.latent.training import (
    PRESETS,
    SATISFIED,
    ActorCriticSettings,
    RoundRecord,
    train_actor_critic,
)
from melodyconstraints.melody.checkpoint import load_model
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.model import MelodyVAE
from melodyconstraints.melody.sampler import MelodySampler
from melodyconstraints.rules import Rule, find_rule, find_rules

KIND = "actor"
DEFAULT_TEMPERATURE = 0.5
POINTS, EVENTS = "points", "events"
TRAINING_POINTS, TRAINING_EVENTS = "training points", "training events"


@dataclass
class MelodyActor:
    """An actor-critic pair, the model it works on and the rules it was trained for.

    Args:
        temperature: of the decoder in the training; the default for drawing.
        settings: the recipe.
        records: one entry a round; see :class:`melodyconstraints.latent.training.RoundRecord`.
    """

    model: MelodyVAE
    rules: list[Rule]
    actor: Actor
    critic: Critic
    temperature: float
    settings: ActorCriticSettings
    records: list[RoundRecord] = field(default_factory=list)

    def shift(self, z: Tensor) -> Tensor:
        """G(z): ``(B, Z)`` to ``(B, Z)``."""
        with torch.no_grad():
            shifted: Tensor = self.actor(z)
        return shifted

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
            top_k, top_p: see :class:`melodyconstraints.melody.drawing.Drawing`.
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
            TrainingError: fewer than ``n`` among ``max_draws``.
        """
        _check_count(n)
        generator = torch.Generator().manual_seed(stream(POINTS, seed))
        sampler = self.sampler(seed, temperature, top_k=top_k, top_p=top_p)
        kept, drawn, found = [], 0, 0
        while found < n:
            if drawn >= max_draws:
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
    def pitch_classes(self) -> frozenset[int] | None:
        """What all rules with a set of pitch classes agree on; None without such a rule."""
        sets = [rule.pitch_classes for rule in self.rules if rule.pitch_classes is not None]
        return frozenset.intersection(*sets) if sets else None

    @property
    def key(self) -> str | None:
        """The key signature that the rules imply, if any."""
        return next((rule.key for rule in self.rules if rule.key), None)

    def save(self, folder: Path) -> None:
        """Write an actor folder; it names its model's folder and fingerprint.

        Raises:
            UsageError: the model was never saved.
        """
        if not self.model.folder:
            raise UsageError("the actor's model has no folder; save it first with save_model")
        tensors = {f"actor.{name}": value for name, value in self.actor.state_dict().items()}
        tensors |= {f"critic.{name}": value for name, value in self.critic.state_dict().items()}
        config = {
            "model": {"folder": self.model.folder, "fingerprint": self.model.fingerprint},
            "rules": [{"name": rule.name, "spec": rule.spec} for rule in self.rules],
            "temperature": self.temperature,
            "settings": asdict(self.settings),
            "records": [asdict(record) for record in self.records],
        }
        save_artifact(folder, KIND, config, tensors, self._card())

    def _card(self) -> str:
        names = "\n".join(f"- `{rule.name}`: {rule.description}" for rule in self.rules)
        return (
            f"# Actor\n\nShifts latent points of the melody model `{self.model.fingerprint[:12]}` "
            f"to melodies that satisfy\n\n{names}\n\nTrained in {len(self.records)} rounds at "
            f"temperature {self.temperature}. Measure it with `mc evaluate --actor DIR`.\n"
        )


def train_actor(
    model: MelodyVAE,
    rules: Iterable[str | Rule | Callable[..., Any]],
    *,
    preset: str = "default",
    settings: ActorCriticSettings | None = None,
    temperature: float = DEFAULT_TEMPERATURE,
    seed: int = 0,
    callback: Callable[[RoundRecord], None] | None = None,
) -> MelodyActor:
    """Train an actor that makes a model's melodies obey rules.

    Args:
        rules: specifications such as ``cmajor`` or ``density:192``, rules, or plain functions of
            one melody.
        preset: a key of :data:`melodyconstraints.latent.training.PRESETS`.
        settings: a recipe of one's own in place of the preset's.
        temperature: of the decoder.
        callback: called after every round.

    Raises:
        UsageError: unknown preset, no rule, or the same rule twice.
        RuleError: a rule raised or gave something other than a number in [0, 1].
        TrainingError: a rule gives every melody the same reward.
    """
    if preset not in PRESETS:
        raise UsageError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    recipe = settings or PRESETS[preset]
    found = find_rules(rules)
    generator = torch.Generator().manual_seed(stream(TRAINING_POINTS, seed))
    sampler = MelodySampler(model, temperature=temperature, seed=stream(TRAINING_EVENTS, seed))
    pair = train_actor_critic(sampler, found, recipe, generator=generator, callback=callback)
    return MelodyActor(model, found, pair.actor, pair.critic, temperature, recipe, pair.records)


def load_actor(
    folder: Path | str,
    *,
    model: MelodyVAE | None = None,
    rules: Sequence[str | Rule] | None = None,
) -> MelodyActor:
    """Read an actor folder, and the model and the rules that it names.

    Args:
        model: in place of the one that it names; must be the same weights.
        rules: in place of those that it names, for instance functions that have no file.

    Raises:
        ArtifactError: damaged or foreign, or trained on another model.
        RuleNotFoundError: a rule that it names is not there any more.
        UsageError: another number of ``rules`` than it was trained for.
    """
    folder = Path(folder)
    artifact = load_artifact(folder, KIND)
    try:
        config = artifact.config
        place, wanted = config["model"]["folder"], config["model"]["fingerprint"]
        settings = ActorCriticSettings(**_tuples(config["settings"]))
        records = [RoundRecord(**record) for record in config["records"]]
        temperature = float(config["temperature"])
        saved = [(str(entry["name"]), str(entry["spec"])) for entry in config["rules"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{folder} does not fit this version: {error}") from error
    model = model or load_model(place)
    if model.fingerprint != wanted:
        raise ArtifactError(
            f"{folder} was trained on the model {wanted[:12]}, found {model.fingerprint[:12]}; "
            "train it again with: mc train-actor"
        )
    found = find_rules(rules or ())
    if rules is not None and len(found) != len(saved):
        raise UsageError(f"{folder} was trained for {len(saved)} rules, got {len(found)}")
    if rules is None:
        found = [replace(find_rule(spec), name=name) for name, spec in saved]
    actor = Actor(model.latent_dim, settings.actor_hidden)
    critic = Critic(model.latent_dim, len(saved), settings.critic_hidden)
    for name, network in (("actor.", actor), ("critic.", critic)):
        own = {k.removeprefix(name): v for k, v in artifact.tensors.items() if k.startswith(name)}
        try:
            network.load_state_dict(own)
        except RuntimeError as error:
            raise ArtifactError(f"{folder} does not fit this version: {error}") from error
    return MelodyActor(model, found, actor.eval(), critic.eval(), temperature, settings, records)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}


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
        top_k, top_p: see :class:`melodyconstraints.melody.drawing.Drawing`.
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
