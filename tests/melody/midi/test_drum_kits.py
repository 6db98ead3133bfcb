"""Which channels are drums: by their number, by banks, by system exclusive events."""

import mido
import pytest

from melodyconstraints.errors import MidiError
from melodyconstraints.melody.midi.mido_reader import read_with_mido
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.melody.midi.symusic_reader import read_with_symusic


def midi_bytes(*tracks: str) -> bytes:
    """A file of format 1 with 480 ticks a quarter from annotated hexadecimal."""
    data = b"MThd" + bytes.fromhex("00000006 0001") + len(tracks).to_bytes(2, "big") + b"\1\xe0"
    for text in tracks:
        body = bytes.fromhex("".join(line.split("#")[0] for line in text.splitlines()))
        body += bytes.fromhex("00 FF2F00")
        data += b"MTrk" + len(body).to_bytes(4, "big") + body
    return data


def exclusive(body: str, delta: str = "00") -> str:
    """A system exclusive event from its maker's byte to its last but F7."""
    return f"{delta} F0 {len(bytes.fromhex(body)) + 1:02X} {body} F7 \n"


def drums_of(*tracks: str) -> list[bool]:
    """Whether each part is drums, as both readers find it."""
    found = [read(midi_bytes(*tracks)).parts for read in (read_with_symusic, read_with_mido)]
    by_symusic, by_mido = ([part.is_drum for part in parts] for parts in found)
    assert by_symusic == by_mido
    return by_symusic


KIT = "00 CA 00  # channel 11: program 0 \n 00 9A 24 40  78 8A 24 00"
FLUTE = "00 C9 49  # channel 10: program 73 \n 00 99 4A 40  78 89 4A 00"
GS_RESET = exclusive("41 10 42 12 40 00 7F 00 41")
GS_DRUMS = exclusive("41 10 42 12 40 1A 15 01 10")  # part 11
GS_MELODY = exclusive("41 10 42 12 40 10 15 00 1B")  # channel 10
XG_ON = exclusive("43 10 4C 00 00 7E 00")
XG_DRUMS = exclusive("43 10 4C 08 0A 07 01")
XG_MELODY = exclusive("43 10 4C 08 09 07 00")
GM_ON = exclusive("7E 7F 09 01")


@pytest.mark.parametrize(
    ("name", "before", "notes", "is_drum"),
    [
        ("channel 11", "", KIT, False),
        ("XG's drum kits", "00 BA 00 7F", KIT, True),
        ("XG's kits of effects", "00 BA 00 7E", KIT, True),
        ("General MIDI 2's drum kits", "00 BA 00 78", KIT, True),
        ("a bank of variations", "00 BA 00 08", KIT, False),
        ("the bank of another channel", "00 B0 00 7F", KIT, False),
        ("the low byte of the bank", "00 BA 20 7F", KIT, False),
        ("bank 127 on Roland's GS: an older device", GS_RESET + "00 BA 00 7F", KIT, False),
        ("GS and XG", GS_RESET + XG_ON + "00 BA 00 7F", KIT, True),
        ("GS: part 11 is drums", GS_DRUMS, KIT, True),
        ("GS: part 12 is drums", exclusive("41 10 42 12 40 1B 15 01 0F"), KIT, False),
        ("GS: part 11 has the second map", exclusive("41 7F 42 12 40 1A 15 02 0F"), KIT, True),
        ("XG: part 11 is drums", XG_DRUMS, KIT, True),
        ("XG: part 11 has set-up 2", exclusive("43 1F 4C 08 0A 07 03"), KIT, True),
        ("XG: part 12 is drums", exclusive("43 10 4C 08 0B 07 01"), KIT, False),
        ("XG: another parameter of part 11", exclusive("43 10 4C 08 0A 08 01"), KIT, False),
        ("XG, its end missing", "00 F0 07 43 10 4C 08 0A 07 01 \n", KIT, True),
        ("XG: drums, then melody", XG_DRUMS + XG_DRUMS.replace("07 01", "07 00"), KIT, False),
        ("channel 10", "", FLUTE, True),
        ("General MIDI 2's melody bank", "00 B9 00 79", FLUTE, False),
        ("bank 0", "00 B9 00 00", FLUTE, True),
        ("XG's drum kits", "00 B9 00 7F", FLUTE, True),
        ("GS: channel 10 is a melody part", GS_MELODY, FLUTE, False),
        ("XG: channel 10 is a melody part", XG_MELODY, FLUTE, False),
    ],
)
def test_drums_are_known_by_channel_bank_and_part_mode(name, before, notes, is_drum):
    assert drums_of(before + "\n" + notes) == [is_drum], name


