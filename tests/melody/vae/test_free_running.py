"""Free-running decoding: against a plain loop of the modules, in batches and in blocks."""

import copy
import math
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import START, VOCABULARY
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR
from melodyconstraints.melody.vae import free_running as free_running_module
from melodyconstraints.melody.vae import model as model_module
from melodyconstraints.melody.vae.config import PRESETS, MelodyVAEConfig
from melodyconstraints.melody.vae.free_running import FreeRunning, filled
from melodyconstraints.melody.vae.lstm import BLOCK
from melodyconstraints.melody.vae.model import HierarchicalVAE
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.vae.precision import has_bfloat16

FAILURES = 1e-6
"""Failure rate of a statistical test; the seeds are fixed, so it passes always or never."""
PRECISIONS = ["float32", "bfloat16"] if has_bfloat16(torch.device("cpu")) else ["float32"]
"""Those that ``auto`` may stand for on this machine."""
KINDS = {
    "fresh": {},
    "carry": {"first_input": "carry"},
    "one-hot": {"event_embedding": None},
    "one-hot carry": {"event_embedding": None, "first_input": "carry"},
    "three layers": {"decoder_layers": 3},
    "two layers carry": {"decoder_layers": 2, "first_input": "carry"},
}


def decided(config: MelodyVAEConfig) -> HierarchicalVAE:
    """A model of random weights that prefers some events to others."""
    torch.manual_seed(0)
    model = HierarchicalVAE(config).eval()
    model.decoder.output.weight.data.mul_(8)
    return model


@pytest.fixture(params=["fresh", "carry"])
def model(request, tiny_config) -> HierarchicalVAE:
    """A small model for each kind of first input."""
    return decided(replace(tiny_config, first_input=request.param))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def free_running(
    model: HierarchicalVAE, embeddings: Tensor, noise: Tensor, drawing: Sampling | None = None
) -> Tensor:
    return FreeRunning(model.decoder)(embeddings, noise, drawing or Sampling(1.0))


