"""``mc images figures``: the paper's figures of images, for models and actors of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import FOLDER, seed_option, talk
from melodyconstraints.cli.images._common import (
    attributes_option,
    check_names,
    data_argument,
    read_data_of,
)

if TYPE_CHECKING:
    from melodyconstraints.images.actor import ImageActor
    from melodyconstraints.images.model import ImageVAE

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
@seed_option
def command(
    data: Path,
    output: Path,
    models: Folders,
    realism: Path | None,
    actors: Folders,
    search: Path | None,
    attributes: tuple[str, ...],
    seed: int,
) -> None:
    """Draw the paper's figures from the test images of DATA, into OUTPUT."""
    if not (models or actors or search):
        raise click.UsageError("give at least one --model, --actor or --search")
    if realism and not models:
        raise click.UsageError("--realism is for Figure 2, of models: give a --model with it")
    _check_apart([*actors, *([search] if search else [])])
    from melodyconstraints.images.actor import load_actor
    from melodyconstraints.images.checkpoint import load_model
    from melodyconstraints.images.grids import draw_posterior_scales
    from melodyconstraints.workflows.images import figures
    from melodyconstraints.workflows.images.training_folders import tensors

    named = _named([load_model(folder) for folder in models], models)
    realistic = load_actor(realism) if realism else None
    asked = {folder: load_actor(folder) for folder in actors}
    critics = load_actor(search) if search else None
    _check_kinds(realistic, asked, critics)
    labelled = asked | ({search: critics} if search and critics else {})
    everyone = [*named.values(), *(actor.model for actor in labelled.values())]
    everyone += [realistic.model] if realistic else []
    found = read_data_of(everyone, data, attributes, talk().print)
    for folder, actor in labelled.items():
        if actor.names:
            check_names(f"the actor {folder}", actor.names, found.test)

    images, labels = tensors(found.test)
    some = images[:TRANSFORMED], labels[:TRANSFORMED]
    output.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def path(name: str) -> Path:
        written.append(output / f"{name}.png")
        return written[-1]

    if named:
        figures.draw_samples(named, realistic, images, path("samples"), seed=seed)
        scales = {name: model.sigma_bar for name, model in named.items()}
        draw_posterior_scales(scales, path("posterior-scales"))
    for folder, actor in asked.items():
        name = _name(folder)
        figures.draw_conditional(actor, path(f"labels-{name}"), seed=seed)
        if actor.actor is not None:
            figures.draw_transformations(actor, *some, path(f"transformed-{name}"))
    if search and critics:
        figures.draw_realism_maps(critics, images, path("critic-map"), seed=seed)
        if critics.names:
            figures.draw_transformations(critics, *some, path(f"transformed-{_name(search)}"))
            figures.draw_search(critics, some[1], path("search-from-prior"), seed=seed)
    for file in written:
        click.echo(file)


def _name(folder: Path) -> str:
    return folder.absolute().name


def _named(models: Sequence[ImageVAE], folders: Folders) -> dict[str, ImageVAE]:
    """Models by their sigma_x; where several have the same, by their folders."""
    named = {f"sigma_x {model.config.sigma_x:g}": model for model in models}
    if len(named) == len(models):
        return named
    return {str(folder): model for folder, model in zip(folders, models, strict=True)}


def _check_apart(folders: Sequence[Path]) -> None:
    """Refuse actors whose pictures would have one name."""
    names = [_name(folder) for folder in dict.fromkeys(folders)]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(
                f"several actors are in folders called {name}, so that their pictures would have "
                "one name; draw one at a time, each into an OUTPUT of its own"
            )


def _check_kinds(
    realism: ImageActor | None, actors: Mapping[Path, ImageActor], search: ImageActor | None
) -> None:
    """Refuse actors of which an option's pictures cannot be drawn."""
    if realism and realism.names:
        known = ", ".join(realism.names)
        raise click.UsageError(f"--realism needs one of --realism-only; this one knows {known}")
    for folder, actor in actors.items():
        if not actor.names:
            raise click.UsageError(
                f"{folder} knows no labels; give it by --realism, with a --model"
            )
    if search and search.method != "gradient":
        raise click.UsageError(
            f"--search needs an actor of --method gradient; this one is of {search.method}"
        )
