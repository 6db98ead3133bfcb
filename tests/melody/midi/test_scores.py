"""Reading MIDI files: bytes in hexadecimal, with what each means beside it."""

import gzip
import os

import mido
import numpy as np
import pytest

from melodyconstraints.errors import MidiError
from melodyconstraints.melody.events import HOLD, REST
from melodyconstraints.melody.midi import mido_reader
from melodyconstraints.melody.midi.metre import Segment, four_four_segments, signatures_by_tick
from melodyconstraints.melody.midi.scores import read_score

BAR = 1920  # ticks in a bar of 4/4 at 480 ticks a quarter


def track_chunk(text: str) -> bytes:
    """A track from annotated hexadecimal; its end is added."""
    body = bytes.fromhex("".join(line.split("#")[0] for line in text.splitlines()))
    body += bytes.fromhex("00 FF2F00")
    return b"MTrk" + len(body).to_bytes(4, "big") + body


def midi_bytes(*tracks: str, division: str = "01E0") -> bytes:
    """A file of format 1 with 480 ticks a quarter."""
    header = bytes.fromhex("00000006 0001") + len(tracks).to_bytes(2, "big")
    chunks = b"".join(track_chunk(track) for track in tracks)
    return b"MThd" + header + bytes.fromhex(division) + chunks


