"""Piano rolls in the manner of the paper's Figure 6: time across, pitch up, bar lines."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.units import STEPS, STEPS_PER_BAR
from melodyconstraints.storage.files import write_atomically

INSIDE, OUTSIDE = "#1f4e79", "#d62728"
_BAR_LINE, _FOUR_BAR_LINE = "#e6e6e6", "#b0b0b0"
_MARGIN_SEMITONES = 2
_MIN_SPAN_SEMITONES = 24
_EDGE_POINTS, _HALF_HEIGHT = 0.5, 0.5
_ROLL_INCHES, _ALONE_INCHES = (6.4, 1.7), (7.0, 1.9)
_MARGIN_INCHES = (0.3, 0.2, 0.1, 0.24)
"""Left, below, right and above a roll."""
ROLLS_PER_PICTURE = 16


def draw_piano_roll(
    axes: Axes,
    melody: Melody,
    *,
    pitch_classes: Collection[int] | None = None,
    other: Melody | None = None,
    beside: Sequence[Melody] = (),
) -> None:
    """Draw one melody; notes outside ``pitch_classes`` are red.

    Args:
        beside: melodies whose pitches are shown as well, so that all can stand side by side.
        other: a melody to compare with: notes that it does not have, pitch and step, are red too,
            and it stands beside this one.
    """
    low, high = _pitch_limits([melody, *beside] if other is None else [melody, other, *beside])
    octaves = [pitch for pitch in range(0, 128, 12) if low < pitch < high]
    axes.add_collection(_grid(low, high, octaves), autolim=False)
    allowed = range(12) if pitch_classes is None else pitch_classes
    agreeing = melody.events == (melody if other is None else other).events
    colors = [
        INSIDE if pitch % 12 in allowed and agreeing[onset] else OUTSIDE
        for onset, pitch in zip(melody.onsets.tolist(), melody.pitches.tolist(), strict=True)
    ]
    # One collection: a patch a note takes matplotlib a millisecond each. Edges in the colour of
    # the paper tell repeated notes apart at any size.
    notes = PolyCollection(
        list(_rectangles(melody)),
        facecolors=colors,
        edgecolors=axes.get_facecolor(),
        linewidths=_EDGE_POINTS,
    )
    axes.add_collection(notes, autolim=False)
    axes.set_xlim(0, STEPS)
    axes.set_xticks(range(0, STEPS, 4 * STEPS_PER_BAR), [f"bar {bar}" for bar in (1, 5, 9, 13)])
    axes.set_ylim(low, high)
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.tick_params(length=0, labelsize=7)
    for spine in axes.spines.values():
        spine.set_color(_FOUR_BAR_LINE)


def _rectangles(melody: Melody) -> NDArray[np.float64]:
    """``(N, 4, 2)`` corners of the notes."""
    left, right = melody.onsets, melody.onsets + melody.durations
    bottom, top = melody.pitches - _HALF_HEIGHT, melody.pitches + _HALF_HEIGHT
    corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
    return np.stack([np.stack(corner, -1) for corner in corners], 1).astype(np.float64)


def _grid(low: float, high: float, octaves: Sequence[int]) -> LineCollection:
    """Lines of the bars, every fourth one darker, and below each C."""
    bars = range(0, STEPS + 1, STEPS_PER_BAR)
    lines = [[(bar, low), (bar, high)] for bar in bars]
    lines += [[(0, octave - 0.5), (STEPS, octave - 0.5)] for octave in octaves]
    colors = [_BAR_LINE if bar % (4 * STEPS_PER_BAR) else _FOUR_BAR_LINE for bar in bars]
    colors += [_BAR_LINE] * len(octaves)
    return LineCollection(lines, colors=colors, linewidths=0.8, zorder=0)


def plot_melodies(
    melodies: Melodies | Sequence[Melody],
    path: Path | str,
    *,
    titles: Sequence[str] | None = None,
    pitch_classes: Collection[int] | None = None,
    others: Sequence[Melody | None] | None = None,
    columns: int = 2,
    same_pitches: bool = False,
    upside_down: str = "",
) -> list[Path]:
    """Write piano rolls, ``columns`` side by side, at most 16 to a picture, or one row.

    Args:
        others: for each melody one to compare it with, or None; see :func:`draw_piano_roll`.
        same_pitches: whether the rolls of a row show the same pitches.
        upside_down: a line at the foot of each picture that is not read by accident.

    Returns:
        The pictures: ``path`` itself, or ``path`` with -001, -002, ... before its suffix.
    """
    whole, path = list(melodies), Path(path)
    count = max(ROLLS_PER_PICTURE // columns, 1) * columns
    starts = range(0, max(len(whole), 1), count)
    paths = [path]
    if len(starts) > 1:
        paths = [path.with_stem(f"{path.stem}-{page + 1:03d}") for page in range(len(starts))]
    for start, page in zip(starts, paths, strict=True):
        part = slice(start, start + count)
        _plot_page(
            whole[part],
            page,
            titles[part] if titles else None,
            pitch_classes,
            others[part] if others else [None] * len(whole[part]),
            columns,
            same_pitches,
            upside_down,
        )
    return paths


def _plot_page(
    melodies: Sequence[Melody],
    path: Path,
    titles: Sequence[str] | None,
    pitch_classes: Collection[int] | None,
    others: Sequence[Melody | None],
    columns: int,
    same_pitches: bool,
    upside_down: str,
) -> None:
    columns = min(columns, max(len(melodies), 1))
    rows = max(-(-len(melodies) // columns), 1)
    figure = Figure(figsize=(_ROLL_INCHES[0] * columns, _ROLL_INCHES[1] * rows))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    _spread(figure, rows, columns, _ROLL_INCHES)
    for index, axes in enumerate(grid):
        if index >= len(melodies):
            axes.set_axis_off()
            continue
        first = index - index % columns
        draw_piano_roll(
            axes,
            melodies[index],
            pitch_classes=pitch_classes,
            other=others[index],
            beside=melodies[first : first + columns] if same_pitches else (),
        )
        if titles:
            axes.set_title(titles[index], fontsize=8, loc="left", parse_math=False)
    figure.text(0.995, 0.002, upside_down, fontsize=6, rotation=180, ha="right", va="bottom")
    write_atomically(path, _png(figure), durable=False)


def piano_roll_png(melody: Melody) -> bytes:
    """One melody as the bytes of a PNG."""
    figure = Figure(figsize=_ALONE_INCHES)
    draw_piano_roll(figure.subplots(), melody)
    _spread(figure, 1, 1, _ALONE_INCHES)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _spread(figure: Figure, rows: int, columns: int, roll: tuple[float, float]) -> None:
    """Margins for labels and titles; a layout engine would draw everything twice to find them."""
    width, height = roll[0] * columns, roll[1] * rows
    left, bottom, right, top = _MARGIN_INCHES
    figure.subplots_adjust(
        left=left / width,
        bottom=bottom / height,
        right=1 - right / width,
        top=1 - top / height,
        wspace=(left + right) / (roll[0] - left - right),
        hspace=(bottom + top) / (roll[1] - bottom - top),
    )


def _pitch_limits(melodies: Sequence[Melody]) -> tuple[float, float]:
    pitches = np.concatenate([melody.pitches for melody in melodies])
    if not len(pitches):
        return 48, 48 + _MIN_SPAN_SEMITONES
    low, high = int(pitches.min()), int(pitches.max())
    missing = max(_MIN_SPAN_SEMITONES - (high - low), 2 * _MARGIN_SEMITONES)
    return low - missing / 2 - 0.5, high + missing / 2 + 0.5
