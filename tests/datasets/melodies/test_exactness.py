"""From bytes to melodies: MIDI in annotated hexadecimal, and the events worked out by hand.

The files have 480 ticks a quarter where nothing else is said: a step is 120 ticks (78), a quarter
480 (8360), a bar 1920 (8F00). Every melody is 16 bars, so a passage of one or two bars is
followed by silence and a last note in bar 16.
"""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodyconstraints.datasets.melodies.extraction import Reject, extract_melodies
from melodyconstraints.melody.events import HOLD, REST
from melodyconstraints.melody.midi.windows import WindowSettings

BAR = 1920
ANYTHING = {
    "min_notes": 1,
    "min_pitches": 1,
    "max_silence_steps": 256,
    "lowest": 0,
    "highest": 127,
    "max_span": 127,
}


def from_hex(text: str) -> bytes:
    return bytes.fromhex("".join(line.split("#")[0] for line in text.splitlines()))


def track_chunk(body: bytes) -> bytes:
    """A track; its end is added."""
    body += from_hex("00 FF2F00")
    return b"MTrk" + len(body).to_bytes(4, "big") + body


def midi_bytes(*tracks: str, form: str = "0001", division: str = "01E0") -> bytes:
    """A file of format 1 with 480 ticks a quarter from annotated hexadecimal."""
    header = from_hex(f"4D546864 00000006 {form} {len(tracks):04X} {division}")
    return header + b"".join(track_chunk(from_hex(track)) for track in tracks)


def wait(ticks: int) -> str:
    """A time between events: seven bits a byte, the highest bit says that more follow."""
    groups = [ticks >> shift & 0x7F for shift in (21, 14, 7, 0) if ticks >> shift or not shift]
    return "".join(f"{group | 0x80:02X}" for group in groups[:-1]) + f"{groups[-1]:02X}"


def signature(numerator: int, power: int, after: int = 0) -> str:
    """A time signature so many ticks after the event before."""
    return f"{wait(after)} FF5804 {numerator:02X} {power:02X} 18 08\n"


def notes(count: int, pitch: int, length: int = BAR) -> str:
    """So many notes without a gap."""
    return count * f"00 90 {pitch:02X} 40  {wait(length)} 80 {pitch:02X} 00\n"


def last_note(bars: int, status: str = "90") -> str:
    """A step of pitch 36 that begins after so many bars of silence."""
    off = f"{int(status, 16) - 0x10:02X}"
    return f"\n {wait(bars * BAR)} {status} 24 40  78 {off} 24 00\n"


LAST = last_note(14)  # in bar 16, after a passage of one bar


def note(pitch: int, steps: int = 1) -> list[int]:
    return [pitch, *[HOLD] * (steps - 1)]


def rest(steps: int) -> list[int]:
    return [REST] * steps


LAST_BAR = [*note(36), *rest(15)]


def one_bar(*events: int) -> list[int]:
    """The melody of a passage of one bar and ``LAST``."""
    assert len(events) == 16
    return [*events, *rest(14 * 16), *LAST_BAR]


@pytest.fixture
def extract(tmp_path):
    """All windows of a file, none too dull; through a file on disk."""

    def extract(data, **chosen):
        path = tmp_path / "tune.mid"
        path.write_bytes(data)
        (found,) = extract_melodies([path], WindowSettings(**ANYTHING | chosen), unique="none")
        return found

    return extract


@pytest.fixture
def melodies(extract):
    """Their events."""

    def melodies(data, **chosen):
        found = extract(data, **chosen)
        assert (found.recovered, found.detail) == ("", "")  # no second look was needed
        return found.events.tolist()

    return melodies


QUARTERS = """
    00   90 3C 40   # pitch 60
    8360 80 3C 00   # ends 480 ticks later, a quarter
    00   90 3E 40   # 62
    8360 80 3E 00
    00   90 40 40   # 64
    8360 80 40 00
    00   90 41 40   # 65
    8360 80 41 00
"""
FOUR_QUARTERS = [*note(60, 4), *note(62, 4), *note(64, 4), *note(65, 4)]


def test_a_whole_file_byte_by_byte(extract):
    data = bytes.fromhex(
        "4D546864 00000006"  # MThd, six bytes follow
        "0000 0001 0060"  # format 0, one track, 96 ticks a quarter: 24 a step
        "4D54726B 0000002B"  # MTrk, 43 bytes follow
        "00 FF5103 0927C0"  # 600,000 microseconds a quarter
        "00 FF5804 04 02 18 08"  # 4/4
        "00 C0 49"  # program 73
        "30 90 4A 40"  # after 48 ticks (step 2): pitch 74
        "60 4A 00"  # after 96 more (step 6): velocity 0 ends it
        "AC50 4C 40"  # after 5712 more (step 244): pitch 76
        "18 4C 00"  # a step later
        "00 FF2F00"
    )
    found = extract(data)
    assert found.events.tolist() == [[*rest(2), *note(74, 4), *rest(238), *note(76), *rest(11)]]
    assert found.places.tolist() == [[0, 0, 0, 73, 2]]
    assert found.tempos.tolist() == [100.0]


