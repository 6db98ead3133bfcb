"""``mc images figures``: the paper's figures of images, for models and actors of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import FOLDER, option_group, seed_option, talk
from melodyconstraints.cli.images._common import DataChoice, data_options

if TYPE_CHECKING:
    from melodyconstraints.workflows.images.figures import Figures

Folders = tuple[Path, ...]


@dataclass(frozen=True)
class _Folders:
    """Folders of the models and actors to be drawn."""

    models: Folders
    realism: Path | None
    actors: Folders
    search: Path | None

    def __post_init__(self) -> None:
        if not (self.models or self.actors or self.search):
            raise click.UsageError("give at least one --model, --actor or --search")
        if self.realism and not self.models:
            raise click.UsageError("--realism is for Figure 2, of models: give a --model with it")

    def load(self) -> Figures:
        """Read the folders."""
        from melodyconstraints.images.actor import load_actor
        from melodyconstraints.images.checkpoint import load_model
        from melodyconstraints.workflows.images.figures import Figures, model_titles

        return Figures(
            models=model_titles({folder: load_model(folder) for folder in self.models}),
            realism=load_actor(self.realism) if self.realism else None,
            actors={folder: load_actor(folder) for folder in self.actors},
            search=(self.search, load_actor(self.search)) if self.search else None,
        )


_OPTIONS = {
    "models": click.option(
        "--model",
        "models",
        type=FOLDER,
        multiple=True,
        help="Reconstructions and samples (Figure 2), posterior scales (16).",
    ),
    "realism": click.option(
        "--realism", type=FOLDER, help="Actor of --realism-only, for Figure 2."
    ),
    "actors": click.option(
        "--actor",
        "actors",
        type=FOLDER,
        multiple=True,
        help="A column for each label (Figures 4, 7, 8, 14, 15), transformations by a network "
        "(10).",
    ),
    "search": click.option(
        "--search",
        type=FOLDER,
        help="Folder of --method gradient: the critic's map (3), transformations (5), a search "
        "(9).",
    ),
}


@click.command("figures")
@data_options
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder of pictures to make.")
@option_group("folders", _Folders, _OPTIONS)
@seed_option
def command(choice: DataChoice, output: Path, folders: _Folders, seed: int) -> None:
    """Draw the paper's figures from the test images of DATA, into OUTPUT."""
    figures = folders.load()
    data = choice.read_for(figures.all_models, talk().print)
    for path in figures.draw(data.test, output, seed=seed):
        click.echo(path)
