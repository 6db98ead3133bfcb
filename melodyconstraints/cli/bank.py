"""``mc bank``."""

from __future__ import annotations

from pathlib import Path

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    model_option,
    print_json,
    progress_bar,
    stderr_console,
)


@click.command("bank")
@model_option
@click.option(
    "--data", type=FOLDER, required=True, help="Melody store that the model was trained on."
)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@json_option
def command(model_folder: Path | None, data: Path, device: str, as_json: bool) -> None:
    """Decode melodies of a model and store them in its folder, as mc train-vae does at its end.

    \b
    mc bank --model models/mine --data melodies/

    On them, mc rules check tries a rule. Without a bank they are decoded when they are needed.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.vae.folders import check_device
    from melodyconstraints.workflows.bank import write_bank

    check_device(device)
    with progress_bar("melodies decoded") as bar:
        task = bar.add_task("", total=None)
        bank = write_bank(
            model_folder,
            data,
            device=device,
            callback=lambda done, total: bar.update(task, completed=done, total=total),
        )
    encodings = 0 if bank.encodings is None else len(bank.encodings)
    if as_json:
        print_json(
            {"points": len(bank.points), "encodings": encodings, "temperature": bank.temperature}
        )
    stderr_console().print(
        f"{len(bank.points):,} melodies of the prior, {encodings:,} of encodings"
    )
