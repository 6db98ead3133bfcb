"""Rules on what comes again against rewards computed by hand."""

import mido
import numpy as np
import pytest

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.rules import find_rule


def line(*pitches, apart=4):
    return Melody.from_notes([(apart * n, apart, pitch) for n, pitch in enumerate(pitches)])


def reward(spec, *melodies):
    return find_rule(spec)(Melodies.stack(melodies)).tolist()


def test_bars_apart_share_notes_of_one_place_and_pitch():
    same_notes = Melody.from_notes([(0, 4, 60), (4, 4, 62), (16, 1, 60), (20, 9, 62)])
    assert reward("bars-alike:1", same_notes) == [2 * 2 / (4 + 2)]
    whole = line(*range(60, 76), apart=16)
    assert reward("bars-alike:1", whole) == [0]
    assert reward("rhythm-alike:1", whole) == [1]
    assert reward("bars-alike:15", line(*[60] * 15, 61, apart=16)) == [0]
    assert reward("bars-alike:15", line(60, *[61] * 14, 60, apart=16)) == [1]


def test_a_share_may_be_asked_for_or_forbidden():
    half = line(*[60, 61, 60, 62] * 4, apart=16)  # of 14 pairs two bars apart 7 are equal
    assert reward("bars-alike:2", half) == [0.5]
    assert reward("bars-alike:2,50%", half) == [1]
    assert reward("bars-alike:2,..25%", half) == [pytest.approx(0.5 / 0.75)]


def test_bars_too_far_apart_from_any_other_are_not_compared():
    middle = Melody.from_notes([(16 * 7, 16, 60), (16 * 8, 16, 60)])
    assert reward("bars-alike:15", middle) == [0]
    assert reward("bars-alike:9", middle) == [0]


@pytest.mark.parametrize(
    ("motif", "expected"),
    [
        ("+2+2,1", 1),
        ("+2+2,2", 1),
        ("+2+2,3", 5 / 6),  # the third best place has one of two intervals right
        ("+2,4", 1),
        ("+2,5", 0.8),
        ("-4,1", 1),
        ("+4,1", 0),
        ("+2+2-4,1", 1),
        ("+2+2-4,2", (1 + 1 / 3) / 2),
        ("+2+2+0,1", 2 / 3),
        ("+2/4+2/4,1", 1),
        ("+2/2+2/4,1", 0.5),
        ("_/4,5", 1),
        ("_,6", 5 / 6),
        ("_/2,1", 0),
        ("+2+2-4+2+2,1", 1),
        ("+2+2-4+2+2+2,1", 0),
    ],
)
def test_motifs_are_counted_at_any_pitch(motif, expected):
    tune = line(60, 62, 64, 60, 62, 64)  # +2 +2 -4 +2 +2
    assert reward(f"motif:{motif}", tune, line(60)) == pytest.approx([expected, 0])


def test_a_motif_does_not_run_from_one_melody_into_the_next():
    assert reward("motif:+2,1", line(60), line(62), line(60, 62)) == [0, 0, 1]


@pytest.fixture
def tune(tmp_path):
    path = tmp_path / "tune.mid"
    write_melody(line(60, 62, 64, 65, 67, 72), path)
    return path


def test_novelty_is_the_share_of_runs_that_the_file_lacks(tune):
    copied, partly = line(50, 52, 54, 55, 57, 62), line(60, 62, 64, 65, 67, 66)
    assert reward(f"novelty:{tune}", copied, partly, line(1, 2, 3, 4, 5)) == [0, 0.5, 1]
    assert reward(f"novelty:{tune},5", partly) == [1]
    assert reward(f"novelty:{tune},1", line(60, 62, 61, 67)) == [pytest.approx(2 / 3)]


def test_another_rhythm_and_too_few_notes_are_novel(tune):
    assert reward(f"novelty:{tune}", line(60, 62, 64, 65, 67, apart=2), line(60)) == [1, 1]


def test_the_specification_of_novelty_has_the_whole_path(tune, monkeypatch):
    monkeypatch.chdir(tune.parent)
    found = find_rule("novelty:tune.mid,3")
    assert (found.name, found.spec) == ("novelty:tune.mid,3", f"novelty:{tune.resolve()},3")
    assert find_rule("novelty:tune.mid").spec == f"novelty:{tune.resolve()},4"


def test_all_parts_but_drums_are_compared_with(tmp_path):
    file = mido.MidiFile(ticks_per_beat=4)
    for channel, steps in ((0, (60, 60, 60)), (1, (60, 61, 62)), (9, (60, 63, 66))):
        track = mido.MidiTrack()
        for pitch in steps:
            track.append(mido.Message("note_on", note=pitch, velocity=64, channel=channel))
            track.append(mido.Message("note_off", note=pitch, time=4, channel=channel))
        file.tracks.append(track)
    file.save(tmp_path / "band.mid")
    melodies = line(70, 70, 70), line(70, 71, 72), line(70, 73, 76)
    assert reward(f"novelty:{tmp_path / 'band.mid'},2", *melodies) == [0, 0, 1]


def test_long_gaps_of_the_file_are_no_other_intervals(tmp_path):
    track = mido.MidiTrack()
    for start, pitch in ((0, 60), (4100 - 4, 60)):  # 4096 + 4 sixteenths apart
        track.append(mido.Message("note_on", note=pitch, velocity=64, time=start))
        track.append(mido.Message("note_off", note=pitch, time=4))
    mido.MidiFile(ticks_per_beat=4, tracks=[track]).save(tmp_path / "slow.mid")
    assert reward(f"novelty:{tmp_path / 'slow.mid'},1", line(60, 61), line(60, 60)) == [1, 1]


def test_runs_agree_with_a_set_of_tuples(tmp_path):
    rng = np.random.default_rng(4)
    model, other = (line(*rng.integers(60, 63, 128), apart=2) for _ in range(2))
    write_melody(model, tmp_path / "model.mid")
    known = {tuple(model.intervals[n : n + 5]) for n in range(123)}
    runs = [tuple(other.intervals[n : n + 5]) for n in range(123)]
    share = sum(run not in known for run in runs) / 123
    assert 0 < share < 1
    assert reward(f"novelty:{tmp_path / 'model.mid'},5", other) == pytest.approx([share])


def test_a_file_that_cannot_be_read_or_has_no_notes_is_named(tmp_path):
    (tmp_path / "bad.mid").write_bytes(b"no music")
    with pytest.raises(MidiError, match=r"bad\.mid: "):
        find_rule(f"novelty:{tmp_path / 'bad.mid'}")
    write_melody(Melody.from_notes([]), tmp_path / "silent.mid")
    with pytest.raises(MidiError, match=r"silent\.mid holds no notes in bars of 4/4 or 2/2"):
        find_rule(f"novelty:{tmp_path / 'silent.mid'}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bars-alike:0", "a distance in bars must be a whole number from 1 to 15, got '0'"),
        ("bars-alike:16", "got '16'"),
        ("bars-alike:4,half", "got '4,half'"),
        ("motif:+2+2", "how often a motif comes must be a whole number from 1 to 255, got ''"),
        ("motif:+2+2,0", "got '0'"),
        ("motif:2,2", r"a motif is written \+2\+2-4,TIMES, .*, got '2'"),
        ("motif:,2", "got ''"),
        ("novelty:tune.mid,0", "a number of intervals must be a whole number from 1 to 64, got"),
    ],
)
def test_arguments_that_make_no_sense(spec, message):
    with pytest.raises(UsageError, match=message):
        find_rule(spec)
