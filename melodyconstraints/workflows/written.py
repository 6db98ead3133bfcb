"""What of rules is written into every melody, so that it is neither learned nor searched for.

A rhythm says where the decoder may start notes; what it draws is moved to tones of chords. (Scales
and plain sets are written too, see :mod:`.knobs`.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from melodyconstraints.melody.chord_tones import Progression, on_chords
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.rules import Rule
from melodyconstraints.rules.tonality import parse_progression

_RHYTHM = "rhythm"
_ON_BEATS = {"chords": False, "beat-chords": True}
"""Whether the notes on beats alone are meant, by the name of a rule of chords."""


def is_of_rhythm(rule: Rule) -> bool:
    """Whether a rule is the library's of a rhythm."""
    return rule.is_own and rule.spec.partition(":")[0] == _RHYTHM


def is_of_chords(rule: Rule) -> bool:
    """Whether a rule is the library's of chords."""
    return rule.is_own and rule.spec.partition(":")[0] in _ON_BEATS


def rhythm_of(rules: Iterable[Rule]) -> str:
    """Signs of the first rule of a rhythm, see :mod:`melodyconstraints.melody.rhythm`, or ""."""
    return next((rule.spec.partition(":")[2] for rule in rules if is_of_rhythm(rule)), "")


def written_rules(model: MelodyVAE, rules: Sequence[Rule]) -> list[Rule]:
    """The first rules of a rhythm and of chords, if a model draws in what is asked for."""
    if not model.has_form:
        return []
    kinds = (is_of_rhythm, is_of_chords)
    return [rule for kind in kinds for rule in list(filter(kind, rules))[:1]]


def chord_writing(rules: Sequence[Rule]) -> Callable[[Melodies], Melodies] | None:
    """Function that moves notes to tones of the chords of the first rule of these; None without.

    Where a rule is of a set of pitch classes, to those that lie in it.
    """
    found = next(filter(is_of_chords, rules), None)
    if found is None:
        return None
    name, _, argument = found.spec.partition(":")
    chords, share = parse_progression(argument)
    inside = [chord.pitch_classes for chord in chords]
    for rule in rules:
        if rule.pitch_classes is not None:
            inside = [chord & rule.pitch_classes for chord in inside]
    progression = Progression(inside, share.low, _ON_BEATS[name])
    return partial(on_chords, progression=progression)


def both(
    first: Callable[[Melodies], Melodies] | None, then: Callable[[Melodies], Melodies] | None
) -> Callable[[Melodies], Melodies] | None:
    """One function and then another, either of which may be None."""
    if first is None or then is None:
        return first or then
    return lambda melodies: then(first(melodies))
