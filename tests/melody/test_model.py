"""The melody VAE: its sizes, what each input can reach, and how events are drawn."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.protocols import LatentModel
from melodyconstraints.melody import sampler as sampler_module
from melodyconstraints.melody.config import PRESETS, MelodyVAEConfig
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.model import (
    START,
    EventInput,
    InitialState,
    MelodyVAE,
    draw,
    event_batches,
    final_states,
    lstm,
)
from melodyconstraints.melody.sampler import MelodySampler
from melodyconstraints.melody.units import STEPS

FAILURES = 1e-6
"""Failure rate of a statistical test; the seeds are fixed, so it passes always or never."""


@pytest.fixture(params=["fresh", "carry"])
def model(request, tiny_config) -> MelodyVAE:
    """A small model for each kind of first input."""
    torch.manual_seed(0)
    return MelodyVAE(replace(tiny_config, first_input=request.param)).eval()


@pytest.fixture
def flat_config(tiny_config) -> MelodyVAEConfig:
    """The paper's kind of encoder, small."""
    return replace(
        tiny_config, encoder="flat", residual=False, event_embedding=None, first_input="carry"
    )


@pytest.fixture
def events(some_melodies) -> torch.Tensor:
    """``(12, 256)`` int64."""
    return torch.from_numpy(some_melodies.events.astype(np.int64))


def on_no_device(config: MelodyVAEConfig) -> MelodyVAE:
    """A model of shapes alone."""
    with torch.device("meta"):
        return MelodyVAE(config)


def steps_that_differ(first: torch.Tensor, second: torch.Tensor) -> set[int]:
    """Steps at which two ``(B, T, V)`` differ."""
    return set((first != second).any(-1).any(0).nonzero().flatten().tolist())


def linear_size(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def lstm_size(inputs: int, units: int) -> int:
    """Four gates, each with weights for input and state and two biases."""
    return 4 * (units * inputs + units * units + 2 * units)


# Sizes


def test_preset_paper_has_the_layers_of_the_paper():
    model = on_no_device(PRESETS["paper"])
    encoder, conductor, decoder = model.encoder, model.conductor, model.decoder
    found = {
        name: (part.input_size, part.hidden_size, part.num_layers, part.bidirectional)
        for name, part in (
            ("encoder", encoder.lstm),
            ("conductor", conductor.lstm),
            ("decoder", decoder.lstm),
        )
    }
    assert found == {
        "encoder": (130, 2048, 1, True),
        "conductor": (1, 1024, 2, False),
        "decoder": (130 + 512, 1024, 2, False),
    }
    assert (encoder.head.in_features, encoder.head.out_features) == (2 * 2048, 2 * 512)
    assert (conductor.start.linear.in_features, conductor.output.out_features) == (512, 512)
    assert (decoder.output.in_features, decoder.output.out_features) == (1024, 130)
    assert model.latent_dim == 512
    assert decoder.carry
    assert conductor.shortcut is None


def test_preset_paper_has_the_parameters_that_its_sizes_add_up_to():
    encoder = 2 * lstm_size(130, 2048) + linear_size(4096, 1024)
    start = linear_size(512, 2 * 2 * 1024)
    conductor = start + lstm_size(1, 1024) + lstm_size(1024, 1024) + linear_size(1024, 512)
    decoder = start + lstm_size(642, 1024) + lstm_size(1024, 1024) + linear_size(1024, 130)
    model = on_no_device(PRESETS["paper"])
    assert sum(p.numel() for p in model.parameters()) == encoder + conductor + decoder


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_maps_melodies_to_logits_of_130_events(name):
    model = on_no_device(PRESETS[name])
    melodies = torch.zeros(2, STEPS, dtype=torch.long, device="meta")
    posterior = model.encode(melodies)
    assert posterior.mean.shape == posterior.scale.shape == (2, PRESETS[name].latent_dim)
    assert model.logits(posterior.mean, melodies).shape == (2, 256, 130)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "conv"}, r"encoder must be one of \('flat', 'hierarchical'\), got 'conv'"),
        ({"first_input": "zero"}, r"first_input must be one of \('carry', 'fresh'\), got 'zero'"),
        ({"encoder": "flat"}, "residual=True needs encoder='hierarchical', got 'flat'"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused(tiny_config, change, message):
    with pytest.raises(UsageError, match=message):
        replace(tiny_config, **change)


# Parts


def test_lstm_opens_its_forget_gates_and_changes_nothing_else():
    torch.manual_seed(3)
    ours = dict(lstm(3, 4, 2, bidirectional=True).named_parameters())
    torch.manual_seed(3)
    plain = nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True)
    opened = torch.tensor([0.0] * 4 + [1.0] * 4 + [0.0] * 8)
    for name, parameter in plain.named_parameters():
        expected = parameter + opened if name.startswith("bias_ih") else parameter
        torch.testing.assert_close(ours[name], expected)


