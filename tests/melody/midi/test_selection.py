"""The 16 bars of a MIDI file that a musician expects, for files made by hand."""

import contextlib

import mido
import numpy as np
import pytest

from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.selection import read_melody

WALK = (60, 62, 64, 65, 67, 69, 67, 65)


def bars(first, last, *, up=0, beats=4, start=None):
    """A walk of quarters from one bar to another, both inclusive and from 1, in quarters."""
    start = beats * (first - 1) if start is None else start
    count = beats * (last - first + 1)
    return [(start + i, start + i + 1, WALK[i % 8] + up) for i in range(count)]


def chords(first, last, *, up=0):
    """The walk with a third under each note."""
    return [(s, e, p - third) for s, e, p in bars(first, last, up=up) for third in (0, 4)]


def walk(count, *, up=0):
    """The first bars of the walk as a melody."""
    return Melody.from_notes([(int(4 * s), 4, p) for s, _, p in bars(1, count, up=up)])


@pytest.fixture
def read(make_midi, tmp_path):
    """Writes a file of the given parts and reads it."""

    def make_and_read(*parts, signatures=(), tempo=None, **options):
        path = make_midi(tmp_path / "song.mid", parts, signatures=signatures, tempo=tempo)
        return read_melody(path, **options)

    return make_and_read


@pytest.mark.parametrize("midi_type", [0, 1])
@pytest.mark.parametrize("ticks_per_quarter", [96, 960])
def test_formats_and_resolutions_of_others_are_read(
    make_midi, tmp_path, midi_type, ticks_per_quarter
):
    path = make_midi(
        tmp_path / "tune.mid",
        [(0, "Flute", [(0, 1, 60), (1, 1.5, 64), (4, 6, 67)])],
        signatures=[(0, 4, 4)],
        tempo=90,
        midi_type=midi_type,
        ticks_per_quarter=ticks_per_quarter,
    )
    found = read_melody(path)
    assert found.melody == Melody.from_notes([(0, 4, 60), (4, 2, 64), (16, 8, 67)])
    assert (found.track, found.program, found.bars) == ("Flute", 40, 2)
    assert found.tempo == pytest.approx(90, abs=1e-3)


# Which bars


def test_a_melody_that_begins_late_is_taken_from_its_beginning(read):
    found = read((0, "Tune", bars(9, 24)))
    assert found.melody == walk(16)
    assert found.place == "bars 9-24 of track 'Tune' (of 1 track, 24 bars)"


def test_of_a_longer_file_the_first_full_bars_are_taken(read):
    notes = [(4 * bar, 4 * bar + 4, 60 + bar) for bar in range(20)]
    found = read((0, "Long", notes))
    assert found.place == "bars 1-16 of track 'Long' (of 1 track, 20 bars)"
    assert found.melody.pitches.tolist() == list(range(60, 76))
    assert found.melody.durations.tolist() == [16] * 16


def test_the_fewest_silent_bars_win_then_the_earliest(read):
    # one silent bar, then two, then none in 16 bars, twice
    tune = bars(1, 4) + bars(6, 20) + bars(23, 30) + bars(33, 70)
    assert (read((0, "", tune)).first_bar, read((0, "", tune[:-80])).first_bar) == (33, 33)
    assert read((0, "", bars(1, 4) + bars(6, 20))).first_bar == 1
    assert read((0, "", bars(1, 4) + bars(6, 21))).first_bar == 6


def test_bars_that_pass_the_filters_win_over_fuller_ones(read):
    drone = [(4 * bar, 4 * bar + 4, 60) for bar in range(16)]  # no melody: one pitch
    found = read((0, "", drone + bars(33, 40) + bars(42, 48)))
    assert (found.first_bar, found.last_bar) == (33, 48)


def test_where_no_bars_pass_those_that_begin_with_sound_win(read):
    found = read((0, "Tune", bars(11, 16)), (1, "Other", bars(1, 30, up=-12)), track="Tune")
    assert found.place == "bars 11-26 of track 'Tune' (of 2 tracks, 30 bars)"
    assert found.melody == walk(6)


def test_a_melody_at_the_end_is_filled_up(read):
    found = read((0, "Tune", bars(15, 20)))
    assert found.melody == walk(6)
    assert found.place == (
        "bars 15-20 of track 'Tune' (of 1 track, 20 bars), filled up to 16 bars with silence"
    )


