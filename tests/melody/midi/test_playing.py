"""Pieces, and when and in what order their messages are sent, whatever interrupts them."""

import io
import os
import sys
from collections import Counter
from itertools import repeat

import mido
import pytest

from melodyconstraints.errors import MidiError, PortError, UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.pieces import Piece, melody_piece, read_piece
from melodyconstraints.melody.midi.playing import (
    ExternalClock,
    InternalClock,
    Timer,
    play_pieces,
)
from melodyconstraints.melody.midi.writing import write_melody

ON, OFF, PROGRAM = b"\x90\x3c\x60", b"\x80\x3c\0", b"\xc0\0"
CLOCK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
PIECE = Piece("one note", ((0.0, ON), (1.0, OFF)), ((0.0, 120.0),), 2.0)


class FakeTimer(Timer):
    """Is at each deadline at once."""

    def __init__(self, start=100.0):
        object.__setattr__(self, "clock", [start])
        super().__init__(now=lambda: self.clock[0], sleep=lambda seconds: None)

    def wait_until(self, deadline):
        self.clock[0] = max(self.clock[0], deadline)


class FakePort:
    """Notes what is sent, and when; ``raise_at`` of its sends are interrupted, before or after."""

    def __init__(self, timer, raise_at=(), error=KeyboardInterrupt, after=False):
        self.timer, self.raise_at, self.error, self.after = timer, raise_at, error, after
        self.sent, self.calls = [], 0

    def send(self, message):
        self.calls += 1
        if self.calls - 1 in self.raise_at and not self.after:
            raise self.error
        self.sent.append((round(self.timer.clock[0] - 100.05, 6), message))
        if self.calls - 1 in self.raise_at:
            raise self.error

    def close(self):
        pass

    @property
    def sounding(self):
        counts = Counter()
        for _, message in self.sent:
            kind, note = message[0] & 0xF0, (message[0] & 0x0F, message[1:2])
            if kind == 0x90 and message[2]:
                counts[note] = 1
            elif kind in (0x80, 0x90):
                counts[note] = 0
        return +counts


def test_a_timer_sleeps_to_shortly_before_the_deadline_and_then_reads_the_time():
    times, slept = iter([10.0, 12.9995, 12.9999, 13.0001]), []
    Timer(lambda: next(times), slept.append).wait_until(13.0)
    assert slept == [pytest.approx(2.999)]
    assert next(times, None) is None


def test_a_melody_is_played_at_absolute_deadlines_and_the_next_follows_on_its_last_bar_line():
    timer = FakeTimer()
    port = FakePort(timer)
    melody = melody_piece(Melody.from_notes([(0, 4, 60), (6, 2, 62)]))
    assert play_pieces([melody, melody], port, InternalClock(timer)) == 2
    once = [
        *((0.0, PROGRAM), (0.0, ON), (0.5, OFF)),
        *((0.75, b"\x90\x3e\x60"), (1.0, b"\x80\x3e\0")),
    ]
    assert port.sent == [*once, *((at + 32, message) for at, message in once)]


def test_a_piece_that_comes_late_starts_when_it_comes():
    timer = FakeTimer()
    port = FakePort(timer)

    def late():
        yield PIECE
        timer.clock[0] += 5
        yield PIECE

    play_pieces(late(), port, InternalClock(timer))
    assert [at for at, message in port.sent if message == ON] == [0.0, pytest.approx(6.05)]


def test_the_clock_has_24_pulses_a_quarter_before_what_falls_on_them_and_follows_the_tempo():
    timer = FakeTimer()
    port = FakePort(timer)
    piece = Piece("", PIECE.messages, ((0.0, 120.0), (1.0, 60.0)), 2.0)
    play_pieces([piece], port, InternalClock(timer), pulses=True)
    sent = [message for _, message in port.sent]
    assert sent == [START, CLOCK, ON, *[CLOCK] * 24, OFF, *[CLOCK] * 23, STOP]
    pulses = [at for at, message in port.sent if message == CLOCK]
    assert pulses == [
        *(pytest.approx(k / 48, abs=1e-6) for k in range(24)),
        *(pytest.approx(0.5 + k / 24, abs=1e-6) for k in range(24)),
    ]
    assert port.sent[-1] == (1.5, STOP)


@pytest.mark.parametrize("after", [False, True], ids=["before it is sent", "after"])
@pytest.mark.parametrize("call", range(5))
def test_no_note_hangs_wherever_ctrl_c_comes_even_twice(call, after):
    timer = FakeTimer()
    port = FakePort(timer, (call, call + 1), after=after)
    chord = ((0.0, ON), (0.0, b"\x91\x40\x60"), (0.5, b"\x91\x40\0"), (1.0, OFF))
    piece = Piece("", chord, ((0.0, 120.0),), 1.0)
    with pytest.raises(KeyboardInterrupt):
        play_pieces([piece, PIECE], port, InternalClock(timer))
    assert not port.sounding


def test_a_note_without_an_end_and_a_pedal_end_with_their_piece():
    timer = FakeTimer()
    port = FakePort(timer)
    down, up = b"\xb0\x40\x7f", b"\xb0\x40\0"
    held = Piece("", ((0.0, down), (0.0, ON)), ((0.0, 120.0),), 2.0)
    play_pieces([held], port, InternalClock(timer))
    assert port.sent == [(0.0, down), (0.0, ON), (1.0, up), (1.0, OFF)]


def test_a_port_that_is_gone_ends_the_playing():
    timer = FakeTimer()
    port = FakePort(timer, range(1, 99), error=PortError("gone"))
    with pytest.raises(PortError, match="gone"):
        play_pieces([PIECE], port, InternalClock(timer), pulses=True)


