"""Training a staff generator: single bars first, then what follows what.

1. The bar autoencoder, on the negative ELBO of single bars.
2. With its encoder fixed, the prior over bars, on the negative log-likelihood of the codes of
   fresh bars and of which bar each other one repeats; and the decoder, now conditioned on the
   bars before, on that of a bar's tokens given a noisy code.
3. The calibration (:mod:`.calibration`), by counting melodies that are drawn.

Shapes: ``N``, ``B`` melodies, ``T`` = 256 steps, ``K`` = 16 bars, ``C`` dimensions of a code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.melody.events import Events, canonical_events
from melodyconstraints.melody.form import FRESH
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.attributes import NAMES, attributes, equal_bars
from melodyconstraints.melody.vae.staff.bar_prior import Whole
from melodyconstraints.melody.vae.staff.bars import (
    Given,
    on_first_line,
)
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.decisions import Bars
from melodyconstraints.melody.vae.staff.layers import NEVER
from melodyconstraints.melody.vae.staff.measure_calibration import calibrate
from melodyconstraints.melody.vae.staff.model import (
    BRIGHTNESS,
    FIFTHS,
    PLACES,
    StaffGenerator,
)
from melodyconstraints.melody.vae.staff.notation import SCALE, Ints, Staff, to_staff
from melodyconstraints.melody.vae.staff.playing import given_all
from melodyconstraints.melody.vae.training import MelodyBatches
from melodyconstraints.vae.distributed import Processes
from melodyconstraints.vae.state import Metrics, TrainingState
from melodyconstraints.vae.training import Objective, TrainingSettings, train

BETA = 0.6
"""Weight of the divergence of bar codes."""
BARS_SHARE = 0.25
"""Share of the training that is on single bars."""
BARS_RATE = 2.0
"""Learning rate of that stage, times the setting's."""
BALANCE = 0.7
"""A tune of n melodies is drawn with weight n to this power: long works do not drown songs."""
SAMPLE = 20_000
"""Melodies from which ranks and the scale of codes are taken."""
_EVERY = 3
"""Fresh bars to one whose tokens are learned in the second stage."""
_SCORE_NOISE = 0.1
"""Deviation of what is added to scores, so that the bars follow them smoothly."""
_ANY = 1e-3
"""Share of melodies that may have any place or mode, so that each can be encoded."""
_OFFSET = ("notes", "range", "raised_notes", "rests", "steps", "off_beats")
"""Attributes whose scores get an offset, see :func:`measure_offset`."""
_OFFSET_ROUNDS, _OFFSET_SAMPLE = 2, 1024
_RESIGNED = 0.1
"""Share of melodies that are learned as those of another mode."""
_BARS_AT_ONCE = 4096
"""Bars that are encoded side by side, so that memory suffices for any number."""
_LEAST_SIGMA = 0.02
"""Least ``sigma_bar``: distances are divided by it, and no dimension is to outweigh all others."""


class BarObjective(Objective):
    """The negative ELBO of single bars, in nats a bar."""

    def __init__(self, model: StaffGenerator) -> None:
        super().__init__()
        self.bars = model.bars
        self.noise_size = BARS * model.config.bar_code

    def forward(self, batch: Tensor, progress: float, noise: Tensor) -> Mapping[str, Tensor]:
        """Losses of ``(B, T)`` events."""
        bars = on_first_line(bars_of(on_staff(batch), batch.device))
        posterior = self.bars.encoder(bars)
        codes = posterior.sample(noise=noise.reshape(len(bars), -1))
        logits = self.bars.decoder(codes, bars)
        total = F.cross_entropy(logits.flatten(0, 1), bars.flatten(), reduction="sum")
        reconstruction, kl = total / len(bars), posterior.kl().mean()
        loss = reconstruction + BETA * kl
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl}


