"""An actor-critic pair, and the folder that it is kept in.

A domain's actor is such a pair with a model and the names of what it was trained for. On disk it
is an artifact (:mod:`melodyconstraints.storage.artifacts`), whose configuration holds

============  =========================================================================
``model``     folder and fingerprint of the model that it was trained on
``method``    how points are moved, a word of the domain's
``heads``     names of each critic's heads
``weights``   of all heads, in the actor's loss and in searches
``settings``  see :class:`~melodyconstraints.latent.settings.ActorCriticSettings`
``records``   rounds of the training, at most some hundreds of them
============  =========================================================================

and whatever the domain adds. The networks are rebuilt from the shapes of their tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, cast

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.latent.networks import (
    Actor,
    ConditionedActor,
    Critic,
    Critics,
    actor_from,
    critics_from,
    with_prefix,
)
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.storage.artifacts import fits_this_version, load_artifact, save_artifact

_ACTOR, _CRITIC = "actor.", "critic."
_MOST_RECORDS = 500
"""Rounds kept on disk at most: enough for a curve, few enough for a small file."""


@dataclass
class RoundRecord:
    """What one round of a training saw: the points of the paper's Figure 11.

    Where a constraint's reward cannot be measured, the critic's value stands for it, and
    *predicted satisfied* for satisfied.
    """

    round: int
    critic_loss: float
    actor_loss: float
    distance: float
    rewards: list[float]
    satisfied: list[float]
    all_satisfied: float


@dataclass(kw_only=True)
class ActorCritic:
    """Networks, the method by which they move points, and the training they come from.

    Args:
        actor: None where a search moves the points.
        critic: one for each constraint, with a head for each of its names.
        heads: names of each critic's heads.
        settings: of the training.
        method: how points are moved: ``actor`` for the network alone, or a word of the domain's.
        weights: of all heads, in the critics' order; ones if empty.
        records: one entry a round.
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


AnyModel = TypeVar("AnyModel", bound=ModelOnDisk)


@dataclass(frozen=True)
class SavedPair:
    """A pair that was read from a folder.

    Args:
        pair: the pair, as keywords of :class:`ActorCritic`.
        model_folder, fingerprint: of the model that it was trained on.
        config: all of the folder's configuration, with what the domain added.
        remedy: what the user can do about another model's pair.
    """

    folder: Path
    pair: dict[str, Any]
    model_folder: str
    fingerprint: str
    config: dict[str, Any]
    remedy: str

    def model(self, given: AnyModel | None, load: Callable[[str], AnyModel]) -> AnyModel:
        """The model of the pair.

        Args:
            given: in place of the one that the pair names.
            load: reads a model's folder.

        Raises:
            ArtifactError: the model is not where it was, or another one is given.
        """
        try:
            model = load(self.model_folder) if given is None else given
        except ArtifactError as error:
            raise ArtifactError(
                f"{error}; it is the model of {self.folder}: where it has moved, give its folder "
                "with --model (in Python model=)"
            ) from error
        self.check_model(model)
        return model

    def check_model(self, model: ModelOnDisk) -> None:
        """See :func:`check_fingerprint`."""
        check_fingerprint(self.folder, self.fingerprint, model, self.remedy)


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
        config: what the domain adds, JSON values.
        card: Markdown.
        half: tensors in half precision.

    Raises:
        UsageError: the model was never saved.
    """
    networks = [(_CRITIC, pair.critic)] + ([] if pair.actor is None else [(_ACTOR, pair.actor)])
    tensors = {
        prefix + name: tensor.half() if half else tensor
        for prefix, network in networks
        for name, tensor in network.state_dict().items()
    }
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
    methods: Mapping[str, bool],
    remedy: str,
    older: Mapping[str, Any] = MappingProxyType({}),
) -> SavedPair:
    """Read a pair's folder.

    Args:
        methods: those that the domain knows, and whether an actor moves the points.
        remedy: what the user can do about a folder of another version or model.
        older: what stands for entries that folders of older versions lack.

    Raises:
        ArtifactError: missing, damaged, foreign, or of another version.
    """
    folder = Path(folder)
    artifact = load_artifact(folder, kind)
    config = artifact.config
    with fits_this_version(folder, f"; {remedy}"):
        pair = _pair({**older, **config}, methods)
        model_folder, fingerprint = reference_of(config)
        own = with_prefix(artifact.tensors, _ACTOR)
        pair["actor"] = actor_from(own) if own else None
        pair["critic"] = critics_from(with_prefix(artifact.tensors, _CRITIC))
        _check_networks(ActorCritic(**pair), has_actor=methods[pair["method"]])
    return SavedPair(folder, pair, model_folder, fingerprint, config, remedy)


def _pair(config: Mapping[str, Any], methods: Container[str]) -> dict[str, Any]:
    """Keywords of a pair but for its networks."""
    method = str(config["method"])
    heads = tuple(tuple(str(name) for name in names) for names in config["heads"])
    weights = tuple(float(weight) for weight in config.get("weights", ()))
    if method not in methods:
        raise ValueError(f"unknown method {method!r}")
    if weights and len(weights) != sum(map(len, heads)):
        raise ValueError(f"{len(weights)} weights for {sum(map(len, heads))} heads")
    return {
        "settings": ActorCriticSettings.from_json(config["settings"]),
        "heads": heads,
        "method": method,
        "weights": weights,
        "records": [RoundRecord(**record) for record in config["records"]],
        "best": float(config["best"]),
        "decoded": int(config["decoded"]),
        "interrupted": bool(config["interrupted"]),
    }


def _check_networks(pair: ActorCritic, *, has_actor: bool) -> None:
    """Make sure that the networks are those that the configuration tells of."""
    if (pair.actor is not None) != has_actor:
        raise ValueError(f"the networks are not those of the method {pair.method}")
    critics = cast("list[Critic]", list(pair.critic.critics))
    sizes = [(critic.hidden, pair.settings.critic_hidden) for critic in critics]
    if isinstance(pair.actor, Actor):
        sizes.append((pair.actor.hidden, pair.settings.actor_hidden))
    for found, told in sizes:
        if found != told:
            raise ValueError(f"a network has layers of {found} units, its settings say {told}")
    heads = tuple(critic.heads for critic in critics)
    if pair.heads and heads != tuple(map(len, pair.heads)):
        raise ValueError(f"critics of {heads} heads for names {pair.heads}")


def model_reference(model: ModelOnDisk, what: str) -> dict[str, str]:
    """What a folder says of the model that its contents belong to.

    Raises:
        UsageError: the model was never saved.
    """
    if not model.folder:
        raise UsageError(f"the {what}'s model has no folder; save it first with save_model")
    return {"folder": model.folder, "fingerprint": model.fingerprint}


def reference_of(config: Mapping[str, Any]) -> tuple[str, str]:
    """Folder and fingerprint of the model that a folder names; see :func:`model_reference`."""
    return str(config["model"]["folder"]), str(config["model"]["fingerprint"])


def check_fingerprint(folder: Path, wanted: str, model: ModelOnDisk, remedy: str) -> None:
    """Make sure that a folder's contents belong to a model.

    Args:
        wanted: fingerprint of the model that it was trained on.
        remedy: what the user can do if it does not.

    Raises:
        ArtifactError: it belongs to another one.
    """
    if model.fingerprint != wanted:
        raise ArtifactError(
            f"{folder} was trained on the model {wanted[:12]}, found {model.fingerprint[:12]}; "
            f"{remedy}"
        )