def write_midi(path, notes, *, signatures=(), channel=0, ticks_per_quarter=480):
    """A file by mido from (start tick, end tick, pitch) and (tick, numerator, denominator)."""
    timed = [
        (tick, 0, mido.MetaMessage("time_signature", numerator=above, denominator=below))
        for tick, above, below in signatures
    ]
    for start, end, pitch in notes:
        timed.append((start, 2, mido.Message("note_on", note=pitch, channel=channel)))
        timed.append((end, 1, mido.Message("note_off", note=pitch, channel=channel)))
    track, now = mido.MidiTrack(), 0
    for tick, _, message in sorted(timed, key=lambda entry: entry[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    mido.MidiFile(type=0, ticks_per_beat=ticks_per_quarter, tracks=[track]).save(path)
    return path


def tempo_of(score, tick=0):
    (tempo,) = score.timelines[0].tempos_of_bars(np.array([tick]))
    return tempo


MIDDLE_C = """
    00   90 3C 40   # note on, channel 1, pitch 60
    8360 80 3C 00   # 480 ticks later: note off
"""


def signature(numerator: int, power: int, delta: str = "00") -> str:
    return f"{delta} FF5804 {numerator:02X} {power:02X} 18 08  # numerator, power of two, clicks\n"


def test_a_whole_file_is_read_byte_by_byte():
    data = bytes.fromhex(
        "4D546864 00000006"  # MThd, six bytes follow
        "0001 0002 0060"  # format 1, two tracks, 96 ticks a quarter
        "4D54726B 00000013"  # MTrk, 19 bytes follow
        "00 FF5103 0927C0"  # tempo: 600,000 microseconds a quarter
        "00 FF5804 04 02 18 08"  # 4/4
        "00 FF2F00"  # end of track
        "4D54726B 00000016"  # MTrk, 22 bytes follow
        "00 FF0304 54756E65"  # name: Tune
        "00 C0 18"  # program 24
        "30 90 3C 40"  # after 48 ticks: pitch 60
        "60 3C 00"  # after 96 more (running status): velocity 0 ends it
        "00 FF2F00"
    )
    score = read_score(data)
    (part,) = score.parts
    assert (score.ticks_per_quarter, tempo_of(score)) == (96, 100.0)
    assert (part.name, part.program, part.is_drum) == ("Tune", 24, False)
    assert (part.starts_ticks.tolist(), part.ends_ticks.tolist()) == ([48], [144])
    assert part.pitches.tolist() == [60]
    assert score.timelines[0].segments == (Segment(0, 384),)
    assert score.bar_ticks == 384
    events = score.part_events(part, score.timelines[0].segments[0])
    assert events.tolist() == [REST, REST, 60, HOLD, HOLD, HOLD, *[REST] * 10]


def test_a_path_and_its_bytes_give_the_same_score(tmp_path):
    path = tmp_path / "tune.mid"
    path.write_bytes(midi_bytes(MIDDLE_C))
    assert repr(read_score(path)) == repr(read_score(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "signatures", "expected"),
    [
        ("none at all", "", [Segment(0, BAR)]),
        ("4/4", signature(4, 2), [Segment(0, BAR)]),
        ("2/2", signature(2, 1), [Segment(0, BAR)]),
        ("3/4", signature(3, 2), []),
        ("4/8", signature(4, 3), []),
        ("8/8", signature(8, 3), []),
        ("3/4, then 4/4 at the same tick", signature(3, 2) + signature(4, 2), [Segment(0, BAR)]),
        ("4/4, then 3/4 at the same tick", signature(4, 2) + signature(3, 2), []),
        ("3/4, 4/4 after the music", signature(3, 2) + signature(4, 2, "BC00"), []),
    ],
)
def test_the_time_signature_decides_which_bars_count(name, signatures, expected):
    assert list(read_score(midi_bytes(signatures, MIDDLE_C)).timelines[0].segments) == expected, (
        name
    )


@pytest.mark.parametrize(
    ("name", "signatures", "end", "expected"),
    [
        ("whole bars", [(0, 4, 4)], 4 * BAR, [(0, 4)]),
        ("the last bar counts whole", [(0, 4, 4)], 3 * BAR + 1, [(0, 4)]),
        ("a change inside", [(0, 4, 4), (2 * BAR, 3, 4)], 9 * BAR, [(0, 2)]),
        ("back again", [(0, 4, 4), (BAR, 3, 4), (3 * BAR, 4, 4)], 4 * BAR, [(0, 1), (3, 4)]),
        ("starts in 3/4", [(0, 3, 4), (3 * BAR, 4, 4)], 5 * BAR, [(3, 5)]),
        ("signature comes late", [(2 * BAR, 3, 4)], 5 * BAR, [(0, 2)]),
        ("a change cuts a bar", [(0, 4, 4), (2 * BAR + 480, 3, 4)], 9 * BAR, [(0, 2)]),
        ("repeated on a bar line", [(0, 4, 4), (2 * BAR, 4, 4)], 4 * BAR, [(0, 4)]),
        ("4/4 to 2/2 on a bar line", [(0, 4, 4), (2 * BAR, 2, 2)], 4 * BAR, [(0, 4)]),
        ("twice on a bar line", [(0, 2, 2), (BAR, 4, 4), (2 * BAR, 4, 4)], 3 * BAR, [(0, 3)]),
        (
            "repeated off the bar line: counted anew from there",
            [(0, 4, 4), (2.25 * BAR, 4, 4)],
            4.25 * BAR,
            [(0, 2), (2.25, 4.25)],
        ),
        (
            "repeated on a bar line of the stretch, not of the file",
            [(0, 3, 4), (0.75 * BAR, 4, 4), (2.75 * BAR, 4, 4)],
            3.75 * BAR,
            [(0.75, 3.75)],
        ),
        ("out of order", [(2 * BAR, 3, 4), (0, 4, 4)], 4 * BAR, [(0, 2)]),
        ("no music", [(0, 4, 4)], 0, []),
    ],
)
def test_segments_are_the_stretches_of_4_4_in_whole_bars(name, signatures, end, expected):
    changes = signatures_by_tick([(int(t), a, b) for t, a, b in signatures])
    found = four_four_segments(changes, int(end), 480)
    assert [(s.start_tick / BAR, s.end_tick / BAR) for s in found] == expected, name


def test_bars_are_counted_after_a_pick_up_bar(tmp_path):
    signatures = [(0, 1, 4), (480, 4, 4)]
    notes = [(0, 480, 67), (480, 960, 72)]
    score = read_score(write_midi(tmp_path / "pick-up.mid", notes, signatures=signatures))
    (segment,) = score.timelines[0].segments
    assert segment == Segment(480, 480 + BAR)
    events = score.part_events(score.parts[0], segment)
    assert events.tolist() == [72, HOLD, HOLD, HOLD, *[REST] * 12]


def test_a_note_is_cut_at_both_ends_of_a_segment(tmp_path):
    signatures = [(0, 3, 4), (1440, 4, 4), (1440 + BAR, 3, 4)]
    notes = [(960, 1440 + 240, 60), (1440 + BAR - 240, 1440 + 2 * BAR, 62)]
    score = read_score(write_midi(tmp_path / "held.mid", notes, signatures=signatures))
    (segment,) = score.timelines[0].segments
    events = score.part_events(score.parts[0], segment)
    assert events.tolist() == [60, HOLD, *[REST] * 12, 62, HOLD]


def test_a_segment_without_notes_of_the_part_has_no_bars(tmp_path):
    signatures = [(0, 4, 4), (BAR, 3, 4)]
    path = write_midi(tmp_path / "late.mid", [(BAR, BAR + 480, 60)], signatures=signatures)
    score = read_score(path)
    assert score.part_events(score.parts[0], score.timelines[0].segments[0]).tolist() == []


def test_events_end_with_the_bar_in_which_the_parts_last_note_ends():
    low = "00 91 30 40 F800 81 30 00  # channel 2: pitch 48 over eight bars\n"
    score = read_score(midi_bytes(MIDDLE_C, low))
    assert [
        len(score.part_events(part, score.timelines[0].segments[0])) for part in score.parts
    ] == [16, 128]


def test_the_last_partial_bar_is_filled_with_rests(tmp_path):
    notes = [(0, BAR, 60), (BAR, BAR + 120, 62)]
    score = read_score(write_midi(tmp_path / "tune.mid", notes))
    events = score.part_events(score.parts[0], score.timelines[0].segments[0])
    assert events.tolist() == [60, *[HOLD] * 15, 62, *[REST] * 15]


@pytest.mark.parametrize(("start", "bars"), [(BAR - 60, 2), (BAR - 61, 1)])
def test_a_note_that_rounds_onto_the_next_bar_line_has_that_bar(tmp_path, start, bars):
    notes = [(0, 480, 60), (start, BAR, 72)]
    score = read_score(write_midi(tmp_path / "tune.mid", notes))
    events = score.part_events(score.parts[0], score.timelines[0].segments[0])
    last = {1: [*[REST] * 11, 72], 2: [*[REST] * 12, 72, *[REST] * 15]}[bars]
    assert events.tolist() == [60, HOLD, HOLD, HOLD, *last]


def test_the_polyphony_rule_is_the_callers(tmp_path):
    notes = [(0, 960, 72), (240, 480, 60)]
    score = read_score(write_midi(tmp_path / "tune.mid", notes))
    (part,), (segment,) = score.parts, score.timelines[0].segments
    assert score.part_events(part, segment)[:8].tolist() == [72, *[HOLD] * 7]
    onset = score.part_events(part, segment, "onset")
    assert onset[:8].tolist() == [72, HOLD, 60, HOLD, *[REST] * 4]


@pytest.mark.parametrize("ticks_per_quarter", [24, 96, 220, 480, 960, 1024])
def test_the_resolution_of_the_file_does_not_matter(tmp_path, ticks_per_quarter):
    quarter = ticks_per_quarter
    notes = [(0, quarter, 60), (quarter, 3 * quarter // 2, 64), (3 * quarter, 4 * quarter, 67)]
    path = write_midi(tmp_path / "tune.mid", notes, ticks_per_quarter=ticks_per_quarter)
    score = read_score(path)
    events = score.part_events(score.parts[0], score.timelines[0].segments[0])
    assert events.tolist() == [
        *[60, HOLD, HOLD, HOLD, 64, HOLD, REST, REST],
        *[REST, REST, REST, REST, 67, HOLD, HOLD, HOLD],
    ]


def test_channel_ten_is_drums(tmp_path):
    notes = [(0, 480, 36)]
    (drums,) = read_score(write_midi(tmp_path / "drums.mid", notes, channel=9)).parts
    (piano,) = read_score(write_midi(tmp_path / "piano.mid", notes, channel=0)).parts
    assert (drums.is_drum, piano.is_drum) == (True, False)


def test_a_note_without_length_lasts_one_step():
    score = read_score(midi_bytes("00 90 3C 40 00 80 3C 00"))
    events = score.part_events(score.parts[0], score.timelines[0].segments[0])
    assert events.tolist() == [60, *[REST] * 15]


@pytest.mark.parametrize(
    ("microseconds", "tempo"),
    [
        ("0927C0", 100.0),  # 600,000
        ("5B8D80", 10.0),  # 6,000,000: the slowest that is believed
        ("00EA60", 1000.0),  # 60,000: the fastest
        ("FFFFFF", 120.0),  # 3.6 quarters a minute
        ("00EA5F", 120.0),  # just above 1000
        ("000001", 120.0),
        ("000000", 120.0),
    ],
)
def test_the_tempo_is_read_and_an_absurd_one_is_120(microseconds, tempo):
    score = read_score(midi_bytes(f"00 FF5103 {microseconds}", MIDDLE_C))
    assert tempo_of(score) == pytest.approx(tempo, rel=1e-6)


def test_a_tempo_holds_from_its_bar_line_on_and_the_last_of_several_at_one():
    """One less than half a step, 60 ticks, after a bar line is that of the bar."""
    tempos = """
        60   FF5103 07A120  # after 96 ticks: 120 quarters a minute
        00   FF5103 0927C0  # at once: 100
        8300 FF5103 0F4240  # 384 ticks later: 60
    """
    score = read_score(midi_bytes(tempos, MIDDLE_C))
    found = score.timelines[0].tempos_of_bars(np.array([0, 36, 37, 96, 420, 421, 480, 5000]))
    assert found.tolist() == [120.0, 120.0, 100.0, 100.0, 100.0, 60.0, 60.0, 60.0]


def test_a_file_without_notes_has_no_parts_and_no_segments():
    score = read_score(midi_bytes("00 C0 05  # a program change only"))
    assert (score.parts, score.timelines[0].segments) == ((), ())


def test_notes_whose_ticks_overflow_are_left_out():
    """Nine waits of the greatest length pass 2 ** 31 ticks, which the parser wraps around."""
    far = "FFFFFF7F B0 07 40  # wait 268,435,455 ticks: volume\n" * 8
    late = "FFFFFF7F 90 40 40 10 80 40 00  # another wait, then pitch 64\n"
    score = read_score(midi_bytes(far + late))
    assert score.parts == ()
    score = read_score(midi_bytes(MIDDLE_C + far + late))
    assert [part.pitches.tolist() for part in score.parts] == [[60]]
    assert score.timelines[0].segments == (Segment(0, BAR),)


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("no bytes", b"", "the file is empty"),
        ("text", b"this is not music at all, is it?", "not a MIDI file that can be parsed"),
        ("header only begun", b"MThd", "not a MIDI file that can be parsed"),
        ("cut in a note", midi_bytes(MIDDLE_C)[:-8], "not a MIDI file that can be parsed"),
        ("no ticks", midi_bytes(MIDDLE_C, division="0000"), "time division 0000: neither ticks"),
    ],
)
def test_a_broken_file_is_one_clear_error(name, data, text):
    with pytest.raises(MidiError, match=text):
        read_score(data)


def test_what_is_wrong_is_told_without_the_parsers_own_words(monkeypatch):
    """symusic says ``MiniMidi: Invaild midi format (3)!...: iostream error``."""
    whole = midi_bytes(MIDDLE_C)
    recovered = read_score(whole[:9] + b"\3" + whole[10:]).recovered
    assert recovered.startswith("not a MIDI file that can be parsed: Invalid midi format (3)!")
    assert "iostream" not in recovered
    with pytest.raises(MidiError, match=r"^not a MIDI file .* parsed: no header at its start$"):
        read_score(b"MThx" + whole[4:])
    monkeypatch.setattr(mido_reader, "MAX_BYTES", 10)  # mido is not asked
    with pytest.raises(MidiError, match=r"parsed: Invalid midi file! File header is not MThd!$"):
        read_score(b"MThx" + whole[4:])


def test_random_bytes_behind_a_good_header_never_raise_anything_else(rng):
    for _ in range(300):
        body = rng.integers(0, 256, rng.integers(1, 80), dtype=np.uint8).tobytes()
        chunk = b"MTrk" + len(body).to_bytes(4, "big") + body
        data = midi_bytes()[:10] + b"\0\1\1\xe0" + chunk
        try:
            score = read_score(data)
        except MidiError:
            continue
        for part in score.parts:
            assert (part.starts_ticks >= 0).all()
            assert (part.ends_ticks > part.starts_ticks).all()
            assert ((part.pitches >= 0) & (part.pitches < 128)).all()


@pytest.mark.parametrize("missing", [True, False])
def test_a_path_that_cannot_be_read_says_why(tmp_path, missing):
    path, reason = (
        (tmp_path / "none.mid", "No such file")
        if missing
        else (tmp_path, "it is not a regular file")
    )
    with pytest.raises(MidiError, match=f"cannot be read: {reason}"):
        read_score(path)


def notes_of_note_seq(path):
    """Each instrument's (pitch, start step, end step), quantised by note-seq; None if it won't."""
    from note_seq import midi_io, sequences_lib

    sequence = midi_io.midi_file_to_note_sequence(path)
    try:
        sequence = sequences_lib.quantize_note_sequence(sequence, 4)
    except (sequences_lib.MultipleTempoError, sequences_lib.MultipleTimeSignatureError):
        return None
    return [
        sorted(
            (note.pitch, note.quantized_start_step, note.quantized_end_step)
            for note in sequence.notes
            if note.instrument == instrument
        )
        for instrument in sorted({note.instrument for note in sequence.notes})
    ]


def steps_of(part, ticks_per_quarter):
    """(pitch, start step, end step), and whether either lies half-way between two steps."""
    quarters = 4 / ticks_per_quarter
    notes = []
    for start, end, pitch in zip(part.starts_ticks, part.ends_ticks, part.pitches, strict=True):
        first = int(np.floor(start * quarters + 0.5))
        last = max(int(np.floor(end * quarters + 0.5)), first + 1)
        half = (start * quarters) % 1 == 0.5 or (end * quarters) % 1 == 0.5
        notes.append(((int(pitch), first, last), bool(half)))
    return sorted(notes)


@pytest.mark.parametrize(("collection", "files"), [("nottingham", 20), ("pop909", 5)])
def test_notes_are_those_that_note_seq_reads_from_the_same_file(real_midi, collection, files):
    """They may differ by one step where a note lies exactly half-way between two.

    note-seq rounds seconds, where a half comes out a little above or below; we round ticks.
    """
    compared = 0
    for path in sorted((real_midi / collection).glob("*.mid")):
        theirs = notes_of_note_seq(path)
        if theirs is None:
            continue
        score = read_score(path)
        assert len(score.parts) == len(theirs)
        for part, peer in zip(score.parts, theirs, strict=True):
            for (ours, half), their in zip(
                steps_of(part, score.ticks_per_quarter), peer, strict=True
            ):
                off = np.abs(np.subtract(ours, their))
                assert off.max() <= half, (path.name, ours, their)
                assert off[0] == 0
        compared += 1
        if compared == files:
            return
    pytest.fail(f"only {compared} files of {collection} could be compared")


def test_the_tempo_and_the_metre_are_pretty_midis_too(real_midi):
    import pretty_midi

    for path in sorted((real_midi / "nottingham").glob("*.mid"))[:20]:
        peer = pretty_midi.PrettyMIDI(str(path))
        score = read_score(path)
        assert tempo_of(score) == pytest.approx(peer.get_tempo_changes()[1][0], rel=1e-4)
        metres = {(s.numerator, s.denominator) for s in peer.time_signature_changes}
        if metres <= {(4, 4), (2, 2)}:
            assert score.timelines[0].segments[0].start_tick == 0
        if not metres & {(4, 4), (2, 2)} and peer.time_signature_changes[0].time == 0:
            assert score.timelines[0].segments == ()


def test_notes_beyond_ten_thousand_bars_are_left_out(tmp_path):
    notes = [(0, 4, 60), (39_996, 40_000, 62), (39_999, 40_001, 64)]
    score = read_score(write_midi(tmp_path / "far.mid", notes, ticks_per_quarter=1))
    assert [part.pitches.tolist() for part in score.parts] == [[60, 62]]
    assert score.timelines[0].segments == (Segment(0, 40_000),)


def test_a_file_with_notes_in_absurd_places_only_is_refused(tmp_path):
    path = write_midi(tmp_path / "far.mid", [(60_000, 60_001, 60)], ticks_per_quarter=1)
    with pytest.raises(MidiError, match="all its notes end beyond bar 10000"):
        read_score(path)


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (midi_bytes(MIDDLE_C), ""),
        (b"RIFF\x2b\0\0\0RMIDdata\x23\0\0\0" + midi_bytes(MIDDLE_C), ""),
        (midi_bytes(MIDDLE_C)[:-4], "not a MIDI file that can be parsed"),
        (midi_bytes(MIDDLE_C, division="E728"), "not a MIDI file that can be parsed"),
        (midi_bytes(MIDDLE_C.replace("3C 40", "3C C8")), "not a MIDI file that can be parsed"),
    ],
    ids=["whole", "RIFF", "its end is missing", "SMPTE time", "a velocity of 200"],
)
def test_what_symusic_cannot_read_is_read_by_mido(data, wrong):
    score = read_score(data)
    assert score.recovered.startswith(wrong)
    assert bool(score.recovered) == bool(wrong)
    assert [part.pitches.tolist() for part in score.parts] == [[60]]