class PriorObjective(Objective):
    """Negative log-likelihoods of codes, repeats and tokens, given the bars before."""

    def __init__(self, model: StaffGenerator) -> None:
        super().__init__()
        self.model = model
        size = BARS * model.config.bar_code
        self._noise_sizes = [size, size, model.prior.dropout_size]
        self.noise_size = sum(self._noise_sizes)

    def forward(self, batch: Tensor, progress: float, noise: Tensor) -> Mapping[str, Tensor]:
        """Losses of ``(B, T)`` events: ``form`` in nats a melody, others in nats a fresh bar."""
        model, staff = self.model, on_staff(batch)
        noise, other, dropped = noise.split(self._noise_sizes, -1)
        with torch.no_grad():
            bars = model.read(staff.tokens, noise)
            noisy = model.read(staff.tokens, other / model.config.code_noise).codes
            numbers = attributes(staff)
            scores = model.scores(numbers, np.full(numbers.shape, 0.5))
            scores = scores + _SCORE_NOISE * other[:, : scores.shape[1]]
        whole = Whole.of(scores, staff.degrees, _resigned(staff.modes, other[:, -1]))
        factors = model.prior.dropout_factors(dropped) if self.training else None
        read = model.prior.read(bars, whole, factors)
        fresh = bars.sources == FRESH
        conditions = read.conditions[fresh]
        of_codes = model.prior.flow.negative_log_likelihood(bars.codes[fresh], conditions).mean()
        of_form = -_log_probability(read.choices, staff, fresh).sum(1).mean()
        of_rhythms = F.nll_loss(read.rhythms[fresh], bars.rhythms[fresh] - FRESH)
        of_starts = F.nll_loss(read.starts[fresh], bars.starts[fresh])
        of_tokens = self._of_tokens(noisy, read.conditions, whole, staff, bars)
        size = model.config.bar_code
        loss = (of_codes + of_tokens + of_starts + of_rhythms) / size + of_form / (4 * BARS)
        return {
            "loss": loss,
            "codes": of_codes,
            "starts": of_starts,
            "rhythms": of_rhythms,
            "tokens": of_tokens,
            "form": of_form,
        }

    def _of_tokens(
        self, noisy: Tensor, conditions: Tensor, whole: Whole, staff: Staff, bars: Bars
    ) -> Tensor:
        """-log p(tokens | noisy code, bars before) of every third fresh bar."""
        rows = (bars.sources == FRESH).flatten().nonzero()[::_EVERY, 0]
        every = torch.from_numpy(staff.tokens).to(noisy.device)
        given = given_all(bars, conditions, whole, every)
        given = Given(*(part[rows] for part in given))
        tokens = on_first_line(every.reshape(-1, STEPS_PER_BAR)[rows])
        logits = self.model.bars.decoder(self.model.bars.raw(noisy)[rows], tokens, given)
        total = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="sum")
        return total / len(tokens)


def bars_of(staff: Staff, device: torch.device) -> Tensor:
    """``(B * K, S)`` tokens of the bars of melodies."""
    return torch.from_numpy(staff.tokens).to(device).reshape(-1, STEPS_PER_BAR)


def _resigned(modes: Ints, noise: Tensor) -> Ints:
    """Modes, a few of them any other one: the same notes, counted from the tonic, make sense.

    So modes of which there are few melodies are learned from those of all.

    Args:
        noise: ``(B,)`` standard normal.
    """
    ranks = torch.special.ndtr(noise.double()).cpu().numpy() / _RESIGNED
    resigned: Ints = np.where(ranks < 1, (SCALE * ranks).astype(np.int64), modes)
    return resigned


def _log_probability(choices: Tensor, staff: Staff, fresh: Tensor) -> Tensor:
    """``(B, K)`` log-probabilities of being fresh, or of repeating one of the equal bars."""
    equal = torch.from_numpy(equal_bars(staff.tokens)).to(choices.device)
    repeats = choices[..., 1:].masked_fill(~equal, NEVER).logsumexp(-1)
    return torch.where(fresh, choices[..., 0], repeats)


def on_staff(batch: Tensor) -> Staff:
    """``(B, T)`` integer events on a staff."""
    return to_staff(canonical_events(batch.cpu().numpy()))


@torch.no_grad()
def measure_tables(model: StaffGenerator, events: Events) -> None:
    """Take the ranks of what is drawn from tables, and the scale of the codes.

    Args:
        events: ``(N, T)``, in the keys in which melodies are to be drawn.
    """
    staff = to_staff(canonical_events(events))
    numbers = attributes(staff)
    model.scores.learn(numbers, np.random.default_rng(0).random(numbers.shape))
    model.key_ranks.copy_(_bounds(np.argsort(FIFTHS)[staff.keys], len(FIFTHS)))
    model.place_ranks.copy_(_bounds(staff.places.clip(0, PLACES - 1), PLACES))
    model.mode_ranks.copy_(_bounds(np.argsort(BRIGHTNESS)[staff.modes], SCALE))
    bars = on_first_line(bars_of(staff, model.device))
    posteriors = [model.bars.encoder(part) for part in bars.split(_BARS_AT_ONCE)]
    mean = torch.cat([posterior.mean for posterior in posteriors])
    scale = torch.cat([posterior.scale for posterior in posteriors])
    noisy = mean.var(0) + (model.config.code_noise * scale).square().mean(0)
    model.bars.code_mean.copy_(mean.mean(0))
    model.bars.code_scale.copy_(noisy.sqrt())


def _bounds(numbers: Ints, size: int) -> Tensor:
    """``(size + 1,)`` ranks between which each number in [0, size) lies."""
    counts = np.bincount(numbers, minlength=size)
    shares = (1 - _ANY) * counts / counts.sum() + _ANY / size
    return torch.from_numpy(np.concatenate([[0], np.cumsum(shares)]))


@torch.no_grad()
def measure_sigma_bar(model: StaffGenerator, events: Events, draws: int = 8) -> Tensor:
    """``(Z,)`` deviation among the points that are equally a melody's, mean over melodies."""
    every = torch.from_numpy(events.astype(np.int64)).to(model.device).repeat(draws, 1)
    drawn = model.encode(every).sample(torch.Generator().manual_seed(0))
    return drawn.reshape(draws, len(events), -1).std(0).mean(0).clamp(min=_LEAST_SIGMA)


