"""How well melodies come back: F1 by hand, and models whose quality is known beforehand."""

import math
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from melodyconstraints.melody.events import HOLD, REST, Melodies, Melody
from melodyconstraints.melody.vae import reconstruction
from melodyconstraints.melody.vae.model import event_batches
from melodyconstraints.melody.vae.reconstruction import (
    Decoded,
    encode_and_decode,
    measure_reconstruction,
    onset_f1,
    onset_recall,
)
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.vae.posterior import Posterior


class Copier:
    """Stands for a model that knows the melodies; its latent space has two dimensions.

    The first is in use: means of 1 and -1 in turn, scale 0.5. The second is the prior's.
    """

    device = torch.device("cpu")

    def __init__(self, decoded=lambda events: events):
        self.decoded = decoded

    def encode(self, events):
        self.events = events
        signs = 1 - 2 * (torch.arange(len(events)) % 2)
        mean = torch.stack([signs, torch.zeros(len(events))], 1)
        return Posterior(mean, torch.tensor([0.5, 1.0]).expand(len(events), -1))

    def logits(self, z, events):
        self.points = z
        return F.one_hot(self.decoded(events), 130).float()

    def decode(self, z, sampling, *, generator):
        assert z is self.points
        self.decoding = sampling, generator
        return self.decoded(self.events)


@pytest.mark.parametrize(
    ("found", "true", "f1"),
    [
        ([60, 128, 62, 129], [60, 128, 62, 129], 1.0),
        ([60, 128, 62, 129], [60, 128, 64, 65], 0.4),  # 1 hit; 2 found, 3 true
        ([60, 129, 129, 129], [60, 61, 62, 63], 0.4),  # 1 hit; 1 found, 4 true
        ([60, 61, 62, 63], [129, 60, 61, 62], 0.0),
        ([129, 128, 128, 129], [128, 128, 129, 129], 1.0),
        ([129, 129, 129, 129], [129, 129, 129, 60], 0.0),
    ],
)
def test_onset_f1_by_hand(found, true, f1):
    assert onset_f1(np.array([found], np.uint8), np.array([true], np.uint8)) == f1


@pytest.mark.parametrize(
    ("found", "true", "recall"),
    [
        ([60, 128, 62, 129], [60, 128, 62, 129], 1.0),
        ([60, 61, 62, 63], [60, 128, 62, 129], 1.0),  # two more are found: no matter
        ([60, 129, 129, 129], [60, 61, 62, 63], 0.25),
        ([129, 60, 61, 62], [60, 61, 62, 129], 0.0),
        ([60, 61, 62, 63], [129, 129, 129, 129], 1.0),
    ],
)
def test_onset_recall_by_hand(found, true, recall):
    assert onset_recall(np.array([found], np.uint8), np.array([true], np.uint8)) == recall


def test_onset_f1_counts_notes_over_the_whole_batch():
    found = np.array([[60, 61], [129, 129]], np.uint8)
    true = np.array([[60, 61], [60, 61]], np.uint8)
    assert onset_f1(found, true) == pytest.approx(2 * 2 / (2 + 4))


def test_a_perfect_model_scores_one_and_its_latent_statistics_are_those_by_hand(some_melodies):
    measured = measure_reconstruction(Copier(), some_melodies.events)
    kl = (1 + 0.25 - 1) / 2 - math.log(0.5)
    assert measured.as_dict() == pytest.approx(
        {
            "teacher_forced": 1.0,
            "free_running": 1.0,
            "onset_f1": 1.0,
            "kl": kl,
            "active_dimensions": 1,
            "mean_variance": 1.0,
            "sigma": 0.75,
        }
    )


def test_a_silent_model_is_right_about_rests_alone():
    melody = Melody.from_notes([(0, 64, 60)])  # 64 steps of note, 192 of rest
    silent = Copier(lambda events: torch.full_like(events, REST))
    measured = measure_reconstruction(silent, Melodies.stack([melody, melody]).events)
    assert measured.teacher_forced == measured.free_running == 192 / 256
    assert measured.onset_f1 == 0


