"""Scales by name: the parsing table, the pitch classes, and key signatures that MIDI knows."""

import mido
import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.rules.arguments import parse_pitch_classes
from melodyconstraints.rules.scales import (
    ALIASES,
    SCALES,
    Scale,
    english_scale,
    parse_scale,
)

TONICS = {
    **{"C": 0, "C#": 1, "Db": 1, "D": 2, "D#": 3, "Eb": 3, "E": 4, "F": 5, "F#": 6, "Gb": 6},
    **{"G": 7, "G#": 8, "Ab": 8, "A": 9, "A#": 10, "Bb": 10, "B": 11, "Cb": 11, "E#": 5, "B#": 0},
}


@pytest.mark.parametrize(
    ("text", "tonic", "name"),
    [
        ("cmajor", 0, "major"),
        ("C-major", 0, "major"),
        ("C major", 0, "major"),
        ("c_MAJOR", 0, "major"),
        ("Bb-major", 10, "major"),
        ("bbmajor", 10, "major"),
        ("bmajor", 11, "major"),
        ("F#-dorian", 6, "dorian"),
        ("f#dorian", 6, "dorian"),
        ("bblues", 11, "blues"),
        ("bbblues", 10, "blues"),
        ("Bb-blues", 10, "blues"),
        ("eb-minor", 3, "minor"),
        ("a-harmonic-minor", 9, "harmonic-minor"),
        ("aharmonicminor", 9, "harmonic-minor"),
        ("Cb-ionian", 11, "ionian"),
        ("B#-chromatic", 0, "chromatic"),
        ("g-whole-tone", 7, "whole-tone"),
        ("C", 0, "major"),
        ("Bb", 10, "major"),
        ("F#", 6, "major"),
        ("B", 11, "major"),
        ("Am", 9, "minor"),
        ("am", 9, "minor"),
        ("Bm", 11, "minor"),
        ("Bbm", 10, "minor"),
        ("F#m", 6, "minor"),
        ("CM", 0, "major"),
        ("Cmaj", 0, "major"),
        ("Dmin", 2, "minor"),
        ("Eb min", 3, "minor"),
        ("A-Maj", 9, "major"),
        ("C♯ minor", 1, "minor"),
        ("A♭", 8, "major"),
        ("C-sharp-minor", 1, "minor"),
        ("E flat major", 3, "major"),
    ],
)
def test_a_scale_is_parsed(text, tonic, name):
    assert parse_scale(text) == Scale(tonic, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c",
        "bb",
        "f#",
        "Am7",
        "Cmajj",
        "H",
        "mM",
        "major",
        "hmajor",
        "c-swing",
        "c##major",
        "xcmajor",
        "cmajor7",
        "c:major",
    ],
)
def test_what_is_no_scale_is_none(text):
    assert parse_scale(text) is None


@pytest.mark.parametrize("name", SCALES)
def test_every_tonic_and_name_parses_with_and_without_dashes(name):
    for letter, tonic in TONICS.items():
        assert parse_scale(f"{letter}-{name}") == Scale(tonic, name)
        assert parse_scale(f"{letter}{name.replace('-', '')}".lower()) == Scale(tonic, name)


@pytest.mark.parametrize(
    ("german", "english"),
    [
        ("C-dur", "C-major"),
        ("a-moll", "A-minor"),
        ("H-dur", "B-major"),
        ("B-dur", "Bb-major"),
        ("b moll", "Bb-minor"),
        ("Hmoll", "B-minor"),
        ("es-moll", "Eb-minor"),
        ("As-dur", "Ab-major"),
        ("Fis_dorisch", "F#-dorian"),
        ("D-harmonisch-moll", "D-harmonic-minor"),
        ("H-blues", "B-blues"),
        ("Hm", "Bm"),
    ],
)
def test_german_names_are_known_by_their_english_ones(german, english):
    assert parse_scale(german) is None
    assert english_scale(german) == english
    assert parse_scale(english) is not None