def test_a_shorter_file_is_taken_whole_with_the_silence_before_it(read):
    found = read((0, "Short", bars(3, 10)))
    assert found.melody == Melody(np.concatenate([[129] * 32, walk(14).events[:128], [129] * 96]))
    assert found.place == (
        "bars 1-10 of track 'Short' (of 1 track, 10 bars), filled up to 16 bars with silence"
    )


def test_a_file_of_one_bar(read):
    place = "bar 1 of track 'One' (of 1 track, 1 bar), filled up to 16 bars with silence"
    assert read((0, "One", [(0, 1, 60)])).place == place


def test_a_file_of_16_bars_is_taken_whole(read):
    found = read((0, "Tune", bars(2, 16)))
    assert (found.first_bar, found.last_bar) == (1, 16)
    assert len(found.melody) == 60


def test_a_note_held_over_the_first_bar_line_begins_there(read):
    found = read((0, "", [(14, 20, 72), *bars(6, 30)]), bar=5)
    assert found.melody.onsets[:2].tolist() == [0, 16]
    assert found.melody.pitches[:2].tolist() == [72, 60]


def test_a_note_that_ends_just_after_a_bar_line_makes_no_bar_more(read):
    found = read((0, "", [*bars(1, 15), (60, 64.1, 60)]))
    assert (found.bars, found.last_bar) == (16, 16)
    found = read((0, "", [*bars(1, 9), (36, 40.1, 60)]))
    assert (found.bars, found.last_bar) == (10, 10)
    assert read((0, "", [*bars(1, 16), (63.9, 64.0, 60)])).bars == 17


def test_the_longest_track_says_how_many_bars_there_are(read):
    found = read((0, "Tune", bars(1, 16)), (9, "Drums", [(0, 1, 36), (79, 80, 36)]))
    assert (found.bars, found.tracks) == (20, 2)
    assert found.place == "bars 1-16 of track 'Tune' (of 2 tracks, 20 bars)"


# Which track


def test_a_track_that_is_named_melody_wins_wherever_it_stands(read):
    others = [(0, "Strings", bars(1, 20, up=12)), (1, "Bass", bars(1, 20, up=-24))]
    found = read(*others, (2, "Melody", bars(3, 18)))
    assert found.place == "bars 3-18 of track 'Melody' (of 3 tracks, 20 bars)"
    assert (found.program, found.number, found.melody) == (42, 3, walk(16))


def test_a_melody_wins_over_voices_and_voices_over_others(read):
    flute, voice, melody = (
        (channel, name, bars(1, 16, up=channel))
        for channel, name in enumerate(["Flute", "Lead Vocals", "MELODY"])
    )
    assert read(flute, voice).track == "Lead Vocals"
    assert read(voice, melody, flute).track == "MELODY"
    assert read(flute, (1, "Backing Vocals", bars(1, 16, up=-2))).track == "Flute"


@pytest.mark.parametrize(("notes", "track"), [(7, "Flute"), (8, "Lead")])
def test_a_name_counts_for_a_track_with_some_notes(read, notes, track):
    assert read((0, "Lead", bars(1, 2)[:notes]), (1, "Flute", bars(1, 20))).track == track


def test_without_a_name_the_highest_single_voice_wins(read):
    parts = [
        (0, "Chords", chords(1, 16, up=12)),
        (1, "Alto", bars(1, 16)),
        (2, "Soprano", bars(1, 16, up=5)),
        (3, "Bass", bars(1, 16, up=-17)),
    ]
    assert read(*parts).track == "Soprano"
    assert read(parts[0], parts[3]).track == "Chords"


def test_a_track_that_holds_a_melody_wins_over_one_that_passes_no_filter(read):
    high = [(4 * bar, 4 * bar + 1, 84) for bar in range(16)]
    assert read((0, "Bell", high), (1, "Tune", bars(1, 16))).track == "Tune"


def test_of_equal_tracks_the_first_wins(read):
    assert read((0, "One", bars(1, 16)), (1, "Two", bars(1, 16))).track == "One"


def test_drums_are_never_a_melody(read):
    found = read((9, "Melody", bars(1, 16)), (1, "Oboe", bars(1, 16, up=-12)))
    assert (found.track, found.number, found.tracks) == ("Oboe", 2, 2)


def test_a_track_without_a_name_is_called_by_its_number(read):
    found = read((9, "Drums", [(0, 1, 36)]), (0, " ", bars(1, 16)))
    assert (found.name, found.track) == ("", "track 2")
    assert found.place == "bars 1-16 of track 2 (of 2 tracks, 16 bars)"


