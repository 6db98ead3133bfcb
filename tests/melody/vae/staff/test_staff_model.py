"""z and melody determine each other, and a melody has the form that is asked for."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import KEY_SHIFTS, Melodies, transposed
from melodyconstraints.melody.form import FRESH
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.inversion import invert
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.bar_prior import Played, Whole, condition_size
from melodyconstraints.melody.vae.staff.bars import ANY, Given
from melodyconstraints.melody.vae.staff.calibration import Calibration
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.decisions import Drawn, Known
from melodyconstraints.melody.vae.staff.flow import ConditionalFlow
from melodyconstraints.melody.vae.staff.layers import NextStart
from melodyconstraints.melody.vae.staff.model import ATTRIBUTES
from melodyconstraints.melody.vae.staff.notation import (
    LINES,
    SCALE,
    SILENT,
    TOKEN_HOLD,
    TOKEN_REST,
    kinds,
    to_staff,
)
from melodyconstraints.melody.vae.staff.playing import Player
from melodyconstraints.melody.vae.staff.prepared_decoder import PreparedDecoder, calibrated

LIKELIEST = Sampling(temperature=0.0)


def points(generator, count: int) -> torch.Tensor:
    return torch.randn(count, generator.latent_dim)


@torch.no_grad()
def written(generator, z: torch.Tensor, form: torch.Tensor | None = None):
    """What points say of all bars, the bars, and their likeliest tokens ``(B, K, S)``."""
    head = generator.head(z)
    player = Player(generator.bars, generator.calibration, head.whole)
    bars, _ = generator.write(z, head.whole, player, form)
    return head, bars, player.drawn.reshape(len(z), BARS, STEPS_PER_BAR)


@pytest.fixture
def events(some_melodies) -> torch.Tensor:
    """Random melodies whose ninth bar equals the first, and the tenth the ninth.

    The fourth is the second a semitone or so higher.
    """
    events = some_melodies.events.copy()
    second = events[:, 16:32]
    events[:, 48:64] = np.where(second < 128, np.minimum(second + 1, 127), second)
    events[:, 8 * 16 : 9 * 16] = events[:, 9 * 16 : 10 * 16] = events[:, :16]
    return torch.from_numpy(Melodies(events).events.astype(np.int64))


def test_the_flow_and_its_inverse_agree_and_its_density_is_that_of_the_map():
    flow = ConditionalFlow(4, 3, 8, 3)
    for parameter in flow.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    noise, condition = torch.randn(6, 4), torch.randn(6, 3)
    codes = flow(noise, condition)
    back, log_det = flow.inverse(codes, condition)
    torch.testing.assert_close(back, noise, atol=1e-4, rtol=1e-4)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: flow.inverse(x[None], condition[:1])[0][0], codes[0]
    )
    assert log_det[0].item() == pytest.approx(jacobian.slogdet().logabsdet.item(), abs=1e-4)
    normal = torch.distributions.Normal(0, 1).log_prob(noise).sum(-1)
    torch.testing.assert_close(
        flow.negative_log_likelihood(codes, condition), -normal - log_det, atol=1e-4, rtol=1e-4
    )


def test_reading_all_bars_at_once_is_writing_them_in_turn(generator):
    """Where bars are played as they were told to be."""
    noise, ranks = torch.randn(5, BARS, 5), torch.rand(5, BARS, 3)
    whole = Whole(torch.randn(5, ATTRIBUTES), torch.arange(5), torch.arange(2, 7))

    def write(decide):
        return generator.prior.write(
            decide, whole, lambda bar: Played(bar.code, bar.start, bar.start), Calibration()
        )

    with torch.no_grad():
        bars, conditions = write(Drawn(noise, ranks))
        known = Known(bars)
        again, _ = write(known)
        read = generator.prior.read(bars, whole)
    fresh = bars.sources == FRESH
    assert fresh.any()
    assert not fresh.all()
    for one, other in zip(bars, again, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(read.conditions, conditions, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(known.noise[fresh], noise[fresh], atol=1e-3, rtol=1e-3)
    assert (known.noise[~fresh] == 0).all()
    low, high = known.bounds.unbind(-1)
    assert ((low <= ranks + 1e-5) & (ranks <= high + 1e-5)).all()


def test_the_next_bar_hears_the_likeliest_notes_whatever_is_drawn(generator):
    """Hot notes of one bar move no later one: their likeliest notes are those of the point."""
    z, noise = points(generator, 16), torch.rand(16, 256)
    head, bars, likeliest = written(generator, z)
    player = Player(
        *(generator.bars, generator.calibration, head.whole),
        *(noise, Sampling(temperature=1.0)),
    )
    with torch.no_grad():
        again, _ = generator.write(z, head.whole, player)
    assert not torch.equal(player.drawn, likeliest.flatten(1))
    for one, other in zip(bars, again, strict=True):
        torch.testing.assert_close(one, other)
    played_codes = generator.bars.mean_codes(likeliest.reshape(-1, STEPS_PER_BAR))
    torch.testing.assert_close(bars.played_codes.flatten(0, 1), played_codes, atol=1e-5, rtol=1e-5)


def test_logits_of_drawn_notes_are_those_of_true_ones(generator):
    """What is computed once for all steps, against the decoder with the notes before each.

    Three codes are drawn twice each: under one condition, after other bars.
    """
    for buffer in generator.calibration.buffers():
        buffer.normal_()
    codes = torch.randn(3, generator.config.bar_code)
    rhythms = torch.full((6, STEPS_PER_BAR), ANY)
    rhythms[2:] = torch.arange(STEPS_PER_BAR) % 3
    recalled = torch.randint(TOKEN_REST + 1, (6, STEPS_PER_BAR))
    recalled[0] = ANY
    conditions = torch.randn(3, condition_size(generator.config))
    silence = torch.tensor([0, 0, 1, 4, 16, 40])
    given = Given(
        *(conditions, torch.arange(6), torch.arange(6).flip(0)),
        *(rhythms, recalled, silence),
    )
    seen = []

    def choose(step, logits):
        seen.append(logits.clone())
        return torch.where(torch.arange(6) < 4, logits.argmax(-1), logits.topk(2).indices[:, 1])

    with torch.no_grad():
        bars = PreparedDecoder(generator.bars.decoder, generator.calibration)(codes, given, choose)
        given = given._replace(conditions=conditions.repeat(2, 1))
        logits = generator.bars.decoder(codes.repeat(2, 1), bars, given)
        logits = logits + calibrated(generator.calibration, given, bars)
    torch.testing.assert_close(torch.stack(seen, 1), logits, atol=1e-4, rtol=1e-4)


def test_where_the_next_bar_starts_is_by_interval_line_and_degree():
    """By hand: only the interval of a step up weighs, then only the degree of the tonic."""
    next_start = NextStart(4)
    for parameter in next_start.parameters():
        parameter.data.zero_()
    state, ends, degrees = torch.zeros(1, 4), torch.tensor([20]), torch.tensor([2])
    torch.testing.assert_close(next_start(state, ends, degrees).exp(), torch.full((1, 36), 1 / 36))
    next_start.scores.bias.data[LINES - 1 + 1] = 50.0  # an interval of +1
    assert next_start(state, ends, degrees).argmax() == 21
    next_start.scores.bias.data[-SCALE] = 100.0  # degree 0: lines 1, 8, 15 = place - 2, 22, 29
    tonics = next_start(state, ends, degrees).exp()[0].gt(1e-3).nonzero().flatten()
    assert (tonics % SCALE).unique().tolist() == [1]


def test_an_encoding_decodes_to_key_place_and_bars_of_the_melody(generator, events):
    z = generator.encode(events).mean
    staff, (head, found, _) = to_staff(events.numpy().astype(np.uint8)), written(generator, z)
    bars = generator.read(staff.tokens, torch.zeros(len(events), BARS, 5))
    assert np.array_equal(head.keys, staff.keys)
    assert np.array_equal(head.places, staff.places)
    assert torch.equal(found.sources, bars.sources)
    assert torch.equal(found.starts, bars.starts)
    assert (bars.sources[:, 8] == 0).all()
    assert (bars.sources[:, 9] == 8).all()
    torch.testing.assert_close(found.codes, bars.codes, atol=1e-3, rtol=1e-3)


def test_an_encoding_goes_on_from_what_will_be_played(generator, events):
    """The random decoder plays other notes than the melody's, and its bars come back all the same.

    With the melody's own notes before each bar, noise would be that of other conditions.
    """
    z = generator.encode(events).mean
    head, found, _ = written(generator, z)
    bars = generator.read(to_staff(events.numpy().astype(np.uint8)).tokens, torch.zeros(12, 16, 5))
    assert not torch.equal(found.ends, bars.ends)
    read = generator.prior.read(bars, head.whole)
    noise, _ = generator.prior.flow.inverse(bars.codes[:, 1], read.conditions[:, 1])
    own = generator.parts(z).bars[:, 1] * generator.config.spread
    assert (noise - own).abs().max() > 1e-3


def test_bars_equal_but_for_their_height_have_equal_codes(generator):
    tokens = np.full((1, 256), TOKEN_HOLD)
    tokens[0, :64:16], tokens[0, 4:64:16] = [17, 20, 3, 30], [19, 22, 5, 32]
    tokens[0, 64::16] = TOKEN_REST
    bars = generator.read(tokens, torch.zeros(1, BARS, 5))
    assert bars.starts[0, :5].tolist() == [17, 20, 3, 30, SILENT]
    assert torch.equal(bars.codes[0, :4], bars.codes[0, :1].expand(4, -1))


def test_a_drawn_point_of_a_posterior_is_the_melody_s_too(generator, events):
    posterior = generator.encode(events)
    one, other = (posterior.sample(torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert not torch.equal(one, other)
    middle, middle_bars, _ = written(generator, posterior.mean)
    for z in (one, other):
        head, bars, _ = written(generator, z)
        assert np.array_equal(head.keys, middle.keys)
        assert np.array_equal(head.places, middle.places)
        assert torch.equal(bars.sources, middle_bars.sources)
    nothing = torch.zeros_like(one)
    assert torch.equal(posterior.sample(noise=nothing), posterior.mean)


@pytest.mark.usefixtures("rows_in_two_parts")
def test_decoding_is_a_function_of_point_and_seed_however_batches_are_split(generator):
    z = points(generator, 20)
    assert torch.equal(generator.decode(z), generator.decode(z))
    whole = generator.decode(z, LIKELIEST)
    parts = [generator.decode(part, LIKELIEST) for part in z.split(7)]
    assert torch.equal(torch.cat(parts), whole)
    assert whole.shape == (20, 256)
    assert generator.decode(z[:0]).shape == (0, 256)


def test_a_repeat_has_the_events_of_the_bar_that_it_repeats(generator):
    z = points(generator, 16)
    bars = generator.decode(z, Sampling(temperature=1.0)).reshape(-1, BARS, STEPS_PER_BAR)
    sources = written(generator, z)[1].sources
    repeats = (sources != FRESH).nonzero()
    assert len(repeats)
    for melody, bar in repeats.tolist():
        one, other = bars[melody, bar], bars[melody, sources[melody, bar]]
        notes = other < 128
        assert torch.equal(one[notes], other[notes])


def test_a_bar_of_another_s_rhythm_has_notes_where_that_one_has_them(generator):
    z = points(generator, 16)
    z[:, generator.blocks[-BARS].start - 2 * BARS : generator.blocks[-BARS].start - BARS] = 3.0
    _, bars, tokens = written(generator, z)
    notes = tokens < TOKEN_HOLD
    linked = (bars.rhythms != FRESH).nonzero().tolist()
    assert len(linked) > 16
    for melody, bar in linked:
        assert torch.equal(notes[melody, bar], notes[melody, bars.rhythms[melody, bar]])


def test_the_root_of_a_rhythm_is_the_first_bar_that_has_it(generator, events):
    staff = to_staff(events.numpy().astype(np.uint8))
    bars = generator.read(staff.tokens, torch.zeros(len(events), BARS, 5))
    rhythms = kinds(staff.tokens).reshape(-1, BARS, STEPS_PER_BAR)
    first = (rhythms[:, :, None] == rhythms[:, None]).all(-1).argmax(-1)
    assert np.array_equal(bars.roots.numpy(), first)
    assert (bars.rhythms[bars.sources != FRESH] == FRESH).all()


def test_a_form_goes_before_the_point_s_own(generator):
    form = torch.full((BARS,), FRESH)
    form[8:12] = torch.arange(4)
    _, bars, _ = written(generator, points(generator, 16), form)
    assert (bars.sources == form).all()
    assert torch.equal(bars.codes[:, 8:12], bars.codes[:, :4])
    sampling = replace(LIKELIEST, form="ABAC")
    bars = generator.decode(points(generator, 5), sampling).reshape(5, BARS, -1)
    notes = bars[:, :4] < 128
    assert torch.equal(bars[:, 8:12][notes], bars[:, :4][notes])


def test_a_single_bar_with_a_prime_begins_like_the_one_that_it_varies(generator):
    form = replace(LIKELIEST, temperature=1.0, form="ABCDA'B'C'D'ABCDA'B'C'D'")
    drawn = MelodySampler(generator, form).decode(points(generator, 8)).events
    bars = drawn.reshape(8, 4, 4, STEPS_PER_BAR)
    notes = bars[:, :1, :, :12] < 128
    assert notes.any()
    assert ((bars[..., :12] == bars[:, :1, :, :12]) | ~notes).all()
    assert (bars[:, 1, :, 12:] != bars[:, 0, :, 12:]).any()
    notes = bars[:, 1] < 128
    assert (bars[:, 3][notes] == bars[:, 1][notes]).all()  # a second A' is the first one again


def test_a_sampler_draws_in_its_form(generator):
    one_bar = replace(LIKELIEST, form=16 * "A")
    bars = MelodySampler(generator, one_bar).decode(points(generator, 3)).events
    bars = bars.reshape(3, BARS, STEPS_PER_BAR)
    notes = bars[:, :1] < 128
    assert ((bars == bars[:, :1]) | ~notes).all()


def test_noise_of_the_last_bar_changes_no_earlier_bar(generator):
    z = points(generator, 16)
    moved = z.clone()
    moved[:, -5:] += 3
    one, other = (generator.decode(p, LIKELIEST).reshape(-1, BARS, 16) for p in (z, moved))
    assert torch.equal(one[:, :-1], other[:, :-1])


def test_the_key_is_the_direction_of_the_first_two_numbers(generator):
    """Each key has the part of the circle that it has of the melodies."""
    shares = torch.full((12,), 0.05)
    shares[1] = 0.45  # of G, after C
    generator.key_ranks[1:] = shares.cumsum(0)
    angles = 2 * math.pi * torch.tensor([0.01, 0.06, 0.49, 0.51])
    z = points(generator, 4)
    z[:, 0], z[:, 1] = torch.cos(angles), torch.sin(angles)
    assert generator.head(z).keys.tolist() == [0, 7, 7, 2]


@pytest.mark.parametrize("semitones", KEY_SHIFTS)
def test_a_transposed_point_is_the_melody_in_another_key(generator, semitones):
    z = points(generator, 6)
    shifts = np.array([semitones, 0] * 3)
    moved = generator.transposed(z, shifts)
    drawn = generator.decode(z, Sampling(seed=4)).numpy().astype(np.uint8)
    expected, inside = transposed(drawn, shifts)
    assert inside.all()
    assert np.array_equal(generator.decode(moved, Sampling(seed=4)).numpy(), expected)
    assert torch.equal(moved[1::2], z[1::2])
    assert torch.equal(moved[:, 3:], z[:, 3:])
    back = generator.transposed(moved, -shifts)
    assert np.array_equal(generator.decode(back, Sampling(seed=4)).numpy(), drawn)


def test_teacher_forced_probabilities_sum_to_one(generator, events):
    logits = generator.logits(generator.encode(events).mean, events)
    assert logits.shape == (len(events), 256, 130)
    torch.testing.assert_close(
        logits.exp().sum(-1), torch.ones(len(events), 256), atol=1e-4, rtol=1e-4
    )


def test_points_of_another_size_are_refused(generator):
    with pytest.raises(UsageError, match=r"z must have shape \(batch, 144\), got \(2, 3\)"):
        generator.decode(torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 7}, "units must be a multiple of heads, got 256 and 7"),
        ({"bar_code": 1}, "bar_code must be at least 2, got 1"),
        ({"spread": 0.0}, "spread must be above 0 and at most 1, got 0.0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        StaffConfig(**change)


def test_the_point_that_gives_a_melody_back_best_is_its_encoding(generator, some_melodies):
    assert torch.equal(invert(generator, some_melodies), encode(generator, some_melodies).mean)


def test_a_degree_of_the_scale_has_its_share_wherever_it_stands(generator):
    """The tonic made sure: every note is one, in any octave, under two signatures and modes."""
    decoder = generator.bars.decoder
    decoder.degrees.weight.data.zero_()
    decoder.degrees.bias.data[:] = torch.tensor([100.0] + [0.0] * 13)
    z = points(generator, 16)
    generator.key_ranks[:] = torch.linspace(0, 1, 13)
    z[:8, :2], z[8:, :2] = torch.tensor([1.0, 0.1]), torch.tensor([-0.1, 1.0])  # C, A
    z[::2, 3], z[1::2, 3] = -4.0, 4.0
    events = generator.decode(z, LIKELIEST)
    parts = (events[:8:2], events[1:8:2], events[8::2], events[9::2])
    for rows, tonic in zip(parts, (5, 11, 2, 8), strict=True):
        assert set((rows[rows < 128] % 12).tolist()) == {tonic}
