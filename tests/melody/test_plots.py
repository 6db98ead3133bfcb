"""Piano rolls: what is drawn is what the melody holds."""

import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from melodyconstraints.melody import plots
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.plots import (
    INSIDE,
    OUTSIDE,
    TONIC_LINE,
    draw_piano_roll,
    piano_roll_png,
    plot_melodies,
)

C_MAJOR = {0, 2, 4, 5, 7, 9, 11}
TUNE = Melody.from_notes([(0, 4, 60), (4, 2, 61), (16, 8, 67), (250, 6, 78)])
EMPTY = Melody.from_notes([])


def drawn(melody, **options):
    axes = Figure().subplots()
    draw_piano_roll(axes, melody, **options)
    return axes


def notes_of(axes) -> PolyCollection:
    (notes,) = (one for one in axes.collections if isinstance(one, PolyCollection))
    return notes


def boxes(axes) -> list[tuple[float, float, float, float]]:
    """Left, bottom, right and top of each note."""
    extents = [path.get_extents() for path in notes_of(axes).get_paths()]
    return [(box.x0, box.y0, box.x1, box.y1) for box in extents]


def colors_of(axes) -> list[str]:
    return [to_hex(color) for color in notes_of(axes).get_facecolors()]


def test_every_note_is_one_bar_at_its_place():
    found = boxes(drawn(TUNE))
    assert [left for left, _, _, _ in found] == [0, 4, 16, 250]
    assert [(bottom + top) / 2 for _, bottom, _, top in found] == pytest.approx([60, 61, 67, 78])
    # A little shorter than the note, so that repeated notes can be told apart.
    widths = [right - left for left, _, right, _ in found]
    assert widths == pytest.approx([4 - 2 / 3, 2 - 2 / 3, 8 - 2 / 3, 6 - 2 / 3])
    assert boxes(drawn(Melody.from_notes([(3, 1, 60)])))[0][2] == pytest.approx(4 - 1 / 3)


REPEATED = Melody.from_notes([(16, 4, 60), (20, 4, 60), (24, 1, 60), (25, 1, 60), (26, 6, 60)])


def runs(row) -> list[tuple[int, int]]:
    """Left and right pixel of the stretches of one row that have the notes' colour."""
    is_note = (np.abs(row[:, :3] - to_rgb(INSIDE)) < 0.01).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_note, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def found_runs(picture) -> set[tuple[tuple[int, int], ...]]:
    """The stretches of all rows of pixels that have any."""
    return {tuple(found) for found in map(runs, picture) if found}


# Three pixels a sixteenth, from the 40th pixel of a roll of 820 on.
ALONE = ((88, 98), (100, 110), (112, 114), (115, 117), (118, 134))


def test_repeated_notes_are_apart_in_the_picture_of_one_melody():
    assert found_runs(matplotlib.image.imread(io.BytesIO(piano_roll_png(REPEATED)))) == {ALONE}


@pytest.mark.parametrize(
    ("count", "options"),
    [(16, {}), (16, {"tonic": 0}), (3, {"columns": 3, "tonic": 0}), (2, {"same_pitches": True})],
)
def test_repeated_notes_are_apart_among_others(tmp_path, count, options):
    plot_melodies([REPEATED] * count, tmp_path / "rolls.png", **options)
    columns = options.get("columns", 2)
    row = tuple(
        (820 * column + left, 820 * column + right)
        for column in range(columns)
        for left, right in ALONE
    )
    assert found_runs(matplotlib.image.imread(tmp_path / "rolls.png")) == {row}


def test_the_lines_of_the_tonic_are_tinted():
    axes = drawn(TUNE, tonic=2)
    low, high = axes.get_ylim()
    assert low < 62 < 74 < high
    tinted, notes = (one for one in axes.collections if isinstance(one, PolyCollection))
    extents = [path.get_extents() for path in tinted.get_paths()]
    assert [(box.x0, box.y0, box.x1, box.y1) for box in extents] == [
        (0, pitch - 0.5, 256, pitch + 0.5) for pitch in range(62, int(high), 12)
    ]
    assert {to_hex(color) for color in tinted.get_facecolors()} == {TONIC_LINE}
    assert tinted.zorder < notes.zorder


def test_there_is_a_line_for_every_bar_line_and_below_every_c():
    (grid,) = (one for one in drawn(TUNE).collections if isinstance(one, LineCollection))
    upright = [one[0][0] for one in grid.get_segments() if one[0][0] == one[1][0]]
    level = [one[0][1] for one in grid.get_segments() if one[0][1] == one[1][1]]
    assert upright == list(range(0, 257, 16))
    assert level == [59.5, 71.5]


def test_notes_outside_of_the_pitch_classes_are_red():
    colors = colors_of(drawn(TUNE, pitch_classes=C_MAJOR))
    assert colors == [INSIDE, OUTSIDE, INSIDE, OUTSIDE]


