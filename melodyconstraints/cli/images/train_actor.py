"""``mc images train-actor``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    option_group,
    progress_bar,
    seed_option_of,
    stderr_console,
)
from melodyconstraints.cli._output import overwrite_option
from melodyconstraints.cli._training import device_option, print_actor
from melodyconstraints.cli.images._common import (
    DataChoice,
    data_options,
    model_option,
    show_rounds,
)

if TYPE_CHECKING:
    from melodyconstraints.datasets.images.labelled_images import ImageData
    from melodyconstraints.latent.settings import ActorCriticSettings


@dataclass(frozen=True)
class _Training:
    """Values of the options of a training; None for a default."""

    method: str
    realism_only: bool
    preset: str | None
    distance: float | None
    rounds: int | None
    condition_units: int | None

    def __post_init__(self) -> None:
        if self.realism_only and self.method == "langevin":
            raise click.UsageError(
                "--realism-only needs --method actor or gradient; langevin has no critic of "
                "realism"
            )
        if self.distance is not None and self.method != "actor":
            raise click.UsageError(
                f"--distance is for --method actor; {self.method} trains no actor"
            )

    def settings(self, data: ImageData) -> ActorCriticSettings:
        """Settings of a training on such data."""
        from melodyconstraints.workflows.images.train_actor import actor_settings

        given = asdict(self)
        del given["realism_only"]
        return actor_settings(data, **given)


_OPTIONS = {
    "method": click.option(
        "--method",
        type=click.Choice(["actor", "gradient", "langevin"]),
        default="actor",
        show_default=True,
        help="actor: a network learns to move points. gradient: each point is moved along "
        "critics' gradient, no further than it must; for mc images transform. langevin: with "
        "noise.",
    ),
    "realism_only": click.option(
        "--realism-only", is_flag=True, help="Train for realism alone, without labels."
    ),
    "preset": click.option(
        "--preset",
        type=click.Choice(["small", "digits", "large", "paper"]),
        help="digits: the same networks, trained more slowly. large: networks of 4 x 2048, as the "
        "paper's; slow. paper: its recipe, too.  [default: digits for classes, small for "
        "attributes]",
    ),
    "distance": click.option(
        "--distance",
        type=click.FloatRange(0),
        help="lambda_dist, an actor's distance weight.  [default: the preset's]",
    ),
    "rounds": click.option(
        "--rounds", type=click.IntRange(1), help="Rounds of training.  [default: the preset's]"
    ),
    "condition_units": click.option(
        "--condition-units",
        type=click.IntRange(0, 1 << 16),
        help="Units of a linear map of the labels before they join z; 0 for the labels as they "
        "are.  [default: the preset's]",
    ),
}


@click.command("train-actor")
@data_options
@click.option("-o", "--output", type=FOLDER, required=True, help="Actor folder to make.")
@model_option
@option_group("training", _Training, _OPTIONS)
@device_option
@seed_option_of(0)
@overwrite_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    choice: DataChoice,
    output: Path,
    model_folder: Path | None,
    training: _Training,
    device: str,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train an actor that gives a model's images the labels of DATA, a folder or the word digits.

    \b
    mc images train-actor my_faces/ --model models/faces -o actors/faces
    mc images train-actor my_faces/ --model models/faces --method gradient -o mine

    Ctrl-C ends the training and keeps what was learned so far.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.images.actor import KIND
    from melodyconstraints.images.checkpoint import load_model
    from melodyconstraints.storage.artifacts import check_free
    from melodyconstraints.vae.folders import check_device
    from melodyconstraints.workflows.images.train_actor import train_actor_folder

    check_free(output, KIND, overwrite=overwrite)
    check_device(device)
    model = load_model(model_folder, device=device)
    data = choice.read_for([model], stderr_console().print)
    settings = training.settings(data)
    with progress_bar("rounds") as bar:
        task = bar.add_task("encoding the images", total=settings.rounds)
        actor = train_actor_folder(
            data,
            model,
            output,
            method=training.method,
            labelled=not training.realism_only,
            settings=settings,
            seed=seed,
            overwrite=overwrite,
            callback=show_rounds(bar, task),
        )
    if as_json:
        print_actor(output, model.fingerprint, actor, labels=actor.names)
    stderr_console().print(f"actor in {output}; see it with: mc images generate --actor {output}")
    if len(actor.records) < settings.rounds:
        click.echo(
            f"Error: stopped after round {len(actor.records)}; what was learned is kept", err=True
        )
        context.exit(1)