@pytest.mark.skipif(not hasattr(os, "SCHED_RR"), reason="no policies of Linux")
def test_a_player_goes_before_others_only_while_it_plays(monkeypatch):
    policy = [os.SCHED_OTHER]

    def schedule(process, new, parameters):
        assert new & os.SCHED_RESET_ON_FORK
        policy[0] = new

    monkeypatch.setattr(os, "sched_getscheduler", lambda process: policy[0])
    monkeypatch.setattr(os, "sched_setscheduler", schedule)
    timer, interval, seen = FakeTimer(), sys.getswitchinterval(), []

    def announce(title):
        seen.append((policy[0] & ~os.SCHED_RESET_ON_FORK, sys.getswitchinterval() < interval))

    for _ in range(2):
        play_pieces([PIECE], FakePort(timer), InternalClock(timer), announce=announce)
        assert (policy[0], sys.getswitchinterval()) == (
            os.SCHED_OTHER | os.SCHED_RESET_ON_FORK,
            interval,
        )
    assert seen == [(os.SCHED_RR, True)] * 2


def followed(*statuses, seconds=0.02):
    """What plays ``PIECE`` by a clock of such messages, one every 20 ms, and then Ctrl-C."""
    timer = FakeTimer()
    port = FakePort(timer)
    messages = enumerate([*statuses, None], 1)

    def receive():
        number, status = next(messages)
        timer.clock[0] = 100 + number * seconds
        if status is None:
            raise KeyboardInterrupt
        return timer.clock[0], status[0]

    piece = Piece("", (*PIECE.messages, (1 + 1 / 48, ON)), PIECE.tempos, 2.0)
    with pytest.raises(KeyboardInterrupt):
        play_pieces([piece], port, ExternalClock(receive, timer))
    return [(round((at + 0.05) / seconds, 6), message) for at, message in port.sent]


def test_a_followed_clock_sets_the_time_of_every_message_between_pulses_too():
    sent = followed(CLOCK, START, *repeat(CLOCK, 26))
    # Nothing before the start; the first pulse is the third message, the note ends 24 later.
    assert sent == [(3, ON), (27, OFF), (27.5, ON), (29, OFF)]


def test_stop_ends_what_sounds_continue_goes_on_and_start_begins_again():
    ten = list(repeat(CLOCK, 10))
    sent = followed(START, *ten, STOP, *ten, CONTINUE, *repeat(CLOCK, 15), START, CLOCK)
    # Stopped at the 12th message; pulses while it stands do not count; then 14 to the note's end.
    assert sent == [(2, ON), (12, OFF), (38, OFF), (38.5, ON), (39, OFF), (40, ON), (41, OFF)]


def test_a_file_is_played_whole_with_its_programs_and_tempos(tmp_path):
    file = mido.MidiFile(ticks_per_beat=96)
    tempo = [mido.MetaMessage("set_tempo", tempo=1_000_000, time=96)]
    one = [
        mido.Message("program_change", program=5),
        mido.Message("note_on", note=60, velocity=96),
        mido.Message("note_off", note=60, time=192),
    ]
    two = [mido.Message("note_on", channel=1, note=64, velocity=96, time=96)]
    file.tracks += [mido.MidiTrack(track) for track in (tempo, one, two)]
    file.save(tmp_path / "a.mid")
    piece = read_piece(tmp_path / "a.mid")
    other = b"\x91\x40\x60"
    off = mido.Message("note_off", note=60).bin()
    assert piece.messages == ((0, b"\xc0\5"), (0, ON), (1, other), (2, bytes(off)))
    assert (piece.title, piece.quarters) == ("a.mid", 2.0)
    assert piece.tempos == ((0.0, 120.0), (1.0, 60.0))
    assert [piece.seconds_at(quarters) for quarters in (0, 1, 2)] == [0, 0.5, 1.5]
    changed = piece.played(tempo=240, program=7, channel=16)
    assert changed.messages[:2] == ((0, b"\xcf\7"), (0, b"\x9f\x3c\x60"))
    assert len(changed.messages) == 4
    assert changed.seconds_at(2) == 0.5


def test_what_cannot_be_played_says_so(tmp_path):
    write_melody(Melody.from_notes([]), tmp_path / "silent.mid")
    frames = io.BytesIO()
    mido.MidiFile(ticks_per_beat=0x7FFF).save(file=frames)
    (tmp_path / "frames.mid").write_bytes(frames.getvalue().replace(b"\x7f\xff", b"\xe7\x28"))
    (tmp_path / "text.mid").write_text("text")
    for name, message in (
        ("silent.mid", "holds no notes"),
        ("frames.mid", "its time is in frames"),
        ("text.mid", "not a MIDI file that can be parsed"),
        ("none.mid", "cannot be read"),
    ):
        with pytest.raises(MidiError, match=message):
            read_piece(tmp_path / name)
    for choice, message in (
        ({"channel": 17}, "channel must be from 1 to 16, got 17"),
        ({"program": 128}, "program must be from 0 to 127, got 128"),
        ({"tempo": 5}, "tempo must be from 10 to 1000, got 5"),
    ):
        with pytest.raises(UsageError, match=message):
            PIECE.played(**choice)


def test_a_file_that_ends_at_once_takes_a_pulse_so_that_a_loop_of_it_takes_time(tmp_path):
    file = mido.MidiFile()
    file.tracks.append(mido.MidiTrack([mido.Message("note_on", note=60)]))
    file.save(tmp_path / "a.mid")
    assert read_piece(tmp_path / "a.mid").quarters == 1 / 24