def bars_that_differ(first: Tensor, second: Tensor) -> set[int]:
    """Bars at which two ``(B, T)`` differ."""
    return {int(step) // STEPS_PER_BAR for step in (first != second).any(0).nonzero()}


# Against a plain loop


def truncated(probabilities: Tensor, drawing: Sampling) -> Tensor:
    """What top-k and top-p leave of ``(N, V)``, category by category."""
    kept = torch.zeros_like(probabilities)
    for row, kept_row in zip(probabilities.tolist(), kept, strict=True):
        order = sorted(range(len(row)), key=lambda category: -row[category])[: drawing.top_k]
        total, reached = sum(row[category] for category in order), 0.0
        for category in order:
            if reached >= (drawing.top_p or 1.0) * total:
                break
            kept_row[category] = row[category]
            reached += row[category]
    return kept / kept.sum(-1, keepdim=True)


@torch.no_grad()
def by_modules(
    model: HierarchicalVAE, embeddings: Tensor, drawing: Sampling
) -> tuple[Tensor, Tensor]:
    """Melodies that a loop of ``nn.LSTM`` steps draws in double precision, and their noise.

    The noise is the middle of each drawn event's share of the unit interval, so that rounding
    does not decide.
    """
    decoder, embeddings = copy.deepcopy(model.decoder).double(), embeddings.double()
    draws, events, noise = generator(7), [], []
    event = torch.full((len(embeddings),), START)
    for bar in range(BARS):
        embedding = embeddings[:, bar]
        state = decoder.start(embedding)
        if not decoder.carry:
            event = torch.full_like(event, START)
        for _ in range(STEPS_PER_BAR):
            inputs = torch.cat([decoder.events(event).double(), embedding], -1)
            output, state = decoder.lstm(inputs[:, None], state)
            logits = decoder.output(output[:, 0]) / drawing.temperature
            probabilities = truncated(torch.softmax(logits, -1), drawing)
            event = torch.multinomial(probabilities, 1, generator=draws)[:, 0]
            middles = probabilities.cumsum(-1) - probabilities / 2
            events.append(event)
            noise.append(middles.gather(1, event[:, None])[:, 0])
    return torch.stack(events, 1), torch.stack(noise, 1).float()


@pytest.mark.parametrize("change", KINDS.values(), ids=KINDS.keys())
def test_events_are_those_of_a_plain_loop_with_the_same_noise(tiny_config, change):
    model, drawing = decided(replace(tiny_config, **change)), Sampling(0.8)
    embeddings = torch.randn(4, BARS, 10)
    expected, noise = by_modules(model, embeddings, drawing)
    assert torch.equal(free_running(model, embeddings, noise, drawing), expected)


@pytest.mark.parametrize(
    "drawing", [Sampling(1.2, top_k=4), Sampling(1.2, top_p=0.7), Sampling(1.2, 20, 0.7)], ids=str
)
def test_truncated_draws_are_those_of_a_plain_loop(model, drawing):
    embeddings = torch.randn(2, BARS, 10)
    expected, noise = by_modules(model, embeddings, drawing)
    assert torch.equal(free_running(model, embeddings, noise, drawing), expected)


@pytest.mark.parametrize("change", KINDS.values(), ids=KINDS.keys())
def test_free_running_argmax_is_teacher_forced_argmax_on_its_own_output(tiny_config, change):
    model = decided(replace(tiny_config, **change))
    z = 3 * torch.randn(6, 8)
    drawn = model.decode(z, Sampling(temperature=0.0), precision="float32")
    assert torch.equal(model.logits(z, drawn).argmax(-1), drawn)


def test_decoding_draws_one_number_of_the_generator_for_each_event(model):
    z = torch.randn(5, 8)
    drawn = model.decode(
        z,
        Sampling(temperature=0.9, top_k=9, top_p=0.8),
        generator=generator(3),
        precision="float32",
    )
    noise = torch.rand(5, STEPS, generator=generator(3))
    expected = free_running(model, model.conductor(z), noise, Sampling(0.9, 9, 0.8))
    assert torch.equal(drawn, expected)


def test_first_events_are_drawn_from_the_softmax_of_their_logits(tiny_model):
    z = torch.randn(1, 8)
    drawn = tiny_model.decode(
        z.expand(2000, -1), Sampling(temperature=0.7), generator=generator(), precision="float32"
    )[:, 0]
    logits = tiny_model.logits(z, torch.zeros(1, STEPS))[0, 0]
    expected = 2000 * torch.softmax(logits.double() / 0.7, -1).detach().numpy()
    counts = np.bincount(drawn.numpy(), minlength=130)
    assert stats.chisquare(counts, expected).pvalue > FAILURES


# What reaches what


def test_a_bar_is_decoded_the_same_among_other_bars(model):
    embeddings, noise = torch.randn(3, BARS, 10), torch.rand(3, STEPS)
    before = free_running(model, embeddings, noise)
    embeddings[:, 5] += 2
    reached = bars_that_differ(before, free_running(model, embeddings, noise))
    if model.decoder.carry:
        assert {5, 6} <= reached <= set(range(5, BARS))
    else:
        assert reached == {5}


def test_fresh_bars_decode_the_same_in_any_order(tiny_config):
    model, order = decided(tiny_config), torch.randperm(BARS)
    embeddings, noise = torch.randn(3, BARS, 10), torch.rand(3, BARS, STEPS_PER_BAR)
    straight = free_running(model, embeddings, noise.flatten(1)).unflatten(1, (BARS, -1))
    moved = free_running(model, embeddings[:, order], noise[:, order].flatten(1))
    assert torch.equal(moved.unflatten(1, (BARS, -1)), straight[:, order])


def test_a_number_decides_its_event_and_reaches_those_after_it_alone(model):
    embeddings, noise = torch.randn(3, BARS, 10), torch.rand(3, STEPS)
    other = noise.clone()
    other[:, 37] = (noise[:, 37] + 0.5) % 1
    before, after = (free_running(model, embeddings, one) for one in (noise, other))
    assert (before[:, 37] != after[:, 37]).any()
    assert torch.equal(before[:, :37], after[:, :37])
    if not model.decoder.carry:
        assert torch.equal(before[:, 48:], after[:, 48:])


# Batches and blocks


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    """Several threads share out the rows of a product."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["fresh", "carry"])
def wide_model(request) -> HierarchicalVAE:
    """A model of the sizes of ``small``, whose products are shared out among threads."""
    return decided(replace(PRESETS["small"], first_input=request.param))


def in_batches(points: Tensor, sizes: list[int]) -> list[Tensor]:
    assert sum(sizes) == len(points)
    return [points[first:last] for first, last in pairwise(accumulate(sizes, initial=0))]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("sizes", [[1, 2, 4, 13], [7, 7, 6], [17, 3]], ids=str)
def test_the_same_points_give_the_same_melodies_in_any_batches(model, sizes, precision):
    z, draws = torch.randn(20, 8), generator(1)
    how = {"sampling": Sampling(0.8), "precision": precision}
    whole = model.decode(z, generator=generator(1), **how)
    parts = [model.decode(part, generator=draws, **how) for part in in_batches(z, sizes)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.fixture
def logits_of(monkeypatch):
    """Decodes ``(B, Z)`` and gives the logits ``(B, T, V)`` that the events were drawn from."""
    seen = []

    class Recording(Sampling):
        def __call__(self, logits, noise):
            seen.append(logits)
            return super().__call__(logits, noise)

    monkeypatch.setattr(model_module, "Sampling", Recording)

    def decode(
        model: HierarchicalVAE, z: Tensor, precision: str, draws: torch.Generator
    ) -> Tensor:
        seen.clear()
        model.decode(z, generator=draws, precision=precision)
        steps = STEPS if model.decoder.carry else STEPS_PER_BAR
        blocks = [torch.stack(block, 1) for block in zip(*[iter(seen)] * steps, strict=True)]
        return torch.cat(blocks).reshape(-1, STEPS, VOCABULARY)[: len(z)]

    return decode


SPLITS = [[1, 23], [2, 5, 17]]
"""Fewer rows than the sixteen up to which they are filled, and more."""


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_logits_are_the_same_to_the_bit_in_any_batches(wide_model, logits_of, precision):
    z = torch.randn(24, wide_model.latent_dim)
    whole = logits_of(wide_model, z, precision, generator())
    for sizes in SPLITS:
        draws = generator()
        parts = [logits_of(wide_model, part, precision, draws) for part in in_batches(z, sizes)]
        assert torch.equal(torch.cat(parts), whole), sizes


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("rest", [1, 2, 3])
def test_the_rest_of_a_block_has_the_bits_of_a_whole_one(model, logits_of, precision, rest):
    z, draws = torch.randn(BLOCK + rest, 8), generator()
    whole = logits_of(model, z, precision, generator())
    parts = [logits_of(model, part, precision, draws) for part in (z[:100], z[100:])]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("block", [16, 48, 128])
def test_more_bars_than_a_block_give_the_same(model, monkeypatch, block):
    embeddings, noise = torch.randn(20, BARS, 10), torch.rand(20, STEPS)
    whole = free_running(model, embeddings, noise)
    monkeypatch.setattr(free_running_module, "BLOCK", block)
    assert torch.equal(free_running(model, embeddings, noise), whole)


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 16), (15, 16), (16, 16), (17, 32)])
def test_rows_are_filled_up_with_zeros_to_a_multiple_of_sixteen(count, expected):
    rows = torch.ones(count, 2, 5)
    found = filled(rows)
    assert found.shape == (expected, 2, 5)
    assert torch.equal(found[:count], rows)
    assert not found[count:].any()


def test_no_points_give_no_melodies(model):
    drawn = model.decode(torch.empty(0, 8))
    assert drawn.shape == (0, STEPS)
    assert drawn.dtype == torch.int64


# Precision


def test_in_bfloat16_nearly_the_same_events_are_drawn(model):
    z = torch.randn(8, 8)
    full, half = (
        model.decode(z, Sampling(temperature=1.0), generator=generator(), precision=precision)
        for precision in ("float32", "bfloat16")
    )
    # An error of 1/500 of the logits moves a threshold by far less than a first event's share.
    first = slice(0, None, STEPS if model.decoder.carry else STEPS_PER_BAR)
    assert (full[:, first] == half[:, first]).float().mean() > 0.8
    assert not torch.equal(full, half)


def test_the_precision_is_by_default_the_fastest(model):
    z = torch.randn(4, 8)
    fastest = "bfloat16" if has_bfloat16(z.device) else "float32"
    default, expected = (
        model.decode(z, Sampling(temperature=1.0), generator=generator(), **options)
        for options in ({}, {"precision": fastest})
    )
    assert torch.equal(default, expected)


# Seeds and refusals


def test_decoding_is_a_function_of_the_seed(model):
    z = torch.randn(4, 8)

    def decoded(seed: int) -> Tensor:
        return model.decode(z, Sampling(temperature=1.0), generator=generator(seed))

    assert torch.equal(decoded(1), decoded(1))
    assert not torch.equal(decoded(1), decoded(2))


def test_temperature_zero_ignores_the_draws(model):
    z = torch.randn(4, 8)
    first = model.decode(z, Sampling(temperature=0.0), generator=generator(1))
    assert torch.equal(first, model.decode(z, Sampling(temperature=0.0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.5}, "temperature must be 0 or above, got -0.5"),
        ({"temperature": math.nan}, "temperature must be 0 or above, got nan"),
        ({"top_k": 0}, "top-k must be at least 1, got 0"),
        ({"top_p": 1.5}, "top-p must be above 0 and at most 1, got 1.5"),
    ],
    ids=str,
)
def test_a_way_of_drawing_out_of_range_is_refused(model, options, message):
    with pytest.raises(UsageError, match=message):
        model.decode(torch.zeros(1, 8), Sampling(**options))


def test_a_precision_that_does_not_exist_is_refused(model):
    with pytest.raises(UsageError, match="one of auto, bfloat16, float32, got 'float8'"):
        model.decode(torch.zeros(1, 8), precision="float8")


@pytest.mark.parametrize("shape", [(8,), (1, 9), (1, 1, 8)])
def test_latent_points_of_another_size_are_refused(model, shape):
    with pytest.raises(UsageError, match=r"z must have shape \(batch, 8\), got \("):
        model.decode(torch.zeros(shape))
