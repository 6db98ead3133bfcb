"""What all tests share: seeded generators, one thread, small models, and the real data's place."""

from pathlib import Path

import numpy as np
import pytest
import torch

from melodyconstraints.actors import train_actor
from melodyconstraints.datasets.store import new_store
from melodyconstraints.latent.training import ActorCriticSettings
from melodyconstraints.melody.checkpoint import load_model, save_model
from melodyconstraints.melody.config import MelodyVAEConfig
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.model import MelodyVAE
from melodyconstraints.melody.units import STEPS

REAL_MIDI = Path(__file__).parents[2] / "shared" / "data" / "midi"

TINY = MelodyVAEConfig(
    latent_dim=8,
    encoder="hierarchical",
    encoder_units=12,
    bar_code=10,
    conductor_units=12,
    conductor_layers=1,
    bar_embedding=10,
    decoder_units=12,
    decoder_layers=1,
    event_embedding=6,
    first_input="fresh",
    residual=True,
)

TINY_RECIPE = ActorCriticSettings(
    actor_hidden=(16,),
    critic_hidden=(16,),
    bank=32,
    warmup_steps=2,
    rounds=3,
    actor_points=8,
    prior_points=4,
    memory=64,
    critic_steps=2,
    actor_steps=2,
    batch_size=8,
    validation=8,
    validate_every=1,
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """Seeded."""
    return np.random.default_rng(0)


@pytest.fixture
def tiny_model() -> MelodyVAE:
    """A melody VAE of a few thousand random weights."""
    torch.manual_seed(0)
    return MelodyVAE(TINY).eval()


@pytest.fixture(scope="session")
def real_midi() -> Path:
    """The folder of real MIDI files; the test is skipped where there is none."""
    if not REAL_MIDI.is_dir():
        pytest.skip("no real MIDI files beside the project")
    return REAL_MIDI


def random_melodies(rng: np.random.Generator, count: int, *, density: float = 0.4) -> Melodies:
    """Melodies with a note at ``density`` of the steps, holds and rests between."""
    events = rng.integers(128, 130, (count, STEPS))
    notes = rng.random((count, STEPS)) < density
    events[notes] = rng.integers(48, 84, int(notes.sum()))
    return Melodies(events)


@pytest.fixture(scope="session")
def tiny_config() -> MelodyVAEConfig:
    """The sizes of ``tiny_model``."""
    return TINY


@pytest.fixture(scope="session")
def tiny_recipe() -> ActorCriticSettings:
    """An actor-critic recipe of three rounds."""
    return TINY_RECIPE


@pytest.fixture(scope="session")
def some_melodies() -> Melodies:
    """Twelve random melodies."""
    return random_melodies(np.random.default_rng(1), 12)


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved melody VAE of random weights; a melody of its has 252 notes, give or take 2."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(MelodyVAE(TINY), folder)
    return folder


@pytest.fixture(scope="session")
def tiny_actor_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    """A saved actor on ``tiny_model_folder`` for C major and 252 notes."""
    folder = tmp_path_factory.mktemp("actors") / "tiny"
    actor = train_actor(
        load_model(tiny_model_folder), ["cmajor", "density:252"], settings=TINY_RECIPE
    )
    actor.save(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A melody store of two collections: 12 melodies to train on, 4 to watch, 4 to test with."""
    folder = tmp_path_factory.mktemp("stores") / "tiny"
    melodies = random_melodies(np.random.default_rng(2), 20)
    splits = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    with new_store(folder) as store:
        for number, (row, split) in enumerate(zip(melodies.events, splits, strict=True)):
            collection = "airs" if number % 4 else "hymns"
            store.add(
                [
                    {
                        "events": row.tobytes(),
                        "split": split,
                        "file": f"{collection}/{number}.mid",
                        "track": 0,
                        "segment": 0,
                        "start_bar": 0,
                        "program": 0,
                        "tempo": 120.0,
                        "notes": 100,
                        "hash": bytes([number]) * 16,
                    }
                ]
            )
        store.finish({"settings": {}, "counts": {}})
    return folder
