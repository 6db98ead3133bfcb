"""The model of digits and its actor that come with the package."""

from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional as F

from melodyconstraints.datasets.images.read_images import read_images
from melodyconstraints.images.actor import load_actor, prior_points
from melodyconstraints.images.checkpoint import BUNDLED, load_model

REAL = Path(__file__).parents[3] / "shared" / "data" / "images" / "mnist"
LARGEST = 8_000_000
"""Bytes of model and actor together."""


@pytest.fixture(scope="module")
def actor():
    return load_actor(BUNDLED / "actor")


def test_model_and_actor_are_small():
    files = [path for path in BUNDLED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST


def test_the_actor_belongs_to_the_model_wherever_the_package_is(actor):
    assert actor.model.folder == "bundled"
    assert actor.model.fingerprint == load_model().fingerprint
    assert actor.names == tuple("0123456789")
    assert actor.exclusive


def test_digits_that_are_asked_for_are_recognised_by_who_knows_other_digits(actor):
    """Scikit-learn's digits, of other hands and 8x8 pixels; by chance a tenth would be right."""
    known = load_digits()
    judge = KNeighborsClassifier(3).fit(known.data / 16, known.target)
    asked = torch.eye(10).repeat_interleave(20, 0)
    made = small(actor.generate(asked, seed=1))
    right = judge.predict(made) == asked.argmax(1).numpy()
    assert right.mean() > 0.5


@pytest.mark.skipif(not REAL.is_dir(), reason="the MNIST digits are not here")
def test_digits_that_are_asked_for_are_near_those_of_mnist(actor):
    test = read_images(REAL).test
    judge = KNeighborsClassifier(3).fit(
        test.images.reshape(len(test), -1) / 255, test.labels.argmax(1)
    )
    asked = torch.eye(10).repeat_interleave(20, 0)
    made = actor.generate(asked, seed=1).flatten(1).numpy()
    prior = actor.model.decode(prior_points(actor.model, 200, seed=1)).flatten(1).numpy()
    assert (judge.predict(made) == asked.argmax(1).numpy()).mean() > 0.95
    assert judge.kneighbors(made)[0].mean() < 0.9 * judge.kneighbors(prior)[0].mean()


def small(images):
    """``(B, 1, 28, 28)`` as those digits are, ``(B, 64)``: filling the height of 8 pixels."""
    cut = []
    for image in F.pad(images[:, 0], (14,) * 4):
        rows, columns = (torch.where(image.amax(axis) > 0.3)[0] for axis in (1, 0))
        top, bottom = int(rows.min()), int(rows.max()) + 1
        left = (int(columns.min()) + int(columns.max()) + 1 - (bottom - top)) // 2
        square = image[top:bottom, left : left + bottom - top]
        cut.append(F.interpolate(square[None, None], size=8, mode="area").flatten())
    return torch.stack(cut).numpy()


def test_the_same_seed_makes_the_same_digits(actor):
    asked = torch.eye(10)
    first, again, other = (actor.generate(asked, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
