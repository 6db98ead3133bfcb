"""``mc images transform``: the user's own pictures, with a critic that is known by heart."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from melodyconstraints.errors import ImageDataError, UsageError
from melodyconstraints.images.actor import ImageActor, save_actor
from melodyconstraints.images.checkpoint import load_model, save_model
from melodyconstraints.images.config import ImageVAEConfig, TrunkConfig
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.latent.networks import Actor, Critic, Critics
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.workflows.images.transform import read_picture

PNG = b"\x89PNG"
NAMES = ("Smiling", "Wearing_Hat", "Male")
SHAPE = (3, 8, 8)
SETTINGS = ActorCriticSettings(actor_hidden=(8,), critic_hidden=(), condition_units=4)


def reading(heads: int, scale: float) -> Critic:
    """A critic whose head k sees ``scale`` times the k-th dimension of a point."""
    critic = Critic(4, heads, ())
    (layer,) = (module for module in critic.modules() if isinstance(module, torch.nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(scale * torch.eye(heads, 4))
        layer.bias.zero_()
    return critic


@pytest.fixture(scope="module")
def actors(tmp_path_factory) -> Path:
    """Folders of critics of which head k sees dimension k, and of actors of random weights."""
    folder = tmp_path_factory.mktemp("images")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ImageVAEConfig(TrunkConfig(SHAPE, "feed-forward", (16,)), 4)
        model = ImageVAE(config).eval()
        save_model(model, folder / "model")
        realism = reading(1, 0.0)
        realism.requires_grad_(False)
        next(m for m in realism.modules() if isinstance(m, torch.nn.Linear)).bias.fill_(2.0)
        search = Critics([reading(3, 10.0), realism])
        unmoved = Critics([reading(3, 0.0), realism])
        network = Actor(4, (8,), 3, condition_units=4)
        judge = Critics([Critic(4, 1, (), 3, condition_units=4)])
        for name, exclusive, actor, critic, method in (
            ("gradient", False, None, search, "gradient"),
            ("stuck", False, None, unmoved, "gradient"),
            ("langevin", False, None, Critics([reading(3, 10.0)]), "langevin"),
            ("network", False, network, judge, "actor"),
            ("classes", True, None, search, "gradient"),
        ):
            made = ImageActor(
                model=model,
                names=NAMES,
                exclusive=exclusive,
                actor=actor,
                critic=critic,
                settings=SETTINGS,
                method=method,
            )
            save_actor(made, folder / name)
        bare = Critics([Critic(4, 1, (), 0, condition_units=4)])
        save_actor(
            ImageActor(
                model=model,
                names=(),
                exclusive=False,
                actor=Actor(4, (8,), 0),
                critic=bare,
                settings=SETTINGS,
            ),
            folder / "realism",
        )
    return folder


@pytest.fixture
def pictures(tmp_path) -> list[str]:
    """Two photographs of noise in the folder of the test."""
    rng = np.random.default_rng(0)
    for name, size in (("ann.png", (12, 20, 3)), ("bob.jpg", (9, 8, 3))):
        Image.fromarray(rng.integers(256, size=size, dtype=np.uint8)).save(tmp_path / name)
    return ["ann.png", "bob.jpg"]


@pytest.fixture
def transform(mc, actors, pictures):
    """Transforms the photographs with one of the folders, into ``out.png``."""
    return lambda kind, *options: mc(
        *("images", "transform", *pictures, "--actor", actors / kind, "-o", "out.png"), *options
    )


def seen(actors: Path, pictures: list[str]) -> list[list[bool]]:
    """What holds in the pictures: the signs of the first dimensions."""
    images = torch.stack([read_picture(Path(name), SHAPE) for name in pictures])
    return (load_model(actors / "model").encode(images).mean[:, :3] > 0).tolist()


def test_named_attributes_change_and_others_stay(transform, actors, pictures, tmp_path):
    before = seen(actors, pictures)
    result = transform("gradient", "--set", "smiling", "--unset", "wearing hat", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["method"] == "gradient"
    assert told["model"] == load_model(actors / "model").fingerprint
    assert [row["file"] for row in told["images"]] == pictures
    for row, (*_, male) in zip(told["images"], before, strict=True):
        assert row["labels"] == ["Smiling", *(["Male"] if male else [])]
        assert row["predicted_satisfied"]
        assert row["latent_distance"] > 0
        assert row["pixel_distance"] > 0
    assert (tmp_path / "out.png").read_bytes().startswith(PNG)


def test_a_picture_that_has_its_labels_is_not_moved(transform, actors, pictures):
    wanted = seen(actors, pictures)[0]
    on = [name for name, holds in zip(NAMES, wanted, strict=True) if holds]
    off = [name for name, holds in zip(NAMES, wanted, strict=True) if not holds]
    options = [word for name in on for word in ("--set", name)]
    options += [word for name in off for word in ("--unset", name)]
    told = json.loads(transform("langevin", *options, "--json").stdout)
    assert told["images"][0]["labels"] == on


def test_a_table_says_what_is_predicted(transform, table):
    result = transform("gradient", "--set", "Smiling,Wearing_Hat,Male")
    assert result.exit_code == 0
    head, first, second = table(result.stdout)
    assert head == [
        "picture",
        "labels wanted",
        "predicted satisfied",
        "pixel distance",
        "latent distance",
    ]
    assert first[:3] == ["ann.png", "Smiling, Wearing_Hat, Male", "yes"]
    assert second[:3] == ["bob.jpg", "Smiling, Wearing_Hat, Male", "yes"]


def test_classes_are_asked_for_by_label(transform):
    result = transform("classes", "--label", "Male", "--json")
    assert result.exit_code == 0
    assert [row["labels"] for row in json.loads(result.stdout)["images"]] == [["Male"]] * 2


def test_a_network_is_told_all_labels(transform):
    result = transform("network", "--set", "male", "--unset", "smiling,wearing hat", "--json")
    assert [row["labels"] for row in json.loads(result.stdout)["images"]] == [["Male"]] * 2


def test_rows_of_the_picture_are_before_and_after(transform, monkeypatch, actors, pictures):
    drawn = []
    monkeypatch.setattr(
        "melodyconstraints.workflows.images.transform.draw_grid",
        lambda rows, path, **names: drawn.append((rows, names)),
    )
    transform("gradient", "--set", "smiling")
    ((rows, names),) = drawn
    assert names == {
        "row_names": pictures,
        "column_names": ("picture", "reconstruction", "transformed"),
    }
    model = load_model(actors / "model")
    for name, (picture, copy, _) in zip(pictures, rows, strict=True):
        image = read_picture(Path(name), SHAPE)
        assert torch.equal(picture, image / 255)
        assert torch.allclose(copy, model.decode(model.encode(image[None]).mean)[0], atol=1e-2)


def test_nothing_satisfied_is_a_failure_that_says_what_to_try(transform, tmp_path):
    result = transform("stuck", "--set", "smiling", "--distance", 1, "--steps", 2)
    assert result.exit_code == 1
    assert "\nann.png\t" in result.stdout
    assert "Error: the critics predict none of the pictures satisfied; " in result.stderr
    assert "try a lower --distance or more --steps" in result.stderr
    assert (tmp_path / "out.png").is_file()


def test_a_network_is_not_judged_by_the_critic_that_taught_it(transform, table):
    all_labels = ("--set", "smiling", "--unset", "wearing hat,male", "--overwrite")
    result = transform("network", *all_labels, "--json")
    assert result.exit_code == 0
    assert {row["predicted_satisfied"] for row in json.loads(result.stdout)["images"]} == {None}
    _, *rows = table(transform("network", *all_labels).stdout)
    assert [row[2] for row in rows] == ["-", "-"]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("network", ["--set", "male"], "transform needs a folder trained with --method gradient"),
        ("network", ["--set", "male"], "or name all 3 attributes by --set and --unset: Smiling, "),
        ("realism", ["--set", "male"], "this actor knows realism alone; train one with labels"),
        ("gradient", [], "give --set or --unset; the actor knows Smiling, Wearing_Hat, Male"),
        ("gradient", ["--set", "pale"], "unknown attribute 'pale'; known are Smiling, Wearing_"),
        ("gradient", ["--label", "Male"], "--label does not fit: the actor knows attributes: "),
        ("gradient", ["--set", "male", "--unset", "Male"], "attribute Male is named twice"),
        ("classes", ["--set", "Male"], "--set does not fit: the actor knows classes: Smiling, "),
        ("classes", [], "give one --label, got 0; known are Smiling, Wearing_Hat, Male"),
        ("classes", ["--label", "Smiling,Male"], "give one --label, got 2"),
        ("classes", ["--label", "pale"], "unknown label 'pale'; known are Smiling, Wearing_Hat"),
        ("langevin", ["--set", "male", "--distance", 1], "a distance weight is for the method"),
        ("gradient", ["--set", "male", "-o", "out.jpg"], "out.jpg must end in .png"),
        ("gradient", ["--set", "male", "-o", "ann.png"], "ann.png exists; pass --overwrite"),
        ("gradient", ["--set", "male", "-o", "ann.png", "--overwrite"], "ann.png is an input; "),
    ],
    ids=str,
)
def test_wrong_usage_is_told(transform, kind, options, message, tmp_path):
    result = transform(kind, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_hostile_image_is_one_line(transform, tmp_path):
    whole = (tmp_path / "bob.jpg").read_bytes()
    for data in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\nIHDR", whole[: len(whole) // 2]):
        (tmp_path / "bob.jpg").write_bytes(data)
        result = transform("gradient", "--set", "smiling")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: image bob.jpg ")
        assert result.stderr.endswith(("; replace it\n", "; save it as PNG or JPEG\n"))
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / "out.png").exists()


def test_a_picture_that_is_not_there_is_told(mc, actors):
    result = mc("images", "transform", "no.png", "--actor", actors / "gradient", "-o", "out.png")
    assert result.exit_code == 2
    assert "File 'no.png' does not exist" in result.stderr


def test_the_middle_square_is_taken(tmp_path):
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:6] = 200
    pixels[1:3, 3:5] = (0, 100, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    square = read_picture(tmp_path / "a.png", (3, 4, 4))
    assert square.shape == (3, 4, 4)
    assert torch.equal(square, torch.from_numpy(pixels[:, 2:6]).movedim(-1, 0))
    inner = read_picture(tmp_path / "a.png", (3, 2, 2), crop=2, invert=True)
    assert inner[:, 0, 0].tolist() == [255, 155, 255]
    grey = read_picture(tmp_path / "a.png", (1, 2, 2), crop=2)
    assert grey.shape == (1, 2, 2)
    assert grey[0, 0, 0] == round(0.587 * 100)


def test_what_cannot_become_a_square_of_the_model_is_told(tmp_path):
    Image.new("RGB", (8, 4)).save(tmp_path / "a.png")
    with pytest.raises(ImageDataError, match=r"a\.png is 8x4, smaller than --crop 5; ask for"):
        read_picture(tmp_path / "a.png", SHAPE, crop=5)
    with pytest.raises(UsageError, match="pictures become square; the model's images are 6x4"):
        read_picture(tmp_path / "a.png", (1, 4, 6))
