"""What all tests share: seeded generators, one thread, small models, and the real data's place."""

import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mido
import numpy as np
import pyarrow as pa
import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings
from matplotlib.figure import Figure
from PIL import Image

from melodyconstraints.datasets.melodies.store import SCHEMA, write_part, write_summary
from melodyconstraints.latent import curves
from melodyconstraints.latent.evolution import EvolutionSearch
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.melody import jit
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.units import STEPS
from melodyconstraints.melody.vae.config import MelodyVAEConfig
from melodyconstraints.melody.vae.model import HierarchicalVAE
from melodyconstraints.melody.vae.staff import training as staff_training
from melodyconstraints.melody.vae.staff.measure_calibration import calibrate
from melodyconstraints.storage.places import DATA
from melodyconstraints.vae import parallel
from melodyconstraints.workflows import knobs, neighbourhood, training_sampling, transform
from melodyconstraints.workflows.models import load_model, save_model
from melodyconstraints.workflows.train_actor import train_actor

_ANY_TIME = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **_ANY_TIME)
settings.register_profile("new", **_ANY_TIME)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
"""Every run sees the same examples, however slow the machine; ``HYPOTHESIS_PROFILE=new`` draws new
ones."""

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

TINY_SETTINGS = ActorCriticSettings(
    actor_hidden=(16,),
    critic_hidden=(16,),
    bank=32,
    warmup_steps=2,
    rounds=3,
    actor_points=8,
    prior_points=4,
    replay_size=64,
    critic_steps=2,
    actor_steps=2,
    batch_size=8,
    validation=8,
    validate_every=1,
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """By torch.manual_seed each device that is not at work keeps a list of who asked, for long."""
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)


@pytest.fixture(autouse=True)
def _no_consents(monkeypatch: pytest.MonkeyPatch, tmp_path_factory) -> None:
    monkeypatch.setenv(DATA, str(tmp_path_factory.getbasetemp() / "consents"))


@pytest.fixture(autouse=True)
def _rows_in_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A staff generator decodes on one processor, since its tests run side by side.

    Two parts of sixteen rows would take twice the time of one of thirty-two.
    """
    monkeypatch.setattr(parallel, "processors", lambda: 1)


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of many tests is not taken for one long reading, for which all is compiled.

    That takes twenty seconds for the loops of MIDI files.
    """
    monkeypatch.setattr(jit, "INTERPRETED_SECONDS", 5.0)
    monkeypatch.setattr(jit, "_spent", [0.0])


@pytest.fixture
def rows_in_two_parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Melodies are decoded as on two processors, by two threads."""
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    parallel._workers.cache_clear()
    yield
    parallel._workers().shutdown()
    parallel._workers.cache_clear()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
    """Makes what takes long, or reads what another process of the same run made of that name."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def get(name: str, make: Callable[[], Any]) -> Any:
        path = folder / f"{name}.pickle"
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                path.write_bytes(pickle.dumps(make()))
        return pickle.loads(path.read_bytes())  # noqa: S301

    return get


@pytest.fixture
def rng() -> np.random.Generator:
    """Seeded."""
    return np.random.default_rng(0)


@pytest.fixture
def tiny_model() -> HierarchicalVAE:
    """A melody VAE of a few thousand random weights."""
    torch.manual_seed(0)
    return HierarchicalVAE(TINY).eval()


@pytest.fixture(scope="session")
def real_midi() -> Path:
    """The folder of real MIDI files; the test is skipped where there is none."""
    if not REAL_MIDI.is_dir():
        pytest.skip("no real MIDI files beside the project")
    return REAL_MIDI


@pytest.fixture
def quick_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends a staff generator's training with one round of each kind of drawing and counting."""
    monkeypatch.setattr(staff_training, "calibrate", partial(calibrate, rounds=1))
    monkeypatch.setattr(staff_training, "_OFFSET_ROUNDS", 1)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches begin with 16 melodies and go on with 32 at a time; training looks at 32 first."""
    defaults = [one.default for one in fields(EvolutionSearch)]
    names = [one.name for one in fields(EvolutionSearch)]
    defaults[names.index("batch")] = defaults[names.index("first_batch")] = 32
    monkeypatch.setattr(EvolutionSearch.__init__, "__defaults__", tuple(defaults))
    monkeypatch.setattr(knobs, "_START", 16)
    monkeypatch.setattr(training_sampling, "_SOME", 32)


@pytest.fixture
def quick_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the search around a melody a short one."""
    short = {
        "PURE_ROUNDS": 1,
        "ROUNDS": 2,
        "MOST_ROUNDS": 3,
        "DISTANCE_WEIGHTS": (0.1,),
        "THRESHOLDS": (0.95,),
        "NEIGHBOURS": 4,
        "CRITIC_STEPS": 2,
        "BANK_STEPS": 20,
        "invert": partial(neighbourhood.invert, steps=2),
    }
    for name, value in short.items():
        for module in (transform, neighbourhood):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)


class _BlankFigure(Figure):
    """A figure whose picture is one pixel."""

    def savefig(self, path: Path, **_options: Any) -> None:  # type: ignore[override]
        Image.new("L", (1, 1)).save(path)


