"""``mc train-actor``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import (
    FOLDER,
    model_option,
    progress_bar,
    rule_options,
    rule_specs,
    seed_option,
    talk,
)
from melodyconstraints.cli._inputs import midi_files, read_melodies

if TYPE_CHECKING:
    from melodyconstraints.latent.constraints import Encodings
    from melodyconstraints.latent.pair import RoundRecord
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.rules import Rule
    from melodyconstraints.workflows.actor import MelodyActor
    from melodyconstraints.workflows.bank import Bank

CURVES = "training-curves.png"


@click.command("train-actor")
@model_option
@rule_options
@click.option(
    "--weight",
    "weights",
    type=click.FloatRange(0),
    multiple=True,
    help="How hard each rule pulls, in training and in a search; in their order, density last.  "
    "[default: 1 each]",
)
@click.option(
    "--like",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of MIDI that the melodies should be like; needs --unlike.",
)
@click.option(
    "--unlike",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of MIDI that they should not be like.",
)
@click.option(
    "--realism",
    is_flag=True,
    help="Keep the points where those of real melodies are, by a critic of its own.",
)
@click.option(
    "--method",
    type=click.Choice(["refined", "actor", "gradient", "langevin"]),
    default="refined",
    show_default=True,
    help="actor: a network learns to move points. refined: and a few steps of search after it. "
    "gradient, langevin: a search alone.",
)
@click.option(
    "--knobs",
    is_flag=True,
    help="Train for any scale and density instead of RULES, as the bundled model's; slow.",
)
@click.option("-o", "--output", type=FOLDER, help="Actor folder to make.  [default: actors/RULES]")
@click.option(
    "--preset",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="paper: networks of 4 x 2048 and the recipe of the paper's appendix; slow.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Of the decoder, in the training.",
)
@seed_option
@click.option("--overwrite", is_flag=True, help="Replace an actor at OUTPUT.")
@click.pass_context
def command(
    context: click.Context,
    model_folder: Path | None,
    rules: tuple[str, ...],
    density: int | None,
    weights: tuple[float, ...],
    like: Path | None,
    unlike: Path | None,
    realism: bool,
    method: str,
    knobs: bool,
    output: Path | None,
    preset: str,
    temperature: float,
    seed: int,
    overwrite: bool,
) -> None:
    """Train an actor that makes the model's melodies obey RULES, and write an actor folder.

    \b
    mc train-actor --rule cmajor --density 192
    mc train-actor --rule scale:D-dorian --rule my_rules.py:ends_on_d -o actors/mine
    mc train-actor --like reels/ --unlike hymns/ --density 96

    Ctrl-C ends the training and keeps the best actor so far.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.latent.curves import plot_actor_critic
    from melodyconstraints.storage.artifacts import check_free
    from melodyconstraints.workflows.actor_folder import KIND

    if (like is None) != (unlike is None):
        raise click.UsageError("give both --like and --unlike: a critic compares the two")
    if knobs:
        if rules or density is not None or like is not None:
            raise click.UsageError("--knobs takes no rules: it is for any scale and density")
        _train_knobs(model_folder, output or Path("actors") / "knobs", seed, overwrite)
        return
    specs = rule_specs(rules, density, required=like is None)
    if weights and len(weights) != len(specs):
        raise click.UsageError(f"give {len(specs)} --weight, one a rule, got {len(weights)}")
    folder = output or Path("actors") / slug([*specs, *([f"like-{like.name}"] if like else [])])
    check_free(folder, KIND, overwrite=overwrite, remedy="pass --overwrite to replace it")
    actor = train(
        model_folder,
        specs,
        preset=preset,
        temperature=temperature,
        seed=seed,
        method=method,
        weights=weights or None,
        like=_melodies(like),
        unlike=_melodies(unlike),
        realism=realism,
    )
    actor.save(folder)

    names = [name for heads in actor.heads for name in heads]
    plot_actor_critic(actor.records, names, folder / CURVES)
    talk().print(f"actor in {folder}; measure it with: mc evaluate --actor {folder}")
    report = shortcoming(actor)
    if report:
        click.echo(f"Error: {report}", err=True)
        context.exit(1)


