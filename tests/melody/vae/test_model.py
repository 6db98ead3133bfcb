"""The melody VAE: its sizes, its recurrences, and what each input can reach."""

import math
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from torch import nn

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import START, Melodies
from melodyconstraints.melody.units import STEPS
from melodyconstraints.melody.vae import sampler as sampler_module
from melodyconstraints.melody.vae.config import PRESETS, MelodyVAEConfig
from melodyconstraints.melody.vae.layers import EventInput, InitialState, final_states, lstm
from melodyconstraints.melody.vae.model import HierarchicalVAE, event_batches
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling


@pytest.fixture(params=["fresh", "carry"])
def model(request, tiny_config) -> HierarchicalVAE:
    """A small model for each kind of first input."""
    torch.manual_seed(0)
    return HierarchicalVAE(replace(tiny_config, first_input=request.param)).eval()


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


def on_no_device(config: MelodyVAEConfig) -> HierarchicalVAE:
    """A model of shapes alone."""
    with torch.device("meta"):
        return HierarchicalVAE(config)


def steps_that_differ(first: torch.Tensor, second: torch.Tensor) -> set[int]:
    """Steps at which two ``(B, T, V)`` differ."""
    return set((first != second).any(-1).any(0).nonzero().flatten().tolist())


def linear_size(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def lstm_size(inputs: int, units: int) -> int:
    """Four gates, each with weights for input and state and two biases."""
    return 4 * (units * inputs + units * units + 2 * units)


# Sizes


def test_a_model_is_shown_in_one_line(tiny_config):
    model = HierarchicalVAE(tiny_config)
    weights = sum(parameter.numel() for parameter in model.parameters())
    shown = f"HierarchicalVAE({model.latent_dim} latent, {weights:,} weights)"
    assert repr(model) == shown


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


@pytest.mark.parametrize("learned_start", [True, False])
@pytest.mark.parametrize("size", [None, 6])
def test_the_table_of_a_linear_map_holds_what_it_makes_of_every_event(size, learned_start):
    inputs = EventInput(size, learned_start=learned_start)
    weight = torch.randn(20, inputs.size)
    expected = inputs(torch.arange(131)) @ weight.T
    torch.testing.assert_close(inputs.table(weight), expected)


def test_what_stands_before_the_first_event_is_zero_with_carry_and_learned_with_fresh(model):
    assert bool(model.decoder.events(torch.tensor(START)).any()) == (not model.decoder.carry)


def test_residual_path_of_the_conductor_adds_to_its_lstm(model):
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


def test_hierarchical_posterior_is_the_head_and_the_residual_path_together(model, events):
    encoder = model.encoder
    codes = encoder.bar_codes(events)
    head = encoder.head(final_states(encoder.lstm, codes)) + encoder.shortcut(codes.flatten(1))
    posterior = model.encode(events)
    torch.testing.assert_close(posterior.mean, head[:, :8])
    torch.testing.assert_close(posterior.scale, nn.functional.softplus(head[:, 8:]) + 1e-4)


def test_flat_posterior_reads_one_hot_events_from_both_ends(flat_config, events):
    encoder = HierarchicalVAE(flat_config).encoder
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
    model = HierarchicalVAE(
        flat_config if kind == "flat" else replace(tiny_config, first_input=kind)
    )
    posterior = model.encode(events)
    logits = model.logits(posterior.sample(), events)
    nn.functional.cross_entropy(logits.flatten(0, 1), events.flatten()).backward()
    unreached = {
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()
    }
    assert unreached == {"conductor.lstm.weight_ih_l0"}


# The recurrences


@dataclass
class ByModules:
    """What a model's ``nn.LSTM`` modules make of melodies and latent points."""

    model: HierarchicalVAE

    def bar_codes(self, events: torch.Tensor) -> torch.Tensor:
        encoder = self.model.encoder
        states = final_states(encoder.bar_lstm, encoder.events(events.reshape(-1, 16)))
        return encoder.bar_code(states).reshape(len(events), 16, -1)

    def embeddings(self, z: torch.Tensor) -> torch.Tensor:
        conductor = self.model.conductor
        outputs, _ = conductor.lstm(torch.zeros(len(z), 16, 1), conductor.start(z))
        return conductor.output(outputs) + conductor.shortcut(z).reshape(len(z), 16, -1)

    def logits(self, embeddings: torch.Tensor, events: torch.Tensor) -> torch.Tensor:
        decoder = self.model.decoder
        before = torch.cat([torch.full((len(events), 1), START), events[:, :-1]], 1)
        if not decoder.carry:
            before[:, ::16] = START
        bars = embeddings.repeat_interleave(16, 1).reshape(-1, 16, embeddings.shape[-1])
        inputs = torch.cat([decoder.events(before.reshape(-1, 16)), bars], -1)
        outputs, _ = decoder.lstm(inputs, decoder.start(embeddings.flatten(0, 1)))
        return decoder.output(outputs).reshape(len(events), 256, -1)


LSTMS = [
    {},
    {"first_input": "carry"},
    {"event_embedding": None},
    {"event_embedding": None, "first_input": "carry"},
    {"conductor_layers": 2, "decoder_layers": 2},
    {"conductor_layers": 3, "decoder_layers": 3, "first_input": "carry"},
]


@pytest.mark.parametrize("change", LSTMS, ids=str)
def test_a_model_computes_what_its_lstm_modules_would_gradients_too(tiny_config, change, events):
    model = HierarchicalVAE(replace(tiny_config, **change))
    modules, z, embeddings = ByModules(model), torch.randn(12, 8), torch.randn(12, 16, 10)
    pairs = (
        (model.encoder.bar_codes(events), modules.bar_codes(events)),
        (model.conductor(z), modules.embeddings(z)),
        (model.decoder(embeddings, events), modules.logits(embeddings, events)),
    )
    loss, expected = torch.zeros(()), torch.zeros(())
    for found, wanted in pairs:
        torch.testing.assert_close(found, wanted, atol=2e-6, rtol=1e-5)
        weights = torch.randn_like(wanted)
        loss, expected = loss + (weights * found).mean(), expected + (weights * wanted).mean()
    parameters = dict(model.named_parameters())
    found, wanted = (
        torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
        for value in (loss, expected)
    )
    for name, one, other in zip(parameters, found, wanted, strict=True):
        if one is None or other is None:
            assert one is other is None, name
        else:
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4, msg=name)


