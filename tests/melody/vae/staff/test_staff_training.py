"""Training in two stages that can be resumed, and what is measured for it."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from melodyconstraints.melody.vae.staff.attributes import NAMES, attributes
from melodyconstraints.melody.vae.staff.model import PLACES
from melodyconstraints.melody.vae.staff.notation import to_staff
from melodyconstraints.melody.vae.staff.training import (
    _OFFSET,
    BarObjective,
    PriorObjective,
    _resigned,
    measure_offset,
    measure_sigma_bar,
    measure_tables,
    part_of,
    train_staff_generator,
)
from melodyconstraints.vae.training import TrainingSettings

CONDITIONED = ("condition", "degrees")
"""Of the decoder: what it has only where a bar stands among others."""


@pytest.fixture
def batch(some_melodies) -> torch.Tensor:
    """``(12, 256)`` int64."""
    return torch.from_numpy(some_melodies.events.astype(np.int64))


@pytest.fixture
def train_tiny(generator, some_melodies):
    """Trains on twelve melodies; keyword arguments go to the training."""
    sources = np.array(["airs"] * 9 + ["hymns"] * 3, dtype=object)

    def run(steps: int = 10, **options):
        settings = TrainingSettings(
            steps=steps, batch_size=4, precision="float32", checkpoint_every=2, warmup_steps=1
        )
        events = some_melodies.events
        return train_staff_generator(
            generator.config, events, sources, events[:4], settings, **options
        )

    return run


def gradients_of(objective, batch) -> dict[str, float]:
    noise = torch.randn(len(batch), objective.noise_size)
    objective(batch, 0.0, noise)["loss"].backward()
    return {
        name: float(parameter.grad.abs().sum())
        for name, parameter in objective.named_parameters()
        if parameter.grad is not None
    }


def test_the_first_stage_teaches_all_of_the_bars(generator, batch):
    found = gradients_of(BarObjective(generator), batch)
    names = {
        name
        for name, _ in generator.bars.named_parameters()
        if not name.removeprefix("decoder.").startswith(CONDITIONED)
    }
    assert set(found) == {f"bars.{name}" for name in names}
    assert min(found.values()) > 0


def test_the_second_stage_teaches_prior_and_decoder(generator, batch):
    batch[:, 16:32] = batch[:, :16]  # a repeat
    objective = PriorObjective(generator)
    found = gradients_of(objective, batch)
    names = {
        name for name, _ in generator.named_parameters() if not name.startswith("bars.encoder")
    }
    assert set(found) == {f"model.{name}" for name in names}


def test_the_loss_is_that_of_codes_starts_and_repeats(generator, batch):
    """By hand: negative log-likelihoods of what the prior reads, fresh bars only for codes."""
    batch[:, 16:32] = batch[:, :16]
    objective = PriorObjective(generator)
    losses = objective(batch, 0.0, torch.zeros(len(batch), objective.noise_size))
    assert losses["loss"].item() == pytest.approx(
        sum(losses[name].item() for name in ("codes", "tokens", "starts", "rhythms")) / 5
        + losses["form"].item() / 64,
        rel=1e-5,
    )


def test_dropout_is_of_a_tenth_and_keeps_the_mean(generator):
    prior = generator.prior
    shares = (torch.arange(prior.dropout_size, dtype=torch.float64) + 0.5) / prior.dropout_size
    factors = prior.dropout_factors(torch.special.ndtri(shares)[None])
    layers, halves = len(prior.blocks), 2
    assert factors.shape == (layers, halves, 1, 1, prior.dropout_size // (layers * halves))
    assert torch.equal(factors.unique(), torch.tensor([0, 1 / 0.9]))
    assert factors.mean().item() == pytest.approx(1, abs=1 / prior.dropout_size)


def test_only_what_is_trained_on_drops_out(generator, batch):
    objective = PriorObjective(generator)
    noise = torch.zeros(len(batch), objective.noise_size)
    other = noise.clone()
    other[:, -generator.prior.dropout_size :] = torch.randn(
        len(batch), generator.prior.dropout_size
    )
    with torch.no_grad():
        assert objective(batch, 0.0, noise)["loss"] != objective(batch, 0.0, other)["loss"]
        objective.eval()
        assert objective(batch, 0.0, noise)["loss"] == objective(batch, 0.0, other)["loss"]


def test_tables_are_those_of_the_melodies(generator, some_melodies):
    measure_tables(generator, some_melodies.events)
    ranks = generator.place_ranks.numpy()
    assert ranks[0] == 0
    assert ranks[-1] == pytest.approx(1)
    assert (np.diff(ranks) > 0).all()
    places = to_staff(some_melodies.events).places
    assert np.diff(ranks)[places[0]] >= 1 / 12 - 1e-3
    assert len(ranks) == PLACES + 1
    bars = generator.read(to_staff(some_melodies.events).tokens, torch.zeros(12, 16, 5))
    assert bars.codes.mean(dim=(0, 1)).abs().max() < 0.5


def test_sigma_bar_is_above_zero_and_a_key_may_lie_at_any_length(generator, some_melodies):
    sigma_bar = measure_sigma_bar(generator, some_melodies.events)
    assert sigma_bar.shape == (generator.latent_dim,)
    assert (sigma_bar > 0).all()
    key = generator.encode(torch.from_numpy(some_melodies.events.astype(np.int64)).repeat(40, 1))
    lengths = key.sample(torch.Generator().manual_seed(1))[:, :2].norm(dim=1)
    # the length of two normal numbers (Rayleigh), of variance 2 - pi / 2
    assert lengths.var().item() == pytest.approx(2 - math.pi / 2, rel=0.25)


def test_sigma_bar_is_the_mean_of_the_melodies_deviations(generator, some_melodies, monkeypatch):
    deviations = torch.tensor([[0.1, 0.2, 0.0], [0.9, 0.4, 0.0]])
    # Two numbers that differ by sqrt(2) * d have a sample deviation of d.
    drawn = torch.cat([1 + deviations / math.sqrt(2), 1 - deviations / math.sqrt(2)])
    posterior = SimpleNamespace(sample=lambda _: drawn)
    monkeypatch.setattr(generator, "encode", lambda _: posterior)
    found = measure_sigma_bar(generator, some_melodies.events[:2], draws=2)
    torch.testing.assert_close(found, torch.tensor([0.5, 0.3, 0.02]))


def test_a_tenth_of_the_melodies_is_learned_as_those_of_another_mode():
    ranks = torch.tensor([0.001, 0.05, 0.099, 0.101, 0.9], dtype=torch.float64)
    modes = _resigned(np.full(5, 5), torch.special.ndtri(ranks))
    assert modes.tolist() == [0, 3, 6, 5, 5]


def test_the_offset_asks_for_what_is_missing_of_six_attributes(generator):
    missing = measure_offset(generator, 64) @ torch.linalg.inv(generator.scores.rotation)
    asked = torch.tensor([name in _OFFSET for name in NAMES])
    torch.testing.assert_close(missing[~asked], torch.zeros(6), atol=1e-4, rtol=0)
    assert (missing[asked].abs() > 1e-3).any()


def test_an_encoding_takes_the_offset_back(generator, batch):
    """Melodies are conditioned on their own attributes, whatever the offset."""
    generator.offset.normal_()
    staff = to_staff(batch.numpy().astype(np.uint8))
    own = generator.scores(attributes(staff), np.full((len(batch), len(NAMES)), 0.5))
    found = generator.parts(generator.encode(batch).mean).attributes + generator.offset
    torch.testing.assert_close(found, own, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("quick_calibration")
def test_a_training_learns_and_is_the_same_when_resumed(train_tiny, tmp_path):
    model, state = train_tiny(8)
    assert state.step == 6  # and two on single bars
    assert {"held_out_codes", "held_out_tokens", "held_out_form"} <= state.curves[-1].keys()
    train_tiny(8, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"bars", "prior"}
    again, _ = train_tiny(8, folder=tmp_path, resume=True)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, msg=name)


@pytest.mark.usefixtures("quick_calibration")
def test_a_training_from_a_model_keeps_its_bars(train_tiny):
    start, _ = train_tiny(4)
    further, state = train_tiny(2, start=start)
    assert state.step == 2
    for name, tensor in start.bars.encoder.state_dict().items():
        assert torch.equal(further.bars.encoder.state_dict()[name], tensor)
    assert not torch.equal(further.prior.start, start.prior.start)


def test_a_stage_has_its_share_of_the_time():
    settings = TrainingSettings(time_budget_seconds=100.0, learning_rate=1e-3)
    part = part_of(settings, 0.15, 2e-3)
    assert part.time_budget_seconds == pytest.approx(15)
    assert part.steps is None
    assert part.learning_rate == 2e-3
