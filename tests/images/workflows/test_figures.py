"""The paper's figures: which image stands in which row and column."""

import pytest
import torch
from PIL import Image

from melodyconstraints.datasets.images.celeba import PAPER_ATTRIBUTES
from melodyconstraints.images.actor import prior_points
from melodyconstraints.workflows.images import figures
from melodyconstraints.workflows.images.figures import (
    STEPS,
    TABLE_3,
    columns,
    draw_conditional,
    draw_realism_maps,
    draw_samples,
    draw_search,
    draw_transformations,
)

ATTRIBUTES = (
    *("Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Eyeglasses", "Male", "Facial_Hair"),
    *("Smiling", "Wearing_Hat", "Young"),
)
PRINTED = """
Blond Hair   0 0 1 0 0 0 0 1 0 1
Brown Hair   0 0 0 1 0 0 0 1 0 1
Black Hair   0 1 0 0 0 0 0 1 0 1
Male         0 1 0 0 0 1 0 1 0 1
Facial Hair  0 1 0 0 0 1 1 1 0 1
Eyeglasses   0 1 0 0 1 1 1 1 0 1
Bald         1 0 0 0 0 1 1 1 0 1
Aged         1 0 0 0 0 1 1 0 0 0
"""
"""The paper's Table 3, whose columns Beard and Hat are Facial_Hair and Wearing_Hat here."""


@pytest.fixture
def grid(monkeypatch):
    """What the last grid was drawn of; it is drawn all the same."""
    seen, draw = {}, figures.draw_grid

    def keep(rows, path, **options):
        seen.update(rows=rows, **options)
        draw(rows, path, **options)

    monkeypatch.setattr(figures, "draw_grid", keep)
    return seen


def is_picture(path) -> bool:
    with Image.open(path) as picture:
        picture.load()
        return picture.format == "PNG"


# Columns


def test_columns_of_faces_are_the_papers_table_3():
    names, labels = columns(ATTRIBUTES, exclusive=False)
    printed = [line.rsplit(maxsplit=10) for line in PRINTED.strip().splitlines()]
    assert names == list(TABLE_3) == [name.strip() for name, *_ in printed]
    assert labels.int().tolist() == [[int(value) for value in row] for _, *row in printed]


def test_attributes_may_stand_in_any_order_and_beside_others():
    mixed = ("Chubby", *reversed(PAPER_ATTRIBUTES))
    assert set(PAPER_ATTRIBUTES) == set(ATTRIBUTES)
    names, labels = columns(mixed, exclusive=False)
    for name, row in zip(names, labels, strict=True):
        assert {mixed[place] for place in row.nonzero()[:, 0]} == TABLE_3[name]


def test_columns_of_other_data_are_their_labels_in_turn():
    for names, exclusive in ((ATTRIBUTES[:9], False), (ATTRIBUTES, True), (("0", "1"), True)):
        shown, labels = columns(names, exclusive=exclusive)
        assert shown == list(names)
        assert torch.equal(labels, torch.eye(len(names)))


# Figures


def test_samples_of_models_and_of_an_actor_stand_below_the_data(
    tmp_path, grid, trained, bar_model, bars
):
    actor = trained("actor", labelled=False)
    models = {"sharp": bar_model, "again": bar_model}
    path = tmp_path / "samples.png"
    draw_samples(models, actor, bars.images, path, count=6, seed=2)
    assert is_picture(path)
    assert len(grid["row_names"]) == len(grid["rows"]) == 6
    data, first, second, prior, same, real = grid["rows"]
    assert torch.equal(data, bars.images[:6].float() / 255)
    assert torch.equal(first, bar_model.decode(bar_model.encode(bars.images[:6]).mean))
    z = prior_points(bar_model, 6, seed=2)
    assert torch.equal(prior, bar_model.decode(z))
    assert torch.equal(real, bar_model.decode(actor.shift(z)))
    assert torch.equal(first, second)
    assert torch.equal(prior, same)
    draw_samples({"one": bar_model}, None, bars.images, path)
    assert [len(row) for row in grid["rows"]] == [10, 10, 10]


