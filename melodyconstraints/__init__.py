"""Melodies that satisfy your rules: latent constraints for generative models of melody.

The catalogue of the package. Names are imported when they are first used, so that ``import
melodyconstraints`` is quick.

>>> import melodyconstraints as mc
>>> mc.find_rule("density:2")(mc.Melodies.stack([mc.Melody.from_notes([(0, 4, 60)])]))
array([0.5])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from melodyconstraints.storage.extras import extras_explained
from melodyconstraints.storage.machine import share_processors

if TYPE_CHECKING:
    from melodyconstraints.datasets.melodies.extract_store import extract_store
    from melodyconstraints.datasets.melodies.extraction import extract_melodies
    from melodyconstraints.datasets.melodies.store import read_store, read_table
    from melodyconstraints.datasets.melodies.torch_dataset import MelodyDataset
    from melodyconstraints.melody.events import Melodies, Melody
    from melodyconstraints.melody.midi.selection import read_melody
    from melodyconstraints.melody.midi.sound import write_wav
    from melodyconstraints.melody.midi.writing import write_melody
    from melodyconstraints.melody.performance import Performance
    from melodyconstraints.rules import Rule, all_of, any_of, find_rule, negate, rule
    from melodyconstraints.workflows.actor import MelodyActor
    from melodyconstraints.workflows.bank import load_bank
    from melodyconstraints.workflows.check_rule import check_rule
    from melodyconstraints.workflows.compare import compare
    from melodyconstraints.workflows.conditional import load_knobs
    from melodyconstraints.workflows.editing import in_key, key_of
    from melodyconstraints.workflows.evaluate_actor import evaluate_actor
    from melodyconstraints.workflows.evaluate_vae import evaluate_model
    from melodyconstraints.workflows.generate import generate
    from melodyconstraints.workflows.interpolate import interpolate
    from melodyconstraints.workflows.load_actor import load_actor
    from melodyconstraints.workflows.models import load_model, save_model
    from melodyconstraints.workflows.play import play
    from melodyconstraints.workflows.reconstruct import reconstruct, vary
    from melodyconstraints.workflows.reroll import reroll
    from melodyconstraints.workflows.train_actor import train_actor
    from melodyconstraints.workflows.transform import transform
    from melodyconstraints.workflows.untrained_actor import searching_actor

__version__ = "0.1.0"

share_processors()

_HOMES = {
    "Melodies": "melody.events",
    "Melody": "melody.events",
    "MelodyActor": "workflows.actor",
    "MelodyDataset": "datasets.melodies.torch_dataset",
    "Performance": "melody.performance",
    "Rule": "rules",
    "all_of": "rules",
    "any_of": "rules",
    "check_rule": "workflows.check_rule",
    "compare": "workflows.compare",
    "evaluate_actor": "workflows.evaluate_actor",
    "evaluate_model": "workflows.evaluate_vae",
    "extract_melodies": "datasets.melodies.extraction",
    "extract_store": "datasets.melodies.extract_store",
    "find_rule": "rules",
    "generate": "workflows.generate",
    "in_key": "workflows.editing",
    "interpolate": "workflows.interpolate",
    "key_of": "workflows.editing",
    "load_actor": "workflows.load_actor",
    "load_bank": "workflows.bank",
    "load_knobs": "workflows.conditional",
    "load_model": "workflows.models",
    "negate": "rules",
    "play": "workflows.play",
    "read_melody": "melody.midi.selection",
    "read_store": "datasets.melodies.store",
    "read_table": "datasets.melodies.store",
    "reconstruct": "workflows.reconstruct",
    "reroll": "workflows.reroll",
    "rule": "rules",
    "save_model": "workflows.models",
    "searching_actor": "workflows.untrained_actor",
    "train_actor": "workflows.train_actor",
    "transform": "workflows.transform",
    "vary": "workflows.reconstruct",
    "write_melody": "melody.midi.writing",
    "write_wav": "melody.midi.sound",
}

__all__ = [
    "Melodies",
    "Melody",
    "MelodyActor",
    "MelodyDataset",
    "Performance",
    "Rule",
    "all_of",
    "any_of",
    "check_rule",
    "compare",
    "evaluate_actor",
    "evaluate_model",
    "extract_melodies",
    "extract_store",
    "find_rule",
    "generate",
    "in_key",
    "interpolate",
    "key_of",
    "load_actor",
    "load_bank",
    "load_knobs",
    "load_model",
    "negate",
    "play",
    "read_melody",
    "read_store",
    "read_table",
    "reconstruct",
    "reroll",
    "rule",
    "save_model",
    "searching_actor",
    "train_actor",
    "transform",
    "vary",
    "write_melody",
    "write_wav",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with extras_explained():
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
