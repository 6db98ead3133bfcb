"""What commands that need an actor have in common: it is read, or trained first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._common import FOLDER, progress_bar, talk

if TYPE_CHECKING:
    from melodyconstraints.latent.pair import RoundRecord
    from melodyconstraints.melody.vae.model import MelodyVAE
    from melodyconstraints.workflows.actor import MelodyActor

actor_option = click.option(
    "--actor", "actor_folder", type=FOLDER, help="Actor folder of mc train-actor."
)


def check_one_source(actor_folder: Path | None, specs: Sequence[str]) -> None:
    """Refuse an actor, which has rules of its own, together with rules."""
    if actor_folder is not None and specs:
        raise click.UsageError("give either --actor, or rules by --rule and --density")


def find_actor(
    actor_folder: Path | None, model: MelodyVAE | None, specs: Sequence[str]
) -> MelodyActor:
    """The actor of a folder; or the cache's for rules, or one that is trained for them now."""
    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.rules import find_rules
    from melodyconstraints.workflows.actor import load_actor
    from melodyconstraints.workflows.cache import cached_actor

    if actor_folder is not None:
        return load_actor(actor_folder, model=model)
    own = model or load_model()

    def train() -> MelodyActor:
        talk().print(
            f"training an actor for {', '.join(specs)}: one to three minutes on two cores; it is "
            "kept for the next time (mc cache lists and empties)"
        )
        return train_with_bar(own, specs)

    return cached_actor(own, find_rules(specs), train)


def train_with_bar(
    model: MelodyVAE | None, specs: Sequence[str], *, preset: str = "default", **options: Any
) -> MelodyActor:
    """Train an actor and show how far it is.

    Args:
        model: the bundled one if not given.
        options: for :func:`melodyconstraints.workflows.train_actor.train_actor`.
    """
    from melodyconstraints.latent.settings import PRESETS
    from melodyconstraints.melody.vae.checkpoint import load_model
    from melodyconstraints.rules import find_rules
    from melodyconstraints.workflows.train_actor import train_actor

    rules = find_rules(specs)
    with progress_bar("rounds") as bar:
        task = bar.add_task("decoding the prior", total=PRESETS[preset].rounds)

        def show(record: RoundRecord) -> None:
            rewards = ", ".join(
                f"{rule.name} {reward:.3f}"
                for rule, reward in zip(rules, record.rewards, strict=False)
            )
            text = f"all satisfied {record.all_satisfied:.0%}: {rewards}"
            bar.update(task, completed=record.round + 1, description=text)

        return train_actor(
            model or load_model(),
            rules,
            preset=preset,
            callback=show,
            announce=bar.console.print,
            **options,
        )
