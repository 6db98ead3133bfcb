"""Reading MIDI by mido: the same notes as symusic's, and more where a file is broken."""

import mido
import numpy as np
import pytest

from melodyconstraints.errors import MidiError
from melodyconstraints.melody.midi import mido_reader
from melodyconstraints.melody.midi.mido_reader import read_with_mido, unwrap
from melodyconstraints.melody.midi.symusic_reader import read_with_symusic

END = "00 FF2F00"


def from_hex(text: str) -> bytes:
    return bytes.fromhex("".join(line.split("#")[0] for line in text.splitlines()))


def chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    return name + (len(body) if length is None else length).to_bytes(4, "big") + body


def header(tracks: int, division: str = "01E0") -> bytes:
    return chunk(b"MThd", b"\0\1" + tracks.to_bytes(2, "big") + bytes.fromhex(division))


def midi_bytes(*tracks: str, division: str = "01E0") -> bytes:
    """A file of format 1 with 480 ticks a quarter from annotated hexadecimal."""
    chunks = [chunk(b"MTrk", from_hex(track) + from_hex(END)) for track in tracks]
    return header(len(tracks), division) + b"".join(chunks)


def plain(name, program, is_drum, starts, ends, pitches):
    """A part of lists, to be compared."""
    notes = zip(starts.tolist(), ends.tolist(), pitches.tolist(), strict=True)
    return name, program, is_drum, list(notes)


def by_mido(data: bytes):
    return [
        plain(p.name, p.program, p.is_drum, p.starts_ticks, p.ends_ticks, p.pitches)
        for p in read_with_mido(data).parts
    ]


def by_symusic(data: bytes):
    return [
        plain(p.name, p.program, p.is_drum, p.starts_ticks, p.ends_ticks, p.pitches)
        for p in read_with_symusic(data).parts
    ]


def whole(reading):
    """All that was read, as plain values."""
    parts = [
        [value.tolist() if isinstance(value, np.ndarray) else value for value in part]
        for part in reading.parts
    ]
    return reading.ticks_per_quarter, reading.tempo_maps, parts


def assert_alike(data: bytes):
    """Both readers read the same."""
    assert whole(read_with_mido(data)) == whole(read_with_symusic(data))


def tempo_of(reading):
    """The first tempo."""
    return next((tempo for _, tempo in reading.tempo_maps[0].tempos), 120.0)


def notes_of(*tracks: str):
    """(start, end, pitch) of the only part."""
    ((_, _, _, notes),) = by_mido(midi_bytes(*tracks))
    return notes


MIDDLE_C = """
    00   90 3C 40   # note on, channel 1, pitch 60
    8360 80 3C 00   # 480 ticks later: note off
"""
C_IS_READ = [("", 0, False, [(0, 480, 60)])]


def test_a_whole_file_is_read_byte_by_byte():
    data = bytes.fromhex(
        "4D546864 00000006"  # MThd, six bytes follow
        "0001 0002 0060"  # format 1, two tracks, 96 ticks a quarter
        "4D54726B 00000013"  # MTrk, 19 bytes follow
        "00 FF5103 0927C0"  # tempo: 600,000 microseconds a quarter
        "00 FF5804 03 03 18 08"  # 3/8
        "00 FF2F00"  # end of track
        "4D54726B 00000016"  # MTrk, 22 bytes follow
        "00 FF0304 54756E65"  # name: Tune
        "00 C0 18"  # program 24
        "30 90 3C 40"  # after 48 ticks: pitch 60
        "60 3C 00"  # after 96 more (running status): velocity 0 ends it
        "00 FF2F00"
    )
    reading = read_with_mido(data)
    assert (reading.ticks_per_quarter, tempo_of(reading)) == (96, 100.0)
    assert reading.tempo_maps[0].signatures == ((0, 3, 8),)
    assert by_mido(data) == [("Tune", 24, False, [(48, 144, 60)])]
    (part,) = reading.parts
    for array in (part.starts_ticks, part.ends_ticks, part.pitches):
        assert array.dtype == np.int64
        assert array.flags.c_contiguous