@pytest.mark.parametrize(
    ("ticks", "text"), [(0, "00"), (127, "7F"), (128, "8100"), (480, "8360"), (2**21, "81808000")]
)
def test_times_are_written_as_the_standard_has_them(ticks, text):
    assert wait(ticks) == text


# Metre


def test_a_file_without_a_time_signature_is_in_4_4(melodies):
    assert melodies(midi_bytes(QUARTERS + LAST)) == [one_bar(*FOUR_QUARTERS)]


def test_2_2_has_bars_of_four_quarters(melodies):
    cut_time = "00 FF5804 02 01 18 08  # two halves"
    assert melodies(midi_bytes(cut_time, QUARTERS + LAST)) == [one_bar(*FOUR_QUARTERS)]


@pytest.mark.parametrize(
    ("name", "metre"),
    [
        ("3/4", "00 FF5804 03 02 18 08"),
        ("6/8", "00 FF5804 06 03 24 08"),
        ("12/8", "00 FF5804 0C 03 24 08"),
        ("2/4", "00 FF5804 02 02 18 08"),
        ("4/8", "00 FF5804 04 03 18 08"),
        ("4/2", "00 FF5804 04 01 18 08"),
        ("8/8, as long as 4/4", "00 FF5804 08 03 18 08"),
    ],
)
def test_other_metres_give_nothing(extract, name, metre):
    found = extract(midi_bytes(metre, QUARTERS + LAST))
    assert (len(found.events), found.reason) == (0, Reject.NO_FOUR_FOUR), name


def test_the_time_signature_may_stand_in_any_track(extract):
    waltz = "00 FF5804 03 02 18 08"
    assert extract(midi_bytes(QUARTERS + LAST, waltz)).reason is Reject.NO_FOUR_FOUR


def test_of_two_signatures_at_one_tick_the_last_holds(extract, melodies):
    waltz, common = "00 FF5804 03 02 18 08 \n", "00 FF5804 04 02 18 08 \n"
    assert melodies(midi_bytes(waltz + common + QUARTERS + LAST)) == [one_bar(*FOUR_QUARTERS)]
    found = extract(midi_bytes(common + waltz + QUARTERS + LAST))
    assert found.reason is Reject.NO_FOUR_FOUR


def test_2_2_after_4_4_goes_on_counting_bars(extract):
    metres = """
        00   FF5804 04 02 18 08   # 4/4
        8F00 FF5804 02 01 18 08   # after a bar: 2/2
        9E00 FF5804 04 02 18 08   # after two more: 4/4
    """
    found = extract(midi_bytes(metres, notes(16, 60) + notes(1, 62)))
    assert found.places[:, :3].tolist() == [[0, 0, 0], [0, 0, 1]]
    assert found.events.tolist() == [16 * note(60, 16), 15 * note(60, 16) + note(62, 16)]


def test_a_change_of_metre_parts_two_stretches(extract):
    metres = (
        signature(4, 2)
        + signature(3, 2, after=16 * BAR)  # two bars of 3/4
        + signature(4, 2, after=2 * 1440)
    )
    music = notes(16, 60) + notes(2, 72, 1440) + notes(17, 62)
    found = extract(midi_bytes(metres, music))
    # track, segment, bar in it
    assert found.places[:, :3].tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert found.events.tolist() == [16 * note(60, 16), *2 * [16 * note(62, 16)]]


def test_a_note_across_a_change_of_metre_is_cut_there(melodies):
    metres = signature(4, 2) + signature(3, 2, after=16 * BAR) + signature(4, 2, after=1440)
    across = """
        8740 90 40 40   # after half of bar 16: pitch 64
        8B20 80 40 00   # 1,440 ticks: a quarter into the bar of 3/4
        8360 90 43 40   # its last quarter: pitch 67
        9260 80 43 00   # 2,400 ticks: the first bar of 4/4 too
    """
    music = notes(15, 60) + across + notes(15, 62)
    assert melodies(midi_bytes(metres, music)) == [
        [*15 * note(60, 16), *rest(8), *note(64, 8)],
        [*note(67, 16), *15 * note(62, 16)],
    ]


def test_a_bar_that_a_change_cuts_short_is_left_out(extract):
    """16 and a half bars of 4/4: the half one counts neither as a bar nor as a place for notes."""
    metres = signature(4, 2) + signature(3, 2, after=16 * BAR + 960)
    found = extract(midi_bytes(metres, notes(16, 60) + notes(4, 72)))
    assert found.places[:, :3].tolist() == [[0, 0, 0]]
    assert found.events.tolist() == [16 * note(60, 16)]
    metres = signature(4, 2) + signature(3, 2, after=15 * BAR + 960)
    found = extract(midi_bytes(metres, notes(16, 60) + notes(4, 72)))
    assert found.reason is Reject.TOO_SHORT


def test_a_metre_repeated_on_the_bar_line_changes_nothing(extract):
    metres = signature(4, 2) + signature(4, 2, after=8 * BAR)
    assert extract(midi_bytes(metres, notes(16, 60))).events.tolist() == [16 * note(60, 16)]


