"""Measures of a melody model: ``mc evaluate --data``.

Three questions. Does it give back melodies that it has not seen? Are melodies drawn from its prior
like real ones, one by one and in how they are built? And are they new, or copies of what it was
trained on? Each answer comes with what real melodies score: held-out melodies against training
melodies of the same collections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Events, Melodies, Melody
from melodyconstraints.melody.metrics.copies import NEAR_COPY, Originals
from melodyconstraints.melody.metrics.distances import Comparison, compare_feature
from melodyconstraints.melody.metrics.statistics import FEATURES
from melodyconstraints.melody.metrics.structure import structure
from melodyconstraints.melody.plots import plot_melodies
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.reconstruction import (
    Accuracy,
    Decoded,
    Reconstruction,
    encode_and_decode,
)
from melodyconstraints.melody.vae.sampling import Sampling, SamplingOptions
from melodyconstraints.storage.arguments import DEFAULT_EVALUATED, checked
from melodyconstraints.workflows.generate import from_prior
from melodyconstraints.workflows.real_melodies import classifier_aucs, matched, read_split
from melodyconstraints.workflows.seeds import check_count, derived_seed
from melodyconstraints.workflows.train_vae import choose

if TYPE_CHECKING:
    from melodyconstraints.datasets.melodies.store import StoredMelodies

HELD_OUT = ("validation", "test")
STAGES = 6
"""Stages of the work, each announced."""
_POSTERIOR = "posterior points"
_MATCHING_SEED = 1
_PICTURED, _PICTURED_INPUT_EVERY = 8, 3
"""Held-out melodies drawn, and of these each third beside its reconstruction."""


@dataclass(frozen=True)
class Collection:
    """Reconstruction accuracy of one collection's melodies.

    Args:
        n: number of the melodies.
        accuracy: accuracy of the likeliest events, decoded from the posterior mean.
    """

    n: int
    accuracy: Accuracy


@dataclass(frozen=True)
class Feature:
    """One feature of :mod:`melodyconstraints.melody.metrics.statistics`.

    Args:
        held_out, samples: mean over the melodies; of a histogram, the mean histogram.
        compared: comparison of samples with held-out melodies.
        ceiling: comparison of training melodies of the same collections with held-out melodies.
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
class ModelEvaluation:
    """Measurements of a model that ``mc evaluate --data`` prints.

    Args:
        n: number of held-out melodies, samples and training melodies compared.
        split: split of the held-out melodies.
        temperature: temperature of samples from the prior, and of melodies decoded from posterior
            samples.
        reconstruction, accuracy: quality of held-out melodies decoded from the posterior mean,
            likeliest events.
        sampled: accuracy of held-out melodies decoded from a sample of the posterior, drawn
            events.
        collections: accuracy of each collection, by name.
        features: comparisons of each feature, by name.
        structure: measures of :mod:`melodyconstraints.melody.metrics.structure` by name, of
            ``held_out``, ``samples`` and ``training`` melodies; of the last two also their
            ``similarity_error`` and the ``auc`` of a classifier, see
            :func:`.real_melodies.classifier_aucs`, where there are tunes enough for one.
        novelty, held_out_novelty: novelty of the samples and of the held-out melodies.
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
    structure: dict[str, dict[str, float]]
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
            "structure": self.structure,
            "held_out_novelty": asdict(self.held_out_novelty),
        }


@checked
def evaluate_model(
    model: MelodyVAE,
    store: Path | str,
    n: int = DEFAULT_EVALUATED,
    *,
    split: str = "test",
    announce: Callable[[str], object] | None = None,
    **options: Unpack[SamplingOptions],
) -> ModelEvaluation:
    """Measure a model on held-out melodies of a store, and melodies drawn from its prior.

    Args:
        store: the melody store that the model was trained on; of another one, what is held out
            may be known to the model, and copies of what it was trained on may go unnoticed.
        n: held-out melodies, always the same ones; all of them if there are fewer. As many are
            drawn from the prior, and as many training melodies, of each collection as many as
            are held out, set the ceiling.
        split: ``validation`` or ``test``.
        announce: called with each of the :data:`STAGES` of the work when it begins.
        options: sampling of melodies of the prior and of the posterior; see
            :class:`melodyconstraints.melody.vae.sampling.Sampling`.

    Raises:
        UsageError: ``n`` below 2, or another split.
        StoreError: ``store`` is no finished melody store, or a split has fewer than 2 melodies.
    """
    _check(n, split)
    sampling = Sampling.of(options)
    announce = announce or (lambda _: None)
    announce("reading the store")
    training, of_split = read_split(store, "train"), read_split(store, split)
    held_out = of_split[choose(np.arange(len(of_split)), n)]
    n = len(held_out)
    announce(f"encoding and decoding {n:,} held-out melodies, twice")
    decoded, sampled = _decoded(model, held_out, sampling)
    announce(f"drawing {n:,} melodies from the prior")
    samples = from_prior(model, n, sampling)
    announce("comparing them with the held-out melodies")
    known = matched(training, held_out.sources, np.random.default_rng(_MATCHING_SEED)).melodies
    features = _features(held_out.melodies, samples, known)
    announce("training classifiers that tell them apart: half a minute for 1,024 melodies")
    areas = classifier_aucs(of_split, training, samples)
    built = _structures(held_out.melodies, {"samples": samples, "training": known}, areas)
    announce(f"looking for copies of {len(training):,} training melodies")
    originals = Originals(training.events)
    return ModelEvaluation(
        n=n,
        split=split,
        temperature=sampling.temperature,
        seed=sampling.seed,
        reconstruction=decoded.reconstruction(),
        accuracy=decoded.accuracy(),
        sampled=sampled.accuracy(),
        collections=_by_collection(decoded, held_out),
        features=features,
        structure=built,
        novelty=_novelty(originals, samples.events),
        held_out_novelty=_novelty(originals, held_out.events),
        held_out=held_out,
        decoded=decoded.free,
        samples=samples,
    )


def _check(n: int, split: str) -> None:
    if n < 2:
        raise UsageError(f"n must be at least 2, since distributions are compared; got {n}")
    check_count(n)
    if split not in HELD_OUT:
        raise UsageError(f"split must be {' or '.join(HELD_OUT)}, got {split!r}")


def _structures(
    held_out: Melodies, others: Mapping[str, Melodies], areas: tuple[float, float] | None
) -> dict[str, dict[str, float]]:
    """The structure of held-out melodies and others, each of which has its AUC, if any."""
    built = {"held_out": structure(held_out)}
    for number, (name, melodies) in enumerate(others.items()):
        auc = {} if areas is None else {"auc": areas[number]}
        built[name] = structure(melodies, held_out) | auc
    return built


def _decoded(
    model: MelodyVAE, held_out: StoredMelodies, sampling: Sampling
) -> tuple[Decoded, Decoded]:
    """Melodies decoded from posterior means at T 0, and from posterior samples by a sampling."""
    generator = torch.Generator(model.device)
    generator.manual_seed(derived_seed(_POSTERIOR, sampling.seed))
    sampled = encode_and_decode(model, held_out.events, sampling, generator=generator)
    return encode_and_decode(model, held_out.events), sampled


def _by_collection(decoded: Decoded, held_out: StoredMelodies) -> dict[str, Collection]:
    names = held_out.sources.astype(str)
    return {
        str(name): Collection(int((names == name).sum()), decoded.accuracy(names == name))
        for name in np.unique(names)
    }


def _features(held_out: Melodies, samples: Melodies, training: Melodies) -> dict[str, Feature]:
    features = {}
    for name, feature in FEATURES.items():
        true, drawn = feature(held_out), feature(samples)
        features[name] = Feature(
            held_out=true.mean(axis=0).tolist(),
            samples=drawn.mean(axis=0).tolist(),
            compared=compare_feature(true, drawn),
            ceiling=compare_feature(true, feature(training)),
        )
    return features


def _novelty(originals: Originals, events: Events) -> Novelty:
    similarity = originals.similarity(events)
    return Novelty(
        near_copies=float((similarity >= NEAR_COPY).mean()),
        quotations=float(originals.quoted(events).mean()),
        similarity=float(similarity.mean()),
    )


def plot_model_evaluation(evaluation: ModelEvaluation, path: Path | str) -> None:
    """Draw held-out melodies beside what came back of them, then samples beside real melodies.

    Of a melody and its reconstruction, the notes that the other does not have are red. Of a sample
    and a real melody, a line upside down below names the real ones, left or right.
    """
    rolls: list[tuple[str, Melody, Melody | None]] = []
    true, decoded = evaluation.held_out.melodies, Melodies(evaluation.decoded)
    rows = np.linspace(0, evaluation.n - 1, min(_PICTURED, evaluation.n)).astype(int).tolist()
    inputs = rows[::_PICTURED_INPUT_EVERY]
    for number, row in enumerate(inputs, 1):
        given, back = true[row], decoded[row]
        right = (given.events == back.events).mean()
        file = str(evaluation.held_out.files[row])
        rolls.append((f"input {number}: {_short(file)}", given, back))
        rolls.append((f"reconstruction {number}, {right:.0%} of events; red differs", back, given))
    answer = "real:"
    generator = np.random.default_rng(evaluation.seed)
    for number, row in enumerate((row for row in rows if row not in inputs), 1):
        pair = [true[row], evaluation.samples[row]]
        left = generator.random() < 0.5
        first, second = pair if left else pair[::-1]
        rolls.append((f"pair {number}: one is real, one a sample", first, None))
        rolls.append(("", second, None))
        answer += f" {number}{'L' if left else 'R'}"
    titles, melodies, others = zip(*rolls, strict=True)
    plot_melodies(melodies, path, titles=titles, others=others, upside_down=answer)


def _short(file: str) -> str:
    """A file's name, shortened for a title, in letters that the pictures' font has."""
    text = file.encode("latin-1", "replace").decode("latin-1")
    return text if len(text) <= 72 else f"{text[:36]}...{text[-33:]}"
