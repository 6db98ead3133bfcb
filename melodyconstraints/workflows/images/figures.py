"""The paper's figures of images, for any model, data and actors.

Columns of faces are the labels of the paper's Table 3; of other data, their own labels in turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from melodyconstraints.images.actor import ImageActor, prior_points
from melodyconstraints.images.grids import draw_critic_maps, draw_grid
from melodyconstraints.images.model import ImageVAE, as_pixels
from melodyconstraints.workflows.images.transform import transform, transform_points

_SMILING_YOUNG = {"Smiling", "Young"}
TABLE_3: dict[str, set[str]] = {
    "Blond Hair": {"Blond_Hair", *_SMILING_YOUNG},
    "Brown Hair": {"Brown_Hair", *_SMILING_YOUNG},
    "Black Hair": {"Black_Hair", *_SMILING_YOUNG},
    "Male": {"Black_Hair", "Male", *_SMILING_YOUNG},
    "Facial Hair": {"Black_Hair", "Male", "Facial_Hair", *_SMILING_YOUNG},
    "Eyeglasses": {"Black_Hair", "Eyeglasses", "Male", "Facial_Hair", *_SMILING_YOUNG},
    "Bald": {"Bald", "Male", "Facial_Hair", *_SMILING_YOUNG},
    "Aged": {"Bald", "Male", "Facial_Hair"},
}
"""Columns of the paper's grids of faces, and the attributes that hold in each."""
STEPS = (0, 10, 30, 50, 100)
"""Of a search, after which its images are shown (Figure 9)."""


def columns(names: Sequence[str], *, exclusive: bool) -> tuple[list[str], Tensor]:
    """Names of columns, and the labels ``(columns, Y)`` of each.

    >>> columns(["0", "1"], exclusive=True)[1]
    tensor([[1., 0.],
            [0., 1.]])
    """
    used = set().union(*TABLE_3.values())
    if not exclusive and used <= set(names):
        rows = [[float(name in held) for name in names] for held in TABLE_3.values()]
        return list(TABLE_3), torch.tensor(rows)
    return list(names), torch.eye(len(names))


def draw_samples(
    models: Mapping[str, ImageVAE],
    realism: ImageActor | None,
    images: Tensor,
    path: Path,
    *,
    count: int = 10,
    seed: int = 1,
) -> None:
    """Data, each model's reconstructions and prior samples, samples of an actor (Figure 2).

    Args:
        models: by what is said of them, such as ``sigma_x 0.1``.
        realism: an actor without labels, of one of the models.
    """
    shown = images[:count]
    rows, names = [as_pixels(shown)], ["data"]
    for name, model in models.items():
        rows.append(model.decode(model.encode(shown).mean))
        names.append(f"reconstruction\n{name}")
    for name, model in models.items():
        rows.append(model.decode(prior_points(model, count, seed)))
        names.append(f"prior\n{name}")
    if realism is not None:
        rows.append(realism.generate(n=count, seed=seed))
        names.append("prior, made\nrealistic")
    draw_grid(rows, path, row_names=names)


def draw_realism_maps(critics: ImageActor, images: Tensor, path: Path, *, seed: int = 1) -> None:
    """The realism critic around a prior sample and around a held-out image (Figure 3)."""
    held_out = critics.model.encode(images[:1]).mean[0]
    points = {
        "around a prior sample": prior_points(critics.model, 1, seed)[0],
        "around a held-out image": held_out,
    }
    draw_critic_maps(critics.model, critics.critic, points, path)


def draw_conditional(
    actor: ImageActor, path: Path, *, count: int = 8, seed: int = 1, title: str = ""
) -> None:
    """A prior sample a row, a set of labels a column (Figures 4, 7, 8, 14 and 15)."""
    names, labels = columns(actor.names, exclusive=actor.exclusive)
    z = prior_points(actor.model, count, seed)
    y = labels.repeat(count, 1)
    made = actor.model.decode(actor.shift(z.repeat_interleave(len(labels), 0), y, seed=seed))
    rows = list(made.split(len(labels)))
    draw_grid(rows, path, column_names=names, title=title)


def draw_transformations(
    actor: ImageActor, images: Tensor, labels: Tensor, path: Path, *, title: str = ""
) -> None:
    """An image a row, a changed label a column, black where it is so already (Figures 5, 10)."""
    rows = []
    for image, own in zip(images, labels, strict=True):
        if actor.exclusive:
            wanted = torch.eye(len(own))
        else:
            wanted = own.repeat(len(own), 1)
            wanted.fill_diagonal_(1.0)
        result = transform(actor, image.expand(len(wanted), -1, -1, -1), wanted)
        made = result.transformed.clone()
        made[(wanted == own).all(-1)] = 0
        original = as_pixels(image)[None].to(made.device)
        rows.append(torch.cat([original, result.reconstructed[:1], made]))
    names = ["image", "reconstruction", *(name.replace("_", " ") for name in actor.names)]
    draw_grid(rows, path, column_names=names, title=title)


def draw_search(
    actor: ImageActor, labels: Tensor, path: Path, *, seed: int = 1, title: str = ""
) -> None:
    """Prior samples on their way to labels ``(B, Y)`` of data (Figure 9)."""
    z = prior_points(actor.model, len(labels), seed)
    stages = [transform_points(actor, z, labels, steps=steps).transformed for steps in STEPS]
    rows = list(torch.stack(stages, 1))
    draw_grid(rows, path, column_names=[f"{steps} steps" for steps in STEPS], title=title)
