"""Training of an actor: the model, the rules and the core come together here.

>>> import melodyconstraints as mc
>>> model = mc.load_model()
>>> actor = mc.train_actor(model, ["cmajor", "density:96"])     # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor

from melodyconstraints.errors import MelodyConstraintsError, UsageError
from melodyconstraints.latent.constraints import (
    AttributeConstraint,
    Encodings,
    RealismConstraint,
    checked_weights,
)
from melodyconstraints.latent.pair import CURVES, RoundRecord, model_reference, size_on_disk
from melodyconstraints.latent.progress import rewards_text, rounds_bar
from melodyconstraints.latent.protocols import Constraint
from melodyconstraints.latent.settings import PRESETS, ActorCriticSettings
from melodyconstraints.latent.training import train_actor_critic
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.form import AUTO
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.rules.loading import rule_file
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.storage.arguments import DEFAULT_SEED, check_choice, checked
from melodyconstraints.storage.artifacts import claimed
from melodyconstraints.storage.consents import consent
from melodyconstraints.workflows.actor import KIND, MelodyActor
from melodyconstraints.workflows.actor_config import METHODS, SEARCHES, search_of
from melodyconstraints.workflows.announcements import announce_rules
from melodyconstraints.workflows.bank import SIZE, Bank, load_bank
from melodyconstraints.workflows.contradictions import refuse_contradictions
from melodyconstraints.workflows.examples import Examples, digests, learned_from, read_examples
from melodyconstraints.workflows.seeds import derived_generator, derived_seed
from melodyconstraints.workflows.training_sampling import TrainingSampling, training_sampling
from melodyconstraints.workflows.typical_reward import TYPICALITY, reason_against

TRAINING_TEMPERATURE = 1.0
"""Temperature in training: melodies that satisfy rules there do so at lower ones too."""
TRAINING_POINTS, TRAINING_EVENTS = "training points", "training events"
LIKE = "like the examples"
"""Name of the head that tells liked examples from others."""


class TrainingOptions(TypedDict, total=False):
    """Keywords of :func:`train_actor`."""

    preset: str
    settings: ActorCriticSettings | None
    method: str | None
    weights: Sequence[float] | None
    realism: bool | Encodings
    like: Examples | None
    unlike: Examples | None
    rules_alone: bool
    bank: Bank | tuple[Tensor, Melodies] | None
    temperature: float
    form: str
    seed: int
    callback: Callable[[RoundRecord], None] | None
    announce: Callable[[str], object] | None
    progress: bool


@checked
def train_actor(
    model: MelodyVAE,
    rules: Iterable[str | Rule | Callable[..., Any]] = (),
    *,
    preset: str = "default",
    settings: ActorCriticSettings | None = None,
    method: str | None = None,
    weights: Sequence[float] | None = None,
    realism: bool | Encodings = False,
    like: Examples | None = None,
    unlike: Examples | None = None,
    rules_alone: bool = False,
    bank: Bank | tuple[Tensor, Melodies] | None = None,
    temperature: float = TRAINING_TEMPERATURE,
    form: str = AUTO,
    seed: int = DEFAULT_SEED,
    callback: Callable[[RoundRecord], None] | None = None,
    announce: Callable[[str], object] | None = None,
    progress: bool = False,
) -> MelodyActor:
    """Train an actor that moves a model's melodies to where they satisfy rules.

    Args:
        rules: specifications such as ``cmajor`` or ``density:192``, rules, or plain functions of
            one melody. A staff generator writes in the first scale among them, such as
            ``scale:D-dorian``, and the actor learns what that does not settle. Of a plain set,
            such as ``cmajor``, alone nothing is left to learn; beside other rules it is learned
            too, and what is drawn is written in it. Without any scale each melody of a staff
            generator is taken in the key that the rules reward most, in training and afterwards.
            The first rhythm and the first chords are written as well, see :mod:`.written`; for
            rules about attributes, such as ``density``, it sets out from points that have them.
            Beside its rules it learns that melodies be typical (:func:`.full_typicality`), with
            the mean of their weights, unless those that satisfy a rule hardly ever are, most
            satisfy every rule already, examples are given, or ``rules_alone`` is.
            The preset ``paper`` learns every rule, keys included, and nothing beside.
        preset: a key of :data:`melodyconstraints.latent.settings.PRESETS`.
        settings: settings in place of the preset's.
        method: one of :data:`.actor_config.METHODS`; if not given, ``refined``, or ``actor`` with
            the preset ``paper``.
        weights: weights of the rules' losses, at least 0, in training and in a search. A rule of
            weight 0 is learned and reported, and moves no point.
        realism: whether the shifted points should be indistinguishable from encodings of real
            melodies: those of the model's bank, or these.
        like, unlike: examples of what the melodies should be like, and of what they should not;
            one in five is held out where there are ten or more of a kind.
        rules_alone: whether to learn the rules and nothing beside: no typical melodies.
        bank: points of the prior with their melodies, learned from where melodies are drawn as
            these were: in no scale and no form; the model's own bank if not given.
        temperature: temperature of the decoder in training.
        form: repeats of bars, as in ``AABA``: the rewards are those of melodies in this form, and
            the actor draws in it.
        callback: called after every round.
        announce: called with news before the training, such as a slow rule, or one that all
            melodies satisfy already (which is a warning otherwise).
        progress: whether to show a bar on stderr, and there what would be announced.

    Raises:
        UsageError: unknown preset or method, nothing to train for, the same rule twice, rules that
            no melody satisfies together, only one kind of examples, or realism and a bank without
            encodings.
        RuleError: a rule raised or gave something other than a number in [0, 1]; after the first
            round the error has the best actor so far as its attribute ``actor``.
        TrainingError: a rule gives every melody the same reward.
    """
    settings, method = _check(preset, method, settings)
    found_rules = _consented(rules)
    names = [rule.name for rule in found_rules]
    own: Sequence[float] = checked_weights(weights, names)
    refuse_contradictions(list(compress(found_rules, own)))
    sampling = Sampling(temperature, seed=derived_seed(TRAINING_EVENTS, seed), form=form)
    draws = training_sampling(model, found_rules, own, sampling, plain=settings.plain)
    warm_up: Callable[[str, int, int], object] | None = None
    with ExitStack() as stack:
        if progress:
            bar = rounds_bar(settings.rounds, partial(rewards_text, names), callback)
            callback, warm_up, announce = stack.enter_context(bar)
        starts = bool(found_rules and settings.bank and draws.is_banks)
        if bank is None and (starts or realism is True):
            bank = load_bank(model, size=min(SIZE, settings.bank or SIZE))
        examples = _examples(like, unlike, announce)
        constraints = _learned_constraints(model, examples, realism, bank, settings.replay_size)
        decoded = _decoded(bank, draws.finish) if draws.is_banks else None
        rewards = list(found_rules)
        unasked = rules_alone or bool(examples)
        if _learns_typicality(
            found_rules, own, draws, decoded, announce, settings, unasked=unasked
        ):
            rewards.append(TYPICALITY)
            own = [*own, sum(own) / sum(map(bool, own))]
        names[:] = [rule.name for rule in rewards]
        of_heads = [*own, *(weight for one in constraints for weight in one.weights)]
        search = search_of(method, of_heads, plain=settings.plain) if method in SEARCHES else None
        learned: dict[str, Any] = {"rules": found_rules, "method": method, "form": form}
        learned |= {"scale": draws.scale, "rhythm": draws.sampling.rhythm}
        learned |= {"transposes": draws.transposes, "ranges": draws.ranges}
        learned |= {"examples": digests(*examples)}
        stack.enter_context(_actor_kept({"model": model, **learned}))
        pair = train_actor_critic(
            draws.sampler(),
            rewards,
            settings,
            constraints=constraints,
            weights=own,
            bank=decoded,
            search=search,
            starts=partial(model.moved_to, ranges=draws.ranges) if draws.ranges else None,
            generator=derived_generator(TRAINING_POINTS, seed),
            callback=callback,
            warmup_callback=warm_up,
        )
        if announce and not pair.records:
            announce("nothing is left to learn: every melody drawn satisfies every rule")
    return MelodyActor(model=model, **(vars(pair) | learned))


@checked
def train_actor_folder(
    model: MelodyVAE,
    rules: Iterable[str | Rule | Callable[..., Any]],
    folder: Path | str,
    *,
    overwrite: bool = False,
    **options: Unpack[TrainingOptions],
) -> MelodyActor:
    """Train an actor and write its folder, with the curves of the training.

    The folder is held from before the training on. An error that leaves a best actor so far leaves
    it in the folder, and says so.

    Args:
        rules: see :func:`train_actor`; empty where there are ``like`` and ``unlike``.
        overwrite: whether an actor in the folder may be replaced.
        options: see :func:`train_actor`.

    Raises:
        UsageError: a folder that must not be replaced, one that its disk has no room for, or a
            model that was never saved; and as :func:`train_actor`.
        StoreError: another training is at work in the folder.
        RuleError, TrainingError: as :func:`train_actor`.
    """
    model_reference(model, "actor")  # before the training: without one, nothing can be saved
    found_rules, folder = find_rules(rules), Path(folder)
    size = size_of_folder(model, len(found_rules), **options)
    with claimed(folder, KIND, overwrite=overwrite, size=size):
        try:
            actor = train_actor(model, found_rules, **options)
        except MelodyConstraintsError as error:
            if error.actor is not None:
                _save(error.actor, folder)
                left_over = f"the best actor of the rounds before is kept in {folder}"
                error.args = (f"{error}; {left_over}",)
            raise
        _save(actor, folder)
    return actor


def _save(actor: MelodyActor, folder: Path) -> None:
    """Save an actor with the curves of its training."""
    from melodyconstraints.latent.curves import plot_actor_critic  # needs Matplotlib: slow to load

    actor.save(folder)
    plot_actor_critic(actor.records, actor.head_names, folder / CURVES)


def _decoded(
    bank: Bank | tuple[Tensor, Melodies] | None,
    finish: Callable[[Melodies], Melodies] | None,
) -> tuple[Tensor, Melodies] | None:
    """Points and melodies of a bank, as a sampler finishes them."""
    if bank is None:
        return None
    points, melodies = (bank.points, bank.melodies) if isinstance(bank, Bank) else bank
    return points, finish(melodies) if finish else melodies


def size_of_folder(
    model: MelodyVAE,
    rules: int,
    *,
    preset: str = "default",
    settings: ActorCriticSettings | None = None,
    method: str | None = None,
    realism: bool | Encodings = False,
    like: object | None = None,
    **_: Any,
) -> int:
    """Bytes that the folder of an actor takes, at most; for keywords of :func:`train_actor`.

    Args:
        rules: number of rules.

    Raises:
        UsageError: unknown preset or method.
    """
    settings, method = _check(preset, method, settings)
    learned = [1] * ((like is not None) + (realism is not False))
    heads = [rules + (not settings.plain), *learned] if rules else learned
    return size_on_disk(model.latent_dim, settings, heads, has_actor=method not in SEARCHES)


def _consented(rules: Iterable[str | Rule | Callable[..., Any]]) -> list[Rule]:
    """The rules; their files may run where the actor is loaded from now on."""
    found_rules = find_rules(rules)
    for path in filter(None, (rule_file(rule.spec) for rule in found_rules)):
        consent(path)
    return found_rules


def _check(
    preset: str, method: str | None, settings: ActorCriticSettings | None
) -> tuple[ActorCriticSettings, str]:
    """Settings and method, as given or the preset's; refuses an unknown preset or method."""
    check_choice("preset", preset, PRESETS)
    settings = settings or PRESETS[preset]
    if method is None:
        method = "actor" if settings.plain else "refined"
    check_choice("method", method, METHODS)
    return settings, method


