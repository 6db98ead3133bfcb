"""Rules on pitch classes: sets, scales, keys, chords."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.chords import QUALITIES, Chord, parse_chord
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.modes import STABILITY, sounding_times, tonic_lags
from melodyconstraints.melody.metrics.statistics import pitch_class_entropy, scale_consistency
from melodyconstraints.melody.notes import Mask, Notes, Numbers
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR
from melodyconstraints.rules.arguments import (
    Range,
    german_hint,
    parse_number,
    parse_pitch_classes,
    parse_range,
    parse_shares,
    with_share,
)
from melodyconstraints.rules.building_blocks import range_rule
from melodyconstraints.rules.definition import Rule
from melodyconstraints.rules.rhythm import on_beat
from melodyconstraints.rules.scales import (
    SCALES,
    Scale,
    english_scale,
    nearest_scales,
    parse_scale,
)
from melodyconstraints.storage.text import shown

KRUMHANSL_KESSLER = np.array(
    [
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ]
)
"""``(2, 12)`` fit of each pitch class to C major and C minor (Krumhansl and Kessler 1982)."""
_CENTRED = KRUMHANSL_KESSLER - KRUMHANSL_KESSLER.mean(axis=1, keepdims=True)
_PROFILES = np.stack(
    [
        np.roll(profile / np.linalg.norm(profile), tonic)
        for profile in _CENTRED
        for tonic in range(12)
    ]
)
"""``(24, 12)``, of mean 0 and length 1: the major keys from C up, then the minor ones."""

_SOUNDS_STEPS = 2
"""Sixteenths for which a characteristic note of a scale sounds at least."""
_STEEPNESS = 4.0
"""Fall of the reward of a tonic: it is half where another fits better by log(2) / 4 = 0.17."""
_LONGEST_NAME = 40
"""Characters of a wrong name of a scale that are compared with others."""
MOST_ENTROPY = float(np.log2(12))


def pitch_classes_rule(name: str, argument: str) -> Rule:
    """Share of notes in a set of pitch classes, numbers (0 is C) or names.

    Sum over notes of 1(pitch class in set) / notes; 0 for silence. Engel et al. (2018),
    equation 4.
    """
    return in_set_rule(name, parse_pitch_classes(argument))


def cmajor_rule(name: str, argument: str) -> Rule:
    """Share of notes in C major, whichever of them is the tonic: the paper's rule.

    Sum over notes of 1(pitch class in C major) / notes; 0 for silence. Engel et al. (2018),
    equation 4. With C as tonic: scale:C-major.
    """
    if argument:
        raise UsageError(f"cmajor takes no argument, got {shown(argument)}")
    return in_set_rule(name, SCALES["major"], "C")


def scale_rule(name: str, argument: str) -> Rule:
    """Notes of a scale that rest on its tonic; Am is short for scale:A-minor.

    Product of three shares; 0 for silence. IN: notes in the scale / notes. CHARACTER: mean over
    the characteristic notes, by which the scale differs from the nearest of the seven modes on its
    tonic, of min(1, sixteenths that the note sounds / 2). TONIC: exp(-4 (s_best - s_tonic)), where
    s_t is the sum over the scale's notes of weight times log(stability above t / that of all notes
    of the scale) and s_best the greatest s of a note of the scale: 1 where no other note fits
    better as the tonic. Weight: share of sounding time, plus 0.2 for the last note, plus 0.1
    shared by the last notes of bars 4, 8, 12 and 16. Stability of the semitones above a tonic:
    {stability}, as real tunes in known modes have them. Scales without one tonic ({plain}) are
    plain sets, IN alone, as are pitch-classes and cmajor. The names: {scales}.
    """
    scale = _parse_scale(argument)
    if not scale.has_tonic:
        return in_set_rule(name, scale.pitch_classes, scale.key)
    inside = in_set_rule(name, scale.pitch_classes)

    def reward(melodies: Melodies) -> Numbers:
        sounding = sounding_times(melodies)[:, sorted(scale.characteristic)]
        character = (sounding / _SOUNDS_STEPS).clip(max=1).mean(axis=1)
        return (
            inside(melodies)
            * character
            * np.exp(-_STEEPNESS * tonic_lags(melodies, scale.from_tonic))
        )

    return Rule(
        name,
        reward,
        batched=True,
        description=f"notes in {_listed(scale.pitch_classes)}, of which "
        f"{_listed(scale.characteristic)} sound and none fits better as the tonic "
        f"than {scale.tonic}",
        pitch_classes=scale.pitch_classes,
        key=scale.key,
        tonic=scale.tonic,
    )


_FILLED_IN = {
    "{stability}": ", ".join(f"{share:.2f}" for share in STABILITY),
    "{plain}": ", ".join(name for name in SCALES if not Scale(0, name).has_tonic),
    "{scales}": ", ".join(SCALES),
}
for _place, _text in _FILLED_IN.items():
    scale_rule.__doc__ = (scale_rule.__doc__ or "").replace(_place, _text)


def _parse_scale(text: str) -> Scale:
    scale = parse_scale(text)
    if scale is None:
        raise UsageError(
            f"no scale is called {shown(text)}; {_remedy(text[:_LONGEST_NAME])}; "
            "see: mc rules show scale"
        )
    return scale


def _remedy(text: str) -> str:
    """Advice on what to write in place of a wrong name of a scale."""
    english, nearest = english_scale(text), nearest_scales(text)
    if english:
        return f"in English it is {english}"
    if nearest:
        return f"the nearest are {', '.join(nearest)}"
    return "write a tonic and a name, such as C-major or D-dorian"


def _listed(pitch_classes: Collection[int]) -> str:
    return "{" + ", ".join(map(str, sorted(pitch_classes))) + "}"


def cadence_rule(name: str, argument: str) -> Rule:
    """The melody ends on the tonic of a scale, reached by step or from the fifth.

    Mean of two: 1 - d / 6, d semitones in [0, 6] from the last note to the tonic on the circle of
    twelve; and max(0, 1 - d / 6), d semitones from the note before it, equal pitches left out, to
    the nearest of the scale's notes beside the last note, and the fifth above and the fourth below
    it where they are in the scale; 0 where no other pitch comes before. A full close of the
    melody; its last note alone: final-note.
    """
    scale = _parse_scale(argument)
    tonics = np.array([(pitch - scale.tonic) % 12 for pitch in range(128)])
    ending = 1 - np.minimum(tonics, 12 - tonics) / 6
    nearness = _approaches(scale)

    def reward(melodies: Melodies) -> Numbers:
        notes, closes = melodies.notes, np.zeros((2, len(melodies)))
        closes[0, notes.rows] = ending[notes.pitches]  # the last one written stays
        moves = notes.has_next(1) & (notes.intervals != 0)
        closes[1, notes.rows[:-1][moves]] = nearness[notes.intervals[moves] + 127]
        return closes.mean(axis=0)

    what = f"the melody ends on {scale.tonic}, reached by step or from the fifth"
    return Rule(name, reward, True, description=what, key=scale.key, tonic=scale.tonic)


def _approaches(scale: Scale) -> Numbers:
    """``(255,)`` nearness to the intervals of a cadence, for -127 to 127 semitones."""
    steps = sorted(SCALES[scale.name])
    before = [steps[1], steps[-1] - 12, *((7, -5) if 7 in steps else ())]
    distances = np.abs(np.arange(-127, 128)[:, None] + np.array(before))
    return (1 - distances.min(axis=1) / 6).clip(min=0)


def in_set_rule(name: str, allowed: Collection[int], key: str | None = None) -> Rule:
    """Make a rule of the share of notes whose pitch class is allowed, sum of 1(p in P) / |m|.

    The paper, equation 4. Silence satisfies nothing: its reward is 0.

    Args:
        allowed: pitch classes in [0, 11], at least one.
        key: signature that MIDI files get.

    Raises:
        UsageError: no pitch class, or one outside [0, 11].
    """
    if not allowed or not set(allowed) <= set(range(12)):
        raise UsageError(f"pitch classes must be some of 0 to 11, got {sorted(allowed)}")
    lookup = np.isin(np.arange(128) % 12, list(allowed))

    def reward(melodies: Melodies) -> Numbers:
        return melodies.notes.share(lookup[melodies.notes.pitches])

    description = f"share of notes in {_listed(allowed)}"
    return Rule(name, reward, True, description, pitch_classes=frozenset(allowed), key=key)


def key_rule(name: str, argument: str) -> Rule:
    """The major or minor key that the melody is in.

    With r_k the correlation of the pitch classes' sounding time with the profile of key k
    (Krumhansl and Kessler 1982, "Tracing the dynamic changes in perceived tonal organization"):
    1 where the wanted key has the greatest of the 24 (Krumhansl and Schmuckler), else
    1 - (greatest r - r_wanted) / 2; 0 where all pitch classes sound equally long, or none.
    """
    scale = parse_scale(argument) or parse_scale(f"{argument}-major")
    if scale is None or scale.name not in ("major", "minor"):
        english = english_scale(argument[:_LONGEST_NAME])
        raise UsageError(
            f"a key is written C-major, C, A-minor or Am, got {shown(argument)}"
            + (f"; in English it is {english}" if english else "")
        )
    wanted = scale.tonic + 12 * (scale.name == "minor")

    def reward(melodies: Melodies) -> Numbers:
        fits, moving = _key_correlations(melodies)
        behind = np.round(fits.max(axis=1) - fits[:, wanted], 9)
        return np.where(moving, (1 - behind / 2).clip(0, 1), 0)

    what = f"the key is {argument}"
    return Rule(name, reward, True, description=what, key=scale.key, tonic=scale.tonic)


def _key_correlations(melodies: Melodies) -> tuple[Numbers, Mask]:
    """``(B, 24)`` correlations with all keys, and a ``(B,)`` mask of where they are defined."""
    times = sounding_times(melodies)
    uneven = times - times.mean(axis=1, keepdims=True)
    lengths = np.sqrt((uneven * uneven).sum(axis=1))
    # einsum, as a matrix product's last bit depends on how many melodies there are
    fits = np.einsum("bp,kp->bk", uneven, _PROFILES) / np.maximum(lengths, 1e-9)[:, None]
    return fits, lengths > 1e-9


def chords_rule(name: str, argument: str) -> Rule:
    """Notes are tones of the chord of their bar, all or a share of them.

    One chord a bar, from the first again after the last; a note belongs to the bar in which
    it starts. x = chord tones / notes; x / LOW below the range, (1 - x) / (1 - HIGH) above it.
    A root and one of maj (or nothing), {chords}. The chord tone to non-chord tone ratio of Yeh et
    al. (2021), "Automatic Melody Harmonization with Triad Chords", without its passing tones.
    """
    return _chords_rule(name, argument, "notes", None)


def beat_chords_rule(name: str, argument: str) -> Rule:
    """Notes on the beat are tones of the chord of their bar, all or a share of them.

    As chords, of the notes that start on one of the four beats; x is 0 where none does.
    """
    return _chords_rule(name, argument, "notes on the beat", on_beat)


chords_rule.__doc__ = (chords_rule.__doc__ or "").replace(
    "{chords}", ", ".join(filter(None, QUALITIES))
)


def _chords_rule(
    name: str, argument: str, what: str, among: Callable[[Notes], Mask] | None
) -> Rule:
    chords, bounds = parse_progression(argument)
    text = with_share(argument)[0]
    sets = [chord.pitch_classes for chord in chords]
    tones = np.array([[pitch % 12 in allowed for pitch in range(128)] for allowed in sets])

    def share(melodies: Melodies) -> Numbers:
        notes = melodies.notes
        bars = notes.onsets // STEPS_PER_BAR % len(chords)
        hits = tones[bars, notes.pitches]
        return notes.share(hits, None if among is None else among(notes))

    rule = range_rule(name, f"share of {what} in the chords {text}", bounds, share)
    return replace(rule, chords=tuple(chord.symbol for chord in chords))


def parse_progression(argument: str) -> tuple[list[Chord], Range]:
    """Chords, one a bar, and the share of notes that are tones of them: ``C,Am,F,G,60%``.

    Raises:
        UsageError: a chord that is none, more than 16 of them, or no such share.
    """
    text, bounds = with_share(argument)
    chords = [_parse_chord(part.strip()) for part in text.split(",")]
    if len(chords) > BARS:
        raise UsageError(f"a progression has at most {BARS} chords, one a bar, got {len(chords)}")
    return chords, bounds


def _parse_chord(text: str) -> Chord:
    chord = parse_chord(text)
    if chord is None:
        raise UsageError(
            f"a chord is a root and one of maj, {', '.join(filter(None, QUALITIES))}, got "
            f"{shown(text)}{german_hint(text, lambda name: parse_chord(name) is not None)}"
        )
    return chord


def scale_consistency_rule(name: str, argument: str) -> Rule:
    """Share of notes in the major or minor scale that fits best, whichever it is.

    x = muspy.scale_consistency; x / LOW below the range, (1 - x) / (1 - HIGH) above it. MusPy
    (Dong et al. 2020), after Mogren (2016), "C-RNN-GAN".
    """

    def consistency(melodies: Melodies) -> Numbers:
        # a matrix product's last bit depends on how many melodies there are
        return np.round(scale_consistency(melodies), 12)

    return range_rule(name, "scale consistency", parse_shares(argument), consistency)


def entropy_rule(name: str, argument: str) -> Rule:
    """Number and evenness of the pitch classes, as their entropy in bits.

    x = muspy.pitch_class_entropy, -sum of p log2 p over the shares p of the pitch classes, in
    [0, 3.585]; x / LOW below the range, (3.585 - x) / (3.585 - HIGH) above it. MusPy (Dong et al.
    2020), after Wu and Yang (2020), "The Jazz Transformer on the Front Line".
    """
    bounds = parse_range(argument, parse_number, 0, MOST_ENTROPY, "bits")
    return range_rule(name, "entropy of pitch classes in bits", bounds, pitch_class_entropy)
