"""Cards of image models, classifiers, actors and captioners: the README.md of each folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from melodyconstraints.datasets.images.labelled_images import ImageData
from melodyconstraints.storage.cards import markdown_table


def image_card(
    title: str,
    summary: str,
    data: ImageData,
    settings: Mapping[str, Any],
    metrics: Mapping[str, str] | None = None,
) -> str:
    """Markdown that describes a trained folder, its images, its settings and its quality.

    Args:
        data: images that it was trained and measured on.
        settings: every setting of the training, by its name.
        metrics: values measured on the test images, by their names, if there are any.
    """
    train = data.train
    lines = [f"# {title}", "", summary, ""]
    if metrics:
        lines += [f"## Measured on {len(data.test):,} images that the training did not see", ""]
        lines += [*markdown_table(["measure", "value"], metrics.items()), ""]
    lines += ["## Images", "", f"`{train.source}`: {len(train):,} to train on.", ""]
    lines += [*markdown_table(["file", "SHA-256"], train.checksums.items()), ""]
    lines += ["## Settings", ""]
    lines += markdown_table(["setting", "value"], [[k, str(v)] for k, v in settings.items()])
    return "\n".join([*lines, ""])
