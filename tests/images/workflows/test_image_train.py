"""From labelled images to folders with their cards."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from melodyconstraints.datasets.images.labelled_images import ImageData, LabelledImages
from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.images.actor import load_actor
from melodyconstraints.images.actor_training import PRESETS as PAIRS
from melodyconstraints.images.actor_training import (
    encode_images,
    preset_settings,
    train_image_actor,
)
from melodyconstraints.images.captions import load_captioner
from melodyconstraints.images.checkpoint import load_classifier, load_model, save_model
from melodyconstraints.images.classifier import compare_labels
from melodyconstraints.images.config import PRESETS, Preset
from melodyconstraints.images.training import measure_elbo
from melodyconstraints.vae.training import TrainingSettings
from melodyconstraints.workflows.images import train_classifier, train_vae
from melodyconstraints.workflows.images.image_data import (
    check_fits,
    encode_labelled,
    may_be_mirrored,
    shape_of,
    tensors,
)
from melodyconstraints.workflows.images.train_actor import actor_settings, train_actor_folder
from melodyconstraints.workflows.images.train_captions import train_captions_folder
from melodyconstraints.workflows.images.train_classifier import train_classifier_folder
from melodyconstraints.workflows.images.train_vae import train_vae_folder

pytestmark = pytest.mark.usefixtures("blank_curves")


def labelled(bars, *, exclusive=True, channels=1, scale=1) -> LabelledImages:
    """Bars as the readers of data sets give them."""
    larger = bars.images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    images = larger.movedim(1, -1).repeat(1, 1, 1, channels).numpy()
    return LabelledImages(
        images=images,
        labels=bars.labels.bool().numpy(),
        names=tuple("abcd"),
        exclusive=exclusive,
        files=(),
        captions=(),
        source="bars",
        checksums={"bars.png": "12ab"},
    )


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", Preset("feed-forward", (12,), 4, "for tests"))
    small = {"small": ((2, 3, 4, 5), 6), "faces": ((5, 4, 3, 2), 0)}
    monkeypatch.setattr(train_classifier, "SIZES", small)


@pytest.fixture
def data(bars, other_bars) -> ImageData:
    """Classes of 8x8 pixels."""
    return ImageData(labelled(bars), labelled(other_bars))


@pytest.fixture
def large(bars, other_bars) -> ImageData:
    """The same of 16x16 pixels."""
    return ImageData(labelled(bars, scale=2), labelled(other_bars, scale=2))


@pytest.fixture
def saved(bar_model, tmp_path):
    """The model of bars, from its folder."""
    save_model(bar_model, tmp_path / "model")
    yield load_model(tmp_path / "model")
    bar_model.folder = bar_model.fingerprint = ""


def settings(steps: int = 4, **others) -> TrainingSettings:
    chosen = {"batch_size": 16, "precision": "float32", "evaluate_every": 2, "checkpoint_every": 2}
    return TrainingSettings(steps=steps, **(chosen | others))


def short(quick):
    return replace(quick, rounds=2, actor_hidden=(8,), critic_hidden=(7,), condition_units=4)


def is_picture(path) -> bool:
    with Image.open(path) as picture:
        picture.load()
        return picture.format == "PNG"


def card(folder) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


# From images to tensors


def test_channels_come_first_and_labels_are_numbers(bars, data):
    colour = labelled(bars, channels=3)
    colour.images[:, 2, 5, 1] = 77
    pixels, labels = tensors(colour)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (800, 3, 8, 8)
    assert (pixels[:, 1, 2, 5] == 77).all()
    assert labels.dtype == torch.float32
    assert np.array_equal(labels.numpy(), colour.labels.astype(float))
    assert shape_of(colour) == (3, 8, 8)
    assert shape_of(data.train) == (1, 8, 8)


def test_classes_are_not_mirrored_and_attributes_are(bars):
    assert not may_be_mirrored(labelled(bars))
    assert may_be_mirrored(labelled(bars, exclusive=False))


# Models


@pytest.mark.usefixtures("drawn_curves")
def test_a_training_leaves_a_model_with_card_and_curves(data, tmp_path):
    steps, out = [], tmp_path / "model"
    measured = train_vae_folder(
        data,
        out,
        settings(),
        preset="tiny",
        sigma_x=0.25,
        callback=lambda state: steps.append(state.step),
    )
    model = load_model(out)
    assert model.config == PRESETS["tiny"].config((1, 8, 8), 0.25)
    assert steps == [1, 2, 3, 4]
    # the folder holds half precision, the numbers are of full precision
    again = measure_elbo(model, tensors(data.test)[0])
    assert measured == pytest.approx(again, rel=1e-2)
    assert is_picture(out / "learning-curves.png")
    text = card(out)
    assert "preset `tiny`" in text
    assert "sigma_x 0.25, trained for 4 steps" in text
    assert f"{12 * 64 + 12 + 12 * 8 + 8 + 4 * 12 + 12 + 12 * 64 + 64:,} parameters" in text
    assert f"| mse | {measured['mse']:.4g} |" in text
    assert "Measured on 200 images that the training did not see" in text
    assert "`bars`: 800 to train on." in text
    assert "| bars.png | 12ab |" in text
    training = json.loads((out / "config.json").read_text())["training"]
    assert training["quality"] == measured
    assert training["data"] == {"bars.png": "12ab"}
    assert training["settings"]["batch_size"] == 16


def test_a_training_that_was_stopped_goes_on(data, tmp_path):
    def stop(state):
        if state.step == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train_vae_folder(data, tmp_path / "a", settings(), preset="tiny", callback=stop)
    with pytest.raises(UsageError, match="already holds a training; pass --resume"):
        train_vae_folder(data, tmp_path / "a", settings(), preset="tiny")
    steps = []
    resumed = train_vae_folder(
        data,
        tmp_path / "a",
        settings(),
        preset="tiny",
        resume=True,
        callback=lambda state: steps.append(state.step),
    )
    assert steps == [3, 4]
    assert resumed == train_vae_folder(data, tmp_path / "b", settings(), preset="tiny")
    a, b = load_model(tmp_path / "a"), load_model(tmp_path / "b")
    for name, tensor in b.state_dict().items():
        assert torch.equal(a.state_dict()[name], tensor), name


@pytest.mark.usefixtures("drawn_curves")
def test_an_autoencoder_has_no_elbo(data, tmp_path):
    measured = train_vae_folder(data, tmp_path, settings(), preset="tiny", sigma_x=0.0)
    assert set(measured) == {"mse"}
    assert is_picture(tmp_path / "learning-curves.png")
    assert load_model(tmp_path).config.sigma_x == 0.0


def test_the_preset_is_that_of_grey_images_or_of_colour(bars, data, tmp_path, monkeypatch):
    for name, channels in (("digits", 1), ("small", 3)):
        monkeypatch.setitem(PRESETS, name, Preset("feed-forward", (12,), channels, "for tests"))
    colour = ImageData(labelled(bars, channels=3), labelled(bars, channels=3))
    for images, preset in ((data, "digits"), (colour, "small")):
        train_vae_folder(images, tmp_path / preset, settings(1))
        training = json.loads((tmp_path / preset / "config.json").read_text())["training"]
        assert training["settings"]["preset"] == preset


def test_an_unknown_preset_is_refused(data, tmp_path):
    with pytest.raises(UsageError, match=r"preset must be one of .*, tiny, .*, got 'huge'"):
        train_vae_folder(data, tmp_path, settings(), preset="huge")


def test_images_that_a_preset_cannot_make_are_refused(data, tmp_path):
    with pytest.raises(UsageError, match="sides are multiples of 16, got 8x8"):
        train_vae_folder(data, tmp_path, settings(), preset="small")


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(data, tmp_path):
    with pytest.raises(UsageError, match="device 'nowhere' cannot be used"):
        train_vae_folder(data, tmp_path / "a", settings(), preset="tiny", device="nowhere")
    assert not (tmp_path / "a").exists()


@pytest.mark.usefixtures("full_disk")
def test_a_training_without_room_on_the_disk_is_not_begun(data, tmp_path):
    with pytest.raises(UsageError, match=r"needs [\d.]+ MB, and its disk has 0\.5 MB free"):
        train_vae_folder(data, tmp_path / "model", settings(), preset="tiny")
    assert not (tmp_path / "model").exists()


def test_a_folder_with_other_files_is_refused(data, tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UsageError, match="holds other files; choose an empty or new folder"):
        train_vae_folder(data, tmp_path, settings(), preset="tiny")


# Classifiers


def test_a_classifier_is_left_with_its_scores(large, tmp_path):
    found = train_classifier_folder(large, tmp_path / "judge", settings(30))
    judge = load_classifier(tmp_path / "judge")
    assert judge.config.trunk.widths == (2, 3, 4, 5)
    assert (judge.config.hidden, judge.config.exclusive) == (6, True)
    assert judge.config.names == tuple("abcd")
    images, labels = tensors(large.test)
    again = compare_labels(judge.predict(images), labels, judge.config.names, exclusive=True)
    assert found.accuracy == pytest.approx(again.accuracy, abs=0.02)
    assert f"| accuracy | {found.accuracy:.4f} |" in card(tmp_path / "judge")


def test_attributes_have_another_classifier_than_classes(bars, other_bars, tmp_path):
    train, test = (labelled(of, exclusive=False, scale=2) for of in (bars, other_bars))
    data = ImageData(train, test)
    train_classifier_folder(data, tmp_path, settings())
    config = load_classifier(tmp_path).config
    assert (config.trunk.widths, config.hidden, config.exclusive) == ((5, 4, 3, 2), 0, False)
    train_classifier_folder(data, tmp_path, settings(), size="small", overwrite=True)
    assert load_classifier(tmp_path).config.hidden == 6


def test_images_that_four_halvings_leave_nothing_of_have_linear_layers(data, tmp_path):
    train_classifier_folder(data, tmp_path, settings(1))
    assert load_classifier(tmp_path).config.trunk.architecture == "feed-forward"


def test_to_watch_a_classifier_changes_nothing(data, tmp_path):
    """What is dropped out in training is so after the first measurement, too."""
    for name, every in (("often", 1), ("once", 100)):
        train_classifier_folder(data, tmp_path / name, settings(6, evaluate_every=every))
    often, once = (load_classifier(tmp_path / name).state_dict() for name in ("often", "once"))
    for name, tensor in once.items():
        assert torch.equal(often[name], tensor), name


@pytest.mark.parametrize(
    ("module", "core", "train", "seconds", "rate", "decay"),
    [
        (train_vae, "train_image_vae", train_vae_folder, 1800, 5e-4, 0.999),
        (train_classifier, "train_classifier", train_classifier_folder, 600, 1e-3, 0.99),
    ],
    ids=["vae", "classifier"],
)
def test_without_settings_a_training_is_that_of_the_command(
    large, tmp_path, monkeypatch, module, core, train, seconds, rate, decay
):
    asked = []

    def stop(*given, **options):
        asked.extend(one for one in given if isinstance(one, TrainingSettings))
        raise UsageError("enough")

    monkeypatch.setattr(module, core, stop)
    with pytest.raises(UsageError, match="enough"):
        train(large, tmp_path / "out")
    assert asked == [
        TrainingSettings(
            time_budget_seconds=seconds, batch_size=128, learning_rate=rate, ema_decay=decay
        )
    ]


@pytest.mark.parametrize(
    ("module", "core", "folder_of", "expected"),
    [
        (
            *(train_vae, "train_image_vae"),
            lambda name: partial(train_vae_folder, preset=name),
            {"small": {"flip": True}, "paper": {"flip": False}},
        ),
        (
            *(train_classifier, "train_classifier"),
            lambda name: partial(train_classifier_folder, size=name),
            {
                "faces": {"flip": True, "shift": 0, "dropout": 0.5},
                "paper": {"flip": False, "shift": 0, "dropout": 0.0},
            },
        ),
    ],
    ids=["vae", "classifier"],
)
def test_what_is_the_papers_mirrors_and_drops_nothing(
    bars, tmp_path, monkeypatch, module, core, folder_of, expected
):
    data, asked = ImageData(*[labelled(bars, exclusive=False, scale=2)] * 2), {}

    def stop(*given, **options):
        asked.update(options)
        raise UsageError("enough")

    monkeypatch.setitem(train_classifier.SIZES, "paper", ((2, 2, 2, 2), 0))
    monkeypatch.setattr(module, core, stop)
    for name, options in expected.items():
        with pytest.raises(UsageError, match="enough"):
            folder_of(name)(data, tmp_path / name, settings())
        assert asked.items() >= options.items()


def test_what_is_the_papers_has_encodings_of_the_images_alone(bars, bar_model):
    faces = labelled(bars, exclusive=False)
    assert len(encode_labelled(bar_model, faces).means) == 2 * len(faces)
    plain = encode_labelled(bar_model, faces, plain=True)
    whole = encode_images(bar_model, *tensors(faces))
    assert torch.equal(plain.means, whole.means)
    rows = (one.rows(100, torch.Generator().manual_seed(0)) for one in (plain, whole))
    assert torch.equal(*rows)


def test_an_unknown_size_is_refused(data, tmp_path):
    with pytest.raises(UsageError, match="size must be one of small, faces, got 'huge'"):
        train_classifier_folder(data, tmp_path, settings(), size="huge")


def test_a_classifier_is_not_replaced_unasked(data, tmp_path):
    train_classifier_folder(data, tmp_path, settings(1))
    message = "already holds the image-classifier of an earlier run; pass --overwrite"
    with pytest.raises(UsageError, match=message):
        train_classifier_folder(data, tmp_path, settings(1))
    with pytest.raises(UsageError, match="device 'nowhere' cannot be used"):
        train_classifier_folder(data, tmp_path, settings(1), device="nowhere")


# Actors


@pytest.mark.usefixtures("drawn_curves")
@pytest.mark.parametrize("method", ["actor", "gradient", "langevin"])
def test_an_actor_is_left_with_card_and_curves(
    data, saved, quick, tmp_path, bar_encodings, method
):
    told, out = [], tmp_path / "actor"
    actor = train_actor_folder(
        data, saved, out, method=method, settings=short(quick), seed=5, callback=told.append
    )
    assert len(told) == 2
    loaded = load_actor(out)
    assert (loaded.names, loaded.exclusive, loaded.method) == (tuple("abcd"), True, method)
    assert loaded.model.fingerprint == saved.fingerprint
    assert is_picture(out / "training-curves.png")
    text = card(out)
    assert f"For the image model `{saved.fingerprint[:12]}`" in text
    assert f"| method | {method} |" in text
    assert "| labels | a, b, c, d |" in text
    assert "| seed | 5 |" in text
    encodings = encode_labelled(saved, data.train)
    again = train_image_actor(
        saved, encodings, tuple("abcd"), method=method, settings=short(quick), seed=5
    )
    for ours, theirs in zip(again.critic.parameters(), actor.critic.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_an_actors_settings_are_those_of_classes_or_of_attributes(bars, data):
    attributes = ImageData(*[labelled(bars, exclusive=False)] * 2)
    assert actor_settings(data) == preset_settings("digits", "actor")
    assert actor_settings(attributes, "gradient") == preset_settings("small", "gradient")
    chosen = actor_settings(data, preset="large", distance=0.5, rounds=7)
    assert chosen == replace(PAIRS["large"], distance_weight=0.5, rounds=7)


@pytest.mark.parametrize("method", ["actor", "gradient"])
def test_realism_alone_has_no_labels(data, saved, quick, tmp_path, method):
    out = tmp_path / "actor"
    train_actor_folder(data, saved, out, method=method, labelled=False, settings=short(quick))
    assert load_actor(out).names == ()
    assert "| labels | none: realism alone |" in card(out)


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_captioner_is_left_with_what_it_reads(bars, other_bars, saved, tmp_path, exclusive):
    def captioned(of, count) -> LabelledImages:
        words = tuple(f"a bar at {'abcd'[place]}" for place in of.labels.argmax(1))
        return replace(labelled(of, exclusive=exclusive), captions=words).take(range(count))

    data, told = ImageData(captioned(bars, 60), captioned(other_bars, 20)), []
    found = train_captions_folder(
        data,
        saved,
        tmp_path / "words",
        settings(3),
        callback=lambda state: told.append(state.step),
    )
    assert told == [1, 2, 3]
    _, captioner = load_captioner(tmp_path / "words", model=saved)
    assert set(captioner.config.words) >= {"a", "bar", "at", "b", "c", "d"}
    assert [caption for caption, _ in found.pairs] == list(data.test.captions)
    right = sum(caption == read for caption, read in found.pairs) / 20
    assert found.exact == right
    assert found.example == data.test.captions[0]
    text = card(tmp_path / "words")
    assert f"| captions of the first 20 read to the word | {right:.1%} |" in text
    assert f"points of the image model `{saved.fingerprint[:12]}`" in text


@pytest.mark.parametrize("kind", ["classifier", "captioner"])
def test_a_folder_is_held_by_one_training_and_its_disk_must_have_room(
    data, saved, tmp_path, request, kind
):
    out, steps = tmp_path / "new" / kind, []

    def start(callback=None):
        if kind == "classifier":
            train_classifier_folder(data, out, settings(2), callback=callback)
        else:
            train_captions_folder(data, saved, out, settings(2), callback=callback)

    def callback(state):
        steps.append(state.step)
        with pytest.raises(StoreError, match=f"another process is at work in {out}"):
            start()

    start(callback)
    assert steps == [1, 2]
    assert sorted(path.name for path in out.iterdir()) == [
        *("README.md", "config.json", "manifest.json", "model.safetensors")
    ]
    out = tmp_path / "other" / kind
    request.getfixturevalue("full_disk")
    with pytest.raises(UsageError, match=r"needs \d\.\d MB, and its disk has 0\.5 MB free"):
        start()
    assert not out.parent.exists()


def test_an_actor_is_not_replaced_unasked(data, saved, quick, tmp_path):
    out = tmp_path / "actor"
    train_actor_folder(data, saved, out, settings=short(quick))
    message = "already holds the image-actor of an earlier run; pass --overwrite"
    with pytest.raises(UsageError, match=message):
        train_actor_folder(data, saved, out, settings=short(quick))
    train_actor_folder(data, saved, out, settings=short(quick), method="gradient", overwrite=True)
    assert load_actor(out).method == "gradient"


def test_images_of_another_shape_are_refused(data, saved, bars, quick, tmp_path):
    colour = labelled(bars, channels=3)
    message = (
        "the model makes images of 8x8 pixels in grey, the data has 8x8 pixels in colour; "
        "give the data that it was trained on, or train a model with: mc images train-vae"
    )
    with pytest.raises(UsageError, match=message):
        check_fits(saved, colour)
    with pytest.raises(UsageError, match=message):
        train_actor_folder(
            ImageData(colour, colour), saved, tmp_path / "actor", settings=short(quick)
        )
    check_fits(saved, data.train)
