"""A rule of your own. Check it, then train for it:

    mc rules check FILE
    mc train-actor --rule FILE -o actors/mine

A rule is a function from a melody of 16 bars to a number from 0 to 1; 1 is satisfied. Give more
for coming closer: a training follows the rewards uphill, and it has no direction under a rule that
gives 0 to nearly every melody and 1 to a few.

A melody offers, as NumPy arrays (a step is a sixteenth note, 16 to a bar, 256 in all):

    len(melody)            number of notes; it may be 0
    melody.pitches         MIDI pitch of each note; 60 is middle C
    melody.pitch_classes   the same modulo 12; 0 is C
    melody.onsets          step at which each note starts, 0 to 255
    melody.durations       steps that each note lasts
    melody.intervals       semitones from each note to the next, one fewer than notes
    melody.bars            16 rows of 16 events: 0-127 a note starts, 128 it goes on, 129 silence

The arrays are read-only; work on a copy, such as melody.pitches.copy().

A file may hold several rules, named FILE:FUNCTION; a name with _ in front is a helper. Modules in
the folder of the file can be imported. What a rule prints goes to stderr.

Faster, the whole batch at once, for rules that take long (see `melodyconstraints.Melodies`; with
NumPy as np):

    @melodyconstraints.rule(batched=True)
    def many_notes(melodies):
        return np.minimum(melodies.note_counts / 100, 1)

On objects of other libraries, by annotation; `note_seq.NoteSequence` as well:

    def short_notes(midi: pretty_midi.PrettyMIDI) -> float:
        notes = midi.instruments[0].notes
        return sum(note.end - note.start < 0.3 for note in notes) / max(len(notes), 1)
"""  # noqa: D415

from melodyconstraints import Melody


def my_rule(melody: Melody) -> float:
    """The nearer the last note is to a C, the better."""
    if len(melody) == 0:
        return 0.0
    above_c = int(melody.pitches[-1]) % 12
    semitones_away = min(above_c, 12 - above_c)
    return 1 - semitones_away / 6
