"""An image VAE in the eyes of the core: points in, pixels out, whatever the batch."""

import pytest
import torch

from melodyconstraints.images import model as model_module
from melodyconstraints.images.config import ImageVAEConfig, TrunkConfig
from melodyconstraints.images.model import ImageVAE, as_pixels
from melodyconstraints.vae import precision

FLAT = TrunkConfig((1, 5, 7), "feed-forward", (11, 9))
DEEP = TrunkConfig((3, 16, 32), "convolutional", (4, 5, 6, 7))


@pytest.fixture(params=[FLAT, DEEP], ids=lambda trunk: trunk.architecture)
def model(request) -> ImageVAE:
    """Of random weights and codes that are shifted and scaled."""
    torch.manual_seed(0)
    model = ImageVAE(ImageVAEConfig(request.param, 6)).eval()
    model.code_mean.uniform_(-1, 1)
    model.code_scale.uniform_(0.5, 2)
    return model


@pytest.fixture
def images(model) -> torch.Tensor:
    """Bytes."""
    return torch.randint(256, (10, *model.config.trunk.shape), dtype=torch.uint8)


def test_the_core_takes_it_for_a_model(model):
    assert model.latent_dim == 6
    assert model.sigma_bar.tolist() == [1.0] * 6


def test_bytes_and_pixels_have_the_same_encoding(model, images):
    ours, theirs = model.encode(images), model.encode(images.float() / 255)
    assert torch.equal(ours.mean, theirs.mean)
    assert torch.equal(ours.scale, theirs.scale)


def test_batches_are_put_together_in_order(model, images, monkeypatch):
    whole, z = model.encode(images), torch.randn(10, 6)
    drawn = model.decode(z)
    monkeypatch.setattr(model_module, "BATCH", 4)
    parts = model.encode(images)
    assert torch.allclose(parts.mean, whole.mean, atol=1e-6)
    assert torch.allclose(parts.scale, whole.scale, atol=1e-6)
    assert torch.allclose(model.decode(z), drawn, atol=1e-6)


def test_encoding_and_decoding_take_no_gradient(model, images):
    posterior = model.encode(images)
    assert not posterior.mean.requires_grad
    assert not model.decode(posterior.mean).requires_grad


def test_gradients_reach_every_weight(model, images):
    posterior = model.posterior(as_pixels(images))
    model.pixels(posterior.sample()).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_half_of_the_head_is_the_mean_and_softplus_of_half_the_scale(model, images):
    head = model.head(model.trunk(as_pixels(images)))
    posterior = model.encode(images)
    mean, scale = posterior.mean, posterior.scale
    assert torch.allclose(mean * model.code_scale + model.code_mean, head[:, :6], atol=1e-5)
    softplus = torch.log(1 + head[:, 6:].exp())
    assert torch.allclose(scale * model.code_scale, softplus + 1e-4, atol=1e-5)


def test_the_decoder_sees_codes_before_they_were_shifted_and_scaled(model):
    z = torch.randn(3, 6)
    assert torch.equal(model.decode(z), model.decoder(z * model.code_scale + model.code_mean))


def test_the_posterior_of_an_autoencoder_is_a_point(images, model):
    other = ImageVAE(ImageVAEConfig(model.config.trunk, 6, 0.0))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.encode(images).mean, model.encode(images).mean)
    assert not other.encode(images).scale.any()


def test_products_in_bfloat16_are_near_and_what_comes_out_is_float32(model, images, monkeypatch):
    exact, z = model.encode(images), torch.randn(5, 6)
    drawn = model.decode(z)
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    rounded = model.encode(images)
    assert rounded.mean.dtype == rounded.scale.dtype == model.decode(z).dtype == torch.float32
    assert torch.allclose(rounded.mean, exact.mean, atol=0.05)
    assert torch.allclose(model.decode(z), drawn, atol=0.02)
    assert not torch.equal(model.decode(z), drawn)


def test_bytes_become_pixels_once():
    pixels = as_pixels(torch.tensor([0, 255], dtype=torch.uint8))
    assert pixels.tolist() == [0.0, 1.0]
    assert as_pixels(pixels) is pixels
