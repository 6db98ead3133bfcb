"""Pictures: grids of images with names of rows and columns, maps of critics, posterior scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from melodyconstraints.images.model import ImageVAE, as_pixels
from melodyconstraints.latent.protocols import CriticFunction
from melodyconstraints.storage.text import printable_lines

CELL_INCHES = 0.8
_FILLED = 0.95
"""Share of a cell's side that its image fills."""
_MARGIN_INCHES = 0.04
"""Around all that is drawn, names included."""
MAP_SIDE = 61
"""Points along each side of a critic's map."""
DPI, MAP_DPI = 150, 130
"""Resolutions of a grid and of the other pictures: readable on a page, below a megabyte."""


def draw_grid(
    rows: Sequence[Tensor],
    path: Path,
    *,
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    title: str = "",
) -> None:
    """Write rows of images ``(B, C, H, W)`` as one picture; pixels that are NaN become black.

    Args:
        row_names, column_names: names of the first rows and columns; more than there are of these
            are left out.
    """
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(columns * CELL_INCHES, len(rows) * CELL_INCHES))
    axes = figure.add_axes((0, 0, 1, 1))
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            show(axes, image, (column, row))
    axes.set(xlim=(0, columns), ylim=(len(rows), 0), frame_on=False)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    for axis, names, count in (
        (axes.xaxis, column_names, columns),
        (axes.yaxis, row_names, len(rows)),
    ):
        labels = [printable_lines(name) for name in names[:count]]
        axis.set_ticks(np.arange(len(labels)) + 0.5, labels, fontsize=7, parse_math=False)
    if title:
        axes.set_title(printable_lines(title), fontsize=9, parse_math=False)
    figure.savefig(path, dpi=DPI, bbox_inches="tight", pad_inches=_MARGIN_INCHES)


def show(axes: Axes, image: Tensor, cell: tuple[int, int] | None = None) -> None:
    """Draw one image ``(C, H, W)``, grey or in colour.

    Args:
        cell: column and row of a square of side 1, from the top, that it fills but for a margin,
            with a frame; the whole axes if None.
    """
    pixels = _for_display(image)
    extent = None
    if cell is not None:
        high, wide = (_FILLED * side / max(pixels.shape[:2]) for side in pixels.shape[:2])
        left, top = cell[0] + (1 - wide) / 2, cell[1] + (1 - high) / 2
        extent = (left, left + wide, top + high, top)
        axes.add_patch(Rectangle((left, top), wide, high, fill=False, edgecolor="0.7", lw=0.6))
    axes.imshow(
        pixels,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=extent,
        aspect="equal" if cell is None else "auto",
    )


def _for_display(image: Tensor) -> NDArray[np.float32]:
    pixels = torch.nan_to_num(as_pixels(image)).clamp(0, 1).movedim(0, -1).cpu().numpy()
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def save_images(images: Tensor, paths: Sequence[Path]) -> None:
    """Write each of ``(B, C, H, W)`` images in [0, 1] to a file of its own."""
    from PIL import Image

    for image, path in zip(images, paths, strict=True):
        pixels = (_for_display(image) * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(path)


def draw_critic_maps(
    model: ImageVAE,
    critic: CriticFunction,
    points: Mapping[str, Tensor],
    path: Path,
    *,
    reach: float = 3.0,
) -> None:
    """Draw the critic's value over the two dimensions of z of least ``sigma_bar`` (Figure 3).

    All other dimensions keep their values of each point. Beside each map are the images of the
    point, and of the highest and the lowest value in the map.

    Args:
        points: ``(Z,)`` point of each map, by the map's title.
        reach: largest coordinate of the map, to each side of the origin.
    """
    first, second = (int(axis) for axis in model.sigma_bar.argsort()[:2])
    figure = Figure(figsize=(5.2 * len(points), 3.6), layout="constrained")
    parts = figure.subfigures(1, len(points), squeeze=False)[0]
    along = torch.linspace(-reach, reach, MAP_SIDE)
    for part, (name, point) in zip(parts, points.items(), strict=True):
        plane = point.repeat(MAP_SIDE * MAP_SIDE, 1)
        plane[:, first] = along.repeat(MAP_SIDE)
        plane[:, second] = along.repeat_interleave(MAP_SIDE)
        with torch.no_grad():
            values = critic(plane, None)[:, -1].sigmoid()
        places = torch.stack([point, plane[values.argmax()], plane[values.argmin()]])
        grid = part.subplot_mosaic([["map", "0"], ["map", "1"], ["map", "2"]], width_ratios=[3, 1])
        filled = grid["map"].contourf(
            along,
            along,
            values.reshape(MAP_SIDE, MAP_SIDE).cpu().numpy(),
            levels=12,
            cmap="viridis",
        )
        part.colorbar(filled, ax=grid["map"], shrink=0.7)
        for number, (mark, place, image) in enumerate(
            zip("sx+", places, model.decode(places), strict=True)
        ):
            at = (float(place[first]), float(place[second]))
            grid["map"].plot(*at, mark, color="tab:orange", ms=8, mew=2)
            show(grid[str(number)], image)
            grid[str(number)].axis("off")
            grid[str(number)].set_title(("the point", "best", "worst")[number], fontsize=7)
        grid["map"].set_title(printable_lines(name), fontsize=9)
        grid["map"].set_xlabel(f"z[{first}]", fontsize=8)
        grid["map"].set_ylabel(f"z[{second}]", fontsize=8)
    figure.savefig(path, dpi=MAP_DPI)


def draw_posterior_scales(scales: Mapping[str, Tensor], path: Path) -> None:
    """Draw ``sigma_bar`` of models by their titles, each sorted from the lowest (Figure 16)."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, scale in scales.items():
        axes.plot(np.sort(scale.cpu().numpy()), label=printable_lines(name), lw=1.3)
    axes.set_xlabel("dimension of z, from the lowest scale")
    axes.set_ylabel("mean posterior scale")
    axes.set_ylim(0, None)
    axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=MAP_DPI)
