"""Default settings of the trainings of image models and classifiers, or the paper's.

Nothing heavy is imported with this module: ``--help`` shows the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from melodyconstraints.images.config import PAPER_PRESETS

if TYPE_CHECKING:
    from melodyconstraints.vae.training import TrainingSettings

BATCH_SIZE = 128
"""Images a step."""
EVALUATION_SEED = 301
"""Default seed of an evaluation: another than those of trainings."""


@dataclass(frozen=True)
class Defaults:
    """Defaults of one kind of training.

    Args:
        time_budget_seconds: length where neither steps nor a time budget are given.
        learning_rate, ema_decay: settings of all but the paper's presets, which have their own.
    """

    time_budget_seconds: float
    learning_rate: float
    ema_decay: float


VAE = Defaults(30 * 60.0, learning_rate=5e-4, ema_decay=0.999)
CLASSIFIER = Defaults(10 * 60.0, learning_rate=1e-3, ema_decay=0.99)


def settings_of(
    preset: str | None = None, defaults: Defaults = VAE, **given: Any
) -> TrainingSettings:
    """Settings of a preset's training, as ``mc images train-vae`` and ``train-classifier`` have.

    Args:
        preset: name of a model's preset or a classifier's size; that of the data if not given.
        defaults: :data:`VAE` or :data:`CLASSIFIER`.
        given: fields of :class:`melodyconstraints.vae.training.TrainingSettings`; the preset's own
            where None.

    Raises:
        UsageError: a setting outside its range, or both steps and a time budget.

    >>> settings_of("paper", steps=1000).learning_rate, settings_of().time_budget_seconds
    (0.0003, 1800.0)
    """
    from melodyconstraints.vae.training import PAPER, TrainingSettings

    own = {name: value for name, value in given.items() if value is not None}
    if not own.keys() & {"steps", "time_budget_seconds"}:
        own["time_budget_seconds"] = defaults.time_budget_seconds
    usual = {"learning_rate": defaults.learning_rate, "ema_decay": defaults.ema_decay}
    chosen: dict[str, Any] = PAPER if preset in PAPER_PRESETS else usual
    return TrainingSettings(**({"batch_size": BATCH_SIZE} | chosen | own))
