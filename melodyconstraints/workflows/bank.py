"""A bank of a model's melodies, decoded once: to score a rule at once, and to warm-start a critic.

A bank holds melodies decoded from points of the prior, and, where the training data was at hand,
melodies decoded from *samples* of posteriors q(z | x), one for a training melody x each. Samples
and not means on purpose: the data is other people's, and a mean gives a melody back nearly note
for note. Even so one sample in three is a near-copy with the bundled model: a bank that is written
into a model's folder, and shipped with it, goes without those, see :func:`without_copies`.

A bank is an artifact (:mod:`~melodyconstraints.storage.artifacts`): in ``bank/`` of the folder
of a model that comes with one, else in the user's cache (:mod:`~melodyconstraints.storage.cache`).
Prior points are not stored: their seed is the same for all banks.

Shapes: ``N`` points of the prior, ``M`` encodings, ``Z`` latent dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.melody.events import Events, Melodies
from melodyconstraints.melody.vae.encoding import sample_points
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import LIKELIEST, MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.storage.arguments import checked
from melodyconstraints.storage.artifacts import load_artifact, save_artifact
from melodyconstraints.storage.cache import BANKS, cache_place
from melodyconstraints.storage.files import check_writable
from melodyconstraints.storage.schema import Weight
from melodyconstraints.workflows.models import PACKAGED, home_of, load_model
from melodyconstraints.workflows.seeds import check_count

if TYPE_CHECKING:
    from melodyconstraints.datasets.melodies.store import StoredMelodies

KIND = "bank"
FOLDER = "bank"
"""Name of a bank's folder in its model's."""
SIZE = 2_048
"""Points of the prior, and as many encodings."""
TEMPERATURE = 0.5
STEP = 1 / 25
"""Encodings are whole multiples of this, up to 127: a byte each."""

_POINTS, _EVENTS, _ENCODINGS, _RECONSTRUCTIONS = range(70_001, 70_005)
"""Seeds that :mod:`.seeds` does not derive: no actor is measured on a bank's points."""

Progress = Callable[[int, int], object]
"""Callback with the number of melodies decoded and in all."""

_CARD = """# Bank

Melodies that the melody model `{model}` makes at temperature {temperature:g}: {points:,} from
points of the prior, {encodings:,} from samples (not means) of the posteriors of training melodies.
What is a near-copy of a training melody, or quotes one, is left out.
"""


@dataclass(frozen=True, eq=False)
class Bank:
    """Points of a model's latent space and the melodies that they decode to.

    Args:
        temperature: temperature of the decoder.
        points: ``(N, Z)`` points of the prior.
        melodies: ``N`` melodies, decoded from ``points``.
        encodings: ``(M, Z)`` posterior samples of training melodies; None without the data.
        reconstructions: ``M`` melodies, decoded from ``encodings``.
    """

    temperature: float
    points: Tensor
    melodies: Melodies
    encodings: Tensor | None = None
    reconstructions: Melodies | None = None

    def first(self, size: int) -> Bank:
        """The bank of the first ``size`` points and encodings."""
        return Bank(
            self.temperature,
            self.points[:size],
            self.melodies[:size],
            None if self.encodings is None else self.encodings[:size],
            None if self.reconstructions is None else self.reconstructions[:size],
        )


@dataclass
class _Folder:
    model: str
    temperature: Weight
    first_point: list[float]


@checked
def load_bank(
    model: MelodyVAE,
    temperature: float = TEMPERATURE,
    *,
    data: Path | str | None = None,
    size: int = SIZE,
    callback: Progress | None = None,
) -> Bank:
    """The bank of a model at a decoder temperature: the model's own, a cached one, or a new one.

    A bank that is damaged, or of other weights, is passed over; where the cache cannot be written
    the new bank is not kept.

    Args:
        data: the store that the model was trained on, for a model that comes without a bank.
        size: number of points, and most encodings.
        callback: called with the progress of the decoding, if there is any.

    Raises:
        UsageError: ``size`` below 1, or a temperature below 0.
        StoreError: ``data`` is needed and no finished melody store.
    """
    if size < 1:
        raise UsageError(f"size must be at least 1, got {size}")
    check_count(size)
    shipped = _read(_shipped(model), model)
    data = Path(data) if data else None
    cached = None if shipped and shipped.encodings is not None else data
    place = _cached(model, temperature, cached, size)
    for bank in (shipped, _read(place, model)):
        if bank and _fits(bank, temperature, size, cached):
            return bank.first(size)
    encodings = shipped.encodings if shipped else None
    if encodings is None and data:
        # Imported here, as copies are below: what they need takes a second to load.
        from melodyconstraints.datasets.melodies.store import read_store

        encodings = sample_encodings(model, read_store(data, "train"), size)
    bank = make_bank(model, temperature, encodings, size=size, callback=callback)
    try:
        if place:
            save_bank(bank, place, model)
    except OSError:  # no place to keep it
        pass
    return bank


