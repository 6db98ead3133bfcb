"""``mc evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from melodyconstraints.cli._actors import allow_code_option, example_options, rules_from_option
from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    measuring_options,
    model_option,
    print_json,
    print_table,
    rule_options,
    talk,
)
from melodyconstraints.storage.files import check_writable

if TYPE_CHECKING:
    from melodyconstraints.latent.evaluation import RewardStatistics
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.melody.vae.sampling import SamplingOptions
    from melodyconstraints.workflows.evaluate_actor import Evaluation, ExampleLikeness

_OF_AN_ACTOR = ("rules", "density", "rules_from", "allow_code", "like", "unlike")
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
@click.option(
    "-n", "count", type=click.IntRange(2), default=1024, show_default=True, help="Melodies drawn."
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
    help="With --data: write piano rolls of held-out melodies, what comes back of them, and "
    "samples to this PNG.",
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
    """Measure an actor, or with --data a melody model.

    An actor: draw melodies from the prior and from the actor and compare their rewards under the
    actor's rules, and by those given here besides (the paper's Table 2). With --data as well:
    are they still like real melodies, in what the rules do not ask to change? With --like and
    --unlike: are they like those examples of the two folders that were held out of the training?

    A model: does it give back melodies that it was not trained on, are melodies drawn from its
    prior like real ones, and are they new?
    """
    if actor_folder is not None:
        _refuse(context, _OF_A_MODEL, "--data without --actor")
        options = {"also": specs, **examples, **sampling}
        where = {"folder": actor_folder, "rules_from": rules_from, "allow_code": allow_code}
        _evaluate_actor(where, model_folder, store, count, options, as_json)
    elif store is not None:
        _refuse(context, _OF_AN_ACTOR, "--actor")
        _check_picture(picture)
        _evaluate_model(store, model_folder, count, split or "test", sampling, picture, as_json)
    else:
        raise click.UsageError("give --actor DIR, --data STORE or both")


def _refuse(context: click.Context, names: tuple[str, ...], belongs_to: str) -> None:
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if parameter.name in names and given:
            raise click.UsageError(f"{parameter.opts[0]} goes with {belongs_to} only")


def _check_picture(path: Path | None) -> None:
    """Refuse, before the work, a picture that cannot be written."""
    if path is not None and path.suffix.lower() != ".png":
        raise click.UsageError(f"--plot writes a PNG; {path} must end in .png")
    if path is not None and not path.parent.is_dir():
        raise click.UsageError(f"--plot: there is no folder {path.parent}")
    if path is not None:
        check_writable(path)


def _evaluate_actor(
    where: dict[str, Any],
    model_folder: Path | None,
    store: Path | None,
    count: int,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.workflows.actor import load_actor
    from melodyconstraints.workflows.evaluate_actor import evaluate_actor
    from melodyconstraints.workflows.train_actor import LIKE

    model = None if model_folder is None else load_model(model_folder)
    actor = load_actor(**where, model=model)
    held_out = None if store is None else _held_out(store, count)
    with talk().status(f"drawing 2 x {count} melodies"):
        evaluation = evaluate_actor(actor, count, held_out=held_out, **options)
    if as_json:
        print_json(evaluation.as_dict())
    else:
        _print(evaluation)
        if LIKE in actor.learned and evaluation.examples is None:
            click.echo(f"{LIKE}: give --like and --unlike to compare with those held out")


def _held_out(store: Path, count: int) -> Melodies:
    from melodyconstraints.datasets.melodies.store import read_store
    from melodyconstraints.errors import StoreError
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.workflows.train_vae import choose

    events = choose(read_store(store, "test").events, count)
    if len(events) < 2:
        raise StoreError(f"{store} holds {len(events)} melodies of the split test; two are needed")
    return Melodies(events)


def _evaluate_model(
    store: Path,
    model_folder: Path | None,
    count: int,
    split: str,
    sampling: SamplingOptions,
    picture: Path | None,
    as_json: bool,
) -> None:
    from melodyconstraints.cli._vae_tables import print_quality
    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.workflows.evaluate_vae import evaluate_model, plot_quality

    model = load_model() if model_folder is None else load_model(model_folder)
    with talk().status("measuring") as status:
        quality = evaluate_model(
            model,
            store,
            count,
            split=split,
            announce=status.update,
            **sampling,
        )
    if picture is not None:
        plot_quality(quality, picture)
        talk().print(f"piano rolls in {picture}")
    if as_json:
        print_json(quality.as_dict())
    else:
        print_quality(quality)


def _print(evaluation: Evaluation) -> None:
    rows = []
    for name in evaluation.actor:
        rows.append([name, "prior", *_cells(evaluation.prior[name])])
        rows.append(["", "actor", *_cells(evaluation.actor[name])])
    if evaluation.prior_all_satisfied is not None:
        rows.append(["all its rules", "prior", "", "", f"{evaluation.prior_all_satisfied:.1%}"])
        rows.append(["", "actor", "", "", f"{evaluation.all_satisfied:.1%}"])
    title = f"n = {evaluation.n}, temperature {evaluation.temperature:g}"
    if rows:
        rows = [[*row, *[""] * (6 - len(row))] for row in rows]
        columns = ["rule", "from", "mean", "95%", "satisfied", "95%"]
        print_table(columns, rows, title, text_columns=2)
    else:
        click.echo(title)
    print_table(
        ["", "actor"],
        [
            ["z_MSE", f"{evaluation.z_mse:.3f}"],
            ["distinct melodies", f"{evaluation.distinct:.1%}"],
            ["pairwise edit distance, actor / prior", _diversity(evaluation)],
        ],
    )
    if evaluation.examples is not None:
        _print_examples(evaluation.examples)
    if evaluation.realism is not None:
        print_table(
            ["overlapping area with held-out melodies", "prior", "actor"],
            [
                [
                    name.replace("_", " ") + (" (touched by a rule)" if one.touched else ""),
                    f"{one.prior:.3f}",
                    f"{one.actor:.3f}",
                ]
                for name, one in evaluation.likeness.items()
            ]
            + [["mean of the untouched", *(f"{area:.3f}" for area in evaluation.realism)]],
        )


def _print_examples(found: ExampleLikeness) -> None:
    print_table(
        ["like the examples", "predicted", "overlapping area with the liked"],
        [
            [f"{found.liked} liked, held out", f"{found.predicted['liked']:.1%}", ""],
            *(
                [label, f"{found.predicted[name]:.1%}", f"{found.overlapping_area[name]:.3f}"]
                for label, name in (
                    (f"{found.unliked} unliked, held out", "unliked"),
                    ("prior", "prior"),
                    ("actor", "actor"),
                )
            ),
        ],
    )


def _cells(statistics: RewardStatistics) -> list[str]:
    (low, high), (fewest, most) = statistics.mean_interval, statistics.satisfied_interval
    return [
        f"{statistics.mean:.4f}",
        f"{low:.4f}-{high:.4f}",
        f"{statistics.satisfied:.1%}",
        f"{fewest:.1%}-{most:.1%}",
    ]


def _diversity(evaluation: Evaluation) -> str:
    ratio = evaluation.diversity_ratio
    return (
        f"{'-' if ratio is None else f'{ratio:.2f}'}  "
        f"({evaluation.diversity:.0f} / {evaluation.prior_diversity:.0f} events)"
    )
