"""What the knobs of the staff generator reach without training, as three tables.

::

    python benchmarks/knobs.py STORE
    python benchmarks/knobs.py STORE --only scales --trained FOLDER

*Scales*: of each mode on two tonics, melodies of ``load_knobs().at(...)`` beside held-out melodies
of STORE that satisfy its rule in some key, and beside those that lie in one major scale, whatever
their tonic. With *trained*, melodies of actors that ``mc train-actor --rule scale:...`` trained
into FOLDER, or trains there, some minutes each. *Every scale*: each scale that has a name, on D;
how many of its melodies satisfy the rule, of as many draws without a search too, which note of the
scale most melodies lack, and how they move. *Values*: each rule with a range is asked for the
values of the held-out melodies' deciles, give or take :data:`TOLERANCES`; the correlation of asked
and obtained, for one draw and with the search, as shipped. A seed that played no part in any
choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np

from melodyconstraints.cli._common import print_table
from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.latent.evolution import EvolutionSearch
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.modes import (
    MODES,
    PHRASE_BARS,
    correlations,
    find_modes,
    sounding_times,
)
from melodyconstraints.melody.metrics.statistics import pitch_class_entropy, pitch_range
from melodyconstraints.melody.metrics.structure import (
    common_pitch_classes,
    leaps,
    repeated_bars,
    steps,
    two_commonest_pitch_classes,
)
from melodyconstraints.melody.metrics.typical import repeated_pitches
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.rules import find_rules
from melodyconstraints.rules.rewards import satisfies_all
from melodyconstraints.rules.scales import SCALES
from melodyconstraints.rules.tonality import KRUMHANSL_KESSLER
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.knobs import Knobs
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.real_melodies import satisfying
from melodyconstraints.workflows.train_actor import train_actor

SEED = 301
TONICS = ("D", "A")
MEASURES = {
    "entropy, bits": pitch_class_entropy,
    "two commonest": two_commonest_pitch_classes,
    "degrees": common_pitch_classes,
    "steps": steps,
    "leaps": leaps,
    "repeated bars": repeated_bars,
}
ON_TONIC = ("triad", "phrases end")
"""Shares of the notes on the tonic's triad, and of the four-bar phrases that end on the tonic."""
VALUES = {
    "density": lambda melodies: melodies.note_counts,
    "ambitus": pitch_range,
    "rise": lambda melodies: rises(melodies),
    "mean-length": lambda melodies: (melodies.events != 129).sum(1) / melodies.note_counts,
    "steps": steps,
    "off-beat": lambda melodies: melodies.notes.share(melodies.notes.onsets % 4 != 0),
    "rests": lambda melodies: (melodies.events == 129).mean(axis=1),
}
"""What each knob asks for, of ``B`` melodies."""
TOLERANCES = {"density": 0, "ambitus": 0, "rise": 0.25, "mean-length": 0.05}
"""Way from a value that is near enough, up and down; of shares :data:`POINT`. Few melodies have a
share to the last digit, and a search for them goes on to its end."""
POINT = 0.01
DECILES = np.arange(0.1, 0.95, 0.1)
DEGREES = ("1", "b2", "2", "b3", "3", "4", "#4", "5", "b6", "6", "b7", "7")
"""Names of the semitones above a tonic."""
TABLES = ["scales", "every-scale", "values"]


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("-n", "count", default=128, show_default=True, help="Melodies a scale.")
@click.option("--only", type=click.Choice(TABLES), help="One of the three tables.")
@click.option("--trained", type=click.Path(path_type=Path), help="Measure actors of this folder.")
@click.option(
    "--mode", "modes", type=click.Choice(list(MODES)), multiple=True, help="Only this; repeat."
)
def main(
    store: Path, count: int, only: str | None, trained: Path | None, modes: tuple[str, ...]
) -> None:
    """Measure the knobs of the packaged generator against the held-out melodies of STORE."""
    knobs, real = Knobs(load_model("staff")), read_store(store, "test").melodies
    if only in (None, "scales"):
        actor_of = knobs.at if trained is None else partial(actor_in, trained, knobs.model)
        print_scales(actor_of, real, count, modes or tuple(MODES))
    if only in (None, "every-scale"):
        print_every_scale(knobs, count // 4)
    if only in (None, "values"):
        print_values(knobs, real, count // 4)


def print_scales(
    actor_of: Callable[[str], MelodyActor], real: Melodies, count: int, modes: Sequence[str]
) -> None:
    """A line for each mode and tonic, one for real melodies in it and one for those in a scale."""
    one_scale = real[in_one_major_scale(real)]
    rows = [[f"{len(one_scale):,} held out, a major scale", *_means(one_scale)]]
    named = []
    for mode in modes:
        of_mode = satisfying(real, find_rules([f"scale:C-{mode}"]))
        name = f"{len(of_mode)} held out, {mode}"
        real_key = f"{has_tonic(of_mode, 0):.0%}"
        rows.append([name, *_means(of_mode), *_on_tonic(of_mode, 0, mode), "", "", real_key])
        for tonic in TONICS:
            actor = actor_of(f"{tonic}-{mode}")
            drawn = actor.generate(count, seed=SEED)
            wanted = ("C_D_EF_G_A_B".index(tonic), mode)
            right = np.mean([found == wanted for found in find_modes(drawn)])
            named.append(right)
            satisfied = satisfies_all(actor.rules, drawn).mean()
            own = [*_means(drawn), *_on_tonic(drawn, wanted[0], mode)]
            shares = (f"{right:.0%}", f"{has_tonic(drawn, wanted[0]):.0%}")
            rows.append([f"{tonic}-{mode}", *own, f"{satisfied:.1%}", *shares])
    rows.append(["mean", *[""] * (len(MEASURES) + len(ON_TONIC) + 1), f"{np.mean(named):.0%}"])
    named_by = ["mode named right", "tonic by sounding times"]
    print_table(["scale", *MEASURES, *ON_TONIC, "satisfied", *named_by], rows)


def print_every_scale(knobs: Knobs, count: int) -> None:
    """A line for each scale that has a name, and one for melodies in none."""
    rows = []
    for name in (None, *SCALES):
        actor = knobs.at(None if name is None else f"D-{name}")
        drawn = actor.generate(count, seed=SEED)
        moves = [_mean(measure, drawn) for measure in (repeated_pitches, steps, leaps)]
        if name is None:
            rows.append(["none", "12", "", "", "", *moves, _mean(repeated_bars, drawn)])
            continue
        actor.search = EvolutionSearch(draws=1)
        plain = actor.generate(count, seed=SEED)
        satisfied = [f"{satisfies_all(actor.rules, one).mean():.0%}" for one in (plain, drawn)]
        lack, step = max((lacks(drawn, (2 + step) % 12), step) for step in SCALES[name])
        rarest = f"{lack:.0%} lack {DEGREES[step]}" if lack else "none"
        of_scale = [name, str(len(SCALES[name])), *satisfied, rarest]
        rows.append([*of_scale, *moves, _mean(repeated_bars, drawn)])
    moving = ["repeated pitches", "steps", "leaps", "repeated bars"]
    print_table(
        ["scale", "notes", "satisfied, first draws", "satisfied", "rarest note", *moving], rows
    )


def lacks(melodies: Melodies, pitch_class: int) -> float:
    """Share of melodies without a note of a pitch class."""
    notes = melodies.notes
    return 1 - len(np.unique(notes.rows[notes.pitches % 12 == pitch_class])) / len(melodies)


def has_tonic(melodies: Melodies, tonic: int) -> float:
    """Share of melodies whose key has a tonic, by sounding times alone.

    The key is that of 24 whose profile of Krumhansl and Kessler correlates best, as in the rule
    ``key:``: unlike the finder of modes it does not look at where phrases end.
    """
    times = sounding_times(melodies)
    fits = [
        correlations(times, np.roll(profile, key))
        for profile in KRUMHANSL_KESSLER
        for key in range(12)
    ]
    return float(np.mean(np.argmax(fits, axis=0) % 12 == tonic))


def actor_in(folder: Path, model: MelodyVAE, scale: str) -> MelodyActor:
    """The actor of a scale in a folder, trained by default settings where it is not there."""
    if not (folder / scale).exists():
        train_actor(model, [f"scale:{scale}"]).save(folder / scale)
    return load_actor(folder / scale)


def print_values(knobs: Knobs, real: Melodies, count: int) -> None:
    """A line for each rule with a range."""
    rows = []
    for name, measure in VALUES.items():
        near = TOLERANCES.get(name, POINT)
        asked = np.unique(np.quantile(measure(real), DECILES).round(2 if near else 0))
        found = []
        for search in (EvolutionSearch(draws=1), EvolutionSearch()):
            obtained = []
            for value in asked:
                least = value - near if name == "rise" else max(value - near, 0)
                actor = knobs.at(None, None, f"{name}:{least:.4g}..{value + near:.4g}")
                actor.search = search
                obtained.append(measure(actor.generate(count, seed=SEED)))
            of_each = np.repeat(asked, count)
            found.append(np.corrcoef(of_each, np.concatenate(obtained))[0, 1])
        rows.append([name, f"{asked[0]:g} to {asked[-1]:g}", *(f"{one:.3f}" for one in found)])
    print_table(["correlation of", "values", "one draw", "as shipped"], rows)


def rises(melodies: Melodies) -> np.ndarray:
    """``(B,)`` mean pitch of the second half, by length, minus that of the first."""
    pitches = np.full(melodies.events.shape, np.nan)
    for row, events in enumerate(melodies.events):
        sounding = np.nan
        for step, event in enumerate(events):
            sounding = {128: sounding, 129: np.nan}.get(event, event)
            pitches[row, step] = sounding
    halves = np.nanmean(pitches.reshape(len(pitches), 2, -1), -1)
    return np.nan_to_num(halves[:, 1] - halves[:, 0])


def in_one_major_scale(melodies: Melodies) -> np.ndarray:
    """``(B,)`` whether all pitch classes of a melody lie in one major scale."""
    used = np.zeros((len(melodies), 12), bool)
    notes = melodies.notes
    used[notes.rows, notes.pitches % 12] = True
    major = np.isin(np.arange(12), MODES["ionian"])
    return np.any([~(used & ~np.roll(major, tonic)).any(axis=1) for tonic in range(12)], axis=0)


def _on_tonic(melodies: Melodies, tonic: int, mode: str) -> list[str]:
    """The shares of :data:`ON_TONIC`."""
    notes, steps_up = melodies.notes, MODES[mode]
    above = (notes.pitches - tonic) % 12
    phrases = notes.rows * BARS + notes.onsets // (PHRASE_BARS * STEPS_PER_BAR)
    last = np.diff(phrases, append=-1) != 0
    on_triad = np.isin(above, [steps_up[degree] for degree in (0, 2, 4)])
    return [f"{share.mean():.3f}" for share in (on_triad, above[last] == 0)]


def _means(melodies: Melodies) -> list[str]:
    return [_mean(measure, melodies) for measure in MEASURES.values()]


def _mean(measure: Callable[[Melodies], np.ndarray], melodies: Melodies) -> str:
    return f"{float(measure(melodies).mean()):.3f}"


if __name__ == "__main__":
    main()