def test_a_metre_repeated_off_the_bar_line_starts_a_bar_there(melodies):
    """Half a bar is cut short, and bars are counted from its end."""
    metres = signature(4, 2) + signature(4, 2, after=960)
    music = notes(1, 72, 960) + notes(16, 60)
    assert melodies(midi_bytes(metres, music)) == [16 * note(60, 16)]


def test_the_last_bar_of_the_music_counts_whole(melodies):
    """The last note ends with the first step of bar 16; 16 bars they are."""
    music = notes(15, 60) + "00 90 3E 40  78 80 3E 00"
    assert melodies(midi_bytes(music)) == [[*15 * note(60, 16), *note(62), *rest(15)]]


def test_a_voice_ends_with_its_last_note_in_the_stretch(extract):
    """Of 20 bars of 4/4, four are silent; what comes in 3/4 does not make them part of it."""
    metres = signature(4, 2) + signature(3, 2, after=20 * BAR)
    music = notes(16, 60) + f"{wait(4 * BAR)} FF0100 \n" + notes(2, 62, 1440)
    found = extract(midi_bytes(metres, music))
    assert found.places[:, 2].tolist() == [0]
    assert found.events.tolist() == [16 * note(60, 16)]


def test_15_bars_are_too_short(extract):
    assert extract(midi_bytes(notes(15, 60))).reason is Reject.TOO_SHORT
    late_end = notes(15, 60) + "9E00 FF0100  # an empty text two bars later"
    assert extract(midi_bytes(late_end)).reason is Reject.TOO_SHORT


# Pick-ups


PICK_UP = """
    00   FF5804 01 02 18 08   # 1/4
    8360 FF5804 04 02 18 08   # a quarter later: 4/4
"""


def test_bars_are_counted_after_a_pick_up(melodies):
    music = """
        00   90 37 40   # the pick-up: pitch 55
        8360 80 37 00
    """
    assert melodies(midi_bytes(PICK_UP, music + QUARTERS + LAST)) == [one_bar(*FOUR_QUARTERS)]


def test_a_pick_up_that_is_held_over_the_bar_line_begins_the_melody(melodies):
    music = """
        00   90 37 40   # the pick-up: pitch 55
        8740 80 37 00   # held through the first quarter of the first bar
        00   90 3C 40   # 60, for the other three
        8B20 80 3C 00
    """
    assert melodies(midi_bytes(PICK_UP, music + LAST)) == [one_bar(*note(55, 4), *note(60, 12))]


def test_a_pick_up_may_be_an_eighth(melodies):
    metres = """
        00   FF5804 01 03 18 08   # 1/8
        8170 FF5804 04 02 18 08   # 240 ticks later: 4/4
    """
    music = "00 90 37 40  8170 80 37 00  # pitch 55, an eighth\n"
    assert melodies(midi_bytes(metres, music + QUARTERS + LAST)) == [one_bar(*FOUR_QUARTERS)]


def test_a_pick_up_in_a_bar_filled_with_rests_stands_at_its_end(melodies):
    music = """
        8B20 90 37 40   # after three quarters of rest: pitch 55
        8360 80 37 00
    """
    assert melodies(midi_bytes(music + LAST)) == [one_bar(*rest(12), *note(55, 4))]


# Bar lines and windows


def test_notes_are_held_across_bar_lines(melodies):
    music = """
        00   90 3C 40   # pitch 60, bar 1 and half of bar 2
        9640 80 3C 00
        00   90 3E 40   # 62, for the other half
        8740 80 3E 00
    """
    expected = [*note(60, 24), *note(62, 8), *rest(13 * 16), *LAST_BAR]
    assert melodies(midi_bytes(music + last_note(13))) == [expected]


def test_a_window_that_begins_inside_a_held_note_begins_with_it(extract):
    music = """
        00   90 3C 40   # pitch 60, bar 1 and half of bar 2
        9640 80 3C 00
        00   90 3E 40   # 62, for the other half
        8740 80 3E 00
    """
    found = extract(midi_bytes(music + last_note(14)))  # in bar 17
    assert found.events.tolist() == [
        [*note(60, 24), *note(62, 8), *rest(14 * 16)],
        [*note(60, 8), *note(62, 8), *rest(14 * 16), *LAST_BAR],
    ]
    assert found.places.tolist() == [[0, 0, 0, 0, 2], [0, 0, 1, 0, 3]]


def test_a_note_that_ends_on_the_bar_line_is_not_held_into_the_window(extract):
    music = notes(1, 60) + "8F00 90 3E 40  8F00 80 3E 00  # a bar of silence, then pitch 62\n"
    found = extract(midi_bytes(music + last_note(14)))  # in bar 18
    # The window at bar 2 begins with a silent bar; that at bar 3 with 62.
    assert found.places[:, 2].tolist() == [0, 2]
    assert found.places[:, 4].tolist() == [2, 2]  # notes
    assert found.events[1].tolist() == [*note(62, 16), *rest(14 * 16), *LAST_BAR]


def test_a_note_of_40_bars_begins_all_25_windows(extract):
    music = f"00 90 3C 40  {wait(40 * BAR)} 80 3C 00"
    found = extract(midi_bytes(music))
    assert found.events.tolist() == 25 * [note(60, 256)]
    assert found.places[:, 2].tolist() == list(range(25))
    assert found.places[:, 4].tolist() == 25 * [1]


