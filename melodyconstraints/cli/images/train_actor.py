"""``mc images train-actor``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from melodyconstraints.cli._common import FOLDER, progress_bar, talk
from melodyconstraints.cli._output import overwrite_option
from melodyconstraints.cli._training import device_option
from melodyconstraints.cli.images._common import (
    REMEDY,
    attributes_option,
    data_argument,
    read_data,
    show_rounds,
)


@click.command("train-actor")
@data_argument
@click.option("-o", "--output", type=FOLDER, required=True, help="Actor folder to make.")
@click.option(
    "--model",
    "model_folder",
    type=FOLDER,
    help="Folder of mc images train-vae.  [default: the bundled model of digits]",
)
@click.option(
    "--method",
    type=click.Choice(["actor", "gradient", "langevin"]),
    default="actor",
    show_default=True,
    help="actor: a network learns to move points. gradient: each point is moved along critics' "
    "gradient, no further than it must; for mc images transform. langevin: with noise.",
)
@click.option(
    "--realism-only", is_flag=True, help="Learn what points of real images are like, no label."
)
@click.option(
    "--preset",
    type=click.Choice(["small", "digits", "large"]),
    help="digits: the same networks, trained more slowly. large: networks of 4 x 2048, as the "
    "paper's; slow.  [default: digits for classes, small for attributes]",
)
@click.option(
    "--distance",
    type=click.FloatRange(0),
    help="lambda_dist, what it costs an actor to move a point.  [default: the preset's]",
)
@click.option("--rounds", type=click.IntRange(1), help="Of learning.  [default: the preset's]")
@attributes_option
@device_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@overwrite_option
@click.pass_context
def command(
    context: click.Context,
    data: Path,
    output: Path,
    model_folder: Path | None,
    method: str,
    realism_only: bool,
    preset: str | None,
    distance: float | None,
    rounds: int | None,
    attributes: tuple[str, ...],
    device: str,
    seed: int,
    overwrite: bool,
) -> None:
    """Train what makes a model's images have the labels of DATA, a folder or the word digits.

    \b
    mc images train-actor my_faces/ --model models/faces -o actors/faces
    mc images train-actor my_faces/ --model models/faces --method gradient -o actors/moving

    Ctrl-C ends the training and keeps what was learned so far.
    """  # noqa: D301 (click wants the character)
    if realism_only and method == "langevin":
        raise click.UsageError(
            "--realism-only needs --method actor or gradient; langevin has no critic of realism"
        )
    if distance is not None and method != "actor":
        raise click.UsageError(f"--distance is for --method actor; {method} trains no actor")

    from melodyconstraints.images.actor import KIND, recipe_of
    from melodyconstraints.images.checkpoint import load_model
    from melodyconstraints.storage.artifacts import check_free
    from melodyconstraints.vae.folders import check_device
    from melodyconstraints.workflows.images.training_folders import train_actor_folder

    check_free(output, KIND, overwrite=overwrite, remedy=REMEDY)
    check_device(device)
    model = load_model(model_folder, device=device)
    images = read_data(data, attributes, model.config.trunk.shape[1], talk().print)
    settings = recipe_of(preset or ("digits" if images.train.exclusive else "small"), method)
    if distance is not None:
        settings = replace(settings, distance_weight=distance)
    if rounds is not None:
        settings = replace(settings, rounds=rounds)
    with progress_bar("rounds") as bar:
        task = bar.add_task("encoding the images", total=settings.rounds)
        actor = train_actor_folder(
            images,
            model,
            output,
            method=method,
            labelled=not realism_only,
            settings=settings,
            seed=seed,
            overwrite=overwrite,
            callback=show_rounds(bar, task),
        )
    talk().print(f"actor in {output}; see it with: mc images generate --actor {output}")
    if len(actor.records) < settings.rounds:
        click.echo(
            f"Error: stopped after round {len(actor.records)}; what was learned is kept", err=True
        )
        context.exit(1)
