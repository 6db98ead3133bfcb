"""The model card: data, settings and measured quality of a melody model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from melodyconstraints.storage.cards import markdown_table


def model_card(
    *,
    kind: str,
    preset: str,
    parameters: int,
    data: Mapping[str, int],
    settings: Mapping[str, Any],
    minutes: float,
    steps: int,
    measured: Mapping[str, Mapping[str, float]],
    notes: str = "",
) -> str:
    """Markdown that describes a model: its data, settings and measured quality.

    Args:
        kind: kind of model, such as "staff generator".
        data: number of training melodies by collection.
        settings: values of the settings by name.
        minutes: time of training.
        measured: quality on each held-out split.
        notes: Markdown on where the data is from, its licences, how to make the model again.
    """
    return "\n".join(
        [
            f"# Melody model, preset `{preset}`",
            "",
            f"A {kind} of 16-bar melodies with {parameters:,} parameters, "
            f"trained for {steps:,} steps in {minutes:.0f} minutes.",
            "",
            "## Measured on melodies of files that the training did not see",
            "",
            *markdown_table(["", *measured], _transposed(measured)),
            "",
            "## Training melodies by collection",
            "",
            *markdown_table(["collection", "melodies"], [[k, f"{v:,}"] for k, v in data.items()]),
            "",
            "## Settings",
            "",
            *markdown_table(["setting", "value"], [[k, str(v)] for k, v in settings.items()]),
            "",
            *notes.splitlines(),
            "",
        ]
    )


def _transposed(measured: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    names = list(next(iter(measured.values())))
    return [
        [name.replace("_", " "), *(f"{values[name]:.3f}" for values in measured.values())]
        for name in names
    ]
