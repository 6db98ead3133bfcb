"""An actor-critic pair, and the folder that it is kept in.

A domain's actor is such a pair with a model and the names of what it was trained for. On disk it
is an artifact (:mod:`melodyconstraints.storage.artifacts`), whose configuration holds

============  =========================================================================
``model``     folder and fingerprint of the model that it was trained on
``method``    word of the domain's for how points are moved
``heads``     names of each critic's heads
``weights``   weights of all heads, in the actor's loss and in searches
``settings``  see :class:`~melodyconstraints.latent.settings.ActorCriticSettings`
``records``   rounds of the training, at most some hundreds of them
============  =========================================================================

and whatever the domain adds; see :class:`PairConfig`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import AllowInfNan
from torch import nn

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.latent.networks import (
    Actor,
    ConditionedActor,
    Critics,
    build_networks,
)
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.storage.artifacts import (
    Artifact,
    artifact_size,
    halved,
    load_artifact,
    save_artifact,
)
from melodyconstraints.storage.hub import on_disk
from melodyconstraints.storage.schema import Count, Weight

_MOST_RECORDS = 500
"""Rounds kept on disk at most: enough for a curve, few enough for a small file."""
CURVES = "training-curves.png"
"""Name of the picture of the training in an actor's folder."""

Measured = Annotated[float, AllowInfNan(True)]
"""A number that was measured, or NaN where nothing was."""


@dataclass
class RoundRecord:
    """Record of one round of a training: the points of the paper's Figure 11.

    Where a constraint's reward cannot be measured, the critic's value stands for it, and
    *predicted satisfied* for satisfied.
    """

    round: Count
    critic_loss: Measured
    actor_loss: Measured
    distance: Measured
    rewards: list[Measured]
    satisfied: list[Measured]
    all_satisfied: Measured


@dataclass(kw_only=True)
class ActorCritic:
    """Networks, the method by which they move points, and the training they come from.

    Args:
        actor: network that moves points; None where a search moves them.
        critic: critics, one for each constraint, with a head for each of its names.
        heads: names of each critic's heads.
        settings: settings of the training.
        method: ``actor`` if the network alone moves points, or another word of the domain's.
        weights: weights of all heads, in the critics' order; ones if empty.
        records: record of each round.
        best: share of the validation points that satisfy every constraint; NaN without any.
        decoded: samples decoded in the training, the bank included.
        interrupted: whether the training was stopped by hand before its last round.
    """

    actor: Actor | ConditionedActor | None
    critic: Critics
    settings: ActorCriticSettings
    heads: tuple[tuple[str, ...], ...] = ()
    method: str = "actor"
    weights: tuple[float, ...] = ()
    records: list[RoundRecord] = field(default_factory=list)
    best: float = float("nan")
    decoded: int = 0
    interrupted: bool = False

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of all heads, critic by critic."""
        return tuple(name for names in self.heads for name in names)

    def require_actor(self) -> Actor | ConditionedActor:
        """The actor.

        Raises:
            UsageError: a search took its place.
        """
        if self.actor is None:
            raise UsageError("this pair has no actor; it was trained for a search")
        return self.actor


class ModelOnDisk(Protocol):
    """A model that was saved, or not yet: then both are empty."""

    folder: str
    fingerprint: str

    @property
    def latent_dim(self) -> int:
        """Z, dimensions of a latent point."""
        ...


@dataclass(frozen=True)
class ModelReference:
    """Reference of a folder to the model that its contents belong to."""

    folder: str
    fingerprint: str

    def __post_init__(self) -> None:
        if not f"{self.folder}{self.fingerprint}".isprintable():
            raise ValueError("its names have characters that cannot be shown")


@dataclass(kw_only=True)
class PairConfig:
    """The configuration of a pair's folder, for domains to add to; see the module's table."""

    model: ModelReference
    heads: tuple[tuple[str, ...], ...]
    method: str
    weights: tuple[Weight, ...] = ()
    settings: ActorCriticSettings
    records: list[RoundRecord]
    best: Measured
    decoded: Count
    interrupted: bool

    def __post_init__(self) -> None:
        count = sum(map(len, self.heads))
        if self.weights and self.heads and len(self.weights) != count:
            raise ValueError(f"{len(self.weights)} weights for {count} heads")

    @property
    def head_sizes(self) -> list[int]:
        """R, number of heads, of each critic."""
        return [len(names) for names in self.heads]

    @property
    def has_actor(self) -> bool:
        """Whether an actor moves the points, and no search in its place."""
        return True

    @property
    def condition_dim(self) -> int:
        """Y of actor and critics; 0 without a condition."""
        return 0


AnyModel = TypeVar("AnyModel", bound=ModelOnDisk)
Config = TypeVar("Config", bound=PairConfig)


def save_pair(
    pair: ActorCritic,
    folder: Path,
    kind: str,
    model: ModelOnDisk,
    *,
    config: Mapping[str, Any],
    card: str,
    half: bool = False,
) -> None:
    """Write a pair's folder; it names its model's folder and fingerprint.

    Args:
        kind: what the folder is, see :func:`~melodyconstraints.storage.artifacts.save_artifact`.
        config: the domain's own values, for JSON.
        card: model card, Markdown.
        half: whether tensors are in half precision.

    Raises:
        UsageError: the model was never saved.
    """
    networks = nn.ModuleDict({"critic": pair.critic})
    if pair.actor is not None:
        networks["actor"] = pair.actor
    tensors = halved(networks) if half else networks.state_dict()
    stride = max(-(-len(pair.records) // _MOST_RECORDS), 1)
    whole = {
        "model": model_reference(model, "actor"),
        **config,
        "heads": pair.heads,
        "method": pair.method,
        "weights": pair.weights,
        "settings": asdict(pair.settings),
        "records": [asdict(record) for record in pair.records[::stride]],
        "best": pair.best,
        "decoded": pair.decoded,
        "interrupted": pair.interrupted,
    }
    save_artifact(folder, kind, whole, tensors, card)


def load_pair(
    folder: Path | str,
    kind: str,
    schema: type[Config],
    remedy: str,
    given: AnyModel | None,
    load: Callable[[str], AnyModel],
) -> tuple[Config, dict[str, Any]]:
    """Read a pair's folder and its model.

    Args:
        schema: the domain's configuration.
        remedy: advice to the user about a folder of another version or model.
        given, load: see :func:`find_model`.

    Returns:
        The configuration, and keywords of :class:`ActorCritic`, with the model.

    Raises:
        ArtifactError: missing, damaged, foreign, of another version or another model.
    """
    artifact = load_artifact(on_disk(folder), kind, schema, remedy)
    config = artifact.config
    model = find_model(artifact, config.model, given, load)

    def build() -> nn.ModuleDict:
        return _networks(
            model.latent_dim,
            config.settings,
            config.head_sizes,
            condition_dim=config.condition_dim,
            has_actor=config.has_actor,
        )

    shared = {one.name: getattr(config, one.name) for one in fields(PairConfig)}
    return config, shared | {"actor": None} | dict(artifact.fill(build).items()) | {"model": model}


def _networks(
    latent_dim: int,
    settings: ActorCriticSettings,
    head_sizes: Sequence[int],
    *,
    condition_dim: int = 0,
    has_actor: bool = True,
) -> nn.ModuleDict:
    """The networks in a pair's folder, as before a training."""
    dims = [condition_dim] * len(head_sizes)
    actor, critic = build_networks(latent_dim, settings, head_sizes, dims, condition_dim)
    return nn.ModuleDict({"critic": critic} | ({"actor": actor} if has_actor else {}))


