"""``mc evaluate``."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._actors import (
    ActorSource,
    allow_code_option,
    example_options,
    rules_from_option,
    search_shown,
)
from melodyconstraints.cli._common import (
    FOLDER,
    count_option,
    json_option,
    measuring_options,
    model_option,
    print_json,
    progress_bar,
    refuse_options,
    rule_options,
    stderr_console,
)
from melodyconstraints.storage.arguments import DEFAULT_EVALUATED
from melodyconstraints.storage.files import check_writable

if TYPE_CHECKING:
    from melodyconstraints.melody.vae.sampling import SamplingOptions

_OF_AN_ACTOR = ("rules_from", "allow_code", "like", "unlike")
_OF_A_MODEL = ("split", "picture")
"""Parameters that only one of the two measurements has."""


@click.command("evaluate")
@click.option("--actor", "actor_folder", type=FOLDER, help="Measure this actor.")
@click.option(
    "--data",
    "store",
    type=FOLDER,
    help="A melody store of mc extract-melodies: measure the model itself on it, or with --actor "
    "how much the actor's melodies are like these.",
)
@model_option
@rules_from_option
@allow_code_option
@count_option(
    "-n", "count", least=2, default=DEFAULT_EVALUATED, show_default=True, help="Melodies drawn."
)
@rule_options
@example_options
@measuring_options
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    help="With --data: the held-out melodies.  [default: test]",
)
@click.option(
    "--plot",
    "picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --data: write piano rolls of held-out melodies and what comes back of them, and of "
    "samples beside real melodies, to this PNG.",
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    actor_folder: Path | None,
    store: Path | None,
    model_folder: Path | None,
    rules_from: tuple[Path, ...],
    allow_code: bool,
    count: int,
    specs: list[str],
    examples: dict[str, Path | None],
    sampling: SamplingOptions,
    split: str | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Measure an actor, or with --data alone a melody model.

    \b
    mc evaluate --actor actors/mine
    mc evaluate --rule cmajor --data melodies/ --json
    mc evaluate --model models/mine --data melodies/

    An actor of a folder, or for rules as in mc generate: draw melodies from the prior and from the
    actor and compare their rewards under the actor's rules, and by those given here besides (the
    paper's Table 2). With --data as well: are they still like real melodies, in what the rules do
    not ask to change, and like real melodies that satisfy the rules in some key? With --like and
    --unlike: are they like those examples of the two folders that were held out of the training?

    A model: does it give back melodies that it was not trained on, are melodies drawn from its
    prior like real ones, in how they are built as well, and are they new?
    """  # noqa: D301 (click wants the character)
    if actor_folder is not None or specs:
        refuse_options(context, _OF_A_MODEL, "--data alone")
        if actor_folder is None:
            refuse_options(context, ("rules_from", "allow_code"), "--actor")
        source = ActorSource(
            actor_folder=actor_folder,
            model_folder=model_folder,
            rules=() if actor_folder else tuple(specs),
            density=None,
            scale=None,
            rules_from=rules_from,
            allow_code=allow_code,
        )
        also = specs if actor_folder else []
        _evaluate_actor(source, store, count, {"also": also, **examples, **sampling}, as_json)
    elif store is not None:
        refuse_options(context, _OF_AN_ACTOR, "--actor")
        _check_picture(picture)
        _evaluate_model(store, model_folder, count, split or "test", sampling, picture, as_json)
    else:
        raise click.UsageError("give --actor DIR, --rule RULE or --data STORE")


def _check_picture(path: Path | None) -> None:
    """Refuse, before the work, a picture that cannot be written."""
    if path is not None and path.suffix.lower() != ".png":
        raise click.UsageError(f"--plot writes a PNG; {path} must end in .png")
    if path is not None and not path.parent.is_dir():
        raise click.UsageError(f"--plot: there is no folder {path.parent}")
    if path is not None:
        check_writable(path)


def _evaluate_actor(
    source: ActorSource,
    store: Path | None,
    count: int,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    from melodyconstraints.cli._evaluation_tables import print_actor_evaluation
    from melodyconstraints.workflows.evaluate_actor import evaluate_actor
    from melodyconstraints.workflows.real_melodies import read_split
    from melodyconstraints.workflows.train_actor import LIKE

    held_out = None if store is None else read_split(store, "test").melodies
    actor = source.find()
    if actor is None:
        raise click.UsageError("give --actor, --rule or --density")
    with search_shown(actor, count) as shown:
        evaluation = evaluate_actor(shown.actor, count, held_out=held_out, **options)
    if as_json:
        print_json(evaluation.as_dict())
    else:
        print_actor_evaluation(evaluation)
        if LIKE in actor.learned and evaluation.examples is None:
            click.echo(f"{LIKE}: give --like and --unlike to compare with those held out")


def _evaluate_model(
    store: Path,
    model_folder: Path | None,
    count: int,
    split: str,
    sampling: SamplingOptions,
    picture: Path | None,
    as_json: bool,
) -> None:
    from melodyconstraints.cli._evaluation_tables import print_model_evaluation
    from melodyconstraints.workflows.evaluate_vae import (
        STAGES,
        evaluate_model,
        plot_model_evaluation,
    )
    from melodyconstraints.workflows.models import load_model

    model = load_model() if model_folder is None else load_model(model_folder)
    with progress_bar("stages", transient=True) as bar:
        task, done = bar.add_task("", total=STAGES), itertools.count()

        def announce(stage: str) -> None:
            bar.update(task, completed=next(done), description=stage)

        evaluation = evaluate_model(
            model, store, count, split=split, announce=announce, **sampling
        )
    if picture is not None:
        plot_model_evaluation(evaluation, picture)
        stderr_console().print(f"piano rolls in {picture}")
    if as_json:
        print_json(evaluation.as_dict())
    else:
        print_model_evaluation(evaluation)