def _examples(
    like: Examples | None, unlike: Examples | None, announce: Callable[[str], object] | None
) -> tuple[Melodies, ...]:
    """The examples to learn from, if any; others are held out, see :mod:`.examples`."""
    if like is unlike is None:
        return ()
    liked, unliked = read_examples(like, unlike, announce)
    return learned_from(liked), learned_from(unliked)


def _learned_constraints(
    model: MelodyVAE,
    examples: Sequence[Melodies],
    realism: bool | Encodings,
    bank: Bank | tuple[Tensor, Melodies] | None,
    replay_size: int,
) -> list[Constraint]:
    """Constraints learned from encodings: likeness to examples, and realism."""
    constraints: list[Constraint] = []
    if examples:
        like, unlike = examples
        posterior = encode(model, [*like, *unlike])
        labels = torch.zeros(len(like) + len(unlike), 1)
        labels[: len(like)] = 1
        encodings = Encodings(posterior.mean, posterior.scale, labels)
        constraints.append(AttributeConstraint(encodings, [LIKE]))
    if realism:
        encodings = _bank_encodings(bank) if realism is True else realism
        constraints.append(RealismConstraint(encodings, replay_size=replay_size))
    return constraints


def _bank_encodings(bank: Bank | tuple[Tensor, Melodies] | None) -> Encodings:
    if not isinstance(bank, Bank) or bank.encodings is None:
        raise UsageError(
            "realism needs encodings of the model's training data, and its bank has none; "
            "make one: mc bank --model DIR --data STORE"
        )
    return Encodings(bank.encodings)