@pytest.mark.parametrize(
    ("name", "track", "notes"),
    [
        (
            "first on, first off",
            "00 903C40  10 903C40  10 803C00  10 803C00",
            [(0, 32, 60), (16, 48, 60)],
        ),
        ("struck twice, ended once", "00 903C40  10 903C40  10 803C00", [(0, 32, 60)]),
        ("ended twice", "00 903C40  10 803C00  10 803C00", [(0, 16, 60)]),
        ("ended before it starts", "00 803C00  10 903C40  10 803C00", [(16, 32, 60)]),
        ("velocity 0 ends", "00 903C40  10 903C00", [(0, 16, 60)]),
        ("no length", "10 903C40  00 803C00", [(16, 17, 60)]),
        ("never ended", "00 903C40  00 904040  10 804000", [(0, 16, 64)]),
        (
            "in the order of their starts, whichever ends first",
            "00 904040  00 903C40  10 903E40  10 803E00  10 803C00  10 804000",
            [(0, 64, 64), (0, 48, 60), (16, 32, 62)],
        ),
    ],
)
def test_notes_are_paired_as_symusic_pairs_them(name, track, notes):
    assert notes_of(track) == notes, name
    data = midi_bytes(track)
    assert by_mido(data) == by_symusic(data), name


def test_a_part_is_a_channel_whose_first_note_has_its_program():
    first = """
        00 FF0301 41   # name: A
        00 C0 07       # channel 1: program 7
        00 90 3C 40
        10 C0 05       # program 5 before the note ends: the part changes it later
        10 80 3C 00
        00 90 3E 40
        10 80 3E 00
        00 99 24 40    # channel 10: drums
        10 89 24 00
        00 90 40 40    # never ended: no reason to be a part
        00 FF0302 C3A4 # the last name holds; UTF-8
    """
    second = """
        00 FF0301 E4   # the same in Latin-1
        00 80 40 00    # does not end a note of another track
        00 90 3C 40    # the program is that of this track
        10 80 3C 00
    """
    data = midi_bytes(first, second)
    assert by_mido(data) == [
        ("ä", 7, False, [(0, 32, 60), (32, 48, 62)]),
        ("ä", 0, True, [(48, 64, 36)]),
        ("ä", 0, False, [(0, 16, 60)]),
    ]
    assert read_with_mido(data).parts[0].program_changes == ((16, 5),)
    assert_alike(data)


def test_tempos_of_all_tracks_come_in_time():
    late = "10 FF5103 0927C0  # after 16 ticks: 100 quarters a minute"
    early = "00 FF5103 07A120 # 120  \n 00 FF5103 0927C0 # 100"
    data = midi_bytes(late, early, MIDDLE_C)
    assert read_with_mido(data).tempo_maps[0].tempos == ((0, 120.0), (0, 100.0), (16, 100.0))
    assert_alike(data)


@pytest.mark.parametrize(
    ("microseconds", "tempo"),
    [
        ("5B8D80", 10.0),  # 6,000,000: the slowest that is believed
        ("00EA60", 1000.0),  # 60,000: the fastest
        ("FFFFFF", 120.0),  # 3.6 quarters a minute
        ("00EA5F", 120.0),  # just above 1000
        ("000000", 120.0),
    ],
)
def test_an_absurd_tempo_is_120(microseconds, tempo):
    data = midi_bytes(f"00 FF5103 {microseconds}", MIDDLE_C)
    assert tempo_of(read_with_mido(data)) == pytest.approx(tempo, rel=1e-6)


def test_without_a_tempo_it_is_120():
    assert tempo_of(read_with_mido(midi_bytes(MIDDLE_C))) == 120.0


