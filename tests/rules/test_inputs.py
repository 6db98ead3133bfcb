"""What a rule is handed: by annotation, by option, and never without need."""

import subprocess
import sys

import numpy as np
import pretty_midi
import pretty_midi as pm
import pytest

from melodyconstraints.errors import RuleError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import find_rule, find_rules, rule
from melodyconstraints.rules.inputs import input_of

# a quarter, then an eighth, at 120 quarters a minute
TUNE = Melody.from_notes([(0, 4, 60), (4, 2, 64)])
TWO = Melodies.stack([Melody.from_notes([]), TUNE])


def by_class(midi: pretty_midi.PrettyMIDI) -> float:
    return float(sum(note.end - note.start for note in midi.instruments[0].notes))


def by_text(midi: "pretty_midi.PrettyMIDI") -> float:
    return by_class(midi)


def by_alias(midi: "pm.PrettyMIDI") -> float:
    return by_class(midi)


def test_a_rule_on_pretty_midi_sees_notes_in_seconds():
    for function in (by_class, by_text, by_alias):
        assert rule(function)(TWO).tolist() == [0.0, 0.75]
    assert rule(takes="pretty_midi")(lambda midi: midi.get_end_time())(TWO).tolist() == [0, 0.75]


def test_a_rule_on_note_sequences_sees_notes_in_seconds():
    def total(sequence: "note_seq.NoteSequence") -> float:  # noqa: F821 (read by its name)
        return sequence.notes[0].end_time / sequence.total_time if sequence.notes else 0.0

    expected = [0.0, 0.5 / 32]
    assert rule(total)(TWO).tolist() == expected
    untold = rule(takes="note_sequence")(lambda sequence: total(sequence))
    assert untold(TWO).tolist() == expected


def test_a_plain_function_of_a_batch_is_told_by_its_annotation():
    def counts(melodies: Melodies):
        return melodies.note_counts / 2

    (found,) = find_rules([counts])
    assert found.batched
    assert found(TWO).tolist() == [0.0, 1.0]
    assert rule(takes="batch")(lambda melodies: melodies.note_counts / 4)(TWO)[1] == 0.5


@pytest.mark.parametrize(
    ("function", "asked"),
    [
        (lambda melody: 1, "melody"),
        (lambda: 1, "melody"),
        (float, "melody"),
        (np.add, "melody"),
        (by_class, "pretty_midi"),
    ],
)
def test_a_function_that_is_silent_is_handed_a_melody(function, asked):
    assert input_of(function) == asked


def test_an_option_goes_before_the_annotation():
    @rule(takes="melody")
    def notes(midi: pretty_midi.PrettyMIDI):
        return len(midi) / 2

    assert notes(TWO).tolist() == [0.0, 1.0]


RENAMED = """
from __future__ import annotations
from typing import TYPE_CHECKING
from pretty_midi import PrettyMIDI as Midi
if TYPE_CHECKING:
    import note_seq

def seconds(midi: Midi) -> float:
    return midi.get_end_time()

def notes(sequence: note_seq.NoteSequence) -> float:
    return len(sequence.notes) / 4
"""


def test_a_file_with_postponed_annotations_and_other_names(tmp_path):
    path = tmp_path / "renamed.py"
    path.write_text(RENAMED, encoding="utf-8")
    assert find_rule(f"{path}:seconds")(TWO).tolist() == [0.0, 0.75]
    assert find_rule(f"{path}:notes")(TWO).tolist() == [0.0, 0.5]


def test_what_such_a_rule_raises_is_told_like_any_other():
    @rule
    def wrong(midi: pretty_midi.PrettyMIDI):
        return midi.instruments[1].program

    with pytest.raises(RuleError, match=r"rule wrong raised IndexError: .* for melody 1 of 2"):
        wrong(TWO)


def test_options_that_cannot_be_meant_are_refused():
    expected = "takes must be one of melody, pretty_midi, note_sequence, batch, got 'music21'"
    with pytest.raises(UsageError, match=expected):
        rule(takes="music21")
    with pytest.raises(UsageError, match="a batched rule takes a batch, got takes='pretty_midi'"):
        rule(batched=True, takes="pretty_midi")


def test_neither_library_is_imported_before_such_a_rule_is_called():
    program = (
        "import sys\nfrom melodyconstraints.rules import rule\n"
        "@rule(takes='note_sequence')\ndef mine(sequence): return 1\n"
        "sys.exit('note_seq' in sys.modules or 'pretty_midi' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