def _train_knobs(model_folder: Path | None, folder: Path, seed: int, overwrite: bool) -> None:
    """Train a conditional actor; ``MODEL_DIR/knobs`` is its home."""
    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.storage.artifacts import check_free
    from melodyconstraints.workflows.conditional import KIND, SETTINGS, save_knobs, train_knobs

    check_free(folder, KIND, overwrite=overwrite, remedy="pass --overwrite to replace it")
    with progress_bar("rounds") as bar:
        task = bar.add_task("decoding the prior", total=SETTINGS.rounds)

        def show(record: RoundRecord) -> None:
            scale, density = record.satisfied
            told = f"kept: scale {scale:.0%}, density {density:.0%}"
            bar.update(task, completed=record.round + 1, description=told)

        save_knobs(train_knobs(load_model(model_folder), seed=seed, callback=show), folder)
    talk().print(f"actor in {folder}")


def train(
    model_folder: Path | None,
    specs: list[str],
    *,
    preset: str = "default",
    temperature: float = 1.0,
    seed: int,
    realism: bool = False,
    **options: Any,
) -> MelodyActor:
    """Train with a progress bar; shared with the commands that train before they write.

    Args:
        options: for :func:`melodyconstraints.workflows.actor.train_actor`.
    """
    from melodyconstraints.latent.settings import PRESETS
    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.rules import find_rules
    from melodyconstraints.workflows.actor import train_actor
    from melodyconstraints.workflows.bank import load_bank

    found = find_rules(specs)
    model = load_model(model_folder)
    with progress_bar("rounds") as bar:
        task = bar.add_task("decoding the prior", total=PRESETS[preset].rounds)
        bank = load_bank(model)
        _tell_slow(found, bank.melodies[:64])

        def show(record: RoundRecord) -> None:
            rewards = ", ".join(
                f"{rule.name} {reward:.3f}"
                for rule, reward in zip(found, record.rewards, strict=False)
            )
            told = f"all kept {record.all_satisfied:.0%}: {rewards}"
            bar.update(task, completed=record.round + 1, description=told)

        return train_actor(
            model,
            found,
            preset=preset,
            temperature=temperature,
            seed=seed,
            bank=(bank.points, bank.melodies),
            realism=_encodings(bank) if realism else None,
            callback=show,
            **options,
        )


def _encodings(bank: Bank) -> Encodings:
    from melodyconstraints.latent.constraints import Encodings

    if bank.encodings is None:
        raise click.UsageError(
            "--realism needs encodings of the model's training data, and its bank has none; "
            "make one: mc bank --model DIR --data STORE"
        )
    return Encodings(bank.encodings)


def _tell_slow(rules: Sequence[Rule], melodies: Melodies) -> None:
    """Say on stderr which rules will take long, and how long."""
    from melodyconstraints.rules.contract import melodies_per_second
    from melodyconstraints.rules.learnability import cost_of_training

    for rule in rules:
        seconds, slow = cost_of_training(melodies_per_second(rule, melodies))
        if slow:
            talk().print(f"{rule.name} is slow: about {seconds:,.0f} s of this training")


def shortcoming(actor: MelodyActor) -> str | None:
    """What is wrong with an actor: it was stopped or never kept everything; None if nothing."""
    last = actor.records[-1] if actor.records else None
    if last and max(record.all_satisfied for record in actor.records) == 0 and not actor.best > 0:
        reached = ", ".join(
            f"{name} {reward:.3g} (kept by {share:.0%})"
            for name, reward, share in zip(
                (name for heads in actor.heads for name in heads),
                last.rewards,
                last.satisfied,
                strict=True,
            )
        )
        return (
            f"no melody kept everything in {actor.decoded:,} tries; the best found: {reached}. "
            "Do the wishes contradict each other? Ask for fewer at a time, or grade a rule so "
            "that a melody that comes closer earns more: mc rules check RULE"
        )
    if actor.interrupted:
        return f"stopped after round {len(actor.records)}; the best actor so far is kept"
    return None


def _melodies(folder: Path | None) -> Melodies | None:
    """The best 16 bars of each MIDI file of a folder."""
    if folder is None:
        return None
    from melodyconstraints.melody.events import Melodies

    found, _ = read_melodies(midi_files([folder]), "skyline", None, None)
    if not found:
        raise click.UsageError(f"{folder} holds no MIDI file with a melody")
    return Melodies.stack([one.melody for _, one in found])


def slug(specs: list[str]) -> str:
    """A folder's name for rules: ``cmajor-192``.

    >>> slug(["cmajor", "density:192"])
    'cmajor-density-192'
    """
    return re.sub(r"[^\w#.]+", "-", "-".join(Path(spec).name for spec in specs)).strip("-")