def test_a_file_that_has_no_notes_is_not_recovered():
    assert read_score(midi_bytes("00 C0 05  # a program change only")).recovered == ""


def test_of_many_time_signatures_the_last_at_a_tick_holds():
    """symusic sorts more than 16 of them without keeping the order of those at one tick."""
    waltz_then_common = signature(3, 2) + signature(4, 2)
    later = "".join(signature(4, 2, "8F00") for _ in range(30))  # 1,920 ticks apart
    score = read_score(midi_bytes(waltz_then_common + later, MIDDLE_C))
    assert score.recovered == ""
    assert score.timelines[0].segments == (Segment(0, 30 * BAR),)


def test_one_signature_in_each_of_forty_tracks_is_nothing_to_recover_from():
    score = read_score(midi_bytes(*40 * [signature(4, 2) + MIDDLE_C]))
    assert (score.recovered, len(score.parts)) == ("", 40)
    assert score.timelines[0].segments == (Segment(0, BAR),)


def test_tracks_of_format_2_are_patterns_with_metres_and_tempos_of_their_own():
    common = "00 FF5103 0927C0 # 100 quarters a minute \n" + signature(4, 2) + MIDDLE_C
    waltz = signature(3, 2) + MIDDLE_C
    for tracks, bars in [((common, waltz), (1, 0)), ((waltz, common), (0, 1))]:
        data = midi_bytes(*tracks)
        score = read_score(data[:9] + b"\2" + data[10:])
        segments = [score.timeline(part).segments for part in score.parts]
        assert segments == [(Segment(0, BAR),) if count else () for count in bars]
        tempos = [tempo_of(score), float(score.timelines[1].tempos_of_bars(np.array([0]))[0])]
        assert tempos == [100.0 if count else 120.0 for count in bars]


