"""Pictures, read back: their cells, their colours, and what a map of a critic shows."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from melodyconstraints.images.grids import (
    draw_critic_maps,
    draw_grid,
    draw_posterior_scales,
    save_images,
)

COLOURS = {"red": (1.0, 0.0, 0.0), "blue": (0.0, 0.0, 1.0), "black": (0.0, 0.0, 0.0)}


def plain(*colours: str) -> torch.Tensor:
    """``(len(colours), 3, 4, 4)`` images of one colour each."""
    pixels = torch.tensor([COLOURS[colour] for colour in colours])
    return pixels[:, :, None, None].expand(-1, -1, 4, 4)


def cells(path, colour: str) -> list[tuple[float, float]]:
    """Centres (down, right) of the patches of a colour in a picture."""
    picture = np.asarray(Image.open(path).convert("RGB"))
    wanted = (picture == np.round(255 * np.array(COLOURS[colour]))).all(-1)
    patches, count = ndimage.label(ndimage.binary_opening(wanted, iterations=4))
    return ndimage.center_of_mass(wanted, patches, range(1, count + 1))


def size_of(path) -> tuple[int, int]:
    """Width and height of a picture that can be read whole."""
    with Image.open(path) as picture:
        picture.load()
        return picture.size


@pytest.fixture
def lines(monkeypatch):
    """What ``(x, y)`` curves pictures have, by their names."""
    found, save = {}, Figure.savefig

    def keep(self, *args, **kwargs):
        for axes in self.axes:
            found.update({line.get_label(): line.get_xydata() for line in axes.lines})
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return found


def test_a_grid_has_a_cell_for_each_image_in_rows(tmp_path):
    rows = [plain("red", "blue", "red"), plain("blue", "red", "red"), plain("red")]
    draw_grid(rows, tmp_path / "a.png")
    assert len(cells(tmp_path / "a.png", "red")) == 5
    blue = sorted(cells(tmp_path / "a.png", "blue"))
    assert len(blue) == 2
    assert blue[0][0] < blue[1][0] - 50  # the first row is above the second
    assert blue[0][1] > blue[1][1] + 50


def test_names_and_title_change_no_cell(tmp_path):
    rows = [plain("red", "blue"), plain("blue", "red")]
    draw_grid(rows, tmp_path / "plain.png")
    draw_grid(
        rows,
        tmp_path / "named.png",
        row_names=["first", "second"],
        column_names=["one", "two"],
        title="A title",
    )
    for name in ("plain.png", "named.png"):
        assert len(cells(tmp_path / name, "red")) == len(cells(tmp_path / name, "blue")) == 2
    plain_size, named_size = (size_of(tmp_path / f"{name}.png") for name in ("plain", "named"))
    assert named_size[0] > plain_size[0]
    assert named_size[1] > plain_size[1]


def test_long_names_are_whole_and_those_of_nothing_are_left_out(tmp_path):
    rows = [plain("red", "blue"), plain("blue", "red")]
    names = {"row_names": 2 * ["W" * 40], "column_names": ["one", "two"]}
    draw_grid(rows, tmp_path / "a.png", **names)
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 255).all()
    draw_grid(rows, tmp_path / "b.png", **{name: [*own, "more"] for name, own in names.items()})
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png").convert("L")), picture)


def test_a_white_image_has_a_frame(tmp_path):
    draw_grid([torch.ones(2, 1, 5, 5)], tmp_path / "a.png")
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    _, inside = ndimage.label(ndimage.binary_erosion(picture == 255, iterations=2))
    assert inside == 3  # the two, and what is around them


def test_grey_images_bytes_and_holes_are_shown(tmp_path):
    bytes_ = (255 * plain("red", "black")).to(torch.uint8)
    holes = torch.full((2, 3, 4, 4), torch.nan)
    draw_grid([bytes_, holes], tmp_path / "colours.png")
    assert len(cells(tmp_path / "colours.png", "red")) == 1
    assert len(cells(tmp_path / "colours.png", "black")) == 3
    draw_grid([torch.zeros(4, 1, 5, 5), torch.zeros(2, 1, 5, 5)], tmp_path / "grey.png")
    assert len(cells(tmp_path / "grey.png", "black")) == 6


@pytest.mark.parametrize("channels", [1, 3])
def test_single_images_are_written_as_they_are(tmp_path, channels):
    images = torch.randint(256, (3, channels, 5, 7), dtype=torch.uint8)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    save_images(images.float() / 255, paths)
    for image, path in zip(images, paths, strict=True):
        read = np.asarray(Image.open(path))
        assert read.shape == ((5, 7) if channels == 1 else (5, 7, 3))
        assert np.array_equal(read.reshape(5, 7, channels), image.movedim(0, -1).numpy())


def test_what_is_brighter_than_white_is_white(tmp_path):
    save_images(torch.tensor([[[[-1.0, 2.0, torch.nan]]]]), [tmp_path / "a.png"])
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[0, 255, 0]]


def test_each_image_needs_a_path(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        save_images(torch.zeros(2, 1, 3, 3), [tmp_path / "a.png"])


def test_a_map_is_over_the_two_dimensions_that_are_used_most(tmp_path, canvas, lines):
    """The critic's hill stands at 1.5 and -2 in dimensions 5 and 60; others must stay at 0.3."""
    canvas.sigma_bar[5], canvas.sigma_bar[60] = 0.01, 0.02
    top = torch.full((64,), 0.3)
    top[5], top[60] = 1.5, -2.0

    def critic(z, y):
        assert y is None
        realism = -(z - top).square().sum(-1, keepdim=True)
        return torch.cat([torch.full_like(realism, 99.0), realism], -1)

    points = {"a point": torch.full((64,), 0.3), "another": torch.full((64,), 0.3)}
    draw_critic_maps(canvas, critic, points, tmp_path / "map.png", reach=3.0)
    assert size_of(tmp_path / "map.png")[0] > 1000
    assert len(canvas.decoded) == 2
    own, best, worst = canvas.decoded[0]
    assert torch.equal(own, points["a point"])
    assert torch.allclose(best, top, atol=1e-5)  # the map's points are a tenth apart
    expected = torch.full((64,), 0.3)
    expected[5], expected[60] = -3.0, 3.0
    assert torch.allclose(worst, expected)


def test_scales_are_drawn_from_the_lowest(tmp_path, lines):
    scales = {"sigma_x 1": torch.tensor([0.9, 0.1, 0.5]), "sigma_x 0.1": torch.tensor([0.2, 0.1])}
    draw_posterior_scales(scales, tmp_path / "scales.png")
    assert size_of(tmp_path / "scales.png")[0] > 100
    expected = [[0, 0.1], [1, 0.5], [2, 0.9]]
    assert np.allclose(lines["sigma_x 1"], expected)
    assert np.allclose(lines["sigma_x 0.1"], [[0, 0.1], [1, 0.2]])


def test_names_of_any_bytes_stand_in_a_picture(tmp_path):
    name = "a\udcff"
    draw_grid([torch.zeros(1, 1, 4, 4)], tmp_path / "out.png", row_names=[name], title=name)
    assert (tmp_path / "out.png").is_file()
