"""Ports by name, on a backend of the test's own: real ones differ from machine to machine."""

import sys
from types import SimpleNamespace

import pytest

from melodyconstraints.errors import PortError, UsageError
from melodyconstraints.melody.midi import ports
from melodyconstraints.melody.midi.ports import chosen, open_input, open_output, port_names

NAMES = ["Midi Through", "USB Synth 1", "USB Synth 2"]


class Device(SimpleNamespace):
    """An input or output that notes what is done with it."""

    def __init__(self, settings, api):
        super().__init__(settings=settings, done=[], error="")

    def open_port(self, port, own):
        self.done.append(("open", port.display_name or port.port_name, own))
        return self.error

    def open_virtual_port(self, name):
        self.done.append(("virtual", name))
        return self.error

    def send_message(self, message):
        self.done.append(bytes(message))
        return self.error

    def poll(self):
        if "polled" not in self.done:
            self.done.append("polled")
            self.settings.on_message([0xFA])

    def close_port(self):
        self.done.append("closed")


@pytest.fixture
def backend(monkeypatch):
    listed = [SimpleNamespace(display_name=name, port_name="") for name in NAMES[:2]]
    listed.append(SimpleNamespace(display_name="", port_name=NAMES[2]))
    made = []

    def device(settings, api):
        made.append(Device(settings, api))
        return made[-1]

    observer = SimpleNamespace(get_output_ports=lambda: listed, get_input_ports=lambda: listed[:1])
    fake = SimpleNamespace(
        available_apis=lambda: ["jack"],
        midi1_default_api=lambda: "alsa",
        API=SimpleNamespace(PIPEWIRE="pipewire", JACK_MIDI="jack"),
        Observer=lambda settings, api: observer,
        ObserverConfiguration=SimpleNamespace,
        OutputConfiguration=SimpleNamespace,
        InputConfiguration=SimpleNamespace,
        MidiOut=device,
        MidiIn=device,
        listed=listed,
        made=made,
    )
    monkeypatch.setitem(sys.modules, "pylibremidi", fake)
    monkeypatch.setattr(ports, "_DRAIN_SECONDS", 0)
    return fake


def test_the_systems_own_jack_goes_before_the_backends(backend, monkeypatch):
    loaded = []

    def load(name, mode):
        loaded.append((name, mode))
        raise OSError("there is none")

    monkeypatch.setattr(ports.ctypes, "CDLL", load)
    assert port_names().outputs == NAMES
    assert loaded == [("libjack.so.0", ports.ctypes.RTLD_GLOBAL)]


def test_ports_are_listed_and_opened_by_a_part_of_the_name(backend):
    assert port_names() == (NAMES, NAMES[:1])
    port = open_output("synth 2")
    port.send(b"\x90\x3c\x60")
    port.close()
    opened = ("open", "USB Synth 2", "melodyconstraints")
    assert backend.made[0].done == [opened, b"\x90\x3c\x60", "closed"]
    open_output("Melodies", virtual=True)
    assert backend.made[1].done == [("virtual", "Melodies")]


def test_an_input_hands_over_time_and_status_until_it_is_closed(backend):
    received = []
    listening = open_input("through", lambda *message: received.append(message))
    while not received:
        listening._thread.join(0.001)
    listening.close()
    ((seconds, status),) = received
    assert (type(seconds), status) == (float, 0xFA)
    assert backend.made[0].settings.ignore_timing is False
    assert backend.made[0].done[-1] == "closed"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("synth", "several MIDI ports have 'synth' in their names; choose from: 'USB Synth 1', "),
        ("Midi Thru", "no port 'Midi Thru'; choose from: 'Midi Through', 'USB Synth"),
        ("usb sinth 2", "no port 'usb sinth 2'; choose from: 'USB Synth 2', 'USB Synth 1', "),
    ],
)
def test_a_name_that_means_no_single_port_is_answered_with_names(name, message):
    with pytest.raises(UsageError, match=message):
        chosen(name, NAMES)
    assert chosen("USB Synth 1", [*NAMES, "USB Synth 10"]) == 1


def test_where_there_is_no_port_or_no_backend_one_line_says_so(backend, monkeypatch):
    with pytest.raises(PortError, match="there is no MIDI port 'x', nor any other; start or conn"):
        chosen("x", [])
    port = open_output("through")
    backend.made[0].error = "No such device"
    with pytest.raises(PortError, match="MIDI port 'through' does not work: No such device"):
        port.send(b"\xf8")
    monkeypatch.setattr(Device, "open_virtual_port", lambda self, name: "not supported")
    with pytest.raises(PortError, match="no virtual MIDI port can be made: not supported; that n"):
        open_output("x", virtual=True)
    monkeypatch.setattr(backend, "available_apis", list)
    with pytest.raises(PortError, match="no system of MIDI ports runs here"):
        port_names()
    monkeypatch.setitem(sys.modules, "pylibremidi", None)
    with pytest.raises(PortError, match=r"which is not installed .*'melodyconstraints\[live\]'"):
        port_names()
