"""From a melody store to a model folder: what ``mc train-vae`` does."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.latent.curves import plot_learning_curves
from melodyconstraints.melody.events import Events
from melodyconstraints.melody.vae.card import model_card
from melodyconstraints.melody.vae.config import PRESETS, MelodyVAEConfig
from melodyconstraints.melody.vae.model import HierarchicalVAE, MelodyVAE
from melodyconstraints.melody.vae.reconstruction import measure_reconstruction
from melodyconstraints.melody.vae.staff.config import STAFF_PRESETS, StaffConfig
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.melody.vae.staff.training import train_staff_generator
from melodyconstraints.melody.vae.training import ElboSettings, train_melody_vae
from melodyconstraints.storage.arguments import check_choice
from melodyconstraints.vae.distributed import Processes, processes
from melodyconstraints.vae.folders import (
    CHECKPOINTS,
    CURVES,
    check_device,
    claim,
    draw_evaluations,
)
from melodyconstraints.vae.state import Metrics, TrainingState
from melodyconstraints.vae.training import PAPER, TrainingSettings
from melodyconstraints.workflows.bank import SIZE, write_bank
from melodyconstraints.workflows.models import KIND, load_model, model_of, save_model

if TYPE_CHECKING:
    from melodyconstraints.datasets.melodies.store import StoredMelodies

Scalar = TypeVar("Scalar", bound=np.generic)

WATCHED = 512
"""Held-out melodies that are measured during the training."""
MEASURED = 2_048
"""Held-out melodies of each split that are measured at its end."""
BANKED = SIZE
"""Melodies of each kind in the model's bank."""
PANELS = {
    "held-out melodies": ("teacher_forced", "free_running", "onset_f1"),
    "nats a melody": ("reconstruction", "kl"),
}
STAFF_PANELS = {
    "nats a new bar, held out": ("held_out_codes", "held_out_tokens", "held_out_starts"),
    "nats a melody, held out": ("held_out_form",),
}
"""Panels of the learning curves of each kind of model: titles, and the measurements in them."""
_STAFF, _LSTM = "staff generator", "hierarchical LSTM variational autoencoder"
PAPER_PRESET = "paper"
"""The preset that is trained as in the paper: its ELBO, its optimiser, and nothing else."""
LEARNING_RATE, BETA, PAPER_BETA = 1e-3, 0.3, 1.0
EMA_DECAY = 0.999
"""EMA decay of the weights a step: an average over about the last thousand steps."""
TIME_BUDGET_SECONDS = 30 * 60.0
"""Length of a training where neither steps nor a time budget are given."""
BATCH_SIZES = {"staff": 64, "small": 8, "paper": 8}


def settings_of(
    preset: str, *, beta: float | None = None, free_bits: float = 0.0, **given: Any
) -> tuple[TrainingSettings, ElboSettings]:
    """Settings of a preset's training, as ``mc train-vae`` has them.

    Args:
        beta: weight of the divergence; the preset's own if None.
        free_bits: divergence that costs nothing.
        given: fields of :class:`melodyconstraints.vae.training.TrainingSettings`; the preset's own
            where None, and :data:`TIME_BUDGET_SECONDS` without steps or a time budget.

    Raises:
        UsageError: an unknown preset, a setting outside its range, or steps and a time budget.

    >>> training, elbo = settings_of("paper", steps=1000)
    >>> training.learning_rate, elbo.beta
    (0.0003, 1.0)
    """
    config_of(preset)
    defaults: dict[str, Any] = {"learning_rate": LEARNING_RATE, "ema_decay": EMA_DECAY}
    if preset == PAPER_PRESET:
        defaults = PAPER
    defaults = {"batch_size": BATCH_SIZES[preset]} | defaults
    own = {name: value for name, value in given.items() if value is not None}
    if not own.keys() & {"steps", "time_budget_seconds"}:
        own["time_budget_seconds"] = TIME_BUDGET_SECONDS
    training, free_nats = TrainingSettings(**(defaults | own)), free_bits * math.log(2)
    if preset != PAPER_PRESET:
        return training, ElboSettings(BETA if beta is None else beta, free_nats)
    beta = PAPER_BETA if beta is None else beta
    return training, ElboSettings(beta, free_nats, first_beta=beta, as_stored=True)