def test_of_chords_the_highest_notes_are_taken_and_it_is_told(read):
    found = read((0, "Piano", chords(1, 16)))
    assert found.melody == walk(16)
    assert (
        found.place == "bars 1-16 of track 'Piano' (of 1 track, 16 bars), the highest of its notes"
    )


def test_polyphony_decides_about_notes_that_are_covered(read):
    part = (1, "Oboe", [(0, 2, 72), (1, 3, 60)])
    assert read(part).melody == Melody.from_notes([(0, 8, 72), (8, 4, 60)])
    onset = read(part, polyphony="onset").melody
    assert onset == Melody.from_notes([(0, 4, 72), (4, 8, 60)])
    with pytest.raises(UsageError, match="polyphony must be one of skyline, onset, got 'lowest'"):
        read(part, polyphony="lowest")


# Metres


def test_after_a_part_in_3_4_the_bars_in_4_4_are_taken_and_counted_as_a_daw_counts(read):
    waltz, tune = bars(1, 10, beats=3), bars(1, 20, start=30)
    found = read((0, "Tune", waltz + tune), signatures=[(0, 3, 4), (30, 4, 4)])
    assert found.place == "bars 11-26 of track 'Tune' (of 1 track, 30 bars)"
    assert found.melody == walk(16)


def test_a_pick_up_bar_is_a_bar_and_not_part_of_the_melody(read):
    tune = [(0, 1, 55), *bars(1, 16, start=1)]
    found = read((0, "Tune", tune), signatures=[(0, 1, 4), (1, 4, 4)])
    assert (found.first_bar, found.last_bar, found.melody) == (2, 17, walk(16))


def test_of_two_stretches_the_one_with_the_melody_wins(read):
    signatures = [(0, 4, 4), (32, 3, 4), (38, 2, 2)]
    tune = bars(1, 8) + bars(1, 2, beats=3, start=32) + bars(1, 16, start=38)
    assert read((0, "Tune", tune), signatures=signatures).first_bar == 11
    gap = bars(1, 4) + bars(6, 16) + bars(1, 2, beats=3, start=64) + bars(1, 16, start=70)
    gap_signatures = [(0, 4, 4), (64, 3, 4), (70, 4, 4)]
    assert read((0, "Tune", gap), signatures=gap_signatures).first_bar == 19
    short = bars(1, 8) + bars(1, 2, beats=3, start=32) + bars(1, 2, start=38)
    found = read((0, "Tune", short), signatures=signatures)
    assert (found.first_bar, found.last_bar) == (1, 8)


def test_a_waltz_is_refused_by_its_metre(read):
    with pytest.raises(
        MidiError, match=r"song\.mid is in 3/4; 16 bars of melody need 4/4 or 2/2$"
    ):
        read((0, "Waltz", bars(1, 20, beats=3)), signatures=[(0, 3, 4)])
    with pytest.raises(MidiError, match=r"song\.mid is in 6/8, 3/4; 16 bars of melody need"):
        read((0, "", bars(1, 20, beats=3)), signatures=[(0, 6, 8), (30, 3, 4)])


def test_a_waltz_with_a_bar_in_4_4_is_still_a_waltz(read):
    notes = bars(1, 10, beats=3) + bars(1, 1, start=30) + bars(1, 10, beats=3, start=34)
    signatures = [(0, 3, 4), (30, 4, 4), (34, 3, 4)]
    with pytest.raises(MidiError, match=r"song\.mid is mostly in 3/4; 16 bars of melody need"):
        read((0, "Waltz", notes), signatures=signatures)
    assert read((0, "Waltz", notes), signatures=signatures, bar=11).melody == walk(1)


@pytest.mark.parametrize(("count", "taken"), [(15, False), (16, True)])
def test_sixteen_bars_in_4_4_are_enough_in_the_longest_waltz(read, count, taken):
    notes = bars(1, 100, beats=3) + bars(1, count, start=300)
    notes += bars(1, 100, beats=3, start=300 + 4 * count)
    signatures = [(0, 3, 4), (300, 4, 4), (300 + 4 * count, 3, 4)]
    with contextlib.nullcontext() if taken else pytest.raises(MidiError, match="mostly in 3/4"):
        assert read((0, "Waltz", notes), signatures=signatures).first_bar == 101


def test_half_of_a_short_file_in_4_4_is_enough(read):
    notes = bars(1, 3, start=0) + bars(1, 4, beats=3, start=12)
    found = read((0, "", notes), signatures=[(0, 4, 4), (12, 3, 4)])
    assert (found.first_bar, found.last_bar) == (1, 3)