def test_windows_are_one_bar_apart(extract):
    music = "".join(notes(1, 60 + bar) for bar in range(18))
    found = extract(midi_bytes(music))
    assert found.events.tolist() == [
        [event for bar in range(first, first + 16) for event in note(60 + bar, 16)]
        for first in range(3)
    ]


def test_an_onset_just_before_the_bar_line_falls_on_it(melodies):
    """59 ticks early is nearer to the bar line than to the step before."""
    music = """
        00   90 37 40   # pitch 55
        78   80 37 00   # a step
        8D4D 90 3C 40   # 1,741 ticks later, at tick 1,861: pitch 60
        8F3B 80 3C 00   # 1,979 ticks: to the end of bar 2
    """
    expected = [*note(55), *rest(15), *note(60, 16), *rest(13 * 16), *LAST_BAR]
    assert melodies(midi_bytes(music + last_note(13))) == [expected]


@pytest.mark.parametrize(("silence", "before"), [("8E45", "3B"), ("8E44", "3C")])
def test_an_onset_just_before_the_last_bar_line_begins_one_more_bar(melodies, silence, before):
    """59 ticks, or 60, which is half a step."""
    music = f"""
        {silence} 90 3E 40   # bar 16 is silent until 62 begins
        {before}   80 3E 00   # it ends with the bar
    """
    assert melodies(midi_bytes(notes(15, 60) + music)) == [
        [*15 * note(60, 16), *rest(16)],
        [*14 * note(60, 16), *rest(16), *note(62), *rest(15)],
    ]


def test_an_onset_more_than_half_a_step_before_it_does_not(melodies):
    music = """
        8E43 90 3E 40   # 61 ticks before the end of bar 16
        3D   80 3E 00
    """
    assert melodies(midi_bytes(notes(15, 60) + music)) == [
        [*15 * note(60, 16), *rest(15), *note(62)]
    ]


# Triplets and notes off the grid


def test_triplets_of_eighths(melodies):
    """At 0, 1 1/3 and 2 2/3 steps: 0, 1 and 3."""
    music = """
        00   90 3C 40   # 60
        8120 80 3C 00   # 160 ticks
        00   90 3E 40   # 62
        8120 80 3E 00
        00   90 40 40   # 64
        8120 80 40 00
        8B20 FF0100     # three quarters of rest: an empty text
    """
    expected = one_bar(*note(60), *note(62, 2), *note(64), *rest(12))
    assert melodies(midi_bytes(music + LAST)) == [expected]


def test_triplets_of_quarters(melodies):
    """At 0, 2 2/3, 5 1/3 and 8 steps: 0, 3, 5 and 8."""
    music = """
        00   90 3C 40   # 60
        8240 80 3C 00   # 320 ticks
        00   90 3E 40   # 62
        8240 80 3E 00
        00   90 40 40   # 64
        8240 80 40 00
        00   90 41 40   # 65, two quarters
        8740 80 41 00
    """
    expected = one_bar(*note(60, 3), *note(62, 2), *note(64, 3), *note(65, 8))
    assert melodies(midi_bytes(music + LAST)) == [expected]


SEXTUPLET = "".join(
    f"00 90 {{{number}:02X}} 40  50 80 {{{number}:02X}} 00\n" for number in range(6)
)


@pytest.mark.parametrize(
    ("pitches", "heard"),
    [([60, 62, 64, 65, 67, 69], [60, 64, 65, 69]), ([69, 67, 65, 64, 62, 60], [69, 67, 64, 62])],
)
def test_of_six_notes_in_four_steps_the_higher_of_each_pair_is_heard(melodies, pitches, heard):
    """80 ticks each, at 0, 2/3, 4/3, 2, 8/3 and 10/3 steps: 0, 1, 1, 2, 3 and 3."""
    music = SEXTUPLET.format(*pitches) + "8B20 FF0100  # three quarters of rest"
    assert melodies(midi_bytes(music + LAST)) == [one_bar(*heard, *rest(12))]


def test_ticks_go_to_the_nearest_step_and_halves_upwards(melodies):
    music = """
        3B   90 3C 40   # tick 59: step 0
        78   80 3C 00   # tick 179: step 1
        7A   90 3E 40   # tick 301: step 3
        76   80 3E 00   # tick 419: step 3 too, but a note lasts a step
        79   90 40 40   # tick 540, half-way between 4 and 5: step 5
        78   80 40 00   # tick 660, half-way between 5 and 6: step 6
        73   90 41 40   # tick 775: step 6
        8879 80 41 00   # tick 1,920
    """
    heard = [*note(60), *rest(2), *note(62), *rest(1), *note(64), *note(65, 10)]
    assert melodies(midi_bytes(music + LAST)) == [one_bar(*heard)]


# The header's time division, a quarter, a step; the last tick that rounds to step 0, the first
# that rounds to 1.
DIVISIONS = [
    ("0060", "60", "18", "0B", "0C"),  # 96 ticks a quarter, 24 a step
    ("01E0", "8360", "78", "3B", "3C"),  # 480 and 120
    ("03C0", "8740", "8170", "77", "78"),  # 960 and 240
    ("0006", "06", "02", "00", "01"),  # 6 and 1.5, of which 2 ticks are the second step's
]


