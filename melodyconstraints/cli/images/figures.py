"""``mc images figures``: the paper's figures of images, for models and actors of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    print_json,
    progress_bar,
    seed_option,
    stderr_console,
)
from melodyconstraints.cli.images._common import DataChoice, data_options, show_stages

Folders = tuple[Path, ...]


@click.command("figures")
@data_options
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder of pictures to make.")
@click.option(
    "--model",
    "models",
    type=FOLDER,
    multiple=True,
    help="Reconstructions and samples (Figure 2), posterior scales (16).",
)
@click.option("--realism", type=FOLDER, help="Actor of --realism-only, for Figure 2.")
@click.option(
    "--actor",
    "actors",
    type=FOLDER,
    multiple=True,
    help="A column for each label (Figures 4, 7, 8, 14, 15), transformations by a network (10).",
)
@click.option(
    "--search",
    type=FOLDER,
    help="Folder of --method gradient: the critic's map (3), transformations (5), a search (9).",
)
@seed_option
@json_option
def command(
    choice: DataChoice,
    output: Path,
    models: Folders,
    realism: Path | None,
    actors: Folders,
    search: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Draw the paper's figures from the test images of DATA, into OUTPUT.

    \b
    mc images figures digits --model models/digits -o figures/
    """  # noqa: D301 (click wants the character)
    if not (models or actors or search):
        raise click.UsageError("give at least one --model, --actor or --search")
    if realism and not models:
        raise click.UsageError("--realism is for Figure 2, of models: give a --model with it")
    from melodyconstraints.images.actor import load_actor
    from melodyconstraints.images.checkpoint import load_model
    from melodyconstraints.workflows.images.figures import Figures, model_titles

    figures = Figures(
        models=model_titles({folder: load_model(folder) for folder in models}),
        realism=load_actor(realism) if realism else None,
        actors={folder: load_actor(folder) for folder in actors},
        search=(search, load_actor(search)) if search else None,
    )
    data = choice.read_for(figures.all_models, stderr_console().print)
    with progress_bar("pictures", transient=True) as bar:
        pictures = figures.draw(data.test, output, seed=seed, callback=show_stages(bar))
    if as_json:
        print_json({"pictures": [str(path) for path in pictures]})
        return
    for path in pictures:
        click.echo(path)