def test_signatures_come_in_time():
    first = "8360 FF5804 03021808  # after 480 ticks: 3/4 \n 8360 FF5804 06031808  # 6/8"
    second = "00 FF5804 04021808  # 4/4 \n 8360 FF5804 02021808  # 2/4"
    expected = ((0, 4, 4), (480, 3, 4), (480, 2, 4), (960, 6, 8))
    data = midi_bytes(first, second, MIDDLE_C)
    assert read_with_mido(data).tempo_maps[0].signatures == expected
    assert_alike(data)


def test_tracks_of_format_2_have_tempos_and_signatures_of_their_own():
    waltz = "00 FF5804 03021808  00 FF5103 0927C0 # 3/4, 100 quarters a minute" + MIDDLE_C
    plain_track = MIDDLE_C
    data = midi_bytes(waltz, plain_track)
    assert len(read_with_mido(data).tempo_maps) == 1
    data = data[:9] + b"\2" + data[10:]
    assert read_with_mido(data).tempo_maps == (((((0, 100.0),), ((0, 3, 4),))), ((), ()))
    assert [part.pattern for part in read_with_mido(data).parts] == [0, 1]
    assert_alike(data)


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("nine flats", "00 FF5902 F7 00"),
        ("a key neither major nor minor", "00 FF5902 00 02"),
        ("a key of no bytes", "00 FF5900"),
        ("a tempo of two bytes", "00 FF5102 07A1"),
        ("a metre of no bytes", "00 FF5800"),
        ("a time in frames of no bytes", "00 FF5400"),
        ("a meta event nobody knows", "00 FF6003 90 3C 40"),
        ("the end of the track", "00 FF2F00"),
        ("a system exclusive event", "00 F003 90 3C F7"),
        ("the rest of one", "00 F702 90 3C"),
        ("a song position", "00 F2 10 10"),
        ("a clock", "00 F8"),
    ],
)
def test_what_cannot_be_used_is_passed_over(name, before):
    assert by_mido(midi_bytes(before + MIDDLE_C)) == C_IS_READ, name


def test_what_is_passed_over_takes_its_time():
    assert notes_of("10 FF5902 F7 00  # nine flats", MIDDLE_C) == [(0, 480, 60)]
    assert notes_of("10 FF5902 F7 00  # nine flats \n" + MIDDLE_C) == [(16, 496, 60)]


def test_mido_alone_fails_for_a_key_of_nine_flats(tmp_path):
    """The reason for all this: a test that fails when mido learns better."""
    path = tmp_path / "flats.mid"
    path.write_bytes(midi_bytes("00 FF5902 F7 00" + MIDDLE_C))
    with pytest.raises(mido.KeySignatureError):
        mido.MidiFile(path, clip=True)


@pytest.mark.parametrize(
    ("name", "between"),
    [
        ("a text", "10 FF0101 41"),
        ("a system exclusive event", "10 F002 41 F7"),
        ("a clock", "10 F8"),
    ],
)
def test_the_running_status_outlives(name, between):
    assert notes_of(f"00 90 3C 40  {between}  10 3C 00") == [(0, 32, 60)], name


@pytest.mark.parametrize(
    ("name", "track", "notes"),
    [
        ("velocity", "00 903CFF  10 803CFF", [(0, 16, 60)]),
        ("pitch", "00 90BC40  10 80FF00", [(0, 16, 127)]),
        ("controller", "00 B0FFFF  10 903C40  10 803C00", [(16, 32, 60)]),
    ],
)
def test_a_data_byte_above_127_is_127(name, track, notes):
    assert notes_of(track) == notes, name


def test_a_bank_above_127_is_none():
    """As 127 it would be one of XG's drum kits."""
    assert by_mido(midi_bytes("00 B0 00 FF  00 C0 05" + MIDDLE_C)) == [
        ("", 5, False, [(0, 480, 60)])
    ]


def test_a_program_above_127_is_127():
    assert by_mido(midi_bytes("00 C0 FF" + MIDDLE_C)) == [("", 127, False, [(0, 480, 60)])]


