"""Choices of the preset `small` against others, in equal processor time.

``docs/melody-model.md`` has the table.

::

    OMP_NUM_THREADS=1 python benchmarks/comparisons.py STORE [--seconds 280] [VARIANT ...]

Every variant is trained from the same seed with the same settings; the stage on bars alone takes
three tenths. The time is the process's own, so other programs on the machine do not count.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click

from melodyconstraints.cli._common import print_table
from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.melody.vae import training
from melodyconstraints.melody.vae.config import PRESETS
from melodyconstraints.melody.vae.reconstruction import Reconstruction, measure_reconstruction
from melodyconstraints.melody.vae.residual_path import ResidualPath
from melodyconstraints.vae import training as loop
from melodyconstraints.workflows.train_vae import MEASURED, choose

NEVER = 10**9
COLUMNS = [
    "variant",
    "parameters",
    "steps",
    "teacher-forced",
    "free-running",
    "onset F1",
    "KL, nats",
    "variance of means",
]
VARIANTS: dict[str, dict[str, Any]] = {
    "small": {},
    "flat encoder, no linear path": {"encoder": "flat", "residual": False},
    "hierarchical encoder, no linear path": {"residual": False},
    "carry": {"first_input": "carry"},
    "no stage on bars alone": {"bars_share": 0.0},
    "linear path from random weights": {"random_path": True},
    "decoder of 256 units": {"decoder_units": 256},
    "decoder of 512 units": {"decoder_units": 512},
    "512 latent dimensions": {"latent_dim": 512},
    "beta 0.15": {"beta": 0.15},
    "beta 0.6": {"beta": 0.6},
}


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("names", nargs=-1, metavar="[VARIANT]...", type=click.Choice(list(VARIANTS)))
@click.option("--seconds", type=float, default=280.0, show_default=True, help="Of each training.")
def main(store: Path, names: tuple[str, ...], seconds: float) -> None:
    """Train variants of the preset small, all by default, in equal processor time on STORE."""
    rows = []
    for name in names or VARIANTS:
        parameters, steps, quality = trained(store, seconds, **VARIANTS[name])
        rows.append(row(name, parameters, steps, quality))
        click.echo(", ".join(rows[-1]), err=True)
    print_table(COLUMNS, rows)


def trained(
    store: Path,
    seconds: float,
    *,
    beta: float = 0.3,
    bars_share: float = 0.3,
    random_path: bool = False,
    **architecture: Any,
) -> tuple[int, int, Reconstruction]:
    """Parameters, steps, and quality on held-out melodies, after seconds of processor time."""
    data, held_out = read_store(store, "train"), read_store(store, "validation").events
    settings = loop.TrainingSettings(time_budget_seconds=seconds, evaluate_every=NEVER)
    elbo = training.ElboSettings(beta=beta, bars_share=bars_share, match_shares=())
    start = from_random_weights if random_path else training.start_from_principal_components
    with (
        patch.object(loop.time, "monotonic", time.process_time),
        patch.object(training, "start_from_principal_components", start),
    ):
        model, state = training.train_melody_vae(
            replace(PRESETS["small"], **architecture),
            data.events,
            data.sources,
            held_out[:2],
            settings,
            elbo=elbo,
        )
    quality = measure_reconstruction(model, choose(held_out, MEASURED))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return parameters, state.step, quality


def row(name: str, parameters: int, steps: int, quality: Reconstruction) -> list[str]:
    """A row of the table."""
    return [
        name,
        f"{parameters / 1e6:.1f} million",
        f"{steps:,}",
        f"{quality.teacher_forced:.1%}",
        f"{quality.free_running:.1%}",
        f"{quality.onset_f1:.3f}",
        f"{quality.kl:.0f}",
        f"{quality.mean_variance:.2f}",
    ]


def from_random_weights(path: ResidualPath, _: object) -> None:
    """The residual path as PyTorch makes it."""
    path.to_posterior.reset_parameters()
    path.to_embeddings.reset_parameters()


if __name__ == "__main__":
    main()
