"""Piano rolls in the manner of the paper's Figure 6: time across, pitch up, bar lines."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.units import STEPS, STEPS_PER_BAR

INSIDE, OUTSIDE = "#1f4e79", "#d62728"
_BAR_LINE, _FOUR_BAR_LINE = "#e6e6e6", "#b0b0b0"
_MARGIN_SEMITONES = 2
_MIN_SPAN_SEMITONES = 24
ROLLS_PER_PICTURE = 16


def draw_piano_roll(
    axes: Axes,
    melody: Melody,
    *,
    pitch_classes: Collection[int] | None = None,
    other: Melody | None = None,
) -> None:
    """Draw one melody; notes outside ``pitch_classes`` are red.

    Args:
        other: a melody to compare with: notes that it does not have, pitch and step, are red too,
            and the pitches shown are those of both, so that the two can stand side by side.
    """
    for step in range(0, STEPS + 1, STEPS_PER_BAR):
        whole = step % (4 * STEPS_PER_BAR) == 0
        axes.axvline(step, color=_FOUR_BAR_LINE if whole else _BAR_LINE, lw=0.8, zorder=0)
    for octave in range(0, 128, 12):
        axes.axhline(octave - 0.5, color=_BAR_LINE, lw=0.6, zorder=0)
    allowed = range(12) if pitch_classes is None else pitch_classes
    agreeing = melody.events == (melody if other is None else other).events
    colors = [
        INSIDE if pitch % 12 in allowed and agreeing[onset] else OUTSIDE
        for onset, pitch in zip(melody.onsets.tolist(), melody.pitches.tolist(), strict=True)
    ]
    axes.barh(
        melody.pitches,
        melody.durations - 0.15,
        left=melody.onsets,
        height=0.9,
        color=colors,
        edgecolor="none",
    )
    axes.set_xlim(0, STEPS)
    axes.set_xticks(range(0, STEPS, 4 * STEPS_PER_BAR), [f"bar {bar}" for bar in (1, 5, 9, 13)])
    axes.set_ylim(*_pitch_limits([melody] if other is None else [melody, other]))
    octaves = [
        pitch for pitch in range(0, 128, 12) if axes.get_ylim()[0] < pitch < axes.get_ylim()[1]
    ]
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.tick_params(length=0, labelsize=7)
    for spine in axes.spines.values():
        spine.set_color(_FOUR_BAR_LINE)


def plot_melodies(
    melodies: Melodies | Sequence[Melody],
    path: Path,
    *,
    titles: Sequence[str] | None = None,
    pitch_classes: Collection[int] | None = None,
    others: Sequence[Melody | None] | None = None,
    columns: int = 2,
) -> list[Path]:
    """Write piano rolls, ``columns`` side by side, at most 16 to a picture.

    Args:
        others: for each melody one to compare it with, or None; see :func:`draw_piano_roll`.

    Returns:
        The pictures: ``path`` itself, or ``path`` with -001, -002, ... before its suffix.
    """
    whole = list(melodies)
    starts = range(0, max(len(whole), 1), ROLLS_PER_PICTURE)
    paths = [path]
    if len(starts) > 1:
        paths = [path.with_stem(f"{path.stem}-{page + 1:03d}") for page in range(len(starts))]
    for start, page in zip(starts, paths, strict=True):
        part = slice(start, start + ROLLS_PER_PICTURE)
        _plot_page(
            whole[part],
            page,
            titles[part] if titles else None,
            pitch_classes,
            others[part] if others else [None] * len(whole[part]),
            columns,
        )
    return paths


def _plot_page(
    melodies: Sequence[Melody],
    path: Path,
    titles: Sequence[str] | None,
    pitch_classes: Collection[int] | None,
    others: Sequence[Melody | None],
    columns: int,
) -> None:
    columns = min(columns, max(len(melodies), 1))
    rows = max(-(-len(melodies) // columns), 1)
    figure = Figure(figsize=(6.4 * columns, 1.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for index, axes in enumerate(grid):
        if index >= len(melodies):
            axes.set_axis_off()
            continue
        draw_piano_roll(axes, melodies[index], pitch_classes=pitch_classes, other=others[index])
        if titles:
            axes.set_title(titles[index], fontsize=8, loc="left", parse_math=False)
    figure.savefig(path, dpi=110)


def piano_roll_png(melody: Melody) -> bytes:
    """One melody as the bytes of a PNG."""
    figure = Figure(figsize=(7, 1.9), layout="constrained")
    draw_piano_roll(figure.subplots(), melody)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _pitch_limits(melodies: Sequence[Melody]) -> tuple[float, float]:
    pitches = np.concatenate([melody.pitches for melody in melodies])
    if not len(pitches):
        return 48, 48 + _MIN_SPAN_SEMITONES
    low, high = int(pitches.min()), int(pitches.max())
    missing = max(_MIN_SPAN_SEMITONES - (high - low), 2 * _MARGIN_SEMITONES)
    return low - missing / 2 - 0.5, high + missing / 2 + 0.5