@torch.no_grad()
def measure_offset(model: StaffGenerator, count: int) -> Tensor:
    """``(G,)`` offset of scores with which drawn melodies have the wanted attributes on the mean.

    Melodies drawn have fewer notes, and others, than their scores say: likely tokens are drawn
    more often than they occur. The attributes of :data:`_OFFSET` are raised by what is missing.
    """
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(count, model.latent_dim, generator=generator).to(model.device)
    drawn = model.decode(z, Sampling(seed=0)).cpu().numpy().astype(np.uint8)
    numbers = attributes(to_staff(canonical_events(drawn)))
    obtained = model.scores(numbers, np.full(numbers.shape, 0.5))
    missing = (model.parts(z).attributes - obtained).mean(0)
    chosen = torch.tensor([name in _OFFSET for name in NAMES], device=model.device)
    rotation = model.scores.rotation
    return torch.where(chosen, missing @ torch.linalg.inv(rotation), 0.0) @ rotation


def train_staff_generator(
    config: StaffConfig,
    events: Events,
    tunes: NDArray[Any],
    held_out: Events,
    settings: TrainingSettings,
    *,
    start: StaffGenerator | None = None,
    device: str = "cpu",
    processes: Processes | None = None,
    folder: Path | None = None,
    resume: bool = False,
    callback: Callable[[TrainingState], None] | None = None,
    announce: Callable[[str], object] = lambda _: None,
) -> tuple[StaffGenerator, TrainingState]:
    """Train a generator; see :func:`melodyconstraints.melody.vae.training.train_melody_vae`.

    With ``start`` its bar codes are kept, and all of the training goes to the prior.

    Args:
        tunes: ``(N,)`` label of each melody's tune.
        announce: called with what is done after the last step, which takes minutes.
    """
    torch.manual_seed(settings.seed)
    model = StaffGenerator(config).to(device)
    generator = np.random.default_rng(settings.seed)
    sample = _sample(events, tunes, generator)
    batches = MelodyBatches(events, tunes, settings.batch_size, settings.seed, balance=BALANCE)
    watched = torch.from_numpy(held_out.astype(np.int64)).to(device)

    def stage(name: str, trained: nn.Module, objective: Objective, share: float) -> TrainingState:
        rate = settings.learning_rate * (BARS_RATE if name == "bars" else 1.0)
        return train(
            trained,
            objective,
            lambda step: batches(step).to(device),
            part_of(settings, share, rate),
            processes=processes,
            folder=folder and folder / name,
            resume=resume,
            evaluate=lambda measured: _losses(objective, trained, measured, watched),
            callback=callback,
        )

    share = 0.0 if start else BARS_SHARE
    if start:
        model.load_state_dict(start.state_dict())
    else:
        stage("bars", model.bars, BarObjective(model), share)
        measure_tables(model, sample)
    model.bars.encoder.requires_grad_(False)
    state = stage("prior", model, PriorObjective(model), 1 - share)
    announce("drawing melodies, and calibrating what they have less or more of than real ones")
    measure_what_is_drawn(model, sample)
    model.sigma_bar.copy_(measure_sigma_bar(model, sample[:256]))
    return model, state


def measure_what_is_drawn(model: StaffGenerator, sample: Events) -> None:
    """Measure offset and calibration anew, by drawing as many melodies as ``(N, T)`` at most."""
    model.offset.zero_()
    size = min(_OFFSET_SAMPLE, len(sample))
    for _ in range(_OFFSET_ROUNDS):
        model.offset.add_(measure_offset(model, size))
    calibrate(model, sample)
    model.offset.add_(measure_offset(model, size))


def _sample(events: Events, tunes: NDArray[Any], generator: np.random.Generator) -> Events:
    """Some of the melodies, tunes balanced, in their own keys."""
    _, tune, counts = np.unique(tunes.astype(str), return_inverse=True, return_counts=True)
    weights = counts[tune] ** (BALANCE - 1)
    size = min(SAMPLE, len(events))
    return events[generator.choice(len(events), size, False, weights / weights.sum())]


def part_of(settings: TrainingSettings, share: float, learning_rate: float) -> TrainingSettings:
    """Settings of a stage that takes a share of the steps or of the time."""
    seconds = settings.time_budget_seconds
    return replace(
        settings,
        steps=None if settings.steps is None else max(round(share * settings.steps), 1),
        time_budget_seconds=None if seconds is None else share * seconds,
        learning_rate=learning_rate,
    )


@torch.no_grad()
def _losses(
    objective: Objective, trained: nn.Module, measured: nn.Module, held_out: Tensor
) -> Metrics:
    """Losses of ``(N, T)`` held-out events under averaged weights."""
    current = {name: value.clone() for name, value in trained.state_dict().items()}
    trained.load_state_dict(measured.state_dict())
    noise = torch.randn(
        len(held_out), objective.noise_size, generator=torch.Generator().manual_seed(0)
    )
    losses = objective.eval()(held_out, 1.0, noise.to(held_out.device))
    objective.train()
    trained.load_state_dict(current)
    return {f"held_out_{name}": float(value) for name, value in losses.items()}
