"""``mc train-actor``."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click

from melodyconstraints.cli._actors import example_options
from melodyconstraints.cli._common import (
    FOLDER,
    form_option,
    json_option,
    model_option,
    refuse_options,
    require_rules,
    rule_options,
    seed_option,
    stderr_console,
)
from melodyconstraints.cli._training import print_actor
from melodyconstraints.storage.files import check_writable

_OF_RULES = ("weights", "realism", "rules_alone", "method", "preset", "temperature", "form")
"""Parameters that a training for any scale and density does not have."""
_LONGEST_NAME = 100
"""Characters of a folder's name by default; file systems take 255 bytes."""


@click.command("train-actor")
@model_option
@rule_options
@click.option(
    "--weight",
    "weights",
    type=click.FloatRange(0),
    multiple=True,
    help="Weight of each rule, in training and in a search; in their order, density last.  "
    "[default: 1 each]",
)
@example_options
@click.option(
    "--realism",
    is_flag=True,
    help="Train a critic of realism too: points stay near encodings of real melodies.",
)
@click.option(
    "--rules-alone",
    is_flag=True,
    help="Learn RULES and nothing beside: melodies need not be typical.",
)
@click.option(
    "--method",
    type=click.Choice(["refined", "actor", "gradient", "langevin"]),
    help="actor: a network learns to move points. refined: and a few steps of search after it. "
    "gradient, langevin: a search alone.  [default: actor for paper, else refined]",
)
@click.option(
    "--knobs",
    is_flag=True,
    help="Train for any scale and density instead of RULES; slow. The packaged generator has such "
    "knobs untrained.",
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
    help="The decoder's temperature in training.",
)
@form_option
@seed_option
@click.option("--overwrite", is_flag=True, help="Replace an actor at OUTPUT.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    model_folder: Path | None,
    specs: list[str],
    weights: tuple[float, ...],
    examples: dict[str, Path | None],
    knobs: bool,
    output: Path | None,
    form: str | None,
    seed: int,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train an actor that makes the model's melodies satisfy RULES, and write its folder.

    \b
    mc train-actor --rule cmajor --density 192
    mc train-actor --rule scale:D-dorian --rule my_rules.py:mine -o actors/mine
    mc train-actor --like reels/ --unlike hymns/ --density 96

    Beside RULES it learns that melodies be typical, where rules leave room for that and without
    --rules-alone. Ctrl-C ends the training and keeps the best actor so far.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.melody.form import AUTO

    like = examples["like"]
    if (like is None) != (examples["unlike"] is None):
        raise click.UsageError("give both --like and --unlike: a critic compares the two")
    if knobs:
        if specs or like is not None:
            raise click.UsageError("--knobs takes no rules: it is for any scale and density")
        refuse_options(context, _OF_RULES, "rules")
        folder = output or Path("actors") / "knobs"
        _train_knobs(model_folder, folder, as_json, seed=seed, overwrite=overwrite)
        return
    if like is None:
        require_rules(specs)
    if weights and len(weights) != len(specs):
        raise click.UsageError(f"give {len(specs)} --weight, one a rule, got {len(weights)}")
    folder = output or Path("actors") / slug([*specs, *([f"like-{like.name}"] if like else [])])
    shortcoming = _train(
        model_folder,
        specs,
        folder,
        as_json,
        overwrite=overwrite,
        weights=weights or None,
        form=AUTO if form is None else form,
        seed=seed,
        **examples,
        **options,
    )
    if shortcoming:
        click.echo(f"Error: {shortcoming}", err=True)
        context.exit(1)


def _train(
    model_folder: Path | None, specs: list[str], folder: Path, as_json: bool, **options: Any
) -> str | None:
    """Train with a bar and write the folder; returns the actor's shortcoming, if any."""
    check_writable(folder)

    from melodyconstraints.errors import MelodyConstraintsError
    from melodyconstraints.workflows.models import load_model
    from melodyconstraints.workflows.search import FEW
    from melodyconstraints.workflows.train_actor import train_actor_folder
    from melodyconstraints.workflows.typical_reward import TYPICALITY

    model = load_model(model_folder)
    try:
        actor = train_actor_folder(model, specs, folder, progress=True, **options)
    except MelodyConstraintsError as error:
        if as_json and error.actor is not None:
            print_actor(folder, model.fingerprint, error.actor, rules=error.actor.names)
        raise
    if as_json:
        print_actor(folder, model.fingerprint, actor, rules=actor.names)
    command = f"mc evaluate --actor {shlex.quote(str(folder))}"
    stderr_console().print(f"actor in {folder}; measure it with: {command}")
    if actor.rules and actor.best < FEW:
        arguments = shlex.join(part for rule in actor.rules for part in ("--rule", rule.spec))
        typical = " and are typical" if TYPICALITY in actor.rewards else ""
        stderr_console().print(
            f"{actor.best:.0%} of its melodies satisfy every rule{typical}; a search without an "
            f"actor may find more: mc generate {arguments}"
        )
    return actor.shortcoming


def _train_knobs(model_folder: Path | None, folder: Path, as_json: bool, **options: Any) -> None:
    """Train a conditional actor with a bar and write the folder."""
    from melodyconstraints.workflows.conditional import ScaleAndDensity, train_knobs_folder
    from melodyconstraints.workflows.models import load_model

    model = load_model(model_folder)
    knobs = train_knobs_folder(model, folder, progress=True, **options)
    if as_json:
        print_actor(folder, model.fingerprint, knobs, ScaleAndDensity.names)
    stderr_console().print(f"actor in {folder}")


def slug(specs: list[str]) -> str:
    """A folder's name for rules.

    >>> slug(["cmajor", "density:192"])
    'cmajor-density-192'
    """
    name = re.sub(r"[^\w#.]+", "-", "-".join(Path(spec).name for spec in specs)).strip("-")
    return name[:_LONGEST_NAME]
