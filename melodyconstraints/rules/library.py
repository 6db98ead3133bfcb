"""The table of the rules that stand alone; a new rule is a row and a function.

The registry adds the row of ``not``, which takes another rule.

The function takes a specification and its argument behind the colon. Its docstring documents the
rule: one line, then formula, range and source. ``mc rules``, the contract tests and the benchmark
read the table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.metrics.statistics import PITCH_CLASS_FEATURES
from melodyconstraints.rules import pitch, repetition, rhythm, tonality
from melodyconstraints.rules.definition import Rule
from melodyconstraints.storage.text import shown


@dataclass(frozen=True)
class LibraryRule:
    """A row of ``mc rules list``.

    Args:
        group: heading of the rule's rows.
        name: name before the colon.
        argument: form of the argument behind the colon, for the reader.
        example: a whole specification.
        make: function from specification and argument to a rule; its docstring documents the rule.
        affected_features: see :class:`melodyconstraints.rules.definition.Rule`.
    """

    group: str
    name: str
    argument: str
    example: str
    make: Callable[[str, str], Rule]
    affected_features: frozenset[str]

    @property
    def summary(self) -> str:
        """First line of the documentation."""
        return self._documentation[0].rstrip(".")

    @property
    def formula(self) -> str:
        """Formula, range and source, as one paragraph."""
        return " ".join(" ".join(self._documentation[1:]).split())

    @property
    def _documentation(self) -> list[str]:
        return (inspect.getdoc(self.make) or "").splitlines()

    def build(self, spec: str) -> Rule:
        """Make the rule of a specification.

        Raises:
            UsageError: the argument is wrong.
        """
        _, _, argument = spec.partition(":")
        try:
            rule = self.make(spec, argument)
        except UsageError as error:
            raise UsageError(f"{shown(spec)}: {error}; for example {self.example}") from error
        return replace(rule, affected_features=rule.affected_features | self.affected_features)


NOTHING = frozenset[str]()
TONES = PITCH_CLASS_FEATURES
"""Features of the pitch classes."""
COMPASS = frozenset({"pitch_range", "pitches_used"})
"""Features of the range of pitches."""
INTERVALS = frozenset({"interval_histogram"})
LENGTHS = frozenset({"note_length_histogram"})
GROOVE = frozenset({"groove_consistency"})
SILENCE = frozenset({"empty_bars", "empty_beats"})
NOTES = LENGTHS | SILENCE | {"notes_per_bar"}
"""Features of the number of notes: more notes are shorter and leave fewer rests."""

STANDALONE = tuple(
    LibraryRule(group, *row)
    for group, rows in {
        "tonality": (
            ("cmajor", "", "cmajor", tonality.cmajor_rule, TONES),
            ("scale", "TONIC-NAME", "scale:D-dorian", tonality.scale_rule, TONES),
            (
                "pitch-classes",
                "P,P,...",
                "pitch-classes:0,2,4,7,9",
                tonality.pitch_classes_rule,
                TONES,
            ),
            ("cadence", "TONIC-NAME", "cadence:D-dorian", tonality.cadence_rule, NOTHING),
            ("key", "KEY", "key:A-minor", tonality.key_rule, TONES),
            ("chords", "CHORD,...[,SHARE]", "chords:C,Am,F,G,60%", tonality.chords_rule, TONES),
            (
                "beat-chords",
                "CHORD,...[,SHARE]",
                "beat-chords:C,Am,F,G",
                tonality.beat_chords_rule,
                TONES,
            ),
            (
                "scale-consistency",
                "SHARE",
                "scale-consistency:95%",
                tonality.scale_consistency_rule,
                TONES,
            ),
            ("entropy", "BITS", "entropy:2.5..3", tonality.entropy_rule, TONES),
        ),
        "pitch": (
            ("compass", "PITCHES", "compass:C4..C6", pitch.compass_rule, COMPASS),
            ("tessitura", "PITCHES", "tessitura:C5..C6", pitch.tessitura_rule, NOTHING),
            ("rise", "SEMITONES", "rise:2..5", pitch.rise_rule, NOTHING),
            ("ambitus", "SEMITONES", "ambitus:..12", pitch.ambitus_rule, COMPASS),
            ("first-note", "NOTE,...", "first-note:C,G", pitch.first_note_rule, NOTHING),
            ("final-note", "NOTE,...", "final-note:C", pitch.final_note_rule, NOTHING),
            ("contour", "SHAPE", "contour:arch", pitch.contour_rule, NOTHING),
        ),
        "intervals": (
            ("steps", "SHARE", "steps:60%", pitch.steps_rule, INTERVALS),
            ("leaps", "SHARE", "leaps:..20%", pitch.leaps_rule, INTERVALS),
            ("max-leap", "N", "max-leap:7", pitch.max_leap_rule, INTERVALS),
            ("leaps-resolved", "N", "leaps-resolved:5", pitch.leaps_resolved_rule, INTERVALS),
            ("max-repeats", "N", "max-repeats:3", pitch.max_repeats_rule, INTERVALS),
        ),
        "rhythm": (
            ("density", "NOTES", "density:192", rhythm.density_rule, NOTES),
            ("on-beat", "SHARE", "on-beat:60%", rhythm.on_beat_rule, NOTHING),
            ("off-beat", "SHARE", "off-beat:50%", rhythm.off_beat_rule, NOTHING),
            ("syncopation", "SHARE", "syncopation:25%", rhythm.syncopation_rule, NOTHING),
            ("max-length", "LENGTH", "max-length:1/4", rhythm.max_length_rule, LENGTHS),
            (
                "min-length",
                "LENGTH",
                "min-length:1/8",
                rhythm.min_length_rule,
                LENGTHS | {"notes_per_bar"},
            ),
            ("long-ending", "[BEATS]", "long-ending:1", rhythm.long_ending_rule, NOTHING),
            ("mean-length", "SIXTEENTHS", "mean-length:2..3", rhythm.mean_length_rule, NOTES),
            ("rests", "SHARE", "rests:10%..30%", rhythm.rests_rule, SILENCE),
            ("rhythm", "PATTERN", "rhythm:x..x..x.....x...", rhythm.rhythm_rule, NOTES | GROOVE),
            ("groove", "SHARE", "groove:90%", rhythm.groove_rule, GROOVE),
        ),
        "repetition": (
            (
                "bars-alike",
                "BARS[,SHARE]",
                "bars-alike:4,50%",
                repetition.bars_alike_rule,
                GROOVE | {"repeated_bars"},
            ),
            (
                "rhythm-alike",
                "BARS[,SHARE]",
                "rhythm-alike:2",
                repetition.rhythm_alike_rule,
                GROOVE,
            ),
            ("motif", "MOTIF,TIMES", "motif:+2+2-4,4", repetition.motif_rule, INTERVALS),
            ("novelty", "FILE[,INTERVALS]", "novelty:tune.mid", repetition.novelty_rule, NOTHING),
        ),
    }.items()
    for row in rows
)
