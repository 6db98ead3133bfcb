"""Profiles of the modes, and how rules and the mode finder judge tunes of a known mode, as tables.

::

    python benchmarks/modes.py STORE MIDI_DIR

STORE is extracted from MIDI_DIR. The mode of a tune is known from its file: one key signature, and
a last note that is the tonic of its major or minor key, or the second degree of its major key
(dorian). Melodies have no note outside that mode; for the shares, its characteristic notes sound,
without which a melody is in two modes. Each tune weighs the same. *Closed*: the melody itself ends
on the tonic. *Re-signed*: held-out ionian melodies, their degrees altered to those of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import mido
import numpy as np
from numpy.typing import NDArray

from melodyconstraints.cli._common import print_table
from melodyconstraints.datasets.melodies.store import events_of, read_table
from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.melody.events import PITCHES, Melodies
from melodyconstraints.melody.metrics.modes import (
    MODES,
    find_modes,
    sounding_times,
    tonal_weights,
)
from melodyconstraints.rules import find_rule
from melodyconstraints.rules.scales import Scale, parse_scale

COLLECTIONS = ("airds", "oneills", "open-hymnal", "ryans-mammoth")
FINALS = {(False, 0): "ionian", (False, 2): "dorian", (True, 0): "aeolian"}
"""Minor signature or not, and semitones from its tonic to the last note, to a mode."""
NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Tunes:
    """Melodies with C as their tonic, and the number of the tune of each."""

    melodies: Melodies
    tunes: NDArray[np.int64]

    def __getitem__(self, mask: Mask) -> Tunes:
        return Tunes(self.melodies[mask], self.tunes[mask])

    def mean(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Mean over tunes of the means over their melodies."""
        _, tune = np.unique(self.tunes, return_inverse=True)
        weights = 1 / np.bincount(tune)[tune] / (tune.max() + 1)
        return np.asarray(weights @ values)

    def resigned(self, mode: str) -> Tunes:
        """Ionian melodies with the degrees of another mode."""
        table = np.arange(130)
        for old, new in zip(MODES["ionian"], MODES[mode], strict=True):
            table[old:PITCHES:12] += new - old
        return Tunes(Melodies(table[self.melodies.events]), self.tunes)


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.argument("midi_dir", type=click.Path(path_type=Path, exists=True))
def main(store: Path, midi_dir: Path) -> None:
    """Measure how rules and the mode finder judge tunes of MIDI_DIR in known modes."""
    tunes, modes, training = read_tunes(store, midi_dir)
    profiles, measured = [], []
    for mode in FINALS.values():
        some = tunes[(modes == mode) & training]
        weights = some.mean(tonal_weights(some.melodies))[list(MODES[mode])]
        measured.append(weights)
        profiles.append([mode, str(len(set(some.tunes))), shown(weights)])
    profiles.append(["mean", "", shown(np.mean(measured, axis=0))])
    print_table(["mode", "tunes", "profile of the degrees"], profiles, "training split")
    shares = []
    for mode in FINALS.values():
        for name, split in (("training", training), ("held out", ~training)):
            shares += shares_of(f"{mode}, {name}", tunes[(modes == mode) & split], mode)
    ionian = tunes[(modes == "ionian") & ~training]
    for mode in MODES:
        shares += shares_of(f"{mode}, re-signed", ionian.resigned(mode), mode)
    columns = ["melodies", "tunes", "n", "scale", "its others", "named", "cadence"]
    print_table(columns, shares, "judged")


def shown(weights: NDArray[np.float64]) -> str:
    """Numbers in a row."""
    return " ".join(f"{weight:.3f}" for weight in weights)


def shares_of(name: str, some: Tunes, mode: str) -> Iterator[list[str]]:
    """Rows of all melodies of a mode in which its characteristic notes sound, and closed ones.

    Shares that satisfy the scale's rule, those of the same pitch classes with another tonic (their
    mean), that are named right, and that satisfy the cadence's rule.
    """
    character = sorted(Scale(0, mode).characteristic)
    some = some[(sounding_times(some.melodies)[:, character] > 0).all(axis=1)]
    order = list(MODES)
    turned = [order[(order.index(mode) + degree) % 7] for degree in range(7)]
    scales = [f"{NAMES[step]}-{turned[n]}" for n, step in enumerate(MODES[mode])]
    for what, few in ((name, some), (f"{name}, closed", some[satisfies("final-note:C", some)])):
        own, *others = (few.mean(satisfies(f"scale:{one}", few)) for one in scales)
        named = few.mean(np.array([found == (0, mode) for found in find_modes(few.melodies)]))
        numbers = (own, np.mean(others), named, few.mean(satisfies(f"cadence:C-{mode}", few)))
        tunes, melodies = len(set(few.tunes)), len(few.tunes)
        yield [what, str(tunes), str(melodies), *(f"{one:.1%}" for one in numbers)]


def satisfies(spec: str, some: Tunes) -> Mask:
    """Melodies that satisfy a rule."""
    return find_rule(spec)(some.melodies) >= SATISFIED


def read_tunes(store: Path, midi_dir: Path) -> tuple[Tunes, NDArray[np.str_], Mask]:
    """Melodies of known modes, their modes, and whether they are of the training split."""
    rows = read_table(store, columns=["events", "file", "track", "tune", "split"])
    files = np.array(rows["file"].to_pylist())
    wanted = np.isin([file.split("/")[0] for file in files], COLLECTIONS)
    # the other voices of a hymn end on other notes
    wanted &= ~(np.char.startswith(files, "open-hymnal") & (rows["track"].to_numpy() > 0))
    keys = {str(file): key_of(midi_dir / str(file)) for file in np.unique(files[wanted])}
    wanted &= np.array([keys.get(str(file)) is not None for file in files])
    tonics, modes = zip(*(keys[str(file)] or (0, "") for file in files[wanted]), strict=True)
    events = events_of(rows["events"].combine_chunks())[wanted].astype(np.int64)
    moved = np.where(events < PITCHES, events - np.array(tonics)[:, None], events)
    tunes = Tunes(Melodies(moved), rows["tune"].to_numpy()[wanted])
    training = np.array(rows["split"].to_pylist())[wanted] == "train"
    inside = np.zeros(len(moved), bool)
    for mode in FINALS.values():
        steps = ",".join(map(str, MODES[mode]))
        inside |= (np.array(modes) == mode) & satisfies(f"pitch-classes:{steps}", tunes)
    return tunes[inside], np.array(modes)[inside], training[inside]


def key_of(path: Path) -> tuple[int, str] | None:
    """Tonic and mode of a file, None where the signature and the last note do not tell."""
    tracks = mido.MidiFile(path).tracks
    signatures = {one.key for track in tracks for one in track if one.type == "key_signature"}
    notes: list[tuple[int, int]] = []
    for track in tracks[: 1 if "hymnal" in str(path) else None]:
        now, own = 0, []
        for one in track:
            now += one.time
            if one.type == "note_on" and one.velocity:
                own.append((now, one.note))
        notes = max(notes, own, key=len)
    scale = parse_scale(signatures.pop()) if len(signatures) == 1 else None
    if scale is None:
        return None
    last = max(notes)[1] % 12
    mode = FINALS.get((scale.name == "minor", (last - scale.tonic) % 12))
    return None if mode is None else (last, mode)


if __name__ == "__main__":
    main()
