"""``mc evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli.common import (
    FOLDER,
    json_option,
    model_option,
    print_json,
    print_table,
    rule_options,
    rule_specs,
    seed_option,
    talk,
    temperature_option,
)

if TYPE_CHECKING:
    from melodyconstraints.evaluation import Evaluation
    from melodyconstraints.latent.evaluation import RewardStatistics


@click.command("evaluate")
@click.option(
    "--actor", "actor_folder", type=FOLDER, required=True, help="Actor folder of mc train-actor."
)
@model_option
@click.option(
    "-n", "count", type=click.IntRange(2), default=1024, show_default=True, help="Melodies drawn."
)
@rule_options
@temperature_option
@seed_option
@json_option
def command(
    actor_folder: Path,
    model_folder: Path | None,
    count: int,
    rules: tuple[str, ...],
    density: int | None,
    temperature: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Draw melodies from the prior and from the actor and compare what they earn (Table 2).

    Both are judged by the actor's rules and by those given here besides.
    """
    from melodyconstraints.actors import load_actor
    from melodyconstraints.evaluation import evaluate_actor
    from melodyconstraints.melody.checkpoint import load_model

    model = None if model_folder is None else load_model(model_folder)
    actor = load_actor(actor_folder, model=model)
    also = rule_specs(rules, density, required=False)
    with talk().status(f"drawing 2 x {count} melodies"):
        evaluation = evaluate_actor(actor, count, also=also, temperature=temperature, seed=seed)
    if as_json:
        print_json(evaluation.as_dict())
    else:
        _print(evaluation)


def _print(evaluation: Evaluation) -> None:
    rows = []
    for name in evaluation.actor:
        rows.append([name, "prior", *_cells(evaluation.prior[name])])
        rows.append(["", "actor", *_cells(evaluation.actor[name])])
    rows.append(["all its rules", "prior", "", "", f"{evaluation.prior_all_satisfied:.1%}"])
    rows.append(["", "actor", "", "", f"{evaluation.all_satisfied:.1%}"])
    print_table(
        ["rule", "from", "mean", "95%", "satisfied", "95%"],
        [[*row, *[""] * (6 - len(row))] for row in rows],
        f"n = {evaluation.n}, temperature {evaluation.temperature:g}",
        text_columns=2,
    )
    print_table(
        ["", "actor"],
        [
            ["z_MSE", f"{evaluation.z_mse:.3f}"],
            ["distinct melodies", f"{evaluation.distinct:.1%}"],
            ["pairwise edit distance, actor / prior", _diversity(evaluation)],
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
