"""What is played of each kind of source, and when an actor draws."""

import signal
import threading

import pytest

import melodyconstraints as mc
from melodyconstraints.errors import UsageError
from melodyconstraints.melody.midi.pieces import melody_piece
from melodyconstraints.melody.midi.playing import Timer
from melodyconstraints.workflows import play as workflow
from melodyconstraints.workflows.play import ahead, play


class FakePort:
    """Notes what is sent; after ``most`` messages the user presses Ctrl-C or kills the process."""

    def __init__(self, most=None, ending=signal.SIGINT):
        self.sent, self.most, self.ending = [], most, ending

    def send(self, message):
        self.sent.append(message)
        if len(self.sent) == self.most:
            signal.raise_signal(self.ending)

    def close(self):
        raise AssertionError("whoever opened a port closes it")

    @property
    def pitches(self):
        return [message[1] for message in self.sent if message[0] & 0xF0 == 0x90]


def tune(pitch):
    return mc.Melody.from_notes([(0, 4, pitch)])


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard():
    """Also where the tests run in the background of a shell, which lets them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """No waiting: a deadline is there when it is asked for."""
    monkeypatch.setattr(Timer, "wait_until", lambda self, deadline: None)


def test_files_folders_and_melodies_are_played_in_order(tmp_path):
    mc.write_melody(tune(62), tmp_path / "b.mid", program=9)
    mc.write_melody(tune(60), tmp_path / "a.mid", program=9)
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    said = []
    for source, pitches in (
        (tmp_path / "b.mid", [62]),
        (str(tmp_path), [60, 62]),
        (tune(64), [64]),
        (mc.Melodies.stack([tune(64), tune(65)]), [64, 65]),
    ):
        port = FakePort()
        play(source, port, channel=2, announce=said.append)
        assert port.pitches == pitches
        assert {message[0] & 0x0F for message in port.sent} == {1}
    (broken,) = (line for line in said if line.startswith("passed over: "))
    assert "broken.mid: not a MIDI file" in broken
    said.remove(broken)
    assert said == ["b.mid", "a.mid", "b.mid", "melody", "melody 1", "melody 2"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_loop_goes_on_until_it_is_ended_and_no_note_hangs(ending):
    port = FakePort(8, ending)
    with pytest.raises(KeyboardInterrupt):
        play(tune(60), port, loop=True, program=4)
    assert port.pitches == [60, 60, 60]
    assert port.sent[-1][:2] == b"\x80\x3c"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_actor_plays_without_end_each_seed_after_the_other(monkeypatch, tmp_path):
    drawn = []

    class Actor:
        def generate(self, n, *, seed):
            drawn.append((n, seed, threading.current_thread() is threading.main_thread()))
            return mc.Melodies.stack([tune(50 + seed)])

    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(
        "melodyconstraints.workflows.load_actor.load_actor", lambda folder: Actor()
    )
    for source in (Actor(), tmp_path):
        drawn.clear()
        port = FakePort(9)
        with pytest.raises(KeyboardInterrupt):
            play(source, port, seed=3)
        assert port.pitches == [53, 54, 55]
        assert drawn == [(1, seed, False) for seed in range(3, 7)]


def test_the_next_item_is_computed_while_the_last_one_is_in_use():
    begun = [threading.Event() for _ in range(3)]

    def items():
        for event in begun:
            event.set()
            yield event

    for number, _ in enumerate(ahead(items())):
        assert all(event.wait(10) for event in begun[: number + 2])


def test_a_port_that_was_opened_is_closed_and_a_followed_clock_is_heard(monkeypatch):
    done, messages = [], [(0.0, 0xFA), *((1.0, 0xF8) for _ in range(24 * 64 + 1))]

    class Opened(FakePort):
        def close(self):
            done.append("closed")

    def open_input(name, receive):
        done.append(name)
        for message in messages:
            receive(*message)
        return Opened()

    opened = Opened()
    monkeypatch.setattr(workflow, "open_output", lambda name, virtual: opened)
    monkeypatch.setattr(workflow, "open_input", open_input)
    play(tune(60), "synth", follow="daw", announce=done.append)
    assert done.pop(1) == "following daw: press play there"
    assert done.pop(1) == "melody"
    assert done == ["daw", "closed", "closed"]
    assert opened.sent == [message for _, message in melody_piece(tune(60)).messages]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"follow": "daw", "clock": True}, "the clock that is followed sets the tempo"),
        ({"follow": "daw", "tempo": 90}, "the clock that is followed sets the tempo"),
        ({"channel": 0}, "channel must be from 1 to 16, got 0"),
    ],
)
def test_choices_that_cannot_be_are_refused_before_anything_sounds(choices, message):
    port = FakePort()
    with pytest.raises(UsageError, match=message):
        play(tune(60), port, **choices)
    assert not port.sent


def test_a_folder_without_music_is_refused_even_in_a_loop(tmp_path):
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    with pytest.raises(UsageError, match="holds no MIDI file that can be played"):
        play(tmp_path, FakePort(), loop=True)
