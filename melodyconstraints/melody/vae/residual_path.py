"""The linear layers around z, set from moments of the data.

Gradients would find these values too, after many more steps: the best linear start for the path
bar codes -> z -> bar embeddings, and a latent space with the moments of the prior.

Shapes: ``N`` melodies, ``Z`` latent dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from melodyconstraints.melody.events import Events
from melodyconstraints.melody.vae.model import (
    HierarchicalEncoder,
    HierarchicalVAE,
    MelodyVAE,
    event_batches,
)
from melodyconstraints.vae.posterior import Posterior
from melodyconstraints.vae.precision import products

_FIRST_RAW_SCALE = -2.0
"""First raw posterior scale, before the softplus: scales start at 0.13."""
_LSTM_SHARE = 0.1
"""Factor on the first weights of the LSTMs' heads: they learn what the path leaves."""
_LEAST_DEVIATION = 1e-3
"""Least deviation by which a component is divided: one that hardly varies is not blown up."""


@dataclass(frozen=True)
class ResidualPath:
    """The residual path bar codes -> z -> bar embeddings, and the LSTM heads summed with it."""

    encoder: HierarchicalEncoder
    to_posterior: nn.Linear
    to_embeddings: nn.Linear
    posterior_head: nn.Linear
    embedding_head: nn.Linear
    latent_dim: int


def residual_path(model: HierarchicalVAE) -> ResidualPath | None:
    """The residual path of a residual model whose codes can stand for embeddings, else None."""
    encoder, conductor = model.encoder, model.conductor
    if not isinstance(encoder, HierarchicalEncoder) or encoder.shortcut is None:
        return None
    if conductor.shortcut is None or model.config.bar_code != model.config.bar_embedding:
        return None
    return ResidualPath(
        encoder,
        encoder.shortcut,
        conductor.shortcut,
        encoder.head,
        conductor.output,
        model.latent_dim,
    )


@torch.no_grad()
def start_from_principal_components(path: ResidualPath, events: Events) -> None:
    """Set the residual path codes -> z -> embeddings to the leading principal components.

    The posterior's means become the whitened components (variance one, as the prior has it), the
    bar embeddings the codes that they stand for: the best linear start there is. The LSTMs' share
    of the sum starts small.
    """
    device = path.to_posterior.weight.device
    with products("auto", device):
        batches = event_batches(events, device)
        codes = torch.cat([path.encoder.bar_codes(batch).flatten(1) for batch in batches]).float()
    size, dims = min(path.latent_dim, len(codes) - 1), path.latent_dim
    centre = codes.mean(0)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)  # svd_lowrank draws; a resumed run must draw the same
        _, singular, axes = torch.svd_lowrank(codes - centre, q=size, niter=4)
    scale = (singular / math.sqrt(len(codes) - 1)).clamp(min=_LEAST_DEVIATION)
    path.to_posterior.weight[:size] = axes.T / scale[:, None]
    path.to_posterior.bias[:size] = -(axes.T @ centre) / scale
    path.to_posterior.weight[dims:] = 0
    path.to_posterior.bias[dims:] = _FIRST_RAW_SCALE
    path.to_embeddings.weight[:, :size] = axes * scale
    path.to_embeddings.bias.copy_(centre)
    path.posterior_head.weight.mul_(_LSTM_SHARE)
    path.embedding_head.weight.mul_(_LSTM_SHARE)


@torch.no_grad()
def match_prior(model: HierarchicalVAE, events: Events) -> None:
    """Turn and stretch the latent space until the posteriors together have the prior's moments.

    Gradients bring the mean over the data of q(z | m) near N(0, I) dimension by dimension, but
    are slow to undo correlations; a point of the prior then stands for what no melody has, such as
    bars in unrelated registers. With mu and C the mean and covariance of that mixture, the new
    latent point is C^(-1/2) (z - mu), the linear map nearest to none that gives mean 0 and
    covariance I. The linear layers on both sides of z take it up: reconstructions from the means
    stay what they are. The posterior's scales, which stay independent, are set to fit on average.

    Args:
        events: ``(N, 256)`` melodies; more than the model's latent dimensions.
    """
    posterior = posterior_of(model, events)
    mean, spread = posterior.mean.double(), posterior.scale.double().square().mean(0)
    centre = mean.mean(0)
    values, axes = torch.linalg.eigh(torch.cov(mean.T) + torch.diag(spread))
    root = ((axes * values.sqrt()) @ axes.T).float()
    inverse = ((axes / values.sqrt()) @ axes.T).float()
    centre, before = centre.float(), spread.float().sqrt()
    after = (inverse.square() @ before.square()).sqrt()
    dims = model.latent_dim
    for layer in model.conductor.from_z():
        layer.bias.add_(layer.weight @ centre)
        layer.weight.copy_(layer.weight @ root)
    head, *others = model.encoder.to_posterior()
    head.bias[:dims] -= centre
    for layer in (head, *others):
        layer.weight[:dims] = inverse @ layer.weight[:dims]
        layer.bias[:dims] = inverse @ layer.bias[:dims]
    head.bias[dims:] += unsoftplus(after) - unsoftplus(before)


def unsoftplus(x: Tensor) -> Tensor:
    """The inverse of the softplus: log(exp(x) - 1), for x above 0."""
    return x + torch.log(-torch.expm1(-x))


@torch.no_grad()
def posterior_of(model: MelodyVAE, events: Events) -> Posterior:
    """q(z | m) of ``(N, 256)`` melodies, on the model's device."""
    with products("auto", model.device):
        batches = event_batches(events, model.device)
        return Posterior.join([model.encode(batch) for batch in batches])


def mean_posterior_scale(model: MelodyVAE, events: Events) -> Tensor:
    """``(Z,)`` posterior scale averaged over melodies: sigma_bar of the paper, section 3."""
    return posterior_of(model, events).scale.mean(0)