@pytest.mark.parametrize(("division", "quarter", "step", "early", "late"), DIVISIONS)
def test_the_division_of_the_quarter_does_not_matter(
    melodies, division, quarter, step, early, late
):
    last = wait(14 * 4 * int(division, 16)) + f" 90 24 40  {step} 80 24 00"
    music = QUARTERS.replace("8360", quarter)
    assert melodies(midi_bytes(music + last, division=division)) == [one_bar(*FOUR_QUARTERS)]


@pytest.mark.parametrize(("division", "quarter", "step", "early", "late"), DIVISIONS)
def test_every_division_rounds_at_half_a_step(melodies, division, quarter, step, early, late):
    bar = 4 * int(division, 16)
    for delay, silent in ((early, 0), (late, 1)):
        music = f"""
            {delay} 90 3C 40
            {wait(bar - int(delay, 16))} 80 3C 00  # held to the bar line
            {wait(14 * bar)} 90 24 40
            {step} 80 24 00
        """
        expected = one_bar(*rest(silent), *note(60, 16 - silent))
        assert melodies(midi_bytes(music, division=division)) == [expected]


def test_changes_of_tempo_do_not_move_steps(extract):
    tempos = """
        00   FF5103 0927C0   # 600,000 microseconds a quarter
        8360 FF5103 03D090   # a quarter later: twice as fast and more
        3C   FF5103 1E8480   # and very slow in the middle of a step
    """
    found = extract(midi_bytes(tempos, QUARTERS + LAST))
    assert found.events.tolist() == [one_bar(*FOUR_QUARTERS)]
    assert found.tempos.tolist() == [100.0]


def test_the_tempo_is_the_one_in_force_where_the_melody_begins(extract):
    """The last of several at one tick; a change within a melody is not told."""
    tempos = """
        00   FF5103 07A120   # 500,000 microseconds a quarter: 120
        00   FF5103 0927C0   # at once 600,000: 100
        8F00 FF5103 0F4240   # a bar later 1,000,000: 60
        8F00 FF5103 061A80   # a bar later 400,000: 150
    """
    found = extract(midi_bytes(tempos, notes(18, 60)))
    assert found.tempos.dtype == "float32"
    assert found.tempos.tolist() == [100.0, 60.0, 150.0]


# Drums


def test_channel_10_is_drums_in_a_file_of_one_track(extract):
    music = """
        00   90 3C 40   # channel 1: pitch 60
        00   99 54 40   # channel 10: 84, which would be the highest
        8740 89 54 00
        00   99 26 40   # 38
        8740 89 26 00
        00   80 3C 00   # 60 ends after the bar
    """
    found = extract(midi_bytes(music + LAST, form="0000"))
    assert found.events.tolist() == [one_bar(*note(60, 16))]
    assert found.places.tolist() == [[0, 0, 0, 0, 2]]


def test_channel_10_is_drums_in_any_track(extract):
    """Parts are counted with the drums: of three, the first and the last are melodies."""
    first = notes(1, 60) + LAST
    second = """
        00   99 24 40   # channel 10: pitch 36
        8F00 89 24 00
        00   9A 3E 40   # channel 11, in bar 2: pitch 62
        8F00 8A 3E 00
    """ + last_note(14, "9A")
    found = extract(midi_bytes(first, second))
    assert found.places[:, :3].tolist() == [[0, 0, 0], [2, 0, 1]]
    assert found.events.tolist() == [one_bar(*note(60, 16)), one_bar(*note(62, 16))]


def test_a_program_on_channel_10_is_drums_all_the_same(extract):
    """Program 0 is a drum kit there, and no piano."""
    music = "00 C9 00 \n" + QUARTERS.replace(" 90 ", " 99 ").replace(" 80 ", " 89 ")
    assert extract(midi_bytes(music + last_note(14, "99"))).reason is Reject.ONLY_DRUMS


# Formats


BASS = """
    00   91 30 40   # channel 2: pitch 48
    8F00 81 30 00   # a bar
"""
BASS_BAR = one_bar(*note(48, 16))


def test_format_0_has_its_voices_on_channels(extract):
    music = """
        00   C0 49      # channel 1: program 73
        00   C1 20      # channel 2: program 32
        00   90 48 40   # channel 1: pitch 72
        00   91 30 40   # channel 2: pitch 48
        8740 80 48 00   # half a bar
        00   90 4A 40   # channel 1: pitch 74
        8740 80 4A 00
        00   81 30 00   # channel 2 held all the time
        81D200 90 24 40 # both have a last note in bar 16
        00   91 24 40
        78   80 24 00
        00   81 24 00
    """
    found = extract(midi_bytes(music, form="0000"))
    assert found.events.tolist() == [one_bar(*note(72, 8), *note(74, 8)), BASS_BAR]
    assert found.places.tolist() == [[0, 0, 0, 73, 3], [1, 0, 0, 32, 2]]


