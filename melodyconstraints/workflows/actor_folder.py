"""Actors on disk: a folder that names its model and its rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from torch import Tensor, nn

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.latent.networks import Actor, Critic, Critics
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.latent.training import RoundRecord
from melodyconstraints.melody.vae.checkpoint import load_model
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.rules import Rule, find_rule, find_rules
from melodyconstraints.storage.artifacts import load_artifact, save_artifact
from melodyconstraints.workflows.actor import METHODS, SEARCHES, MelodyActor

KIND = "actor"
ACTOR, CRITIC = "actor.", "critic."


def save_actor(actor: MelodyActor, folder: Path) -> None:
    """Write an actor folder; it names its model's folder and fingerprint.

    Raises:
        UsageError: the model was never saved.
    """
    model = actor.model
    if not model.folder:
        raise UsageError("the actor's model has no folder; save it first with save_model")
    tensors = {CRITIC + name: value for name, value in actor.critic.state_dict().items()}
    if actor.actor is not None:
        tensors |= {ACTOR + name: value for name, value in actor.actor.state_dict().items()}
    config = {
        "model": {"folder": model.folder, "fingerprint": model.fingerprint},
        "rules": [{"name": rule.name, "spec": rule.spec} for rule in actor.rules],
        "heads": actor.heads,
        "method": actor.method,
        "weights": list(actor.weights),
        "temperature": actor.temperature,
        "settings": asdict(actor.settings),
        "records": [asdict(record) for record in actor.records],
        "best": actor.best,
        "decoded": actor.decoded,
        "interrupted": actor.interrupted,
    }
    save_artifact(folder, KIND, config, tensors, _card(actor))


def _card(actor: MelodyActor) -> str:
    names = "\n".join(f"- `{rule.name}`: {rule.description}" for rule in actor.rules)
    learned = [head for heads in actor.heads[bool(actor.rules) :] for head in heads]
    names += "".join(f"\n- {name}, as a critic has learned it" for name in learned)
    return (
        f"# Actor\n\nShifts latent points of the melody model `{actor.model.fingerprint[:12]}` "
        f"to melodies that satisfy\n\n{names}\n\nTrained in {len(actor.records)} rounds, "
        f"{actor.decoded} melodies decoded. Measure it with `mc evaluate --actor DIR`.\n"
    )


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
        settings = ActorCriticSettings.from_json(config["settings"])
        records = [RoundRecord(**record) for record in config["records"]]
        saved = [(str(entry["name"]), str(entry["spec"])) for entry in config["rules"]]
        heads = [[str(name) for name in names] for names in config["heads"]]
        method = str(config["method"])
        weights = tuple(float(weight) for weight in config.get("weights", ()))  # once without
        plain = {key: config[key] for key in ("temperature", "best", "decoded", "interrupted")}
        if method not in METHODS:
            raise ValueError(f"unknown method {method!r}")
        if weights and len(weights) != sum(map(len, heads)):
            raise ValueError(f"{len(weights)} weights for {sum(map(len, heads))} heads")
    except (KeyError, TypeError, ValueError, UsageError) as error:
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
    dim = model.latent_dim
    critic = Critics([Critic(dim, len(names), settings.critic_hidden) for names in heads])
    actor = Actor(dim, settings.actor_hidden) if method not in SEARCHES else None
    _fill(critic, artifact.tensors, CRITIC, folder)
    if actor is not None:
        _fill(actor, artifact.tensors, ACTOR, folder)
    return MelodyActor(
        model,
        found,
        actor,
        critic,
        heads,
        settings=settings,
        method=method,
        weights=weights,
        records=records,
        **plain,
    )


def _fill(network: nn.Module, tensors: dict[str, Tensor], prefix: str, folder: Path) -> None:
    own = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise ArtifactError(f"{folder} does not fit this version: {error}") from error
    network.eval()
