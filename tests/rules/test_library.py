"""The rules of the toolkit against rewards computed by hand."""

import numpy as np
import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import REST, Melodies, Melody
from melodyconstraints.melody.metrics.statistics import FEATURES
from melodyconstraints.rules import all_of, any_of, find_rules, library
from melodyconstraints.rules.rhythm import density_rule
from melodyconstraints.rules.tonality import cmajor_rule, in_set_rule, scale_rule

EMPTY = Melody(np.full(256, REST))
C_D_E_FSHARP = Melody.from_notes([(0, 4, 60), (4, 4, 62), (8, 1, 64), (16, 32, 66)])
LOW_C_HIGH_G = Melody.from_notes([(0, 1, 0), (255, 1, 127)])
REPEATED_C = Melody.from_notes([(step, 1, 60) for step in range(256)])


def reward(rule, *melodies):
    return rule(Melodies.stack(melodies)).tolist()


def test_share_of_notes_in_a_set():
    rule = in_set_rule("x", {0, 4})
    melodies = (C_D_E_FSHARP, LOW_C_HIGH_G, REPEATED_C, EMPTY)
    assert reward(rule, *melodies) == [0.5, 0.5, 1.0, 0.0]


def test_share_of_notes_in_a_scale():
    c_major = cmajor_rule("cmajor", "")
    g_major = in_set_rule("G major", {7, 9, 11, 0, 2, 4, 6})
    assert reward(c_major, C_D_E_FSHARP, LOW_C_HIGH_G, EMPTY) == [0.75, 1.0, 0.0]
    assert reward(g_major, C_D_E_FSHARP, LOW_C_HIGH_G, EMPTY) == [1.0, 1.0, 0.0]


def test_octaves_do_not_matter_and_neither_do_lengths():
    rule = in_set_rule("only B", {11})
    long_b = Melody.from_notes([(0, 200, 11), (200, 1, 119), (201, 1, 60), (202, 1, 61)])
    assert reward(rule, long_b) == [0.5]


def test_all_twelve_pitch_classes_accept_any_note_but_not_silence():
    rule = in_set_rule("any", range(12))
    assert reward(rule, C_D_E_FSHARP, REPEATED_C, EMPTY) == [1.0, 1.0, 0.0]


def test_density_counts_notes_not_steps():
    rule = density_rule("density:8", "8")
    eight = Melody.from_notes([(16 * bar, 16, 60) for bar in range(8)])
    assert reward(rule, C_D_E_FSHARP, eight, REPEATED_C, EMPTY) == [0.5, 1.0, 1.0, 0.0]


def test_density_of_256_is_reached_by_a_note_on_every_step_only():
    one_less = Melody.from_notes([(step, 1, 60) for step in range(255)])
    assert reward(density_rule("d", "256"), REPEATED_C, one_less) == [1.0, 255 / 256]


def test_density_of_zero_is_always_satisfied():
    assert reward(density_rule("density:0", "0"), EMPTY, C_D_E_FSHARP) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("argument", "rewards"),
    [("..4", [1, 1, 0, 1]), ("4..6", [1, 0.5, 0, 0]), ("..1", [252 / 255, 254 / 255, 0, 1])],
)
def test_density_at_most_and_between(argument, rewards):
    rule = density_rule("d", argument)
    assert reward(rule, C_D_E_FSHARP, LOW_C_HIGH_G, REPEATED_C, EMPTY) == rewards


def test_rules_carry_what_piano_rolls_and_midi_files_need():
    scale = scale_rule("scale:A-minor", "A-minor")
    assert (scale.key, scale.pitch_classes) == ("Am", frozenset({9, 11, 0, 2, 4, 5, 7}))
    assert scale.description == (
        "notes in {0, 2, 4, 5, 7, 9, 11}, of which {5, 11} sound and none fits better as the "
        "tonic than 9"
    )
    c_major = cmajor_rule("cmajor", "")
    assert (c_major.key, c_major.description) == ("C", "share of notes in {0, 2, 4, 5, 7, 9, 11}")
    assert in_set_rule("x", {7}).key is None
    density = density_rule("density:9", "9")
    assert (density.key, density.pitch_classes) == (None, None)
    assert density.description == "at least 9 notes in 16 bars"


@pytest.mark.parametrize("allowed", [[], [0, 12], [-1]])
def test_a_set_of_no_pitch_classes_is_refused(allowed):
    with pytest.raises(UsageError, match="pitch classes must be some of 0 to 11, got"):
        in_set_rule("set", allowed)


# Features that rules affect


@pytest.mark.parametrize("row", library(), ids=lambda row: row.name)
def test_what_a_rule_affects_are_features(row):
    assert row.affected_features <= FEATURES.keys()


TONES = {"pitch_class_histogram", "pitch_classes_used", "pitch_class_entropy", "scale_consistency"}
SILENCE = {"empty_bars", "empty_beats"}
NOTES = {"notes_per_bar", "note_length_histogram", *SILENCE}


@pytest.mark.parametrize(
    ("rule", "affected"),
    [
        ("cmajor", TONES),
        ("scale:D-dorian", TONES),
        ("chords:C,Am,F,G", TONES),
        ("density:192", NOTES),
        ("max-length:1/4", {"note_length_histogram"}),
        ("min-length:1/8", {"note_length_histogram", "notes_per_bar"}),
        ("rests:30%", SILENCE),
        ("rhythm:x.x.", {*NOTES, "groove_consistency"}),
        ("ambitus:..12", {"pitch_range", "pitches_used"}),
        ("steps:60%", {"interval_histogram"}),
        ("final-note:C", set()),
        ("not:rests:30%", SILENCE),
        (all_of(["cmajor", "rests:30%"]), TONES | SILENCE),
        (any_of(["final-note:C", "rests:30%"]), SILENCE),
    ],
)
def test_a_rule_affects_the_features_that_it_asks_for(rule, affected):
    (found,) = find_rules([rule])
    assert found.affected_features == affected


def test_with_many_notes_there_are_short_ones_and_few_rests():
    rng = np.random.default_rng(0)
    for count in (192, 224, 256):
        events = rng.integers(128, 130, (50, 256))
        places = rng.permuted(np.tile(np.arange(256), (50, 1)), axis=1)[:, :count]
        np.put_along_axis(events, places, 60, axis=1)
        melodies = Melodies(events)
        lengths = np.arange(1, 17)
        assert FEATURES["notes_per_bar"](melodies).tolist() == [count / 16] * 50
        mean = FEATURES["note_length_histogram"](melodies) @ lengths
        assert (mean <= 256 / count).all()
        assert (FEATURES["empty_beats"](melodies) <= (256 - count) / 256).all()