def test_a_channel_without_a_program_has_the_bank_that_another_track_says():
    """A file's first track may set up the channels of all."""
    notes = "00 9A 24 40  78 8A 24 00"
    setup = "00 BA 00 7F  00 CA 00"
    assert drums_of(setup, notes) == [True]
    assert drums_of(setup.replace("BA", "BB").replace("CA", "CB"), notes) == [False]
    assert drums_of("00 BA 00 00  00 CA 00", setup + notes) == [True]


@pytest.mark.parametrize(
    ("name", "reset"),
    [
        ("GS Reset", GS_RESET),
        ("a choice of 32 parts", exclusive("41 10 42 12 00 00 7F 01 00")),
        ("XG System On", XG_ON),
        ("XG All Parameter Reset", exclusive("43 10 4C 00 00 7F 00")),
        ("General MIDI On", GM_ON),
        ("General MIDI 2 On", exclusive("7E 7F 09 03")),
    ],
)
def test_a_reset_makes_channel_10_drums_and_the_others_melodic(name, reset):
    for drums, melody in ((GS_DRUMS, GS_MELODY), (XG_DRUMS, XG_MELODY)):
        assert drums_of(drums + melody + reset + KIT + "\n" + FLUTE) == [True, False], name
        assert drums_of(reset + drums + melody + KIT + "\n" + FLUTE) == [False, True], name


@pytest.mark.parametrize(
    "other",
    [
        exclusive("7E 7F 09 02"),  # General MIDI Off
        exclusive("43 10 4C 02 01 00 01"),  # an effect of XG
        exclusive("41 10 42 12 40 01 30 04 0B"),  # an effect of GS
        "00 F7 09 43 10 4C 00 00 7E 00 F7 00 \n",  # an escape
        "00 F0 00 \n",
    ],
)
def test_other_exclusives_reset_nothing(other):
    assert drums_of(XG_DRUMS + other + KIT) == [True]


def test_a_mode_holds_from_its_tick_on_whichever_track_it_is_in():
    """A device that is reset after the music was none while it played."""
    late = exclusive("43 10 4C 00 00 7E 00", delta="8740")  # 960 ticks
    assert drums_of(late, XG_DRUMS + KIT) == [True]
    assert drums_of(XG_DRUMS + exclusive("43 10 4C 00 00 7E 00", delta="10"), "20" + KIT[2:]) == [
        False
    ]


def test_a_bank_counts_from_the_next_program_change_on():
    assert drums_of("00 CA 00  00 BA 00 7F  00 9A 24 40  78 8A 24 00") == [False]


def test_drums_and_melodies_of_xg_are_no_melody_and_one(tmp_path):
    """The same 64 quarters, on channel 11 set to drums and on channel 10 set to a melody part."""
    for channel, mode, name in ((10, 1, "drums.mid"), (9, 0, "melody.mid")):
        data = (0x43, 0x10, 0x4C, 0x08, channel, 0x07, mode)
        track = mido.MidiTrack([mido.Message("sysex", data=data)])
        for beat in range(64):
            note = {"note": 60 + beat % 7, "channel": channel}
            track.append(mido.Message("note_on", **note))
            track.append(mido.Message("note_off", time=480, **note))
        mido.MidiFile(type=0, tracks=[track]).save(tmp_path / name)
    with pytest.raises(MidiError, match="holds only drums"):
        read_melody(tmp_path / "drums.mid")
    assert len(read_melody(tmp_path / "melody.mid").melody) == 64