def test_format_1_has_a_voice_on_each_track(extract):
    conductor = "00 FF5103 07A120 \n 00 FF5804 04 02 18 08"
    found = extract(midi_bytes(conductor, QUARTERS + LAST, BASS + last_note(14, "91")))
    assert found.events.tolist() == [one_bar(*FOUR_QUARTERS), BASS_BAR]
    assert found.places[:, 0].tolist() == [0, 1]


def test_two_tracks_on_one_channel_are_two_voices(melodies):
    low = """
        00   90 30 40   # channel 1 here too: pitch 48
        8F00 80 30 00
    """
    assert melodies(midi_bytes(QUARTERS + LAST, low + LAST)) == [
        one_bar(*FOUR_QUARTERS),
        BASS_BAR,
    ]


def test_format_2_has_patterns_that_all_begin_at_0(melodies):
    patterns = QUARTERS + LAST, BASS + last_note(14, "91")
    assert melodies(midi_bytes(*patterns, form="0002")) == [one_bar(*FOUR_QUARTERS), BASS_BAR]


def test_chunks_of_another_kind_are_passed_over(melodies):
    data = midi_bytes(QUARTERS + LAST)
    alien = from_hex(
        "58464948 00000008 4D54726B 00000000  # XFIH, which holds the name of a track"
    )
    assert melodies(data[:14] + alien + data[14:] + alien) == [one_bar(*FOUR_QUARTERS)]


# Status bytes, channels and programs


def test_running_status_and_velocity_0(melodies):
    music = """
        00   90 3C 40   # pitch 60
        8360 3C 00      # no status byte: note on with velocity 0, which ends it
        00   3E 40
        8360 3E 00
        00   40 40
        8360 40 00
        00   41 01      # the softest velocity is a note
        8360 41 00
        81D200 24 7F    # the last note, in bar 16
        78   24 00
    """
    assert melodies(midi_bytes(music)) == [one_bar(*FOUR_QUARTERS)]


def test_running_status_of_note_offs_and_of_messages_of_one_byte(melodies):
    music = """
        00   90 3C 40
        00   40 40      # running: 64 sounds too
        8360 80 3C 7F   # whatever the velocity with which it is let go
        8360 40 7F      # running: 64 ends after two quarters
        00   D0 40      # channel pressure has one byte
        00   41
        00   E0 00 40   # pitch bend has two
        00   00 41
        00   C0 00      # a program has one
        00   00
        00   90 3E 40
        8740 80 3E 00
    """
    assert melodies(midi_bytes(music + LAST)) == [one_bar(*note(64, 8), *note(62, 8))]


def test_controllers_and_aftertouch_are_no_notes(melodies):
    music = """
        00   B0 07 64   # volume
        00   90 3C 40
        8360 A0 3C 7F   # aftertouch of pitch 60
        00   B0 40 7F   # the pedal does not make notes longer
        8360 80 3C 00
        8740 B0 40 00
    """
    assert melodies(midi_bytes(music + LAST)) == [one_bar(*note(60, 8), *rest(8))]


def test_channels_of_one_track_are_apart(extract):
    """A note off of channel 2 does not end the same pitch of channel 1."""
    music = """
        00   90 3C 40   # channel 1: pitch 60
        00   91 3C 40   # channel 2: pitch 60
        8740 81 3C 00   # half a bar
        8740 80 3C 00   # a bar
        81D200 90 24 40
        00   91 24 40
        78   80 24 00
        00   81 24 00
    """
    assert extract(midi_bytes(music)).events.tolist() == [
        one_bar(*note(60, 16)),
        one_bar(*note(60, 8), *rest(8)),
    ]


def test_a_change_of_program_makes_no_other_voice(extract):
    """One instrument that is bowed and plucked; the first note's program is the melody's."""
    music = """
        00   C0 05
        00   90 3C 40   # program 5: pitch 60
        8360 C0 07
        8360 80 3C 00   # ends after the change
        00   90 3E 40   # program 7: pitch 62
        8360 80 3E 00
        00   C0 05
        00   90 40 40   # program 5: pitch 64
        8360 80 40 00
        81D200 90 24 40
        78   80 24 00
    """
    found = extract(midi_bytes(music))
    assert found.events.tolist() == [one_bar(*note(60, 8), *note(62, 4), *note(64, 4))]
    assert found.places[:, 3].tolist() == [5]


def test_the_program_is_that_of_a_melodys_first_note(extract):
    found = extract(midi_bytes(notes(1, 60) + "00 C0 07 \n" + notes(16, 62)))
    assert found.places[:, 3].tolist() == [0, 7]


