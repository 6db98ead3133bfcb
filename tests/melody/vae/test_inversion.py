"""The point that gives a melody back best: likelihood, prior, and what is left alone."""

import numpy as np
import pytest
import torch

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.inversion import LEARNING_RATE, invert
from melodyconstraints.melody.vae.training import negative_log_likelihood


@pytest.fixture
def some(some_melodies):
    """Three melodies."""
    return some_melodies[:3]


def nats(model, z, melodies: Melodies) -> list[float]:
    """-log p(m | z) of each melody."""
    events = torch.from_numpy(melodies.events.astype(np.int64))
    with torch.no_grad():
        return [
            float(negative_log_likelihood(model.logits(z[[row]], events[[row]]), events[[row]]))
            for row in range(len(events))
        ]


def test_every_melody_is_likelier_than_from_its_posterior_mean(tiny_model, some):
    before = nats(tiny_model, encode(tiny_model, some).mean, some)
    after = nats(tiny_model, invert(tiny_model, some, steps=20, prior_weight=0.0), some)
    assert all(found < 0.999 * start for found, start in zip(after, before, strict=True))


def test_more_steps_find_more(tiny_model, some):
    tune = some[:1]
    few, many = (
        nats(tiny_model, invert(tiny_model, tune, steps=steps, prior_weight=0.0), tune)
        for steps in (5, 20)
    )
    assert many < few


def test_without_a_step_it_is_the_posterior_mean(tiny_model, some):
    assert torch.equal(invert(tiny_model, some, steps=0), encode(tiny_model, some).mean)


def test_a_heavy_prior_draws_the_point_towards_the_origin(tiny_model, some):
    # with all weight on the prior the gradient is z, and Adam's first step is its rate a dimension
    mean = encode(tiny_model, some).mean
    moved = invert(tiny_model, some, steps=1, prior_weight=1e9)
    torch.testing.assert_close(moved, mean - LEARNING_RATE * mean.sign())
    light, heavy = (
        invert(tiny_model, some, steps=5, prior_weight=weight).norm(dim=1) for weight in (0.0, 1e4)
    )
    assert (heavy < light).all()


def test_a_melody_does_not_depend_on_those_beside_it(tiny_model, some):
    together = invert(tiny_model, some, steps=4)
    alone = torch.cat([invert(tiny_model, [one], steps=4) for one in some])
    torch.testing.assert_close(together, alone, atol=2e-3, rtol=0)


def test_the_model_and_the_global_generator_are_left_alone(tiny_model, some):
    weights = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    state = torch.get_rng_state()
    z = invert(tiny_model, some, steps=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert not z.requires_grad
    assert all(p.grad is None and p.requires_grad for p in tiny_model.parameters())
    assert all(
        torch.equal(value, weights[name]) for name, value in tiny_model.state_dict().items()
    )
    assert torch.equal(z, invert(tiny_model, some, steps=2))
