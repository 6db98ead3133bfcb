"""The paper's figures of images, for any model, data and actors: ``mc images figures``.

Columns of faces are the labels of the paper's Table 3; of other data, their own labels in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from melodyconstraints.datasets.images.labelled_images import LabelledImages
from melodyconstraints.errors import UsageError
from melodyconstraints.images.actor import ImageActor, prior_points
from melodyconstraints.images.grids import draw_critic_maps, draw_grid, draw_posterior_scales
from melodyconstraints.images.model import ImageVAE, as_pixels
from melodyconstraints.storage.arguments import DEFAULT_SEED
from melodyconstraints.workflows.images.image_data import check_names, tensors
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
"""Steps of a search after which its images are shown (Figure 9)."""
TRANSFORMED = 8
"""Test images that are transformed, one a row."""


@dataclass(frozen=True)
class Figures:
    """Models and actors whose figures are drawn.

    Args:
        models: models by their titles; see :func:`model_titles`.
        realism: an actor without labels, drawn beside the models' samples.
        actors: actors with labels, by their folders.
        search: folder and critics of the method ``gradient``.

    Raises:
        UsageError: an actor of the wrong kind, or two whose pictures would have one name.
    """

    models: Mapping[str, ImageVAE] = field(default_factory=dict)
    realism: ImageActor | None = None
    actors: Mapping[Path, ImageActor] = field(default_factory=dict)
    search: tuple[Path, ImageActor] | None = None

    def __post_init__(self) -> None:
        if self.realism and self.realism.names:
            known = ", ".join(self.realism.names)
            raise UsageError(f"--realism needs one of --realism-only; this one knows {known}")
        for folder, actor in self.actors.items():
            if not actor.names:
                raise UsageError(f"{folder} knows no labels; give it by --realism, with a --model")
        if self.search and (method := self.search[1].method) != "gradient":
            raise UsageError(
                f"--search needs an actor of --method gradient; this one is of {method}"
            )
        names = [_name(folder) for folder in self.labelled]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UsageError(
                f"several actors are in folders called {twice[0]}, so that their pictures would "
                "have one name; draw one at a time, each into an OUTPUT of its own"
            )

    @property
    def labelled(self) -> dict[Path, ImageActor]:
        """Actors and critics of labels, by their folders."""
        return {**self.actors, **dict([self.search] if self.search else [])}

    @property
    def all_models(self) -> list[ImageVAE]:
        """Models, and those of the actors."""
        actors = [*self.labelled.values(), *([self.realism] if self.realism else [])]
        return [*self.models.values(), *(actor.model for actor in actors)]

    def draw(
        self,
        data: LabelledImages,
        output: Path,
        *,
        seed: int = DEFAULT_SEED,
        callback: Callable[[str, int, int], object] | None = None,
    ) -> list[Path]:
        """Draw all figures into a folder; returns the pictures' paths.

        Args:
            data: test images as large as the models make them.
            callback: called before each picture with the name of its file, how many are drawn,
                and how many there are.

        Raises:
            UsageError: an actor knows other labels than the data has.
        """
        for folder, actor in self.labelled.items():
            check_names(f"the actor {folder}", actor.names, data)
        output.mkdir(parents=True, exist_ok=True)
        pictures = self._pictures(*tensors(data), seed)
        drawn: list[Path] = []
        for name, draw in pictures.items():
            path = output / f"{name}.png"
            if callback:
                callback(path.name, len(drawn), len(pictures))
            draw(path)
            drawn.append(path)
        return drawn

    def _pictures(
        self, images: Tensor, labels: Tensor, seed: int
    ) -> dict[str, Callable[[Path], None]]:
        """Functions that draw pictures to a path, by the names of these, in their order."""
        some = images[:TRANSFORMED], labels[:TRANSFORMED]
        pictures: dict[str, Callable[[Path], None]] = {}
        if self.models:
            scales = {title: model.sigma_bar for title, model in self.models.items()}
            pictures["samples"] = lambda path: draw_samples(
                self.models, self.realism, images, path, seed=seed
            )
            pictures["posterior-scales"] = partial(draw_posterior_scales, scales)
        for folder, actor in self.actors.items():
            pictures[f"labels-{_name(folder)}"] = partial(draw_conditional, actor, seed=seed)
            if actor.actor is not None:
                pictures[f"transformed-{_name(folder)}"] = partial(
                    draw_transformations, actor, *some
                )
        if self.search:
            folder, critics = self.search
            pictures["critic-map"] = partial(draw_realism_maps, critics, images, seed=seed)
            if critics.names:
                pictures[f"transformed-{_name(folder)}"] = partial(
                    draw_transformations, critics, *some
                )
                pictures["search-from-prior"] = partial(draw_search, critics, some[1], seed=seed)
        return pictures


def model_titles(models: Mapping[Path, ImageVAE]) -> dict[str, ImageVAE]:
    """Models by their sigma_x; if several have the same, by their folders."""
    titles = {f"sigma_x {model.config.sigma_x:g}": model for model in models.values()}
    if len(titles) == len(models):
        return titles
    return {str(folder): model for folder, model in models.items()}


def _name(folder: Path) -> str:
    return folder.absolute().name


def columns(names: Sequence[str], *, exclusive: bool) -> tuple[list[str], Tensor]:
    """Titles of columns, and the labels ``(columns, Y)`` of each.

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
    seed: int = DEFAULT_SEED,
) -> None:
    """Draw data, each model's reconstructions and prior samples, an actor's samples (Figure 2).

    Args:
        models: models by their titles, such as ``sigma_x 0.1``.
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


def draw_realism_maps(
    critics: ImageActor, images: Tensor, path: Path, *, seed: int = DEFAULT_SEED
) -> None:
    """Draw the realism critic around a prior sample and around a held-out image (Figure 3)."""
    held_out = critics.model.encode(images[:1]).mean[0]
    points = {
        "around a prior sample": prior_points(critics.model, 1, seed)[0],
        "around a held-out image": held_out,
    }
    draw_critic_maps(critics.model, critics.critic, points, path)


def draw_conditional(
    actor: ImageActor, path: Path, *, count: int = 8, seed: int = DEFAULT_SEED, title: str = ""
) -> None:
    """Draw a row for each prior sample, a column for each label set (Figures 4, 7, 8, 14, 15)."""
    names, labels = columns(actor.names, exclusive=actor.exclusive)
    z = prior_points(actor.model, count, seed)
    y = labels.repeat(count, 1)
    generated = actor.model.decode(actor.shift(z.repeat_interleave(len(labels), 0), y, seed=seed))
    rows = list(generated.split(len(labels)))
    draw_grid(rows, path, column_names=names, title=title)


def draw_transformations(
    actor: ImageActor, images: Tensor, labels: Tensor, path: Path, *, title: str = ""
) -> None:
    """Draw a row for each image, a column for each label, black if it holds (Figures 5, 10)."""
    rows = []
    for image, own in zip(images, labels, strict=True):
        if actor.exclusive:
            wanted = torch.eye(len(own))
        else:
            wanted = own.repeat(len(own), 1)
            wanted.fill_diagonal_(1.0)
        result = transform(actor, image.expand(len(wanted), -1, -1, -1), wanted)
        transformed = result.transformed.clone()
        transformed[(wanted == own).all(-1)] = 0
        original = as_pixels(image)[None].to(transformed.device)
        rows.append(torch.cat([original, result.reconstructed[:1], transformed]))
    names = ["image", "reconstruction", *(name.replace("_", " ") for name in actor.names)]
    draw_grid(rows, path, column_names=names, title=title)


def draw_search(
    actor: ImageActor, labels: Tensor, path: Path, *, seed: int = DEFAULT_SEED
) -> None:
    """Draw stages of a search from prior samples to labels ``(B, Y)`` of data (Figure 9)."""
    z = prior_points(actor.model, len(labels), seed)
    stages = [transform_points(actor, z, labels, steps=steps).transformed for steps in STEPS]
    rows = list(torch.stack(stages, 1))
    draw_grid(rows, path, column_names=[f"{steps} steps" for steps in STEPS])