# What stands between notes


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("a system exclusive event", "F0 05 7E 7F 09 01 F7"),
        ("one of 130 bytes", "F0 8102" + 129 * "41" + "F7"),
        ("one without its end", "F0 03 43 12 00"),
        ("one of no bytes", "F0 00"),
        ("the rest of one", "F7 03 90 43 F7"),
        ("an escape", "F7 02 F3 01"),
        ("an escape of 25 controllers", "F7 63 B0 07 40" + 24 * "00 B0 07 40"),
        ("an escape that looks like a note", "F7 07 90 43 40 08 80 43 40"),
        ("an unknown meta event that looks like a note", "FF 60 03 90 43 40"),
        ("one of the sequencer's own", "FF 7F 04 00 90 43 40"),
        ("one of no bytes", "FF 60 00"),
        ("a lyric of 200 bytes", "FF 05 8148" + 200 * "E4"),
        ("a key of three flats", "FF 59 02 FD 01"),
        ("time in frames", "FF 54 05 60 03 00 00 00"),
        ("a channel prefix", "FF 20 01 09"),
        ("a port", "FF 21 01 01"),
    ],
)
def test_events_between_notes_take_their_time_and_nothing_else(extract, name, event):
    music = f"""
        00   90 3C 40   # pitch 60
        8360 {event}    # a quarter later
        8360 80 3C 00   # two quarters after the start
        00   90 3E 40   # 62, for the other half
        8360 {event}
        8360 80 3E 00
    """
    found = extract(midi_bytes(music + LAST))
    assert found.events.tolist() == [one_bar(*note(60, 8), *note(62, 8))], name


def test_a_track_that_ends_late_has_no_more_bars(extract):
    """The end of the track stands two bars after the last note."""
    body = from_hex(notes(16, 60) + "9E00 FF2F00")
    data = midi_bytes()[:11] + b"\x01" + midi_bytes()[12:]
    found = extract(data + b"MTrk" + len(body).to_bytes(4, "big") + body)
    assert found.places[:, 2].tolist() == [0]


# Polyphony


@pytest.mark.parametrize(
    ("polyphony", "heard"),
    [
        ("skyline", [*note(72, 4), *note(60, 4), *note(76, 4), *note(60, 4)]),
        ("onset", [*note(72, 4), *rest(4), *note(76, 4), *rest(4)]),
    ],
)
def test_of_notes_together_the_highest_is_heard(melodies, polyphony, heard):
    music = """
        00   90 3C 40   # pitch 60, a whole bar
        00   90 48 40   # 72, a quarter
        00   90 43 40   # 67, a quarter too
        8360 80 48 00
        00   80 43 00
        8360 90 4C 40   # 76, the third quarter
        8360 80 4C 00
        8360 80 3C 00
    """
    assert melodies(midi_bytes(music + LAST), polyphony=polyphony) == [one_bar(*heard)]


def test_a_note_that_is_let_go_a_little_late_does_not_hide_the_next(melodies):
    """By 59 ticks not; by 61, the lower one is heard a step later."""
    for overlap, late in (("3B", 0), ("3D", 1)):
        music = f"""
            00   90 40 40   # pitch 64
            8740 90 3C 40   # half a bar later: 60
            {overlap} 80 40 00   # then 64 ends
            {wait(960 - int(overlap, 16))} 80 3C 00
        """
        heard = [*note(64, 8 + late), *note(60, 8 - late)]
        assert melodies(midi_bytes(music + LAST)) == [one_bar(*heard)]


@pytest.mark.parametrize(
    ("name", "between"),
    [
        ("ends, then starts", "8740 80 3C 00  00 90 3C 40"),
        ("starts, then ends, at one tick", "8740 90 3C 40  00 80 3C 00"),
        ("starts again before it ends", "8740 90 3C 40  8360 80 3C 00  00 FF0100"),
    ],
)
def test_a_repeated_pitch_is_two_notes(melodies, name, between):
    rest_of_it = "8360" if "8360" in between else "8740"
    music = f"00 90 3C 40 \n {between} \n {rest_of_it} 80 3C 00 \n"
    assert melodies(midi_bytes(music + LAST)) == [one_bar(*note(60, 8), *note(60, 8))], name


def test_the_lowest_and_the_highest_pitch_are_notes(melodies):
    music = """
        00   90 00 40   # pitch 0
        8740 80 00 00
        00   90 7F 40   # pitch 127
        8740 80 7F 00
    """
    assert melodies(midi_bytes(music + LAST)) == [one_bar(*note(0, 8), *note(127, 8))]


def test_a_note_without_length_is_a_step(melodies):
    music = """
        00   90 3C 40   # pitch 60
        00   80 3C 00   # ends at once
        8F00 FF0100     # a bar
    """
    assert melodies(midi_bytes(music + LAST)) == [one_bar(*note(60), *rest(15))]


def test_a_note_that_nothing_ends_is_none(melodies):
    """As in symusic, pretty_midi and note-seq."""
    music = """
        00   90 43 40   # pitch 67, for ever
        00   90 3C 40   # pitch 60
        8F00 80 3C 00
        00   80 3C 00   # ended once more
    """
    assert melodies(midi_bytes(music + LAST)) == [one_bar(*note(60, 16))]


# All at once, at random

STATUS = ["90", "93", "99"]  # channels 1, 4 and 10
DRUMS = STATUS.index("99")


