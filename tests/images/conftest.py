"""Images whose answers are known: a bright bar at one of four places, models and a judge of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from melodyconstraints.images.actor import ImageActor
from melodyconstraints.images.actor_training import encode_images, train_image_actor
from melodyconstraints.images.classifier import ClassifierConfig, ImageClassifier
from melodyconstraints.images.config import ImageVAEConfig, TrunkConfig
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.images.training import train_image_vae
from melodyconstraints.latent.constraints import Encodings
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.vae import precision
from melodyconstraints.vae.posterior import Posterior
from melodyconstraints.vae.training import TrainingSettings

SIDE, PLACES = 8, 4
NAMES = tuple("abcd")
TRUNK = TrunkConfig((1, SIDE, SIDE), "feed-forward", (64, 64))
QUICK = ActorCriticSettings(
    actor_hidden=(64, 64),
    critic_hidden=(64, 64),
    condition_units=32,
    bank=0,
    warmup_steps=0,
    rounds=400,
    actor_points=64,
    prior_points=0,
    critic_steps=2,
    actor_steps=1,
    batch_size=64,
    learning_rate=2e-3,
    betas=(0.5, 0.9),
    final_learning_rate_fraction=0.05,
    distance_weight=0.02,
    prior_weight=0.0,
    gradient_penalty=1.0,
    penalty_points=32,
    one_sided=False,
    sharpness=0.0,
    ema_decay=0.98,
    validation=0,
)
SEARCHING = replace(QUICK, rounds=80)
"""Of a hundred steps of gradient each: the critic has learned the bars by then."""


class Bars(NamedTuple):
    """Bytes ``(N, 1, 8, 8)``: a bar of four rows and two columns, its place the class."""

    images: Tensor
    labels: Tensor


def make_bars(count: int, seed: int) -> Bars:
    """Bars at places, heights and of brightness at random."""
    generator = torch.Generator().manual_seed(seed)
    places, tops, bright = (
        torch.randint(low, high, (count,), generator=generator)
        for low, high in ((0, PLACES), (0, 5), (150, 256))
    )
    images = torch.zeros(count, 1, SIDE, SIDE, dtype=torch.uint8)
    for image, place, top, value in zip(images, places, tops, bright, strict=True):
        image[0, top : top + 4, 2 * place : 2 * place + 2] = value
    return Bars(images, torch.nn.functional.one_hot(places, PLACES).float())


@pytest.fixture(autouse=True)
def _float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asserted to the digit must not depend on the processor."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)


@contextmanager
def in_float32() -> Iterator[None]:
    """The same for what is trained once for all tests, and leaves no trace in them."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.setattr(precision, "has_bfloat16", lambda device: False)
        yield


@pytest.fixture(scope="session")
def bars() -> Bars:
    """To train on."""
    return make_bars(800, seed=0)


@pytest.fixture(scope="session")
def other_bars() -> Bars:
    """That no training has seen."""
    return make_bars(200, seed=1)


@pytest.fixture(scope="session")
def place_of() -> Callable[[Tensor], Tensor]:
    """``(B, 1, 8, 8)`` images to the place ``(B,)`` with the most light."""
    return lambda images: images.float().sum(2).reshape(-1, PLACES, 2).sum(-1).argmax(-1)


@pytest.fixture(scope="session")
def bar_model(bars: Bars, other_bars: Bars, made_once: Callable[..., ImageVAE]) -> ImageVAE:
    """A VAE that has learned bars, of four latent dimensions."""
    settings = TrainingSettings(
        steps=600, batch_size=64, learning_rate=5e-3, warmup_steps=20, precision="float32"
    )
    config = ImageVAEConfig(TRUNK, 4, 0.15)

    def train() -> ImageVAE:
        with in_float32():
            return train_image_vae(config, bars.images, other_bars.images, settings)[0]

    return made_once("bar-model", train)


@pytest.fixture(scope="session")
def bar_encodings(bar_model: ImageVAE, bars: Bars) -> Encodings:
    """Of the images to train on."""
    with in_float32():
        return encode_images(bar_model, *bars)


@pytest.fixture(scope="session")
def trained(
    bar_model: ImageVAE, bar_encodings: Encodings, made_once: Callable[..., ImageActor]
) -> Callable[..., ImageActor]:
    """A method's actor of bars, trained once; of realism alone without names."""

    @cache
    def get(method: str = "actor", *, labelled: bool = True) -> ImageActor:
        def train() -> ImageActor:
            with in_float32():
                return train_image_actor(
                    bar_model,
                    bar_encodings,
                    NAMES if labelled else (),
                    exclusive=True,
                    method=method,
                    settings=SEARCHING if method == "gradient" else QUICK,
                )

        actor = made_once(f"bar-actor-{method}-{labelled}", train)
        return replace(actor, model=bar_model)

    return get


@pytest.fixture(scope="session")
def quick() -> ActorCriticSettings:
    """Learns bars in a few seconds."""
    return QUICK


class Canvas:
    """A model whose latent points are the images themselves; it keeps what it decodes."""

    latent_dim, folder, fingerprint = SIDE * SIDE, "", ""

    def __init__(self) -> None:
        self.sigma_bar = torch.full((self.latent_dim,), 0.5)
        self.decoded: list[Tensor] = []

    def encode(self, images: Tensor) -> Posterior:
        pixels = images.float() / 255 if images.dtype == torch.uint8 else images
        return Posterior(pixels.flatten(1), torch.zeros(len(images), self.latent_dim))

    def decode(self, z: Tensor) -> Tensor:
        self.decoded.append(z)
        return z.reshape(-1, 1, SIDE, SIDE)


@pytest.fixture
def canvas() -> Canvas:
    """A model on which transformations and tables have a known answer."""
    return Canvas()


@pytest.fixture
def stamp(canvas: Canvas) -> Callable[..., ImageActor]:
    """An actor that makes the same bar of all points with a label, or one bar whatever is asked.

    Its critic is content at the first place alone.
    """
    templates = torch.zeros(PLACES, SIDE, SIDE)
    for place in range(PLACES):
        templates[place, 2:6, 2 * place : 2 * place + 2] = 0.8

    def make(always: int | None = None) -> ImageActor:
        def act(z: Tensor, y: Tensor) -> Tensor:
            place = y.argmax(-1) if always is None else torch.full((len(y),), always)
            return templates[place].flatten(1)

        def critic(z: Tensor, y: Tensor | None) -> Tensor:
            return 2 * y[:, :1] - 1

        return ImageActor(
            model=canvas, names=NAMES, exclusive=True, actor=act, critic=critic, settings=QUICK
        )

    return make


@pytest.fixture
def judge() -> ImageClassifier:
    """A classifier that is right: its features are the light at each place, and its logits."""
    trunk = TrunkConfig((1, SIDE, SIDE), "feed-forward", (PLACES,))
    classifier = ImageClassifier(ClassifierConfig(trunk, NAMES, exclusive=True)).eval()
    light = torch.zeros(PLACES, SIDE, SIDE)
    for place in range(PLACES):
        light[place, :, 2 * place : 2 * place + 2] = 1
    with torch.no_grad():
        classifier.trunk.layers[1].weight.copy_(light.flatten(1))
        classifier.head.weight.copy_(torch.eye(PLACES))
        classifier.trunk.layers[1].bias.zero_()
        classifier.head.bias.zero_()
    return classifier
