"""Scales by name: semitones above the tonic, and the key signature that each one is written in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from melodyconstraints.melody.metrics.modes import MODES
from melodyconstraints.rules.arguments import in_english, parse_note_name

SCALES: dict[str, tuple[int, ...]] = {
    "major": MODES["ionian"],
    "minor": MODES["aeolian"],
    **MODES,
    # harmonic and melodic minor, their modes and kin
    "harmonic-minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic-minor": (0, 2, 3, 5, 7, 9, 11),
    "harmonic-major": (0, 2, 4, 5, 7, 8, 11),
    "phrygian-dominant": (0, 1, 4, 5, 7, 8, 10),
    "ukrainian-dorian": (0, 2, 3, 6, 7, 9, 10),
    "dorian-b2": (0, 1, 3, 5, 7, 9, 10),
    "lydian-augmented": (0, 2, 4, 6, 8, 9, 11),
    "lydian-dominant": (0, 2, 4, 6, 7, 9, 10),
    "mixolydian-b6": (0, 2, 4, 5, 7, 8, 10),
    "half-diminished": (0, 2, 3, 5, 6, 8, 10),
    "altered": (0, 1, 3, 4, 6, 8, 10),
    # with two augmented seconds, and others of seven notes
    "double-harmonic": (0, 1, 4, 5, 7, 8, 11),
    "hungarian-minor": (0, 2, 3, 6, 7, 8, 11),
    "neapolitan-minor": (0, 1, 3, 5, 7, 8, 11),
    "neapolitan-major": (0, 1, 3, 5, 7, 9, 11),
    # five and six notes
    "major-pentatonic": (0, 2, 4, 7, 9),
    "minor-pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "major-blues": (0, 2, 3, 4, 7, 9),
    "hirajoshi": (0, 2, 3, 7, 8),
    "in-sen": (0, 1, 5, 7, 10),
    "iwato": (0, 1, 5, 6, 10),
    "kumoi": (0, 2, 3, 7, 9),
    "miyako-bushi": (0, 1, 5, 7, 8),
    # eight notes, and the symmetric ones
    "bebop-dominant": (0, 2, 4, 5, 7, 9, 10, 11),
    "bebop-major": (0, 2, 4, 5, 7, 8, 9, 11),
    "bebop-dorian": (0, 2, 3, 4, 5, 7, 9, 10),
    "half-whole": (0, 1, 3, 4, 6, 7, 9, 10),
    "whole-half": (0, 2, 3, 5, 6, 8, 9, 11),
    "augmented": (0, 3, 4, 7, 8, 11),
    "whole-tone": (0, 2, 4, 6, 8, 10),
    "chromatic": tuple(range(12)),
}

ALIASES = {
    "natural-minor": "minor",
    "jazz-minor": "melodic-minor",
    "spanish": "phrygian-dominant",
    "freygish": "phrygian-dominant",
    "acoustic": "lydian-dominant",
    "super-locrian": "altered",
    "byzantine": "double-harmonic",
    "gypsy-minor": "hungarian-minor",
    "pentatonic": "major-pentatonic",
    "minor-blues": "blues",
    "bebop": "bebop-dominant",
    "octatonic": "whole-half",
    "diminished": "whole-half",
    "dominant-diminished": "half-whole",
}
"""Other names of the same scales."""

_WRITTEN_AS_MAJOR = {
    **dict.fromkeys(("major", "ionian", "major-pentatonic", "major-blues"), 0),
    **dict.fromkeys(("harmonic-major", "double-harmonic", "bebop-major"), 0),
    **dict.fromkeys(("dorian", "dorian-b2", "ukrainian-dorian", "bebop-dorian", "kumoi"), -2),
    **dict.fromkeys(("phrygian", "phrygian-dominant", "in-sen", "miyako-bushi"), -4),
    **dict.fromkeys(("lydian", "lydian-augmented"), -5),
    **dict.fromkeys(("mixolydian", "lydian-dominant", "mixolydian-b6", "bebop-dominant"), -7),
    **dict.fromkeys(("locrian", "half-diminished", "altered", "iwato"), -11),
}
"""Semitones from the tonic to the major key of the same signature (D dorian is written in C).

A scale outside the signatures has that of the mode that it varies.
"""
_WRITTEN_AS_MINOR = frozenset(
    {"minor", "aeolian", "harmonic-minor", "melodic-minor", "minor-pentatonic", "blues"}
    | {"hungarian-minor", "neapolitan-minor", "neapolitan-major", "hirajoshi"}
)
_MAJOR_KEYS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_KEYS = ("Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm")

_NAMES = {**{name: name for name in SCALES}, **ALIASES}
_BY_PLAIN_NAME = {name.replace("-", ""): scale for name, scale in _NAMES.items()}
_BY_PLAIN_NAME |= {"maj": "major", "min": "minor"}
_AS_WRITTEN = {"": "major", "M": "major", "m": "minor"}
"""Scales by what stands behind a tonic in a key as musicians write it, where the case counts."""
_LEAST_LIKENESS = 0.7
"""Ratio of a scale's name to a text without a tonic from which on it may have been meant."""
_GERMAN_NAMES = {
    **{"dur": "major", "moll": "minor", "ionisch": "ionian", "dorisch": "dorian"},
    **{"phrygisch": "phrygian", "lydisch": "lydian", "mixolydisch": "mixolydian"},
    **{"äolisch": "aeolian", "aeolisch": "aeolian", "lokrisch": "locrian"},
    **{"harmonischmoll": "harmonic-minor", "melodischmoll": "melodic-minor"},
}


