"""Keys, chords and the statistics of pitch classes against known values."""

import numpy as np
import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.chords import QUALITIES, parse_chord
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.modes import STABILITY
from melodyconstraints.rules import find_rule
from melodyconstraints.rules.scales import SCALES
from melodyconstraints.rules.tonality import KRUMHANSL_KESSLER

NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def line(*pitches, apart=4):
    return Melody.from_notes([(apart * n, apart, pitch) for n, pitch in enumerate(pitches)])


def reward(spec, *melodies):
    return find_rule(spec)(Melodies.stack(melodies)).tolist()


def lasting(weights):
    """Pitch classes that last so many steps."""
    ends = np.cumsum(weights)
    return Melody.from_notes([(ends[p] - weights[p], weights[p], 60 + p) for p in range(12)])


def test_a_scale_by_hand():
    """C, F, B and D last a quarter each; D ends the melody and the only phrase, E never sounds."""
    weights = {0: 0.25, 5: 0.25, 11: 0.25, 2: 0.55}
    c_major = (0, 2, 4, 5, 7, 9, 11)

    def fit(tonic):
        all_notes = sum(STABILITY[(note - tonic) % 12] for note in c_major)
        return sum(
            weight / 1.3 * np.log(STABILITY[(note - tonic) % 12] / all_notes)
            for note, weight in weights.items()
        )

    melody, with_fsharp = line(60, 65, 71, 62), line(60, 65, 71, 66, 62)
    best = max(map(fit, c_major))
    expected = [np.exp(-4 * (best - fit(tonic))) for tonic in (0, 2, 9)]
    specs = ("C-major", "D-dorian", "A-minor")
    assert [reward(spec, melody)[0] for spec in specs] == pytest.approx(expected)
    assert fit(2) == best
    # a fifth note, outside the scale: its time and place do not count, that it is there does
    assert reward("D-dorian", with_fsharp) == [0.8]
    # without B, and with it for a sixteenth of the two that it asks for
    without_b = Melody.from_notes([(0, 5, 62), (5, 5, 65), (16, 16, 62)])
    short_b = Melody.from_notes([(0, 5, 62), (5, 5, 65), (10, 1, 71), (16, 16, 62)])
    assert reward("D-dorian", without_b, short_b) == [0.5, 0.75]


def test_a_melody_satisfies_one_tonic_of_its_scale_that_it_rests_on():
    white = ("C-major", "D-dorian", "E-phrygian", "F-lydian", "G-mixolydian", "Am", "B-locrian")
    even = [60, 62, 64, 65, 67, 69, 71] * 4
    endings = [line(*even, last) for last in (60, 62, 64, 65, 67, 69, 71)]
    satisfied = np.array([reward(spec, *endings) for spec in white]) == 1
    assert np.array_equal(satisfied, np.eye(7))
    assert reward("cmajor", *endings) == [1] * 7


@pytest.mark.parametrize("name", SCALES)
def test_every_scale_can_be_satisfied_on_every_tonic(name):
    for tonic in range(12):
        steps = SCALES[name]
        melody = line(*(60 + tonic + step for step in (*steps, *steps[::-1])))
        outside = line(*(60 + tonic + step for step in (*steps, *range(12), *steps[::-1])))
        once, again = reward(f"scale:{NAMES[tonic]}-{name}", melody, outside)
        assert once == 1
        assert again < 1 or name == "chromatic"


@pytest.mark.parametrize(
    ("pitches", "expected"),
    [
        ([67, 64, 62], 1),  # from the step above
        ([67, 60, 62, 74, 62], (1 + 1 / 6) / 2),  # from an octave above: five from the fifth
        ([67, 60, 62, 62], 1),  # from below, then repeated
        ([69, 62], 1),  # from the fifth above
        ([57, 62], 1),  # from the fifth below
        ([67, 62], (1 + 2 / 3) / 2),  # a fourth above: two semitones from the fifth
        ([62, 64], (2 / 3 + 1) / 2),  # ends two semitones from the tonic
        ([62, 62], 0.5),  # not approached
        ([], 0),
    ],
)
def test_cadences_by_hand(pitches, expected):
    assert reward("cadence:D-dorian", line(*pitches)) == [pytest.approx(expected)]


def test_a_scale_without_a_fifth_has_no_cadence_from_it():
    assert reward("cadence:B-locrian", line(66, 59), line(60, 59)) == [0.5, 1]


@pytest.mark.parametrize("tonic", range(12))
def test_a_profile_itself_is_in_its_key_and_in_no_other(tonic):
    for mode, row in zip(("major", "minor"), KRUMHANSL_KESSLER, strict=True):
        melody = lasting(np.roll(np.round(row * 5).astype(int), tonic))
        satisfied = {
            (name, other)
            for name in NAMES
            for other in ("major", "minor")
            if reward(f"key:{name}-{other}", melody) == [1]
        }
        assert satisfied == {(NAMES[tonic], mode)}


def test_a_scale_up_and_its_tonic_is_in_its_key():
    c_major = line(60, 62, 64, 65, 67, 69, 71, 72)
    assert reward("key:C", c_major) == [1]
    assert reward("key:c-major", c_major) == [1]
    near, far = reward("key:G", c_major)[0], reward("key:F#", c_major)[0]
    assert far < near < 1