def test_one_channel_is_one_part_whatever_its_program():
    bowed = "00 C0 28  00 90 3C 40  8360 80 3C 00"  # 480 ticks of pitch 60
    plucked = "00 C0 2D  00 90 3E 40  8360 80 3E 00"
    score = read_score(midi_bytes(bowed + plucked + bowed))
    (part,) = score.parts
    assert part.pitches.tolist() == [60, 62, 60]
    programs = part.programs_from(np.array([0, 1, 480, 481, 960, 9999]))
    assert programs.tolist() == [40, 45, 45, 40, 40, 40]
    assert score.recovered == ""


@pytest.mark.parametrize("ticks_per_quarter", [96, 480])
def test_onsets_that_rounding_moves_by_more_than_a_64th_are_known(tmp_path, ticks_per_quarter):
    """A sixteenth, a triplet of eighths, and a 64th before and behind a step, and a tick more."""
    quarter, moved = ticks_per_quarter, ticks_per_quarter // 16
    starts = [quarter // 4, *[quarter + third * quarter // 3 for third in range(3)]]
    starts += [3 * quarter - moved, 4 * quarter + moved]
    starts += [5 * quarter - moved - 1, 6 * quarter + moved + 1]
    notes = [(start, start + quarter // 8, 60) for start in starts]
    path = write_midi(tmp_path / "tune.mid", notes, ticks_per_quarter=ticks_per_quarter)
    score = read_score(path)
    (part,), (segment,) = score.parts, score.timelines[0].segments
    for polyphony in ("skyline", "onset"):
        events = score.part_events(part, segment, polyphony)
        found = score.off_grid(part, segment, events)
        assert np.flatnonzero(events == 60).tolist() == [1, 4, 5, 7, 12, 16, 20, 24]
        assert np.flatnonzero(found).tolist() == [5, 7, 20, 24]


def test_only_notes_of_the_melody_are_off_the_grid(tmp_path):
    notes = [(160, 480, 50), (120, 480, 72)]  # the low one a third of a step late
    score = read_score(write_midi(tmp_path / "tune.mid", notes))
    (part,), (segment,) = score.parts, score.timelines[0].segments
    assert not score.off_grid(part, segment, score.part_events(part, segment)).any()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mid")
    with pytest.raises(MidiError, match=r"^cannot be read: it is not a regular file$"):
        read_score(tmp_path / "pipe.mid")


def test_a_packed_file_is_read(tmp_path):
    (tmp_path / "tune.mid.gz").write_bytes(gzip.compress(midi_bytes(MIDDLE_C)))
    assert [part.pitches.tolist() for part in read_score(tmp_path / "tune.mid.gz").parts] == [[60]]


@pytest.mark.parametrize(
    "status", ["F1 10", "F2 10 10", "F3 10", "F6", "F8", "FA", "FB", "FC", "FE"]
)
def test_system_messages_are_passed_over(status):
    score = read_score(midi_bytes(f"00 {status} \n" + MIDDLE_C))
    assert [part.pitches.tolist() for part in score.parts] == [[60]]
    assert score.recovered == ""
