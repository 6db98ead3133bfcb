"""One instrument on several channels of a track is one part; parts side by side stay parts."""

from itertools import chain

import mido
import pytest

from melodyconstraints.melody.midi.scores import read_score
from melodyconstraints.melody.midi.selection import read_melody

BEAT = 480


def note(beat, channel, pitch, *, beats=1.0, late=0):
    """A note as (tick, message) of its start and its end."""
    own = {"channel": channel, "note": pitch}
    start = int(BEAT * beat) + late
    end = start + int(BEAT * beats)
    return [(start, mido.Message("note_on", **own)), (end, mido.Message("note_off", **own))]


def program(channel, number, tick=0, bank=0):
    bank_change = mido.Message("control_change", channel=channel, control=0, value=bank)
    return [
        (tick, bank_change),
        (tick, mido.Message("program_change", channel=channel, program=number)),
    ]


def write(path, *tracks, midi_type=1):
    """A file of tracks, each a list of lists of (tick, message)."""
    file = mido.MidiFile(type=midi_type, ticks_per_beat=BEAT)
    for lists in tracks:
        track, now = mido.MidiTrack(), 0
        for tick, message in sorted(chain(*lists), key=lambda timed: timed[0]):
            track.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    file.save(path)
    return path


PITCHES = [60 + 2 * (beat % 7) for beat in range(64)]


def line(channels, **how):
    """64 quarters, whose channels take turns."""
    return [
        note(beat, channels[beat % len(channels)], pitch, **how)
        for beat, pitch in enumerate(PITCHES)
    ]


@pytest.mark.parametrize("midi_type", [0, 1])
@pytest.mark.parametrize("programs", [[], [25]])
@pytest.mark.parametrize("beats", [0.5, 1, 1.25])
def test_a_line_over_six_strings_is_one_part(tmp_path, midi_type, programs, beats):
    """Staccato, quarters, and legato whose notes overlap by a sixteenth."""
    strings = range(6)
    settings = [program(string, number) for string in strings for number in programs]
    tune = line(strings, beats=beats)
    path = write(tmp_path / "guitar.mid", settings + tune, midi_type=midi_type)
    (part,) = read_score(path).parts
    assert part.pitches.tolist() == PITCHES
    assert part.program == (programs or [0])[0]
    found = read_melody(path)
    assert found.melody.pitches.tolist() == PITCHES
    assert found.place.startswith("bars 1-16 of track 1 (of 1 track")


def test_bent_notes_on_a_second_channel_fill_the_holes(tmp_path):
    """One note in eight, and chords on the first channel."""
    settings = [program(2, 28), program(3, 28)]
    tune = [note(beat, 3 if beat % 8 == 3 else 2, pitch) for beat, pitch in enumerate(PITCHES)]
    bass = [note(beat, 2, 40) for beat in range(64) if beat % 8 != 3]
    (part,) = read_score(write(tmp_path / "bends.mid", settings + tune + bass)).parts
    assert sorted(part.pitches.tolist()) == sorted(PITCHES + 56 * [40])


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("two programs", [program(0, 40), program(1, 41), *line([0, 1])]),
        ("two banks", [program(0, 40), program(1, 40, bank=8), *line([0, 1])]),
        ("one without a program", [program(0, 40), *line([0, 1])]),
        ("in parallel", line([0]) + line([1])),
        ("in parallel, loosely", line([0]) + line([1], late=59)),
        ("one after the other, overlapping by more than a sixteenth", line([0, 1], beats=1.3)),
    ],
)
@pytest.mark.parametrize("midi_type", [0, 1])
def test_parts_side_by_side_stay_parts(tmp_path, name, parts, midi_type):
    score = read_score(write(tmp_path / "parts.mid", parts, midi_type=midi_type))
    assert len(score.parts) == 2, name


@pytest.mark.parametrize(("late", "parts"), [(59, 2), (60, 1)])
def test_notes_half_a_step_apart_do_not_play_together(tmp_path, late, parts):
    tracks = line([0], beats=0.25) + line([1], beats=0.25, late=late)
    assert len(read_score(write(tmp_path / "echo.mid", tracks)).parts) == parts


def test_a_third_channel_with_another_program_makes_all_of_them_parts(tmp_path):
    settings = [program(0, 40), program(1, 40), program(2, 73)]
    path = write(tmp_path / "trio.mid", settings + line([0, 1]) + line([2]), midi_type=0)
    assert [len(part.pitches) for part in read_score(path).parts] == [32, 32, 64]


def test_one_note_in_twenty_may_sound_within_another(tmp_path):
    for held, count in ((3, 1), (4, 2)):
        over = [note(beat, 1, 50, late=-240, beats=0.4) for beat in range(1, 1 + held)]
        path = write(tmp_path / f"{held}.mid", line([0]) + over)
        assert len(read_score(path).parts) == count


def test_drums_of_the_track_are_a_part_of_their_own(tmp_path):
    drums = [note(beat, 9, 36) for beat in range(64)]
    path = write(tmp_path / "band.mid", line([0, 1]) + drums, midi_type=0)
    parts = read_score(path).parts
    assert [(part.is_drum, len(part.pitches)) for part in parts] == [(False, 64), (True, 64)]


def test_channels_of_two_tracks_are_two_parts(tmp_path):
    path = write(tmp_path / "duet.mid", line([0])[::2], line([1])[1::2])
    assert [len(part.pitches) for part in read_score(path).parts] == [32, 32]


def test_programs_of_an_instrument_change_in_time(tmp_path):
    changes = [
        program(channel, of, tick) for channel in (0, 1) for of, tick in ((26, 0), (28, 960))
    ]
    (part,) = read_score(write(tmp_path / "guitar.mid", changes + line([0, 1]))).parts
    assert part.program == 26
    assert part.programs_from(part.starts_ticks[:4]).tolist() == [26, 26, 28, 28]