def write_bank(
    folder: Path | str | None,
    data: Path | str,
    *,
    device: str = "cpu",
    size: int = SIZE,
    callback: Progress | None = None,
) -> Bank:
    """Make the bank of a model folder, at temperature 0.5, and put it there, without copies.

    Args:
        folder: folder of a user's model.
        data: the store that the model was trained on.

    Raises:
        ArtifactError: ``folder`` holds no melody VAE.
        StoreError: ``data`` is no finished melody store.
        UsageError: the folder cannot be written to, or it is one of the package, whose bank is of
            melodies that are not here.
    """
    from melodyconstraints.datasets.melodies.store import read_store

    model = load_model(folder, device=device)
    home = home_of(model) or Path(model.folder)
    if home in PACKAGED.values():
        raise UsageError(
            "the models that come with the package have banks of the melodies that they were "
            "trained on; give a model of yours: --model DIR"
        )
    place = home / FOLDER
    check_writable(place)
    training = read_store(data, "train")
    encodings = sample_encodings(model, training, size)
    bank = make_bank(model, TEMPERATURE, encodings, size=size, callback=callback)
    bank = without_copies(bank, training.events, model)
    save_bank(bank, place, model)
    return bank


def make_bank(
    model: MelodyVAE,
    temperature: float,
    encodings: Tensor | None = None,
    *,
    size: int = SIZE,
    callback: Progress | None = None,
) -> Bank:
    """Decode a bank: ``size`` points of the prior and at most ``size`` encodings ``(M, Z)``."""
    points = _prior_points(model, size)
    encodings = None if encodings is None else encodings[:size]
    total = size + (0 if encodings is None else len(encodings))

    def decode(z: Tensor, seed: int, before: int) -> Melodies:
        sampler = MelodySampler(model, Sampling(temperature, seed=seed))
        tell = (lambda count: callback(before + count, total)) if callback else None
        return sampler.decode(z.to(model.device), tell)

    melodies = decode(points, _EVENTS, 0)
    if encodings is None:
        return Bank(temperature, points, melodies)
    reconstructions = decode(encodings, _RECONSTRUCTIONS, size)
    return Bank(temperature, points, melodies, encodings, reconstructions)


def without_copies(bank: Bank, training: Events, model: MelodyVAE) -> Bank:
    """The bank without encodings that decode to near-copies of training melodies, or quote any.

    Near-copies and quotations: see :mod:`melodyconstraints.melody.metrics.copies`; an encoding is
    compared by what the bank has decoded it to and by its likeliest events.

    Args:
        training: ``(B, 256)`` events of training melodies.
        model: the bank's model.
    """
    from melodyconstraints.melody.metrics.copies import NEAR_COPY, Originals

    if bank.encodings is None or bank.reconstructions is None:
        return bank
    originals = Originals(training)
    likeliest = MelodySampler(model, LIKELIEST).decode(bank.encodings.to(model.device))
    own = np.ones(len(bank.encodings), bool)
    for events in (bank.reconstructions.events, likeliest.events):
        own &= (originals.similarity(events) < NEAR_COPY) & ~originals.quoted(events)
    encodings = bank.encodings[torch.from_numpy(own)]
    return replace(
        bank, encodings=encodings, reconstructions=bank.reconstructions[np.flatnonzero(own)]
    )