@pytest.mark.parametrize("text", ["", "dur", "moll", "X-dur", "H-wide", "half", "C-major"])
def test_other_texts_have_no_english_name(text):
    assert english_scale(text) is None


@pytest.mark.parametrize(("other", "name"), ALIASES.items())
def test_another_name_means_the_same_scale(other, name):
    assert other not in SCALES
    assert parse_scale(f"Eb-{other}") == parse_scale(f"Eb-{name}") == Scale(3, name)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("C-major", "F B"),
        ("A-minor", "F B"),
        ("D-dorian", "F B"),
        ("E-phrygian", "F B"),
        ("G-mixolydian", "F B"),
        ("F-lydian", "B"),
        ("B-locrian", "F"),
        ("A-harmonic-minor", "G#"),
        ("A-melodic-minor", "C G#"),
        ("E-phrygian-dominant", "G#"),
        ("C-major-pentatonic", "E"),
        ("A-blues", "D# E"),
        ("C-double-harmonic", "Db E Ab B"),
    ],
)
def test_the_notes_that_set_a_scale_apart_from_the_nearest_modes(text, letters):
    assert parse_scale(text).characteristic == {TONICS[letter] for letter in letters.split()}


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_has_no_tonic_where_it_is_itself_on_another_note(name):
    symmetric = {"half-whole", "whole-half", "augmented", "whole-tone", "chromatic"}
    assert Scale(3, name).has_tonic == (name not in symmetric)


def test_all_scales_stand_on_their_own_tonic():
    assert all(steps[0] == 0 and sorted(set(steps)) == list(steps) for steps in SCALES.values())


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("C-major", "C D E F G A B"),
        ("A-minor", "A B C D E F G"),
        ("Bb-ionian", "Bb C D Eb F G A"),
        ("D-dorian", "D E F G A B C"),
        ("E-phrygian", "E F G A B C D"),
        ("F-lydian", "F G A B C D E"),
        ("G-mixolydian", "G A B C D E F"),
        ("A-aeolian", "A B C D E F G"),
        ("B-locrian", "B C D E F G A"),
        ("A-harmonic-minor", "A B C D E F G#"),
        ("A-melodic-minor", "A B C D E F# G#"),
        ("F#-major-pentatonic", "F# G# A# C# D#"),
        ("A-minor-pentatonic", "A C D E G"),
        ("C-blues", "C Eb F Gb G Bb"),
        ("C-whole-tone", "C D E F# G# A#"),
        ("A-hungarian-minor", "A B C D# E F G#"),
        ("E-phrygian-dominant", "E F G# A B C D"),
        ("D-ukrainian-dorian", "D E F G# A B C"),
        ("C-harmonic-major", "C D E F G Ab B"),
        ("C-double-harmonic", "C Db E F G Ab B"),
        ("C-neapolitan-minor", "C Db Eb F G Ab B"),
        ("C-neapolitan-major", "C Db Eb F G A B"),
        ("D-dorian-b2", "D Eb F G A B C"),
        ("C-lydian-augmented", "C D E F# G# A B"),
        ("C-lydian-dominant", "C D E F# G A Bb"),
        ("C-mixolydian-b6", "C D E F G Ab Bb"),
        ("C-half-diminished", "C D Eb F Gb Ab Bb"),
        ("C-altered", "C Db Eb E Gb Ab Bb"),
        ("C-major-blues", "C D Eb E G A"),
        ("C-hirajoshi", "C D Eb G Ab"),
        ("C-in-sen", "C Db F G Bb"),
        ("B-iwato", "B C E F A"),
        ("C-kumoi", "C D Eb G A"),
        ("C-miyako-bushi", "C Db F G Ab"),
        ("C-bebop", "C D E F G A Bb B"),
        ("C-bebop-major", "C D E F G Ab A B"),
        ("D-bebop-dorian", "D E F F# G A B C"),
        ("C-half-whole", "C Db Eb E F# G A Bb"),
        ("C-octatonic", "C D Eb F Gb Ab A B"),
        ("C-augmented", "C Eb E G Ab B"),
        ("Eb-chromatic", "C C# D D# E F F# G G# A A# B"),
    ],
)
def test_the_notes_of_known_scales(text, letters):
    assert parse_scale(text).pitch_classes == {TONICS[letter] for letter in letters.split()}


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_on_another_tonic_is_the_same_scale_moved(name):
    for tonic in range(12):
        moved = {(pitch_class + tonic) % 12 for pitch_class in Scale(0, name).pitch_classes}
        assert Scale(tonic, name).pitch_classes == moved


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("cmajor", "C"),
        ("D-dorian", "C"),
        ("E-phrygian", "C"),
        ("F-lydian", "C"),
        ("G-mixolydian", "C"),
        ("B-locrian", "C"),
        ("A-minor", "Am"),
        ("A-aeolian", "Am"),
        ("A-blues", "Am"),
        ("Bb-minor", "Bbm"),
        ("F#-major", "F#"),
        ("C#-major", "Db"),
        ("E-dorian", "D"),
        ("C-mixolydian", "F"),
        ("E-phrygian-dominant", "C"),
        ("A-hungarian-minor", "Am"),
        ("C-harmonic-major", "C"),
        ("G-lydian-dominant", "C"),
        ("B-altered", "C"),
        ("D-ukrainian-dorian", "C"),
        ("C-major-blues", "C"),
        ("C-octatonic", None),
        ("C-whole-tone", None),
        ("C-chromatic", None),
    ],
)
def test_the_key_signature_that_a_scale_is_written_in(text, key):
    assert parse_scale(text).key == key