def test_bars_that_changes_cut_short_are_no_bars(read):
    signatures = [(0, 4, 4), (1, 3, 4)]
    with pytest.raises(MidiError, match=r"song\.mid is in 3/4; 16 bars"):
        read((0, "Late", [(1, 2, 60)]), signatures=signatures)
    every_quarter = [(quarter, 4, 4) for quarter in range(12)]
    with pytest.raises(MidiError, match="is mostly in bars cut short by changes of metre; 16 bar"):
        read((0, "", [(0, 12, 60)]), signatures=every_quarter)
    with pytest.raises(
        MidiError, match="has at bar 1 one cut short by a change of metre; 16 bars"
    ):
        read((0, "Late", [(1, 2, 60)]), signatures=signatures, bar=1)


def test_notes_outside_of_the_bars_of_4_4_are_not_enough(read):
    parts = [(0, "Late", [(64, 65, 60)]), (9, "Drums", [(0, 1, 36)])]
    with pytest.raises(MidiError, match=r"song\.mid holds no notes in its bars of 4/4 or 2/2$"):
        read(*parts, signatures=[(0, 4, 4), (64, 3, 4)])


# What the user overrules


def test_a_bar_overrules_the_choice(read):
    parts = [(0, "Tune", bars(1, 40))]
    assert read(*parts, bar=7).place == "bars 7-22 of track 'Tune' (of 1 track, 40 bars)"
    found = read(*parts, bar=38)
    assert found.melody == Melody(np.concatenate([walk(4).events[16:64], [129] * 208]))
    assert (found.first_bar, found.last_bar) == (38, 40)


def test_a_bar_is_counted_through_changes_of_metre(read):
    waltz, tune = bars(1, 10, beats=3), bars(1, 20, start=30)
    options = {"signatures": [(0, 3, 4), (30, 4, 4)]}
    found = read((0, "Tune", waltz + tune), **options, bar=13)
    assert (found.first_bar, found.last_bar, found.melody) == (13, 28, walk(16))
    with pytest.raises(MidiError, match=r"song\.mid is in 3/4 at bar 10; 16 bars of melody need"):
        read((0, "Tune", waltz + tune), **options, bar=10)


def test_a_bar_may_choose_another_track(read):
    parts = [(0, "Melody", bars(1, 16)), (1, "Flute", bars(30, 50))]
    assert read(*parts).track == "Melody"
    assert read(*parts, bar=30).track == "Flute"


def test_a_bar_out_of_range_is_told(read):
    tune = (0, "Tune", bars(1, 20) + bars(41, 44))
    with pytest.raises(MidiError, match=r"song\.mid has no bar 45; its last is bar 44"):
        read(tune, bar=45)
    with pytest.raises(UsageError, match="bar must be at least 1, got 0"):
        read(tune, bar=0)


@pytest.mark.parametrize("bar", [21, 25, 50])
def test_bars_without_notes_are_told(read, bar):
    tune = (0, "Tune", bars(1, 20) + bars(41, 44))
    with pytest.raises(MidiError, match=f"holds no notes in 16 bars from bar {bar} on of track 1"):
        read(tune, (1, "Other", bars(60, 64)), bar=bar, track="Tune")
    drums = (9, "Drums", [(300, 301, 36)])
    with pytest.raises(MidiError, match=f"holds no notes in 16 bars from bar {bar} on$"):
        read(tune, drums, bar=bar)


@pytest.mark.parametrize(
    ("track", "number"),
    [("Flute", 2), ("flute", 2), (" FLUTE ", 2), ("iol", 3), ("2", 2), (3, 3), ("7", 5), (4, 4)],
)
def test_a_track_is_chosen_by_name_or_number(read, track, number):
    names = ["Melody", "Flute", "Violin", "", "7"]
    parts = [(i, name, bars(1, 16, up=i)) for i, name in enumerate(names)]
    assert read(*parts, track=track).number == number


def test_of_several_tracks_of_one_name_the_likeliest_is_taken(read):
    parts = [
        (0, "Piano", bars(1, 16, up=-12)),
        (1, "Piano", bars(1, 16)),
        (2, "Lead", bars(1, 16)),
    ]
    assert read(*parts, track="piano").number == 2


