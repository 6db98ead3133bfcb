"""An actor for melodies: a pair, the model it works on and the rules it was trained for.

>>> import melodyconstraints as mc
>>> actor = mc.load_actor("actors/mine")     # doctest: +SKIP
>>> actor.generate(16, seed=1)[0].to_pretty_midi().write("idea.mid")     # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melodyconstraints.errors import RuleNotFoundError, UsageError
from melodyconstraints.latent.networks import ConditionedActor
from melodyconstraints.latent.pair import ActorCritic, save_pair
from melodyconstraints.latent.satisfaction import reward_text
from melodyconstraints.melody.events import Events, Melodies
from melodyconstraints.melody.form import AUTO
from melodyconstraints.melody.metrics.typical import typicality
from melodyconstraints.melody.vae.model import DECODE_BATCH, MelodyVAE
from melodyconstraints.melody.vae.sampler import (
    MelodySampler,
    SamplingInterrupted,
    TooFewError,
    kept_on_interrupt,
)
from melodyconstraints.melody.vae.sampling import (
    DEFAULT_TEMPERATURE,
    DrawingOptions,
    Sampling,
    SamplingOptions,
)
from melodyconstraints.rules import Rule
from melodyconstraints.rules.definition import MissingRule
from melodyconstraints.rules.implied import (
    allowed_pitch_classes,
    implied_chords,
    implied_key,
    implied_tonic,
)
from melodyconstraints.rules.rewards import satisfies_all
from melodyconstraints.storage.arguments import checked
from melodyconstraints.workflows.actor_config import SEARCHES, search_of
from melodyconstraints.workflows.keys import transposing
from melodyconstraints.workflows.seeds import (
    POINTS,
    check_count,
    derived_generator,
    next_points,
    prior_points,
    prior_sampler,
)
from melodyconstraints.workflows.typical_reward import TYPICALITY
from melodyconstraints.workflows.written import both, chord_writing

Preference = Callable[[Melodies], NDArray[np.float64]]
"""Function from ``B`` melodies to ``(B,)`` numbers, higher for those that are preferred."""
KIND = "actor"
SEARCH = "search"
"""Purpose of the noise of a search."""
MOST_DRAWS = 50_000
"""Most melodies drawn for those that satisfy every rule, where no other number is given."""
HOPELESS_SHARE = 0.1
"""Share of the most draws after which an actor or a search without success gives up."""
_FEWEST_DRAWN = 32
"""Fewest melodies drawn at a time while satisfying ones are looked for."""
_EXTRA_SHARE = 0.5
"""Most further draws for preferred melodies, for each draw until enough satisfy every rule."""


@dataclass(kw_only=True, repr=False)
class MelodyActor(ActorCritic):
    """An actor-critic pair with its model and its rules; see also :class:`.ActorCritic`.

    Args:
        model: the melody model.
        rules: rules of the critic's first heads; beside them it may have learned what is typical,
            see :attr:`rewards`.
        temperature, form, scale, rhythm: defaults for sampling; it was trained in this form and
            this rhythm, and in this scale unless that is a set beside other rules.
        method: one of :data:`.actor_config.METHODS`.
        transposes: whether each melody is taken in the key that the rules reward most, which it
            was in training too; in a scale none is.
        ranges: ranges of attributes that points are moved to before the network or the search,
            as they were in training; see :meth:`.MelodyVAE.moved_to`.
        examples: digests of the melodies that it learned likeness from; see :mod:`.examples`.
        prefers: function from melodies to ``(B,)`` numbers: from 1 on they are preferred among
            melodies that satisfy every rule, and higher numbers first; None for no preference.
        callback: called, while melodies are drawn, with how many there are by then, and with how
            many were drawn for them; where satisfying ones are looked for, these are counted.
    """

    model: MelodyVAE
    rules: list[Rule]
    temperature: float = DEFAULT_TEMPERATURE
    form: str = AUTO
    scale: tuple[int, ...] | frozenset[int] = ()
    rhythm: str = ""
    transposes: bool = False
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    examples: frozenset[str] = frozenset()
    prefers: Preference | None = typicality
    callback: Callable[[int, int], object] | None = None

    def __repr__(self) -> str:
        names = ", ".join([*(rule.name for rule in self.rewards), *self.learned]) or "no rule"
        return f"MelodyActor({names}; {self.method}, model {self.model.fingerprint[:12]})"

    def shift(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Move ``(B, Z)`` points to where the critic predicts every head satisfied.

        First of all to where attributes lie in their :attr:`ranges`, from where it has learned on.

        Args:
            generator: source of a Langevin search's noise; that of seed 0 if not given.
        """
        search = search_of(self.method, self.weights, plain=self.settings.plain)
        if self.ranges:
            z = self.model.moved_to(z, self.ranges)
        if self.method not in SEARCHES:
            with torch.no_grad():
                z = self.require_actor()(z)
        if search is None:
            return z
        generator = generator or derived_generator(SEARCH, 0)
        return search(self.critic, z, sigma_bar=self.model.sigma_bar, generator=generator)

    @checked
    def generate(self, n: int, **options: Unpack[SamplingOptions]) -> Melodies:
        """Draw ``n`` melodies: prior points, shifted, decoded.

        Args:
            options: see :class:`melodyconstraints.melody.vae.sampling.Sampling`.

        Raises:
            UsageError: n below 1, or an option outside its range.
        """
        sampling = self.sampling(options)
        z = prior_points(self.model, n, sampling.seed)
        return self.draw_from(z, sampling, derived_generator(SEARCH, sampling.seed))[1]

    def draw_from(
        self,
        z: Tensor,
        sampling: Sampling,
        generator: torch.Generator,
        finish: Callable[[Melodies], Melodies] | None = None,
    ) -> tuple[Tensor, Melodies]:
        """Move ``(B, Z)`` points and decode them.

        Args:
            generator: source of a search's noise.
            finish: function that changes what is decoded, such as bars that are kept.

        Returns:
            The moved points and their melodies, in the best key if the actor transposes.
        """
        shifted = self.shift(z, generator)
        callback = self.callback
        tell = (lambda count: callback(count, count)) if callback else None
        return shifted, self.sampler(sampling, finish).decode(shifted, tell)

    @checked
    def generate_satisfying(
        self, n: int, *, max_draws: int = MOST_DRAWS, **options: Unpack[SamplingOptions]
    ) -> tuple[Melodies, int]:
        """Draw until ``n`` melodies satisfy every rule whose weight is not 0.

        Those that are preferred come before others: where there are too few of them, half as many
        melodies are drawn again, at most.

        Args:
            options: see :class:`melodyconstraints.melody.vae.sampling.Sampling`.

        Returns:
            The melodies and how many were drawn for them.

        Raises:
            TooFewError: fewer than ``n`` among ``max_draws``, or none among the first tenth.
            SamplingInterrupted: Ctrl-C, with the melodies by then that satisfy every rule.
        """
        check_count(n)
        self.require_rules(self.active_rules)
        drawn, enough = 0, max_draws
        events: list[Events] = []
        places, preferred = np.zeros(0, np.int64), np.zeros(0, bool)
        with kept_on_interrupt(events):
            size = min(max(n, _FEWEST_DRAWN), DECODE_BATCH)
            for melodies in self._batches(size, self.sampling(options)):
                rows = np.flatnonzero(satisfies_all(self.active_rules, melodies))
                places, drawn = np.append(places, drawn + rows), drawn + len(melodies)
                preferred = np.append(preferred, self._is_preferred(melodies[rows]))
                events.append(melodies.events[rows])
                if self.callback:
                    self.callback(len(places), drawn)
                if len(places) >= n:
                    enough = min(max_draws, int((1 + _EXTRA_SHARE) * (places[n - 1] + 1)))
                if preferred.sum() >= n or (len(places) >= n and drawn >= enough):
                    break
                if drawn >= (max_draws if len(places) else max_draws * HOPELESS_SHARE):
                    raise TooFewError(
                        f"{len(places)} of {drawn} melodies satisfy every rule, {n} were wanted; "
                        "train the actor longer or ask for less",
                        Melodies(np.concatenate(events)),
                        drawn,
                    )
        chosen = np.argsort(~preferred, stable=True)[:n]
        last = places[chosen[-1]] + 1 if preferred[chosen].all() else drawn
        return Melodies(np.concatenate(events)[np.sort(chosen)]), int(last)

    def _batches(self, size: int, sampling: Sampling) -> Iterator[Melodies]:
        """Melodies of the prior's next points, so many at a time, without an end.

        Of a batch that Ctrl-C ends, those drawn by then come first.
        """
        noise = derived_generator(SEARCH, sampling.seed)
        generator, sampler = derived_generator(POINTS, sampling.seed), self.sampler(sampling)
        while True:
            z = next_points(self.model, size, generator)
            try:
                melodies = sampler.decode(self.shift(z, noise))
            except SamplingInterrupted as stop:
                if len(stop.melodies):
                    yield stop.melodies
                raise
            yield melodies

    def _is_preferred(self, melodies: Melodies) -> NDArray[np.bool_]:
        """``(B,)`` whether melodies are preferred; all where there is no preference."""
        if self.prefers is None or not self.active_rules:
            return np.ones(len(melodies), bool)
        return self.prefers(melodies) >= 1

    def sampling(self, options: DrawingOptions) -> Sampling:
        """Sampling by options; the actor's own where none are given."""
        names = ("temperature", "form", "scale", "rhythm")
        return Sampling.of(options, **{name: getattr(self, name) for name in names})

    def sampler(
        self, sampling: Sampling, finish: Callable[[Melodies], Melodies] | None = None
    ) -> MelodySampler:
        """The model's decoder, with draws of its own.

        Args:
            finish: function that changes what is decoded; in each key, if the actor transposes.
        """
        if self.transposes and not sampling.scale:
            weights = self.weights[: len(self.rules)]
            finish = transposing(self.rules, weights, finish, self.writing)
        else:
            finish = both(self.writing, finish)
        return prior_sampler(self.model, sampling, finish)

    @property
    def writing(self) -> Callable[..., Melodies] | None:
        """Function that writes melodies on the chords of the rules; see :mod:`.written`.

        None without such a rule, for a model that writes nothing that is asked for, and for an
        actor of the paper's recipe.
        """
        return None if self.settings.plain else chord_writing(self.model, self.active_rules)

    def write(self, melodies: Melodies, stay: Collection[int] = ()) -> Melodies:
        """The melodies on the chords of the rules; as they are where :attr:`writing` is None.

        Args:
            stay: bars from 1 to 16 whose notes do not move.
        """
        writing = self.writing
        return writing(melodies, stay=stay) if writing else melodies

    @property
    def names(self) -> list[str]:
        """Names of the rules."""
        return [rule.name for rule in self.rules]

    @property
    def is_active(self) -> NDArray[np.bool_]:
        """``(R,)`` whether a rule has a weight other than 0; others are measured only."""
        return np.array(self.weights[: len(self.rules)] or (1.0,) * len(self.rules)) > 0

    @property
    def active_rules(self) -> list[Rule]:
        """The rules whose weight is not 0."""
        return [rule for rule, active in zip(self.rules, self.is_active, strict=True) if active]

    @property
    def missing_rules(self) -> list[MissingRule]:
        """Rules that were not found when the actor was read: they have no rewards."""
        return [rule for rule in self.rules if isinstance(rule, MissingRule)]

    def require_rules(self, rules: Sequence[Rule] | None = None) -> None:
        """Make sure that rules, all if not given, have rewards.

        Raises:
            RuleNotFoundError: one is missing.
        """
        for rule in self.rules if rules is None else rules:
            if isinstance(rule, MissingRule):
                raise RuleNotFoundError(rule.why)

    @property
    def rewards(self) -> list[Rule]:
        """Rewards of the critic's first heads: rules, and :data:`TYPICALITY` where learned."""
        names = self.head_names[len(self.rules) :]
        return [*self.rules, *([TYPICALITY] if self.rules and TYPICALITY.name in names else [])]

    @property
    def learned(self) -> tuple[str, ...]:
        """Names of the heads without rewards: realism, likeness to examples."""
        return self.head_names[len(self.rewards) :]

    @property
    def pitch_classes(self) -> frozenset[int] | None:
        """Pitch classes that every rule with a set allows; None without such a rule."""
        return allowed_pitch_classes(self.active_rules)

    @property
    def key(self) -> str | None:
        """The key signature that the rules imply, if any."""
        return implied_key(self.active_rules)

    @property
    def tonic(self) -> int | None:
        """Pitch class of the tonic that the rules imply, if any."""
        return implied_tonic(self.active_rules)

    @property
    def chords(self) -> tuple[str, ...]:
        """Symbols of the chords that the rules imply, one a bar; empty without such a rule."""
        return implied_chords(self.active_rules)

    @property
    def shortcoming(self) -> str | None:
        """Shortcoming of the training: interrupted, or nothing satisfied; None without one."""
        last = self.records[-1] if self.records else None
        never = last and not any(record.all_satisfied for record in self.records)
        if last and never and not self.best > 0:
            rewards = zip(self.head_names, last.rewards, last.satisfied, strict=True)
            nearest = ", ".join(
                f"{name} {reward_text(reward)} (satisfied by {share:.0%})"
                for name, reward, share in rewards
            )
            is_learned = TYPICALITY in self.rewards
            typical = " and was typical" if is_learned else ""
            other = " or ask for what few real melodies do" if is_learned else ""
            return (
                f"none of {self.decoded:,} melodies satisfied every rule{typical}; in the last "
                f"round: {nearest}. Do the rules contradict each other{other}? Give fewer at a "
                "time, or grade a rule so that a melody that comes closer has a higher reward: "
                "mc rules check RULE"
            )
        if self.interrupted:
            return f"stopped after round {len(self.records)}; the best actor so far is kept"
        return None

    @checked
    def save(self, folder: Path | str) -> None:
        """Write an actor folder; it names its model's folder and fingerprint.

        Raises:
            UsageError: the actor is one setting of a conditional actor, or the model was never
                saved.
        """
        if isinstance(self.actor, ConditionedActor):
            raise UsageError(
                "knobs at one setting are not saved; save all of them with save_knobs"
            )
        has_tonic = isinstance(self.scale, tuple)
        config = {
            "rules": [{"name": rule.name, "spec": rule.spec} for rule in self.rules],
            "temperature": self.temperature,
            "form": self.form,
            "scale": self.scale if has_tonic else sorted(self.scale),
            "has_tonic": has_tonic,
            "rhythm": self.rhythm,
            "transposes": self.transposes,
            "ranges": self.ranges,
            "examples": sorted(self.examples),
        }
        save_pair(self, Path(folder), KIND, self.model, config=config, card=_card(self))


def _card(actor: MelodyActor) -> str:
    names = "\n".join(f"- `{rule.name}`: {rule.description}" for rule in actor.rules)
    if TYPICALITY in actor.rewards:
        names += f"\n- {TYPICALITY.name}: within bounds of nearly all real ones"
    names += "".join(f"\n- {name}, as a critic has learned it" for name in actor.learned)
    return (
        f"# Actor\n\nShifts latent points of the melody model `{actor.model.fingerprint[:12]}` "
        f"to melodies that satisfy\n\n{names}\n\nTrained in {len(actor.records)} rounds, "
        f"{actor.decoded} melodies decoded. Measure it with `mc evaluate --actor DIR`.\n"
    )
