"""Pictures of trainings: of an actor-critic pair (the paper's Figure 11) and of a VAE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from melodyconstraints.latent.pair import RoundRecord
from melodyconstraints.storage.text import printable


def plot_actor_critic(records: Sequence[RoundRecord], names: Sequence[str], path: Path) -> None:
    """Plot losses, rewards, satisfaction and distance against rounds, where they were measured.

    Without any of these there is no picture.

    Args:
        names: names of the rewards, in the order of the records.
    """
    satisfied = {name: [r.satisfied[i] for r in records] for i, name in enumerate(names)}
    if len(names) > 1:
        satisfied["all"] = [record.all_satisfied for record in records]
    panels = {
        "losses": {
            "critic D, cross-entropy": [record.critic_loss for record in records],
            "actor G, -log D(G(z))": [record.actor_loss for record in records],
        },
        "mean reward of decoded G(z)": {
            name: [record.rewards[i] for record in records] for i, name in enumerate(names)
        },
        "distance penalty": {"L_dist(G(z), z)": [record.distance for record in records]},
        "share satisfied": satisfied,
    }
    rounds = [record.round + 1 for record in records]
    drawn = {title: lines for title, lines in panels.items() if _measured(lines)}
    if not drawn:
        return
    figure = Figure(figsize=(11, 3 * -(-len(drawn) // 2)), layout="constrained")
    every = figure.subplots(-(-len(drawn) // 2), 2, squeeze=False).ravel()
    for axes, (title, lines) in zip(every, drawn.items(), strict=False):
        for label, values in _measured(lines).items():
            _curve(axes, rounds, values, label)
        _finish(axes, title, "round")
    for axes in every[len(drawn) :]:
        axes.remove()
    figure.savefig(path, dpi=110)


def _measured(lines: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """The lines that have a value other than NaN."""
    return {label: values for label, values in lines.items() if any(v == v for v in values)}


def plot_learning_curves(
    curves: Sequence[Mapping[str, float]], path: Path, panels: Mapping[str, Sequence[str]]
) -> None:
    """Plot measurements against training steps.

    Args:
        panels: names of the measurements in each panel, by its title; those that were not made
            are left out, and shares go from 0 to 1.
    """
    steps = [point["step"] for point in curves]
    drawn = {
        title: measured
        for title, names in panels.items()
        if (measured := [name for name in names if all(name in point for point in curves)])
    }
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    every = figure.subplots(1, max(len(drawn), 1), squeeze=False)[0]
    for axes, (title, measured) in zip(every, drawn.items(), strict=False):
        for name in measured:
            _curve(axes, steps, [point[name] for point in curves], name.replace("_", " "))
        if all(0 <= point[name] <= 1 for point in curves for name in measured):
            axes.set_ylim(0, 1)
        _finish(axes, title, "step")
    figure.savefig(path, dpi=110)


def _curve(axes: Axes, x: Sequence[float], y: Sequence[float], label: str) -> None:
    shown = [(a, b) for a, b in zip(x, y, strict=True) if b == b]
    axes.plot(
        [a for a, _ in shown],
        [b for _, b in shown],
        label=printable(label).replace("$", r"\$"),
        lw=1.3,
    )


def _finish(axes: Axes, title: str, x_label: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(x_label, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False)
