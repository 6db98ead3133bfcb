"""The configuration of an actor's folder, and the searches by which its methods move points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from melodyconstraints.latent.pair import PairConfig
from melodyconstraints.latent.search import GradientSearch, LangevinSearch
from melodyconstraints.melody.form import AUTO
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.attributes import NAMES
from melodyconstraints.storage.schema import Weight

REFINEMENT = GradientSearch(steps=30, learning_rate=0.02, thresholds=0.995, shell_weight=1.0)
"""Search that refines an actor: some steps up the critic, for the points that need them."""
SEARCHES: dict[str, GradientSearch | LangevinSearch] = {
    "gradient": GradientSearch(thresholds=0.97, shell_weight=1.0),
    "langevin": LangevinSearch(steps=200, step_size=1.0, noise=6e-3, prior_weight=3e-3),
}
"""Searches in an actor's place: each point is moved by itself, in training too. The noise of the
Langevin steps is 2 * step_size * prior_weight: without a critic they would walk through the prior.
"""
Method = Literal["refined", "actor", "gradient", "langevin"]
METHODS = get_args(Method)
"""Methods that move points: a network that has learned it, with or without a few steps of search
after it, or a search alone."""


@dataclass(frozen=True)
class RuleReference:
    """Reference of a folder to a rule."""

    name: str
    spec: str


@dataclass(kw_only=True)
class ActorConfig(PairConfig):
    """The configuration of an actor's folder; the defaults stand for what older ones lack."""

    method: Method
    rules: list[RuleReference]
    temperature: Weight
    form: str = AUTO
    scale: tuple[int, ...] = ()
    has_tonic: bool = True
    rhythm: str = ""
    transposes: bool = False
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    examples: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        super().__post_init__()
        Sampling(self.temperature, form=self.form, scale=self.scale, rhythm=self.rhythm)
        count = sum(map(len, self.heads))
        if len(self.rules) > count or any(len(r.rewards) != count for r in self.records):
            raise ValueError(f"{count} heads do not fit its rules or records")
        unknown = set(self.ranges).difference(NAMES)
        if unknown or any(low > high for low, high in self.ranges.values()):
            raise ValueError(f"ranges of no attributes, or of none of their values: {self.ranges}")

    @property
    def has_actor(self) -> bool:  # noqa: D102 (as of the base)
        return self.method not in SEARCHES


def search_of(
    method: str, weights: Sequence[float], *, plain: bool = False
) -> GradientSearch | LangevinSearch | None:
    """The search of a method, or the one after its actor, with weights of the critic's heads.

    Args:
        plain: see :class:`melodyconstraints.latent.settings.ActorCriticSettings`.
    """
    search = REFINEMENT if method == "refined" else SEARCHES.get(method)
    if plain and method == "gradient":
        search = GradientSearch()
    return None if search is None else replace(search, weights=tuple(weights))
