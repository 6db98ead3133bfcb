"""``mc images train-captions``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from melodyconstraints.cli._common import (
    FOLDER,
    json_option,
    print_json,
    print_table,
    seed_option,
    stderr_console,
)
from melodyconstraints.cli._output import overwrite_option
from melodyconstraints.cli._training import TrainingDisplay, training_bar
from melodyconstraints.cli.images._common import DataChoice, data_options, model_option

SHOWN = 5
"""Test images whose captions are shown."""


@click.command("train-captions")
@data_options
@click.option("-o", "--output", type=FOLDER, required=True, help="Captioner folder to make.")
@model_option
@click.option(
    "--captions",
    "table",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV of file,caption.  [default: those of DATA, else made from its labels]",
)
@click.option("--steps", type=click.IntRange(1), default=600, show_default=True)
@seed_option
@overwrite_option
@json_option
def command(
    choice: DataChoice,
    output: Path,
    model_folder: Path | None,
    table: Path | None,
    steps: int,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train a network to read captions in a model's latent points, for generate --caption.

    \b
    mc images train-captions digits -o captioners/digits

    Without captions in DATA or a CSV they are made from the labels, such as "a smiling young
    woman with blond hair" or "the digit seven".
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.images.captions import KIND, TRAINING
    from melodyconstraints.images.checkpoint import load_model
    from melodyconstraints.storage.artifacts import check_free
    from melodyconstraints.workflows.images.train_captions import train_captions_folder

    check_free(output, KIND, overwrite=overwrite)
    with training_bar() as bar:
        model = load_model(model_folder)
        captioned = train_captions_folder(
            choice.read_for([model], bar.console.print),
            model,
            output,
            replace(TRAINING, steps=steps, seed=seed),
            table=table,
            overwrite=overwrite,
            callback=TrainingDisplay(bar, lambda point: "", digits=2),
        )
    pairs = captioned.pairs
    if as_json:
        print_json({"exact": captioned.exact, "pairs": pairs})
    else:
        columns = ["caption of a test image", "read in its point"]
        print_table(columns, pairs[:SHOWN], text_columns=2)
    stderr_console().print(f"{captioned.exact:.1%} of the first {len(pairs)} are read to the word")
    stderr_console().print(
        f"captioner in {output}; see it with: "
        f'mc images generate --captioner {output} --caption "{captioned.example}"',
        soft_wrap=True,
    )