def train_model(
    store: Path | str,
    output: Path | str,
    preset: str,
    settings: TrainingSettings,
    elbo: ElboSettings,
    *,
    start_from: Path | str | None = None,
    device: str = "cpu",
    resume: bool = False,
    notes: str = "",
    callback: Callable[[TrainingState], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> dict[str, Metrics]:
    """Train a preset on a store and write the model folder with its card.

    A time budget is for the training's steps and their evaluations. What follows comes on top: a
    staff generator's calibration, the measurement on held-out melodies and the bank.

    Args:
        settings, elbo: settings of the training, such as those of :func:`settings_of`.
        start_from: a model folder, or a packaged model, whose weights are trained further.
        notes: Markdown that is added to the card.
        announce: called with each thing that is done after the last step.

    Returns:
        Quality on the splits ``validation`` and ``test``; nothing in the processes that only help.

    Raises:
        UsageError: ``output`` already holds a model, or a training and ``resume`` is false; an
            unknown preset, or one that ``start_from`` is not of; a device that is not there.
        ArtifactError: ``start_from`` holds no melody VAE.
        StoreError: ``store`` is no finished melody store, or has no held-out melodies.
    """
    output = Path(output)
    report = _Report(output, preset, notes, announce or (lambda _: None))
    with processes(device, settings.batch_size) as (place, device):
        check_device(device)
        config = config_of(preset)
        if place.first:
            claim(output, KIND, partial(model_of, config), resume=resume)
        start = _model_to_train_further(start_from, preset) if start_from else None
        elbo = elbo.further() if start else elbo
        data = _training_data(store)
        if place.first:
            output.mkdir(parents=True, exist_ok=True)
        held_out = choose(data["validation"].events, WATCHED)
        stored = data["train"]
        groups = stored.tunes if isinstance(config, StaffConfig) else stored.sources
        trained = (stored.events, groups, held_out, settings)
        options = _Options(
            device=device,
            processes=place,
            folder=output / CHECKPOINTS,
            resume=resume,
            callback=draw_evaluations(report.draw, callback),
        )
        announce = report.announce if place.first else lambda _: None
        model, state = _train(config, trained, elbo, start, options, announce)
    if not place.first:
        return {}
    used = asdict(settings) | asdict(elbo) | ({"start_from": start.fingerprint} if start else {})
    measured = report.finish(model.eval(), state, data, used)
    write_bank(output, store, device=device, size=BANKED)
    return measured


@dataclass(frozen=True)
class _Report:
    """Report of a training: its curves, measurements and model card."""

    output: Path
    preset: str
    notes: str
    announce: Callable[[str], None]

    def draw(self, curves: Sequence[Mapping[str, float]]) -> None:
        """Draw the learning curves."""
        panels = STAFF_PANELS if self.preset in STAFF_PRESETS else PANELS
        plot_learning_curves(curves, self.output / CURVES, panels)

    def finish(
        self,
        model: MelodyVAE,
        state: TrainingState,
        data: Mapping[str, StoredMelodies],
        settings: Mapping[str, Any],
    ) -> dict[str, Metrics]:
        """Measure a model on held-out melodies and write its folder."""
        self.draw(state.curves)
        self.announce(f"measuring up to {MEASURED:,} held-out melodies of each split")
        measured = {
            split: measure_reconstruction(model, choose(data[split].events, MEASURED)).as_dict()
            for split in ("validation", "test")
            if len(data[split])
        }
        card = model_card(
            kind=_STAFF if self.preset in STAFF_PRESETS else _LSTM,
            preset=self.preset,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            data=_by_collection(data["train"]),
            settings=settings,
            minutes=state.elapsed_seconds / 60,
            steps=state.step,
            measured=measured,
            notes=self.notes,
        )
        training = {"preset": self.preset, "settings": settings, "steps": state.step}
        save_model(model, self.output, card=card, training={**training, "quality": measured})
        self.announce("decoding the bank, on which rules are tried")
        return measured


def config_of(preset: str) -> MelodyVAEConfig | StaffConfig:
    """Sizes of a preset.

    Raises:
        UsageError: there is none of that name.
    """
    presets: dict[str, MelodyVAEConfig | StaffConfig] = {**PRESETS, **STAFF_PRESETS}
    check_choice("preset", preset, presets)
    return presets[preset]


class _Options(TypedDict):
    """Options of a training of any kind of model."""

    device: str
    processes: Processes
    folder: Path
    resume: bool
    callback: Callable[[TrainingState], None]


def _train(
    config: MelodyVAEConfig | StaffConfig,
    data: tuple[Events, NDArray[Any], Events, TrainingSettings],
    elbo: ElboSettings,
    start: MelodyVAE | None,
    options: _Options,
    announce: Callable[[str], None],
) -> tuple[MelodyVAE, TrainingState]:
    """The training of a configuration's kind of model, which ``start`` is of."""
    if isinstance(config, StaffConfig):
        on_staff = start if isinstance(start, StaffGenerator) else None
        return train_staff_generator(config, *data, start=on_staff, announce=announce, **options)
    first = start if isinstance(start, HierarchicalVAE) else None
    return train_melody_vae(config, *data, elbo=elbo, start=first, **options)


def _model_to_train_further(folder: Path | str, preset: str) -> MelodyVAE:
    model = load_model(folder)
    if model.config != config_of(preset):
        raise UsageError(f"{folder} is not of preset {preset}; choose the one it was made with")
    return model


def _training_data(store: Path | str) -> dict[str, StoredMelodies]:
    from melodyconstraints.datasets.melodies.store import read_store  # needs pyarrow

    data = {split: read_store(store, split) for split in ("train", "validation", "test")}
    if not len(data["train"]):
        raise UsageError(f"{store} holds no melody to train on; extract more files")
    if not len(data["validation"]):
        raise StoreError(f"{store} holds no melody of the split validation; extract more files")
    return data


def choose(melodies: NDArray[Scalar], count: int) -> NDArray[Scalar]:
    """At most ``count`` rows, drawn once and for all."""
    rows = np.random.default_rng(0).permutation(len(melodies))[:count]
    return melodies[np.sort(rows)]


def _by_collection(stored: StoredMelodies) -> dict[str, int]:
    return dict(sorted(Counter(stored.sources.tolist()).items()))
