"""``mc images generate``: the images of the labels that were asked for, and no others."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from melodyconstraints.images import actor as actor_module
from melodyconstraints.images.actor import KIND, ImageActor, load_actor, save_actor
from melodyconstraints.images.checkpoint import save_model
from melodyconstraints.images.config import ImageVAEConfig, TrunkConfig
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.latent.networks import Actor, Critic, Critics
from melodyconstraints.latent.settings import ActorCriticSettings

PNG = b"\x89PNG"
SETTINGS = ActorCriticSettings(actor_hidden=(8,), critic_hidden=(8,), condition_units=4)
KINDS = {
    "classes": (("0", "1", "two"), True),
    "attributes": (("Smiling", "Wearing_Hat", "Male"), False),
    "realism": ((), False),
}


@pytest.fixture(scope="module")
def actors(tmp_path_factory) -> Path:
    """Actors of random weights for images of 6x6 pixels, in a folder each."""
    folder = tmp_path_factory.mktemp("images")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ImageVAE(ImageVAEConfig(TrunkConfig((1, 6, 6), "feed-forward", (8,)), 4)).eval()
        for parameter in model.parameters():  # so that labels show
            parameter.data *= 4
        save_model(model, folder / "model")
        for kind, (names, exclusive) in KINDS.items():
            sizes = {"condition_units": 4}
            actor = Actor(4, (8,), len(names), **sizes)
            critic = Critics([Critic(4, 1, (8,), len(names), **sizes)])
            made = ImageActor(
                model=model,
                names=names,
                exclusive=exclusive,
                actor=actor,
                critic=critic,
                settings=SETTINGS,
            )
            save_actor(made, folder / kind)
    return folder


@pytest.fixture
def generate(mc, actors):
    """Draws with the actor of a kind."""
    return lambda kind, *options: mc("images", "generate", "--actor", actors / kind, *options)


@pytest.fixture
def drawn(monkeypatch):
    """Rows and their names of the pictures that are drawn, which are not."""
    pictures = []
    monkeypatch.setattr(
        "melodyconstraints.workflows.images.generate.draw_grid",
        lambda rows, path, row_names: pictures.append((rows, list(row_names))),
    )
    return pictures


def made(folder: Path, y, **options) -> torch.Tensor:
    labels = None if y is None else torch.tensor(y).float()
    return load_actor(folder).generate(labels, **options)


def manifest_in(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_every_image_and_what_it_was_asked_for_is_in_the_manifest(generate, actors, tmp_path):
    result = generate("classes", "--label", "two,0", "-n", 2, "--seed", 5, "-o", "out")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "4 images in out\n")
    folder = tmp_path / "out"
    manifest = manifest_in(folder)
    names = [f"image-00{number}.png" for number in (1, 2, 3, 4)]
    labels = [["two"], ["two"], ["0"], ["0"]]
    assert manifest["images"] == [
        {"file": name, "labels": own} for name, own in zip(names, labels, strict=True)
    ]
    assert (manifest["seed"], manifest["method"]) == (5, "actor")
    assert manifest["model"] == load_actor(actors / "classes").model.fingerprint
    assert {path.name for path in folder.iterdir()} == {*names, "manifest.json"}
    expected = made(actors / "classes", [[0, 0, 1]] * 2 + [[1, 0, 0]] * 2, seed=5)
    for name, image in zip(names, expected, strict=True):
        pixels = np.asarray(Image.open(folder / name))
        assert (pixels == (image[0] * 255).round().numpy()).all()


def test_one_picture_holds_a_row_of_each_class(generate, drawn, actors):
    assert generate("classes", "-n", 3, "-o", "out.png").stderr == "9 images in out.png\n"
    ((rows, names),) = drawn
    assert names == ["0", "1", "two"]
    expected = made(actors / "classes", torch.eye(3).repeat_interleave(3, 0).tolist())
    assert torch.equal(torch.cat(rows), expected)


def test_json_is_the_manifest_or_what_the_rows_of_the_picture_are(generate, tmp_path):
    start = ("classes", "--label", "two,0", "-n", 2, "--json")
    whole = json.loads(generate(*start, "-o", "out").stdout)
    assert whole == manifest_in(tmp_path / "out")
    one = json.loads(generate(*start, "-o", "out.png").stdout)
    labels = [["two"], ["two"], ["0"], ["0"]]
    assert one["images"] == [{"file": "out.png", "labels": own} for own in labels]
    assert one | {"images": []} == whole | {"images": []}


def test_a_picture_is_written(generate, tmp_path):
    assert generate("classes", "--label", "1", "-o", "new/out.png").exit_code == 0
    assert (tmp_path / "new" / "out.png").read_bytes().startswith(PNG)


def test_many_images_go_on_in_the_next_row(generate, drawn):
    generate("classes", "-n", 20, "-o", "out.png")
    generate("classes", "-n", 20, "--label", "1", "-o", "out.png")
    (several, names), (alone, name) = drawn
    assert [len(row) for row in several] == [16, 4] * 3
    assert names == ["0", "", "1", "", "two", ""]
    assert ([len(row) for row in alone], name) == ([8, 8, 4], ["1", "", ""])


def test_attributes_that_are_not_named_are_absent(generate, drawn, actors):
    start = ("attributes", "-n", 2, "-o", "out.png")
    assert generate(*start, "--with", "wearing hat,male").exit_code == 0
    assert generate(*start, "--with", "male", "--without", "smiling").exit_code == 0
    assert generate(*start, "--without", "Male").exit_code == 0
    asked = [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    titles = ["Wearing_Hat\nMale", "Male", "none"]
    for (rows, names), y, title in zip(drawn, asked, titles, strict=True):
        assert names == [title]
        assert torch.equal(torch.cat(rows), made(actors / "attributes", [y] * 2, seed=1))


def test_realism_alone_needs_no_label(generate, drawn, actors, tmp_path):
    assert generate("realism", "-n", 3, "-o", "out.png").exit_code == 0
    ((rows, names),) = drawn
    assert names == []
    assert torch.equal(torch.cat(rows), made(actors / "realism", None, n=3))
    assert generate("realism", "-n", 1, "-o", "out").stderr == "1 image in out\n"
    assert manifest_in(tmp_path / "out")["images"] == [{"file": "image-001.png", "labels": []}]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("classes", ["--label", "7"], "unknown label '7'; known are 0, 1, two"),
        ("classes", ["--with", "0"], "--with does not fit: the actor knows classes: 0, 1, two; "),
        ("attributes", [], "say by --with, or --without, what the images should have; the actor "),
        ("attributes", ["--with", "pale"], "unknown attribute 'pale'; known are Smiling, Wear"),
        ("attributes", ["--label", "Male"], "--label does not fit: the actor knows attributes: "),
        ("attributes", ["--with", "male", "--without", "male"], "attribute Male is named twice"),
        ("realism", ["--label", "1"], "--label does not fit: the actor knows realism alone and "),
        ("classes", ["-n", 0], "0 is not in the range x>=1"),
        ("classes", ["--label", "1,"], "'1,': write names with commas between them"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(generate, kind, options, message, tmp_path):
    result = generate(kind, *options, "-o", "out")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_earlier_run_is_replaced_only_on_demand(generate, tmp_path):
    start = ("classes", "--label", "1", "-o", "out")
    generate(*start, "-n", 3)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    refused = generate(*start, "-n", 1)
    assert refused.exit_code == 2
    assert "out holds an earlier run; pass --overwrite to replace it" in refused.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert generate(*start, "-n", 1, "--overwrite").exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "image-001.png",
        "manifest.json",
    }


def test_other_files_are_never_replaced(generate, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("")
    result = generate("classes", "-o", "out", "--overwrite")
    assert result.exit_code == 2
    assert "out holds other files; choose an empty or new folder" in result.stderr
    (tmp_path / "out.png").write_bytes(b"mine")
    result = generate("classes", "-o", "out.png")
    assert result.exit_code == 2
    assert "out.png exists; pass --overwrite to replace it" in result.stderr
    assert (tmp_path / "out.png").read_bytes() == b"mine"
    assert generate("classes", "-n", 1, "-o", "out.png", "--overwrite").exit_code == 0


def test_a_folder_of_something_else_is_told(generate):
    result = generate("model", "-o", "out")
    assert result.exit_code == 1
    assert f"model is of kind image-vae, format melodyconstraints-1; kind {KIND}" in result.stderr


def test_without_an_actor_it_is_the_bundled_one(mc, actors, drawn, monkeypatch, tmp_path):
    monkeypatch.setattr(actor_module, "BUNDLED", tmp_path)
    (tmp_path / "actor").symlink_to(actors / "classes")
    assert mc("images", "generate", "-o", "out.png").exit_code == 0
    assert len(drawn[0][0][0]) == 16