def test_a_key_behind_has_one_less_half_its_distance_in_correlation():
    weights = np.array([8, 0, 4, 1, 5, 3, 0, 6, 0, 2, 0, 3])
    melody = Melody.from_notes(
        [(int(weights[:p].sum()), int(weights[p]), 60 + p) for p in range(12) if weights[p]]
    )
    correlations = [
        np.corrcoef(weights, np.roll(profile, tonic))[0, 1]
        for profile in KRUMHANSL_KESSLER
        for tonic in range(12)
    ]
    for place, r in enumerate(correlations):
        spec = f"key:{NAMES[place % 12]}-{'minor' if place >= 12 else 'major'}"
        assert reward(spec, melody) == pytest.approx([1 - (max(correlations) - r) / 2])


def test_all_pitch_classes_alike_have_no_key():
    assert reward("key:C", line(*range(60, 72)), line(60)) == [0, 1]


@pytest.mark.parametrize(
    ("text", "key"), [("C", "C"), ("Am", "Am"), ("Bb-minor", "Bbm"), ("f#-major", "F#")]
)
def test_a_key_is_the_signature(text, key):
    assert find_rule(f"key:{text}").key == key


@pytest.mark.parametrize(
    ("symbol", "tones"),
    [
        ("C", "C E G"),
        ("Cmaj", "C E G"),
        ("Am", "A C E"),
        ("Bdim", "B D F"),
        ("Caug", "C E G#"),
        ("C+", "C E G#"),
        ("Dsus2", "D E A"),
        ("Dsus4", "D G A"),
        ("F6", "F A C D"),
        ("Am6", "A C E F#"),
        ("G7", "G B D F"),
        ("Fmaj7", "F A C E"),
        ("Dm7", "D F A C"),
        ("Bdim7", "B D F G#"),
        ("Bm7b5", "B D F A"),
        ("Bbmaj9", "Bb D F A C"),
        ("CM7", "C E G B"),
        ("A5", "A E"),
        ("Cmmaj7", "C Eb G B"),
        ("G7sus4", "G C D F"),
        ("Caug7", "C E G# Bb"),
        ("Cadd9", "C D E G"),
        ("Amadd9", "A B C E"),
        ("C9", "C D E G Bb"),
        ("Dm9", "D E F A C"),
    ],
)
def test_chord_symbols(symbol, tones):
    places = {**{name: place for place, name in enumerate(NAMES)}, "G#": 8}
    assert parse_chord(symbol).pitch_classes == {places[tone] for tone in tones.split()}


def test_every_quality_moves_with_its_root():
    for quality in QUALITIES:
        moved = {(tone + 1) % 12 for tone in parse_chord(f"C{quality}").pitch_classes}
        for root in ("C#", "Db"):
            assert parse_chord(f"{root}{quality}").pitch_classes == moved


def test_chords_change_with_the_bar_and_come_again():
    melody = Melody.from_notes([(0, 4, 60), (15, 1, 67), (16, 4, 67), (24, 4, 64), (32, 4, 64)])
    assert reward("chords:C,G", melody) == [0.8]
    assert reward("chords:C,G,80%", melody) == [1]
    assert reward("chords:C,G,90%", melody) == [pytest.approx(0.8 / 0.9)]
    assert reward("chords:G,C", melody) == [0.6]
    assert reward("beat-chords:C,G", melody) == [0.75]


def test_a_note_belongs_to_the_bar_in_which_it_starts():
    assert reward("chords:C,G", Melody.from_notes([(12, 20, 64)])) == [1]


def test_without_notes_on_the_beat_their_chords_are_not_satisfied():
    assert reward("beat-chords:C", Melody.from_notes([(1, 2, 60)])) == [0]


def test_statistics_in_a_range():
    melody = line(60, 62, 64, 66)
    assert reward("scale-consistency:100%", melody, line(60, 61, 62)) == [
        1,
        pytest.approx(2 / 3),
    ]
    assert reward("entropy:..1", melody) == [pytest.approx((np.log2(12) - 2) / (np.log2(12) - 1))]
    assert reward("entropy:2..2", melody, line(60)) == [1, 0]
    assert reward("entropy:2.5", melody) == [0.8]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("key:C-dorian", "a key is written C-major, C, A-minor or Am, got 'C-dorian'"),
        ("key:", "got ''"),
        ("chords:C,Hm", "a chord is a root and one of maj, m, dim, .*, got 'Hm'"),
        ("chords:Cfoo", "got 'Cfoo'"),
        ("chords:", "got ''"),
        ("chords:" + ",".join("C" * 17), "a progression has at most 16 chords, .*, got 17"),
        ("entropy:4", "bits must be from 0 to 3.58496, the lower bound first, got '4'"),
        ("scale-consistency:x", "a share is written 60% or 0.6, got 'x'"),
    ],
)
def test_arguments_that_make_no_sense(spec, message):
    with pytest.raises(UsageError, match=message):
        find_rule(spec)
