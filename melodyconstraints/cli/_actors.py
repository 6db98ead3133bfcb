"""What commands that need an actor have in common: it is read, or trained first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import FOLDER

if TYPE_CHECKING:
    from melodyconstraints.workflows.actor import MelodyActor

actor_option = click.option(
    "--actor", "actor_folder", type=FOLDER, help="Actor folder of mc train-actor."
)


def check_one_source(actor_folder: Path | None, specs: Sequence[str]) -> None:
    """Refuse an actor, which has rules of its own, together with rules."""
    if actor_folder is not None and specs:
        raise click.UsageError("give either --actor, or rules by --rule and --density")


def find_actor(
    actor_folder: Path | None, model_folder: Path | None, specs: Sequence[str], seed: int
) -> MelodyActor:
    """The actor of a folder, or one that is trained now for rules."""
    if actor_folder is None:
        from melodyconstraints.cli.train_actor import train

        return train(model_folder, list(specs), seed=seed)
    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.workflows.actor_folder import load_actor

    model = None if model_folder is None else load_model(model_folder)
    return load_actor(actor_folder, model=model)
