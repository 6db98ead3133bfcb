"""Melodies that obey your rules: latent constraints for generative models of melody.

The catalogue of the package. Names are imported when they are first used, so that ``import
melodyconstraints`` is quick.

>>> import melodyconstraints as mc
>>> mc.find_rule("density:2")(mc.Melodies.stack([mc.Melody.from_notes([(0, 4, 60)])]))
array([0.5])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from melodyconstraints.actor_checkpoint import load_actor
    from melodyconstraints.actors import MelodyActor, generate, train_actor
    from melodyconstraints.bank import load_bank
    from melodyconstraints.datasets.building import extract_store
    from melodyconstraints.datasets.extraction import extract_melodies
    from melodyconstraints.datasets.store import read_store, read_table
    from melodyconstraints.datasets.torch_dataset import MelodyDataset
    from melodyconstraints.evaluation import evaluate_actor
    from melodyconstraints.knobs import load_knobs
    from melodyconstraints.melody.checkpoint import load_model, save_model
    from melodyconstraints.melody.events import Melodies, Melody
    from melodyconstraints.melody.midi import write_melody
    from melodyconstraints.melody.points import interpolate, reconstruct, vary
    from melodyconstraints.quality import evaluate_model
    from melodyconstraints.reading import read_melody
    from melodyconstraints.rules import Rule, all_of, any_of, find_rule, negate, rule
    from melodyconstraints.transformation import transform

__version__ = "0.1.0"

_HOMES = {
    "Melodies": "melody.events",
    "Melody": "melody.events",
    "MelodyActor": "actors",
    "MelodyDataset": "datasets.torch_dataset",
    "Rule": "rules",
    "all_of": "rules",
    "any_of": "rules",
    "evaluate_actor": "evaluation",
    "evaluate_model": "quality",
    "extract_melodies": "datasets.extraction",
    "extract_store": "datasets.building",
    "find_rule": "rules",
    "generate": "actors",
    "interpolate": "melody.points",
    "load_actor": "actor_checkpoint",
    "load_bank": "bank",
    "load_knobs": "knobs",
    "load_model": "melody.checkpoint",
    "negate": "rules",
    "read_melody": "reading",
    "read_store": "datasets.store",
    "read_table": "datasets.store",
    "reconstruct": "melody.points",
    "rule": "rules",
    "save_model": "melody.checkpoint",
    "train_actor": "actors",
    "transform": "transformation",
    "vary": "melody.points",
    "write_melody": "melody.midi",
}

__all__ = [
    "Melodies",
    "Melody",
    "MelodyActor",
    "MelodyDataset",
    "Rule",
    "all_of",
    "any_of",
    "evaluate_actor",
    "evaluate_model",
    "extract_melodies",
    "extract_store",
    "find_rule",
    "generate",
    "interpolate",
    "load_actor",
    "load_bank",
    "load_knobs",
    "load_model",
    "negate",
    "read_melody",
    "read_store",
    "read_table",
    "reconstruct",
    "rule",
    "save_model",
    "train_actor",
    "transform",
    "vary",
    "write_melody",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