def test_a_track_that_is_not_there_is_told_with_those_that_are(read):
    parts = [(0, "Flute", bars(1, 16)), (9, "Drums", [(0, 1, 36)]), (1, "", bars(1, 16))]
    message = r"song\.mid has no track 'Oboe'; choose from 1 'Flute', 3$"
    with pytest.raises(MidiError, match=message):
        read(*parts, track="Oboe")
    with pytest.raises(MidiError, match=r"has no track '4'; choose from 1 'Flute', 3$"):
        read(*parts, track=4)
    for drums in ("drums", 2):
        with pytest.raises(MidiError, match=f"has drums alone on track '{drums}'; choose from 1 "):
            read(*parts, track=drums)


def test_of_very_many_tracks_the_first_are_told(read):
    parts = [(0, f"Part {number}", [(0, 1, 60)]) for number in range(30)]
    with pytest.raises(MidiError, match=r"choose from 1 'Part 0', .*, 24 'Part 23', \.\.\.$"):
        read(*parts, track="Oboe")


# Files that hold no melody


def test_drums_alone_are_told(read):
    with pytest.raises(MidiError, match=r"song\.mid holds only drums$"):
        read((9, "Drums", [(0, 1, 36)]))


def test_no_notes_are_told(read):
    with pytest.raises(MidiError, match=r"song\.mid holds no notes$"):
        read((0, "Nothing", []))


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(MidiError, match=r"none\.mid: cannot be read: No such file"):
        read_melody(tmp_path / "none.mid")
    (tmp_path / "text.mid").write_text("this is not music at all")
    with pytest.raises(MidiError, match=r"text\.mid: not a MIDI file that can be parsed"):
        read_melody(str(tmp_path / "text.mid"))


# Real files


def test_the_melody_of_a_pop_song_is_found_without_its_name(real_midi, monkeypatch):
    # 91% of 150 songs that were drawn once; a third by chance
    monkeypatch.setattr("melodyconstraints.melody.midi.selection.name_rank", lambda part: 0)
    songs = sorted((real_midi / "pop909").glob("*.mid"))[:40]
    assert sum(read_melody(song).name == "MELODY" for song in songs) >= 32


def test_the_first_voice_of_a_hymn_is_its_melody(real_midi):
    numbers = []
    for hymn in sorted((real_midi / "open-hymnal").glob("*.mid"))[:40]:
        with contextlib.suppress(MidiError):  # some are in 3/4
            numbers.append(read_melody(hymn).number)
    assert len(numbers) >= 20
    assert numbers.count(1) >= 0.9 * len(numbers)


# Tempo, program, names


def messages_file(path, *tracks, midi_type=1):
    """A file by mido of (tick, message) tracks; 480 ticks a quarter."""
    file = mido.MidiFile(type=midi_type, ticks_per_beat=480)
    for timed in tracks:
        track, now = mido.MidiTrack(), 0
        for tick, message in timed:
            track.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    file.save(path)
    return path


def walk_messages(first, last, channel=0):
    """The walk as messages."""
    return [
        (int(480 * tick), mido.Message(kind, note=pitch, channel=channel))
        for start, end, pitch in bars(first, last)
        for kind, tick in (("note_on", start), ("note_off", end))
    ]


def tempo_at(tick, quarters_a_minute):
    return tick, mido.MetaMessage("set_tempo", tempo=round(60_000_000 / quarters_a_minute))


BAR = 1920


@pytest.mark.parametrize(
    ("name", "tempos", "bar", "tempo"),
    [
        ("of the bars taken", [(0, 60), (16 * BAR, 150)], 17, 150),
        ("a bar before", [(0, 60), (16 * BAR, 150)], 16, 60),
        ("in the midst of a bar", [(0, 60), (15 * BAR + 480, 150)], 17, 150),
        ("the last of several at a tick", [(0, 120), (0, 72)], None, 72),
        ("before the first", [(16 * BAR, 150)], 1, 120),
        ("of no sense", [(0, 60), (BAR, 5)], 2, 120),
        ("a few ticks late", [(3, 60), (16 * BAR + 5, 150)], 17, 150),
        ("a few ticks late, at the start", [(0, 120), (3, 60)], 1, 60),
        ("a few ticks early", [(0, 60), (16 * BAR - 5, 150)], 17, 150),
        ("less than half a step late", [(0, 60), (16 * BAR + 59, 150)], 17, 150),
        ("half a step late", [(0, 60), (16 * BAR + 60, 150)], 17, 60),
    ],
)
def test_the_tempo_is_the_one_in_force_at_the_first_bar_taken(tmp_path, name, tempos, bar, tempo):
    notes = walk_messages(1, 32)
    path = messages_file(tmp_path / "song.mid", [tempo_at(*one) for one in tempos], notes)
    assert read_melody(path, bar=bar).tempo == pytest.approx(tempo, rel=1e-4), name