def test_every_lstm_of_a_model_starts_with_open_forget_gates(model):
    found = [part for part in model.modules() if isinstance(part, nn.LSTM)]
    assert len(found) == 4
    for part in found:
        units = part.hidden_size
        forget = part.bias_ih_l0[units : 2 * units]
        assert ((forget - 1).abs() <= 1 / math.sqrt(units)).all()


def test_final_states_are_the_last_forward_and_the_first_backward_output():
    module = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    inputs = torch.randn(2, 5, 3)
    outputs, _ = module(inputs)
    expected = torch.cat([outputs[:, -1, :4], outputs[:, 0, 4:]], -1)
    assert torch.equal(final_states(module, inputs), expected)


def test_initial_states_are_the_tanh_of_a_linear_map():
    start = InitialState(3, 4, 2)
    vector = torch.randn(5, 3)
    hidden, cell = start(vector)
    flat = torch.tanh(vector @ start.linear.weight.T + start.linear.bias)
    expected_hidden = torch.stack([flat[:, 0:4], flat[:, 4:8]])
    expected_cell = torch.stack([flat[:, 8:12], flat[:, 12:16]])
    torch.testing.assert_close(hidden, expected_hidden)
    torch.testing.assert_close(cell, expected_cell)
    assert start(1e6 * vector)[0].abs().max() <= 1


def test_one_hot_events_are_rows_of_the_identity_and_the_start_is_zero_without_a_token():
    carried = EventInput(None, learned_start=False)
    assert carried.size == 130
    assert torch.equal(carried(torch.arange(130)), torch.eye(130))
    assert not carried(torch.tensor(START)).any()
    fresh = EventInput(None, learned_start=True)
    assert torch.equal(fresh(torch.tensor([START])), torch.eye(131)[130:])


def test_what_stands_before_the_first_event_is_zero_with_carry_and_learned_with_fresh(model):
    assert bool(model.decoder.events(torch.tensor(START)).any()) == (not model.decoder.carry)


def test_conductor_sees_only_zeros(model):
    seen = []
    model.conductor.lstm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.conductor(torch.randn(3, 8))
    assert torch.equal(seen[0], torch.zeros(3, 16, 1))


def test_linear_path_of_the_conductor_adds_to_its_lstm(model):
    z = torch.randn(3, 8)
    conductor = model.conductor
    whole, shortcut = conductor(z), conductor.shortcut
    conductor.shortcut = None
    lstm_alone = conductor(z)
    torch.testing.assert_close(whole, lstm_alone + shortcut(z).reshape(3, 16, 10))


def test_bar_codes_know_their_own_bar_alone(model, events):
    changed = events.clone()
    changed[:, 3 * 16 + 5] = 60 + (events[:, 3 * 16 + 5] == 60).long()
    before, after = model.encoder.bar_codes(events), model.encoder.bar_codes(changed)
    assert steps_that_differ(before, after) == {3}


def test_hierarchical_posterior_is_the_head_and_the_linear_path_together(model, events):
    encoder = model.encoder
    codes = encoder.bar_codes(events)
    head = encoder.head(final_states(encoder.lstm, codes)) + encoder.shortcut(codes.flatten(1))
    posterior = model.encode(events)
    torch.testing.assert_close(posterior.mean, head[:, :8])
    torch.testing.assert_close(posterior.scale, nn.functional.softplus(head[:, 8:]) + 1e-4)