def test_a_row_starts_from_one_point_and_a_column_asks_for_one_label(
    tmp_path, grid, trained, bar_model, place_of
):
    actor = trained("actor")
    draw_conditional(actor, tmp_path / "a.png", count=5, seed=3, title="Bars")
    assert is_picture(tmp_path / "a.png")
    assert grid["column_names"] == list("abcd")
    assert [row.shape[0] for row in grid["rows"]] == [4] * 5
    z = prior_points(bar_model, 5, seed=3)
    expected = bar_model.decode(actor.shift(z[2:3].expand(4, -1), torch.eye(4)))
    assert torch.allclose(grid["rows"][2], expected, atol=1e-5)
    places = torch.stack([place_of(row) for row in grid["rows"]])
    assert (places == torch.arange(4)).float().mean() > 0.9


def test_of_classes_the_images_own_is_black(tmp_path, grid, trained, bar_model, other_bars):
    actor, count = trained("gradient"), 6
    images, labels = other_bars.images[:count], other_bars.labels[:count]
    draw_transformations(actor, images, labels, tmp_path / "a.png")
    assert is_picture(tmp_path / "a.png")
    assert grid["column_names"] == ["image", "reconstruction", "a", "b", "c", "d"]
    again = bar_model.decode(bar_model.encode(images).mean)
    for number, row in enumerate(grid["rows"]):
        assert torch.equal(row[0], images[number].float() / 255)
        assert torch.allclose(row[1], again[number], atol=1e-5)
        black = (row[2:] == 0).flatten(1).all(1)
        assert torch.equal(black, labels[number] == 1)


def test_of_attributes_those_that_hold_are_black_and_others_are_added(tmp_path, grid, stamp, bars):
    """The stamp makes the bar of the first attribute that is asked for."""
    actor = stamp()
    actor.exclusive = False
    labels = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    draw_transformations(actor, bars.images[:2], labels, tmp_path / "a.png")
    first, second = (row[2:] for row in grid["rows"])
    assert (first == 0).flatten(1).all(1).tolist() == [False, True, False, True]
    assert not (second == 0).flatten(1).all(1).any()
    made = actor.actor(torch.zeros(1, 64), torch.tensor([[0.0, 1.0, 1.0, 1.0]]))
    assert torch.equal(first[2].flatten(), made[0])


def test_a_search_is_shown_on_its_way(tmp_path, grid, trained, bar_model, place_of):
    actor, labels = trained("gradient"), torch.eye(4)
    draw_search(actor, labels, tmp_path / "a.png", seed=3)
    assert is_picture(tmp_path / "a.png")
    assert STEPS == (0, 10, 30, 50, 100)  # the paper, Figure 9
    assert grid["column_names"] == ["0 steps", "10 steps", "30 steps", "50 steps", "100 steps"]
    rows = torch.stack(grid["rows"])
    assert rows.shape == (4, 5, 1, 8, 8)
    z = prior_points(bar_model, 4, seed=3)
    assert torch.allclose(rows[:, 0], bar_model.decode(z), atol=1e-6)
    assert place_of(rows[:, -1]).tolist() == [0, 1, 2, 3]


def test_maps_are_drawn_around_a_prior_sample_and_a_held_out_image(
    tmp_path, trained, bar_model, other_bars, monkeypatch
):
    seen, draw = {}, figures.draw_critic_maps

    def keep(model, critic, points, path):
        seen.update(points)
        draw(model, critic, points, path)

    monkeypatch.setattr(figures, "draw_critic_maps", keep)
    draw_realism_maps(trained("gradient"), other_bars.images, tmp_path / "a.png", seed=4)
    assert is_picture(tmp_path / "a.png")
    prior, held_out = seen.values()
    assert torch.equal(prior, prior_points(bar_model, 1, seed=4)[0])
    assert torch.equal(held_out, bar_model.encode(other_bars.images[:1]).mean[0])
