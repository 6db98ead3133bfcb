"""Sizes of image models: what is refused, and the paper's own."""

import math
from dataclasses import asdict

import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.images.config import (
    PRESETS,
    ImageVAEConfig,
    TrunkConfig,
)
from melodyconstraints.storage.artifacts import from_json

FACES, DIGITS = (3, 64, 64), (1, 28, 28)


def test_an_unknown_architecture_is_refused():
    message = "architecture must be one of feed-forward, convolutional, got 'recurrent'"
    with pytest.raises(UsageError, match=message):
        TrunkConfig(DIGITS, "recurrent", (8,))


def test_a_convolutional_network_has_four_layers():
    with pytest.raises(UsageError, match="a convolutional network has 4 widths, got 3"):
        TrunkConfig(FACES, "convolutional", (8, 8, 8))


@pytest.mark.parametrize("sigma_x", [-0.1, math.inf, math.nan])
def test_a_deviation_that_is_none_is_refused(sigma_x):
    trunk = TrunkConfig(DIGITS, "feed-forward", (8,))
    with pytest.raises(UsageError, match=f"sigma_x must be a number of at least 0, got {sigma_x}"):
        ImageVAEConfig(trunk, 2, sigma_x)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (64, 40), (40, 64)])
def test_four_doublings_make_no_odd_sizes(height, width):
    trunk = TrunkConfig((1, height, width), "convolutional", (8, 8, 8, 8))
    message = (
        f"images whose sides are multiples of 16, got {height}x{width}; choose the feed-forward"
    )
    with pytest.raises(UsageError, match=message):
        ImageVAEConfig(trunk, 2)


def test_classifiers_may_have_any_size():
    assert TrunkConfig(DIGITS, "convolutional", (8, 8, 8, 8)).pixels == 784


@pytest.mark.parametrize("name", PRESETS)
def test_a_configuration_comes_back_from_json(name):
    config = PRESETS[name].config(FACES, 0.25)
    assert from_json(ImageVAEConfig, asdict(config)) == config


def test_the_papers_own_models():
    digits = PRESETS["paper-digits"].config(DIGITS, 0.1)
    assert digits.trunk == TrunkConfig(DIGITS, "feed-forward", (1024, 1024, 1024))
    faces = PRESETS["paper"].config(FACES, 0.1)
    assert faces.trunk == TrunkConfig(FACES, "convolutional", (2048, 1024, 512, 256))
    assert digits.latent_dim == faces.latent_dim == 1024


def test_the_small_model_has_an_eighth_of_the_channels():
    assert [8 * width for width in PRESETS["small"].widths] == list(PRESETS["paper"].widths)
