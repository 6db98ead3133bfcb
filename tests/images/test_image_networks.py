"""The paper's networks to the letter (appendix 9.2.1, 9.2.2), and sizes that it does not have."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from melodyconstraints.images.config import PRESETS, ImageVAEConfig, TrunkConfig
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.images.networks import Decoder, Trunk

FACES, DIGITS = (3, 64, 64), (1, 28, 28)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def convolution(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def on_meta(config: ImageVAEConfig) -> ImageVAE:
    with torch.device("meta"):
        return ImageVAE(config)


def kinds(layers: nn.Sequential) -> list[str]:
    return [type(layer).__name__ for layer in layers]


def test_the_digits_model_has_the_papers_number_of_parameters():
    model = on_meta(PRESETS["paper-digits"].config(DIGITS, 0.1))
    # "3 linear layers with 1024 outputs", "an additional linear layer ... to produce 2048"
    encoder = linear(28 * 28, 1024) + 2 * linear(1024, 1024) + linear(1024, 2048)
    # "3 linear layers with 1024 outputs", "an additional linear layer ... to produce 28x28"
    decoder = 3 * linear(1024, 1024) + linear(1024, 28 * 28)
    assert count(model.trunk) + count(model.head) == encoder
    assert count(model.decoder) == decoder
    assert encoder + decoder == 8_954_640


@pytest.mark.parametrize("eighths", [1, 8])
def test_the_faces_model_has_the_papers_number_of_parameters(eighths):
    a, b, c, d = (eighths * width for width in (256, 128, 64, 32))
    trunk = TrunkConfig(FACES, "convolutional", (a, b, c, d))
    model = on_meta(ImageVAEConfig(trunk, 1024))
    # kernels "3x3, 3x3, 5x5, and 5x5, with 2048, 1024, 512, and 256 output channels"
    encoder = convolution(3, a, 3) + convolution(a, b, 3)
    encoder += convolution(b, c, 5) + convolution(c, d, 5)
    # 64 halved four times is 4; "a linear layer is used to produce 2048 outputs"
    encoder += linear(4 * 4 * d, 2048)
    # "a 4x4x2048 linear layer"; "5x5, 5x5, 3x3, and 3x3, with 1024, 512, 256, and 3"
    decoder = linear(1024, 4 * 4 * a) + convolution(a, b, 5) + convolution(b, c, 5)
    decoder += convolution(c, d, 3) + convolution(d, 3, 3)
    assert count(model.trunk) + count(model.head) == encoder
    assert count(model.decoder) == decoder
    assert encoder + decoder == {8: 144_019_715, 1: 6_850_851}[eighths]


def test_the_faces_networks_layers_in_their_order():
    model = on_meta(PRESETS["paper"].config(FACES, 0.1))
    assert kinds(model.trunk.layers) == ["Conv2d", "ReLU"] * 4 + ["Flatten"]
    downwards = [layer for layer in model.trunk.layers if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in downwards] == [2048, 1024, 512, 256]
    assert [layer.kernel_size for layer in downwards] == [(3, 3), (3, 3), (5, 5), (5, 5)]
    layers = model.decoder.layers
    assert kinds(layers)[:2] == ["Linear", "Unflatten"]
    assert kinds(layers)[2:] == ["ConvTranspose2d", "ReLU"] * 3 + ["ConvTranspose2d"]
    upwards = [layer for layer in layers if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.out_channels for layer in upwards] == [1024, 512, 256, 3]
    assert [layer.kernel_size for layer in upwards] == [(5, 5), (5, 5), (3, 3), (3, 3)]
    assert {layer.stride for layer in [*downwards, *upwards]} == {(2, 2)}


def test_the_digits_networks_layers_in_their_order():
    model = on_meta(PRESETS["paper-digits"].config(DIGITS, 0.1))
    assert kinds(model.trunk.layers) == ["Flatten"] + ["Linear", "ReLU"] * 3
    assert kinds(model.decoder.layers) == ["Linear", "ReLU"] * 3 + ["Linear", "Unflatten"]


def test_each_convolution_halves_and_each_of_the_decoders_doubles():
    config = TrunkConfig((3, 64, 48), "convolutional", (5, 4, 3, 2))
    sizes, images = [], torch.rand(2, 3, 64, 48)
    for layer in Trunk(config).layers[:-1]:
        images = layer(images)
        sizes.append(tuple(images.shape[1:]))
    assert sizes[::2] == [(5, 32, 24), (4, 16, 12), (3, 8, 6), (2, 4, 3)]
    shapes, images = [], torch.randn(2, 7)
    for layer in Decoder(config, 7).layers:
        images = layer(images)
        shapes.append(tuple(images.shape[1:]))
    assert shapes[1] == (5, 4, 3)
    assert shapes[2::2] == [(4, 8, 6), (3, 16, 12), (2, 32, 24), (3, 64, 48)]


@pytest.mark.parametrize("shape", [FACES, DIGITS, (1, 8, 8), (3, 33, 17), (1, 1, 1)], ids=str)
def test_a_trunk_says_how_many_features_it_has(shape):
    config = TrunkConfig(shape, "convolutional", (2, 3, 4, 5))
    trunk = Trunk(config)
    assert trunk(torch.rand(2, *shape)).shape == (2, trunk.features)
    deep = Trunk(TrunkConfig(shape, "feed-forward", (6, 7)))
    assert deep(torch.rand(2, *shape)).shape == (2, 7) == (2, deep.features)


@pytest.mark.parametrize(
    ("architecture", "shape", "widths"),
    [
        ("feed-forward", DIGITS, (9, 8)),
        ("feed-forward", (3, 5, 7), (9,)),
        ("convolutional", FACES, (5, 4, 3, 2)),
        ("convolutional", (1, 16, 48), (5, 4, 3, 2)),
    ],
)
def test_pixels_are_the_sigmoid_of_the_logits(architecture, shape, widths):
    decoder, z = Decoder(TrunkConfig(shape, architecture, widths), 6), torch.randn(3, 6)
    logits = decoder.logits(100 * z)
    assert logits.shape == (3, *shape)
    assert (logits < 0).any()
    assert (logits > 0).any()
    assert torch.allclose(decoder(100 * z), 1 / (1 + torch.exp(-logits)))


def test_features_are_behind_a_relu():
    for config in (
        TrunkConfig(FACES, "convolutional", (5, 4, 3, 8)),
        TrunkConfig(DIGITS, "feed-forward", (9, 64)),
    ):
        features = Trunk(config)(torch.rand(8, *config.shape))
        assert features.min() == 0 < features.max()


def test_linear_layers_follow_each_other():
    layers = Trunk(TrunkConfig((1, 2, 3), "feed-forward", (5, 4, 3))).layers
    sizes = [layer.weight.shape for layer in layers if isinstance(layer, nn.Linear)]
    assert sizes == [(after, before) for before, after in pairwise([6, 5, 4, 3])]