def test_a_hold_after_a_rest_is_the_rest_that_it_stands_for():
    events = Melodies.stack([Melody.from_notes([(16, 16, 60)])]).events
    holds = Copier(lambda true: torch.where(true == REST, HOLD, true))
    measured = measure_reconstruction(holds, events)
    # the rests after the note are decoded as a longer note, those before it as rests
    assert measured.free_running == (16 + 16) / 256
    assert measured.teacher_forced == 16 / 256


def test_without_an_active_dimension_the_variance_of_means_is_zero(some_melodies, monkeypatch):
    model = Copier()
    standard = Posterior(torch.zeros(12, 2), torch.ones(12, 2))
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda events: [encode(events), standard][1])
    measured = measure_reconstruction(model, some_melodies.events)
    assert (measured.kl, measured.active_dimensions, measured.mean_variance) == (0, 0, 0)


def test_measures_do_not_depend_on_how_melodies_are_batched(
    tiny_model, some_melodies, monkeypatch
):
    whole = measure_reconstruction(tiny_model, some_melodies.events)
    monkeypatch.setattr(reconstruction, "event_batches", partial(event_batches, size=5))
    parts = measure_reconstruction(tiny_model, some_melodies.events)
    assert parts.as_dict() == pytest.approx(whole.as_dict(), rel=1e-5)


def test_accuracy_by_hand_over_all_melodies_and_over_some():
    true = np.array([[60, 128, 62, 129], [70, 71, 72, 73]], np.uint8)
    forced = np.array([[60, 128, 61, 129], [70, 71, 72, 128]], np.uint8)
    free = np.array([[60, 128, 129, 129], [129, 71, 129, 129]], np.uint8)
    decoded = Decoded(true, forced, free, Posterior(torch.zeros(2, 1), torch.ones(2, 1)))
    assert asdict(decoded.accuracy()) == pytest.approx(
        {
            "teacher_forced": 6 / 8,
            "free_running": 4 / 8,
            "onset_f1": 2 * 2 / (2 + 6),
            "onsets_teacher_forced": 4 / 6,
            "onsets_free_running": 2 / 6,
        }
    )
    assert asdict(decoded.accuracy(np.array([False, True]))) == pytest.approx(
        {
            "teacher_forced": 3 / 4,
            "free_running": 1 / 4,
            "onset_f1": 2 * 1 / (1 + 4),
            "onsets_teacher_forced": 3 / 4,
            "onsets_free_running": 1 / 4,
        }
    )


def test_the_posterior_mean_is_decoded_greedily_and_a_sample_by_the_sampling(some_melodies):
    model = Copier()
    encode_and_decode(model, some_melodies.events)
    assert model.decoding == (Sampling(0.0), None)
    assert model.points[:, 1].tolist() == [0] * 12
    generator = torch.Generator().manual_seed(1)
    sampling = Sampling(0.7, top_k=3, top_p=0.9, form="AABA", scale=(0, 2, 4))
    decoded = encode_and_decode(model, some_melodies.events, sampling, generator=generator)
    assert model.decoding == (sampling, generator)
    again = torch.randn(12, 2, generator=torch.Generator().manual_seed(1))
    assert torch.equal(model.points, decoded.posterior.mean + decoded.posterior.scale * again)


def test_melodies_decoded_from_a_sample_are_those_of_the_model(tiny_model, some_melodies):
    def drawn() -> torch.Generator:
        return torch.Generator().manual_seed(2)

    decoded = encode_and_decode(tiny_model, some_melodies.events, Sampling(0.9), generator=drawn())
    batch, generator = torch.from_numpy(some_melodies.events.astype(np.int64)), drawn()
    with torch.no_grad():
        z = tiny_model.encode(batch).sample(generator)
        assert np.array_equal(decoded.forced, tiny_model.logits(z, batch).argmax(-1))
        free = tiny_model.decode(z, Sampling(temperature=0.9), generator=generator)
    assert np.array_equal(decoded.free, Melodies(free.numpy()).events)
    assert decoded.forced.dtype == decoded.free.dtype == np.uint8
