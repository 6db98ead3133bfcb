"""Parameters and floating-point operations: of trainings, and of moving one point.

::

    python benchmarks/cost.py

PyTorch's counter sees products and convolutions, forward and backward. Networks are on the device
``meta``, where nothing is computed, but for the packaged generator. Each figure is one example's
share of a batch.

A training step of a model goes through encoder and decoder; one of a pair is a critic step on a
positive and a point of the actor's, without the gradient penalty, and an actor step. A search is
100 steps, as G_opt (appendix 9.2): on z along critics; on z through decoder and classifier (the
third paper's Figure 1a); or on the pixels along the classifier, without any decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from melodyconstraints.cli._common import print_table
from melodyconstraints.images.actor_training import PRESETS as IMAGE_ACTORS
from melodyconstraints.images.classifier import ClassifierConfig, ImageClassifier
from melodyconstraints.images.config import PRESETS as IMAGE_PRESETS
from melodyconstraints.images.config import Shape, TrunkConfig
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.images.training import ImageObjective
from melodyconstraints.latent import losses
from melodyconstraints.latent.networks import build_networks
from melodyconstraints.latent.settings import PRESETS, ActorCriticSettings
from melodyconstraints.melody.units import STEPS
from melodyconstraints.melody.vae.config import PRESETS as MELODY_PRESETS
from melodyconstraints.melody.vae.model import HierarchicalVAE
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.melody.vae.training import ElboSettings, MelodyObjective
from melodyconstraints.vae.training import Objective
from melodyconstraints.workflows.images.train_classifier import SIZES
from melodyconstraints.workflows.models import load_model

BATCH = 16
"""A multiple of 16: decoders fill up to one."""
SEARCH_STEPS, LABELS, RULES = 100, 10, 2
LARGE, SMALL = IMAGE_ACTORS["large"], IMAGE_ACTORS["small"]
Row = tuple[str, int, float]
"""What, its parameters, operations."""
Group = tuple[str, list[Row]]
"""Rows that are compared with the first."""
TRAINED, MOVED = "a training step", "one point moved"


def operations(work: Callable[[], object]) -> float:
    """Floating-point operations for one example of a batch."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / BATCH


def parameters(*networks: nn.Module) -> int:
    """Weights and biases."""
    return sum(one.numel() for network in networks for one in network.parameters())


def model_row(name: str, model: nn.Module, objective: Objective, batch: Tensor) -> Row:
    """A training step of a model."""
    noise = torch.randn(BATCH, objective.noise_size)
    step = operations(lambda: objective(batch, 0.5, noise)["loss"].backward())
    return name, parameters(model), step


def pair_row(
    name: str, z: Tensor, settings: ActorCriticSettings, labels: int = 0, heads: int = 1
) -> Row:
    """A training step of an actor and its critic."""
    actor, critic = build_networks(z.shape[1], settings, [heads], [labels], labels)
    y = torch.zeros(BATCH, labels) if labels else None

    def learn() -> None:
        fake = actor(z, y).detach()
        for points in (z, fake):
            losses.cross_entropy(critic(points, y), torch.ones(BATCH, heads)).backward()
        losses.satisfaction_loss(critic(actor(z, y), y)).mean().backward()

    return name, parameters(actor, critic), operations(learn)


def search_row(
    name: str, value: Callable[[Tensor], Tensor], start: Tensor, *networks: nn.Module
) -> Row:
    """A search of 100 steps up a value of those networks, whose own gradients are not taken."""
    for network in networks:
        network.requires_grad_(False)
    moved = start.clone().requires_grad_(True)
    step = operations(lambda: value(moved).sum().backward())
    return f"{SEARCH_STEPS} steps {name}", parameters(*networks), SEARCH_STEPS * step


