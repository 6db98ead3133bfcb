"""``mc images figures``: the paper's figures of images, for models and actors of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from melodyconstraints.cli.common import FOLDER, seed_option, talk
from melodyconstraints.cli.images.common import (
    attributes_option,
    data_argument,
    edge_option,
    read_data,
)

TRANSFORMED = 8
"""Test images that are transformed, one a row."""

Folders = tuple[Path, ...]


@click.command("figures")
@data_argument
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
@attributes_option
@edge_option
@seed_option
def command(
    data: Path,
    output: Path,
    models: Folders,
    realism: Path | None,
    actors: Folders,
    search: Path | None,
    attributes: tuple[str, ...],
    edge: int,
    seed: int,
) -> None:
    """Draw the paper's figures from the test images of DATA, into OUTPUT."""
    if not (models or actors or search):
        raise click.UsageError("give at least one --model, --actor or --search")
    found = read_data(data, attributes, edge, talk().print)
    from melodyconstraints.images import figures
    from melodyconstraints.images.actors import load_actor
    from melodyconstraints.images.checkpoint import load_model
    from melodyconstraints.images.grids import draw_posterior_scales
    from melodyconstraints.images.recipe import tensors

    images, labels = tensors(found.test)
    some = images[:TRANSFORMED], labels[:TRANSFORMED]
    output.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def path(name: str) -> Path:
        written.append(output / f"{name}.png")
        return written[-1]

    if models:
        loaded = {folder.name: load_model(folder) for folder in models}
        named = {f"sigma_x {m.config.sigma_x:g}": m for m in loaded.values()}
        if len(named) < len(loaded):
            named = loaded
        actor = load_actor(realism) if realism else None
        figures.draw_samples(named, actor, images, path("samples"), seed=seed)
        scales = {name: model.sigma_bar for name, model in named.items()}
        draw_posterior_scales(scales, path("posterior-scales"))
    for folder in actors:
        actor = load_actor(folder)
        figures.draw_conditional(actor, path(f"labels-{folder.name}"), seed=seed)
        if actor.names and actor.actor is not None:
            figures.draw_transformations(actor, *some, path(f"transformed-{folder.name}"))
    if search:
        critics = load_actor(search)
        figures.draw_realism_maps(critics, images, path("critic-map"), seed=seed)
        if critics.names:
            figures.draw_transformations(critics, *some, path(f"transformed-{search.name}"))
            figures.draw_search(critics, some[1], path("search-from-prior"), seed=seed)
    for file in written:
        click.echo(file)