@st.composite
def files(draw):
    """(division, signatures, notes): (tick, (numerator, power)), (voice, start, end, pitch).

    Some 20 to 60 bars of few ticks; signatures on bar lines and off them; notes anywhere, the last
    ones of each voice near a bar line.
    """
    division = draw(st.sampled_from([3, 4, 6, 8, 10]))
    bar = 4 * division
    length = draw(st.integers(20, 60)) * bar
    ticks = st.sampled_from([0, 1, 4, 16, 17, 20, 36]).map(lambda bars: bars * bar)
    metres = st.sampled_from([(4, 2), (4, 2), (4, 2), (2, 1), (3, 2), (1, 2)])
    lengths = st.integers(1, 2 * division) | st.integers(1, 20 * bar)
    starts = st.integers(0, length)
    late = st.tuples(st.integers(length - 3, length), st.integers(1, 4), st.integers(60, 64))
    notes = [
        *draw(
            st.lists(
                st.tuples(st.integers(0, 2), starts, lengths, st.integers(60, 64)), min_size=12
            )
        ),
        *[(voice, *draw(late)) for voice in range(3)],
    ]
    return (
        division,
        draw(st.lists(st.tuples(ticks | st.integers(0, 24 * bar), metres), max_size=3)),
        [(voice, start, start + n, pitch) for voice, start, n, pitch in notes],
    )


def written(division, signatures, notes):
    """A file of one track; at one tick, signatures first, and notes end before others start.

    The channels have programs of their own; with one, they would be one instrument where they
    hardly play at the same time.
    """
    timed = [
        (tick, 0, f"FF5804 {above:02X} {below:02X} 18 08") for tick, (above, below) in signatures
    ]
    for voice, start, end, pitch in notes:
        timed.append((start, 2, f"{STATUS[voice]} {pitch:02X} 40"))
        timed.append((end, 1, f"{STATUS[voice]} {pitch:02X} 00"))
    timed.sort(key=lambda event: event[:2])
    text, now = "00 C0 01  00 C3 02\n", 0
    for tick, _, event in timed:
        text, now = f"{text} {wait(tick - now)} {event}\n", tick
    return midi_bytes(text, form="0000", division=f"{division:04X}")


def bars_of_4_4(division, signatures, notes):
    """The first ticks of the whole bars, in lists without a gap, as far as the music goes.

    The first step of a bar begins half a step before the bar line, and a change of metre less than
    half a step off a bar line is meant for it.
    """
    near = Fraction(division, 8)
    end = max(end for _, _, end, _ in notes)
    last_start = max(start for _, start, _, _ in notes) + near
    changes = dict(sorted(signatures, key=lambda signature: signature[0]))
    stretches, tick, metre = [], 0, (4, 2)
    while tick < end or tick <= last_start:
        for change in [change for change in changes if change < tick + near]:
            metre = changes.pop(change)
        length = Fraction(4 * division * metre[0], 2 ** metre[1])
        following = min([tick + length, *(c for c in changes if c <= tick + length - near)])
        if metre in {(4, 2), (2, 1)} and following == tick + length:
            if not stretches or stretches[-1][-1] + length != tick:
                stretches.append([])
            stretches[-1].append(tick)
        tick = following
    return stretches


def played(notes):
    """What the file says: of equal pitches of a voice, the first to start is the first to end."""
    keys = sorted({(voice, pitch) for voice, _, _, pitch in notes})
    found = []
    for key in keys:
        same = [note for note in notes if (note[0], note[3]) == key]
        starts, ends = sorted(note[1] for note in same), sorted(note[2] for note in same)
        found += [(key[0], *ticks, key[1]) for ticks in zip(starts, ends, strict=True)]
    return found


def nearest_step(ticks, division):
    return floor(Fraction(4 * ticks, division) + Fraction(1, 2))


def highest_at_each_step(notes):
    """Events of (first step, last step + 1, pitch)."""
    events, before = [], None
    for step in range(16 * -(-max((end for _, end, _ in notes), default=0) // 16)):
        top = max((pitch for start, end, pitch in notes if start <= step < end), default=None)
        new = any(pitch == top and start == step for start, _, pitch in notes)
        events.append(REST if top is None else top if new or top != before else HOLD)
        before = top
    return events


def melodies_by_loop(division, signatures, notes):
    """Windows whose first bar is not silent, voice by voice, stretch by stretch, bar by bar."""
    found = []
    for voice in range(DRUMS):
        for stretch in bars_of_4_4(division, signatures, notes):
            first, last = stretch[0], stretch[-1] + 4 * division
            steps = []
            for other, start, end_, pitch in played(notes):
                if other == voice and start < last and end_ > first:
                    one = nearest_step(start - first, division)
                    two = nearest_step(min(end_, last) - first, division)
                    steps.append((max(one, 0), max(two, one + 1), pitch))
            events = highest_at_each_step(steps)[: 16 * len(stretch)]
            for bar in range(0, len(events) - 255, 16):
                window = events[bar : bar + 256]
                if window[0] == HOLD:
                    window[0] = next(event for event in events[bar::-1] if event != HOLD)
                if set(window[:16]) != {REST}:
                    found.append(window)
    return found


@settings(max_examples=50)
@given(files())
def test_a_file_gives_what_a_slow_and_plain_reading_gives(tmp_path_factory, file):
    path = tmp_path_factory.getbasetemp() / "random.mid"
    path.write_bytes(written(*file))
    (found,) = extract_melodies([path], WindowSettings(**ANYTHING), unique="none")
    assert found.events.tolist() == melodies_by_loop(*file)