@dataclass(frozen=True)
class Scale:
    """A scale on a tonic.

    Args:
        tonic: pitch class, 0 is C.
        name: a key of :data:`SCALES`.
    """

    tonic: int
    name: str

    @property
    def pitch_classes(self) -> frozenset[int]:
        """Pitch classes of the scale, in [0, 11]."""
        return frozenset(self.from_tonic)

    @property
    def from_tonic(self) -> tuple[int, ...]:
        """Pitch classes of the scale, upwards from the tonic."""
        return tuple((self.tonic + step) % 12 for step in SCALES[self.name])

    @property
    def characteristic(self) -> frozenset[int]:
        """Pitch classes by which the scale differs from the nearest modes on its tonic.

        Of the sets of its notes that each of the seven modes lacks, the smallest that are not
        empty: B and F in D dorian, which D aeolian and D mixolydian lack.

        >>> sorted(Scale(2, "dorian").characteristic), sorted(Scale(9, "blues").characteristic)
        ([5, 11], [3, 4])
        """
        lacking = [set(SCALES[self.name]) - set(mode) for mode in MODES.values()]
        fewest = min(len(steps) for steps in lacking if steps)
        nearest = set().union(*(steps for steps in lacking if len(steps) == fewest))
        return frozenset((self.tonic + step) % 12 for step in nearest)

    @property
    def has_tonic(self) -> bool:
        """Whether its intervals set one note apart.

        False where the scale is itself on another of its notes, as the whole-tone scale is.
        """
        return all(
            Scale(other, self.name).pitch_classes != self.pitch_classes
            for other in self.pitch_classes - {self.tonic}
        )

    @property
    def key(self) -> str | None:
        """Key signature as MIDI names it, or None for a scale that has none of its own."""
        if self.name in _WRITTEN_AS_MAJOR:
            return _MAJOR_KEYS[(self.tonic + _WRITTEN_AS_MAJOR[self.name]) % 12]
        return _MINOR_KEYS[self.tonic] if self.name in _WRITTEN_AS_MINOR else None


def parse_scale(text: str) -> Scale | None:
    """Parse a tonic with a scale's name, or a key as musicians write it; None for another text.

    Names in any case, with or without dashes. A tonic alone is major where its letter is a
    capital; ``m`` is minor and ``M`` major.

    >>> parse_scale("cmajor"), parse_scale("Bb-minor-pentatonic")
    (Scale(tonic=0, name='major'), Scale(tonic=10, name='minor-pentatonic'))
    >>> parse_scale("Am"), parse_scale("C"), parse_scale("hmajor")
    (Scale(tonic=9, name='minor'), Scale(tonic=0, name='major'), None)
    """
    if text.endswith(("-", "_")):  # E- is E flat to some, E minor to others
        return None
    plain = re.sub(r"[-_ ]", "", text)
    plain = re.sub("^([A-Ga-g])(?:♯|sharp)", r"\1#", plain)
    plain = re.sub("^([A-Ga-g])(?:♭|flat)", r"\1b", plain)
    for letters in (2, 1):
        tonic, name = parse_note_name(plain[:letters]), plain[letters:]
        scale = _AS_WRITTEN.get(name) or _BY_PLAIN_NAME.get(name.lower())
        if name == "" and not plain[:1].isupper():
            continue
        if tonic is not None and scale is not None:
            return Scale(tonic % 12, scale)
    return None


def english_scale(text: str) -> str | None:
    """A scale with a German name, as it is called here; None for another text.

    H is B; before a German name of a scale B is B flat.

    >>> english_scale("H-dur"), english_scale("b-moll"), english_scale("Fis-dorian")
    ('B-major', 'Bb-minor', 'F#-dorian')
    >>> english_scale("B-major")
    """
    plain = re.sub(r"[-_ ]", "", text)
    ending = max(
        (name for name in _GERMAN_NAMES if plain.lower().endswith(name)), key=len, default=""
    )
    tonic = plain.removesuffix(plain[-len(ending) :]) if ending else ""
    english = "Bb" if tonic in ("B", "b") else in_english(tonic) or tonic.capitalize()
    if parse_note_name(english) is not None:
        return f"{english}-{_GERMAN_NAMES[ending]}"
    english = in_english(text) or ""
    return english if parse_scale(english) else None


def nearest_scales(text: str) -> list[str]:
    """Names of up to three scales near to a text, on its tonic where it begins with one.

    >>> nearest_scales("D-dorain"), nearest_scales("tonic")
    (['D-dorian', 'D-dorian-b2', 'D-locrian'], [])
    """
    match = re.match("([A-Ga-g][#b]?)[-_ ]*(.*)", text)
    if match is None:
        every = [f"{tonic}-{name}" for tonic in "CDEFGAB" for name in _NAMES]
        return get_close_matches(text, every, cutoff=_LEAST_LIKENESS)
    wanted = match[2].lower() or "minor or major"
    names = get_close_matches(wanted, _NAMES, cutoff=0)
    return [f"{match[1].capitalize()}-{name}" for name in names]