@contextmanager
def _actor_kept(own: dict[str, Any]) -> Iterator[None]:
    """Make the pair of an error that ends a training an actor with a model and rules."""
    try:
        yield
    except MelodyConstraintsError as error:
        if error.actor is not None:
            error.actor = MelodyActor(**(vars(error.actor) | own))
            error.add_note("The best actor so far is the attribute `actor` of this error.")
        raise


def _learns_typicality(
    rules: Sequence[Rule],
    weights: Sequence[float],
    draws: TrainingSampling,
    decoded: tuple[Tensor, Melodies] | None,
    announce: Callable[[str], object] | None,
    settings: ActorCriticSettings,
    *,
    unasked: bool,
) -> bool:
    """Whether melodies are to be typical, too; announces what they are before the training.

    Args:
        decoded: points and melodies of the bank, if any.
        unasked: whether rules are to be learned alone, or examples say what is typical.
    """
    if announce and (settled := draws.settled_text()):
        announce(settled)
    others = [rule for rule in rules if rule not in draws.settled]
    if settings.plain or not others:
        return False
    some = draws.some() if decoded is None else decoded[1]
    announce_rules(others, some, announce, transposes=draws.transposes)
    if unasked:
        return False
    against = reason_against(partial(rewards_of, rules), weights, some)
    if against and announce:
        announce(f"melodies are not asked to be typical: {against}")
    return against is None
