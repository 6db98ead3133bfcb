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
from melodyconstraints.rules.implied import allowed_pitch_classes
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


def is_settled(rule: Rule, rules: Sequence[Rule]) -> bool:
    """Whether what is written of a rule of :func:`written_rules` satisfies it, among other rules.

    Chords are not settled by that where there may be too many of their tones as well, or where
    one of them has no tone in the sets of other rules.
    """
    if not is_of_chords(rule):
        return True
    _, share = parse_progression(rule.spec.partition(":")[2])
    return share.high == 1 and all(_progression(rule, rules).chords)


def chord_writing(model: MelodyVAE, rules: Sequence[Rule]) -> Callable[..., Melodies] | None:
    """Function that moves notes to tones of the chords of :func:`written_rules`; None without.

    Where a rule is of a set of pitch classes, to those that lie in it. Keywords are those of
    :func:`.on_chords`.
    """
    found = next(filter(is_of_chords, written_rules(model, rules)), None)
    return None if found is None else partial(on_chords, progression=_progression(found, rules))


def _progression(rule: Rule, rules: Sequence[Rule]) -> Progression:
    """Chords of a rule, as far as they lie in the sets of rules."""
    name, _, argument = rule.spec.partition(":")
    chords, share = parse_progression(argument)
    allowed, inside = allowed_pitch_classes(rules), [chord.pitch_classes for chord in chords]
    if allowed is not None:
        inside = [chord & allowed for chord in inside]
    return Progression(inside, share.low, _ON_BEATS[name])


def both(
    first: Callable[[Melodies], Melodies] | None, then: Callable[[Melodies], Melodies] | None
) -> Callable[[Melodies], Melodies] | None:
    """One function and then another, either of which may be None."""
    if first is None or then is None:
        return first or then
    return lambda melodies: then(first(melodies))
