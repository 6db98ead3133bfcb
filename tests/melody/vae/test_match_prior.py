"""Matching the posteriors together to the prior: moments become the prior's, melodies stay."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from melodyconstraints.melody.vae.model import HierarchicalVAE
from melodyconstraints.melody.vae.residual_path import match_prior, posterior_of, unsoftplus
from melodyconstraints.melody.vae.training import ElboSettings, MelodyObjective
from melodyconstraints.vae import precision


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Products in float32."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)


@pytest.fixture
def melodies(rng) -> np.ndarray:
    """``(60, 256)`` random events."""
    return rng.integers(0, 130, (60, 256)).astype(np.uint8)


@pytest.fixture
def flat_config(tiny_config):
    """The tiny model with the paper's encoder."""
    return replace(tiny_config, encoder="flat", residual=False)


@pytest.fixture(params=["hierarchical", "flat"])
def model(request, tiny_config, flat_config) -> HierarchicalVAE:
    """A model whose posteriors are far from the prior, with scales that are the same for all."""
    torch.manual_seed(0)
    model = HierarchicalVAE(tiny_config if request.param == "hierarchical" else flat_config)
    dims = model.latent_dim
    with torch.no_grad():
        for layer in model.encoder.to_posterior():
            layer.weight[:dims] *= torch.linspace(3, 30, dims)[:, None]
            layer.weight[dims:] = 0
            layer.bias += torch.randn(2 * dims)
    return model


def moments(model, melodies) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of the mixture of all posteriors."""
    posterior = posterior_of(model, melodies)
    spread = torch.diag(posterior.scale.square().mean(0))
    return posterior.mean.mean(0), torch.cov(posterior.mean.T) + spread


def test_the_mixture_gets_the_mean_and_the_variances_of_the_prior(model, melodies):
    mean, covariance = moments(model, melodies)
    assert mean.abs().max() > 0.5
    assert (covariance.diag() - 1).abs().max() > 0.5
    match_prior(model, melodies)
    mean, covariance = moments(model, melodies)
    torch.testing.assert_close(mean, torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(covariance.diag(), torch.ones(8), atol=1e-3, rtol=0)


def test_correlations_of_the_means_are_undone(model, melodies):
    with torch.no_grad():  # next to no noise: what is correlated is the means
        model.encoder.to_posterior()[0].bias[8:] = -9
    match_prior(model, melodies)
    _, covariance = moments(model, melodies)
    torch.testing.assert_close(covariance, torch.eye(8), atol=2e-3, rtol=0)


def test_melodies_decoded_from_the_means_stay_what_they_are(model, melodies):
    events = torch.from_numpy(melodies[:4].astype(np.int64))
    with torch.no_grad():
        before = model.logits(model.encode(events).mean, events)
        match_prior(model, melodies)
        after = model.logits(model.encode(events).mean, events)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_a_mixture_that_is_the_prior_already_stays(model, melodies):
    match_prior(model, melodies)
    before = posterior_of(model, melodies)
    with torch.no_grad():
        model.encoder.to_posterior()[0].bias[8:] = -9
    match_prior(model, melodies)
    once = posterior_of(model, melodies)
    match_prior(model, melodies)
    twice = posterior_of(model, melodies)
    torch.testing.assert_close(twice.mean, once.mean, atol=1e-3, rtol=1e-3)
    assert (before.mean - once.mean).abs().max() > 0.01


def test_unsoftplus_undoes_the_softplus():
    raw = torch.tensor([-8.0, -1.0, 0.0, 3.0, 30.0])
    torch.testing.assert_close(
        unsoftplus(torch.nn.functional.softplus(raw)), raw, rtol=1e-3, atol=0
    )


@pytest.mark.parametrize(
    ("since", "progress", "prepared"),
    [
        (-1.0, 0.0, False),
        (0.19, 0.2, True),
        (0.2, 0.21, False),
        (0.49, 0.5, True),
        (0.5, 0.51, False),
        (0.51, 0.95, True),
    ],
)
def test_each_preparation_comes_once_when_its_share_is_reached(
    tiny_config, melodies, since, progress, prepared
):
    model = HierarchicalVAE(tiny_config)
    settings = ElboSettings(bars_share=0.2, match_shares=(0.5, 0.9))
    before = [parameter.clone() for parameter in model.parameters()]
    assert MelodyObjective(model, settings, melodies).prepare(since, progress) == prepared
    after = zip(before, model.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in after) == prepared


def test_a_model_without_a_residual_path_is_never_prepared(flat_config, melodies):
    objective = MelodyObjective(HierarchicalVAE(flat_config), ElboSettings(), melodies)
    assert not objective.prepare(-1.0, 0.0)
    assert not objective.prepare(0.4, 0.99)