def test_a_file_that_is_cut_keeps_the_notes_before_the_cut():
    whole = midi_bytes(MIDDLE_C, "00 903C40  10 803C00  10 904040  10 804000")
    notes = [note for _, _, _, part in by_mido(whole) for note in part]
    assert notes == [(0, 480, 60), (0, 16, 60), (32, 48, 64)]
    found = []
    for length in range(len(midi_bytes(MIDDLE_C)), len(whole)):
        cut = [note for _, _, _, part in by_mido(whole[:length]) for note in part]
        assert cut == notes[: len(cut)]
        found.append(len(cut))
    assert found == sorted(found)
    assert set(found) == {1, 2, 3}


@pytest.mark.parametrize(
    ("name", "nonsense"),
    [
        ("a status byte that means nothing", "00 F4"),
        ("a text longer than the track", "00 FF01 FF7F"),
        ("ticks beyond 31 bits", "FFFFFF7F F8" * 9),
        ("a time of twenty bytes", "FF" * 19 + "7F F8"),
    ],
)
def test_a_track_ends_where_it_turns_to_nonsense(name, nonsense):
    late = "00 904040  10 804000"
    assert notes_of(MIDDLE_C + nonsense + late) == [(0, 480, 60)], name


def test_a_track_that_starts_without_a_status_leaves_the_others():
    assert by_mido(midi_bytes("00 3C 40", MIDDLE_C)) == C_IS_READ


def test_the_last_tick_is_that_of_31_bits():
    waits = "FFFFFF7F F8" * 7  # 268,435,455 ticks each
    assert notes_of(f"00 903C40 {waits} FFFFFF7F 803C00") == [(0, 2**31 - 8, 60)]
    assert notes_of(f"00 903C40 {waits} FFFFFF7F F8 07 803C00") == [(0, 2**31 - 1, 60)]
    assert by_mido(midi_bytes(f"00 903C40 {waits} FFFFFF7F F8 08 803C00")) == []
    assert by_mido(midi_bytes("FFFFFFFF7F 903C40 00 803C00")) == []


TRACK = from_hex(MIDDLE_C + END)
OTHER = from_hex("00 904040  10 804000" + END)
NO_TRACK = from_hex("00 00 904040  10 804000  # notes, if one were to read on after the track")
LIKE_A_TRACK = from_hex("00 FF0110" + b"MTrk\0\0\0\x08".hex() + "00 904040  10 804000")
BOTH_ARE_READ = [*C_IS_READ, ("", 0, False, [(0, 16, 64)])]


@pytest.mark.parametrize(
    ("name", "data", "parts"),
    [
        ("no track announced", header(0) + chunk(b"MTrk", TRACK), C_IS_READ),
        ("too many announced", header(9) + chunk(b"MTrk", TRACK), C_IS_READ),
        (
            "a header of ten bytes",
            header(1)[:7] + b"\x0a" + header(1)[8:] + b"\0\0\0\0" + chunk(b"MTrk", TRACK),
            C_IS_READ,
        ),
        (
            "a header of no bytes",
            header(1)[:7] + b"\0" + header(1)[8:] + chunk(b"MTrk", TRACK),
            C_IS_READ,
        ),
        (
            "a track of two gigabytes",
            header(2) + chunk(b"MTrk", TRACK, 2**31) + chunk(b"MTrk", OTHER),
            BOTH_ARE_READ,
        ),
        (
            "a track said to hold half the next",
            header(2) + chunk(b"MTrk", TRACK, len(TRACK) + 14) + chunk(b"MTrk", OTHER),
            BOTH_ARE_READ,
        ),
        (
            "another chunk between",
            header(2) + chunk(b"MTrk", TRACK) + chunk(b"XFIH", NO_TRACK) + chunk(b"MTrk", OTHER),
            BOTH_ARE_READ,
        ),
        (
            "another chunk at the end",
            header(1) + chunk(b"MTrk", TRACK) + chunk(b"XFKM", NO_TRACK),
            C_IS_READ,
        ),
        (
            "a text that looks like a track",
            header(2) + chunk(b"MTrk", LIKE_A_TRACK + TRACK) + chunk(b"MTrk", OTHER),
            BOTH_ARE_READ,
        ),
        (
            "the same in the last track",
            header(1) + chunk(b"MTrk", LIKE_A_TRACK + TRACK),
            C_IS_READ,
        ),
    ],
)
def test_chunks_are_found_whatever_the_lengths_say(name, data, parts):
    assert by_mido(data) == parts, name


