"""Pictures of what ``constraints.py`` measures: the trade-off, and the curves of trainings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw_tradeoff(points: Sequence[tuple[float, float, float, float, float]], path: Path) -> None:
    """Reward and satisfaction against latent distance and against realism.

    Args:
        points: lambda_dist, mean reward, share satisfied, z_MSE and overlapping area with held-out
            melodies, one for each actor of a sweep.
    """
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    by_distance, by_realism = figure.subplots(1, 2)
    for axes, place in ((by_distance, 3), (by_realism, 4)):
        where = [point[place] for point in points]
        for column, label in ((1, "mean reward"), (2, "share satisfied")):
            values = [point[column] for point in points]
            axes.plot(where, values, marker="o", ms=4, lw=1.3, label=label)
        for point, x in zip(points, where, strict=True):
            axes.annotate(
                f"{point[0]:g}",
                (x, point[2]),
                textcoords="offset points",
                xytext=(0, -12),
                ha="center",
                fontsize=8,
            )
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, frameon=False)
    by_distance.set_title("each point an actor, with its lambda_dist", fontsize=10, loc="left")
    by_distance.set_xlabel("z_MSE", fontsize=8)
    by_realism.set_xlabel("overlapping area with held-out melodies", fontsize=8)
    figure.savefig(path, dpi=110)


def draw_curves(folder: Path, rules: Sequence[str], picture: Path) -> None:
    """Mean reward of each rule and the share that satisfies all that is learned, over time.

    The default learns, beside the rules, that melodies be typical.

    Args:
        folder: folder with a file for each training, a line a round, as ``constraints.py curves``
            writes them.
        rules: specifications of the rules, in the order of the rewards.
        picture: PNG file to write.
    """
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    panels = figure.subplots(1, len(rules) + 1, sharex=True)
    for path in sorted(folder.glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        means = np.array([[*line["rewards"], line["all"]] for line in lines])
        width = max(1, len(lines) // 100)
        seconds = np.array([line["seconds"] for line in lines])[width - 1 :]
        for axes, values in zip(panels, means.T, strict=True):
            smooth = np.convolve(values, np.ones(width) / width, "valid")
            axes.plot(seconds, smooth, lw=1.3, label=f"preset {path.stem}")
    titles = [f"mean reward, {rule}" for rule in rules] + ["share that satisfies all of it"]
    for axes, title in zip(panels, titles, strict=True):
        axes.set(title=title, xlabel="seconds of processor time", xscale="log", ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, frameon=False)
    figure.savefig(picture, dpi=110)
