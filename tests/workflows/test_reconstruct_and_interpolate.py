"""Melodies to points and back: ends, posteriors and seeds of models that are known."""

import math

import numpy as np
import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.interpolation import slerp
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.midi.selection import FoundMelody
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.vae.posterior import Posterior
from melodyconstraints.workflows.interpolate import interpolate, interpolate_files
from melodyconstraints.workflows.reconstruct import reconstruct, vary


class Line(MelodyVAE):
    """Stands for a model whose only latent dimension is the pitch of a note at every step.

    Its posterior lies at the first note of the melody, two semitones wide.
    """

    logits = _draw = None  # nothing here asks for them

    def __init__(self):
        super().__init__()
        self.register_buffer("sigma_bar", torch.ones(1))

    def encode(self, events):
        first = events[:, :1].float()
        return Posterior(first, torch.full_like(first, 2.0))

    def decode(self, z, sampling, **_):
        self.temperature = sampling.temperature
        return z.round().long().expand(-1, 256)


def flat(*pitches):
    """Melodies that repeat one pitch."""
    return Melodies(np.repeat(np.array(pitches)[:, None], 256, axis=1))


def test_a_reconstruction_is_the_mean_decoded(tiny_model, some_melodies):
    events = torch.from_numpy(some_melodies.events.astype(np.int64))
    expected = tiny_model.decode(tiny_model.encode(events).mean, Sampling(temperature=0.0))
    found = reconstruct(tiny_model, some_melodies)
    assert np.array_equal(found.events, Melodies(expected.numpy()).events)
    assert np.array_equal(reconstruct(tiny_model, list(some_melodies)).events, found.events)


def test_a_model_that_is_perfect_gives_its_melodies_back():
    found = reconstruct(Line(), flat(60, 72))
    assert np.array_equal(found.events, flat(60, 72).events)


def test_no_melodies_are_none_afterwards(tiny_model):
    assert len(reconstruct(tiny_model, [])) == 0


def test_many_melodies_are_encoded_as_each_is_alone(tiny_model, some_melodies):
    many = Melodies(np.tile(some_melodies.events, (25, 1)))  # more than are encoded at once
    found = encode(tiny_model, many)
    alone = encode(tiny_model, [some_melodies[3]])
    assert found.mean.shape == (300, 8)
    for row in (3, 12 * 24 + 3):
        torch.testing.assert_close(found.mean[row], alone.mean[0])
        torch.testing.assert_close(found.scale[row], alone.scale[0])


def test_interpolation_begins_and_ends_with_the_reconstructions(tiny_model, some_melodies):
    start, end = some_melodies[0], some_melodies[1]
    found = interpolate(tiny_model, start, end, 5)
    assert len(found) == 5
    assert found[0] == reconstruct(tiny_model, [start])[0]
    assert found[4] == reconstruct(tiny_model, [end])[0]
    points = slerp(*encode(tiny_model, [start, end]).mean, torch.linspace(0, 1, 5))
    expected = tiny_model.decode(points, Sampling(temperature=0.0))
    assert np.array_equal(found.events, Melodies(expected.detach().numpy()).events)


def test_steps_lie_at_even_distances():
    start, end = flat(60, 72)
    assert interpolate(Line(), start, end, 4).events[:, 0].tolist() == [60, 64, 68, 72]
    assert interpolate(Line(), start, end, 2).events[:, 0].tolist() == [60, 72]


def found_in_a_file(pitch, tempo, program):
    """A melody as it is read from a file."""
    return FoundMelody(flat(pitch)[0], 1, 16, 16, "Tune", 1, 1, False, tempo, program)


def test_tempo_program_and_likeness_go_from_one_file_to_the_other():
    ends = found_in_a_file(60, 80.0, 40), found_in_a_file(72, 120.0, 42)
    steps = interpolate_files(Line(), *ends, 5)
    assert [step.melody.events[0] for step in steps] == [60, 63, 66, 69, 72]
    assert [step.weight for step in steps] == [0, 0.25, 0.5, 0.75, 1]
    assert [step.tempo for step in steps] == pytest.approx([80, 90, 100, 110, 120])
    assert [step.program for step in steps] == [40, 40, 42, 42, 42]
    assert [step.like_start.events for step in steps] == [1, 0, 0, 0, 0]
    assert [step.like_end.events for step in steps] == [0, 0, 0, 0, 1]
    assert [step.like_start.pitch_classes for step in steps] == [1, 0, 0, 0, 1]  # an octave higher


def test_one_tempo_and_program_may_be_given_for_all_steps():
    ends = found_in_a_file(60, 80.0, 40), found_in_a_file(72, 120.0, 42)
    steps = interpolate_files(Line(), *ends, 2, tempo=60, program=0)
    assert [(step.tempo, step.program) for step in steps] == [(60, 0)] * 2
    with pytest.raises(UsageError, match="tempo"):
        interpolate_files(Line(), *ends, 2, tempo=math.nan)
    with pytest.raises(UsageError, match="program"):
        interpolate_files(Line(), *ends, 2, program=128)
    with pytest.raises(UsageError, match="n must be at least 2, for both ends, got 1"):
        interpolate_files(Line(), *ends, 1)


def test_variations_follow_the_posterior():
    # 400 draws of N(60, 2^2): the mean is within 5 standard errors, 0.5, but once in 10^6 seeds
    pitches = vary(Line(), flat(60)[0], 400).events[:, 0].astype(float)
    assert pitches.mean() == pytest.approx(60, abs=0.5)
    assert pitches.std() == pytest.approx(2, abs=0.4)


def test_seeds_and_temperature_reach_the_draws(tiny_model, some_melodies):
    tune, other = some_melodies[0], some_melodies[1]
    for drawn in (
        lambda seed: vary(tiny_model, tune, 3, seed=seed, temperature=1.0),
        lambda seed: reconstruct(tiny_model, [tune], seed=seed, temperature=1.0),
        lambda seed: interpolate(tiny_model, tune, other, 3, seed=seed, temperature=1.0),
    ):
        assert np.array_equal(drawn(1).events, drawn(1).events)
        assert not np.array_equal(drawn(1).events, drawn(2).events)
    line, (low, high) = Line(), flat(60, 72)
    for draw in (
        lambda: vary(line, low, 1, temperature=0.7),
        lambda: reconstruct(line, [low], temperature=0.7),
        lambda: interpolate(line, low, high, 2, temperature=0.7),
    ):
        line.temperature = None
        draw()
        assert line.temperature == 0.7


def test_the_first_of_more_variations_are_those_of_fewer(tiny_model, some_melodies):
    fewer = vary(tiny_model, some_melodies[0], 2, seed=3)
    assert np.array_equal(vary(tiny_model, some_melodies[0], 5, seed=3).events[:2], fewer.events)


def test_too_few_are_refused(tiny_model, some_melodies):
    with pytest.raises(UsageError, match="n must be at least 1, got 0"):
        vary(tiny_model, some_melodies[0], 0)
    with pytest.raises(UsageError, match="n must be at least 2, for both ends, got 1"):
        interpolate(tiny_model, some_melodies[0], some_melodies[1], 1)