def images(shape: Shape, preset: str, size: str) -> Iterator[Group]:
    """Trainings on images of a shape, and ways to move one point to wanted labels."""
    model = ImageVAE(IMAGE_PRESETS[preset].config(shape, 0.1))
    pixels, z = torch.zeros(BATCH, *shape), torch.zeros(BATCH, model.latent_dim)
    y = torch.zeros(BATCH, LABELS)
    trained = [
        model_row(f"VAE, preset {preset}", model, ImageObjective(model), pixels),
        pair_row("actor and critic, 4 x 2048", z, LARGE, LABELS),
        pair_row("actor and critic, 3 x 256", z, SMALL, LABELS),
    ]
    yield TRAINED, trained
    actor, _ = build_networks(model.latent_dim, SMALL, [], [], LABELS)
    _, critics = build_networks(model.latent_dim, SMALL, [LABELS, 1], [0, 0])
    widths, hidden = SIZES[size]
    names = tuple(map(str, range(LABELS)))
    config = ClassifierConfig(TrunkConfig(shape, "convolutional", widths), names, False, hidden)
    judge, decoder = ImageClassifier(config), model.decoder
    moved = [
        ("actor 3 x 256, once", parameters(actor), operations(lambda: actor(z, y))),
        search_row("on z, two critics 3 x 256", critics, z, critics),
        search_row(
            "on z, decoder and classifier", lambda z: judge(model.pixels(z)), z, decoder, judge
        ),
        search_row("on pixels, classifier alone", judge, pixels, judge),
    ]
    yield MOVED, moved


def melodies(preset: str) -> Iterator[Group]:
    """Trainings on melodies, and ways to move one point to two rules."""
    model = HierarchicalVAE(MELODY_PRESETS[preset])
    objective = MelodyObjective(model, ElboSettings(), np.zeros((0, STEPS), np.uint8))
    events = torch.zeros(BATCH, STEPS, dtype=torch.int64)
    z = torch.zeros(BATCH, model.latent_dim)
    trained = [
        model_row(f"VAE, preset {preset}", model, objective, events),
        pair_row("actor and critic, 4 x 2048", z, PRESETS["paper"], heads=RULES),
        pair_row("actor and critic, 3 x 512", z, PRESETS["default"], heads=RULES),
    ]
    yield TRAINED, trained
    decoder = parameters(model.conductor, model.decoder)
    decoding = operations(lambda: model.logits(z, events))
    yield MOVED, [*moves(z), ("decoding once", decoder, decoding)]


def staff(model: StaffGenerator) -> Iterator[Group]:
    """The same moves for the packaged generator, which is run: its loops need numbers."""
    points = torch.zeros(BATCH, model.latent_dim, device="cpu")
    noise = torch.zeros(BATCH, STEPS, device="cpu")
    draw = torch.no_grad()(model._draw_part)  # on this thread; of others the counter sees nothing
    decoder = parameters(model) - parameters(model.bars.encoder)
    decoding = operations(lambda: draw(points, noise, Sampling()))
    z = torch.zeros(BATCH, model.latent_dim)
    yield MOVED, [*moves(z), ("decoding once", decoder, decoding)]


def moves(z: Tensor) -> list[Row]:
    """An actor and a search by a critic, for two rules."""
    actor, critics = build_networks(z.shape[1], PRESETS["default"], [RULES], [0])
    return [
        ("actor 3 x 512, once", parameters(actor), operations(lambda: actor(z))),
        search_row("on z, critic 3 x 512", critics, z, critics),
    ]


def short(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:,.3g}" if number < 100 else f"{number:,.0f}"


@click.command()
def main() -> None:
    """Count parameters and floating-point operations of trainings and of moving a point."""
    packaged = cast(StaffGenerator, load_model())
    table = []
    with torch.device("meta"):
        for title, groups in (
            ("faces, 64 x 64, the paper's models", images((3, 64, 64), "paper", "paper")),
            ("faces, 64 x 64, preset small", images((3, 64, 64), "small", "faces")),
            ("digits, 28 x 28, the bundled model", images((1, 28, 28), "digits", "small")),
            ("melodies, the paper's model", melodies("paper")),
            ("melodies, preset small", melodies("small")),
            ("melodies, the packaged generator", staff(packaged)),
        ):
            for what, rows in groups:
                table.append([f"{title}: {what}"])
                for name, size, count in rows:
                    over = count / rows[0][2]
                    ratio = short(over) if over >= 1 else f"1 / {short(1 / over)}"
                    table.append([name, f"{size:,}", f"{count / 1e6:,.1f}", ratio])
    print_table(["for one example", "parameters", "million operations", "over the first"], table)


if __name__ == "__main__":
    main()
