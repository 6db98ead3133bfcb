"""Piano rolls: what is drawn is what the melody holds."""

import matplotlib.image
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from melodyconstraints.melody import plots
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.plots import (
    INSIDE,
    OUTSIDE,
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


def test_every_note_is_one_bar_at_its_place():
    patches = drawn(TUNE).patches
    assert len(patches) == len(TUNE) == 4
    assert [patch.get_x() for patch in patches] == [0, 4, 16, 250]
    assert [patch.get_y() + patch.get_height() / 2 for patch in patches] == pytest.approx(
        [60, 61, 67, 78]
    )
    # A little shorter than the note, so that repeated notes can be told apart.
    assert [patch.get_width() for patch in patches] == pytest.approx([3.85, 1.85, 7.85, 5.85])


def test_notes_outside_of_the_pitch_classes_are_red():
    colors = [
        to_hex(patch.get_facecolor()) for patch in drawn(TUNE, pitch_classes=C_MAJOR).patches
    ]
    assert colors == [INSIDE, OUTSIDE, INSIDE, OUTSIDE]


def test_without_pitch_classes_every_note_is_inside_and_with_none_outside():
    assert {to_hex(p.get_facecolor()) for p in drawn(TUNE).patches} == {INSIDE}
    assert {to_hex(p.get_facecolor()) for p in drawn(TUNE, pitch_classes=()).patches} == {OUTSIDE}


def test_all_notes_lie_within_the_axes_and_c_4_is_middle_c():
    for notes in ([(0, 1, 0), (1, 1, 127)], [(0, 1, 0)], [(0, 1, 127)], [(0, 1, 60)]):
        axes = drawn(Melody.from_notes(notes))
        low, high = axes.get_ylim()
        assert all(low < p.get_y() and p.get_y() + p.get_height() < high for p in axes.patches)
        assert axes.get_xlim() == (0, 256)
    labels = dict(
        zip(axes.get_yticks(), [t.get_text() for t in axes.get_yticklabels()], strict=True)
    )
    assert labels[60] == "C4"


def test_an_empty_melody_is_drawn_as_an_empty_roll():
    axes = drawn(EMPTY)
    assert len(axes.patches) == 0
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        *["bar 1", "bar 5"],
        *["bar 9", "bar 13"],
    ]
    assert piano_roll_png(EMPTY).startswith(b"\x89PNG")


# 6.4 by 1.7 inches a roll, at 110 dots an inch.
@pytest.mark.parametrize(
    ("count", "columns", "size"),
    [(0, 2, (187, 704)), (1, 2, (187, 704)), (5, 2, (561, 1408)), (5, 1, (935, 704))],
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
    colors = [to_hex(patch.get_facecolor()) for patch in left.patches]
    assert colors == [INSIDE, OUTSIDE, INSIDE, OUTSIDE]  # one at the place has another pitch
    assert left.get_ylim() == right.get_ylim()
    assert left.get_ylim()[0] < 30 < 96 < left.get_ylim()[1]
    assert {to_hex(p.get_facecolor()) for p in drawn(TUNE, other=EMPTY).patches} == {OUTSIDE}
    both = drawn(TUNE, other=TUNE, pitch_classes=C_MAJOR).patches
    assert [to_hex(p.get_facecolor()) for p in both] == [INSIDE, OUTSIDE, INSIDE, OUTSIDE]


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


def test_a_title_is_no_formula(tmp_path):
    plot_melodies([EMPTY], tmp_path / "rolls.png", titles=["$_{$ and $^}$"])