def test_flat_posterior_reads_one_hot_events_from_both_ends(flat_config, events):
    encoder = MelodyVAE(flat_config).encoder
    one_hot = nn.functional.one_hot(events, 130).float()
    head = encoder.head(final_states(encoder.lstm, one_hot))
    torch.testing.assert_close(encoder(events).mean, head[:, :8])


@pytest.mark.parametrize(("raw", "scale"), [(0.0, math.log(2) + 1e-4), (-100.0, 1e-4)])
def test_posterior_scale_is_a_softplus_above_a_floor(model, events, raw, scale):
    for part in (model.encoder.head, model.encoder.shortcut):
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    nn.init.constant_(model.encoder.head.bias, raw)
    torch.testing.assert_close(model.encode(events).scale, torch.full((12, 8), scale))


def test_encoding_takes_bytes_as_well_as_integers(model, events):
    assert torch.equal(model.encode(events.byte()).mean, model.encode(events).mean)


@pytest.mark.parametrize("kind", ["fresh", "carry", "flat"])
def test_the_gradient_reaches_every_parameter_but_the_weights_on_zeros(
    kind, tiny_config, flat_config, events
):
    torch.manual_seed(0)
    model = MelodyVAE(flat_config if kind == "flat" else replace(tiny_config, first_input=kind))
    posterior = model.encode(events)
    logits = model.logits(posterior.sample(), events)
    nn.functional.cross_entropy(logits.flatten(0, 1), events.flatten()).backward()
    unreached = {
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()
    }
    assert unreached == {"conductor.lstm.weight_ih_l0"}


# What reaches what under teacher forcing


def test_a_bar_embedding_reaches_the_events_of_its_bar_alone(model, events):
    embeddings = torch.randn(12, 16, 10)
    changed = embeddings.clone()
    changed[:, 5] += 1
    before, after = model.decoder(embeddings, events), model.decoder(changed, events)
    assert steps_that_differ(before, after) == set(range(5 * 16, 6 * 16))


def test_the_last_event_of_a_bar_reaches_the_next_bar_only_with_carry(model, events):
    z = torch.randn(12, 8)
    changed = events.clone()
    changed[:, 5 * 16 - 1] = (events[:, 5 * 16 - 1] + 1) % 130
    reached = steps_that_differ(model.logits(z, events), model.logits(z, changed))
    assert reached == (set(range(5 * 16, 6 * 16)) if model.decoder.carry else set())


def test_an_event_reaches_only_what_comes_after_it_in_its_bar(model, events):
    z = torch.randn(12, 8)
    changed = events.clone()
    changed[:, 37] = (events[:, 37] + 1) % 130
    reached = steps_that_differ(model.logits(z, events), model.logits(z, changed))
    assert reached == set(range(38, 48))


def test_teacher_forcing_is_the_bar_lstm_step_by_step(model, events):
    z = torch.randn(12, 8)
    decoder, embeddings = model.decoder, model.conductor(z)
    expected = []
    for bar in range(16):
        embedding = embeddings[:, bar]
        state = decoder.start(embedding)
        for step in range(bar * 16, bar * 16 + 16):
            before = events[:, step - 1]
            if step == 0 or (step % 16 == 0 and not decoder.carry):
                before = torch.full((12,), START)
            inputs = torch.cat([decoder.events(before), embedding], -1)
            output, state = decoder.lstm(inputs[:, None], state)
            expected.append(decoder.output(output[:, 0]))
    torch.testing.assert_close(model.logits(z, events), torch.stack(expected, 1))


# Drawing


def test_free_running_argmax_is_teacher_forced_argmax_on_its_own_output(model):
    z = 3 * torch.randn(6, 8)
    drawn = model.decode(z, temperature=0.0)
    assert torch.equal(model.logits(z, drawn).argmax(-1), drawn)


