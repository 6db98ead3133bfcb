"""Piano rolls in the manner of the paper's Figure 6: time across, pitch up, bar lines."""

from __future__ import annotations

import io
import warnings
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
from melodyconstraints.storage.text import printable

INSIDE, OUTSIDE = "#1f4e79", "#d62728"
TONIC_LINE = "#e3ecf5"
_BAR_LINE, _FOUR_BAR_LINE = "#e6e6e6", "#b0b0b0"
_MARGIN_SEMITONES = 2
_MIN_SPAN_SEMITONES = 24
_HALF_HEIGHT = 0.45
_DOTS_PER_INCH = 128
_STEP_PIXELS = 3
"""Whole pixels a sixteenth: the gaps between notes fall on pixels and stay."""
_GAP_STEPS, _SHORTEST_GAP_STEPS = 2 / _STEP_PIXELS, 1 / _STEP_PIXELS
"""Gap behind a note, in steps, and behind one of a single sixteenth, which would be a dot else."""
_MARGIN_PIXELS = (40, 26, 12, 31)
"""Margins left, below, right and above a roll."""
_ROLL_PIXELS = (_MARGIN_PIXELS[0] + STEPS * _STEP_PIXELS + _MARGIN_PIXELS[2], 218)
ROLLS_PER_PICTURE = 16


def draw_piano_roll(
    axes: Axes,
    melody: Melody,
    *,
    pitch_classes: Collection[int] | None = None,
    tonic: int | None = None,
    other: Melody | None = None,
    beside: Sequence[Melody] = (),
) -> None:
    """Draw one melody; notes outside ``pitch_classes`` are red.

    Args:
        tonic: pitch class in [0, 11] whose lines are tinted; None for none.
        beside: melodies whose pitches are shown as well, so that all can stand side by side.
        other: a melody to compare with: notes that it does not have, pitch and step, are red too,
            and it stands beside this one.
    """
    low, high = _pitch_limits([melody, *beside] if other is None else [melody, other, *beside])
    octaves = [pitch for pitch in range(0, 128, 12) if low < pitch < high]
    if tonic is not None:
        tinted = [pitch for pitch in range(tonic, 128, 12) if low < pitch < high]
        axes.add_collection(_pitch_lines(tinted), autolim=False)
    axes.add_collection(_grid(low, high, octaves), autolim=False)
    allowed = range(12) if pitch_classes is None else pitch_classes
    agreeing = melody.events == (melody if other is None else other).events
    colors = [
        INSIDE if pitch % 12 in allowed and agreeing[onset] else OUTSIDE
        for onset, pitch in zip(melody.onsets.tolist(), melody.pitches.tolist(), strict=True)
    ]
    # One collection: a patch a note takes matplotlib a millisecond each.
    notes = PolyCollection(list(_rectangles(melody)), facecolors=colors, edgecolors="none")
    axes.add_collection(notes, autolim=False)
    axes.set_xlim(0, STEPS)
    axes.set_xticks(range(0, STEPS, 4 * STEPS_PER_BAR), [f"bar {bar}" for bar in (1, 5, 9, 13)])
    axes.set_ylim(low, high)
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.tick_params(length=0, labelsize=7)
    for spine in axes.spines.values():
        spine.set_color(_FOUR_BAR_LINE)


def _rectangles(melody: Melody) -> NDArray[np.float64]:
    """``(N, 4, 2)`` corners of the notes, a little shorter than these, to tell repeated ones."""
    gaps = np.where(melody.durations > 1, _GAP_STEPS, _SHORTEST_GAP_STEPS)
    left, right = melody.onsets, melody.onsets + melody.durations - gaps
    bottom, top = melody.pitches - _HALF_HEIGHT, melody.pitches + _HALF_HEIGHT
    corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
    return np.stack([np.stack(corner, -1) for corner in corners], 1).astype(np.float64)


def _pitch_lines(pitches: Sequence[int]) -> PolyCollection:
    """A band as high as a semitone, from the first step to the last, for each pitch."""
    bands = [
        [(0, pitch - 0.5), (STEPS, pitch - 0.5), (STEPS, pitch + 0.5), (0, pitch + 0.5)]
        for pitch in pitches
    ]
    return PolyCollection(bands, facecolors=TONIC_LINE, edgecolors="none", zorder=-1)


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
    tonic: int | None = None,
    others: Sequence[Melody | None] | None = None,
    columns: int = 2,
    same_pitches: bool = False,
    upside_down: str = "",
) -> list[Path]:
    """Write piano rolls, ``columns`` side by side, at most 16 to a picture, or one row.

    Args:
        tonic: pitch class whose lines are tinted in every roll.
        others: melody to compare each one with, or None; see :func:`draw_piano_roll`.
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
            tonic,
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
    tonic: int | None,
    others: Sequence[Melody | None],
    columns: int,
    same_pitches: bool,
    upside_down: str,
) -> None:
    columns = min(columns, max(len(melodies), 1))
    rows = max(-(-len(melodies) // columns), 1)
    figure = _figure(rows, columns)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for index, axes in enumerate(grid):
        if index >= len(melodies):
            axes.set_axis_off()
            continue
        first = index - index % columns
        draw_piano_roll(
            axes,
            melodies[index],
            pitch_classes=pitch_classes,
            tonic=tonic,
            other=others[index],
            beside=melodies[first : first + columns] if same_pitches else (),
        )
        if titles:
            axes.set_title(printable(titles[index]), fontsize=8, loc="left", parse_math=False)
    figure.text(0.995, 0.002, upside_down, fontsize=6, rotation=180, ha="right", va="bottom")
    write_atomically(path, _png(figure), durable=False)


def piano_roll_png(melody: Melody) -> bytes:
    """One melody as the bytes of a PNG."""
    figure = _figure(1, 1)
    draw_piano_roll(figure.subplots(), melody)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # letters that the font has not are shown as boxes
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()


def _figure(rows: int, columns: int) -> Figure:
    """A figure for so many rolls, with margins for labels and titles.

    A layout engine would draw everything twice to find them.
    """
    wide, high = _ROLL_PIXELS
    left, bottom, right, top = _MARGIN_PIXELS
    width, height = wide * columns, high * rows
    figure = Figure(figsize=(width / _DOTS_PER_INCH, height / _DOTS_PER_INCH), dpi=_DOTS_PER_INCH)
    figure.subplots_adjust(
        left=left / width,
        bottom=bottom / height,
        right=1 - right / width,
        top=1 - top / height,
        wspace=(left + right) / (wide - left - right),
        hspace=(bottom + top) / (high - bottom - top),
    )
    return figure


def _pitch_limits(melodies: Sequence[Melody]) -> tuple[float, float]:
    pitches = np.concatenate([melody.pitches for melody in melodies])
    if not len(pitches):
        return 48, 48 + _MIN_SPAN_SEMITONES
    low, high = int(pitches.min()), int(pitches.max())
    missing = max(_MIN_SPAN_SEMITONES - (high - low), 2 * _MARGIN_SEMITONES)
    return low - missing / 2 - 0.5, high + missing / 2 + 0.5
