"""MIDI files by mido, stages that are small enough to have several, and what a store holds."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pyarrow.parquet as pq
import pytest

from melodyconstraints.datasets.melodies import extraction, parquet_parts
from melodyconstraints.datasets.melodies.extract_store import LocalEngine, extract_store
from melodyconstraints.datasets.melodies.files import RemoteFolder

EIGHTH = 240
SCALE = [60, 62, 64, 65, 67, 69, 71, 72]


def random_tune(seed: int, bars: int = 16) -> list[int]:
    """Eighth notes at random from a scale: passes every filter."""
    return np.random.default_rng(seed).choice(SCALE, 8 * bars).tolist()


def write_eighths(path: Path, *parts, channel=0, metre=(4, 4), tempo=500_000) -> Path:
    """Each part's pitches, or None for silence, as eighth notes on a track of its own."""
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    for number, pitches in enumerate(parts):
        track = mido.MidiTrack()
        track.append(mido.MetaMessage("set_tempo", tempo=tempo))
        track.append(mido.MetaMessage("time_signature", numerator=metre[0], denominator=metre[1]))
        own = {"channel": channel + number}
        track.append(mido.Message("program_change", program=20 + number, **own))
        silence = 0
        for pitch in pitches:
            if pitch is None:
                silence += EIGHTH
                continue
            track.append(mido.Message("note_on", note=pitch, time=silence, **own))
            track.append(mido.Message("note_off", note=pitch, time=EIGHTH, **own))
            silence = 0
        file.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)
    return path


def rows_in(store: Path) -> list[dict]:
    """All rows, by plain pyarrow."""
    return [
        row for part in sorted(store.glob("part-*")) for row in pq.read_table(part).to_pylist()
    ]


def bytes_in(folder: Path) -> dict[str, bytes]:
    """Each file's bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lines_of(ledger: Path) -> list[dict]:
    """The entries of a ledger."""
    return [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def tune() -> Callable[..., list[int]]:
    """:func:`random_tune`."""
    return random_tune


@pytest.fixture(scope="session")
def write_tune() -> Callable[..., Path]:
    """:func:`write_eighths`."""
    return write_eighths


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Path], list[dict]]:
    """:func:`rows_in`."""
    return rows_in


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """:func:`bytes_in`."""
    return bytes_in


@pytest.fixture(scope="session")
def ledger() -> Callable[[Path], list[dict]]:
    """:func:`lines_of`."""
    return lines_of


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Four files a task, and five melodies a part."""
    patch.setattr(extraction, "FILES_PER_TASK", 4)
    patch.setattr(parquet_parts, "FILES_PER_TASK", 4)
    patch.setattr(parquet_parts, "ROWS_PER_PART", 5)


@pytest.fixture
def small_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store's files are few, which asking would tell: no process compiles for them."""
    monkeypatch.setattr(RemoteFolder, "is_small", lambda *_: True)


@pytest.fixture
def small_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """:func:`shrink`."""
    shrink(monkeypatch)


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve files of 14 melodies: three tasks and three parts where stages are small."""
    folder = tmp_path_factory.mktemp("music")
    for number in range(6):
        write_eighths(folder / f"{number}.mid", random_tune(number, bars=16 + number % 2))
    write_eighths(folder / "deep" / "er" / "6.MIDI", random_tune(6), random_tune(7))
    write_eighths(folder / "7-higher.mid", [pitch + 5 for pitch in random_tune(0)])
    write_eighths(folder / "8-again.mid", random_tune(3, bars=17))
    write_eighths(folder / "9-refrain.mid", 20 * [60, 62, 64, 65, 67, 65, 64, 62])
    (folder / "a-broken.mid").write_bytes(b"this is not music")
    write_eighths(folder / "b-short.mid", random_tune(8, bars=15))
    return folder


@pytest.fixture(scope="session")
def plain(music: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The store of ``music`` by an undisturbed run in small stages."""
    output = tmp_path_factory.mktemp("plain") / "store"
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        extract_store(music, output, engine=LocalEngine(0))
    return bytes_in(output)


@pytest.fixture(autouse=True)
def _workers_do_not_import_pytest(monkeypatch):
    """A new process imports its parent's main module first, here pytest, which is slow."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.delattr(main, "__file__", raising=False)
