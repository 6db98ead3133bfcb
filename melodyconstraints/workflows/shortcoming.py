"""What transformations of a melody lack where none satisfies every rule."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from melodyconstraints.latent.satisfaction import SATISFIED, reward_text
from melodyconstraints.rules import Rule
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.editing import outside_text
from melodyconstraints.workflows.transform import Transformation

_SCALE = "scale:"


@dataclass(frozen=True)
class Shortcoming:
    """What the best of some transformations lacks.

    Args:
        number: number of the best transformation, from 0: the one of the highest mean reward.
        rewards: rules that it does not satisfy, of those whose weight is not 0, with their
            rewards in [0, 1).
        held: a text for each rule that forbids notes of kept bars.
        of_kept_bars: whether notes of kept bars are all that is missing, so that no search would
            find more.
    """

    number: int
    rewards: tuple[tuple[Rule, float], ...]
    held: tuple[str, ...]
    of_kept_bars: bool

    @property
    def text(self) -> str:
        """The rewards, and what kept bars hold: ``cmajor 0.900; bar 4, which stays, ...``."""
        rewards = ", ".join(f"{rule.name} {reward_text(reward)}" for rule, reward in self.rewards)
        return "; ".join([rewards, *self.held])

    @property
    def key(self) -> str | None:
        """Scale that the melody may be moved into, of the first rule with a tonic; None without.

        It is a key as :func:`.transform` takes it.
        """
        specs = [rule.spec for rule, _ in self.rewards]
        return next((one.removeprefix(_SCALE) for one in specs if one.startswith(_SCALE)), None)


def shortcoming_of(
    transformed: Sequence[Transformation], actor: MelodyActor, keep_bars: Collection[int] = ()
) -> Shortcoming | None:
    """What the best of some transformations lacks; None where one satisfies every rule.

    Args:
        transformed: result of :func:`.transform`.
        actor: actor that it was made with.
        keep_bars: bars from 1 to 16 that were kept.
    """
    if any(one.satisfied for one in transformed):
        return None
    means = [float(one.after[one.active].mean()) for one in transformed]
    number = means.index(max(means))
    best = transformed[number]
    rewards = tuple(
        (rule, reward)
        for rule, reward in zip(actor.rules, best.after.tolist(), strict=True)
        if reward < SATISFIED and rule in actor.active_rules
    )
    held = [outside_text(best.melody, keep_bars, rule) for rule, _ in rewards]
    of_kept_bars = bool(keep_bars) and not best.decoded
    return Shortcoming(number, rewards, tuple(filter(None, held)), of_kept_bars)
