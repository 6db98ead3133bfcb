"""``mc train-actor``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli.common import (
    FOLDER,
    model_option,
    progress_bar,
    rule_options,
    rule_specs,
    seed_option,
    talk,
)

if TYPE_CHECKING:
    from melodyconstraints.actors import MelodyActor
    from melodyconstraints.latent.training import RoundRecord

CURVES = "training-curves.png"


@click.command("train-actor")
@model_option
@rule_options
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
    default=0.5,
    show_default=True,
    help="Of the decoder.",
)
@seed_option
@click.option("--overwrite", is_flag=True, help="Replace an actor at OUTPUT.")
def command(
    model_folder: Path | None,
    rules: tuple[str, ...],
    density: int | None,
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
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.actors import KIND
    from melodyconstraints.artifacts import check_free
    from melodyconstraints.curves import plot_actor_critic

    specs = rule_specs(rules, density)
    folder = output or Path("actors") / slug(specs)
    check_free(folder, KIND, overwrite=overwrite, remedy="pass --overwrite to replace it")
    actor = train(model_folder, specs, preset=preset, temperature=temperature, seed=seed)
    actor.save(folder)

    plot_actor_critic(actor.records, [rule.name for rule in actor.rules], folder / CURVES)
    talk().print(f"actor in {folder}; measure it with: mc evaluate --actor {folder}")


def train(
    model_folder: Path | None, specs: list[str], *, preset: str, temperature: float, seed: int
) -> MelodyActor:
    """Train with a progress bar; shared with ``mc generate``."""
    from melodyconstraints.actors import train_actor
    from melodyconstraints.latent.training import PRESETS
    from melodyconstraints.melody.checkpoint import load_model
    from melodyconstraints.rules import find_rules

    found = find_rules(specs)
    model = load_model(model_folder)
    with progress_bar("rounds") as bar:
        task = bar.add_task("decoding the prior", total=PRESETS[preset].rounds)

        def show(record: RoundRecord) -> None:
            rewards = ", ".join(
                f"{rule.name} {reward:.3f}"
                for rule, reward in zip(found, record.rewards, strict=True)
            )
            told = f"all kept {record.all_satisfied:.0%}: {rewards}"
            bar.update(task, completed=record.round + 1, description=told)

        return train_actor(
            model, found, preset=preset, temperature=temperature, seed=seed, callback=show
        )


def slug(specs: list[str]) -> str:
    """A folder's name for rules: ``cmajor-192``.

    >>> slug(["cmajor", "density:192"])
    'cmajor-density-192'
    """
    return re.sub(r"[^\w#.]+", "-", "-".join(Path(spec).name for spec in specs)).strip("-")