def test_without_gradients_a_model_computes_the_same(model, events):
    posterior, logits = model.encode(events), model.logits(torch.ones(12, 8), events)
    with torch.no_grad():
        torch.testing.assert_close(model.encode(events).mean, posterior.mean)
        torch.testing.assert_close(model.logits(torch.ones(12, 8), events), logits)


def test_in_bfloat16_a_model_computes_nearly_the_same(model, events):
    z = torch.randn(12, 8)
    posterior, logits = model.encode(events), model.logits(z, events)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, rounded_logits = model.encode(events), model.logits(z, events)
    assert rounded_logits.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.mean, posterior.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(rounded_logits.float(), logits, atol=0.02, rtol=0)
    assert not torch.equal(rounded_logits.float(), logits)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("change", LSTMS, ids=str)
def test_a_gpu_computes_what_a_processor_does(tiny_config, change, events):
    model = HierarchicalVAE(replace(tiny_config, **change))
    z = torch.randn(12, 8)
    mean, logits = model.encode(events).mean, model.logits(z, events)
    model.cuda()
    on_gpu = model.encode(events.cuda()).mean, model.logits(z.cuda(), events.cuda())
    torch.testing.assert_close(on_gpu[0].cpu(), mean, atol=0.01, rtol=0)
    torch.testing.assert_close(on_gpu[1].cpu(), logits, atol=0.01, rtol=0)


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


# Batches and the core's view


def test_event_batches_cut_in_order_and_lose_nothing(some_melodies):
    batches = list(event_batches(some_melodies.events, torch.device("cpu"), size=5))
    assert [len(batch) for batch in batches] == [5, 5, 2]
    assert all(batch.dtype == torch.int64 for batch in batches)
    assert np.array_equal(torch.cat(batches).numpy(), some_melodies.events)


def test_the_sampler_is_a_latent_model_of_the_core(tiny_model):
    tiny_model.sigma_bar.fill_(0.3)
    sampler = MelodySampler(tiny_model)
    assert sampler.latent_dim == 8
    assert torch.equal(sampler.sigma_bar, torch.full((8,), 0.3))
    assert isinstance(sampler.decode(torch.randn(3, 8)), Melodies)


def test_the_sampler_makes_no_melodies_of_no_points(tiny_model):
    assert len(MelodySampler(tiny_model).decode(torch.empty(0, 8))) == 0


def test_the_sampler_repeats_itself_call_by_call_under_one_seed(tiny_model):
    z = torch.randn(3, 8)
    first, second = (
        MelodySampler(tiny_model, Sampling(seed=5)),
        MelodySampler(tiny_model, Sampling(seed=5)),
    )
    drawn = [first.decode(z).events for _ in range(2)]
    again = [second.decode(z).events for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    assert not np.array_equal(*drawn)
    assert not np.array_equal(
        drawn[0], MelodySampler(tiny_model, Sampling(seed=6)).decode(z).events
    )


WAYS_OF_DRAWING = [
    {"temperature": 0.8},
    {"temperature": 1.2, "top_k": 5},
    {"temperature": 0.9, "top_p": 0.3},
    {"temperature": 1.2, "top_k": 20, "top_p": 0.6},
]


@pytest.mark.parametrize("drawing", WAYS_OF_DRAWING, ids=str)
def test_the_sampler_decodes_in_its_way_in_parts(tiny_model, monkeypatch, drawing):
    monkeypatch.setattr(sampler_module, "DECODE_BATCH", 4)
    z = torch.randn(10, 8)
    generator = torch.Generator().manual_seed(2)
    parts = [
        tiny_model.decode(z[first:last], Sampling(**drawing), generator=generator)
        for first, last in pairwise([0, 4, 8, 10])
    ]
    sampled = MelodySampler(tiny_model, Sampling(seed=2, **drawing)).decode(z)
    assert np.array_equal(sampled.events, Melodies(torch.cat(parts).numpy()).events)


def test_every_way_of_drawing_gives_other_melodies(tiny_model):
    z = torch.randn(3, 8)
    drawn = [
        MelodySampler(tiny_model, Sampling(**way)).decode(z).events for way in WAYS_OF_DRAWING
    ]
    assert not any(np.array_equal(one, other) for one, other in combinations(drawn, 2))


def test_a_form_is_refused_where_bars_do_not_know_of_each_other(tiny_config):
    model = HierarchicalVAE(tiny_config)
    with pytest.raises(UsageError, match="draws in no form, scale or rhythm, got the form AABA"):
        model.decode(torch.zeros(1, 8), Sampling(form="AABA"))
