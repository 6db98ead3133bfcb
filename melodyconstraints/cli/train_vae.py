"""``mc train-vae``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    print_json,
    print_table,
    resume_hint,
    seed_option_of,
    stderr_console,
)
from melodyconstraints.cli._training import (
    TrainingDisplay,
    device_option,
    length_options,
    precision_option,
    resume_option,
    training_bar,
)

if TYPE_CHECKING:
    from melodyconstraints.vae.state import Metrics

PRESETS = ("staff", "small", "paper")


@click.command("train-vae")
@click.argument("melodies", type=FOLDER)
@click.option("-o", "--output", type=FOLDER, required=True, help="Model folder to make.")
@click.option("--preset", type=click.Choice(PRESETS), default="small", show_default=True)
@click.option(
    "--start-from",
    metavar="MODEL",
    help="Continue the training of a model: its folder, or a packaged one: staff, bundled.",
)
@length_options("30m", " What follows the last step comes on top.")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Melodies a step.  [default: 64 for staff, 8 for small and paper]",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Adam's learning rate.  [default: 3e-4 for paper, else 1e-3]",
)
@click.option(
    "--beta",
    type=click.FloatRange(0),
    help="Weight of the divergence from the prior: higher values give better "
    "samples, lower values better reconstructions. "
    " [default: 1 for paper, else 0.3]",
)
@click.option(
    "--free-bits",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Divergence that costs nothing. MusicVAE: --beta 0.2 --free-bits 256.",
)
@click.option(
    "--notes",
    type=click.File(encoding="utf-8"),
    help="Markdown to add to the model card: where the data is from, its licences.",
)
@resume_option
@device_option
@precision_option
@seed_option_of(0)
@json_option
def command(
    melodies: Path,
    output: Path,
    preset: str,
    start_from: str | None,
    time_budget: float | None,
    steps: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    beta: float | None,
    free_bits: float,
    notes: TextIO | None,
    resume: bool,
    device: str,
    precision: str,
    seed: int,
    as_json: bool,
) -> None:
    """Train a melody VAE on the store MELODIES and write a model folder.

    \b
    mc train-vae melodies/ -o models/mine --time-budget 30m
    mc train-vae melodies/ -o models/ours --preset staff --start-from staff

    Checkpoints and learning curves stand in OUTPUT/training; a training that was killed goes on
    with --resume. What follows the last step is not in the time budget: staff is calibrated, on up
    to 15,000 melodies that it draws, then any preset is measured on up to 4,000 held-out melodies,
    and decodes a bank; on two slow and busy cores up to 8, 15 and 2 minutes. On several GPUs:
    torchrun --no-python --nproc-per-node 8 mc train-vae ...
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.workflows.train_vae import settings_of, train_model

    settings, elbo = settings_of(
        preset,
        beta=beta,
        free_bits=free_bits,
        steps=steps,
        time_budget_seconds=time_budget,
        batch_size=batch_size,
        learning_rate=learning_rate,
        precision=precision,
        seed=seed,
    )
    with resume_hint(), training_bar() as bar:
        measured = train_model(
            melodies,
            output,
            preset,
            settings,
            elbo,
            start_from=start_from,
            device=device,
            resume=resume,
            notes=notes.read() if notes else "",
            callback=TrainingDisplay(bar, _line),
            announce=bar.console.print,
        )
    if not measured:  # not the first of several processes
        return
    if as_json:
        print_json(measured)
    else:
        _print(measured)
    stderr_console().print(
        f"model in {output}; learning curves in {output / 'learning-curves.png'}"
    )


def _line(point: Metrics) -> str:
    if "held_out_form" in point:
        codes, form = point["held_out_codes"], point["held_out_form"]
        return f"{codes + point['held_out_tokens']:.1f} nats a bar; form {form:.1f} nats"
    if "free_running" not in point:
        return f"{point['held_out_reconstruction']:.1f} nats a bar; KL {point['held_out_kl']:.1f}"
    return (
        f"right: {point['teacher_forced']:.3f} teacher-forced, {point['free_running']:.3f} "
        f"free-running; KL {point['kl']:.0f} nats"
    )


def _print(measured: dict[str, Metrics]) -> None:
    names = list(next(iter(measured.values())))
    rows = [
        [name.replace("_", " "), *(f"{values[name]:.3f}" for values in measured.values())]
        for name in names
    ]
    print_table(["held-out melodies", *measured], rows)