def size_on_disk(
    latent_dim: int,
    settings: ActorCriticSettings,
    head_sizes: Sequence[int],
    *,
    half: bool = False,
    **options: Any,
) -> int:
    """Bytes that a pair's folder takes, at most; nothing is built in memory.

    Args:
        latent_dim: Z.
        head_sizes: R of each critic.
        half: whether it is saved in half precision.
        options: ``condition_dim`` (Y of actor and critics) and ``has_actor``, as of a
            :class:`PairConfig`.
    """
    return artifact_size(lambda: _networks(latent_dim, settings, head_sizes, **options), half=half)


def model_reference(model: ModelOnDisk, what: str) -> dict[str, str]:
    """Reference of a folder to the model that its contents belong to.

    Raises:
        UsageError: the model was never saved.
    """
    if not model.folder:
        raise UsageError(f"the {what}'s model has no folder; save it first with save_model")
    return {"folder": model.folder, "fingerprint": model.fingerprint}


def find_model(
    artifact: Artifact[Any],
    reference: ModelReference,
    given: AnyModel | None,
    load: Callable[[str], AnyModel],
) -> AnyModel:
    """The model that a folder's contents belong to.

    Args:
        given: model in place of the one that the folder names.
        load: function that reads a model's folder.

    Raises:
        ArtifactError: the model is not where it was, or they belong to another one.
    """
    try:
        model = load(reference.folder) if given is None else given
    except ArtifactError as error:
        raise ArtifactError(
            f"{error}; it is the model of {artifact.folder}: where it has moved, give its folder "
            "with --model (in Python model=)"
        ) from error
    if model.fingerprint != reference.fingerprint:
        raise ArtifactError(
            f"{artifact.folder} was trained on the model {reference.fingerprint[:12]}, "
            f"found {model.fingerprint[:12]}; {artifact.remedy}"
        )
    return model