def test_decoding_is_a_function_of_the_seed(model):
    z = torch.randn(4, 8)

    def decoded(seed: int) -> torch.Tensor:
        return model.decode(z, temperature=1.0, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(decoded(1), decoded(1))
    assert not torch.equal(decoded(1), decoded(2))


def test_temperature_zero_ignores_the_draws(model):
    z = torch.randn(4, 8)
    first = model.decode(z, temperature=0.0, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first, model.decode(z, temperature=0.0))


def test_first_events_are_drawn_from_the_softmax_of_their_logits(model):
    z = torch.randn(1, 8)
    drawn = model.decode(
        z.expand(4000, -1), temperature=0.7, generator=torch.Generator().manual_seed(0)
    )[:, 0]
    logits = model.logits(z, torch.zeros(1, STEPS))[0, 0]
    expected = 4000 * torch.softmax(logits.double() / 0.7, -1).detach().numpy()
    counts = np.bincount(drawn.numpy(), minlength=130)
    assert stats.chisquare(counts, expected).pvalue > FAILURES


@pytest.mark.parametrize("temperature", [0.25, 0.5, 1.0, 2.0])
def test_draw_gives_each_category_its_share_of_the_unit_interval(temperature):
    count = 20_000
    noise = (torch.arange(count) + 0.5) / count
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0])
    shares = draw(logits.expand(count, -1), noise, temperature).bincount(minlength=4) / count
    expected = torch.softmax(logits / temperature, -1)
    torch.testing.assert_close(shares, expected, atol=1 / count, rtol=0)


@pytest.mark.parametrize("noise", [0.0, 0.5, 1 - 2**-24])
def test_draw_never_takes_what_has_no_probability(noise):
    logits = torch.tensor([[-math.inf, 0.0, -math.inf]])
    assert draw(logits, torch.tensor([noise]), 1.0).tolist() == [1]


def test_draw_at_temperature_zero_takes_the_maximum():
    logits = torch.tensor([[0.0, 2.0, 1.0], [5.0, 4.0, 4.9]])
    assert draw(logits, torch.tensor([0.99, 0.99]), 0.0).tolist() == [1, 0]


@pytest.mark.parametrize("temperature", [-0.5, math.nan])
def test_a_negative_temperature_is_refused(model, temperature):
    with pytest.raises(UsageError, match=f"temperature must be 0 or above, got {temperature}"):
        model.decode(torch.zeros(1, 8), temperature=temperature)


@pytest.mark.parametrize("shape", [(8,), (1, 9), (1, 1, 8)])
def test_latent_points_of_another_size_are_refused(model, shape):
    with pytest.raises(UsageError, match=r"z must have shape \(batch, 8\), got \("):
        model.decode(torch.zeros(shape))


# Batches and the core's view


def test_event_batches_cut_in_order_and_lose_nothing(some_melodies):
    batches = list(event_batches(some_melodies.events, torch.device("cpu"), size=5))
    assert [len(batch) for batch in batches] == [5, 5, 2]
    assert all(batch.dtype == torch.int64 for batch in batches)
    assert np.array_equal(torch.cat(batches).numpy(), some_melodies.events)


def test_the_sampler_is_a_latent_model_of_the_core(tiny_model):
    tiny_model.sigma_bar.fill_(0.3)
    sampler = MelodySampler(tiny_model)
    assert isinstance(sampler, LatentModel)
    assert sampler.latent_dim == 8
    assert torch.equal(sampler.sigma_bar, torch.full((8,), 0.3))
    assert isinstance(sampler.decode(torch.randn(3, 8)), Melodies)


def test_the_sampler_repeats_itself_call_by_call_under_one_seed(tiny_model):
    z = torch.randn(3, 8)
    first, second = MelodySampler(tiny_model, seed=5), MelodySampler(tiny_model, seed=5)
    drawn = [first.decode(z).events for _ in range(2)]
    again = [second.decode(z).events for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    assert not np.array_equal(*drawn)
    assert not np.array_equal(drawn[0], MelodySampler(tiny_model, seed=6).decode(z).events)


def test_the_sampler_decodes_at_its_temperature_in_parts(tiny_model, monkeypatch):
    monkeypatch.setattr(sampler_module, "DECODE_BATCH", 4)
    z = torch.randn(10, 8)
    generator = torch.Generator().manual_seed(2)
    parts = [
        tiny_model.decode(z[first:last], temperature=0.8, generator=generator)
        for first, last in pairwise([0, 4, 8, 10])
    ]
    sampled = MelodySampler(tiny_model, temperature=0.8, seed=2).decode(z)
    assert np.array_equal(sampled.events, Melodies(torch.cat(parts).numpy()).events)
