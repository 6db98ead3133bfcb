"""What holds for every rule: those of the library, and rules of a user's file."""

import numpy as np
import pytest

from melodyconstraints.melody.events import HOLD, REST, Melodies, Melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.rules import find_rule, library
from melodyconstraints.rules.contract import CONTRACT

USERS_FILE = """
from melodyconstraints import rule

def ends_on_c(melody):
    return float(len(melody) > 0 and melody.pitches[-1] % 12 == 0)

@rule(batched=True)
def mostly_short(melodies):
    short = (melodies.durations <= 2) & melodies.onsets
    return short.sum(axis=1) / melodies.note_counts.clip(1)
"""

EMPTY = Melody(np.full(256, REST))


def line(*pitches, apart=4, length=None, start=0):
    """Notes one after the other, so many steps apart."""
    notes = [(start + apart * place, length or apart, p) for place, p in enumerate(pitches)]
    return Melody.from_notes(notes)


def lengths(*steps):
    """Notes of these lengths on one pitch."""
    return Melody.from_notes([(sum(steps[:place]), one, 60) for place, one in enumerate(steps)])


def bars(*steps_of_bars):
    """Bars that have notes of one sixteenth at these steps."""
    return Melody.from_notes(
        [(16 * bar + step, 1, 60) for bar, steps in enumerate(steps_of_bars) for step in steps]
    )


TUNE = line(*[60, 62, 64, 65, 67, 65, 64, 62] * 8)
ARPEGGIOS = line(60, 64, 67, 60, 57, 60, 64, 57, 65, 69, 72, 65, 67, 71, 74, 67)
UP_AND_DOWN = [*range(60, 68), *range(67, 59, -1)]

WITNESSES = {
    "cmajor": (line(60, 62, 64), line(60, 62, 61), line(61, 62, 61)),
    "scale": (
        line(62, 64, 65, 67, 69, 71, 69, 62),
        line(62, 64, 65, 67, 69, 71, 69, 60),
        line(61, 64, 65, 67, 69, 71, 69, 60),
    ),
    "cadence": (line(60, 64, 62), line(60, 67, 62), line(60, 64, 66)),
    "pitch-classes": (line(60, 62, 64), line(60, 62, 61), line(61, 62, 61)),
    "key": (
        line(57, 60, 64, 57, 69, 71, 72, 69),
        line(60, 64, 67, 60),
        line(66, 70, 73, 66),
    ),
    "chords": (ARPEGGIOS, line(60, 64, 61, 61), line(61, 61, 61, 60)),
    "beat-chords": (ARPEGGIOS, line(60, 64, 67, 61), line(61, 61, 61, 60)),
    "scale-consistency": (
        line(60, 62, 64, 65, 67),
        line(60, 62, 64, 65, 67, 69, 71, 61),
        line(*range(60, 72)),
    ),
    "entropy": (line(60, 61, 62, 63, 64, 65), line(60, 61, 62, 63), line(60, 61)),
    "compass": (line(60, 84, 72), line(60, 59, 72), line(59, 85, 72)),
    "tessitura": (line(72, 84), line(60), line(50)),
    "rise": (line(*[60] * 32, *[63] * 32), line(*[60] * 64), line(*[60] * 32, *[50] * 32)),
    "ambitus": (line(60, 72), line(60, 73), line(40, 80)),
    "first-note": (line(60, 61), line(61, 60), line(63, 60)),
    "final-note": (line(61, 72), line(60, 71), line(60, 66)),
    "contour": (
        line(*UP_AND_DOWN, apart=16),
        line(*range(60, 76), apart=16),
        line(*[127 - pitch for pitch in UP_AND_DOWN], apart=16),
    ),
    "steps": (line(60, 62, 64, 60, 62, 64), line(60, 62, 67, 72), line(60, 64, 68)),
    "leaps": (line(60, 62, 64, 65, 67, 71), line(60, 62, 67), line(60, 67, 60)),
    "max-leap": (line(60, 67), line(60, 68, 67), line(60, 68, 60)),
    "leaps-resolved": (line(60, 67, 65), line(60, 67, 65, 72, 79), line(60, 67)),
    "max-repeats": (line(60, 60, 60, 62, 60), line(60, 60, 60, 60), line(*[60] * 6)),
    "density": (lengths(*[1] * 192), lengths(*[1] * 191), lengths(*[1] * 20)),
    "on-beat": (bars([0, 4, 8, 1, 2]), bars([0, 4, 1, 2]), bars([0, 1, 2])),
    "off-beat": (bars([0, 2]), bars([0, 2, 4]), bars([0, 4])),
    "syncopation": (
        line(60, 60, apart=4, start=2),
        lengths(4, 4, 2, 4, 2),
        lengths(4, 4, 4),
    ),
    "max-length": (lengths(4, 1), lengths(4, 4, 5), lengths(4, 5, 5)),
    "min-length": (lengths(2, 9), lengths(2, 2, 1), lengths(2, 1, 1)),
    "long-ending": (lengths(2, 2, 4), lengths(4, 3), lengths(2, 1)),
    "mean-length": (lengths(2, 3), lengths(3, 4), lengths(8, 8)),
    "rests": (lengths(*[4] * 50), lengths(*[4] * 32), lengths(4)),
    "rhythm": (
        bars(*[[0, 3, 6, 12]] * 16),
        bars(*[[0, 3, 6, 12]] * 15),
        bars(*[[0, 4, 8, 12]] * 16),
    ),
    "groove": (
        bars(*[[0, 3, 6]] * 16),
        bars(*[[0, 4, 8, 12], []] * 8),
        bars(*[range(16), []] * 8),
    ),
    "bars-alike": (
        line(*[60, 62, 64, 65] * 4, apart=16),
        line(*[60] * 8, *range(70, 78), apart=16),
        line(*[60] * 6, *range(70, 80), apart=16),
    ),
    "rhythm-alike": (
        bars(*[[0], [4]] * 8),
        bars(*[[0]] * 8, *[[4]] * 8),
        bars(*[[0], [0], [4], [4]] * 4),
    ),
    "motif": (line(*[60, 62, 64, 60] * 4), line(*[60, 62, 64, 60] * 2), line(60, 61, 60, 61)),
    "novelty": (line(60, 61, 62, 63, 64), line(60, 61, 63, 64, 66, 68, 69, 71), TUNE),
    "not": (lengths(*[2] * 8), lengths(*[2] * 4), lengths(*[4] * 4)),
}
"""Rule to a melody that satisfies its example, one that is near, and one further off."""

