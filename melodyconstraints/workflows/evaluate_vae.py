"""Measures of a melody model: ``mc evaluate --data``.

Three questions. Does it give back melodies that it has not seen? Are melodies drawn from its prior
like real ones? And are they new, or copies of what it was trained on? Each answer comes with what
real melodies score: held-out melodies against training melodies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch

from melodyconstraints.datasets.melodies.store import StoredMelodies, read_store
from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.melody.events import Events, Melodies, Melody
from melodyconstraints.melody.metrics.copies import NEAR_COPY, Originals
from melodyconstraints.melody.metrics.distances import Comparison, compare
from melodyconstraints.melody.metrics.statistics import FEATURES
from melodyconstraints.melody.plots import ROLLS_PER_PICTURE, plot_melodies
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.reconstruction import (
    Accuracy,
    Decoded,
    Reconstruction,
    encode_and_decode,
)
from melodyconstraints.melody.vae.sampling import Sampling, SamplingOptions
from melodyconstraints.workflows.generate import generate
from melodyconstraints.workflows.seeds import derived_seed
from melodyconstraints.workflows.train_vae import choose

HELD_OUT = ("validation", "test")
_POSTERIOR = "posterior points"
_PICTURED_INPUTS = 5


@dataclass(frozen=True)
class Collection:
    """Reconstruction accuracy of one collection's melodies.

    Args:
        n: how many were given.
        accuracy: decoded from the posterior mean, likeliest events.
    """

    n: int
    accuracy: Accuracy


@dataclass(frozen=True)
class Feature:
    """One feature of :mod:`melodyconstraints.melody.metrics.statistics`.

    Args:
        held_out, samples: mean over the melodies; of a histogram, the mean histogram.
        compared: samples against held-out melodies.
        ceiling: as many training melodies against held-out melodies.
    """

    held_out: float | list[float]
    samples: float | list[float]
    compared: Comparison
    ceiling: Comparison


@dataclass(frozen=True)
class Novelty:
    """Shares of melodies copied from training melodies; see :mod:`.copies`.

    Args:
        near_copies: share that is a near-copy of one, in any key.
        quotations: share with a run of 17 notes, of some variety, from one.
        similarity: mean share of notes that agree with the most similar one.
    """

    near_copies: float
    quotations: float
    similarity: float


@dataclass(frozen=True)
class Quality:
    """What ``mc evaluate --data`` prints.

    Args:
        n: held-out melodies, samples and training melodies compared.
        split: of the held-out melodies.
        temperature: of samples from the prior, and of melodies decoded from posterior samples.
        reconstruction, accuracy: of held-out melodies by the posterior mean, likeliest events.
        sampled: of held-out melodies by a sample from the posterior, drawn events.
        collections: by name.
        features: by name.
        novelty, held_out_novelty: of the samples and of the held-out melodies.
        held_out, decoded, samples: the melodies themselves, and what came back of the first.
    """

    n: int
    split: str
    temperature: float
    seed: int
    reconstruction: Reconstruction
    accuracy: Accuracy
    sampled: Accuracy
    collections: dict[str, Collection]
    features: dict[str, Feature]
    novelty: Novelty
    held_out_novelty: Novelty
    held_out: StoredMelodies = field(repr=False)
    decoded: Events = field(repr=False)
    samples: Melodies = field(repr=False)

    @property
    def overlapping_area(self) -> float:
        """Mean over the features, samples against held-out melodies."""
        return float(np.mean([one.compared.overlapping_area for one in self.features.values()]))

    @property
    def training_overlapping_area(self) -> float:
        """Mean over the features, training melodies against held-out melodies."""
        return float(np.mean([one.ceiling.overlapping_area for one in self.features.values()]))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "n": self.n,
            "split": self.split,
            "temperature": self.temperature,
            "seed": self.seed,
            **self.reconstruction.as_dict(),
            **asdict(self.accuracy),
            "overlapping_area": self.overlapping_area,
            "training_overlapping_area": self.training_overlapping_area,
            **asdict(self.novelty),
            "sampled": asdict(self.sampled),
            "collections": {
                name: {"n": one.n, **asdict(one.accuracy)}
                for name, one in self.collections.items()
            },
            "features": {
                name: {
                    "held_out": one.held_out,
                    "samples": one.samples,
                    **asdict(one.compared),
                    "training": asdict(one.ceiling),
                }
                for name, one in self.features.items()
            },
            "held_out_novelty": asdict(self.held_out_novelty),
        }


def evaluate_model(
    model: MelodyVAE,
    store: Path | str,
    n: int = 1024,
    *,
    split: str = "test",
    announce: Callable[[str], object] | None = None,
    **options: Unpack[SamplingOptions],
) -> Quality:
    """Measure a model on held-out melodies of a store, and melodies drawn from its prior.

    Args:
        store: the melody store that the model was trained on; of another one, what is held out
            may be known to the model, and copies of what it was trained on may go unnoticed.
        n: held-out melodies, always the same ones; all of them if there are fewer. As many are
            drawn from the prior, and as many training melodies set the ceiling.
        split: ``validation`` or ``test``.
        announce: called with each step of the work.
        options: of samples of the prior and of the posterior; see
            :class:`melodyconstraints.melody.vae.sampling.Sampling`.

    Raises:
        UsageError: ``n`` below 2, or another split.
        StoreError: ``store`` is no finished melody store, or a split has fewer than 2 melodies.
    """
    if n < 2:
        raise UsageError(f"n must be at least 2, since distributions are compared; got {n}")
    if split not in HELD_OUT:
        raise UsageError(f"split must be {' or '.join(HELD_OUT)}, got {split!r}")
    sampling = Sampling.of(options)
    say = announce or (lambda _: None)
    say("reading the store")
    training, held_out = _read(Path(store), "train"), _some(_read(Path(store), split), n)
    n = len(held_out)
    say(f"encoding and decoding {n:,} held-out melodies, twice")
    decoded, sampled = _decoded(model, held_out, sampling)
    say(f"drawing {n:,} melodies from the prior")
    samples = generate(model, n, **options)
    say("comparing them with the held-out melodies")
    features = _features(held_out.melodies, samples, _some(training, n).melodies)
    say(f"looking for copies of {len(training):,} training melodies")
    originals = Originals(training.events)
    return Quality(
        n=n,
        split=split,
        temperature=sampling.temperature,
        seed=sampling.seed,
        reconstruction=decoded.reconstruction(),
        accuracy=decoded.accuracy(),
        sampled=sampled.accuracy(),
        collections=_by_collection(decoded, held_out),
        features=features,
        novelty=_novelty(originals, samples.events),
        held_out_novelty=_novelty(originals, held_out.events),
        held_out=held_out,
        decoded=decoded.free,
        samples=samples,
    )


def _decoded(
    model: MelodyVAE, held_out: StoredMelodies, sampling: Sampling
) -> tuple[Decoded, Decoded]:
    """Melodies decoded from posterior means at T 0, and from posterior samples as asked."""
    generator = torch.Generator(model.device)
    generator.manual_seed(derived_seed(_POSTERIOR, sampling.seed))
    sampled = encode_and_decode(
        model, held_out.events, temperature=sampling.temperature, generator=generator
    )
    return encode_and_decode(model, held_out.events), sampled


def _read(store: Path, split: str) -> StoredMelodies:
    stored = read_store(store, split)
    if len(stored) < 2:
        raise StoreError(
            f"{store} holds too few melodies of the split {split}: {len(stored)}, at least 2 are "
            "needed; extract more files"
        )
    return stored


def _some(stored: StoredMelodies, n: int) -> StoredMelodies:
    rows = choose(np.arange(len(stored)), n)
    return StoredMelodies(stored.events[rows], stored.files[rows])


def _by_collection(decoded: Decoded, held_out: StoredMelodies) -> dict[str, Collection]:
    names = held_out.sources.astype(str)
    return {
        str(name): Collection(int((names == name).sum()), decoded.accuracy(names == name))
        for name in np.unique(names)
    }


def _features(held_out: Melodies, samples: Melodies, training: Melodies) -> dict[str, Feature]:
    found = {}
    for name, feature in FEATURES.items():
        true, drawn = feature(held_out), feature(samples)
        found[name] = Feature(
            held_out=true.mean(axis=0).tolist(),
            samples=drawn.mean(axis=0).tolist(),
            compared=compare(true, drawn),
            ceiling=compare(true, feature(training)),
        )
    return found


def _novelty(originals: Originals, events: Events) -> Novelty:
    similarity = originals.similarity(events)
    return Novelty(
        near_copies=float((similarity >= NEAR_COPY).mean()),
        quotations=float(originals.quoted(events).mean()),
        similarity=float(similarity.mean()),
    )


def plot_quality(quality: Quality, path: Path | str) -> None:
    """Draw held-out melodies beside what came back of them, then samples of the prior.

    Of a melody and its reconstruction, the notes that the other does not have are red.
    """
    rolls: list[tuple[str, Melody, Melody | None]] = []
    true, decoded = quality.held_out.melodies, Melodies(quality.decoded)
    rows = np.linspace(0, quality.n - 1, min(_PICTURED_INPUTS, quality.n)).astype(int).tolist()
    for number, row in enumerate(rows, 1):
        given, back = true[row], decoded[row]
        right = (given.events == back.events).mean()
        file = str(quality.held_out.files[row])
        rolls.append((f"input {number}: {_short(file)}", given, back))
        rolls.append((f"reconstruction {number}, {right:.0%} of events; red differs", back, given))
    for row in range(min(ROLLS_PER_PICTURE - len(rolls), quality.n)):
        rolls.append((f"sample {row + 1}", quality.samples[row], None))
    titles, melodies, others = zip(*rolls, strict=True)
    plot_melodies(melodies, path, titles=titles, others=others)


def _short(file: str) -> str:
    """A file's name, shortened for a title, in letters that the pictures' font has."""
    text = file.encode("latin-1", "replace").decode("latin-1")
    return text if len(text) <= 72 else f"{text[:36]}...{text[-33:]}"