@pytest.fixture
def blank_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves of a training are laid out but not drawn, which takes longer than a tiny training."""
    monkeypatch.setattr(curves, "Figure", _BlankFigure)


@pytest.fixture
def drawn_curves(blank_curves: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are drawn, in a module where those of other tests are blank."""
    monkeypatch.setattr(curves, "Figure", Figure)


def random_melodies(rng: np.random.Generator, count: int, *, density: float = 0.4) -> Melodies:
    """Melodies with a note at ``density`` of the steps, holds and rests between."""
    events = rng.integers(128, 130, (count, STEPS))
    notes = rng.random((count, STEPS)) < density
    events[notes] = rng.integers(48, 84, int(notes.sum()))
    return Melodies(events)


def write_store(folder: Path, events: np.ndarray, splits: list[str], files: list[str]) -> Path:
    """A melody store of one part, with these columns, each row its own tune, and nothing else."""
    folder.mkdir()
    given = {"events": [row.tobytes() for row in events], "split": splits, "file": files}
    given["tune"] = range(len(splits))
    empty = {name: [None] * len(splits) for name in SCHEMA.names if name not in given}
    write_part(folder, 0, pa.table(given | empty, schema=SCHEMA))
    write_summary(folder, 1, {"settings": {}, "counts": {}})
    return folder


def write_parts(
    path, parts, *, signatures=(), tempo=None, midi_type=1, ticks_per_quarter=480
) -> Path:
    """A MIDI file by mido.

    Args:
        parts: (channel, name, notes as (start, end, pitch) in quarters); drums on channel 9, and
            the program is 40 + channel.
        signatures: (quarter, numerator, denominator).
    """
    tracks = []
    timed = [
        (quarter, 0, mido.MetaMessage("time_signature", numerator=above, denominator=below))
        for quarter, above, below in signatures
    ]
    if tempo:
        timed.append((0, 0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))))
    for channel, name, notes in parts:
        timed.append((0, 0, mido.MetaMessage("track_name", name=name)))
        timed.append((0, 0, mido.Message("program_change", program=40 + channel, channel=channel)))
        for start, end, pitch in notes:
            timed.append((start, 2, mido.Message("note_on", note=pitch, channel=channel)))
            timed.append((end, 1, mido.Message("note_off", note=pitch, channel=channel)))
        track, now = mido.MidiTrack(), 0
        for quarter, _, message in sorted(timed, key=lambda entry: entry[:2]):
            tick = round(quarter * ticks_per_quarter)
            track.append(message.copy(time=tick - now))
            now = tick
        tracks.append(track)
        timed = []
    if midi_type == 0:
        tracks = [mido.merge_tracks(tracks)]
    mido.MidiFile(type=midi_type, ticks_per_beat=ticks_per_quarter, tracks=tracks).save(path)
    return path


@pytest.fixture
def run_loops(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the loops of the package ``interpreted`` or ``compiled`` for the rest of a test."""

    def run(way: str) -> None:
        spent = {"interpreted": -float("inf"), "compiled": float("inf")}[way]
        monkeypatch.setattr(jit, "_spent", [spent])

    return run


@pytest.fixture(params=["interpreted", "compiled"])
def both_ways(request: pytest.FixtureRequest, run_loops: Callable[[str], None]) -> None:
    """Runs a test once with interpreted loops and once with compiled ones."""
    run_loops(request.param)


@pytest.fixture(scope="session")
def make_midi() -> Callable[..., Path]:
    """:func:`write_parts`."""
    return write_parts


@pytest.fixture(scope="session")
def make_store() -> Callable[..., Path]:
    """:func:`write_store`."""
    return write_store


@pytest.fixture(scope="session")
def tiny_config() -> MelodyVAEConfig:
    """The sizes of ``tiny_model``."""
    return TINY


@pytest.fixture(scope="session")
def tiny_settings() -> ActorCriticSettings:
    """Settings of an actor and critic that train for three rounds."""
    return TINY_SETTINGS


@pytest.fixture(scope="session")
def one_round() -> ActorCriticSettings:
    """Of one round, for a staff generator, which takes half a second for a draw, however small."""
    return replace(TINY_SETTINGS, rounds=1, bank=16)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a megabyte is free, wherever one asks."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=500_000))


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
        save_model(HierarchicalVAE(TINY), folder)
    return folder


@pytest.fixture(scope="session")
def tiny_actor_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    """A saved actor on ``tiny_model_folder`` for C major and 252 notes."""
    folder = tmp_path_factory.mktemp("actors") / "tiny"
    actor = train_actor(
        load_model(tiny_model_folder), ["cmajor", "density:252"], settings=TINY_SETTINGS
    )
    actor.save(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A melody store of two collections: 12 melodies to train on, 4 to watch, 4 to test with."""
    folder = tmp_path_factory.mktemp("stores") / "tiny"
    melodies = random_melodies(np.random.default_rng(2), 20)
    splits = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    write_store(
        folder,
        melodies.events,
        splits,
        [f"{'airs' if number % 4 else 'hymns'}/{number}.mid" for number in range(20)],
    )
    return folder