def sample_encodings(model: MelodyVAE, stored: StoredMelodies, count: int) -> Tensor | None:
    """One posterior sample for each of ``count`` training melodies, collections balanced.

    Returns:
        ``(M, Z)``, whole multiples of :data:`STEP`, which is small beside any posterior's scale;
        M is less than ``count`` if there are fewer melodies; None if there is none.
    """
    rows = _balanced(stored.sources.astype(str), count)
    if not len(rows):
        return None
    generator = torch.Generator().manual_seed(_ENCODINGS)
    noise = torch.randn(len(rows), model.latent_dim, generator=generator)
    return _to_bytes(sample_points(model, stored.melodies[rows], noise).cpu()) * STEP


def save_bank(bank: Bank, folder: Path, model: MelodyVAE) -> None:
    """Write a bank of the model's; :func:`load_bank` finds it in ``bank/`` of the model's folder.

    Raises:
        OSError: it cannot be written there.
    """
    encodings, reconstructions = bank.encodings, bank.reconstructions
    config = {
        "model": model.fingerprint,
        "temperature": bank.temperature,
        "first_point": bank.points[0, :4].tolist(),
    }
    tensors = {"melodies": torch.tensor(bank.melodies.events)}
    if encodings is not None and reconstructions is not None:
        tensors["encodings"] = _to_bytes(encodings)
        tensors["reconstructions"] = torch.tensor(reconstructions.events)
    card = _CARD.format(
        model=model.fingerprint[:12],
        temperature=bank.temperature,
        points=len(bank.points),
        encodings=0 if encodings is None else len(encodings),
    )
    save_artifact(folder, KIND, config, tensors, card)


def _read(folder: Path | None, model: MelodyVAE) -> Bank | None:
    """The bank in a folder; None if there is none, or not one of this model's."""
    if folder is None:
        return None
    try:
        artifact = load_artifact(folder, KIND, _Folder)
        config, tensors = artifact.config, artifact.tensors()
        melodies = Melodies(tensors["melodies"].numpy())
        points = _prior_points(model, len(melodies))
        same_points = torch.tensor(config.first_point)
        if config.model != model.fingerprint or not torch.allclose(
            same_points, points[0, :4], atol=1e-4
        ):
            return None
        if "encodings" not in tensors:
            return Bank(config.temperature, points, melodies)
        encodings = tensors["encodings"].float() * STEP
        reconstructions = Melodies(tensors["reconstructions"].numpy())
        if encodings.shape != (len(reconstructions), model.latent_dim):
            return None
        return Bank(config.temperature, points, melodies, encodings, reconstructions)
    except (ArtifactError, KeyError, UsageError, RuntimeError):
        return None


def _fits(bank: Bank, temperature: float, size: int, data: Path | None) -> bool:
    enough = len(bank.points) >= size and (bank.encodings is not None or data is None)
    return bank.temperature == temperature and enough


def _shipped(model: MelodyVAE) -> Path | None:
    home = home_of(model)
    return home and home / FOLDER


def _cached(model: MelodyVAE, temperature: float, data: Path | None, size: int) -> Path | None:
    """Folder of a bank in the cache; None for a model that no fingerprint tells from others."""
    if not model.fingerprint:
        return None
    key = f"{model.fingerprint} {temperature!r} {size}"
    if data:
        from melodyconstraints.datasets.melodies.store import SUMMARY

        summary = data / SUMMARY
        key += f" {data.resolve()} {summary.read_text() if summary.is_file() else None}"
    return cache_place(BANKS, key)


def _prior_points(model: MelodyVAE, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(_POINTS)
    return torch.randn(count, model.latent_dim, generator=generator)


def _to_bytes(encodings: Tensor) -> Tensor:
    return (encodings / STEP).round().clamp(-127, 127).to(torch.int8)


def _balanced(sources: NDArray[np.str_], count: int) -> NDArray[np.int64]:
    """At most ``count`` random rows, one of each source in turn, as long as it has more."""
    order = np.random.default_rng(_ENCODINGS).permutation(len(sources))
    turns = np.empty(len(sources), np.int64)
    for source in np.unique(sources):
        mine = order[sources[order] == source]
        turns[mine] = np.arange(len(mine))
    return order[np.argsort(turns[order], kind="stable")[:count]]