SILENCE_SATISFIES = ("density:0", "density:..96", "not:on-beat:80%")
SPECS = list(dict.fromkeys([*(row.example for row in library()), *SILENCE_SATISFIES]))
OWN = ["ends_on_c", "mostly_short"]


@pytest.fixture(autouse=True)
def tune(tmp_path, monkeypatch):
    """The file that novelty's example names."""
    monkeypatch.chdir(tmp_path)
    write_melody(TUNE, tmp_path / "tune.mid")


@pytest.fixture(params=[*SPECS, *OWN])
def any_rule(request, tmp_path):
    if request.param not in OWN:
        return find_rule(request.param)
    path = tmp_path / "own.py"
    path.write_text(USERS_FILE, encoding="utf-8")
    return find_rule(f"{path}:{request.param}")


@pytest.fixture
def batch():
    """Melodies of many densities, with silence, one note, a note on every step among them."""
    rng = np.random.default_rng(3)
    density = rng.random((40, 1))
    pitches = rng.integers(0, 128, (40, 256))
    events = np.where(rng.random((40, 256)) < density, pitches, rng.integers(HOLD, 130, (40, 256)))
    events[0], events[1], events[2] = REST, HOLD, 60
    events[3] = [60, *[HOLD] * 255]
    return Melodies(events)


@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.check.__name__)
def test_the_clauses_that_users_rules_are_held_to(any_rule, batch, clause):
    assert clause.check(any_rule, batch) is None


def test_rewards_are_floats_one_for_each_melody(any_rule, batch):
    rewards = any_rule(batch)
    assert rewards.shape == (40,)
    assert rewards.dtype == np.float64


def test_an_empty_melody_satisfies_only_what_asks_for_no_notes(any_rule):
    expected = 1.0 if any_rule.name in SILENCE_SATISFIES else 0.0
    assert any_rule(Melodies.stack([EMPTY])).tolist() == [expected]


@pytest.mark.parametrize("pitch", [0, 60, 61, 127])
def test_one_note_has_a_reward(any_rule, pitch):
    (reward,) = any_rule(Melodies.stack([Melody.from_notes([(17, 3, pitch)])]))
    assert 0 <= reward <= 1
    if any_rule.name in ("cmajor", "pitch-classes:0,2,4,7,9"):
        assert reward == float(pitch % 12 in any_rule.pitch_classes)


def test_no_melodies_have_no_rewards(any_rule):
    assert any_rule(Melodies.stack([])).shape == (0,)


def test_the_specification_finds_an_equal_rule(any_rule, batch):
    assert np.array_equal(find_rule(any_rule.spec)(batch), any_rule(batch))


@pytest.mark.parametrize("row", library(), ids=lambda row: row.name)
def test_a_witness_satisfies_its_rule_and_others_have_less_the_further_they_are(row):
    assert row.name in WITNESSES, f"give {row.name} a row in WITNESSES"
    satisfied, nearer, further = WITNESSES[row.name]
    one, near, far = find_rule(row.example)(Melodies.stack([satisfied, nearer, further]))
    assert one == 1.0
    assert far < 1 - 1e-6
    if row.name == "not":  # two-valued, see combine.negate
        assert near == 1.0
    else:
        assert far < near < 1 - 1e-6