@pytest.mark.parametrize("name", SCALES)
def test_midi_accepts_every_key_signature(name):
    for tonic in range(12):
        key = Scale(tonic, name).key
        if key is not None:
            assert mido.MetaMessage("key_signature", key=key).key == key


WITHIN_THEIR_SIGNATURE = (
    *("major", "minor", "ionian", "dorian", "phrygian", "lydian", "mixolydian", "aeolian"),
    *("locrian", "major-pentatonic", "minor-pentatonic", "hirajoshi", "in-sen", "iwato"),
    *("kumoi", "miyako-bushi"),
)


@pytest.mark.parametrize("name", sorted(WITHIN_THEIR_SIGNATURE))
def test_no_note_of_a_diatonic_scale_lies_outside_its_key_signature(name):
    for tonic in range(12):
        scale = Scale(tonic, name)
        assert scale.pitch_classes <= signature(scale).pitch_classes


@pytest.mark.parametrize("name", sorted(set(SCALES) - set(WITHIN_THEIR_SIGNATURE)))
def test_of_other_scales_no_more_than_three_notes_do(name):
    for tonic in range(12):
        scale = Scale(tonic, name)
        assert not scale.key or len(scale.pitch_classes - signature(scale).pitch_classes) <= 3


def signature(scale):
    minor = scale.key.endswith("m")
    return Scale(TONICS[scale.key.rstrip("m")], "minor" if minor else "major")


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("0", {0}),
        ("0,2,4,7,9", {0, 2, 4, 7, 9}),
        (" 11 , 0 ", {0, 11}),
        ("C,E,G", {0, 4, 7}),
        ("f#,Bb,3", {3, 6, 10}),
        ("Cb,B#,E#,Fb", {11, 0, 5, 4}),
        ("5,5,F", {5}),
    ],
)
def test_pitch_classes_are_parsed(text, classes):
    assert parse_pitch_classes(text) == classes


@pytest.mark.parametrize(
    ("text", "part"),
    [("", ""), ("12", "12"), ("0,,4", ""), ("-1", "-1"), ("H", "H"), ("C##", "C##"), ("1.5", "1")],
)
def test_what_is_no_pitch_class_is_named(text, part):
    with pytest.raises(UsageError, match=rf"numbers 0-11 or note names .* got '{part}.*' in '"):
        parse_pitch_classes(text)