@pytest.mark.parametrize(
    ("name", "division", "tempo", "ticks"),
    [
        ("25 frames of 40 ticks, half a second", "E728", "07A120", 500),
        ("24 frames of 40 ticks", "E828", "07A120", 480),
        ("30 frames of 80 ticks", "E250", "07A120", 1200),
        ("25 frames of 200 ticks", "E7C8", "07A120", 2500),
        ("29.97 frames of 40 ticks", "E328", "07A120", 599),
        ("a quarter of 600 milliseconds", "E728", "0927C0", 600),
        ("an absurd tempo", "E728", "000001", 500),
    ],
)
def test_time_in_frames_becomes_ticks_a_quarter(name, division, tempo, ticks):
    data = midi_bytes(f"00 FF5103 {tempo}" + MIDDLE_C, division=division)
    assert read_with_mido(data).ticks_per_quarter == ticks, name


def test_a_file_without_notes_has_no_parts():
    assert by_mido(midi_bytes("00 C0 05  # a program change only")) == []
    assert by_mido(header(0)) == []


BROKEN = "not a MIDI file that can be parsed: "


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("no bytes", b"", BROKEN + "no header at its start"),
        ("text", b"this is not music at all", BROKEN + "no header at its start"),
        ("header only begun", header(1)[:13], BROKEN + "no header at its start"),
        ("wrapped", b"RIFF" + midi_bytes(MIDDLE_C), BROKEN + "no header at its start"),
        ("cut in the first note", midi_bytes(MIDDLE_C)[:-6], BROKEN + "it breaks off before"),
        ("no ticks", midi_bytes(MIDDLE_C, division="0000"), "time division 0000: neither ticks"),
        ("one frame", midi_bytes(MIDDLE_C, division="FFFF"), "time division ffff: neither ticks"),
        ("no ticks a frame", midi_bytes(MIDDLE_C, division="E700"), "time division e700: neither"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(name, data, text):
    with pytest.raises(MidiError, match=f"^{text}"):
        read_with_mido(data)


def test_a_file_that_would_take_minutes_is_refused(monkeypatch):
    data = midi_bytes(MIDDLE_C)
    monkeypatch.setattr(mido_reader, "MAX_BYTES", len(data))
    assert by_mido(data) == C_IS_READ
    text = f"{len(data) + 1} bytes are too many for mido; at most {len(data)} are read"
    with pytest.raises(MidiError, match=text):
        read_with_mido(data + b"\0")


@pytest.mark.parametrize("byte", [0xFF, 0x80])
def test_a_number_that_never_ends_takes_no_longer_than_its_bytes(byte):
    """As a Python integer it would have seven million bits, and every byte would copy them."""
    body = bytes([byte]) * 1_000_000
    with pytest.raises(MidiError, match="it breaks off before a note has ended"):
        read_with_mido(header(1) + chunk(b"MTrk", body))


RIFF = b"RIFF" + (999).to_bytes(4, "little") + b"RMIDdata"


@pytest.mark.parametrize(
    ("name", "wrapper", "behind"),
    [
        ("none", b"", b""),
        ("RIFF", RIFF + len(midi_bytes(MIDDLE_C)).to_bytes(4, "little"), b""),
        ("RIFF with a wrong size", RIFF + b"\xff\xff\xff\xff", b""),
        ("RIFF with a name in front", b"RIFF\0\0\0\0RMIDLIST\4\0\0\0INFOdata\0\0\0\0", b"LIST"),
        ("MacBinary", b"\0\4Tune".ljust(128, b"\0"), b"\0" * 60),
    ],
)
def test_a_wrapper_is_taken_off(name, wrapper, behind):
    data = midi_bytes(MIDDLE_C)
    assert unwrap(wrapper + data + behind) == data + behind, name
    assert by_mido(unwrap(wrapper + data + behind)) == C_IS_READ, name


@pytest.mark.parametrize("data", [b"", b"RIFF\4\0\0\0WAVE", b"MTh"])
def test_what_holds_no_midi_stays_as_it_is(data):
    assert unwrap(data) == data


def random_track(rng) -> bytes:
    """Events that the standard allows, in any order; few pitches, so that they often collide."""
    body = b""
    kinds = ["on", "on", "off", "off", "still", "program", "bank", "bend", "escape", "mode"]
    for _ in range(int(rng.integers(1, 60))):
        channel, pitch = int(rng.choice([0, 1, 9])), int(rng.integers(60, 64))
        event = rng.choice([*kinds, "name", "tempo", "metre"])
        body += bytes([rng.integers(0, 3)])
        body += {
            "on": bytes([0x90 | channel, pitch, 64]),
            "off": bytes([0x80 | channel, pitch, 0]),
            "still": bytes([0x90 | channel, pitch, 0]),
            "program": bytes([0xC0 | channel, pitch]),
            "bank": bytes([0xB0 | channel, 0, rng.choice([0, 120, 121, 127])]),
            "bend": bytes([0xE0 | channel, 0, pitch]),
            "mode": b"\xf0\x08\x43\x10\x4c\x08" + bytes([channel, 7, rng.integers(0, 3), 0xF7]),
            "escape": b"\xf7\3\x90\x3c\x40",
            "name": bytes([0xFF, 3, 2, *rng.integers(0x20, 0x100, 2)]),
            "tempo": bytes([0xFF, 0x51, 3, 7, *rng.integers(0, 256, 2)]),
            "metre": bytes([0xFF, 0x58, 4, rng.integers(0, 8), rng.integers(0, 5), 24, 8]),
        }[event]
    return body + from_hex(END)


def test_files_of_random_events_are_read_as_by_symusic(rng):
    for _ in range(300):
        tracks = [random_track(rng) for _ in range(rng.integers(1, 4))]
        data = header(len(tracks)) + b"".join(chunk(b"MTrk", track) for track in tracks)
        assert_alike(data[:9] + bytes([rng.integers(0, 3)]) + data[10:])


def test_a_file_of_thousands_of_changes_is_read_as_by_symusic(rng):
    """More than fit the first table of the scan, several at a tick."""
    body = b"".join(
        bytes([i % 2, 0xFF, 0x51, 3, 7, i >> 8, i & 255, 0, 0xFF, 0x58, 4, 1 + i % 7, 2, 24, 8])
        for i in range(3000)
    )
    data = header(2) + 2 * chunk(b"MTrk", body + from_hex(MIDDLE_C + "00 C003" + MIDDLE_C + END))
    assert_alike(data)
    assert len(read_with_symusic(data).tempo_maps[0].tempos) == 6000


def test_random_bytes_behind_a_good_header_never_raise_anything_else(rng):
    read = 0
    for _ in range(1000):
        body = rng.integers(0, 256, rng.integers(1, 200), dtype=np.uint8).tobytes()
        try:
            reading = read_with_mido(header(1) + chunk(b"MTrk", body))
        except MidiError:
            continue
        for part in reading.parts:
            assert (part.starts_ticks >= 0).all()
            assert (part.ends_ticks > part.starts_ticks).all()
            assert ((part.pitches >= 0) & (part.pitches < 128)).all()
            read += 1
    assert read


COLLECTIONS = [
    "airds",
    "freedoom",
    "hauptstimme",
    "nottingham",
    "oneills",
    "open-hymnal",
    "openscore-quartets",
    "pop909",
    "ryans-mammoth",
]


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_real_files_are_read_as_by_symusic(real_midi, collection):
    paths = sorted((real_midi / collection).glob("*.mid"))
    for path in paths[:: len(paths) // 5]:
        assert_alike(path.read_bytes())