def test_the_tempo_of_a_set_up_bar_is_not_the_melodys(tmp_path):
    path = messages_file(
        tmp_path / "song.mid", [tempo_at(0, 240), tempo_at(BAR, 72)], walk_messages(2, 17)
    )
    found = read_melody(path)
    assert (found.first_bar, found.tempo) == (2, pytest.approx(72, rel=1e-4))


def test_the_program_is_the_one_with_which_the_bars_begin(tmp_path):
    changes = [(0, 40), (16 * BAR, 45)]
    programs = [(tick, mido.Message("program_change", program=n)) for tick, n in changes]
    track = sorted([*programs, *walk_messages(1, 32)], key=lambda timed: timed[0])
    path = messages_file(tmp_path / "song.mid", track)
    assert [read_melody(path, bar=bar).program for bar in (1, 17)] == [40, 45]


def test_one_violin_that_is_plucked_in_every_other_bar_is_one_track(tmp_path):
    programs = [
        (bar * BAR, mido.Message("program_change", program=40 + 5 * (bar % 2)))
        for bar in range(16)
    ]
    track = sorted([*walk_messages(1, 16), *programs], key=lambda timed: timed[0])
    found = read_melody(messages_file(tmp_path / "song.mid", track))
    assert found.place == "bars 1-16 of track 1 (of 1 track, 16 bars)"
    assert found.melody == walk(16)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path, encoding):
    """``--track`` takes a whole name before names that it is a part of."""
    names = [name.encode(encoding).decode("latin-1") for name in ("Flöte 2", "Flöte")]
    tracks = [named(name, channel) for channel, name in enumerate(names)]
    found = read_melody(messages_file(tmp_path / "song.mid", *tracks), track="flöte")
    assert (found.name, found.number) == ("Flöte", 2)


def named(name, channel):
    """A track of the walk whose name has the bytes of Latin-1."""
    return [(0, mido.MetaMessage("track_name", name=name)), *walk_messages(1, 16, channel)]


def test_a_name_in_latin_1_counts_is_matched_and_shown(tmp_path):
    path = messages_file(tmp_path / "song.mid", named("Mélodie", 0), named("Flûte", 1))
    found = read_melody(path)
    assert found.place == "bars 1-16 of track 'Mélodie' (of 2 tracks, 16 bars)"
    for wanted in ("flûte", "FLU\u0302", "2"):  # composed, not composed
        assert read_melody(path, track=wanted).name == "Flûte"


def test_patterns_of_format_2_are_read_by_their_own_metres(tmp_path):
    signature = {4: "4/4", 3: "3/4"}
    tracks = [
        [(0, mido.MetaMessage("time_signature", numerator=beats)), *named(name, 0)]
        for beats, name in ((3, "Waltz"), (4, "Common"))
    ]
    path = messages_file(tmp_path / "song.mid", *tracks, midi_type=2)
    assert read_melody(path).place == "bars 1-16 of track 'Common' (of 2 tracks, 16 bars)"
    with pytest.raises(MidiError, match=f"is in {signature[3]}; 16 bars of melody need 4/4"):
        read_melody(path, track="Waltz")


@pytest.mark.parametrize("off", [-2, 0, 2])
def test_a_signature_restated_a_few_ticks_off_the_bar_line_costs_no_bars(tmp_path, off):
    restated = [
        (tick, mido.MetaMessage("time_signature", numerator=4)) for tick in (0, 12 * BAR + off)
    ]
    found = read_melody(messages_file(tmp_path / "song.mid", restated, walk_messages(1, 24)))
    assert found.place == "bars 1-16 of track 1 (of 1 track, 24 bars)"


def test_the_share_of_onsets_off_the_grid_is_told(tmp_path):
    """A bar of triplets of eighths, eight of twelve are moved; then 15 bars of quarters."""
    triplets = [
        (160 * number + end, mido.Message(kind, note=60 + number % 5))
        for number in range(12)
        for kind, end in (("note_on", 0), ("note_off", 160))
    ]
    found = read_melody(messages_file(tmp_path / "song.mid", triplets + walk_messages(2, 16)))
    assert found.off_grid == 8 / 72
    assert found.place.endswith("16 bars), 11% of its onsets moved by more than a 64th")
