"""``mc images figures``: which pictures are written, and of what."""

import json

import pytest
import torch
from PIL import Image

from melodyconstraints.workflows.images import figures as library


@pytest.fixture
def figures(mc, bars):
    """Draws the bars' figures into ``out``."""
    return lambda *options: mc("images", "figures", "data", "-o", "out", *options)


@pytest.fixture
def drawn(monkeypatch):
    """What would stand in the grids, by the file's name; none is drawn."""
    grids = {}
    monkeypatch.setattr(
        library, "draw_grid", lambda rows, path, **names: grids.update({path.name: (rows, names)})
    )
    return grids


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--model", "model", "--realism", "realism"], ["samples", "posterior-scales"]),
        (["--actor", "actor"], ["labels-actor", "transformed-actor"]),
        (["--search", "search"], ["critic-map", "transformed-search", "search-from-prior"]),
        (["--search", "realism-search"], ["critic-map"]),
    ],
    ids=str,
)
def test_each_option_writes_its_pictures_and_prints_their_paths(figures, options, names, tmp_path):
    result = figures(*options)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"out/{name}.png" for name in names]
    assert {path.stem for path in (tmp_path / "out").iterdir()} == set(names)
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG"


def test_a_bar_counts_the_pictures(figures, drawn, monkeypatch):
    told = []
    draw = library.Figures.draw

    def told_of(*arguments, callback, **options):
        def both(*counts):
            told.append(counts)
            callback(*counts)

        return draw(*arguments, callback=both, **options)

    monkeypatch.setattr(library.Figures, "draw", told_of)
    result = figures("--actor", "actor", "--search", "search")
    names = [line.removeprefix("out/") for line in result.stdout.splitlines()]
    assert told == [(name, done, 5) for done, name in enumerate(names)]
    assert len(names) == 5


def test_a_bar_ends_with_the_last_picture_and_leaves_nothing(figures, drawn, bars_ended):
    result = figures("--actor", "actor")
    assert bars_ended == [(1, 2, "transformed-actor.png")]
    assert "transformed" not in result.stderr


def test_json_names_the_pictures(figures, drawn):
    told = json.loads(figures("--actor", "actor", "--json").stdout)
    assert told == {"pictures": ["out/labels-actor.png", "out/transformed-actor.png"]}


def test_a_search_has_columns_of_labels_but_no_network_that_transforms(figures, drawn):
    result = figures("--actor", "search", "--actor", "langevin", "--search", "search")
    assert list(drawn) == [
        *("labels-search.png", "labels-langevin.png"),
        *("transformed-search.png", "search-from-prior.png"),
    ]
    assert "out/critic-map.png" in result.stdout


def test_columns_and_transformations_are_those_of_the_actor(figures, drawn, bars):
    assert figures("--actor", "actor").exit_code == 0
    rows, names = drawn["labels-actor.png"]
    assert list(names["column_names"]) == ["0", "1", "2", "3"]
    assert all(torch.equal(row.round(), bars) for row in rows)
    rows, _ = drawn["transformed-actor.png"]
    assert len(rows) == 8
    for number, (image, copy, *made) in enumerate(rows):
        own = number % 4
        assert torch.equal(image, bars[own])
        assert torch.equal(copy.round(), bars[own])
        for place, changed in enumerate(made):
            wanted = bars[place] if place != own else torch.zeros(1, 8, 8)
            assert torch.equal(changed.round(), wanted)


def test_models_are_told_apart_by_sigma_or_by_folder(figures, drawn, tmp_path):
    figures("--model", "model", "--model", "autoencoder")
    _, names = drawn["samples.png"]
    assert names["row_names"] == [
        "data",
        *("reconstruction\nsigma_x 0.1", "reconstruction\nsigma_x 0"),
        *("prior\nsigma_x 0.1", "prior\nsigma_x 0"),
    ]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "model").symlink_to(tmp_path / "model")
    figures("--model", "model", "--model", "runs/model", "--realism", "realism")
    _, names = drawn["samples.png"]
    assert names["row_names"][1:3] == ["reconstruction\nmodel", "reconstruction\nruns/model"]
    assert names["row_names"][-1] == "prior, made\nrealistic"


def test_a_seed_makes_other_samples(figures, drawn):
    samples = []
    for seed in (1, 1, 2):
        figures("--model", "model", "--seed", seed)
        samples.append(drawn["samples.png"][0][-1])
    assert torch.equal(samples[0], samples[1])
    assert not torch.equal(samples[0], samples[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give at least one --model, --actor or --search"),
        (["--realism", "realism"], "give at least one --model, --actor or --search"),
        (["--realism", "realism", "--actor", "actor"], "--realism is for Figure 2, of models: "),
        (
            ["--realism", "actor", "--model", "model"],
            "--realism needs one of --realism-only; this one knows 0, 1, 2, 3",
        ),
        (["--actor", "realism"], "realism knows no labels; give it by --realism, with a --model"),
        (
            ["--search", "actor"],
            "--search needs an actor of --method gradient; this one is of",
        ),
        (["--search", "langevin"], "--search needs an actor of --method gradient; this one is of"),
        (
            ["--model", "model", "--model", "other"],
            "the model makes images of 6x6 pixels in grey, the data has 8x8 pixels",
        ),
        (["--actor", "actor", "--actor", "other-actor"], "the model makes images of 6x6 pixels "),
    ],
    ids=str,
)
def test_wrong_usage_is_told(figures, options, message, tmp_path):
    result = figures(*options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_images_are_as_large_as_the_model_makes_them(figures, tmp_path):
    assert figures("--model", "other").exit_code == 0
    assert (tmp_path / "out" / "samples.png").exists()


def test_pictures_of_two_actors_would_have_one_name(figures, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "actor").symlink_to(tmp_path / "actor")
    result = figures("--actor", "actor", "--actor", "runs/actor")
    assert result.exit_code == 2
    assert "several actors are in folders called actor, so that their pict" in result.stderr


def test_data_of_other_labels_are_told(mc, bars):
    result = mc("images", "figures", "letters", "-o", "out", "--search", "search")
    assert result.exit_code == 2
    assert "the actor search knows 0, 1, 2, 3, the data has a, b, c, d; give" in result.stderr