def test_without_pitch_classes_every_note_is_inside_and_with_none_outside():
    assert set(colors_of(drawn(TUNE))) == {INSIDE}
    assert set(colors_of(drawn(TUNE, pitch_classes=()))) == {OUTSIDE}


def test_all_notes_lie_within_the_axes_and_c_4_is_middle_c():
    for notes in ([(0, 1, 0), (1, 1, 127)], [(0, 1, 0)], [(0, 1, 127)], [(0, 1, 60)]):
        axes = drawn(Melody.from_notes(notes))
        low, high = axes.get_ylim()
        assert all(low < bottom and top < high for _, bottom, _, top in boxes(axes))
        assert axes.get_xlim() == (0, 256)
    labels = dict(
        zip(axes.get_yticks(), [t.get_text() for t in axes.get_yticklabels()], strict=True)
    )
    assert labels[60] == "C4"


def test_an_empty_melody_is_drawn_as_an_empty_roll():
    axes = drawn(EMPTY)
    assert boxes(axes) == []
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        *["bar 1", "bar 5"],
        *["bar 9", "bar 13"],
    ]
    assert piano_roll_png(EMPTY).startswith(b"\x89PNG")


# 820 by 218 pixels a roll.
@pytest.mark.parametrize(
    ("count", "columns", "size"),
    [(0, 2, (218, 820)), (1, 2, (218, 820)), (5, 2, (654, 1640)), (5, 1, (1090, 820))],
)
def test_a_picture_of_several_melodies_is_written(tmp_path, count, columns, size):
    path = tmp_path / "rolls.png"
    melodies = [TUNE, EMPTY, TUNE, TUNE, EMPTY][:count]
    titles = [f"melody {number}" for number in range(count)]
    plot_melodies(melodies, path, titles=titles, pitch_classes=C_MAJOR, columns=columns)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert matplotlib.image.imread(path).shape[:2] == size


def test_a_batch_draws_as_its_melodies_do_and_always_the_same(tmp_path):
    plot_melodies([TUNE, EMPTY], tmp_path / "list.png")
    plot_melodies(Melodies.stack([TUNE, EMPTY]), tmp_path / "batch.png")
    assert (tmp_path / "list.png").read_bytes() == (tmp_path / "batch.png").read_bytes()


def test_notes_that_the_other_melody_has_not_are_red_and_both_fit():
    other = Melody.from_notes([(0, 2, 60), (4, 2, 62), (16, 8, 67), (24, 1, 96), (250, 6, 30)])
    left, right = drawn(TUNE, other=other), drawn(other, other=TUNE)
    assert colors_of(left) == [
        INSIDE,
        OUTSIDE,
        INSIDE,
        OUTSIDE,
    ]  # one at the place has another pitch
    assert left.get_ylim() == right.get_ylim()
    assert left.get_ylim()[0] < 30 < 96 < left.get_ylim()[1]
    assert set(colors_of(drawn(TUNE, other=EMPTY))) == {OUTSIDE}
    assert colors_of(drawn(TUNE, other=TUNE, pitch_classes=C_MAJOR)) == [
        INSIDE,
        OUTSIDE,
        INSIDE,
        OUTSIDE,
    ]


def test_each_melody_of_a_picture_has_its_other(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        plots, "draw_piano_roll", lambda axes, melody, **options: seen.append(options["other"])
    )
    others = [EMPTY, None] * 8 + [None, TUNE] * 2
    assert len(plot_melodies([TUNE] * 20, tmp_path / "rolls.png", others=others)) == 2
    assert seen == others
    seen.clear()
    plot_melodies([TUNE], tmp_path / "one.png")
    assert seen == [None]


def test_the_rolls_of_a_row_show_the_same_pitches_and_stay_together(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        plots, "draw_piano_roll", lambda axes, melody, **options: seen.append(options["beside"])
    )
    monkeypatch.setattr(plots, "ROLLS_PER_PICTURE", 4)
    rows = [[TUNE, EMPTY, EMPTY], [EMPTY, TUNE, EMPTY]]
    rolls = [melody for row in rows for melody in row]
    pages = plot_melodies(rolls, tmp_path / "r.png", columns=3, same_pitches=True)
    assert [matplotlib.image.imread(page).shape[0] for page in pages] == [218, 218]
    assert seen == [row for row in rows for _ in row]
    monkeypatch.undo()
    assert drawn(EMPTY, beside=[EMPTY, TUNE]).get_ylim() == drawn(TUNE).get_ylim()


def test_a_title_is_no_formula(tmp_path):
    plot_melodies([EMPTY], tmp_path / "rolls.png", titles=["$_{$ and $^}$"])


def test_a_title_in_any_script_is_drawn_without_a_warning(tmp_path, recwarn):
    plot_melodies([TUNE], tmp_path / "rolls.png", titles=["旋律"])
    assert not list(recwarn)
